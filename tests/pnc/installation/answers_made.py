"""Answers with one defect each: the names in `make` of the table's `[[answer]]` rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec.structs import replace as changed

from tests.chains import mint
from tests.pnc.installation.parties import SESSION, Parties, corpus
from tests.pnc.installation.requests_made import with_body, with_references, with_signature
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import PublicKey, load_public_key
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.schema import Message, NamedValue, QName
from v2gpki.messages.xmldsig import Signature, SignatureValue
from v2gpki.pnc import envelope, installation
from v2gpki.pnc.signature import attach, sign, signature_of

_CODED = {"iso15118-2": "iso15118-2", "iso15118-20": "iso15118-20-common"}
_BODY = "urn:iso:15118:2:2013:MsgBody"


@dataclass(frozen=True)
class Answer:
    """What a vehicle gets, and who judges it."""

    octets: bytes
    parties: Parties


def answer(make: str, parties: Parties) -> Answer:
    """The answer of a row."""
    made = MAKES[make](parties)
    return made if isinstance(made, Answer) else Answer(codec.encode(made, _CODED[parties.edition]), parties)


# --- good ones ------------------------------------------------------------------------------------------------------


def response(parties: Parties) -> Message:
    """A good answer, as a message."""
    octets = installation.respond(parties.signed(), session_id=SESSION, timestamp=parties.at)
    message = codec.decode(octets, _CODED[parties.edition])
    assert isinstance(message, Message)
    return message


def body(message: Message) -> iso2.CertificateInstallationRes:
    assert isinstance(message, iso2.V2G_Message)
    found = message.Body.BodyElement
    assert isinstance(found, iso2.CertificateInstallationRes)
    return found


def elements(message: Message) -> list[NamedValue]:
    """The four elements of -2 with their names."""
    found = body(message)
    names = ("ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID")
    return [NamedValue(QName(name, _BODY), getattr(found, name)) for name in names]


def again(message: Message, parties: Parties) -> Message:
    """The answer under a fresh signature of the CPS, over everything that must be signed."""
    return attach(message, sign(message, parties.cps.signer))


def over(message: Message, parties: Parties, chosen: list[NamedValue]) -> Message:
    """The answer under a signature of the CPS over these elements."""
    return attach(message, sign(chosen, parties.cps.signer, edition=parties.edition))


def value_again(parties: Parties, signature: Signature) -> Signature:
    """The signature, its value made anew by the CPS over SignedInfo as it stands."""
    der = parties.cps.signer.sign(codec.encode(signature.SignedInfo, "xmldsig", fragment=True))
    width = len(signature.SignatureValue.value) // 2
    raw = b"".join(number.to_bytes(width, "big") for number in decode_dss_signature(der))
    return changed(signature, SignatureValue=SignatureValue(value=raw))


def data_changed(message: Message, **changes: object) -> Message:
    """A -20 answer with fields of its SignedInstallationData changed."""
    assert isinstance(message, iso20_common.CertificateInstallationRes)
    return changed(message, SignedInstallationData=changed(message.SignedInstallationData, **changes))


def bit(octets: bytes, at: int = -1) -> bytes:
    at %= len(octets)
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


# --- the signature --------------------------------------------------------------------------------------------------


def _without(number: int) -> Callable[[Parties], Message]:
    def make(parties: Parties) -> Message:
        message = response(parties)
        return over(message, parties, [one for place, one in enumerate(elements(message), 1) if place != number])

    return make


def _only_one(parties: Parties) -> Message:
    message = response(parties)
    return over(message, parties, elements(message)[:1])


def _with_cps_id(message: Message) -> tuple[Message, NamedValue]:
    chain = changed(body(message).SAProvisioningCertificateChain, Id="id5")
    return with_body(message, SAProvisioningCertificateChain=chain), NamedValue(
        QName("SAProvisioningCertificateChain", _BODY), chain
    )


def _cps_chain_referred(parties: Parties) -> Message:
    message, chain = _with_cps_id(response(parties))
    return over(message, parties, [*elements(message)[:3], chain])


def _fifth(parties: Parties) -> Message:
    message, chain = _with_cps_id(response(parties))
    fifth = sign([chain], parties.cps.signer).SignedInfo.Reference
    return with_signature(
        message,
        lambda found: value_again(parties, with_references(found, *found.SignedInfo.Reference, *fifth)),
    )


def _unknown_reference(parties: Parties) -> Message:
    def change(found: Signature) -> Signature:
        *first, last = found.SignedInfo.Reference
        return value_again(parties, with_references(found, *first, changed(last, URI="#id9")))

    return with_signature(response(parties), change)


def _twice(parties: Parties) -> Message:
    def change(found: Signature) -> Signature:
        first, *others = found.SignedInfo.Reference
        return value_again(parties, with_references(found, first, first, *others[:2]))

    return with_signature(response(parties), change)


def _ids_swapped(parties: Parties) -> Message:
    message = response(parties)
    key, point = body(message).ContractSignatureEncryptedPrivateKey, body(message).DHpublickey
    return with_body(
        message,
        ContractSignatureEncryptedPrivateKey=changed(key, Id=point.Id),
        DHpublickey=changed(point, Id=key.Id),
    )


def _ids_equal(parties: Parties) -> Message:
    message = response(parties)
    return with_body(message, DHpublickey=changed(body(message).DHpublickey, Id="id1"))


def _no_id(parties: Parties) -> Message:
    message = response(parties)
    chain = changed(body(message).ContractSignatureCertChain, Id=None)
    return over(with_body(message, ContractSignatureCertChain=chain), parties, elements(message)[1:])


def _digest_bit(parties: Parties) -> Message:
    def change(found: Signature) -> Signature:
        references = list(found.SignedInfo.Reference)
        place = min(2, len(references) - 1)
        references[place] = changed(references[place], DigestValue=bit(references[place].DigestValue))
        return value_again(parties, with_references(found, *references))

    return with_signature(response(parties), change)


def _digests_exchanged(parties: Parties) -> Message:
    def change(found: Signature) -> Signature:
        one, two, *others = found.SignedInfo.Reference
        exchanged = changed(one, DigestValue=two.DigestValue), changed(two, DigestValue=one.DigestValue)
        return value_again(parties, with_references(found, *exchanged, *others))

    return with_signature(response(parties), change)


def _der(parties: Parties) -> Message:
    def change(found: Signature) -> Signature:
        value = found.SignatureValue.value
        half = len(value) // 2
        numbers = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
        return changed(found, SignatureValue=SignatureValue(value=encode_dss_signature(*numbers)))

    return with_signature(response(parties), change)


def _unsigned(parties: Parties) -> Message:
    return attach(response(parties), None)


def _forged(parties: Parties) -> Message:
    message = response(parties)
    return attach(message, sign(message, parties.contract.signer))


def _by_sub_ca(parties: Parties) -> Message:
    message = response(parties)
    return attach(message, sign(message, SoftwareSigner(mint.private_key("cps2", "p256"))))


# --- the CPS chain --------------------------------------------------------------------------------------------------


def _cps(leaf: str, *above: str, signs: bool = True) -> Callable[[Parties], Message]:
    """Another chain of the corpus as that of the CPS, signed by its leaf's key unless told."""

    def make(parties: Parties) -> Message:
        holder = corpus(leaf, *above, root="v2g")
        chain = iso2.CertificateChainType(
            Certificate=holder.chain[0], SubCertificates=iso2.SubCertificatesType(Certificate=holder.chain[1:])
        )
        message = with_body(response(parties), SAProvisioningCertificateChain=chain)
        return attach(message, sign(message, holder.signer)) if signs else message

    return make


