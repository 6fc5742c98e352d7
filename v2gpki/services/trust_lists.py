"""Trust lists of this home: made of its roots and signed by one of its keys; and lists of others, taken into the pool.

A list of others is taken only from a signer that was named: its certificate, or that certificate's fingerprint. A
certificate below a trusted root is not enough, or any station could say whom to trust. A list older than the one that
was imported last is refused, and so is another one with the same number. Each root goes into the pool by the pool's own
rules; one that it refuses does not keep out the others, and one that somebody refused stays so unless it is said
otherwise. Roots that a newer list no longer has are refused when the older list is given.
Sources: OPCP rcp.v1, [V2G2-924], [V2G2-925].
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from v2gpki.certs import trust_list
from v2gpki.certs.trust_list import ListedRoot, SignedTrustList, TrustList
from v2gpki.certs.view import view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.profile.load import Catalogue
from v2gpki.services.directory import Directory
from v2gpki.store.protocol import Store

#: How the comment about a root begins that a newer list no longer had.
_WITHDRAWN = "not on "


class Signers(Protocol):
    """Gives the signer of a kept key."""

    def signer(self, key_id: str) -> Signer:
        """The signer of one key."""
        ...


class PooledRoot(Protocol):
    """A root as a pool shows it."""

    @property
    def der(self) -> bytes:
        """The certificate."""
        ...

    @property
    def role(self) -> str:
        """Its role, "" when nobody named it."""
        ...

    @property
    def editions(self) -> tuple[str, ...]:
        """The editions for which it counts."""
        ...

    @property
    def decision(self) -> str:
        """``trusted`` or ``refused``."""
        ...


class Taken(Protocol):
    """What a pool says to a decision."""

    @property
    def changed(self) -> bool:
        """Whether anything changed by it."""
        ...

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed."""
        ...


class RootSource(Protocol):
    """Where the roots of a list come from."""

    def list(self) -> Sequence[PooledRoot]:
        """All roots, with the decision about each."""
        ...


class RootSink(Protocol):
    """Where the roots of a list go: the pool of roots."""

    def add(self, der: bytes, *, role: str, comment: str, at: datetime, caller: str) -> Taken:
        """Trust a root; raises when the pool's rules speak against it."""
        ...

    def refuse(self, name: str, *, comment: str, at: datetime, caller: str) -> Taken:
        """Trust a root no more, by its fingerprint."""
        ...

    def standing(self, der: bytes) -> tuple[str, str]:
        """What was decided about a certificate, and the comment with it; empty when nobody decided."""
        ...

    def imported(self, issuer: str) -> tuple[int, str]:
        """Number and SHA-256 (hex) of an issuer's list that was imported last; (0, "") for none."""
        ...

    def note_import(self, issuer: str, number: int, digest: str, *, at: datetime, caller: str) -> None:
        """Keep for good that a list is imported."""
        ...


@dataclass(frozen=True, slots=True)
class Imported:
    """What importing a list did: roots that are trusted by it now, that were trusted before, that the pool refused with
    its reason, and that are trusted no more."""

    added: tuple[ListedRoot, ...]
    unchanged: tuple[ListedRoot, ...]
    refused: tuple[tuple[ListedRoot, V2GPKIError], ...]
    withdrawn: tuple[ListedRoot, ...]
    findings: tuple[Finding, ...] = ()


class TrustLists:
    """Makes and signs the lists of one home."""

    def __init__(self, store: Store, catalogue: Catalogue, signers: Signers | None = None) -> None:
        """``signers`` are the home's keys; they are needed for signing only."""
        self._store = store
        self._directory = Directory(store, catalogue)
        self._signers = signers

    def create(
        self,
        issuer: str,
        number: int,
        roots: Iterable[ListedRoot],
        *,
        at: datetime,
        lifetime: timedelta,
    ) -> TrustList:
        """A list that holds from ``at`` for ``lifetime``; raises ``trust_list.*`` for what no list may be."""
        moment = at.replace(microsecond=0)
        content = TrustList(issuer, number, moment, moment + lifetime, tuple(roots))
        trust_list.write(content)
        return content

    def sign(self, content: TrustList, signer: str, *, at: datetime) -> bytes:
        """The signed list (DER), by an authority (slug, ``slug@n``) or a certificate whose key is kept (its serial).

        Raises ``trust_list.no_signer``, ``store.unknown_authority`` and what the keys raise.
        """
        certificate, chain, key_id = self._named(signer)
        if self._signers is None or not key_id:
            raise V2GPKIError(
                "trust_list.no_signer",
                f"the key of {signer!r} is not in this home, or the home is locked",
                hint="name an authority of this home, or a certificate issued with --escrow",
                facts={"signer": signer},
            )
        key = self._signers.signer(key_id)
        return trust_list.sign(content, signer=key, certificate=certificate, chain=chain, at=at)

    def _named(self, name: str) -> tuple[bytes, tuple[bytes, ...], str]:
        """(certificate, those above it, key id) of a signer."""
        wanted = name.lower().replace(":", "")
        for record in self._store.held_certificates():
            if len(wanted) >= 8 and (f"{record.serial:x}".startswith(wanted) or record.fingerprint.hex() == wanted):
                issuer = self._store.authority(record.issuer_id)
                return record.der, () if issuer is None else (issuer.der, *issuer.chain), record.key_id
        authority = self._directory.find(name)
        return authority.der, authority.chain, authority.key_id


