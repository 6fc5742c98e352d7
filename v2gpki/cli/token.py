"""``v2gpki token``: credentials for the services, created, listed and revoked. Secrets are shown once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import made_for, read_input, require_writable, write_output
from v2gpki.cli.frame import Frame, caller
from v2gpki.cli.options import force_option, yes_option
from v2gpki.cli.tables import print_table
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.services.access import Access
    from v2gpki.store.access_records import Token

_FILE = click.Path(path_type=Path, allow_dash=True)


@click.group()
def token() -> None:
    """Credentials for EST, the pools and the other services."""


@token.command()
@click.argument("identity")
@click.option("--scope", "scopes", multiple=True, required=True, metavar="SCOPE", help="Good for what; repeatable.")
@click.option("--valid", metavar="DURATION", help="How long, such as P90D (default: until it is revoked).")
@click.option("--comment", default="", metavar="TEXT", help="What it is for.")
@click.option("--certificate", type=_FILE, metavar="FILE", help="Stands for this TLS client certificate; no secret.")
@click.option("-o", "--out", type=_FILE, metavar="FILE", help="Write the secret here (0600) instead of printing it.")
@force_option
@click.pass_obj
def create(
    frame: Frame,
    /,
    *,
    identity: str,
    scopes: tuple[str, ...],
    valid: str | None,
    comment: str,
    certificate: Path | None,
    out: Path | None,
    force: bool,
) -> None:
    """Create a token for IDENTITY. Its secret is shown now and never again.

    IDENTITY is any name that you give to who calls: an operator, a backend, a station. The token is the password of
    Basic (user: IDENTITY), a Bearer token, an x-api-key, and the client secret at /oauth/token.

    \b
    Scopes:
      est          enrolment, as far as `v2gpki access register` grants it
      pools:ROLE   the pools as mo, oem, cpo or cps
      pools        the pools in these four roles
      pools:admin  the pools as their operator: roots
      webhooks     to be told of events, without a role in the pools
      *            everything
    """
    if out is None:
        _create(frame, identity, scopes, valid=valid, comment=comment, certificate=certificate)
        return
    if certificate is not None:
        raise click.UsageError("a token for a certificate has no secret to write")
    with made_for(out.parent):
        require_writable(out, force=force)
        _create(frame, identity, scopes, valid=valid, comment=comment, out=out, force=force)


def _create(
    frame: Frame,
    identity: str,
    scopes: tuple[str, ...],
    *,
    valid: str | None,
    comment: str,
    certificate: Path | None = None,
    out: Path | None = None,
    force: bool = False,
) -> None:
    from v2gpki.wiring.access import access_of

    ca = frame.authority(unlock=True)
    now = frame.now()
    lifetime = None if valid is None else _lifetime(valid)
    der = None if certificate is None else _certificate(certificate)
    access = access_of(ca)
    made, secret = access.create(
        identity, scopes, lifetime=lifetime, comment=comment, certificate=der, caller=caller()
    )
    value = {"schema": "v2gpki/token/1", **_value(made, now)}
    lines = [f"token {made.id} for {made.identity}: {', '.join(made.scopes)}, {_until(made)}"]
    if out is not None:
        with _known_or_revoked(access, made):
            write_output(out, secret.encode("ascii") + b"\n", force=force, secret=True)
        lines.append(f"its secret is in {out}")
        value["file"] = str(out)
        frame.emit(value, "\n".join(lines))
        return
    if secret:
        lines += ["its secret, shown only now:", secret]
        value["secret"] = secret
    with _known_or_revoked(access, made):
        frame.emit(value, "\n".join(lines))


@contextmanager
def _known_or_revoked(access: Access, made: Token) -> Iterator[None]:
    """A token whose secret reaches nobody is revoked: else it would hold, and nobody could use it or miss it."""
    try:
        yield
    except (OSError, V2GPKIError) as problem:
        access.revoke(made.id, caller=caller())
        what, code = str(problem), "environment.failed"
        if isinstance(problem, V2GPKIError):
            what, code = problem.message, problem.code
        elif problem.strerror:
            what = problem.strerror
        raise V2GPKIError(
            code,
            f"the secret of the token {made.id} for {made.identity} could not be handed over, so it is revoked: {what}",
            hint="mend what is reported, then create another token",
            facts={"token": made.id, "identity": made.identity},
        ) from problem
    except BaseException:
        access.revoke(made.id, caller=caller())
        raise


@token.command(name="list")
@click.option("--identity", default="", metavar="NAME", help="Only those of this identity.")
@click.pass_obj
def list_(frame: Frame, *, identity: str) -> None:
    """List tokens, those that have ended too. Secrets are kept nowhere."""
    from v2gpki.wiring.access import access_of

    found = access_of(frame.authority()).tokens(identity=identity)
    now = frame.now()
    value = {"schema": "v2gpki/tokens/1", "tokens": [_value(one, now) for one in found]}

    def human(console: Console) -> None:
        rows = (
            (
                one.id,
                one.identity,
                " ".join(one.scopes),
                one.kind,
                _state(one, now),
                "" if one.expires_at is None else rfc3339(one.expires_at),
                one.comment,
            )
            for one in found
        )
        titles = ("token", "identity", "scopes", "kind", "state", "until", "comment")
        print_table(console, titles, rows, nothing="no tokens")

    frame.emit(value, human)


@token.command()
@click.argument("name", metavar="TOKEN")
@yes_option
@click.pass_obj
def revoke(frame: Frame, *, name: str, yes: bool) -> None:
    """Revoke a token by its id or the beginning of it.

    Every server refuses it within a second. `v2gpki token list` shows the ids.
    """
    from v2gpki.wiring.access import access_of

    if not yes:
        frame.confirm(f"Revoke the token {name}?")
    ended = access_of(frame.authority(unlock=True)).revoke(name, caller=caller())
    value = {"schema": "v2gpki/token/1", **_value(ended, frame.now())}
    frame.emit(value, f"token {ended.id} of {ended.identity} is revoked")


def _value(token: Token, now: datetime) -> dict[str, object]:
    return {
        "id": token.id,
        "identity": token.identity,
        "kind": token.kind,
        "scopes": token.scopes,
        "state": _state(token, now),
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "comment": token.comment,
    }


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "valid" if token.expires_at is None or now < token.expires_at else "expired"


def _until(token: Token) -> str:
    return "until it is revoked" if token.expires_at is None else f"until {rfc3339(token.expires_at)}"


def _lifetime(text: str) -> timedelta:
    from v2gpki.profile.duration import duration

    try:
        return duration(text)
    except ValueError as problem:
        raise click.BadParameter(f"{text!r} is no duration: {problem}", param_hint="--valid") from None


def _certificate(file: Path) -> bytes:
    from v2gpki.certs.chain import load_certificates

    return load_certificates(read_input(file))[0]
