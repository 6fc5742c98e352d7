"""Whether a signature holds, and nothing about why it does not: what `examination` finds without a finding, in a
fraction of its time. Whatever is unusual is left to it, even if it would be let through.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PublicKey, suite_of
from v2gpki.messages import codec
from v2gpki.messages.xmldsig import Reference, Signature
from v2gpki.pnc.algorithms import (
    ALGORITHMS,
    CANONICAL_EXI,
    DIGESTS,
    Algorithm,
    Edition,
    in_range,
    value_holds,
)
from v2gpki.pnc.elements import SignedElement
from v2gpki.pnc.examination import MOST_REFERENCES


@dataclass(frozen=True, slots=True)
class Holding:
    """What holds: by which algorithm, over which elements in the order of the references, and SignedInfo as EXI."""

    algorithm: Algorithm
    elements: tuple[SignedElement, ...]
    signed_info: bytes


def holding(
    signature: Signature, elements: Sequence[SignedElement], edition: Edition, key: PublicKey
) -> Holding | None:
    """The signature that holds as the standard wants it, with SignedInfo under XML Signature's grammar alone; None
    where anything else is to be said about it."""
    algorithm = _algorithm(signature, edition, key)
    if algorithm is None:
        return None
    try:
        referenced = _referenced(signature, elements, edition, algorithm)
        if referenced is None:
            return None
        octets = codec.encode(signature.SignedInfo, schema="xmldsig", fragment=True)
    except V2GPKIError:
        return None
    value = signature.SignatureValue.value
    if not in_range(algorithm, value) or not value_holds(key, algorithm, value, octets):
        return None
    return Holding(algorithm, referenced, octets)


def _algorithm(signature: Signature, edition: Edition, key: PublicKey) -> Algorithm | None:
    """By what is signed, where nothing stands around it that is forbidden ([V2G2-771], [V2G20-771])."""
    info = signature.SignedInfo
    canonical, method = info.CanonicalizationMethod, info.SignatureMethod
    if (
        signature.KeyInfo is not None
        or signature.Object
        or signature.SignatureValue.Id is not None
        or info.Id is not None
        or canonical.content
        or method.content
        or canonical.Algorithm != CANONICAL_EXI
    ):
        return None
    for algorithm in ALGORITHMS[edition]:
        if algorithm.signature_method == method.Algorithm:
            return algorithm if algorithm.suite == suite_of(key).name else None
    return None


def _referenced(
    signature: Signature, elements: Sequence[SignedElement], edition: Edition, algorithm: Algorithm
) -> tuple[SignedElement, ...] | None:
    """The elements whose digests are those of the references: each one referred to once, all that must be signed."""
    references = signature.SignedInfo.Reference
    if len(references) > MOST_REFERENCES[edition]:
        return None
    by_id: dict[str | None, SignedElement | None] = {}
    for element in elements:
        # An Id that leaves a choice names nothing.
        by_id[element.id] = None if element.id in by_id else element
    found = []
    for reference in references:
        uri = reference.URI
        if uri is None or len(uri) < 2 or uri[0] != "#" or not _plain(reference, algorithm):
            return None
        named = by_id.pop(uri[1:], None)
        if named is None:
            return None
        digest = DIGESTS[reference.DigestMethod.Algorithm]
        if not hmac.compare_digest(digest(named.fragment()), reference.DigestValue):
            return None
        found.append(named)
    referenced = set(map(id, found))
    if any(element.required and id(element) not in referenced for element in elements):
        return None
    return tuple(found)


def _plain(reference: Reference, algorithm: Algorithm) -> bool:
    """Whether a reference has one transform, a digest that goes with the algorithm, and nothing besides."""
    transforms, method = reference.Transforms, reference.DigestMethod
    if reference.Type is not None or method.content or method.Algorithm not in algorithm.digest_methods:
        return False
    if transforms is None or len(transforms.Transform) != 1:
        return False
    (transform,) = transforms.Transform
    return transform.Algorithm == CANONICAL_EXI and not transform.content
