"""Verifying the audit log: the chain, the signatures over it, the tables beside it, the anchor.

Found: a changed, missing or inserted row of the log; a signature that is wrong or belongs to another
log; a certificate, revocation, authority, state, CRL, setting or record of the pools that was changed, added
or removed without the log, or the other way round. Who holds the whole home can still take rows off the end
together with what they describe, or rewrite what no signature covers: the verdict says how far that reaches
and that only an anchor kept elsewhere excludes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature

from v2gpki.errors import FactValue, Finding, V2GPKIError
from v2gpki.store.anchor import HOME_ID_SETTING, AuditAnchor
from v2gpki.store.canonical import ORIGIN, head_message, row_digest, seconds
from v2gpki.store.protocol import Store
from v2gpki.store.reconciliation import Reconciliation
from v2gpki.store.records import AuditHead, AuditRow

#: Checks (signature, message) with the audit key; raises V2GPKIError or InvalidSignature.
Verifier: TypeAlias = Callable[[bytes, bytes], None]

#: More findings than this of one walk are counted, not listed.
MOST_FINDINGS = 1000


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What ``verify`` found. ``rows`` counts the log, ``tip`` is its last chain value, ``signed_up_to`` the last
    row that a good signature covers (0: none), ``anchored_up_to`` the row of a good anchor (0: no anchor),
    ``first_broken`` the first row that does not fit the chain (0: none); ``unprovable`` says in sentences
    what could have happened unseen."""

    rows: int
    tip: bytes
    heads: int
    signed_up_to: int
    anchored_up_to: int
    first_broken: int
    findings: tuple[Finding, ...]
    unprovable: tuple[str, ...]

    def require_sound(self) -> None:
        """Raise ``audit.broken`` with all findings when one of them is an error."""
        errors = [finding for finding in self.findings if finding.severity == "error"]
        if errors:
            raise V2GPKIError(
                "audit.broken",
                f"the audit log does not hold: {errors[0].message}"
                + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""),
                hint="keep the home as it is for examination and compare it with a backup",
                facts={"findings": len(errors), "first_broken": self.first_broken},
                findings=self.findings,
            )


def verify(store: Store, *, verifier: Verifier, anchor: AuditAnchor | None = None) -> AuditVerdict:
    """Judge the whole log of ``store`` at one moment; 20 us a row or so. Never raises for what it finds:
    see ``AuditVerdict.require_sound``."""
    with store.snapshot():
        home_id = store.setting(HOME_ID_SETTING) or ""
        heads = list(store.audit_heads())
        wanted = {head.sequence for head in heads}
        if anchor is not None:
            wanted.add(anchor.sequence)
        tables = Reconciliation(store)
        walk = _Walk(wanted)
        for row in store.audit_rows():
            walk.take(row)
            tables.take(row)
        findings = [*walk.findings, *tables.findings()]
    signed_up_to = 0
    for head in heads:
        wrong = _judge_head(head, home_id, walk.digests, verifier)
        findings += wrong
        if not wrong:
            signed_up_to = max(signed_up_to, head.sequence)
    anchored = [] if anchor is None else _judge_anchor(anchor, home_id, walk.digests, verifier)
    findings += anchored
    anchored_up_to = anchor.sequence if anchor is not None and not anchored else 0
    if signed_up_to < walk.last:
        findings.append(_unsigned(signed_up_to, walk.last))
    return AuditVerdict(
        rows=walk.rows,
        tip=walk.digest,
        heads=len(heads),
        signed_up_to=signed_up_to,
        anchored_up_to=anchored_up_to,
        first_broken=walk.first_broken,
        findings=tuple(findings),
        unprovable=tuple(_unprovable(walk.last, signed_up_to, anchored_up_to)),
    )