def _cps_late(parties: Parties) -> Answer:
    late = replace(parties, at=parties.at.replace(month=9))
    return Answer(codec.encode(response(parties), _CODED[parties.edition]), late)


def _no_root(parties: Parties) -> Answer:
    return Answer(
        codec.encode(response(parties), _CODED[parties.edition]), replace(parties, v2g=parties.oem.root)
    )


# --- what is signed -------------------------------------------------------------------------------------------------


def _contract_chain(*names: str) -> Callable[[Parties], Message]:
    def make(parties: Parties) -> Message:
        message = response(parties)
        above = iso2.SubCertificatesType(Certificate=tuple(mint.certificate(name) for name in names))
        chain = changed(body(message).ContractSignatureCertChain, SubCertificates=above)
        return again(with_body(message, ContractSignatureCertChain=chain), parties)

    return make


def _inverted(parties: Parties) -> Message:
    if parties.edition == "iso15118-2":
        return _contract_chain("mo1", "mo2")(parties)
    message = response(parties)
    assert isinstance(message, iso20_common.CertificateInstallationRes)
    chain = message.SignedInstallationData.ContractCertificateChain
    above = changed(chain.SubCertificates, Certificate=chain.SubCertificates.Certificate[::-1])
    return again(data_changed(message, ContractCertificateChain=changed(chain, SubCertificates=above)), parties)


