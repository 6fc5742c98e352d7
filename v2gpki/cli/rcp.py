"""``v2gpki rcp``: the root certificate pool. Which roots this home trusts, for what, and who decided that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.chain_files import read_certificates
from v2gpki.cli.failure import finding_text, finding_value
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import yes_option
from v2gpki.cli.tables import print_table
from v2gpki.cli.values import lines
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.services.pools import Added, RootEntry

_SHOWN = (
    "fingerprint",
    "subject",
    "role",
    "editions",
    "decision",
    "reason",
    "authority",
    "not_after",
    "decided_at",
    "decided_by",
    "comment",
)

_role_option = click.option(
    "--role", default="", metavar="ROLE", help="v2g-root, mo-root, oem-root or private-root (default: by its DC)."
)
_comment_option = click.option("--comment", default="", metavar="TEXT", help="Why, for the record.")


@click.group()
def rcp() -> None:
    """Root certificate pool: add roots, trust and refuse them, list, show."""


@rcp.command()
@click.argument("file", metavar="FILE")
@_role_option
@click.option("--fingerprint", default="", metavar="SHA256", help="What its owner published; compared, not asked for.")
@_comment_option
@yes_option
@click.pass_obj
def add(frame: Frame, *, file: str, role: str, fingerprint: str, comment: str, yes: bool) -> None:
    """Trust the root in FILE (PEM, DER or PKCS#7; - is stdin).

    Compare its SHA-256 fingerprint with what its owner published elsewhere: give that with --fingerprint, or answer
    the question. Adding a root that is trusted already changes nothing.
    """
    der = _only_root(file)
    if not (fingerprint or yes):
        _ask(frame, der)
    authority = frame.authority(unlock=True)
    added = authority.plug_and_charge.roots.add(
        der, role=role, fingerprint=fingerprint, comment=comment, at=frame.now(), caller=authority.caller
    )
    _emit(frame, added)


@rcp.command("list")
@click.option("--role", default="", metavar="ROLE", help="Only this role.")
@click.option("--decision", type=click.Choice(["trusted", "refused"]), help="Only what is trusted, or refused.")
@click.pass_obj
def list_roots(frame: Frame, *, role: str, decision: str | None) -> None:
    """List the roots: the home's own, then the others in the order in which they came; with --json one object a
    line."""
    values = [
        _value(entry)
        for entry in frame.authority().plug_and_charge.roots.list()
        if role in ("", entry.role) and decision in (None, entry.decision)
    ]
    if frame.json:
        frame.emit_lines(values)
        return
    _print_table(frame.console(), values)


@rcp.command()
@click.argument("name", metavar="ROOT")
@click.pass_obj
def show(frame: Frame, *, name: str) -> None:
    """Show one root: ROOT is the start of its fingerprint, its authority here, or a file that holds it."""
    entry = frame.authority().plug_and_charge.roots.find(_name(name))
    value = _value(entry)
    if frame.json:
        frame.emit(value, "")
        return
    from v2gpki.render.certificate import certificate_text

    frame.emit(value, f"{printable(lines(value, *_SHOWN))}\n\n{certificate_text(entry.der)}")


@rcp.command()
@click.argument("name", metavar="ROOT")
@_role_option
@_comment_option
@click.pass_obj
def trust(frame: Frame, *, name: str, role: str, comment: str) -> None:
    """Trust a root that the pool has (again), or change its role."""
    wanted = _name(name)
    authority = frame.authority(unlock=True)
    _emit(
        frame,
        authority.plug_and_charge.roots.trust(
            wanted, role=role, comment=comment, at=frame.now(), caller=authority.caller
        ),
    )


@rcp.command()
@click.argument("name", metavar="ROOT")
@_comment_option
@click.pass_obj
def refuse(frame: Frame, *, name: str, comment: str) -> None:
    """Trust a root no more, an own one too; a file may hold one that the pool does not have yet.

    Vehicles under it stay registered, but whatever they show is refused. rcp trust takes it back.
    """
    given = _only_root(name) if _is_file(name) else b""
    authority = frame.authority(unlock=True)
    roots = authority.plug_and_charge.roots
    if given:
        done = roots.add(given, decision="refused", comment=comment, at=frame.now(), caller=authority.caller)
    else:
        done = roots.refuse(name, comment=comment, at=frame.now(), caller=authority.caller)
    _emit(frame, done)


# -- helpers -------------------------------------------------------------------------------------


def _is_file(name: str) -> bool:
    return name == "-" or Path(name).is_file()


def _name(name: str) -> str:
    """What to look a root up by: a file stands for the fingerprint of the root in it."""
    if not _is_file(name):
        return name
    from v2gpki.certs.chain import fingerprint

    return fingerprint(_only_root(name))


def _only_root(file: str) -> bytes:
    certificates = read_certificates(file)
    if len(certificates) == 1:
        return certificates[0]
    raise V2GPKIError(
        "usage.invalid",
        f"{file} holds {len(certificates)} certificates; a decision is about one",
        hint="put each root into a file of its own",
        facts={"file": file, "certificates": len(certificates)},
    )


def _ask(frame: Frame, der: bytes) -> None:
    from v2gpki.certs.view import view

    if frame.json:
        raise click.UsageError("--json asks nobody: give --fingerprint (better) or --yes")
    seen = view(der)
    frame.note(f"{printable(seen.subject_text)}\nSHA-256 {seen.fingerprint.hex()}")
    frame.confirm("Did its owner publish this fingerprint, and shall the root be trusted?")


def _value(entry: RootEntry) -> dict[str, object]:
    from v2gpki.certs.view import view

    seen = view(entry.der)
    value: dict[str, object] = {
        "schema": "v2gpki/root/1",
        "fingerprint": entry.fingerprint.hex(),
        "subject": seen.subject_text,
        "serial": f"{seen.serial:x}",
        "role": entry.role,
        "editions": list(entry.editions),
        "decision": entry.decision,
        "reason": entry.reason,
        "authority": entry.authority,
        "key_identifier": seen.key_identifier.hex(),
        "not_before": rfc3339(seen.not_before),
        "not_after": rfc3339(seen.not_after),
    }
    if entry.decided is not None:
        value |= {
            "decided_at": rfc3339(entry.decided.decided_at),
            "decided_by": entry.decided.decided_by,
            "comment": entry.decided.comment,
        }
    return value


def _emit(frame: Frame, added: Added) -> None:
    """What a decision did, and what was noticed about the root."""
    value = {
        **_value(added.entry),
        "changed": added.changed,
        "findings": [finding_value(finding) for finding in added.findings],
    }
    how = f"is {value['decision']}" if added.changed else f"was {value['decision']} already"
    use = f" as {value['role']}" if value["role"] else ""
    shown = printable(lines(value, "fingerprint", "editions", "not_after", "authority", "comment"))
    noticed = "".join(f"\n{finding_text(finding)}" for finding in added.findings)
    frame.emit(value, f"{printable(str(value['subject']))} {how}{use}\n{shown}{noticed}")


def _print_table(console: Console, values: Sequence[Mapping[str, object]]) -> None:
    rows = (
        (
            str(value["fingerprint"])[:16],
            str(value["decision"]),
            str(value["role"]),
            str(value["subject"]),
            str(value["not_after"])[:10],
            str(value["authority"]),
            str(value.get("comment", "")),
        )
        for value in values
    )
    print_table(console, ("fingerprint", "decision", "role", "subject", "until", "authority", "comment"), rows)
    console.print(f"{len(values)} roots")
