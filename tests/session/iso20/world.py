"""A station and a vehicle of ISO 15118-20 whose questions are answered by tables: numbers written out, no keys.

Signatures are octets that say what they are over, so that a test can swap them; who checks them for real is tested with
the drivers. The battery takes what flows; the power stage gives what it is told.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace as changed

from tests.session.joined import Side, join
from v2gpki.clock import Clock
from v2gpki.energy import (
    Control,
    Demand,
    EnergyService,
    Needs,
    Offer,
    PowerSchedule,
    PowerSpan,
    Present,
    Reading,
    Schedule,
    ScheduleChoice,
    SchedulesGiven,
    ServiceChoice,
    StageLimits,
    Step,
    Variant,
    VehicleLimits,
    VehicleState,
)
from v2gpki.energy.tariff import Band, Level, PriceLevels, Tariff, TariffSpan
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.iso20_types import V2GMessageType
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
from v2gpki.session import handshake
from v2gpki.session import questions as q
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.evcc.vehicle import ISO20Vehicle
from v2gpki.session.iso20.flow import FLOW
from v2gpki.session.iso20.refusals import no_contract
from v2gpki.session.iso20.secc.station import ISO20Station
from v2gpki.session.iso20.settings import StationSettings, VehicleSettings
from v2gpki.session.notices import Ending, Exchanged, Moved
from v2gpki.session.secured import Secured

MessageT = TypeVar("MessageT", bound=Message)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATION = Secured("1.3", "TLS_AES_256_GCM_SHA384", "secp521r1", (b"vehicle leaf",), (b"secc leaf",))
VEHICLE = Secured("1.3", "TLS_AES_256_GCM_SHA384", "secp521r1", (b"secc leaf",), (b"vehicle leaf",))
CHAIN = (b"contract leaf", b"mo sub 2", b"mo sub 1")


@dataclass
class TestClock(Clock):
    """A clock that a test sets; it starts at `START`."""

    __test__ = False
    moment: datetime = START

    def now(self) -> datetime:
        return self.moment


def variant(control: str = "scheduled", *, number: int = 1, pricing: str = "absolute", ac: bool = False) -> Variant:
    return Variant(
        "three_phase" if ac else "extended",
        number,
        control="dynamic" if control == "dynamic" else "scheduled",
        pricing="levels" if pricing == "levels" else "absolute",
    )


def services(*, ac: bool, bidirectional: bool) -> tuple[EnergyService, ...]:
    """One service with a variant of each control mode."""
    variants = (variant("scheduled", number=1, ac=ac), variant("dynamic", number=2, ac=ac))
    return (EnergyService("AC" if ac else "DC", variants, bidirectional),)


def offer(*, ac: bool = False, bidirectional: bool = False, **more: Any) -> Offer:
    return Offer("DE*ABC*E1", services(ac=ac, bidirectional=bidirectional), **more)


def signature(over: bytes) -> Signature:
    """A Signature that says what it is over."""
    info = SignedInfo(
        CanonicalizationMethod=CanonicalizationMethod(Algorithm="http://www.w3.org/TR/canonical-exi/"),
        SignatureMethod=SignatureMethod(Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"),
        Reference=(Reference(URI="#id1", DigestMethod=DigestMethod(Algorithm="sha512"), DigestValue=over[:64]),),
    )
    return Signature(SignedInfo=info, SignatureValue=SignatureValue(value=over[-16:]))


def mark(message: Message) -> bytes:
    """What stands for a digest: one of the octets without header."""
    if isinstance(message, cm.MeteringConfirmationReq):
        message = message.SignedMeteringData
    elif isinstance(message, V2GMessageType):
        message = changed(message, Header=HEADER)
    return hashlib.sha512(codec.encode(message, "iso15118-20-common")).digest()


def sign(question: q.SigningQuestion) -> Signature:
    return signature(mark(question.message))


def check(question: q.SignatureQuestion) -> q.Done:
    """The signature of `sign`, over the same."""
    found = getattr(getattr(question.message, "Header", None), "Signature", None)
    if found is None:
        raise V2GPKIError("signature.missing", f"{question.purpose} has no signature")
    if found != signature(mark(question.message)):
        raise V2GPKIError("signature.wrong_value", f"the signature of {question.purpose} does not hold")
    return q.DONE


def tariff(now: int) -> Tariff:
    bands = (Band(Decimal("0.39")), Band(Decimal("0.49"), power_from=50_000.0))
    return Tariff(7, now, "EUR", (TariffSpan(3600, bands), TariffSpan(82_800, bands)))


def levels(now: int) -> PriceLevels:
    return PriceLevels(8, now, 2, (Level(3600, 1), Level(82_800, 0)))


class Kept:
    """Paused sessions: of an outlet, or of a vehicle. What is taken is gone."""

    def __init__(self) -> None:
        self.sessions: dict[bytes, q.Paused] = {}

    def keep(self, question: q.PauseQuestion) -> q.Done:
        self.sessions[question.paused.session_id] = question.paused
        return q.DONE

    def take(self, question: q.PausedQuestion) -> q.Paused | None:
        return self.sessions.pop(question.session_id, None)


@dataclass
class StationWorld:
    """Answers at the station; `power` is granted, `notices` are its wishes by turn of the loop."""

    clock: Clock
    ac: bool = False
    bidirectional: bool = False
    power: float = 60_000.0
    wishes: dict[int, Control] = field(default_factory=dict)
    contracts: int = 3
    waits: int = 0
    energy: float = 0.0
    voltage: float = 0.0
    turns: int = 0
    given: int = 0
    closed: bool = False
    receipts: list[Reading] = field(default_factory=list)
    targets: list[q.PowerQuestion] = field(default_factory=list)
    #: After which turns of the loop it was told that nothing flows any more.
    idled: list[int] = field(default_factory=list)
    signed: bool = False
    go_to_pause: bool = False
    kept: Kept = field(default_factory=Kept)
    more: dict[type, Callable[[Any], object]] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)

    def answers(self) -> dict[type, Callable[[Any], object]]:
        return {
            q.SignatureQuestion: check,
            q.SigningQuestion: sign,
            q.ContractChainQuestion: lambda _: q.DONE,
            q.AuthorizationQuestion: lambda _: q.Decision("ongoing" if self._wait("auth") else "accepted"),
            q.ContractQuestion: self.contract,
            q.StationLimitsQuestion: lambda _: self.limits(),
            q.SchedulesQuestion: self.schedules,
            q.CableCheckQuestion: lambda _: "unknown" if self._wait("cable") else "valid",
            q.PreChargeQuestion: self.pre_charge,
            q.ContactorQuestion: self.contactor,
            q.PowerQuestion: self.turn,
            q.IdleQuestion: self.idle,
            q.WeldingQuestion: lambda _: Present(self.voltage, 0.0, 0.0),
            q.ReceiptQuestion: self.receipt,
            q.PausedQuestion: self.kept.take,
            q.PauseQuestion: self.kept.keep,
            **self.more,
        }

    def _wait(self, what: str) -> bool:
        """Whether it takes longer: `waits` times for each thing."""
        self._asked[what] = self._asked.get(what, 0) + 1
        return self._asked[what] <= self.waits

    def limits(self) -> StageLimits:
        back = 30_000.0 if self.bidirectional else 0.0
        if self.ac:
            return StageLimits(
                "AC", 22_000.0, 230.0, 32.0, 1_380.0, max_discharge_power=back / 3, phases=3
            )
        return StageLimits(
            "DC", 150_000.0, 920.0, 400.0, 100.0, 150.0, max_discharge_power=back, max_discharge_current=back / 400
        )

    def contract(self, question: q.ContractQuestion) -> q.ContractGiven:
        if self._wait("contract"):
            raise V2GPKIError("session.late", "the contract is still being made")
        self.given += 1
        left = self.contracts - self.given
        message = changed(
            no_contract(),
            ResponseCode="OK",
            Header=changed(HEADER, Signature=signature(bytes([self.given]) * 64)),
            RemainingContractCertificateChains=left,
        )
        return q.ContractGiven(codec.encode(message, "iso15118-20-common"), left)

    def schedules(self, question: q.SchedulesQuestion) -> SchedulesGiven:
        if self._wait("schedules"):
            return SchedulesGiven("ongoing")
        now = int(self.clock.now().timestamp())
        price = levels(now) if question.pricing == "levels" else tariff(now)
        if question.control == "dynamic":
            return SchedulesGiven(departure=7200.0, target_soc=0.8, price=price, go_to_pause=self.go_to_pause)
        power = PowerSchedule(now, (PowerSpan(3600, self.power), PowerSpan(82_800, self.power / 2)))
        back = PowerSchedule(now, (PowerSpan(86_400, 10_000.0),)) if question.bidirectional else None
        return SchedulesGiven(
            schedules=(
                Schedule(1, power, price, back, tariff(now) if back else None, signed=self.signed),
                Schedule(2, power, price, signed=self.signed),
            ),
            go_to_pause=self.go_to_pause,
        )

    def pre_charge(self, question: q.PreChargeQuestion) -> Present:
        self.voltage = min(question.voltage, self.voltage + 150.0)
        return Present(self.voltage, 0.1, 0.0)

    def contactor(self, question: q.ContactorQuestion) -> q.Done:
        self.closed = question.closed
        if not question.closed:
            self.voltage = 0.0
        return q.DONE

    def idle(self, _question: q.IdleQuestion) -> q.Done:
        self.idled.append(self.turns)
        return q.DONE

    def turn(self, question: q.PowerQuestion) -> q.Delivery:
        self.targets.append(question)
        self.turns += 1
        wanted = question.setpoint
        power = wanted.power if question.control == "scheduled" else min(wanted.power, 40_000.0)
        volts = wanted.voltage or 230.0
        self.energy += max(0.0, power) / 3600
        control = self.wishes.get(self.turns, Control())
        reading = Reading("METER1", round(self.energy), round(self.energy / 7), at=int(self.clock.now().timestamp()))
        return q.Delivery(Present(volts, power / volts, power), self.limits(), control, reading)

    def receipt(self, question: q.ReceiptQuestion) -> q.Done:
        self.receipts.append(question.reading)
        return q.DONE


@dataclass
class VehicleWorld:
    """Answers in the vehicle; `steps` are what it does by turn of the loop, else it stops after `most` turns."""

    ac: bool = False
    bidirectional: bool = False
    control: str = "scheduled"
    method: str = "pnc"
    install: bool = False
    most: int = 5
    steps: dict[int, Step] = field(default_factory=dict)
    discharge: bool = False
    turns: int = 0
    installed: list[bytes] = field(default_factory=list)
    delivered: list[Any] = field(default_factory=list)
    wished: list[str] = field(default_factory=list)
    confirmed: list[Reading] = field(default_factory=list)
    offered: list[Any] = field(default_factory=list)
    connected: bool = False
    kept: Kept = field(default_factory=Kept)
    more: dict[type, Callable[[Any], object]] = field(default_factory=dict)

    def answers(self) -> dict[type, Callable[[Any], object]]:
        return {
            q.SignatureQuestion: check,
            q.SigningQuestion: sign,
            q.MethodQuestion: self.choose_method,
            q.ContractChoiceQuestion: lambda _: q.Contract("DEABCC12345678", CHAIN),
            q.InstallationRequestQuestion: self.request,
            q.InstalledQuestion: self.keep,
            q.ServiceQuestion: self.service,
            q.VehicleLimitsQuestion: lambda _: self.limits(),
            q.NeedsQuestion: lambda _: Needs(20_000.0, 30_000.0, 1_000.0, departure=7200.0, target_soc=0.8),
            q.StateQuestion: lambda _: VehicleState(0.4, 400.0, power=4_000.0 if self.ac else 0.0),
            q.EnergyOfferQuestion: lambda _: None,
            q.ConsentQuestion: self.consent,
            q.ConnectQuestion: self.connect,
            q.DemandQuestion: self.demand,
            q.StepQuestion: self.step,
            q.MeteringQuestion: self.meter,
            q.PauseQuestion: self.kept.keep,
            **self.more,
        }

    def choose_method(self, question: q.MethodQuestion) -> q.MethodChoice:
        left = [one for one in question.methods if one not in question.failed]
        chosen = self.method if self.method in left else left[0]
        return q.MethodChoice("pnc" if chosen == "pnc" else "eim", install=self.install and question.installable)

    def request(self, question: q.InstallationRequestQuestion) -> Message:
        roots = cm.ListOfRootCertificateIDsType(
            RootCertificateID=(X509IssuerSerialType(X509IssuerName="CN=V2G", X509SerialNumber=7),)
        )
        return cm.CertificateInstallationReq(
            Header=changed(HEADER, Signature=signature(b"oem" * 20)),
            OEMProvisioningCertificateChain=cm.SignedCertificateChainType(Id="id1", Certificate=b"oem leaf"),
            ListOfRootCertificateIDs=roots,
            MaximumContractCertificateChains=3 - len(self.installed),
        )

    def keep(self, question: q.InstalledQuestion) -> q.Done:
        self.installed.append(question.exi)
        return q.DONE

    def service(self, question: q.ServiceQuestion) -> ServiceChoice:
        for service in question.offer.services:
            for one in service.variants:
                if one.control == self.control:
                    return ServiceChoice("pnc" if self.method == "pnc" else "eim", service, one)
        raise V2GPKIError("vehicle.no_service", "nothing fits")

    def limits(self) -> VehicleLimits:
        back = 10_000.0 if self.bidirectional else 0.0
        if self.ac:
            return VehicleLimits("AC", 11_000.0, 230.0, 16.0, 1_380.0, max_discharge_power=back)
        return VehicleLimits(
            "DC", 100_000.0, 450.0, 300.0, 500.0, 300.0, max_discharge_power=back, max_discharge_current=back / 400
        )

    def consent(self, question: q.ConsentQuestion) -> ScheduleChoice:
        self.offered.append(question.offered)
        number = question.offered.schedules[0].identifier if question.offered.schedules else 0
        return ScheduleChoice(number, channel="discharge" if self.discharge else "charge")

    def connect(self, question: q.ConnectQuestion) -> q.Done:
        self.connected = question.closed
        return q.DONE

    def demand(self, question: q.DemandQuestion) -> Demand:
        self.delivered.append(question.delivered)
        power = -8_000.0 if self.discharge else 40_000.0
        return Demand(power, 400.0, power / 400)

    def step(self, question: q.StepQuestion) -> Step:
        self.turns += 1
        self.wished.append(question.wish)
        if self.turns in self.steps:
            return self.steps[self.turns]
        return Step("stop" if self.turns > self.most else "go_on")

    def meter(self, question: q.MeteringQuestion) -> bool:
        self.confirmed.append(question.reading)
        return True


def counter(start: int = 1) -> Callable[[int], bytes]:
    """Randomness that counts: never the same, never all the same octet."""
    numbers = itertools.count(start)
    return lambda octets: (b"\xa5" * octets + next(numbers).to_bytes(4, "big"))[-octets:]


def station_script(
    settings: StationSettings, secured: Secured | None = STATION, randomness: Callable[[int], bytes] | None = None
) -> Callable[[Engine], Steps[Ending]]:
    def script(engine: Engine) -> Steps[Ending]:
        spoken = [handshake.ISO20_DC, handshake.ISO20_AC]
        allowed = handshake.allowed(spoken, secured, lab=settings.lab)
        chosen = yield from handshake.choose(engine, allowed, within=20)
        random = randomness or counter()
        return (yield from ISO20Station(engine, settings, secured, random, chosen.transfer).run())

    return script


def vehicle_script(
    settings: VehicleSettings, secured: Secured | None = VEHICLE, *, ac: bool = False
) -> Callable[[Engine], Steps[Ending]]:
    def script(engine: Engine) -> Steps[Ending]:
        spoken = [handshake.ISO20_AC if ac else handshake.ISO20_DC]
        chosen = yield from handshake.propose(engine, spoken, within=2)
        return (yield from ISO20Vehicle(engine, settings, secured, chosen.transfer).run())

    return script


@dataclass
class Meeting:
    """A station and a vehicle that meet."""

    ac: bool = False
    bidirectional: bool = False
    control: str = "scheduled"
    method: str = "pnc"
    station: StationSettings | None = None
    vehicle: VehicleSettings | None = None
    station_secured: Secured | None = STATION
    vehicle_secured: Secured | None = VEHICLE
    clock: TestClock = field(default_factory=TestClock)
    station_world: StationWorld = field(init=False)
    vehicle_world: VehicleWorld = field(init=False)
    secc: Side = field(init=False)
    evcc: Side = field(init=False)

    def __post_init__(self) -> None:
        self.station = self.station or StationSettings(offer(ac=self.ac, bidirectional=self.bidirectional))
        self.vehicle = self.vehicle or VehicleSettings("WMIV1234567890ABCDEX")
        self.station_world = StationWorld(self.clock, self.ac, self.bidirectional)
        self.vehicle_world = VehicleWorld(self.ac, self.bidirectional, self.control, self.method)

    def sides(self) -> tuple[Side, Side]:
        """Both engines with their answers, not started."""
        assert self.station is not None
        assert self.vehicle is not None
        station = station_script(self.station, self.station_secured)
        vehicle = vehicle_script(self.vehicle, self.vehicle_secured, ac=self.ac)
        self.secc = Side(Engine(station, clock=self.clock), self.station_world.answers())
        self.evcc = Side(Engine(vehicle, clock=self.clock), self.vehicle_world.answers())
        return self.secc, self.evcc

    def run(self, piece: int = 0) -> Meeting:
        """The whole session."""
        join(*self.sides(), step=0.001, piece=piece)
        return self

    @property
    def session_id(self) -> bytes:
        """The session id that the station gave."""
        for notice in self.evcc.notices:
            if isinstance(notice, Exchanged) and isinstance(notice.message, cm.SessionSetupRes):
                return notice.message.Header.SessionID
        raise AssertionError("no session began")

    def in_table(self) -> None:
        """Both sides went through the same states, each step a row of the table."""
        assert self.secc.states() == self.evcc.states()
        for notice in self.secc.notices + self.evcc.notices:
            if isinstance(notice, Moved):
                assert notice.then in FLOW.after(notice.state, notice.request)

    def endings(self) -> tuple[str, str]:
        """How it ended: kinds, with the code of a problem after a colon."""
        return told(self.secc), told(self.evcc)


def told(side: Side) -> str:
    """How a side ended."""
    ending = side.engine.ending
    if ending is None:
        return "not at all"
    return ending.kind if ending.problem is None else f"{ending.kind}:{ending.problem.code}"


def sent(meeting: Meeting, kind: type[MessageT]) -> list[MessageT]:
    """The messages of a kind that came over the wire, as the other side read them."""
    both = meeting.secc.notices + meeting.evcc.notices
    return [n.message for n in both if isinstance(n, Exchanged) and not n.sent and isinstance(n.message, kind)]


def later(clock: TestClock, seconds: float) -> None:
    """Let time pass on the wall."""
    clock.moment += timedelta(seconds=seconds)