def _emaid(*, signs: bool) -> Callable[[Parties], Message]:
    def make(parties: Parties) -> Message:
        message = response(parties)
        message = with_body(message, eMAID=changed(body(message).eMAID, value="DEABCC999999999"))
        return again(message, parties) if signs else message

    return make


def _certificate_bit(parties: Parties) -> Message:
    message = response(parties)
    if isinstance(message, iso20_common.CertificateInstallationRes):
        chain = message.SignedInstallationData.ContractCertificateChain
        return data_changed(
            message, ContractCertificateChain=changed(chain, Certificate=bit(chain.Certificate))
        )
    chain_2 = body(message).ContractSignatureCertChain
    return with_body(message, ContractSignatureCertChain=changed(chain_2, Certificate=bit(chain_2.Certificate)))


def _sub_ca_bit(parties: Parties) -> Message:
    message = response(parties)
    chain = body(message).ContractSignatureCertChain
    assert chain.SubCertificates is not None
    first, second = chain.SubCertificates.Certificate
    above = changed(chain.SubCertificates, Certificate=(first, bit(second)))
    return with_body(message, ContractSignatureCertChain=changed(chain, SubCertificates=above))


def _key(change: Callable[[bytes], bytes], *, signs: bool) -> Callable[[Parties], Message]:
    def make(parties: Parties) -> Message:
        message = response(parties)
        if isinstance(message, iso20_common.CertificateInstallationRes):
            found = message.SignedInstallationData.SECP521_EncryptedPrivateKey
            assert found is not None
            message = data_changed(message, SECP521_EncryptedPrivateKey=change(found))
        else:
            key = body(message).ContractSignatureEncryptedPrivateKey
            message = with_body(
                message, ContractSignatureEncryptedPrivateKey=changed(key, value=change(key.value))
            )
        return again(message, parties) if signs else message

    return make


def _point(change: Callable[[bytes], bytes], *, signs: bool) -> Callable[[Parties], Message]:
    def make(parties: Parties) -> Message:
        message = response(parties)
        point = body(message).DHpublickey
        message = with_body(message, DHpublickey=changed(point, value=change(point.value)))
        return again(message, parties) if signs else message

    return make


def _compressed(point: bytes) -> bytes:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def _sealed(
    seal: Callable[[Parties, PublicKey], envelope.Sealed],
) -> Callable[[Parties], Message]:
    """An answer with another envelope, all of it signed."""

    def make(parties: Parties) -> Message:
        message = response(parties)
        sealed = seal(parties, load_public_key(parties.oem.spki))
        if isinstance(message, iso20_common.CertificateInstallationRes):
            return again(
                data_changed(
                    message,
                    DHPublicKey=sealed.dh_public_key,
                    SECP521_EncryptedPrivateKey=sealed.encrypted_key,
                ),
                parties,
            )
        found = body(message)
        return again(
            with_body(
                message,
                ContractSignatureEncryptedPrivateKey=changed(
                    found.ContractSignatureEncryptedPrivateKey, value=sealed.encrypted_key
                ),
                DHpublickey=changed(found.DHpublickey, value=sealed.dh_public_key),
            ),
            parties,
        )

    return make


