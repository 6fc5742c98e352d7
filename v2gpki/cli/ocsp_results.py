"""What a responder answered, as ``v2gpki ocsp query`` shows it: as JSON and to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from v2gpki.clock import rfc3339
from v2gpki.errors import Finding

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.clients.ocsp import OcspResult

_SHOWN = (
    *("url", "signer", "produced_at", "this_update", "next_update", "revoked_at"),
    *("reason", "hash", "nonce", "milliseconds"),
)
#: The colour of a status and of a finding's severity.
STYLES = {"good": "green", "revoked": "bold red", "error": "bold red", "warning": "yellow"}


def show(console: Console, results: Sequence[tuple[str, OcspResult]]) -> None:
    """The answers for people, each finding in its colour."""
    from rich.text import Text

    from v2gpki.cli.values import lines

    for subject, result in results:
        value = result_value(subject, result)
        judged = result.judgement
        verdict = judged.status if judged.trusted else f"{judged.status}, not to be trusted"
        style = STYLES.get(judged.status, "yellow") if judged.trusted else "bold red"
        console.print(Text(f"{subject}: {verdict}", style=style))
        console.print(lines(value, *_SHOWN))
        for finding in result.judgement.findings:
            console.print(Text(f"{finding.severity}: {finding.message} [{finding.code}]", STYLES[finding.severity]))


def result_value(subject: str, result: OcspResult) -> dict[str, object]:
    """One answer and what it is worth, as JSON; times and a reason only where the answer has them."""
    judged = result.judgement
    value: dict[str, object] = {
        "subject": subject,
        "url": result.url,
        "status": judged.status,
        "trusted": judged.trusted,
        "signer": judged.signer,
        "delegated": judged.delegated,
        "hash": judged.hash_name,
        "nonce": judged.nonce,
        "milliseconds": round(result.seconds * 1000, 1),
        "size": len(result.der),
        "findings": [_finding_value(finding) for finding in judged.findings],
    }
    times = {
        "produced_at": judged.produced_at,
        "this_update": judged.this_update,
        "next_update": judged.next_update,
        "revoked_at": judged.revoked_at,
    }
    value |= {name: rfc3339(moment) for name, moment in times.items() if moment is not None}
    return value | ({"reason": judged.reason} if judged.reason else {})


def _finding_value(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "clause": finding.clause,
    }
