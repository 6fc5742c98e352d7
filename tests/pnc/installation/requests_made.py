"""Requests with one defect each: the names in `make` of the table's `[[request]]` rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec.structs import replace as changed

from tests.chains import mint
from tests.pnc.installation.parties import SESSION, Holder, Parties, corpus, made, revoked
from v2gpki.keys.software import SoftwareSigner
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Reference, Signature, SignatureValue, X509IssuerSerialType
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.signature import attach, sign, signature_of

#: The lines in front of a request, as a station forwards it.
SCHEMA = {
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20": "urn:iso:std:iso:15118:-20:CommonMessages",
}
_CODED = {"iso15118-2": "iso15118-2", "iso15118-20": "iso15118-20-common"}


@dataclass(frozen=True)
class Attempt:
    """What arrives, and how it is judged."""

    octets: bytes
    schema: str
    parties: Parties


def attempt(make: str, parties: Parties, action: installation.Action) -> Attempt:
    """The attempt of a row."""
    return MAKES[make](parties, action)


# --- good ones ------------------------------------------------------------------------------------------------------


def request(
    parties: Parties, action: installation.Action, *, holder: Holder | None = None, emaid: str = ""
) -> Message:
    """A good request, of this holder."""
    if action == "update" and parties.edition == "iso15118-2":
        holder = holder or parties.contract
        return installation.build_update_request(
            chain=holder.chain,
            emaid=emaid or parties.emaid,
            signer=holder.signer,
            roots=[parties.v2g],
            session_id=SESSION,
        )
    holder = holder or parties.oem
    return installation.build_request(
        edition=parties.edition,
        chain=holder.chain,
        signer=holder.signer,
        roots=[parties.v2g],
        session_id=SESSION,
        timestamp=parties.at,
    )


def coded(parties: Parties, message: Message) -> Attempt:
    """A message as it arrives."""
    return Attempt(codec.encode(message, _CODED[parties.edition]), SCHEMA[parties.edition], parties)


def with_body(message: Message, **changes: object) -> Message:
    """The message with fields of its body changed, its signature as it was."""
    if isinstance(message, iso2.V2G_Message):
        body = message.Body.BodyElement
        assert body is not None
        return changed(message, Body=changed(message.Body, BodyElement=changed(body, **changes)))
    return changed(message, **changes)


def signed_again(message: Message, signer: SoftwareSigner, edition: Edition | None = None) -> Message:
    """The message under a fresh signature."""
    return attach(message, sign(message, signer, edition=edition))


def with_signature(message: Message, change: Callable[[Signature], Signature]) -> Message:
    """The message with its signature changed."""
    signature = signature_of(message)
    assert signature is not None
    return attach(message, change(signature))


def value_made_again(signature: Signature, signer: SoftwareSigner) -> Signature:
    """The signature, its value made anew over its SignedInfo as it stands (P-256)."""
    der = signer.sign(codec.encode(signature.SignedInfo, "xmldsig", fragment=True))
    return changed(signature, SignatureValue=SignatureValue(value=_raw(der)))


def _raw(der: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))


def with_references(signature: Signature, *references: Reference) -> Signature:
    return changed(signature, SignedInfo=changed(signature.SignedInfo, Reference=references))


# --- defects --------------------------------------------------------------------------------------------------------


def _good(parties: Parties, action: installation.Action) -> Attempt:
    return coded(parties, request(parties, action))


def _wrong_key(parties: Parties, action: installation.Action) -> Attempt:
    return coded(parties, signed_again(request(parties, action), parties.cps.signer))


def _body_changed(parties: Parties, action: installation.Action) -> Attempt:
    message = request(parties, action)
    if isinstance(message, iso20_common.CertificateInstallationReq):
        chain = message.OEMProvisioningCertificateChain
        assert chain.SubCertificates is not None
        fewer = changed(chain.SubCertificates, Certificate=chain.SubCertificates.Certificate[:1])
        return coded(
            parties, with_body(message, OEMProvisioningCertificateChain=changed(chain, SubCertificates=fewer))
        )
    roots = iso2.ListOfRootCertificateIDsType(
        RootCertificateID=(X509IssuerSerialType(X509IssuerName="CN=another", X509SerialNumber=7),)
    )
    return coded(parties, with_body(message, ListOfRootCertificateIDs=roots))


def _unsigned(parties: Parties, action: installation.Action) -> Attempt:
    return coded(parties, attach(request(parties, action), None))


def _other_reference(parties: Parties, action: installation.Action) -> Attempt:
    signer = parties.oem.signer if action == "install" else parties.contract.signer
    message = with_signature(
        request(parties, action),
        lambda found: value_made_again(
            with_references(found, changed(found.SignedInfo.Reference[0], URI="#id9")), signer
        ),
    )
    return coded(parties, message)


def _der_value(parties: Parties, action: installation.Action) -> Attempt:
    def der(signature: Signature) -> Signature:
        value = signature.SignatureValue.value
        half = len(value) // 2
        numbers = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
        return changed(signature, SignatureValue=SignatureValue(value=encode_dss_signature(*numbers)))

    return coded(parties, with_signature(request(parties, action), der))


def _value(change: Callable[[bytes], bytes]) -> Callable[[Parties, installation.Action], Attempt]:
    def make(parties: Parties, action: installation.Action) -> Attempt:
        return coded(
            parties,
            with_signature(
                request(parties, action),
                lambda found: changed(found, SignatureValue=SignatureValue(value=change(found.SignatureValue.value))),
            ),
        )

    return make


def _holder(leaf: str, *above: str, root: str) -> Callable[[Parties, installation.Action], Attempt]:
    """The request of somebody else from the corpus, judged by those whom the parties trust."""

    def make(parties: Parties, action: installation.Action) -> Attempt:
        return coded(parties, request(parties, action, holder=corpus(leaf, *above, root=root)))

    return make


def _chain(*names: str) -> Callable[[Parties, installation.Action], Attempt]:
    """An update whose chain is put together from the corpus, signed by the first one's key."""

    def make(parties: Parties, action: installation.Action) -> Attempt:
        chain = tuple(mint.certificate(name) for name in names)
        message = request(parties, action)
        above = iso2.SubCertificatesType(Certificate=chain[1:])
        message = with_body(
            message,
            ContractSignatureCertChain=iso2.CertificateChainType(Certificate=chain[0], SubCertificates=above),
        )
        return coded(parties, signed_again(message, SoftwareSigner(mint.private_key(names[0], "p256"))))

    return make


