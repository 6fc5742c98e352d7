"""A scan of a station's TLS beside what the editions prescribe, as rows.

Clauses: ISO 15118-2 7.7.3; [V2G20-1264], [V2G20-1634], [V2G20-1637], [V2G20-1856], [V2G20-2458].
"""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.servers.probe.hello import CLOSED, TLS_1_2, TLS_1_3
from v2gpki.servers.probe.names import (
    GROUPS,
    ISO2_GROUPS,
    ISO2_SUITES,
    ISO20_GROUPS,
    ISO20_SUITES,
    SUITES_12,
    SUITES_13,
    VERSIONS,
    named,
)
from v2gpki.servers.probe.report import Report
from v2gpki.servers.probe.scan import Offered, Scan

_ISO2, _ISO20 = "ISO 15118-2 7.7.3", "[V2G20-1264]"
_ECDHE = 0xC023
_AES_128_GCM = 0x1301


def add_tls(report: Report, scan: Scan) -> None:
    """Versions, suites and groups."""
    area = "TLS"
    old = [version for version in scan.offered if version < TLS_1_2]
    versions = named(scan.offered, VERSIONS)
    if not scan.offered and (scan.no_tls is not None or set(scan.refused.values()) == {CLOSED}):
        report.add(area, "versions", "no TLS", "warning", "only EIM of ISO 15118-2 may go without TLS", clause=_ISO2)
        return
    if old:
        report.add(area, "versions", versions, "error", "before TLS 1.2 nothing may be spoken", clause=_ISO2)
    elif not scan.offered:
        refused = [f"{VERSIONS[version]}: {alert}" for version, alert in scan.refused.items()]
        report.add(area, "versions", refused, "error", "every ClientHello was refused", clause=_ISO2)
    else:
        report.add(area, "versions", versions, "ok")
    if TLS_1_2 in scan.offered:
        _twelve(report, scan.offered[TLS_1_2])
    if TLS_1_3 in scan.offered:
        _thirteen(report, scan.offered[TLS_1_3])


def _twelve(report: Report, offered: Offered) -> None:
    area, more = "TLS 1.2", _more(offered.suites, ISO2_SUITES, SUITES_12)
    suites = named(offered.suites, SUITES_12)
    if _ECDHE not in offered.suites:
        report.add(area, "suites", suites, "error", f"{SUITES_12[_ECDHE]} is missing", clause=_ISO2)
    else:
        report.add(area, "suites", suites, "warning" if more else "ok", more, clause=_ISO2 if more else "")
    _groups(report, area, offered, ISO2_GROUPS, _ISO2)
    asks = offered.first.answer.asks_certificate
    report.add(area, "asks for a client certificate", "yes" if asks else "no", "warning" if asks else "ok")
    report.add(area, "answers a ClientHello", f"{offered.first.answered * 1000:.0f} ms")


def _thirteen(report: Report, offered: Offered) -> None:
    area, more = "TLS 1.3", _more(offered.suites, ISO20_SUITES, SUITES_13)
    suites = named(offered.suites, SUITES_13)
    missing = [SUITES_13[number] for number in ISO20_SUITES if number not in offered.suites]
    if _AES_128_GCM in offered.suites:
        note, clause = f"{SUITES_13[_AES_128_GCM]} must not be offered", "[V2G20-1856], [V2G20-2458]"
        report.add(area, "suites", suites, "error", note, clause=clause)
    elif missing:
        report.add(area, "suites", suites, "error", f"{' and '.join(sorted(missing))} missing", clause="[V2G20-1856]")
    else:
        report.add(area, "suites", suites, "warning" if more else "ok", more, clause="[V2G20-1856]" if more else "")
    _groups(report, area, offered, ISO20_GROUPS, "[V2G20-1634], [V2G20-1637]")
    report.add(area, "answers a ClientHello", f"{offered.first.answered * 1000:.0f} ms")


def _groups(report: Report, area: str, offered: Offered, wanted: frozenset[int], clause: str) -> None:
    groups, more = named(offered.groups, GROUPS), _more(offered.groups, wanted, GROUPS)
    missing = [GROUPS[number] for number in sorted(wanted) if number not in offered.groups]
    if len(missing) == len(wanted):
        report.add(area, "groups", groups, "error", f"{' and '.join(missing)} missing", clause=clause)
    elif missing:
        report.add(area, "groups", groups, "warning", f"{' and '.join(missing)} missing", clause=clause)
    else:
        report.add(area, "groups", groups, "ok", more)


def _more(found: tuple[int, ...], wanted: frozenset[int], names: Mapping[int, str]) -> str:
    """What is offered besides, in words."""
    others = named((number for number in found if number not in wanted), names)
    return f"more than the edition has: {', '.join(others)}" if others else ""
