"""RCP, the pool of roots: which root certificates this home trusts, for which use, and who decided that.

Roots of the home's own authorities are trusted without a word, unless they were revoked or refused; any other
root needs a decision, whose row stays and can be changed. A root is taken when it is self-signed, a CA, of a key
family of ISO 15118 and not over; how far it keeps the profile of its role is told, not judged: whoever adds it
decides. Compare the SHA-256 fingerprint with what the root's owner published before you trust it.
A decision is about one certificate: the same key in another certificate is another root.
Clauses: [V2G2-924], [V2G2-925], [V2G2-878] (several roots of one name), [V2G2-011]; OPCP root pool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from v2gpki.certs.lint import lint_certificate
from v2gpki.certs.view import CertificateView, flaw_of_signature, view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.suites import family_of
from v2gpki.profile.duration import duration
from v2gpki.profile.load import Catalogue
from v2gpki.services.pools.writing import Writing
from v2gpki.services.remembered import Remembered
from v2gpki.services.trust import TrustAnchor, recognised_root
from v2gpki.store.pool_records import PooledRoot, RootDecision
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditEvent, AuthorityRecord, AuthorityState

_CLAUSE = "[V2G2-924]; OPCP root pool"
#: So much of a fingerprint must be given at least.
_SHORTEST_PREFIX = 4
#: The row of the audit log about a trust list that was imported.
_IMPORTED = "root_list.imported"


@dataclass(frozen=True, slots=True)
class RootPolicy:
    """What is a matter of policy in the pool of roots.

    ``own_states``: roots of the home's authorities in these states are trusted without a decision; a retired one
    issues no more, but what it issued goes on. ``remaining``: by role, the validity (ISO 8601 duration) that a root
    should have left when it is added; less is a warning. Root pools in the field take V2G roots with 35 years left.
    """

    own_states: tuple[AuthorityState, ...] = ("active", "retired")
    remaining: Mapping[str, str] = field(default_factory=lambda: {"v2g-root": "P35Y"})


@dataclass(frozen=True, slots=True)
class RootEntry:
    """One root as the pool sees it.

    ``role`` is the root's role ("" for a refused root whose use nobody named), ``editions`` those whose key family
    it has; ``authority`` the home's authority that it belongs to, "" for a foreign one; ``decision`` what holds, and
    ``reason`` in one word why: ``own``, ``decided``, ``revoked``. ``decided`` is the row behind it, if any.
    """

    fingerprint: bytes
    der: bytes
    role: str
    editions: tuple[str, ...]
    decision: RootDecision
    reason: str
    authority: str = ""
    decided: PooledRoot | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What ``add`` and ``decide`` did: the entry as it stands, whether anything ``changed``, and what was noticed."""

    entry: RootEntry
    changed: bool
    findings: tuple[Finding, ...] = ()


