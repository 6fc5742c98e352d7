"""``v2gpki verify``: is this chain good, at this moment, under these anchors, for this role?

The verdict is the result and stands on stdout, good or bad, exit code 0 or 1. Input that cannot be read, and
a heap in which no leaf can be told, are errors on stderr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from v2gpki.cli.chain_files import read_certificates, read_crl, read_ocsp
from v2gpki.cli.choices import option_values, options_option
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import at_option
from v2gpki.clock import rfc3339
from v2gpki.errors import CODES, EXIT_OK, EXIT_REFUSED, Finding, V2GPKIError

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.certs.evidence import CertificateStatus
    from v2gpki.certs.path import PathReport
    from v2gpki.profile.load import Catalogue
    from v2gpki.services.trust import Assessment, TrustAnchor

_STYLES = {"good": "green", "valid": "green", "bad": "bold red"}

#: What people read about revocation: the words and their style.
_REVOCATION = {
    "good": ("not revoked", "green"),
    "anchor": ("anchor", "green"),
    "revoked": ("revoked", "bold red"),
    "unknown": ("revocation unknown", "yellow"),
}


@click.command()
@click.argument("chain", nargs=-1, required=True, metavar="CHAIN...")
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    required=True,
    metavar="[ROLE=]FILE",
    help="Trusted roots (PEM, DER, PKCS#7); ROLE= says which root of the edition they are. May be repeated.",
)
@click.option("--role", metavar="ROLE", help="Judge by the rules of this role too (secc, contract, oem ..).")
@click.option("--edition", metavar="EDITION", help="The edition of the role, such as iso15118-2.")
@click.option("--suite", metavar="SUITE", help="The key family (default: the one that signed the leaf).")
@click.option("--depth", type=click.IntRange(1, 12), metavar="N", help="Allow N certificates below the root.")
@click.option("--crl", "crls", multiple=True, metavar="FILE", help="A CRL, PEM or DER; may be repeated.")
@click.option("--ocsp", "ocsps", multiple=True, metavar="FILE", help="An OCSP response, DER; may be repeated.")
@click.option("--require-evidence", is_flag=True, help="Refuse what is not known to be unrevoked.")
@click.option("--ordered", is_flag=True, help="Demand the order of the wire: leaf, Sub-CA 2, Sub-CA 1.")
@click.option("--tolerate", multiple=True, metavar="CODE", help="Only note this role.* code; may be repeated.")
@options_option
@at_option
@click.pass_obj
def verify(
    frame: Frame,
    *,
    chain: Sequence[str],
    anchors: Sequence[str],
    role: str | None,
    edition: str | None,
    suite: str | None,
    depth: int | None,
    crls: Sequence[str],
    ocsps: Sequence[str],
    require_evidence: bool,
    ordered: bool,
    tolerate: Sequence[str],
    options: Sequence[str],
    at: datetime | None,
) -> int:
    """Verify a chain: RFC 5280 and, with --role, the rules of ISO 15118.

    CHAIN files hold certificates in any container and order (PEM bundle, DER, PKCS#7); - is stdin.
    Each certificate is shown with its verdict and whether it is revoked. Valid is one that nothing
    speaks against while nobody says that it is not revoked; with that evidence it is good.
    """
    from v2gpki.certs.evidence import Evidence
    from v2gpki.certs.path import examine

    _check_stdin([*chain, *anchors, *crls, *ocsps])
    if role is None and (edition or suite or depth or tolerate or options):
        raise V2GPKIError(
            "usage.invalid",
            "--edition, --suite, --depth, --tolerate and --option need --role",
            hint="give --role, or leave them out",
        )
    moment = frame.now(at)
    certificates = [der for file in chain for der in read_certificates(file)]
    evidence = Evidence([read_crl(file) for file in crls], [read_ocsp(file) for file in ocsps])
    found: PathReport | Assessment
    if role is None:
        trusted = [der for file in anchors for der in read_certificates(file)]
        found = examine(
            certificates, trusted, at=moment, evidence=evidence, require_evidence=require_evidence, ordered=ordered
        )
    else:
        from v2gpki.profile.load import Catalogue
        from v2gpki.services.trust import assess

        catalogue = Catalogue(frame.profiles)
        named = edition or _only_edition(catalogue, role)
        found = assess(
            certificates,
            _anchors(anchors, catalogue.roles(named)),
            catalogue=catalogue,
            role=role,
            edition=named,
            at=moment,
            suite=suite,
            options=option_values(options),
            evidence=evidence,
            require_evidence=require_evidence,
            ordered=ordered,
            depth=depth,
            tolerate=tolerate,
        )
    value = _value(found)
    frame.emit(value, lambda console: _show(console, value))
    return EXIT_REFUSED if found.findings else EXIT_OK


def _value(found: PathReport | Assessment) -> dict[str, object]:
    """The verdict as one value, for JSON and for people."""
    from v2gpki.certs.path import PathReport
    from v2gpki.services.trust import refused

    path = found if isinstance(found, PathReport) else found.path
    roles = [""] * len(path.certificates) if isinstance(found, PathReport) else list(found.roles)
    value: dict[str, object] = {
        "schema": "v2gpki/verify/1",
        "verdict": "bad" if found.findings else "good",
        "at": rfc3339(path.at),
    }
    if not isinstance(found, PathReport):
        value |= {
            "role": found.profile.role,
            "edition": found.profile.edition,
            "suite": found.profile.suite,
            "conformant": found.profile.conformant,
            "expires_soon": found.expires_soon,
        }
    if found.findings:
        error = refused(found.findings)
        value |= {"code": error.code, "message": error.message, "hint": error.hint, **_outside(error.code)}
    value["certificates"] = [
        _certificate(der, status, role, found.findings)
        for der, status, role in zip(path.certificates, path.statuses, roles, strict=True)
    ]
    value["findings"] = [_finding(finding) for finding in found.findings]
    value["notes"] = [] if isinstance(found, PathReport) else [_finding(finding) for finding in found.notes]
    return value


def _certificate(
    der: bytes, status: CertificateStatus, role: str, findings: Sequence[Finding]
) -> dict[str, object]:
    from v2gpki.certs.view import view

    seen = view(der)
    fingerprint = seen.fingerprint.hex()
    codes = list(dict.fromkeys(f.code for f in findings if f.facts.get("fingerprint") == fingerprint))
    return {
        "verdict": "bad" if codes else "good",
        "codes": codes,
        "subject": seen.subject_text,
        "issuer": seen.issuer_text,
        "serial": f"{seen.serial:x}",
        "fingerprint": fingerprint,
        "role": role,
        "not_before": rfc3339(seen.not_before),
        "not_after": rfc3339(seen.not_after),
        "status": status.state,
        "source": status.source,
        "detail": status.detail,
        "this_update": rfc3339(status.this_update) if status.this_update else None,
        "next_update": rfc3339(status.next_update) if status.next_update else None,
        "revoked_at": rfc3339(status.revoked_at) if status.revoked_at else None,
        "reason": status.reason,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "clause": finding.clause,
        "where": finding.where,
        "subject": finding.subject,
        "facts": dict(finding.facts),
        **_outside(finding.code),
    }


def _outside(code: str) -> dict[str, str]:
    """What the outsides are told; a lint code that is only noted says nothing there."""
    row = CODES.get(code)
    return {
        "response_code_iso15118_2": row.iso2 if row else "",
        "response_code_iso15118_20": row.iso20 if row else "",
        "ocpp_certificate_status": row.ocpp if row else "",
    }


def _show(console: Console, value: Mapping[str, object]) -> None:
    from rich.text import Text

    rows = value["certificates"]
    assert isinstance(rows, list)
    for row in rows:
        verdict = _in_words(row["verdict"], unknown=row["status"] == "unknown")
        words, style = _REVOCATION[str(row["status"])]
        line = Text(f"{verdict:<6}", style=_STYLES[verdict])
        role = f"{row['role']}: " if row["role"] else ""
        line.append(f"{role}{_safe(row['subject'])}", style="default")
        line.append(f"  until {row['not_after']}  ", style="dim")
        line.append(words, style=style)
        source = ", ".join(str(part) for part in (row["source"], row["detail"]) if part)
        if source:
            line.append(f" ({_safe(source)})", style="dim")
        console.print(line, soft_wrap=True)
    for kind in ("findings", "notes"):
        findings = value[kind]
        assert isinstance(findings, list)
        for finding in findings:
            line = Text(f"  {finding['severity']}: ", style="red" if finding["severity"] == "error" else "yellow")
            line.append(_safe(finding["message"]), style="default")
            line.append(f" [{_told(finding)}]", style="dim")
            console.print(line, soft_wrap=True)
    use = f" as {value['role']} of {value['edition']} ({value['suite']})" if "role" in value else ""
    unknown = sum(row["status"] == "unknown" for row in rows)
    verdict = _in_words(value["verdict"], unknown=unknown > 0)
    line = Text(f"{verdict}{use} at {value['at']}", style=_STYLES[verdict])
    if verdict == "valid":
        line.append(f"; revocation unknown ({unknown} of {len(rows)} certificates)", style="yellow")
    console.print(line, soft_wrap=True)
    if value.get("expires_soon"):
        console.print(Text("the leaf expires soon: OK_CertificateExpiresSoon", style="yellow"), soft_wrap=True)
    if "hint" in value:
        console.print(Text(f"hint: {value['hint']}"), soft_wrap=True)


def _in_words(verdict: object, *, unknown: bool) -> str:
    """The verdict for people: "valid" instead of "good" where nobody knows whether something is revoked."""
    return "valid" if verdict == "good" and unknown else str(verdict)


def _safe(text: object) -> str:
    """Foreign text on one line, with nothing that a terminal obeys."""
    from v2gpki.render.text import printable

    return printable(str(text)).replace("\n", "\\n")


def _told(finding: Mapping[str, object]) -> str:
    parts = [f"{finding['code']}", f"{finding['clause']}"]
    for name, key in (
        ("-2", "response_code_iso15118_2"),
        ("-20", "response_code_iso15118_20"),
        ("OCPP", "ocpp_certificate_status"),
    ):
        if finding[key]:
            parts.append(f"{name} {finding[key]}")
    return "; ".join(part for part in parts if part)


def _anchors(given: Sequence[str], roles: Sequence[str]) -> list[TrustAnchor]:
    """``FILE`` or ``ROLE=FILE``, where ROLE is one of the edition's."""
    from v2gpki.services.trust import TrustAnchor

    anchors = []
    for text in given:
        role, found, file = text.partition("=")
        if not found or role not in roles:
            role, file = "", text
        anchors += [TrustAnchor(der, role) for der in read_certificates(file)]
    return anchors


def _only_edition(catalogue: Catalogue, role: str) -> str:
    having = [name for name in catalogue.editions() if role in catalogue.roles(name)]
    if len(having) == 1:
        return having[0]
    raise V2GPKIError(
        "usage.invalid",
        f"--edition is needed: the role {role} stands in {', '.join(having) if having else 'no edition'}",
        hint=f"give --edition {having[0]}" if having else "v2gpki verify --help names some roles",
        facts={"editions": having},
    )


def _check_stdin(files: Sequence[str]) -> None:
    if sum(file == "-" or file.endswith("=-") for file in files) > 1:
        raise V2GPKIError("usage.invalid", "stdin (-) can be read once only", hint="put the rest into files")
