"""From a heap of certificates to candidate paths: leaf first, a trust anchor last.

A step upwards needs name, key identifier and signature, so a decoy that shares a root's name never blocks
the right one ([V2G2-878]) and a root that a peer sends along never becomes an anchor ([V2G2-924]). When no
path reaches an anchor, the longest attempt comes back with the reason why it ends. Sources: RFC 5280 6.1,
RFC 4158.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from v2gpki.certs.chain import issues, leaf_of
from v2gpki.certs.view import CertificateView, flaw_of_signature, key_matches
from v2gpki.errors import FactValue, Finding, V2GPKIError

#: More certificates than any chain of the ecosystem needs; a peer's heap beyond that costs time only.
LARGEST_HEAP = 32
_LONGEST_PATH = 12
_MOST_CANDIDATES = 32


@dataclass(frozen=True, slots=True)
class Candidate:
    """One path, leaf first. ``gap`` says why its last certificate is no trust anchor; None when it is one."""

    certificates: tuple[CertificateView, ...]
    gap: Finding | None = None


def candidates(
    chain: Sequence[CertificateView], anchors: Sequence[CertificateView], leaf: CertificateView | None = None
) -> list[Candidate]:
    """All paths from the chain's leaf to an anchor, shortest first; or one incomplete path with its gap.

    ``leaf`` is the one of the chain that the path is about; None finds it, as for a heap that a person hands over.
    Raises ``chain.empty``, ``chain.too_long`` and ``chain.ambiguous`` when there is no one leaf to start from.
    """
    if len(chain) > LARGEST_HEAP:
        raise V2GPKIError(
            "chain.too_long",
            f"{len(chain)} certificates are more than any chain needs; {LARGEST_HEAP} are read",
            hint="give one leaf and the certificates above it",
            clause="[V2G2-009]",
            facts={"count": len(chain)},
        )
    leaf = _leaf(chain) if leaf is None else leaf
    trusted = {anchor.fingerprint: anchor for anchor in anchors}
    pool = [one for one in chain if one.fingerprint not in trusted and one is not leaf]
    attempts: list[tuple[CertificateView, ...]] = []
    found = list(islice(_walk((trusted.get(leaf.fingerprint, leaf),), pool, trusted, attempts), _MOST_CANDIDATES))
    if found:
        return [Candidate(path) for path in sorted(found, key=len)]
    longest = max(attempts, key=len)
    return [Candidate(longest, _gap(longest, pool, anchors))]


def about(
    code: str,
    message: str,
    subject: CertificateView,
    *,
    clause: str,
    where: str = "",
    **facts: FactValue,
) -> Finding:
    """A finding of severity error about one certificate, with its fingerprint among the facts."""
    details: Mapping[str, FactValue] = {"fingerprint": subject.fingerprint.hex(), **facts}
    return Finding(code, "error", message, clause, where, subject.subject_text, details)


def weak(subject: CertificateView, weakness: str) -> Finding:
    """The finding for a signature or key that is too weak."""
    message = f"{subject.subject_text} {weakness}, which is too weak to rely on"
    return about("path.weak_algorithm", message, subject, clause="[V2G2-006], [V2G2-007]")


def _leaf(chain: Sequence[CertificateView]) -> CertificateView:
    try:
        return leaf_of(chain)
    except V2GPKIError as problem:
        # Certificates that fit nowhere make every one look like a leaf; then the place decides: leaf first.
        if problem.code == "chain.ambiguous" and all(one.ca for one in chain):
            return chain[0]
        raise


def _walk(
    path: tuple[CertificateView, ...],
    pool: Sequence[CertificateView],
    trusted: Mapping[bytes, CertificateView],
    attempts: list[tuple[CertificateView, ...]],
) -> Iterator[tuple[CertificateView, ...]]:
    top = path[-1]
    if top.fingerprint in trusted:
        yield path
        return
    attempts.append(path)
    for anchor in trusted.values():
        if issues(anchor, top):
            yield (*path, anchor)
    if len(path) >= _LONGEST_PATH:
        return
    for candidate in pool:
        if candidate not in path and issues(candidate, top):
            yield from _walk((*path, candidate), pool, trusted, attempts)


def _gap(
    path: tuple[CertificateView, ...], pool: Sequence[CertificateView], anchors: Sequence[CertificateView]
) -> Finding:
    """Why nothing continues an incomplete path."""
    top = path[-1]
    others = [one for one in (*anchors, *pool) if one not in path]
    named = [one for one in others if one.subject == top.issuer]
    for one in named:
        if one.identified_by(top):
            if top.weak_signature:
                # The library does not even check such a signature.
                return weak(top, top.weak_signature)
            flaw = flaw_of_signature(top.der, one.der)
            message = f"{top.subject_text} names {one.subject_text} as its issuer, but {flaw}"
            return about("path.bad_signature", message, top, clause="RFC 5280 6.1.3 (a)(1)", where="signature")
    for one in others:
        if key_matches(top, one):
            message = (
                f"{top.subject_text} is signed with the key of {one.subject_text}, "
                f"but names {top.issuer_text} as its issuer"
            )
            return about("path.name_mismatch", message, top, clause="RFC 5280 6.1.3 (a)(4)", where="issuer")
    if top.self_issued and not flaw_of_signature(top.der, top.der):
        message = (
            f"the chain ends at {top.subject_text}, which signed itself and is none of the anchors; "
            "a root that comes with the chain is never trusted"
        )
        return about("path.no_anchor", message, top, clause="[V2G2-924], RFC 5280 6.1.1 (d)")
    strangers = [one.subject_text for one in pool if one not in path and not one.self_issued]
    other_key = " (a certificate of that name is there, but it holds another key)" if named else ""
    if strangers or (named and not any(one in anchors for one in named)):
        message = f"the certificate of {top.issuer_text}, which issued {top.subject_text}, is missing{other_key}"
        return about("path.broken", message, top, clause="RFC 5280 6.1.3", where="issuer", unused=strangers)
    message = (
        f"{top.subject_text} was issued by {top.issuer_text}, "
        f"which is neither in the chain nor among the anchors{other_key}"
    )
    return about("path.no_anchor", message, top, clause="[V2G2-924], RFC 5280 6.1.1 (d)", where="issuer")
