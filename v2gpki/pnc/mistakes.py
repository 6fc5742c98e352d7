"""Known ways in which other stacks get a signature wrong, recognised after a check has failed.

Nothing here makes a signature valid: a mistake is only named, so that a person knows whose and which it is. Each
candidate is computed from the received message and compared with what was found.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PublicKey
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import DigestMethod, SignatureMethod, SignedInfo
from v2gpki.pnc.algorithms import DIGESTS, ECDSA_P256_SHA256, Algorithm, value_holds
from v2gpki.pnc.elements import SignedElement
from v2gpki.pnc.undeclared import typed_emaid, without_namespace


@dataclass(frozen=True, slots=True)
class Mistake:
    """What a wrong digest is the digest of: the code of the refusal, and words for a person."""

    code: str
    text: str


def of_digest(found: bytes, method: str, element: SignedElement, whole: Message | None) -> Mistake | None:
    """The mistake behind a digest that is not that of the element's fragment; None if it is none of the known ones."""
    for code, text, octets in _readings(element, whole):
        try:
            data = octets()
        except V2GPKIError:
            continue
        if hmac.compare_digest(DIGESTS[method](data), found):
            return Mistake(code, text)
    fragment = element.fragment()
    for other, digest in DIGESTS.items():
        if other != method and hmac.compare_digest(digest(fragment), found):
            return Mistake("signature.wrong_digest", f"the digest is by {other}, although DigestMethod says {method}")
    return None


def _readings(element: SignedElement, whole: Message | None) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    name = element.name.name
    yield (
        "signature.document_digest",
        f"the digest is of {name} as an EXI document; it must be a fragment (EcoG's iso15118 signs so)",
        lambda: codec.encode(element.signable, schema=element.schema, fragment=False),
    )
    yield (
        "signature.empty_namespace_digest",
        f"the digest is of {name} in no namespace, coded as an undeclared element; its namespace is {element.name.uri}",
        lambda: without_namespace(element.signable, element.schema),
    )
    yield (
        "signature.document_digest",
        f"the digest is of {name} as an EXI document, in no namespace (EcoG's iso15118 codes CertificateUpdateReq so)",
        lambda: without_namespace(element.signable, element.schema, fragment=False),
    )
    yield (
        "signature.wrong_digest",
        f"the digest is of {name} with a list filled to its end and coded one bit longer there (EcoG's grammars do so)",
        lambda: codec.encode(element.signable, schema=element.schema, fragment=True, ecog=True),
    )
    if name == "eMAID":
        yield (
            "signature.wrong_digest",
            "the digest is of eMAID coded by its type; a fragment of that name is coded relaxed (libcbv2g does not)",
            lambda: typed_emaid(element.signable, element.schema),
        )
    if whole is not None and whole is not element.value:
        yield (
            "signature.wrong_digest",
            f"the digest is of all of {type(whole).__name__} without its Signature, not of {name} (EVerest signed so)",
            lambda: codec.encode(_unsigned(whole), schema=element.schema, fragment=True),
        )


def _unsigned(message: Message) -> Message:
    header = getattr(message, "Header", None)
    if not isinstance(header, Message):
        return message
    return replace(message, Header=replace(header, Signature=None))


def of_value(key: PublicKey, algorithm: Algorithm, value: bytes, info: SignedInfo) -> str:
    """In words, what a wrong value signs instead of SignedInfo; empty if it is none of the known mistakes."""
    coded = codec.encode(info, schema="xmldsig", fragment=True)
    hashed = hashlib.sha256 if algorithm is ECDSA_P256_SHA256 else hashlib.sha512
    candidates: dict[str, Callable[[], bytes]] = {
        "it signs the hash of SignedInfo, hashed twice": lambda: hashed(coded).digest(),
        "it signs SignedInfo as an EXI document, not as a fragment": lambda: codec.encode(info, schema="xmldsig"),
        "it signs SignedInfo with the algorithms of -2 written into it (EcoG's codec does so whatever was said)": (
            lambda: codec.encode(_of_iso2(info), schema="xmldsig", fragment=True)
        ),
    }
    return next((text for text, data in candidates.items() if value_holds(key, algorithm, value, data())), "")


def _of_iso2(info: SignedInfo) -> SignedInfo:
    digest = DigestMethod(Algorithm=ECDSA_P256_SHA256.digest_method)
    return replace(
        info,
        SignatureMethod=SignatureMethod(Algorithm=ECDSA_P256_SHA256.signature_method),
        Reference=tuple(replace(reference, DigestMethod=digest) for reference in info.Reference),
    )
