"""``v2gpki lint``: the rules that guard issuing, on any certificate file. Needs no home."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from v2gpki.cli.choices import option_values, options_option
from v2gpki.cli.failure import finding_text, finding_value
from v2gpki.cli.files import read_input
from v2gpki.cli.frame import Frame
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from v2gpki.certs.lint.bundle import Judged

_LARGEST_FILE = 16 * 1024 * 1024


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--role", required=True, metavar="ROLE", help="The role that the first certificate of each file has.")
@click.option("--edition", required=True, metavar="EDITION", help="iso15118-2, iso15118-20, ocpp or your own.")
@click.option("--suite", metavar="SUITE", help="The key family (default: the one that signed the certificate).")
@click.option("--issuer", metavar="FILE", help="The issuer's certificate: signature and nesting are judged too.")
@options_option
@click.option("--strict", is_flag=True, help="Let warnings fail too.")
@click.option("--explain", is_flag=True, help="Say for each code why the rule exists and what to do.")
@click.pass_obj
def lint(
    frame: Frame,
    *,
    files: tuple[str, ...],
    role: str,
    edition: str,
    suite: str | None,
    issuer: str | None,
    options: tuple[str, ...],
    strict: bool,
    explain: bool,
) -> int:
    """Check certificate files against the profile of a role.

    FILE is PEM, DER or PKCS#7, "-" is stdin. The first certificate of a file is judged by ROLE, those above
    it by the roles that may issue it. Exit code 1 when there is an error.
    """
    from v2gpki.certs.lint.bundle import certificate_octets, lint_bundle
    from v2gpki.profile.load import Catalogue

    catalogue = Catalogue(frame.profiles)
    chosen = option_values(options)
    catalogue.profile(edition, role, suite, chosen)
    above = _only_certificate(issuer) if issuer is not None else None
    judged = [
        (file, at, one)
        for file in files
        for at, one in enumerate(
            lint_bundle(
                certificate_octets(read_input(file, limit=_LARGEST_FILE)),
                catalogue,
                edition=edition,
                role=role,
                suite=suite,
                options=chosen,
                issuer=above,
            )
        )
    ]
    counts = Counter(found.severity for _, _, one in judged for found in one.findings)
    passed = not counts["error"] and not (strict and counts["warning"])
    value = {
        "schema": "v2gpki/lint/1",
        "edition": edition,
        "role": role,
        "passed": passed,
        "errors": counts["error"],
        "warnings_found": counts["warning"],
        "infos": counts["info"],
        "not_judged": sum(one.profile is None for _, _, one in judged),
        "certificates": [_value(file, at, one, explain=explain) for file, at, one in judged],
    }
    frame.emit(value, "\n".join(line for file, at, one in judged for line in _lines(file, at, one, explain=explain)))
    return EXIT_OK if passed else EXIT_REFUSED


def _only_certificate(path: str) -> bytes:
    """The one certificate of the issuer's file; more than one is a usage error."""
    from v2gpki.certs.lint.bundle import certificate_octets

    found = certificate_octets(read_input(path, limit=_LARGEST_FILE))
    if len(found) != 1:
        raise V2GPKIError(
            "usage.invalid",
            f"{path} holds {len(found)} certificates, --issuer takes one",
            hint="give the certificate of the direct issuer",
        )
    return found[0]


def _value(file: str, at: int, one: Judged, *, explain: bool) -> dict[str, object]:
    """The JSON form of one certificate."""
    profile = one.profile
    value: dict[str, object] = {
        "file": file,
        "number": at + 1,
        "subject": _subject(one.der),
        "fingerprint": hashlib.sha256(one.der).hexdigest(),
        "size": len(one.der),
        "judged": profile is not None,
        "role": profile.role if profile else "",
        "suite": profile.suite if profile else "",
        "findings": [finding_value(found) for found in one.findings],
    }
    if explain:
        value["explanations"] = dict(_explained(one))
    return value


def _lines(file: str, at: int, one: Judged, *, explain: bool) -> Iterator[str]:
    """One certificate for people: what it is, what it was judged by, its findings."""
    place = f"{file}, certificate {at + 1}"
    subject = _subject(one.der)
    head = f"{place}: {subject}" if subject else place
    if one.profile is None:
        yield printable(f"{head}: not judged (it fits no role that may issue the one before)")
        return
    name = f"{one.profile.role} of {one.profile.edition}, {one.profile.suite}"
    counts = Counter(found.severity for found in one.findings)
    verdict = ", ".join(
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in ("error", "warning", "info")
        if counts[severity]
    )
    yield printable(f"{head}: {name}: ") + (printable(verdict) if verdict else click.style("no findings", fg="green"))
    yield from (finding_text(found) for found in one.findings)
    if explain:
        for code, row in _explained(one):
            yield f"  {code}: {row['title']}. {row['why']} {row['action']}"


def _explained(one: Judged) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Title, reason and advice for every code of one certificate, each once."""
    from v2gpki.certs.lint import explanations

    for code in dict.fromkeys(found.code for found in one.findings):
        row = explanations()[code]
        yield code, {"title": row.title, "why": row.why, "action": row.action}


def _subject(der: bytes) -> str:
    """The subject as RFC 4514 writes it, "" when it cannot be read."""
    from v2gpki.certs.view import view

    try:
        return view(der).subject_text
    except V2GPKIError:
        return ""
