"""Contract data and the CPS's signature over it: what an answer delivers, made once and sent as often as asked for.

In ISO 15118-2 four elements are signed, id1 to id4 in the order of the message; in -20 SignedInstallationData alone.
Refuses chains that a message cannot carry, an EMAID or a key that is not the contract certificate's, and a signer that
has not the CPS leaf's key. Clauses: ISO 15118-2 8.4.3.10, 7.9.2.4, [V2G2-820], [V2G2-821]; ISO 15118-20 8.3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from v2gpki import identifiers
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.keys.suites import PrivateKey, PublicKey, halves_of, load_public_key, spki_of, suite_of
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.schema import NamedValue
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc import envelope
from v2gpki.pnc.algorithms import Edition, algorithm_for
from v2gpki.pnc.envelope import Curve, Sealed
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.model import ContractData
from v2gpki.pnc.installation.outline import confirms
from v2gpki.pnc.installation.signing import IDS, NAMES, Elements2, sign_2
from v2gpki.pnc.signature import sign

_CURVES: dict[tuple[Edition, str], Curve] = {
    ("iso15118-2", "p256"): "P256",
    ("iso15118-20", "p521"): "SECP521",
    ("iso15118-20", "x448"): "X448",
}


@dataclass(frozen=True, slots=True)
class SignedContract:
    """Contract data under the CPS's signature; `elements` are those that are signed, ready for a message."""

    edition: Edition
    data: ContractData
    cps_chain: tuple[bytes, ...]
    signature: Signature
    elements: Elements2 | iso20_common.SignedInstallationData


def contract_data(
    *,
    edition: Edition,
    chain: Sequence[bytes],
    contract_key: PrivateKey,
    receiver: bytes | PublicKey,
    emaid: str,
    pcid: str = "",
    aad: str = envelope.DEFAULT_AAD,
    curve: Curve | None = None,
    lab_ed448: bool = False,
) -> ContractData:
    """A contract with its key wrapped for one vehicle.

    `chain` is the contract's (leaf, Sub-CA 2, Sub-CA 1), `receiver` the key of the OEM provisioning certificate, or of
    the current contract for an update (SubjectPublicKeyInfo or key). `pcid` and `aad` (`envelope.AAD_FORMS`) are what
    -20 binds the envelope to. `curve` None takes the receiver's. Raises `installation.*`, `envelope.*`, `key.*`,
    `identifier.invalid`.
    """
    chains.check_sizes(edition, chain, "contract")
    normal = identifiers.parse("emaid", emaid).normal
    elliptic = halves_of(contract_key) if isinstance(contract_key, ec.EllipticCurvePrivateKey) else None
    certified = _checked(chain, normal, elliptic[1] if elliptic else spki_of(contract_key.public_key()))
    key = load_public_key(receiver) if isinstance(receiver, bytes) else receiver
    chosen = curve or curve_for(edition, suite_of(key).name)
    bound = b"" if edition == "iso15118-2" else envelope.aad(aad, pcid=pcid, contract=chain[0])
    if elliptic:
        sealed = envelope.seal_number(elliptic[0], suite_of(contract_key), key, curve=chosen, aad=bound)
    else:
        sealed = envelope.seal(
            contract_key, key, curve=chosen, aad=bound, x448_form="schema", lab_ed448=lab_ed448
        )
    return ContractData(edition, tuple(chain), sealed, certified)


def _checked(chain: Sequence[bytes], emaid: str, spki: bytes) -> str:
    """The EMAID as the leaf has it; refused are another one, a chain out of order, and a leaf with another key."""
    # The leaf was issued a moment ago: that it names its issuer is enough, the rest is verified once per issuer.
    chains.check_links(chain[1:], "contract")
    if confirms(chain, emaid, spki):
        return emaid
    chains.check_leaf(chain, "contract")
    chains.check_links(chain, "contract")
    chains.check_emaid(emaid, chain[0], "the EMAID")
    if view(chain[0]).spki != spki:
        raise V2GPKIError(
            "installation.wrong_key",
            f"the private key is not that of the contract certificate ({emaid})",
            hint="a vehicle refuses it",
            clause="[V2G2-823]",
            facts={"chain": "contract"},
        )
    return chains.emaid_of(chain[0])