class _Walk:
    """Follows the chain and keeps the chain values that a signature or the anchor speaks of."""

    def __init__(self, wanted: set[int]) -> None:
        self._wanted = wanted
        self.rows = 0
        self.last = 0
        self.digest = ORIGIN
        self.first_broken = 0
        self.digests: dict[int, bytes] = {}
        self.findings: list[Finding] = []

    def take(self, row: AuditRow) -> None:
        self.rows += 1
        if row.sequence != self.last + 1:
            missing = f"{self.last + 1} to {row.sequence - 1}"
            self._broken("audit.row_missing", row, f"the rows {missing} of the log are missing")
        elif row.previous != self.digest:
            self._broken("audit.chain_broken", row, f"row {row.sequence} does not continue row {self.last}")
        texts = (row.action, row.caller, row.target, row.details)
        computed = row_digest(row.previous, row.sequence, seconds(row.at), texts)
        if computed != row.digest:
            self._broken("audit.row_changed", row, f"row {row.sequence} ({row.action}) was changed")
        self.last, self.digest = row.sequence, row.digest
        if row.sequence in self._wanted:
            self.digests[row.sequence] = row.digest

    def _broken(self, code: str, row: AuditRow, message: str) -> None:
        self.first_broken = self.first_broken or row.sequence
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(_finding(code, message, row.sequence, subject=row.target))


def _judge_head(
    head: AuditHead, home_id: str, digests: Mapping[int, bytes], verifier: Verifier
) -> list[Finding]:
    found = []
    digest = digests.get(head.sequence)
    if digest is None:
        message = f"a signature covers row {head.sequence}, which the log does not have"
        found.append(_finding("audit.truncated", message, head.sequence))
    elif digest != head.digest:
        message = f"the log was rewritten: its row {head.sequence} is not the one that was signed"
        found.append(_finding("audit.rewritten", message, head.sequence))
    if not _signed(verifier, head.signature, head_message(home_id, head.sequence, head.digest, head.at)):
        message = f"the signature over row {head.sequence} was not made by this home's audit key"
        found.append(_finding("audit.signature_wrong", message, head.sequence))
    return found


def _judge_anchor(
    anchor: AuditAnchor, home_id: str, digests: Mapping[int, bytes], verifier: Verifier
) -> list[Finding]:
    if anchor.home_id != home_id:
        message = f"the anchor belongs to the home {anchor.home_id or '(none)'}, this one is {home_id or '(none)'}"
        return [_finding("audit.anchor_foreign", message, anchor.sequence)]
    found = []
    signed = head_message(home_id, anchor.sequence, anchor.digest, anchor.at)
    if not _signed(verifier, anchor.signature, signed):
        message = "the anchor was not signed by this home's audit key: the anchor or the key was exchanged"
        found.append(_finding("audit.anchor_forged", message, anchor.sequence))
    digest = digests.get(anchor.sequence)
    if digest is None:
        message = f"the log was cut: the anchor knows row {anchor.sequence}, the log does not"
        found.append(_finding("audit.truncated", message, anchor.sequence))
    elif digest != anchor.digest:
        message = f"the log was rewritten: row {anchor.sequence} is not the one that the anchor knows"
        found.append(_finding("audit.rewritten", message, anchor.sequence))
    return found


def _signed(verifier: Verifier, signature: bytes, message: bytes) -> bool:
    try:
        verifier(signature, message)
    except (V2GPKIError, InvalidSignature):
        return False
    return True


def _unsigned(signed_up_to: int, last: int) -> Finding:
    facts: dict[str, FactValue] = {"first": signed_up_to + 1, "last": last}
    message = f"no signature covers the rows {signed_up_to + 1} to {last}"
    return Finding("audit.unsigned", "warning", message, where="audit_heads", facts=facts)


def _unprovable(last: int, signed_up_to: int, anchored_up_to: int) -> Iterable[str]:
    if anchored_up_to < last:
        since = f"after row {anchored_up_to}" if anchored_up_to else "anywhere in the log"
        yield (
            f"rows taken off the end {since}, together with what they describe and their signatures, "
            "or an older copy of the whole home: only a newer anchor excludes it"
        )
        yield f"rows {since} rewritten and signed again with the audit key: only a newer anchor excludes it"
    if signed_up_to < last:
        yield f"rows {signed_up_to + 1} to {last} rewritten consistently: no signature covers them"


def _finding(code: str, message: str, sequence: int, *, subject: str = "") -> Finding:
    return Finding(code, "error", message, where="audit", subject=subject, facts={"sequence": sequence})