class RootPool:
    """The roots of one home, with their decisions. Safe from threads as far as its store is."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        seal: Callable[[], None],
        *,
        ready: Callable[[], None] | None = None,
        policy: RootPolicy | None = None,
    ) -> None:
        """``seal`` signs the audit log's head after a write; ``ready`` raises when the home cannot be written."""
        self._store = store
        self._catalogue = catalogue
        self._writing = Writing(seal, ready)
        self._policy = policy or RootPolicy()
        self._anchors: Remembered[tuple[tuple[str, ...], str], tuple[TrustAnchor, ...]] = Remembered(store)

    # -- asking --------------------------------------------------------------------------------

    def trusted(self, roles: str | Sequence[str], edition: str) -> tuple[TrustAnchor, ...]:
        """The roots that are trusted for these roles in an edition, each with its role.

        Own roots count in their own edition, decided ones in every edition of their key family. Whether they are
        within their validity is judged with the path. Fast: computed anew only after a decision, or when an
        authority was created or changed its state.
        """
        wanted = (roles,) if isinstance(roles, str) else tuple(roles)
        return self._anchors.of((wanted, edition), lambda: self._trusted(wanted, edition))

    def _trusted(self, roles: tuple[str, ...], edition: str) -> tuple[TrustAnchor, ...]:
        self._catalogue.edition(edition)
        return tuple(
            TrustAnchor(entry.der, entry.role)
            for entry in self.list()
            if entry.decision == "trusted" and entry.role in roles and edition in entry.editions
        )

    def list(self) -> tuple[RootEntry, ...]:
        """Own roots in the order of creation, then the others in the order in which they came."""
        decisions = {root.fingerprint: root for root in self._store.pools.roots()}
        own = {sha256(root.der).digest(): root for root in self._own()}
        return (
            *(self._of_own(root, decisions.get(fingerprint)) for fingerprint, root in own.items()),
            *(self._of_foreign(root) for fingerprint, root in decisions.items() if fingerprint not in own),
        )

    def find(self, name: str) -> RootEntry:
        """One root by the start of its SHA-256 fingerprint, or the name of its authority (``slug@n`` or slug).

        Raises ``pool.unknown_root`` or, with the candidates, ``pool.ambiguous``.
        """
        entries = self.list()
        wanted = fingerprint_text(name)
        found = [entry for entry in entries if name and name in (entry.authority, entry.authority.partition("@")[0])]
        if not found and len(wanted) >= _SHORTEST_PREFIX:
            found = [entry for entry in entries if entry.fingerprint.hex().startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            candidates = [f"{entry.fingerprint.hex()[:16]} {entry.authority}".rstrip() for entry in found]
            raise V2GPKIError(
                "pool.ambiguous",
                f"{name!r} fits several roots: {', '.join(candidates)}",
                hint="give more digits of the fingerprint",
                facts={"root": name, "candidates": candidates},
            )
        raise V2GPKIError(
            "pool.unknown_root",
            f"the pool has no root whose fingerprint starts with {name!r} or whose authority is called so",
            hint="v2gpki rcp list shows them all; v2gpki rcp add FILE brings a new one",
            facts={"root": name},
        )

    # -- deciding ------------------------------------------------------------------------------

    def add(
        self,
        der: bytes,
        *,
        role: str = "",
        decision: RootDecision = "trusted",
        fingerprint: str = "",
        comment: str = "",
        at: datetime,
        caller: str,
    ) -> Added:
        """Bring a root certificate (DER) into the pool with a decision about it; the same again changes nothing.

        ``role`` is v2g-root, mo-root, oem-root or private-root, "" recognises it by its DC. ``fingerprint`` not empty
        is the SHA-256 (hex, colons allowed) that its owner published. What is only noticed comes back as findings.
        Raises ``pool.wrong_fingerprint``, ``pool.not_self_signed``, ``pool.not_a_ca``, ``pool.root_over``,
        ``pool.revoked_root``, ``pool.wrong_family``, ``pool.unknown_role``, ``chain.malformed``. A root that is
        refused needs to be none of that, only a certificate.
        """
        seen = view(der)
        if fingerprint:
            _confirm(seen, fingerprint)
        own = next((root for root in self._own() if root.der == der), None)
        before = self._store.pools.root(seen.fingerprint)
        editions = self._editions(seen)
        wanted = role or (before.role if before else "") or (own.role if own else "")
        findings: list[Finding] = []
        if not wanted:
            wanted = self._recognised(seen, editions)
            if wanted:
                findings.append(_guessed(seen, wanted))
        if decision == "trusted":
            _require_root(seen, at)
            self._require_usable(seen, wanted, editions, own)
            findings += self._noticed(seen, wanted, editions, at)
        elif role:
            self._require_role(seen, role, self._root_roles(editions or self._conformant()))
        same = before is not None and (before.decision, before.role) == (decision, wanted)
        if before is not None and same and comment in ("", before.comment):
            return Added(self._entry(before, own), changed=False, findings=tuple(findings))
        if before is None and own is not None and (decision, wanted, comment) == ("trusted", own.role, ""):
            return Added(self._of_own(own, None), changed=False, findings=tuple(findings))
        row = PooledRoot(seen.fingerprint, der, wanted, decision, at, caller, comment)
        with self._writing():
            row = self._store.pools.decide_root(row)
        return Added(self._entry(row, own), changed=True, findings=tuple(findings))

    def decide(
        self, name: str, decision: RootDecision, *, role: str = "", comment: str = "", at: datetime, caller: str
    ) -> Added:
        """Trust or refuse a root that is there, an own one too (see ``find`` for ``name``); raises like ``add``."""
        entry = self.find(name)
        return self.add(entry.der, role=role, decision=decision, comment=comment, at=at, caller=caller)

    def refuse(self, name: str, *, comment: str = "", at: datetime, caller: str) -> Added:
        """Trust this root no more."""
        return self.decide(name, "refused", comment=comment, at=at, caller=caller)

    def trust(self, name: str, *, role: str = "", comment: str = "", at: datetime, caller: str) -> Added:
        """Trust this root (again)."""
        return self.decide(name, "trusted", role=role, comment=comment, at=at, caller=caller)

    # -- lists of others -----------------------------------------------------------------------

    def standing(self, der: bytes) -> tuple[str, str]:
        """What was decided about a certificate (DER) and the comment with it; ("", "") when nobody decided. An own
        root is trusted without a decision."""
        row = self._store.pools.root(sha256(der).digest())
        if row is not None:
            return row.decision, row.comment
        own = any(root.der == der and root.state in self._policy.own_states for root in self._own())
        return ("trusted" if own else ""), ""

    def imported(self, issuer: str) -> tuple[int, str]:
        """Number and SHA-256 (hex) of the list of this issuer that was imported last; (0, "") when none was."""
        found = [row for row in self._store.audit_rows(actions=(_IMPORTED,)) if row.target == issuer]
        if not found:
            return 0, ""
        noted = json.loads(found[-1].details)
        return int(noted["number"]), str(noted["digest"])

    def note_import(self, issuer: str, number: int, digest: str, *, at: datetime, caller: str) -> None:
        """Keep in the audit log that a list is imported now; the same again says nothing."""
        if self.imported(issuer) == (number, digest):
            return
        event = AuditEvent(_IMPORTED, caller, issuer, {"number": number, "digest": digest})
        with self._writing():
            self._store.append_audit([event], at)

    # -- entries -------------------------------------------------------------------------------

    def _own(self) -> tuple[AuthorityRecord, ...]:
        """The home's authorities whose certificate is a root of their edition."""
        return tuple(
            authority
            for authority in self._store.authorities()
            if self._catalogue.profile(authority.edition, authority.role, authority.suite).kind == "root"
        )

    def _entry(self, row: PooledRoot, own: AuthorityRecord | None) -> RootEntry:
        return self._of_foreign(row) if own is None else self._of_own(own, row)

    def _of_own(self, authority: AuthorityRecord, row: PooledRoot | None) -> RootEntry:
        decision: RootDecision = "trusted" if authority.state in self._policy.own_states else "refused"
        reason = "own"
        if row is not None:
            decision, reason = row.decision, "decided"
        if authority.state == "revoked":
            # Nobody's decision brings a revoked key back.
            decision, reason = "refused", "revoked"
        return RootEntry(
            fingerprint=sha256(authority.der).digest(),
            der=authority.der,
            role=row.role if row is not None and row.role else authority.role,
            editions=(authority.edition,) if row is None else self._with(authority.edition, view(authority.der)),
            decision=decision,
            reason=reason,
            authority=authority.id,
            decided=row,
        )

    def _of_foreign(self, row: PooledRoot) -> RootEntry:
        editions = self._editions(view(row.der), every=True)
        return RootEntry(row.fingerprint, row.der, row.role, editions, row.decision, "decided", decided=row)

    def _with(self, edition: str, seen: CertificateView) -> tuple[str, ...]:
        return tuple(dict.fromkeys((edition, *self._editions(seen, every=True))))

    # -- rules ---------------------------------------------------------------------------------

    def _conformant(self) -> tuple[str, ...]:
        return tuple(name for name in self._catalogue.editions() if self._catalogue.edition(name).conformant)

    def _editions(self, seen: CertificateView, *, every: bool = False) -> tuple[str, ...]:
        """The editions that know the key family of a root; laboratory editions only with ``every``."""
        family = family_of(seen.spki)
        if family is None:
            return ()
        names = self._catalogue.editions() if every else self._conformant()
        return tuple(name for name in names if family.name in self._catalogue.edition(name).suites)

    def _root_roles(self, editions: Sequence[str]) -> tuple[str, ...]:
        branches = [branch for name in editions for branch in self._catalogue.edition(name).branches.values()]
        return tuple(dict.fromkeys(role for branch in branches for role in branch.roots))

    def _recognised(self, seen: CertificateView, editions: Sequence[str]) -> str:
        found = {recognised_root(self._catalogue, edition, seen.der) for edition in editions} - {""}
        return found.pop() if len(found) == 1 else ""

    def _require_usable(
        self, seen: CertificateView, role: str, editions: Sequence[str], own: AuthorityRecord | None
    ) -> None:
        if own is not None and own.state == "revoked":
            raise V2GPKIError(
                "pool.revoked_root",
                f"{own.id} of this home was revoked; its root is not trusted again",
                hint="create a new root: a revoked key never comes back",
                clause="RFC 5280 6.1.3 (a)(3)",
                facts={"authority": own.id, "fingerprint": seen.fingerprint.hex()},
            )
        if not editions:
            raise V2GPKIError(
                "pool.wrong_family",
                f"the key of {seen.subject_text} is of no family of ISO 15118",
                hint="roots are ECDSA P-256 (-2), ECDSA P-521 or Ed448 (-20)",
                clause="[V2G2-007], [V2G20-2674], [V2G20-2319]",
                facts={"subject": seen.subject_text},
            )
        self._require_role(seen, role, self._root_roles(editions))

    def _require_role(self, seen: CertificateView, role: str, known: Sequence[str]) -> None:
        if role in known:
            return
        untold = f"what {seen.subject_text} is a root for cannot be told from its DC"
        raise V2GPKIError(
            "pool.unknown_role",
            f"{role[:40]!a} is no role of a root" if role else untold,
            hint=f"name its role with --role: {', '.join(known)}",
            clause="[V2G2-925]",
            facts={"role": role, "roles": tuple(known), "subject": seen.subject_text},
        )

    def _noticed(self, seen: CertificateView, role: str, editions: Sequence[str], at: datetime) -> tuple[Finding, ...]:
        """What whoever trusts this root should know: deviations from its profile, and a short rest of validity."""
        findings: list[Finding] = []
        for edition in editions:
            if role in self._catalogue.roles(edition):
                family = family_of(seen.spki)
                profile = self._catalogue.profile(edition, role, family.name if family is not None else None)
                findings += [_told(finding, seen) for finding in lint_certificate(seen.der, profile)]
                break
        least = self._policy.remaining.get(role, "")
        if least and seen.not_after - at < duration(least):
            findings.append(
                Finding(
                    "pool.root_short_lived",
                    "warning",
                    f"{seen.subject_text} ends {rfc3339(seen.not_after)}: root pools expect {least} to be left",
                    clause="[V2G2-011]; rule of root pools in the field",
                    where="validity.notAfter",
                    subject=seen.subject_text,
                    facts={"not_after": rfc3339(seen.not_after), "expected": least},
                )
            )
        return tuple(findings)


def fingerprint_text(text: str) -> str:
    """A fingerprint as people write it: lower-case hex without colons and spaces."""
    return re.sub(r"[:\s]", "", text).lower()


def _confirm(seen: CertificateView, published: str) -> None:
    wanted = fingerprint_text(published).removeprefix("sha256").lstrip("=")
    if wanted == seen.fingerprint.hex():
        return
    hint = "do not trust it: ask its owner, on another way than the one the file came on"
    if not re.fullmatch(r"[0-9a-f]{64}", wanted):
        hint = "a SHA-256 fingerprint has 64 hex digits, with or without colons"
    raise V2GPKIError(
        "pool.wrong_fingerprint",
        f"the SHA-256 fingerprint of {seen.subject_text} is {seen.fingerprint.hex()}, not {published[:120]!a}",
        hint=hint,
        clause="OPCP root pool",
        facts={"fingerprint": seen.fingerprint.hex(), "expected": wanted[:120]},
    )


def _require_root(seen: CertificateView, at: datetime) -> None:
    """Self-signed, a CA, not over."""
    facts = {"subject": seen.subject_text, "fingerprint": seen.fingerprint.hex()}
    flaw = flaw_of_signature(seen.der, seen.der)
    if not seen.self_issued or flaw:
        reason = f"was issued by {seen.issuer_text}" if not seen.self_issued else f"does not sign itself: {flaw}"
        raise V2GPKIError(
            "pool.not_self_signed",
            f"{seen.subject_text} is no root: it {reason}",
            hint="add the self-signed root at the top of the chain",
            clause=_CLAUSE,
            facts=facts,
        )
    if not seen.ca or (seen.key_usage is not None and "keyCertSign" not in seen.key_usage):
        raise V2GPKIError(
            "pool.not_a_ca",
            f"{seen.subject_text} is self-signed but may not issue certificates",
            hint="a root has BasicConstraints cA and KeyUsage keyCertSign; add the root of the chain",
            clause="Table F.1; RFC 5280 6.1.4 (k), (n)",
            facts=facts,
        )
    if at > seen.not_after:
        raise V2GPKIError(
            "pool.root_over",
            f"{seen.subject_text} ended {rfc3339(seen.not_after)}",
            hint="add the root that followed it",
            clause="RFC 5280 6.1.3 (a)(2)",
            facts={**facts, "not_after": rfc3339(seen.not_after)},
        )


def _guessed(seen: CertificateView, role: str) -> Finding:
    return Finding(
        "pool.role_recognised",
        "warning",
        f"{seen.subject_text} is taken for a {role} by its DC; a root in the field may carry another's DC, so check it",
        clause="[V2G2-925]",
        where="subject.DC",
        subject=seen.subject_text,
        facts={"role": role},
    )


def _told(finding: Finding, seen: CertificateView) -> Finding:
    """Lint's errors are only told: anchors are decided about, not judged."""
    severity = "warning" if finding.severity == "error" else finding.severity
    return replace(finding, severity=severity, subject=finding.subject or seen.subject_text)