def _leaf(name: str, common_name: str) -> Callable[[Parties, installation.Action], Attempt]:
    """An update with a contract that is made for it."""

    def make(parties: Parties, action: installation.Action) -> Attempt:
        key = mint.private_key(name, "p256")
        holder = Holder((made(name, common_name, "mo2"), *parties.contract.chain[1:]), key)
        return coded(parties, request(parties, action, holder=holder))

    return make


def _emaid(emaid: str) -> Callable[[Parties, installation.Action], Attempt]:
    """An update that names another EMAID, whatever it looks like."""

    def make(parties: Parties, action: installation.Action) -> Attempt:
        message = with_body(request(parties, action), eMAID=emaid)
        return coded(parties, signed_again(message, parties.contract.signer))

    return make


def _certificate(octets: bytes) -> Callable[[Parties, installation.Action], Attempt]:
    """An installation whose certificate is something else."""

    def make(parties: Parties, action: installation.Action) -> Attempt:
        message = with_body(request(parties, action), OEMProvisioningCert=octets)
        return coded(parties, signed_again(message, parties.oem.signer))

    return make


def _at(moment: datetime) -> Callable[[Parties, installation.Action], Attempt]:
    def make(parties: Parties, action: installation.Action) -> Attempt:
        return replace(_good(parties, action), parties=replace(parties, at=moment))

    return make


def _revoked(parties: Parties, action: installation.Action) -> Attempt:
    holder, issuer = (parties.oem, "oem2") if action == "install" else (parties.contract, "mo2")
    return replace(_good(parties, action), parties=replace(parties, crls=(revoked(holder.chain[0], issuer),)))


