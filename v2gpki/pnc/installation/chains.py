"""Chains as messages carry them: leaf first, each issued by the next, without the root, no certificate too large.

Each link is verified, by name and signature, and nothing else: `services.trust` judges chains. Refuses what a message
cannot carry or a receiver could not use. Clauses: ISO 15118-2 8.5.2.5, [V2G2-876]; RFC 5280 6.1.3; the schemas'
certificateType (800 octets, -20: 1600).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from v2gpki import identifiers
from v2gpki.certs.view import CertificateView, flaw_of_signature, view
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
    """A leaf, then its issuers: the first certificate is no CA, each of the others is one and signed the one before it,
    and none is a root. Raises `installation.bad_chain`, `path.bad_signature`.

    A chain of which only some certificates were looked at says nothing about the key that signed a message, which is
    the first one's: a stranger's certificate in front of somebody's good chain ends here.
    """
    check_leaf(chain, whose)
    check_links(chain, whose)


def check_leaf(chain: Sequence[bytes], whose: str) -> None:
    """The certificate whose key signs is no CA; raises `installation.bad_chain`."""
    if view(chain[0]).ca:
        raise bad_chain(
            f"the {whose} chain begins with a CA ({view(chain[0]).subject_text}), not with a leaf",
            hint="a chain stands in the order leaf, Sub-CA 2, Sub-CA 1",
            place=1,
        )


def check_links(chain: Sequence[bytes], whose: str) -> None:
    """Each certificate is issued by the next, which is a CA, and the last is no root. Verdicts on signatures are kept
    by certificate and issuer, so one's own chains cost nothing. Raises `installation.bad_chain`, `path.bad_signature`.
    """
    for place, (child, issuer) in enumerate(pairwise(chain), 1):
        check_named(child, issuer, whose, place)
        if not view(issuer).ca:
            raise bad_chain(
                f"certificate {place + 1} of the {whose} chain ({view(issuer).subject_text}) is no CA",
                hint="a chain stands in the order leaf, Sub-CA 2, Sub-CA 1",
                place=place + 1,
            )
        if flaw := flaw_of_signature(child, issuer):
            raise V2GPKIError(
                "path.bad_signature",
                f"certificate {place} of the {whose} chain ({view(child).subject_text}) names the next as its issuer, "
                f"but {flaw}",
                hint="the certificate was changed, or it is not of this chain",
                clause="RFC 5280 6.1.3 (a)(1)",
                facts={"place": place, "chain": whose},
            )
    if len(chain) > 1 and view(chain[-1]).self_issued:
        raise bad_chain(
            f"the {whose} chain ends with a root ({view(chain[-1]).subject_text})",
            hint="leave the root out: a receiver takes its own",
            place=len(chain),
        )


def check_named(child: bytes, issuer: bytes, whose: str, place: int = 1) -> None:
    """A certificate names the other as its issuer (`place` is that of the first); raises `installation.bad_chain`."""
    if not view(issuer).named_by(view(child)):
        raise bad_chain(
            f"certificate {place + 1} of the {whose} chain ({view(issuer).subject_text}) did not issue "
            f"the one before it ({view(child).subject_text})",
            hint="a chain stands in the order leaf, Sub-CA 2, Sub-CA 1",
            place=place + 1,
        )


def check_judged(trusted: object, leaf: bytes, whose: str) -> None:
    """What a caller's judge returned is about the certificate whose key signed; raises `installation.bad_chain`.

    A judge may return the trusted path: its certificates (DER, leaf first), or what has them as `certificates` or
    `path.certificates` (`certs.path.ValidPath`, `services.trust.TrustedChain`). Anything else says nothing here.
    """
    path = getattr(trusted, "path", trusted)
    certificates = getattr(path, "certificates", path)
    if not isinstance(certificates, tuple | list):
        return
    if not certificates or certificates[0] != leaf:
        raise bad_chain(
            f"judged was another chain than that of the {whose} leaf, by whose key the message is signed",
            hint="judge the chain in the order in which it came (services.trust.judge: ordered=True)",
            place=1,
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
