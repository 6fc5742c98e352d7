"""A chain as a message carries it, looked at without an anchor: order, links, sizes, the DC of its leaf.

Whether it may be trusted is asked elsewhere; this says what anybody can see, and which certificate was altered. Codes
are those of path validation and of roles. Clauses: [V2G2-009], [V2G2-010], [V2G2-925], RFC 5280 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cryptography.x509.oid import NameOID

from v2gpki.certs.chain import order
from v2gpki.certs.view import CertificateView, flaw_of_signature, key_matches, view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.pnc.installation.model import CERTIFICATE_LIMIT

#: What each certificate of a chain is called, by the branch of its leaf.
_BRANCHES = {
    "cps": ("CPS leaf", "CPS Sub-CA"),
    "oem": ("OEM provisioning certificate", "OEM Sub-CA"),
    "contract": ("contract certificate", "MO Sub-CA"),
}


@dataclass(slots=True)
class ChainLook:
    """What can be seen of a chain: `places` name its certificates, `views` are None where one cannot be read,
    `altered` is the place of the one that must have been changed ("" when nothing says so), `misordered` whether it
    is complete in another order."""

    branch: str
    path: str
    certificates: tuple[bytes, ...]
    places: tuple[str, ...]
    views: tuple[CertificateView | None, ...]
    findings: list[Finding] = field(default_factory=list)
    altered: str = ""
    misordered: bool = False

    @property
    def leaf(self) -> CertificateView | None:
        """The leaf, None if it cannot be read."""
        return self.views[0]


def look(certificates: Sequence[bytes], *, branch: str, path: str) -> ChainLook:
    """Look at the chain of a `branch` (cps, oem, contract) that stands at `path` of a message."""
    found = ChainLook(branch, path, tuple(certificates), _places(branch, len(certificates)), _views(certificates))
    for place, seen in zip(found.places, found.views, strict=True):
        if seen is None:
            text = f"the {place} cannot be read as an X.509 certificate"
            found.findings.append(_finding(found, "chain.malformed", text, place, "RFC 5280 4.1"))
            found.altered = found.altered or place
    _links(found)
    _constraints(found)
    _domain_component(found)
    return found


def oversized(found: ChainLook, edition: str) -> list[Finding]:
    """Certificates that are larger than the edition allows."""
    limit = CERTIFICATE_LIMIT["iso15118-2" if edition == "iso15118-2" else "iso15118-20"]
    clause = "[V2G2-010]" if edition == "iso15118-2" else "ISO 15118-20 certificateType"
    code = "installation.certificate_too_large"
    return [
        _finding(found, code, f"the {place} has {len(der)} octets, {limit} are allowed", place, clause)
        for place, der in zip(found.places, found.certificates, strict=True)
        if len(der) > limit
    ]


def _places(branch: str, count: int) -> tuple[str, ...]:
    leaf, above = _BRANCHES[branch]
    names = [f"{above} {number}" for number in (2, 1)] if count <= 3 else [f"{above} [{n}]" for n in range(1, count)]
    return (leaf, *names[: count - 1])


def _views(certificates: Sequence[bytes]) -> tuple[CertificateView | None, ...]:
    found: list[CertificateView | None] = []
    for der in certificates:
        try:
            found.append(view(der))
        except V2GPKIError:
            found.append(None)
    return tuple(found)


def _links(found: ChainLook) -> None:
    """Each certificate must be signed by the next; what is not so is put down to order or to an altered one."""
    views = [seen for seen in found.views if seen is not None]
    if len(views) < len(found.views):
        return
    broken: list[tuple[int, str]] = []
    for index, (child, issuer) in enumerate(pairwise(views)):
        if not issuer.named_by(child):
            broken.append((index, "name"))
        elif flaw_of_signature(child.der, issuer.der):
            broken.append((index, "signature"))
    if not broken or (any(why == "name" for _, why in broken) and _reordered(found)):
        return
    for index, why in broken:
        place, above = found.places[index], found.places[index + 1]
        if why == "name":
            text = f"the {place} was not issued by the {above} behind it: names or key identifiers differ"
            found.findings.append(_finding(found, "path.name_mismatch", text, place, "RFC 5280 6.1.3 (a)(4)"))
        else:
            text = f"the signature in the {place} is not by the key of the {above} behind it"
            found.findings.append(_finding(found, "path.bad_signature", text, place, "RFC 5280 6.1.3 (a)(1)"))
    # A name that was altered leaves the issuer's signature broken; a stranger's certificate is no alteration.
    altered = [
        index for index, why in broken if why == "signature" or not _signed_by_another(views[index], views[index + 1])
    ]
    if altered and not found.altered:
        found.altered = found.places[max(altered)]


def _constraints(found: ChainLook) -> None:
    """The first is no CA, the others are: only then is the key that signs the one that the chain speaks for."""
    for index, seen in enumerate(found.views):
        if seen is not None and seen.ca != (index > 0) and not found.misordered:
            place = found.places[index]
            text = f"the {place} is {'a' if seen.ca else 'no'} CA ({seen.subject_text})"
            found.findings.append(_finding(found, "installation.bad_chain", text, place, "ISO 15118-2 8.5.2.5"))


def _signed_by_another(child: CertificateView, issuer: CertificateView) -> bool:
    """Whether a certificate names another issuer and that may well be so: nothing of it is the given issuer's."""
    return not key_matches(child, issuer) and child.issuer != issuer.subject


def _reordered(found: ChainLook) -> bool:
    """Whether the certificates are a good chain in another order; then that is what is wrong with it."""
    try:
        right = order(found.certificates)
    except V2GPKIError:
        return False
    if right == list(found.certificates) or len(right) != len(found.certificates):
        return False
    names = " > ".join(view(der).subject_text for der in right)
    text = f"the certificates stand in the wrong order; each must be followed by its issuer: {names}"
    found.findings.append(_finding(found, "installation.bad_chain", text, found.places[1], "ISO 15118-2 8.5.2.5"))
    found.misordered = True
    return True


def _domain_component(found: ChainLook) -> None:
    """The CPS leaf has DC=CPS: the only thing in it that says what it may sign."""
    leaf = found.leaf
    if found.branch != "cps" or leaf is None:
        return
    carried = [str(one.value) for one in leaf.x509.subject.get_attributes_for_oid(NameOID.DOMAIN_COMPONENT)]
    if "CPS" not in carried:
        told = f"DC={', '.join(carried)}" if carried else "no DC"
        text = f"the CPS leaf has {told}; only a certificate with DC=CPS may sign contract data"
        found.findings.append(_finding(found, "role.domain_component", text, found.places[0], "[V2G2-925]"))


def _finding(found: ChainLook, code: str, message: str, place: str, clause: str) -> Finding:
    return Finding(code, "error", message, clause, found.path, subject=place)
