"""Chains as messages carry them: leaf first, each issued by the next, without the root, no certificate too large.

Nothing is verified here but names: `services.trust` judges chains. Refuses what a message cannot carry or a receiver
could not use. Clauses: ISO 15118-2 8.5.2.5, [V2G2-876]; the schemas' certificateType (800 octets, -20: 1600).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from v2gpki import identifiers
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.keys.suites import PublicKey, load_public_key
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.model import CERTIFICATE_LIMIT, SUB_CERTIFICATES

_COMMON_NAME = "2.5.4.3"


def check_sizes(edition: Edition, chain: Sequence[bytes], whose: str) -> None:
    """Raises `installation.certificate_too_large`, or `installation.bad_chain` for too many certificates or none."""
    if not chain:
        raise bad_chain(f"the {whose} chain is empty", hint="give the leaf, then the Sub-CAs above it")
    if len(chain) - 1 > SUB_CERTIFICATES[edition]:
        raise bad_chain(
            f"the {whose} chain has {len(chain) - 1} Sub-CAs; {edition} carries {SUB_CERTIFICATES[edition]}"
        )
    limit = CERTIFICATE_LIMIT[edition]
    for place, der in enumerate(chain):
        if len(der) > limit:
            raise V2GPKIError(
                "installation.certificate_too_large",
                f"certificate {place + 1} of the {whose} chain has {len(der)} octets; {edition} carries {limit}",
                hint="issue it anew with shorter names, or without addresses (AIA, CRL distribution points)",
                clause=f"certificateType of {edition}",
                facts={"size": len(der), "limit": limit, "place": place + 1, "chain": whose},
            )


def check_order(chain: Sequence[bytes], whose: str) -> None:
    """Each certificate names the next as its issuer, and none is self-issued; raises `installation.bad_chain`."""
    for place, (child, issuer) in enumerate(pairwise(chain), 1):
        if not view(issuer).named_by(view(child)):
            raise bad_chain(
                f"certificate {place + 1} of the {whose} chain ({view(issuer).subject_text}) did not issue "
                f"the one before it ({view(child).subject_text})",
                hint="a chain stands in the order leaf, Sub-CA 2, Sub-CA 1",
                place=place + 1,
            )
    if len(chain) > 1 and view(chain[-1]).self_issued:
        raise bad_chain(
            f"the {whose} chain ends with a root ({view(chain[-1]).subject_text})",
            hint="leave the root out: a receiver takes its own",
            place=len(chain),
        )


def common_name(certificate: CertificateView) -> str:
    """The one CN of a certificate's subject, "" when there is none or several."""
    found = [
        str(attribute.value) for attribute in certificate.x509.subject if attribute.oid.dotted_string == _COMMON_NAME
    ]
    return found[0] if len(found) == 1 else ""


def emaid_of(contract: bytes) -> str:
    """The EMAID in a contract certificate's CN, in normal form. Raises `identifier.invalid`, `chain.malformed`."""
    return identifiers.parse("emaid", common_name(view(contract))).normal


def same_emaid(one: str, other: str) -> bool:
    """Whether two EMAIDs name the same contract: without separators, case and check digit (their first 14)."""
    return identifiers.parse("emaid", one).parts["key"] == identifiers.parse("emaid", other).parts["key"]


def bad_chain(message: str, *, hint: str = "", place: int = 0) -> V2GPKIError:
    """The refusal of a chain that no message should carry."""
    return V2GPKIError(
        "installation.bad_chain", message, hint=hint, clause="ISO 15118-2 8.5.2.5, [V2G2-876]", facts={"place": place}
    )


def normal_or_same(emaid: str) -> str:
    """An EMAID in normal form; what is none stays as it was sent."""
    try:
        return identifiers.parse("emaid", emaid).normal
    except V2GPKIError:
        return emaid


def check_emaid(emaid: str, contract: bytes, what: str) -> None:
    """Raises `installation.wrong_emaid` unless the EMAID is the one in the contract certificate (DER)."""
    certified = emaid_of(contract)
    if not same_emaid(emaid, certified):
        raise V2GPKIError(
            "installation.wrong_emaid",
            f"{what} is {emaid}, the contract certificate is that of {certified}",
            hint="they are compared without separators, case and check digit",
            clause="ISO 15118-2 8.4.3.10, 8.4.3.11",
            facts={"emaid": emaid, "certificate": certified},
        )


def check_signer(chain: Sequence[bytes], signer: Signer, whose: str) -> None:
    """Raises `installation.wrong_key` unless the signer's key is the leaf's."""
    if view(chain[0]).spki != signer.spki:
        raise V2GPKIError(
            "installation.wrong_key",
            f"the signer's key is not that of the {whose} leaf ({view(chain[0]).subject_text})",
            hint="give the key that belongs to the first certificate of the chain",
            facts={"chain": whose},
        )


def key_of(certificate: bytes) -> PublicKey:
    """The public key of a certificate (DER). Raises `chain.malformed`, `key.*`."""
    return load_public_key(view(certificate).spki)