def _another_key(parties: Parties, receiver: PublicKey) -> envelope.Sealed:
    if parties.edition == "iso15118-2":
        return envelope.seal(mint.private_key("another contract", "p256"), receiver, curve="P256")
    aad = envelope.aad(pcid=parties.pcid, contract=parties.contract.chain[0])
    return envelope.seal(mint.private_key("another contract", "p521"), receiver, curve="SECP521", aad=aad)


def _another_pcid(parties: Parties, receiver: PublicKey) -> envelope.Sealed:
    aad = envelope.aad(pcid="WVWABCDEF12345679", contract=parties.contract.chain[0])
    return envelope.seal(parties.contract.key, receiver, curve="SECP521", aad=aad)


def _unbound(parties: Parties, receiver: PublicKey) -> envelope.Sealed:
    return envelope.seal(parties.contract.key, receiver, curve="SECP521")


# --- without a contract ---------------------------------------------------------------------------------------------


def _refusal(parties: Parties) -> Answer:
    code = "FAILED_CertificateRevoked" if parties.edition == "iso15118-2" else "WARNING_CertificateRevoked"
    octets = installation.refuse(
        edition=parties.edition, session_id=SESSION, response_code=code, timestamp=parties.at
    )
    return Answer(octets, parties)


def _negative(parties: Parties) -> Message:
    return with_body(response(parties), ResponseCode="FAILED")


def _ongoing(parties: Parties) -> Answer:
    return Answer(
        installation.wait(edition=parties.edition, session_id=SESSION, timestamp=parties.at), parties
    )


MAKES: dict[str, Callable[[Parties], Message | Answer]] = {
    **{f"without_reference_{number}": _without(number) for number in (1, 2, 3, 4)},
    "no_references_but_one": _only_one,
    "reference_to_cps_chain": _cps_chain_referred,
    "reference_to_nothing": _unknown_reference,
    "reference_twice": _twice,
    "fifth_reference": _fifth,
    "ids_swapped": _ids_swapped,
    "ids_equal": _ids_equal,
    "id_missing_on_chain": _no_id,
    "digest_bit": _digest_bit,
    "digests_exchanged": _digests_exchanged,
    "value_der": _der,
    "unsigned": _unsigned,
    "forged": _forged,
    "cps_sub_ca_signs": _by_sub_ca,
    "cps_chain_replaced": _cps("secc", "cpo2", "cpo1", signs=False),
    "cps_no_dc": _cps("cps-no-dc", "cps2", "cps1"),
    "cps_is_a_station": _cps("secc", "cpo2", "cpo1"),
    "cps_inverted": _cps("cps", "cps1", "cps2"),
    "cps_expired": _cps_late,
    "cps_of_another_root": _no_root,
    "contract_inverted": _inverted,
    "contract_of_another_issuer": _contract_chain("mo2v", "mo1v"),
    "emaid_of_another": _emaid(signs=True),
    "emaid_changed": _emaid(signs=False),
    "certificate_changed": _certificate_bit,
    "sub_ca_changed": _sub_ca_bit,
    "key_changed": _key(bit, signs=False),
    "point_changed": _point(bit, signs=False),
    "key_47": _key(lambda value: value[:-1], signs=True),
    "point_compressed": _point(_compressed, signs=True),
    "point_off_curve": _point(bit, signs=True),
    "key_of_another_contract": _sealed(_another_key),
    "other_pcid": _sealed(_another_pcid),
    "unbound": _sealed(_unbound),
    "refusal": _refusal,
    "negative_code": _negative,
    "ongoing": _ongoing,
}


def signature_in(message: Message) -> Signature:
    """The signature of a message that has one."""
    found = signature_of(message)
    assert found is not None
    return found