def _cut(parties: Parties, action: installation.Action) -> Attempt:
    good = _good(parties, action)
    return replace(good, octets=good.octets[: len(good.octets) // 2])


def _schema(schema: str) -> Callable[[Parties, installation.Action], Attempt]:
    def make(parties: Parties, action: installation.Action) -> Attempt:
        return replace(_good(parties, action), schema=schema)

    return make


def _another_message(parties: Parties, action: installation.Action) -> Attempt:
    header = iso2.MessageHeaderType(SessionID=SESSION)
    body = iso2.BodyType(BodyElement=iso2.SessionStopReq(ChargingSession="Terminate"))
    return coded(parties, iso2.V2G_Message(Header=header, Body=body))


def _inverted_20(parties: Parties, action: installation.Action) -> Attempt:
    message = request(parties, action)
    assert isinstance(message, iso20_common.CertificateInstallationReq)
    chain = message.OEMProvisioningCertificateChain
    assert chain.SubCertificates is not None
    inverted = changed(chain.SubCertificates, Certificate=chain.SubCertificates.Certificate[::-1])
    message = changed(message, OEMProvisioningCertificateChain=changed(chain, SubCertificates=inverted))
    return coded(parties, signed_again(message, parties.oem.signer))


def _p256_20(parties: Parties, action: installation.Action) -> Attempt:
    """A -20 request with the corpus's P-256 chain, signed as EcoG's stack does."""
    holder = corpus("oem", "oem2", "oem1", root="oemroot")
    message = installation.build_request(
        edition="lab-ecog-20",
        chain=holder.chain,
        signer=holder.signer,
        roots=[parties.v2g],
        session_id=SESSION,
        timestamp=parties.at,
    )
    return coded(parties, message)


def _p256_leaf_20(parties: Parties, action: installation.Action) -> Attempt:
    """A -20 request with a P-256 chain under a signature that names P-521 (and is by some P-521 key)."""
    message = request(parties, action)
    assert isinstance(message, iso20_common.CertificateInstallationReq)
    other = iso20_common.SignedCertificateChainType(Id="id1", Certificate=mint.certificate("oem"))
    message = changed(message, OEMProvisioningCertificateChain=other)
    return coded(parties, signed_again(message, SoftwareSigner(ec.generate_private_key(ec.SECP521R1()))))


def _untrusted_20(parties: Parties, action: installation.Action) -> Attempt:
    return replace(
        _good(parties, action), parties=replace(parties, oem=replace(parties.oem, root=parties.contract.root))
    )


def _bit(value: bytes) -> bytes:
    return value[:-1] + bytes((value[-1] ^ 1,))


MAKES: dict[str, Callable[[Parties, installation.Action], Attempt]] = {
    "good": _good,
    "wrong_key": _wrong_key,
    "body_changed": _body_changed,
    "unsigned": _unsigned,
    "other_reference": _other_reference,
    "der_value": _der_value,
    "value_bit": _value(_bit),
    "value_short": _value(lambda value: value[:-1]),
    "value_zero": _value(lambda value: bytes(len(value))),
    "oem_expired": _holder("oem-expired", "oem2", "oem1", root="oemroot"),
    "oem_no_dc": _holder("oem-no-dc", "oem2", "oem1", root="oemroot"),
    "secc_asks": _holder("secc", "cpo2", "cpo1", root="v2g"),
    "too_early": _at(datetime(2025, 12, 1, tzinfo=UTC)),
    "too_late": _at(datetime(2040, 1, 1, tzinfo=UTC)),
    "revoked": _revoked,
    "no_certificate": _certificate(b"\x30\x03no!"),
    "rsa_certificate": _certificate(mint.certificate("secc-rsa")),
    "p521_certificate": _certificate(mint.certificate("secc-p521")),
    "cut": _cut,
    "namespace_din": _schema("urn:din:70121:2012:MsgDef"),
    "namespace_other_edition": _schema("urn:iso:std:iso:15118:-20:CommonMessages"),
    "another_message": _another_message,
    "subs_inverted": _chain("contract", "mo1", "mo2"),
    "leaf_of_other_pki": _chain("contract-v", "mo2", "mo1"),
    "sub2_of_other_pki": _chain("contract", "mo2v", "mo1"),
    "sub1_of_other_pki": _chain("contract", "mo2", "mo1v"),
    "chain_of_other_pki": _chain("contract-v", "mo2v", "mo1v"),
    "with_root": _chain("contract", "mo2", "mo1", "mo"),
    "emaid_of_another": _emaid("DEABCC999999999"),
    "emaid_invalid": _emaid("??????????????"),
    "certified_emaid_of_another": _leaf("contract-other-emaid", "DEABCC999999999"),
    "certified_emaid_invalid": _chain("contract-no-emaid", "mo2", "mo1"),
    "contract_expired": _chain("contract-expired", "mo2", "mo1"),
    "contract_country": _chain("contract-country", "mo2", "mo1"),
    "inverted_20": _inverted_20,
    "p256_20": _p256_20,
    "p256_leaf_20": _p256_leaf_20,
    "untrusted_20": _untrusted_20,
}
