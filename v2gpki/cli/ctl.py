"""``v2gpki ctl``: trust lists. Create, sign, show, compare, import into the root pool, write as root store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from v2gpki.cli.chain_files import read_certificates
from v2gpki.cli.failure import finding_text, finding_value
from v2gpki.cli.files import read_input, require_free, write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import MOMENT, at_option, force_option
from v2gpki.clock import rfc3339
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from v2gpki.certs.trust_list import Change, ListedRoot, SignedTrustList, TrustList

_out_option = click.option("-o", "--out", required=True, metavar="FILE", help="Where to; - is stdout.")
_fingerprint_option = click.option(
    "--fingerprint", default="", metavar="SHA256", help="The signer's certificate, as the issuer published it."
)
_signer_option = click.option(
    "--signer", "signers", multiple=True, metavar="FILE", help="The signer's certificate; may be repeated."
)


@click.group()
def ctl() -> None:
    """Certificate trust lists: create, sign, show, compare, import, write as root store."""


@ctl.command()
@click.option("--issuer", required=True, metavar="TEXT", help="Whose list it is.")
@click.option("--number", required=True, type=click.IntRange(1), help="Its number: higher than that of the last one.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="How long it holds.")
@click.option(
    "--root",
    "given",
    multiple=True,
    metavar="ROLE=FILE",
    help="List the roots in FILE under this role; without it the trusted roots of this home's pool are listed.",
)
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Of the pool, only this role; may be repeated.")
@click.option("--edition", "editions", multiple=True, metavar="EDITION", help="Only this edition; may be repeated.")
@_out_option
@click.option("--at", type=MOMENT, help="When it begins to hold (RFC 3339; default: now).")
@force_option
@click.pass_obj
def create(
    frame: Frame,
    *,
    issuer: str,
    number: int,
    days: int,
    given: Sequence[str],
    roles: Sequence[str],
    editions: Sequence[str],
    out: str,
    at: datetime | None,
    force: bool,
) -> None:
    """Write a list, unsigned, as JSON: read it, then `v2gpki ctl sign` it."""
    from v2gpki.certs import trust_list
    from v2gpki.services.trust_lists import TrustLists, collect

    require_free([out], force=force)
    authority = frame.authority()
    roots = [root for text in given for root in _given(text, tuple(editions))]
    if not given:
        roots = collect(authority.plug_and_charge.roots, roles=roles, editions=editions)
    lists = TrustLists(authority.store, authority.catalogue)
    content = lists.create(issuer, number, roots, at=frame.now(at), lifetime=timedelta(days=days))
    write_output(out, trust_list.write(content), force=force)
    _emit_written(frame, content, out)


@ctl.command()
@click.argument("file", metavar="LIST")
@click.option("--by", required=True, metavar="CA", help="The authority that signs, or the serial of a kept signer.")
@click.option("--opcp", is_flag=True, help="Write the JSON answer of OPCP's root pool instead of DER.")
@_out_option
@force_option
@click.pass_obj
def sign(frame: Frame, *, file: str, by: str, opcp: bool, out: str, force: bool) -> None:
    """Sign the JSON list in LIST (CMS SignedData; `openssl cms -verify -purpose any` opens it)."""
    from v2gpki.certs import trust_list
    from v2gpki.cli.frame import dump_json
    from v2gpki.services.trust_lists import TrustLists

    require_free([out], force=force)
    content = trust_list.parse(read_input(file))
    authority = frame.authority(unlock=True)
    signed = TrustLists(authority.store, authority.catalogue, authority.vault).sign(content, by, at=frame.now())
    listed = trust_list.read(signed)
    data = (dump_json(trust_list.opcp_document(listed), indent=1) + "\n").encode("ascii") if opcp else signed
    write_output(out, data, force=force)
    _emit_written(frame, content, out, listed.signer_fingerprint)


@ctl.command()
@click.argument("file", metavar="FILE")
@_fingerprint_option
@_signer_option
@at_option
@click.pass_obj
def show(
    frame: Frame, *, file: str, fingerprint: str, signers: Sequence[str], at: datetime | None
) -> int:
    """Show a signed list and judge it: exit code 1 unless its signer is the named one and it holds now.

    Without --fingerprint or --signer the signature is checked all the same, but nobody knows whose it is.
    """
    listed = _read(file)
    problems = _problems(listed, frame.now(at), fingerprint, signers)
    value = {
        "schema": "v2gpki/trust-list-shown/1",
        **_head(listed.content),
        "signer": _signer_value(listed),
        "roots": [_root_value(root) for root in listed.content.roots],
        "problems": [{"code": problem.code, "message": problem.message, "hint": problem.hint} for problem in problems],
    }
    text = [*_head_lines(listed.content, listed), *(_root_line(root) for root in listed.content.roots)]
    text += [f"problem: {problem.message}\n  hint: {problem.hint}" for problem in problems]
    frame.emit(value, "\n".join(printable(line) for block in text for line in block.splitlines()))
    return EXIT_REFUSED if problems else EXIT_OK


@ctl.command()
@click.argument("before", metavar="OLD")
@click.argument("after", metavar="NEW")
@click.pass_obj
def diff(frame: Frame, *, before: str, after: str) -> int:
    """Compare two lists, signed or not: exit code 1 when they list different roots."""
    from v2gpki.certs.trust_list import difference

    old, new = _content(before), _content(after)
    changes = difference(old, new)
    value = {
        "schema": "v2gpki/trust-list-diff/1",
        "before": _head(old),
        "after": _head(new),
        "changes": [_change_value(change) for change in changes],
    }
    signs = {"added": "+", "removed": "-", "changed": "~"}
    text = [f"{signs[change.kind]} {_root_line(change.root).strip()}" for change in changes]
    frame.emit(value, _printable_lines(text) if text else "the same roots in the same use")
    return EXIT_REFUSED if changes else EXIT_OK


@ctl.command("import")
@click.argument("file", metavar="FILE")
@_fingerprint_option
@_signer_option
@click.option("--previous", metavar="OLD", help="The list that was imported before: what is gone from it is refused.")
@click.option("--trust-refused", is_flag=True, help="Trust roots of the list again that were refused here.")
@click.pass_obj
def import_(
    frame: Frame,
    *,
    file: str,
    fingerprint: str,
    signers: Sequence[str],
    previous: str | None,
    trust_refused: bool,
) -> int:
    """Trust the roots of a signed list: each goes into the root pool by the pool's own rules.

    The signer must be named: --fingerprint with what the issuer published elsewhere, or --signer FILE. A list that is
    older than the one that was imported last is refused.
    """
    from v2gpki.services.trust_lists import import_list, require_signer

    listed = _read(file)
    moment = frame.now()
    require_signer(listed, at=moment, fingerprint=fingerprint, certificates=_certificates(signers))
    old = None if previous is None else _content(previous)
    authority = frame.authority(unlock=True)
    pool = authority.plug_and_charge.roots
    done = import_list(
        listed, pool, at=moment, caller=authority.caller, previous=old, trust_refused=trust_refused
    )
    value = {
        "schema": "v2gpki/trust-list-import/1",
        **_head(listed.content),
        "added": [_root_value(root) for root in done.added],
        "unchanged": [_root_value(root) for root in done.unchanged],
        "withdrawn": [_root_value(root) for root in done.withdrawn],
        "refused": [{**_root_value(root), "code": why.code, "message": why.message} for root, why in done.refused],
        "findings": [finding_value(finding) for finding in done.findings],
    }
    text = [
        f"{len(done.added)} roots added, {len(done.unchanged)} known, {len(done.withdrawn)} withdrawn, "
        f"{len(done.refused)} refused",
        *(f"refused: {why.message}" for _, why in done.refused),
        *(finding_text(finding) for finding in done.findings),
    ]
    frame.emit(value, _printable_lines(text))
    return EXIT_REFUSED if done.refused else EXIT_OK


@ctl.command()
@click.argument("file", metavar="FILE")
@_fingerprint_option
@_signer_option
@click.option("--role", default="", metavar="ROLE", help="Only roots of this role.")
@click.option("--edition", default="", metavar="EDITION", help="Only roots for this edition.")
@_out_option
@at_option
@force_option
@click.pass_obj
def roots(
    frame: Frame,
    *,
    file: str,
    fingerprint: str,
    signers: Sequence[str],
    role: str,
    edition: str,
    out: str,
    at: datetime | None,
    force: bool,
) -> None:
    """Write the roots of a signed list as a PEM bundle: the root store of another program."""
    from v2gpki.certs.chain import pem
    from v2gpki.certs.trust_list import roots_of

    require_free([out], force=force)
    listed = _read(file)
    for problem in _problems(listed, frame.now(at), fingerprint, signers):
        raise problem
    found = list(roots_of(listed.content, role, edition))
    write_output(out, pem(root.der for root in found), force=force)
    value = {"schema": "v2gpki/trust-list-roots/1", "file": out, "roots": [_root_value(root) for root in found]}
    if out != "-":
        frame.emit(value, f"{len(found)} roots in {out}")


# -- files ----------------------------------------------------------------------------------------


def _read(file: str) -> SignedTrustList:
    from v2gpki.certs import trust_list

    return trust_list.read(read_input(file))


def _content(file: str) -> TrustList:
    """A list, signed (its signature is checked) or not."""
    import json

    from v2gpki.certs import trust_list

    data = read_input(file)
    if data.lstrip()[:1] == b"{":
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = {}
        if isinstance(document, dict) and document.get("schema") == trust_list.SCHEMA:
            return trust_list.parse(data)
    return trust_list.read(data).content


def _certificates(files: Sequence[str]) -> list[bytes]:
    return [der for file in files for der in read_certificates(file)]


def _given(text: str, editions: tuple[str, ...]) -> list[ListedRoot]:
    from v2gpki.certs.trust_list import ListedRoot

    role, equals, file = text.partition("=")
    if not equals or not role or not file:
        raise V2GPKIError("usage.invalid", f"--root {text}: ROLE=FILE is wanted", hint="--root mo-root=root.pem")
    return [ListedRoot(der, role, editions) for der in read_certificates(file)]


def _problems(
    listed: SignedTrustList, at: datetime, fingerprint: str, signers: Sequence[str]
) -> list[V2GPKIError]:
    """What speaks against the list: its signer, its time."""
    from v2gpki.certs.trust_list import require_current
    from v2gpki.services.trust_lists import require_signer

    found: list[V2GPKIError] = []
    try:
        require_signer(listed, at=at, fingerprint=fingerprint, certificates=_certificates(signers))
    except V2GPKIError as problem:
        found.append(problem)
    try:
        require_current(listed.content, at)
    except V2GPKIError as problem:
        found.append(problem)
    return found


# -- values ---------------------------------------------------------------------------------------


def _head(content: TrustList) -> dict[str, object]:
    return {
        "issuer": content.issuer,
        "number": content.number,
        "this_update": rfc3339(content.this_update),
        "next_update": rfc3339(content.next_update),
    }


def _root_value(root: ListedRoot) -> dict[str, object]:
    from v2gpki.certs.view import view

    seen = view(root.der)
    return {
        "role": root.role,
        "editions": list(root.editions),
        "subject": seen.subject_text,
        "fingerprint": seen.fingerprint.hex(),
        "not_after": rfc3339(seen.not_after),
        "comment": root.comment,
    }


def _signer_value(listed: SignedTrustList) -> dict[str, object]:
    from v2gpki.certs.view import view

    seen = view(listed.signed.signer)
    moment = listed.signed.signed_at
    return {
        "subject": seen.subject_text,
        "fingerprint": seen.fingerprint.hex(),
        "signed_at": rfc3339(moment) if moment is not None else "",
    }


def _change_value(change: Change) -> dict[str, object]:
    value: dict[str, object] = {"kind": change.kind, **_root_value(change.root)}
    if change.kind == "changed" and change.before is not None:
        value["before"] = _root_value(change.before)
    return value


def _head_lines(content: TrustList, listed: SignedTrustList) -> list[str]:
    signer = _signer_value(listed)
    return [
        f"{content.issuer}, list {content.number}, "
        f"{rfc3339(content.this_update)} to {rfc3339(content.next_update)}",
        f"signed by {signer['subject']}, {signer['signed_at']}",
        f"  SHA-256 {signer['fingerprint']}",
    ]


def _root_line(root: ListedRoot) -> str:
    value = _root_value(root)
    editions = ", ".join(root.editions) or "every edition"
    return f"{root.role:<14} {editions:<24} {value['subject']}, until {value['not_after']}\n  {value['fingerprint']}"


def _printable_lines(lines: Sequence[str]) -> str:
    """Lines of foreign text, each made fit to be printed."""
    return "\n".join(printable(line) for block in lines for line in block.splitlines())


def _emit_written(frame: Frame, content: TrustList, out: str, signer: str = "") -> None:
    if out == "-":
        return
    value = {
        "schema": "v2gpki/trust-list-written/1",
        **_head(content),
        "roots": len(content.roots),
        "signer": signer,
        "file": out,
    }
    what = f"list {content.number} of {content.issuer}: {len(content.roots)} roots, in {out}"
    frame.emit(value, what + (f"\nsigner's certificate, SHA-256 {signer}" if signer else ""))
