"""The chain and the staple that a station showed, as rows: certificates, lint, path, OCSP.

Clauses: [V2G2-875] (DC=CPO), [V2G2-873] (staple), [V2G2-871]; [V2G20-2388], [V2G20-2409]; RFC 5280 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from v2gpki.certs.lint.bundle import lint_bundle
from v2gpki.certs.ocsp_judging import judge_answer
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.servers.probe.report import Report, Standing
from v2gpki.servers.v2gtls import Edition
from v2gpki.services.trust import judge

#: A leaf that ends sooner is told.
_SOON = timedelta(days=7)


def add_chain(
    report: Report,
    area: str,
    chain: Sequence[bytes],
    staple: bytes | None,
    *,
    catalogue: Catalogue,
    edition: Edition,
    role: str,
    roots: Sequence[bytes],
    at: datetime,
) -> None:
    """Rows about a chain (DER, leaf first) that was shown as ``role``; without ``roots`` its path is not judged."""
    report.chains[area] = tuple(chain)
    try:
        views = [view(der) for der in chain]
    except V2GPKIError as problem:
        report.add(area, "chain", f"{len(chain)} certificates", "error", f"{problem.message} [{problem.code}]")
        return
    if not views:
        report.add(area, "chain", "none", "error", "no certificate was shown")
        return
    _shown(report, area, views, at)
    for number, one in enumerate(lint_bundle(chain, catalogue, edition=edition, role=role), 1):
        what = f"lint {number}: {_name(views[number - 1])}"
        if one.profile is None:
            report.add(area, what, "not judged", "warning", "it fits no role that may issue the one before")
            continue
        codes = [found.code for found in one.findings]
        severities = {found.severity for found in one.findings}
        standing: Standing = "error" if "error" in severities else "warning" if "warning" in severities else "ok"
        notes = "; ".join(found.message for found in one.findings if found.severity == standing)
        report.add(area, what, codes or "no findings", standing, notes)
    _path(report, area, chain, catalogue=catalogue, edition=edition, role=role, roots=roots, at=at)
    if role == "secc":
        issuers = [one for one in (*views[1:], *map(view, roots)) if one.subject == views[0].issuer]
        _staple(report, area, views[0], issuers, staple, at=at)


def _shown(report: Report, area: str, views: Sequence[CertificateView], at: datetime) -> None:
    root = views[-1].self_issued and len(views) > 1
    report.add(
        area,
        "chain",
        [view.subject_text for view in views],
        "warning" if root else "ok",
        "the root is sent along, which nobody needs" if root else "",
        clause="RFC 8446 4.4.2" if root else "",
    )
    leaf = views[0]
    ends = f"{leaf.not_after:%Y-%m-%d}"
    if leaf.not_after < at:
        report.add(area, "leaf ends", ends, "error", "it has expired")
    elif leaf.not_after - at < _SOON:
        report.add(area, "leaf ends", ends, "warning", "within a week")
    else:
        report.add(area, "leaf ends", ends, "ok")


def _path(
    report: Report,
    area: str,
    chain: Sequence[bytes],
    *,
    catalogue: Catalogue,
    edition: Edition,
    role: str,
    roots: Sequence[bytes],
    at: datetime,
) -> None:
    if not roots:
        report.add(area, "path", "not judged", "info", "no roots were given (--pki or --anchor)")
        return
    try:
        judge(chain, roots, catalogue=catalogue, role=role, edition=edition, at=at, leaf=chain[0])
    except V2GPKIError as problem:
        codes = [finding.code for finding in problem.findings] or [problem.code]
        report.add(area, "path", list(dict.fromkeys(codes)), "error", problem.message, clause=problem.clause)
    else:
        report.add(area, "path", f"holds, as {role} of {edition}", "ok")


def _staple(
    report: Report,
    area: str,
    leaf: CertificateView,
    issuers: Sequence[CertificateView],
    staple: bytes | None,
    *,
    at: datetime,
) -> None:
    if staple is None:
        note = "a vehicle that asks for an OCSP response closes the connection; a private station needs none"
        report.add(area, "staple", "none", "warning", note, clause="[V2G2-873], [V2G20-2388]")
        return
    if not issuers:
        report.add(area, "staple", f"{len(staple)} octets", "warning", "the leaf's issuer was not shown: not judged")
        return
    try:
        found = judge_answer(staple, leaf.der, issuers[0].der, at=at)
    except V2GPKIError as problem:
        report.add(area, "staple", f"{len(staple)} octets", "error", problem.message, clause=problem.clause)
        return
    until = f", until {found.next_update:%Y-%m-%d %H:%M}Z" if found.next_update else ""
    notes = "; ".join(f"{finding.message} [{finding.code}]" for finding in found.findings)
    bad = not found.trusted or found.status != "good"
    standing: Standing = "error" if bad else "warning" if found.findings else "ok"
    report.add(area, "staple", f"{found.status}{until}", standing, notes, clause="[V2G2-875]" if bad else "")


def _name(certificate: CertificateView) -> str:
    parts = certificate.subject_text.split(",")
    return next((part for part in parts if part.startswith("CN=")), parts[0])
