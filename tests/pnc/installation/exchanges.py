"""Whole exchanges of every kind, made by an authority of the tests: what `explain` is tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

import v2gpki
from tests.conftest import BIRTH
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import PrivateKey
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import (
    build_request,
    build_update_request,
    contract_data,
    respond,
    sign_contract,
)
from v2gpki.pnc.installation.contract import SignedContract
from v2gpki.pnc.installation.model import Action
from v2gpki.pnc.installation.requests import CODED
from v2gpki.pnc.signature import attach, sign

EMAID = "DEACMC12345678G"
PCID = "WACME0000000000012"
SESSION = bytes.fromhex("0102030405060708")


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, with everything that it was made of; `receiver` is the vehicle's key."""

    edition: Edition
    action: Action
    request: bytes
    response: bytes
    receiver_key: PrivateKey
    vehicle_chain: tuple[bytes, ...]
    contract_chain: tuple[bytes, ...]
    cps_chain: tuple[bytes, ...]
    cps_key: PrivateKey
    signed: SignedContract
    v2g_root: bytes

    @property
    def receiver(self) -> KeyAgreement:
        return SoftwareAgreement(self.receiver_key)

    @property
    def schema(self) -> str:
        return CODED[self.edition]

    def message(self) -> Message:
        """The answer, decoded."""
        found = codec.decode(self.response, self.schema)
        assert isinstance(found, Message)
        return found

    def coded(self, message: Message) -> bytes:
        """An answer or request as octets."""
        return codec.encode(message, self.schema)


def key_of(issued: v2gpki.Issued) -> PrivateKey:
    """The private key that was made for a certificate."""
    assert issued.private_key is not None
    return issued.private_key


def exchange(ca: v2gpki.CertificateAuthority, edition: Edition, action: Action = "install") -> Exchange:
    """One good exchange."""
    suite = "p256" if edition == "iso15118-2" else "p521"
    short = "iso2" if edition == "iso15118-2" else "iso20-p521"
    root = ca.authority(f"{short}-v2g-root").der
    contract = ca.issue("contract", edition=edition, suite=suite, id=EMAID)
    cps = ca.issue("cps", edition=edition, suite=suite)
    if action == "install":
        vehicle = ca.issue("oem", edition=edition, suite=suite, id=PCID)
        request = build_request(
            edition=edition,
            chain=vehicle.chain,
            signer=SoftwareSigner(key_of(vehicle)),
            roots=[root],
            session_id=SESSION,
            timestamp=BIRTH,
            prioritised_emaids=() if edition == "iso15118-2" else (EMAID,),
        )
    else:
        vehicle = ca.issue("contract", edition=edition, suite=suite, id=EMAID)
        request = build_update_request(
            chain=vehicle.chain,
            emaid=EMAID,
            signer=SoftwareSigner(key_of(vehicle)),
            roots=[root],
            session_id=SESSION,
        )
    data = contract_data(
        edition=edition,
        chain=contract.chain,
        contract_key=key_of(contract),
        receiver=view(vehicle.chain[0]).spki,
        emaid=EMAID,
        pcid=PCID,
    )
    signed = sign_contract(data, cps_chain=cps.chain, signer=SoftwareSigner(key_of(cps)))
    response = respond(signed, action=action, session_id=SESSION, timestamp=BIRTH)
    return Exchange(
        edition,
        action,
        codec.encode(request, CODED[edition]),
        response,
        key_of(vehicle),
        vehicle.chain,
        contract.chain,
        cps.chain,
        key_of(cps),
        signed,
        root,
    )


def no_trust(_role: str, _edition: str, chain: Sequence[bytes]) -> object:
    """Takes every chain."""
    return chain


def refusing(code: str) -> Callable[[str, str, tuple[bytes, ...]], object]:
    """Takes no chain."""

    def trust(role: str, edition: str, chain: tuple[bytes, ...]) -> object:
        raise V2GPKIError(code, f"{role} of {edition}, {len(chain)} certificates: no")

    return trust


# --- breaking things ------------------------------------------------------------------------------------------------


def changed(value: object, path: str, change: Callable[[object], object]) -> object:
    """A message with one member replaced by `change(member)`; `path` has names and, in tuples, indexes."""
    step, _, rest = path.partition(".")
    if isinstance(value, tuple):
        index = int(step)
        inner = changed(value[index], rest, change) if rest else change(value[index])
        return (*value[:index], inner, *value[index + 1 :])
    assert isinstance(value, Message)
    member = getattr(value, step)
    return replace(value, **{step: changed(member, rest, change) if rest else change(member)})


def flip(octet: int, bit: int = 0) -> Callable[[object], object]:
    """Flips one bit of octets, or of an ASCII text."""

    def flipped(value: object) -> object:
        octets = bytearray(value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b"")
        octets[octet] ^= 1 << bit
        return octets.decode() if isinstance(value, str) else bytes(octets)

    return flipped


def broken(exchange: Exchange, path: str, change: Callable[[object], object], *, request: bool = False) -> bytes:
    """The octets of an exchange's answer (or request) with one member changed."""
    message = codec.decode(exchange.request if request else exchange.response, exchange.schema)
    return codec.encode(_message(changed(message, path, change)), exchange.schema)


def resigned(exchange: Exchange, path: str, change: Callable[[object], object]) -> bytes:
    """The answer with one member changed and then signed again by the CPS: a sender's mistake, not an alteration."""
    message = _message(changed(exchange.message(), path, change))
    signature = sign(message, SoftwareSigner(exchange.cps_key), edition=exchange.edition)
    return codec.encode(attach(message, signature), exchange.schema)


def _message(value: object) -> Message:
    assert isinstance(value, Message)
    return value