def collect(source: RootSource, *, roles: Collection[str] = (), editions: Collection[str] = ()) -> list[ListedRoot]:
    """The trusted roots of a pool, for these roles and editions (none: all), as members of a list."""
    return [
        ListedRoot(root.der, root.role, tuple(root.editions))
        for root in source.list()
        if root.decision == "trusted"
        and root.role
        and (not roles or root.role in roles)
        and (not editions or set(editions) & set(root.editions))
    ]


def require_signer(
    listed: SignedTrustList, *, at: datetime, fingerprint: str = "", certificates: Collection[bytes] = ()
) -> None:
    """Raise ``trust_list.unknown_signer`` unless the list is signed by the named certificate, valid at ``at``.

    ``fingerprint`` is the SHA-256 of that certificate (hex, colons allowed), ``certificates`` are certificates (DER)
    of which one must be it.
    """
    signer = view(listed.signed.signer)
    wanted = "".join(fingerprint.split()).replace(":", "").lower()
    why = ""
    if wanted != signer.fingerprint.hex() and signer.der not in certificates:
        why = "is none that was named"
    elif not signer.not_before <= at <= signer.not_after:
        why = f"was valid from {rfc3339(signer.not_before)} to {rfc3339(signer.not_after)}"
    if why:
        raise V2GPKIError(
            "trust_list.unknown_signer",
            f"the signer of the list, {signer.subject_text}, {why}; its SHA-256 is {signer.fingerprint.hex()}",
            hint="compare it with what the issuer of the list published, and name it with --fingerprint or --signer",
            clause="OPCP rcp.v1",
            facts={"signer": signer.subject_text, "fingerprint": signer.fingerprint.hex()},
        )


def import_list(
    listed: SignedTrustList,
    sink: RootSink,
    *,
    at: datetime,
    caller: str,
    previous: TrustList | None = None,
    trust_refused: bool = False,
) -> Imported:
    """Take the roots of a list whose signer was accepted into a pool.

    The list must follow the one of its issuer that the pool took last, or be the same. ``previous`` is the list that
    was imported before: its roots that are gone are refused from now on. ``trust_refused`` trusts roots again that
    somebody refused, not only those that an earlier list of this issuer withdrew. Raises ``trust_list.over``,
    ``trust_list.not_yet``, ``trust_list.rollback``; what speaks against single roots stands in the result.
    """
    content = listed.content
    trust_list.require_current(content, at)
    if previous is not None:
        trust_list.require_newer(content, previous)
    digest = sha256(trust_list.write(content)).hexdigest()
    _require_following(content, digest, sink.imported(content.issuer))
    # Noted first: what is interrupted is done again, and no older list comes in between.
    sink.note_import(content.issuer, content.number, digest, at=at, caller=caller)
    comment = f"trust list {content.number} of {content.issuer}"
    added, unchanged = list[ListedRoot](), list[ListedRoot]()
    refused, findings = list[tuple[ListedRoot, V2GPKIError]](), list[Finding]()
    for root in content.roots:
        decision, reason = sink.standing(root.der)
        try:
            if not trust_refused:
                _require_not_refused(root, content.issuer, decision, reason)
            taken = sink.add(root.der, role=root.role, comment=comment, at=at, caller=caller)
        except V2GPKIError as problem:
            refused.append((root, problem))
            continue
        findings += taken.findings
        # The comment of a root that was trusted already changes with the number of the list: that adds nothing.
        (added if taken.changed and decision != "trusted" else unchanged).append(root)
    gone = [] if previous is None else [
        change.root for change in trust_list.difference(previous, content) if change.kind == "removed"
    ]
    for root in gone:
        sink.refuse(root.fingerprint, comment=f"{_WITHDRAWN}{comment}", at=at, caller=caller)
    return Imported(tuple(added), tuple(unchanged), tuple(refused), tuple(gone), tuple(findings))


def _require_following(content: TrustList, digest: str, last: tuple[int, str]) -> None:
    number, known = last
    if content.number > number or digest == known:
        return
    what = f"is older than number {number}" if content.number < number else "is not the list with this number"
    raise V2GPKIError(
        "trust_list.rollback",
        f"number {content.number} of {content.issuer!r} {what}, which was imported last",
        hint="an old list brings back roots that were removed: get the newest one",
        facts={"number": content.number, "previous": number, "issuer": content.issuer},
    )


def _require_not_refused(root: ListedRoot, issuer: str, decision: str, comment: str) -> None:
    """A list brings back what a list of the same issuer withdrew, and nothing else that is refused."""
    if decision != "refused" or (comment.startswith(_WITHDRAWN) and comment.endswith(f" of {issuer}")):
        return
    raise V2GPKIError(
        "trust_list.refused_root",
        f"the root {root.fingerprint} is on the list, but it was refused here",
        hint="v2gpki rcp list shows why; --trust-refused trusts it again, and so does v2gpki rcp trust",
        clause="[V2G2-925]",
        facts={"fingerprint": root.fingerprint, "role": root.role},
    )
