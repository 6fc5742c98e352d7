"""A station and a vehicle of ISO 15118-2 with answers to all their questions, to be joined and to be spoilt.

Signatures are made-up values that the tables compare; whether real ones hold is judged in `tests/pnc`. The figures are
chosen here, and the tests' expectations are worked out from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.session.joined import Side
from v2gpki.clock import FixedClock
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import (
    CanonicalizationMethod,
    DigestMethod,
    Reference,
    Signature,
    SignatureMethod,
    SignatureValue,
    SignedInfo,
    X509IssuerSerialType,
)
from v2gpki.session import questions as q
from v2gpki.session.engine import Engine
from v2gpki.session.iso2.settings import StationSettings, VehicleSettings
from v2gpki.session.secured import Secured
from v2gpki.session.station import iso2_station, station_script
from v2gpki.session.vehicle import iso2_vehicle, vehicle_script

CLOCK = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
TLS = Secured("1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "secp256r1", (b"leaf",))
EMAID = "DEABCC123ABC56"
CHAIN = (b"contract", b"mo sub 2", b"mo sub 1")
EVCC_ID = bytes.fromhex("00112233aabb")
EVSE_ID = "DE*ABC*E1"
HOUR = 3600.0


def signature_over(what: str) -> Signature:
    """A made-up signature that names what it is over."""
    reference = Reference(
        URI=f"#{what}", DigestMethod=DigestMethod(Algorithm="none"), DigestValue=what.encode()[:20].ljust(20, b"\0")
    )
    info = SignedInfo(
        CanonicalizationMethod=CanonicalizationMethod(Algorithm="none"),
        SignatureMethod=SignatureMethod(Algorithm="none"),
        Reference=(reference,),
    )
    return Signature(SignedInfo=info, SignatureValue=SignatureValue(value=what.encode()))


def signed_as(message: Message, what: str) -> bool:
    """Whether a message bears that made-up signature."""
    return isinstance(message, iso2.V2G_Message) and message.Header.Signature == signature_over(what)


def installation_answer(request: bytes, code: str = "OK") -> bytes:
    """An answer of whoever makes contracts, for the session of the request."""
    read = codec.decode(request, "iso15118-2")
    assert isinstance(read, iso2.V2G_Message)
    chain = iso2.CertificateChainType(Id="id1", Certificate=CHAIN[0])
    body_type = (
        iso2.CertificateInstallationRes
        if isinstance(read.Body.BodyElement, iso2.CertificateInstallationReq)
        else iso2.CertificateUpdateRes
    )
    body = body_type(
        ResponseCode=code,  # type: ignore[arg-type]  # tests name codes freely
        SAProvisioningCertificateChain=iso2.CertificateChainType(Certificate=b"cps"),
        ContractSignatureCertChain=chain,
        ContractSignatureEncryptedPrivateKey=iso2.ContractSignatureEncryptedPrivateKeyType(Id="id2", value=bytes(48)),
        DHpublickey=iso2.DiffieHellmanPublickeyType(Id="id3", value=bytes(65)),
        eMAID=iso2.EMAIDType(Id="id4", value=EMAID),
    )
    header = iso2.MessageHeaderType(SessionID=read.Header.SessionID, Signature=signature_over("contract"))
    return codec.encode(iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=body)), "iso15118-2")


def installation_request(question: q.InstallationRequestQuestion) -> Message:
    """The signed request of a vehicle."""
    roots = iso2.ListOfRootCertificateIDsType(
        RootCertificateID=(X509IssuerSerialType(X509IssuerName="CN=root", X509SerialNumber=1),)
    )
    body: iso2.CertificateInstallationReq | iso2.CertificateUpdateReq
    if question.action == "install":
        body = iso2.CertificateInstallationReq(Id="id1", OEMProvisioningCert=b"oem", ListOfRootCertificateIDs=roots)
    else:
        chain = iso2.CertificateChainType(Certificate=b"old contract")
        body = iso2.CertificateUpdateReq(
            Id="id1", ContractSignatureCertChain=chain, eMAID=EMAID, ListOfRootCertificateIDs=roots
        )
    header = iso2.MessageHeaderType(SessionID=question.session_id, Signature=signature_over(question.action))
    return iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=body))


def refuse(code: str) -> Callable[[object], object]:
    """An answer that refuses."""

    def answer(_: object) -> object:
        raise V2GPKIError(code, "the table refuses")

    return answer


SCHEDULES = (
    q.Schedule(1, (q.Period(0, HOUR, 11_000, 300), q.Period(HOUR, 23 * HOUR, 7_000, 150)), "night", "EUR"),
    q.Schedule(2, (q.Period(0, 24 * HOUR, 6_000),)),
)
AC_LIMITS = q.Limits(22_000, 32, 230, nominal_voltage=230, phases=3)
DC_LIMITS = q.Limits(150_000, 400, 920, min_current=1, min_voltage=150, ripple=0.5)


@dataclass
class Outlet:
    """The station's answers. ``wants``: what it says in which turn of the loop (from 1); ``receipts``: the turns that
    want a receipt; ``ongoing``: how often each thing is still at work."""

    wants: dict[int, str] = field(default_factory=dict)
    receipts: frozenset[int] = frozenset()
    ongoing: dict[str, int] = field(default_factory=dict)
    turns: int = 0
    switched: list[bool] = field(default_factory=list)
    authorisations: list[q.AuthorizationQuestion] = field(default_factory=list)
    confirmed: list[q.Reading] = field(default_factory=list)
    setpoints: list[q.Setpoint | None] = field(default_factory=list)

    def _still(self, what: str) -> bool:
        left = self.ongoing.get(what, 0)
        self.ongoing[what] = left - 1
        return left > 0

    def authorise(self, question: q.AuthorizationQuestion) -> q.Decision:
        self.authorisations.append(question)
        return q.Decision("ongoing" if self._still("authorization") else "accepted")

    def signature(self, question: q.SignatureQuestion) -> q.Done:
        if question.chain != CHAIN or not signed_as(question.message, question.purpose):
            raise V2GPKIError("signature.wrong_value", f"{question.purpose} is not signed by the contract")
        return q.DONE

    def chain(self, question: q.ContractChainQuestion) -> q.Done:
        if (question.emaid, question.chain) != (EMAID, CHAIN):
            raise V2GPKIError("path.no_anchor", "another contract")
        return q.DONE

    def switch(self, question: q.ContactorQuestion) -> q.Done:
        self.switched.append(question.closed)
        return q.DONE

    def power(self, question: q.PowerQuestion) -> q.Present:
        self.turns += 1
        self.setpoints.append(question.target)
        volts, amperes = (230.0, 16.0) if question.target is None else (question.target.voltage, 100.0)
        return q.Present(
            volts,
            amperes,
            volts * amperes,
            reading=q.Reading("meter 1", 1000.0 + 10 * self.turns, at=1_772_366_400, signature=b"\1" * 64),
            receipt=self.turns in self.receipts,
            notification=self.wants.get(self.turns, ""),  # type: ignore[arg-type]  # tests name them freely
        )

    def receipt(self, question: q.ReceiptQuestion) -> q.Done:
        self.confirmed.append(question.reading)
        return q.DONE

    def answers(self) -> dict[type, Callable[[Any], object]]:
        return {
            q.ContractChainQuestion: self.chain,
            q.SignatureQuestion: self.signature,
            q.SigningQuestion: lambda question: signature_over(question.purpose),
            q.AuthorizationQuestion: self.authorise,
            q.ContractQuestion: lambda question: q.ContractGiven(installation_answer(question.exi)),
            q.StationLimitsQuestion: lambda question: AC_LIMITS if question.current == "ac" else DC_LIMITS,
            q.SchedulesQuestion: lambda _: () if self._still("schedules") else SCHEDULES,
            q.CableCheckQuestion: lambda _: q.Processed(not self._still("cable")),
            q.PreChargeQuestion: lambda question: q.Present(
                question.target.voltage - (50 if self._still("precharge") else 5), 1, 0
            ),
            q.ContactorQuestion: self.switch,
            q.PowerQuestion: self.power,
            q.WeldingQuestion: lambda _: q.Present(12, 0, 0),
            q.ReceiptQuestion: self.receipt,
        }


@dataclass
class Car:
    """The vehicle's answers. ``turns``: turns of the loop; ``intents``: what it wants at which wish (from 1)."""

    turns: int = 3
    intents: dict[int, str] = field(default_factory=dict)
    contract: q.Contract | None = field(default_factory=lambda: q.Contract(EMAID, CHAIN))
    number: int = 1
    wishes: int = 0
    flowed: int = 0
    offered: list[q.ConsentQuestion] = field(default_factory=list)
    confirmed: list[q.Reading] = field(default_factory=list)
    installed: list[bytes] = field(default_factory=list)
    wished: list[q.WishQuestion] = field(default_factory=list)

    def wish(self, question: q.WishQuestion) -> q.Wish:
        self.wishes += 1
        self.wished.append(question)
        self.flowed += question.present is not None
        intent = self.intents.get(self.wishes, "stop" if self.flowed >= self.turns else "go_on")
        return q.Wish(q.Setpoint(400, 100, 40_000), 55, intent=intent)  # type: ignore[arg-type]  # named freely

    def consent(self, question: q.ConsentQuestion) -> q.Choice:
        self.offered.append(question)
        return q.Choice(self.number)

    def signature(self, question: q.SignatureQuestion) -> q.Done:
        if question.chain != CHAIN[1:] or not signed_as(question.message, question.purpose):
            raise V2GPKIError("signature.wrong_value", f"{question.purpose} is not signed by the MO")
        return q.DONE

    def install(self, question: q.InstalledQuestion) -> q.Done:
        self.installed.append(question.exi)
        return q.DONE

    def receipt(self, question: q.ReceiptQuestion) -> q.Done:
        self.confirmed.append(question.reading)
        return q.DONE

    def answers(self) -> dict[type, Callable[[Any], object]]:
        return {
            q.ContractChoiceQuestion: lambda _: self.contract,
            q.InstallationRequestQuestion: installation_request,
            q.InstalledQuestion: self.install,
            q.SigningQuestion: lambda question: signature_over(question.purpose),
            q.SignatureQuestion: self.signature,
            q.VehicleLimitsQuestion: lambda question: (
                q.Limits(11_000, 16, 400, min_current=6, phases=3)
                if question.current == "ac"
                else q.Limits(100_000, 300, 450)
            ),
            q.NeedsQuestion: lambda _: q.Needs(20_000, 60_000, departure=8 * HOUR, state_of_charge=40),
            q.ConsentQuestion: self.consent,
            q.WishQuestion: self.wish,
            q.ReceiptQuestion: self.receipt,
        }


