"""A station and a vehicle of ISO 15118-2 with answers to all their questions, to be joined and to be spoilt.

Signatures are made-up values that the tables compare; whether real ones hold is judged in `tests/pnc`. The figures are
chosen here, and the tests' expectations are worked out from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.session.joined import Side
from v2gpki.clock import FixedClock
from v2gpki.energy import (
    Band,
    Control,
    Current,
    Delivered,
    Demand,
    EnergyService,
    Method,
    Needs,
    Notification,
    Offer,
    PowerSchedule,
    PowerSpan,
    Present,
    Reading,
    Schedule,
    ScheduleChoice,
    SchedulesGiven,
    SchedulesOffered,
    ServiceChoice,
    StageLimits,
    Step,
    Tariff,
    TariffSpan,
    Variant,
    VehicleLimits,
    VehicleState,
)
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
HOUR = 3600


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


NOW = int(CLOCK.now().timestamp())
NIGHT = Tariff(
    7,
    NOW,
    "EUR",
    (
        TariffSpan(HOUR, (Band(Decimal("0.30")),)),
        TariffSpan(23 * HOUR, (Band(Decimal("0.15")),)),
    ),
    "night",
)
SCHEDULES = (
    Schedule(1, PowerSchedule(NOW, (PowerSpan(HOUR, 11_000), PowerSpan(23 * HOUR, 7_000))), NIGHT, signed=True),
    Schedule(2, PowerSchedule(NOW, (PowerSpan(24 * HOUR, 6_000),))),
)
AC_LIMITS = StageLimits("AC", 22_080, 230, 32)
DC_LIMITS = StageLimits("DC", 150_000, 920, 400, min_voltage=150, min_current=1, phases=1, peak_current_ripple=0.5)


@dataclass
class Outlet:
    """The station's answers. ``wants``: what it says in which turn of the loop (from 1); ``receipts``: the turns that
    want a receipt; ``ongoing``: how often each thing is still at work."""

    wants: dict[int, Notification] = field(default_factory=dict)
    receipts: frozenset[int] = frozenset()
    ongoing: dict[str, int] = field(default_factory=dict)
    within: int = 0
    kept: dict[bytes, q.Paused] = field(default_factory=dict)
    turns: int = 0
    switched: list[q.ContactorQuestion] = field(default_factory=list)
    authorisations: list[q.AuthorizationQuestion] = field(default_factory=list)
    confirmed: list[Reading] = field(default_factory=list)
    powered: list[q.PowerQuestion] = field(default_factory=list)

    def _still(self, what: str) -> bool:
        left = self.ongoing.get(what, 0)
        self.ongoing[what] = left - 1
        return left > 0

    def authorise(self, question: q.AuthorizationQuestion) -> q.Decision:
        self.authorisations.append(question)
        still = self._still("authorization")
        return q.Decision("ongoing" if still else "accepted", customer=question.method == "eim")

    def signature(self, question: q.SignatureQuestion) -> q.Done:
        if question.chain != CHAIN or not signed_as(question.message, question.purpose):
            raise V2GPKIError("signature.wrong_value", f"{question.purpose} is not signed by the contract")
        return q.DONE

    def chain(self, question: q.ContractChainQuestion) -> q.Done:
        if (question.emaid, question.chain) != (EMAID, CHAIN):
            raise V2GPKIError("path.no_anchor", "another contract")
        return q.DONE

    def switch(self, question: q.ContactorQuestion) -> q.Done:
        self.switched.append(question)
        return q.DONE

    def power(self, question: q.PowerQuestion) -> q.Delivery:
        self.turns += 1
        self.powered.append(question)
        setpoint = question.setpoint
        volts, amperes = (230.0, 16.0) if setpoint.voltage is None else (setpoint.voltage, 100.0)
        return q.Delivery(
            Present(volts, amperes, volts * amperes),
            AC_LIMITS if setpoint.voltage is None else DC_LIMITS,
            Control(self.wants.get(self.turns, ""), self.within, receipt=self.turns in self.receipts),
            Reading("meter 1", 1000.0 + 10 * self.turns, at=NOW, signature=b"\1" * 64),
        )

    def receipt(self, question: q.ReceiptQuestion) -> q.Done:
        self.confirmed.append(question.reading)
        return q.DONE

    def keep(self, question: q.PauseQuestion) -> q.Done:
        self.kept[question.paused.session_id] = question.paused
        return q.DONE

    def schedules(self, _: q.SchedulesQuestion) -> SchedulesGiven:
        return SchedulesGiven("ongoing") if self._still("schedules") else SchedulesGiven(schedules=SCHEDULES)

    def precharge(self, question: q.PreChargeQuestion) -> Present:
        return Present(question.voltage - (50 if self._still("precharge") else 5), 1, 0)

    def answers(self) -> dict[type, Callable[[Any], object]]:
        return {
            q.PausedQuestion: lambda question: self.kept.get(question.session_id),
            q.PauseQuestion: self.keep,
            q.ContractChainQuestion: self.chain,
            q.SignatureQuestion: self.signature,
            q.SigningQuestion: lambda question: signature_over(question.purpose),
            q.AuthorizationQuestion: self.authorise,
            q.ContractQuestion: lambda question: q.ContractGiven(installation_answer(question.exi)),
            q.StationLimitsQuestion: lambda question: AC_LIMITS if question.current == "AC" else DC_LIMITS,
            q.SchedulesQuestion: self.schedules,
            q.CableCheckQuestion: lambda _: "unknown" if self._still("cable") else "valid",
            q.PreChargeQuestion: self.precharge,
            q.ContactorQuestion: self.switch,
            q.PowerQuestion: self.power,
            q.WeldingQuestion: lambda _: Present(12, 0, 0),
            q.ReceiptQuestion: self.receipt,
        }


@dataclass
class Car:
    """The vehicle's answers. ``turns``: turns of the loop; ``steps``: what it does at which step (from 1);
    ``install`` and ``update``: what it asks for first; ``obeys``: it does what the station wants, at once."""

    turns: int = 3
    steps: dict[int, str] = field(default_factory=dict)
    contract: q.Contract | None = field(default_factory=lambda: q.Contract(EMAID, CHAIN))
    methods: tuple[Method, ...] = ("pnc", "eim")
    current: Current = "AC"
    install: bool = False
    update: bool = False
    number: int = 1
    confirms: bool = True
    obeys: bool = True
    stepped: int = 0
    offers: list[Offer] = field(default_factory=list)
    offered: list[SchedulesOffered] = field(default_factory=list)
    confirmed: list[Reading] = field(default_factory=list)
    installed: list[bytes] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    asked: list[q.StepQuestion] = field(default_factory=list)
    connected: list[bool] = field(default_factory=list)
    paused: list[q.Paused] = field(default_factory=list)

    def service(self, question: q.ServiceQuestion) -> ServiceChoice:
        self.offers.append(question.offer)
        service = next((one for one in question.offer.services if one.current == self.current), None)
        if service is None:
            raise V2GPKIError("session.wrong_transfer_mode", f"there is no {self.current}")
        method = next((one for one in self.methods if one in question.offer.methods), self.methods[0])
        return ServiceChoice(method, service, service.variants[0], self.install, self.update)

    def step(self, question: q.StepQuestion) -> Step:
        """The first step is before the first turn."""
        self.stepped += 1
        self.asked.append(question)
        wishes = {"stop": "stop", "pause": "pause", "renegotiate_schedule": "renegotiate"}
        usual = "stop" if self.stepped > self.turns else "go_on"
        if self.obeys and question.wish:
            usual = wishes[question.wish]
        return Step(self.steps.get(self.stepped, usual))  # type: ignore[arg-type]  # tests name them freely

    def demand(self, question: q.DemandQuestion) -> Demand:
        self.delivered.append(question.delivered)
        return Demand(40_000, 400, 100)

    def consent(self, question: q.ConsentQuestion) -> ScheduleChoice:
        self.offered.append(question.offered)
        return ScheduleChoice(self.number)

    def signature(self, question: q.SignatureQuestion) -> q.Done:
        if question.chain != CHAIN[1:] or not signed_as(question.message, question.purpose):
            raise V2GPKIError("signature.wrong_value", f"{question.purpose} is not signed by the MO")
        return q.DONE

    def taken(self, question: q.InstalledQuestion) -> q.Done:
        self.installed.append(question.exi)
        return q.DONE

    def metering(self, question: q.MeteringQuestion) -> bool:
        self.confirmed.append(question.reading)
        return self.confirms

    def connect(self, question: q.ConnectQuestion) -> q.Done:
        self.connected.append(question.closed)
        return q.DONE

    def keep(self, question: q.PauseQuestion) -> q.Done:
        self.paused.append(question.paused)
        return q.DONE

    def answers(self) -> dict[type, Callable[[Any], object]]:
        return {
            q.ServiceQuestion: self.service,
            q.ContractChoiceQuestion: lambda _: self.contract,
            q.InstallationRequestQuestion: installation_request,
            q.InstalledQuestion: self.taken,
            q.SigningQuestion: lambda question: signature_over(question.purpose),
            q.SignatureQuestion: self.signature,
            q.VehicleLimitsQuestion: lambda question: (
                VehicleLimits("AC", 11_040, 400, 16, min_current=6)
                if question.current == "AC"
                else VehicleLimits("DC", 100_000, 450, 300, phases=1)
            ),
            q.NeedsQuestion: lambda _: Needs(20_000, 20_000, departure=8.0 * HOUR, capacity=60_000, target_soc=0.8),
            q.StateQuestion: lambda _: VehicleState(0.555, 400, seconds_to_full=1800),
            q.ConsentQuestion: self.consent,
            q.ConnectQuestion: self.connect,
            q.DemandQuestion: self.demand,
            q.StepQuestion: self.step,
            q.MeteringQuestion: self.metering,
            q.PauseQuestion: self.keep,
        }


AC_SERVICE = EnergyService("AC", (Variant("three_phase"), Variant("single_phase")))
DC_SERVICE = EnergyService("DC", (Variant("extended"), Variant("core")))
STATION = StationSettings(Offer(EVSE_ID, (AC_SERVICE, DC_SERVICE)))
#: It turns as fast as the wire lets it: the tests count turns by deliveries.
VEHICLE = VehicleSettings(evcc_id=EVCC_ID, loop_pace=0.0)


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
    **spoilt: Any,
) -> Side:
    """A station's side; ``spoilt`` replaces answers by the name of the question. Any: functions of every question."""
    spoken = iso2_station(settings or STATION, random or octets())
    answers = (outlet or Outlet()).answers()
    answers.update({getattr(q, name): answer for name, answer in spoilt.items()})
    return Side(Engine(station_script([spoken], secured), clock=CLOCK), answers)


def vehicle(
    settings: VehicleSettings | None = None,
    car: Car | None = None,
    secured: Secured | None = TLS,
    **spoilt: Any,
) -> Side:
    """A vehicle's side."""
    spoken = iso2_vehicle(settings or VEHICLE)
    answers = (car or Car()).answers()
    answers.update({getattr(q, name): answer for name, answer in spoilt.items()})
    return Side(Engine(vehicle_script([spoken], secured), clock=CLOCK), answers)