def curve_for(edition: Edition, suite: str) -> Curve:
    """The curve of the envelope for a receiver's key of this suite. Raises `installation.wrong_suite`."""
    curve = _CURVES.get((edition, suite))
    if curve is None and (edition, suite) == ("iso15118-20", "ed448"):
        raise V2GPKIError(
            "installation.wrong_suite",
            "iso15118-20 delivers no contract to a key of ed448: an Ed448 key has 57 octets, the field of the envelope "
            "carries 56, and an Ed448 key, which signs only, receives no envelope",
            hint="register the vehicle with a P-521 key",
            clause="[V2G20-2502], RFC 8032 5.2.5",
            facts={"edition": edition, "suite": suite},
        )
    if curve is None:
        raise V2GPKIError(
            "installation.wrong_suite",
            f"{edition} delivers no contract to a key of {suite}",
            hint="ISO 15118-2: P-256; ISO 15118-20: P-521 or X448; what EcoG's stack does in -20 has no envelope",
            clause="[V2G2-818], [V2G20-2533]",
            facts={"edition": edition, "suite": suite},
        )
    return curve


def sign_contract(
    data: ContractData, *, cps_chain: Sequence[bytes], signer: Signer, algorithm: str = ""
) -> SignedContract:
    """Contract data under a CPS's signature; `cps_chain` is leaf, Sub-CA 2, Sub-CA 1, `signer` has the leaf's key.

    `algorithm` as for `pnc.signature.sign`. Raises `installation.*`, `signature.*`.
    """
    chains.check_sizes(data.edition, cps_chain, "CPS")
    chains.check_order(cps_chain, "CPS")
    chains.check_signer(cps_chain, signer, "CPS")
    if data.edition == "iso15118-2":
        parts = elements_2(data)
        algorithm_for(data.edition, signer.suite.name, algorithm)
        return SignedContract(data.edition, data, tuple(cps_chain), sign_2(parts, signer), parts)
    element = element_20(data)
    signature = sign([element], signer, edition=data.edition, algorithm=algorithm)
    return SignedContract(data.edition, data, tuple(cps_chain), signature, element)


def elements_2(data: ContractData) -> Elements2:
    """The four elements of ISO 15118-2 with their Ids."""
    above = iso2.SubCertificatesType(Certificate=data.chain[1:]) if len(data.chain) > 1 else None
    return (
        iso2.CertificateChainType(Id=IDS[0], Certificate=data.chain[0], SubCertificates=above),
        iso2.ContractSignatureEncryptedPrivateKeyType(Id=IDS[1], value=data.sealed.encrypted_key),
        iso2.DiffieHellmanPublickeyType(Id=IDS[2], value=data.sealed.dh_public_key),
        iso2.EMAIDType(Id=IDS[3], value=data.emaid),
    )


def element_20(data: ContractData) -> iso20_common.SignedInstallationData:
    """The one element of ISO 15118-20 with its Id."""
    if len(data.chain) < 2:
        raise chains.bad_chain(
            "a contract chain of ISO 15118-20 has a Sub-CA at least", hint="give leaf, Sub-CA 2, Sub-CA 1"
        )
    sealed = data.sealed
    return iso20_common.SignedInstallationData(
        Id="id1",
        ContractCertificateChain=iso20_common.ContractCertificateChainType(
            Certificate=data.chain[0],
            SubCertificates=iso20_common.SubCertificatesType(Certificate=data.chain[1:]),
        ),
        ECDHCurve="X448" if sealed.curve == "X448" else "SECP521",
        DHPublicKey=sealed.dh_public_key,
        SECP521_EncryptedPrivateKey=sealed.encrypted_key if sealed.curve == "SECP521" else None,
        X448_EncryptedPrivateKey=sealed.encrypted_key if sealed.curve == "X448" else None,
        TPM_EncryptedPrivateKey=sealed.encrypted_key if sealed.curve == "TPM" else None,
    )


def sealed_20(element: iso20_common.SignedInstallationData) -> Sealed:
    """The envelope in a SignedInstallationData. Raises `envelope.wrong_size`."""
    if element.SECP521_EncryptedPrivateKey is not None:
        return Sealed("SECP521", element.DHPublicKey, element.SECP521_EncryptedPrivateKey)
    if element.X448_EncryptedPrivateKey is not None:
        return Sealed("X448", element.DHPublicKey, element.X448_EncryptedPrivateKey)
    return Sealed("TPM", element.DHPublicKey, element.TPM_EncryptedPrivateKey or b"")


def fragments(signed: SignedContract) -> tuple[bytes, ...]:
    """The EXI fragments that the signature's digests are of, in the order of its references."""
    if isinstance(signed.elements, tuple):
        named = zip(NAMES, signed.elements, strict=True)
        return tuple(codec.encode(NamedValue(name, part), "iso15118-2", fragment=True) for name, part in named)
    return (codec.encode(signed.elements, "iso15118-20-common", fragment=True),)