def octets(start: int = 0) -> Callable[[int], bytes]:
    """Randomness that can be foreseen: 1, 2, 3, .."""
    given = [start]

    def random(count: int) -> bytes:
        given[0] += 1
        return bytes([given[0]]) * count

    return random


def station(
    settings: StationSettings | None = None,
    outlet: Outlet | None = None,
    secured: Secured | None = TLS,
    random: Callable[[int], bytes] | None = None,
    **spoilt: Callable[[Any], object],
) -> Side:
    """A station's side; ``spoilt`` replaces answers by the name of the question."""
    spoken = iso2_station(settings or StationSettings(evse_id=EVSE_ID), random or octets())
    answers = (outlet or Outlet()).answers()
    answers.update({getattr(q, name): answer for name, answer in spoilt.items()})
    return Side(Engine(station_script([spoken], secured), clock=CLOCK), answers)


def vehicle(
    settings: VehicleSettings | None = None,
    car: Car | None = None,
    secured: Secured | None = TLS,
    **spoilt: Callable[[Any], object],
) -> Side:
    """A vehicle's side."""
    spoken = iso2_vehicle(settings or VehicleSettings(evcc_id=EVCC_ID))
    answers = (car or Car()).answers()
    answers.update({getattr(q, name): answer for name, answer in spoilt.items()})
    return Side(Engine(vehicle_script([spoken], secured), clock=CLOCK), answers)
