"""What an engine asks its driver. Values of power and price are those of `energy`; what is answered is what plug-ins of
station and vehicle give. The engine never signs, verifies, decrypts, trusts or charges: that is what these are for.

A question says what its reply is (`takes`). The driver answers with that (`Engine.answer`), or refuses with a
``V2GPKIError`` whose row in ``errors.CODES`` has the ResponseCode that the vehicle hears.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from v2gpki.energy.offer import Method, Notification, Offer, Variant
from v2gpki.energy.quantities import (
    Current,
    Demand,
    Needs,
    Present,
    Reading,
    Setpoint,
    StageLimits,
    VehicleLimits,
    VehicleState,
)
from v2gpki.energy.schedule import ControlMode, EnergyOffer, PowerSchedule
from v2gpki.energy.steering import (
    Control,
    Delivered,
    ScheduleChoice,
    SchedulesGiven,
    SchedulesOffered,
    ServiceChoice,
    Step,
)
from v2gpki.energy.tariff import Receipt
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature

ReplyT_co = TypeVar("ReplyT_co", covariant=True)


class Question(Generic[ReplyT_co]):
    """Base of all questions; ``takes`` is the type of the reply, or several."""

    __slots__ = ()
    takes: ClassVar[type | tuple[type, ...]] = object


class Done:
    """The reply that says no more than that it is done, or holds."""

    __slots__ = ()


DONE = Done()


class ExpiresSoon(Done):
    """The contract holds, but not for long: the vehicle hears OK_CertificateExpiresSoon."""

    __slots__ = ()

# --- trust and contracts --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContractChainQuestion(Question[Done]):
    """SECC: may this contract chain (leaf first, DER) be relied on? Refused with ``path.*``, ``role.*``,
    ``chain.*``. In -20 ``emaid`` is empty: the certificate has it."""

    takes = Done
    emaid: str
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignatureQuestion(Question[Done]):
    """Both: does the signature in this message hold? ``purpose`` is the message's or element's name, ``chain`` whose
    key signed (leaf first, () when the driver knows it), ``challenge`` what an AuthorizationReq must repeat."""

    takes = Done
    purpose: str
    message: Message
    chain: tuple[bytes, ...] = ()
    challenge: bytes = b""


@dataclass(frozen=True, slots=True)
class SigningQuestion(Question[Signature]):
    """Both: sign this message (or its signed element) for ``purpose``, with the key of ``emaid``'s contract, the
    vehicle's OEM key, the meter's or the tariff's, as the purpose says."""

    takes = Signature
    purpose: str
    message: Message
    emaid: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether charging may begin. ``response_code``: what the vehicle hears instead of the usual one; ``customer`` with
    "ongoing": somebody at the station has to do something first."""

    status: Literal["accepted", "ongoing", "rejected"]
    response_code: str = ""
    reason: str = ""
    customer: bool = False


@dataclass(frozen=True, slots=True)
class AuthorizationQuestion(Question[Decision]):
    """SECC: may this vehicle charge? Asked again while the decision is "ongoing"; ``attempt`` counts from 0."""

    takes = Decision
    method: Method
    emaid: str
    chain: tuple[bytes, ...]
    evcc_id: str
    session_id: bytes
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ContractGiven:
    """A CertificateInstallationRes or CertificateUpdateRes, EXI unchanged; ``remaining`` contracts can still be had.
    Without octets it is not ready: -20 has the vehicle ask again, -2 cannot. ``reason`` says for people here why the
    answer is a refusal."""

    exi: bytes
    remaining: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContractQuestion(Question[ContractGiven]):
    """SECC: the answer to this request (EXI as it came), within ``seconds``."""

    takes = ContractGiven
    exi: bytes
    action: Literal["install", "update"]
    seconds: float
    maximum_contracts: int = 1


@dataclass(frozen=True, slots=True)
class InstallationRequestQuestion(Question[Message]):
    """EVCC: the signed CertificateInstallationReq or CertificateUpdateReq to be sent (whole, with header)."""

    takes = Message
    action: Literal["install", "update"]
    session_id: bytes


@dataclass(frozen=True, slots=True)
class InstalledQuestion(Question[Done]):
    """EVCC: take the contract out of this answer (EXI as it came) and keep it, or refuse."""

    takes = Done
    exi: bytes
    action: Literal["install", "update"]


@dataclass(frozen=True, slots=True)
class Contract:
    """Which contract the vehicle pays with; chain leaf first, DER."""

    emaid: str
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ContractChoiceQuestion(Question["Contract | None"]):
    """EVCC: which contract, None for none. ``providers``: the only ones that the station takes (() all)."""

    takes = (Contract, type(None))
    providers: tuple[str, ...] = ()


# --- the station's power and prices ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StationLimitsQuestion(Question[StageLimits]):
    """SECC: what the outlet can do now for this kind of transfer."""

    takes = StageLimits
    current: Current
    bidirectional: bool = False


@dataclass(frozen=True, slots=True)
class SchedulesQuestion(Question[SchedulesGiven]):
    """SECC: schedules for this vehicle; asked again after "ongoing". Fields as in ``energy`` and ``secc.plugins``."""

    takes = SchedulesGiven
    control: ControlMode
    stage: StageLimits
    vehicle: VehicleLimits
    needs: Needs
    bidirectional: bool = False
    pricing: Literal["none", "absolute", "levels"] = "none"
    most_entries: int = 1024
    renegotiation: bool = False
    vehicle_offer: EnergyOffer | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class CableCheckQuestion(Question[str]):
    """SECC: how the isolation check stands (``energy.IsolationState``); "unknown" is still checking, asked again."""

    takes = str


@dataclass(frozen=True, slots=True)
class PreChargeQuestion(Question[Present]):
    """SECC: bring the output to this voltage, with this current at most."""

    takes = Present
    voltage: float
    current: float


@dataclass(frozen=True, slots=True)
class ContactorQuestion(Question[Done]):
    """SECC: close or open. ``schedule`` is what the vehicle chose (0: none). Refused with ``station.contactor``."""

    takes = Done
    closed: bool
    schedule: int = 0
    profile: PowerSchedule | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One turn of the charging loop at the station. ``reading`` None: not read out this time."""

    present: Present
    limits: StageLimits
    control: Control
    reading: Reading | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class PowerQuestion(Question[Delivery]):
    """SECC: one turn of the loop. ``setpoint``: what the vehicle asks for within what it was granted."""

    takes = Delivery
    setpoint: Setpoint
    control: ControlMode = "scheduled"
    vehicle: VehicleState | None = None
    limits: VehicleLimits | None = None
    needs: Needs | None = None
    granted: float | None = None


@dataclass(frozen=True, slots=True)
class IdleQuestion(Question[Done]):
    """SECC: from now on nothing flows; the contactors stay closed."""

    takes = Done


@dataclass(frozen=True, slots=True)
class WeldingQuestion(Question[Present]):
    """SECC: what is at the output after the contactors have opened."""

    takes = Present


@dataclass(frozen=True, slots=True)
class ReceiptQuestion(Question[Done]):
    """SECC: a metering receipt or confirmation for this reading has come and its signature holds; keep it."""

    takes = Done
    reading: Reading
    message: Message


# --- the vehicle ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """How the vehicle pays in -20, and whether it asks for contracts first."""

    method: Method
    install: bool = False


@dataclass(frozen=True, slots=True)
class MethodQuestion(Question[MethodChoice]):
    """EVCC: how to pay, which -20 asks before any service is known. ``failed``: ways that the station has refused
    already; ``installable`` False: it installs no contracts, or has done so now."""

    takes = MethodChoice
    methods: tuple[Method, ...]
    installable: bool
    providers: tuple[str, ...] = ()
    failed: tuple[Method, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceQuestion(Question[ServiceChoice]):
    """EVCC: what of this offer. ``secured``: contracts can be used on this connection at all."""

    takes = ServiceChoice
    offer: Offer
    secured: bool


@dataclass(frozen=True, slots=True)
class VehicleLimitsQuestion(Question[VehicleLimits]):
    """EVCC: what the vehicle can take and give back now, for this kind of transfer."""

    takes = VehicleLimits
    current: Current
    bidirectional: bool = False


@dataclass(frozen=True, slots=True)
class NeedsQuestion(Question[Needs]):
    """EVCC: what the vehicle wants now."""

    takes = Needs


@dataclass(frozen=True, slots=True)
class StateQuestion(Question[VehicleState]):
    """EVCC: what the vehicle is doing."""

    takes = VehicleState


@dataclass(frozen=True, slots=True)
class EnergyOfferQuestion(Question["EnergyOffer | None"]):
    """EVCC: energy to give back, and its price (-20, BPT); ``now`` in Unix seconds."""

    takes = (EnergyOffer, type(None))
    now: int
    needs: Needs


@dataclass(frozen=True, slots=True)
class ConsentQuestion(Question[ScheduleChoice]):
    """EVCC: which of these schedules; refused when none will do."""

    takes = ScheduleChoice
    offered: SchedulesOffered
    needs: Needs


@dataclass(frozen=True, slots=True)
class ConnectQuestion(Question[Done]):
    """EVCC: close or open the vehicle's own contactors. Refused with ``vehicle.contactor``."""

    takes = Done
    closed: bool


@dataclass(frozen=True, slots=True)
class DemandQuestion(Question[Demand]):
    """EVCC: take what is delivered; what to ask for next."""

    takes = Demand
    delivered: Delivered


@dataclass(frozen=True, slots=True)
class StepQuestion(Question[Step]):
    """EVCC: how it goes on; ``wish`` is what the station wants, within so many seconds."""

    takes = Step
    state: VehicleState
    wish: Notification = ""
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class MeteringQuestion(Question[bool]):
    """EVCC: whether to confirm this reading under the contract's signature; False ends the session in order."""

    takes = bool
    reading: Reading
    receipt: Receipt | None = None


# --- pauses ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paused:
    """What is kept of a paused session, at the outlet and in the vehicle. ``vehicle`` is the SHA-512 of the vehicle's
    TLS certificate (-20 binds the session to it; b"" in -2), ``service`` and ``parameter_set`` the numbers selected,
    ``variant`` what they mean, which a vehicle has to remember itself; ``transfer_mode`` and ``schedule`` are of -2."""

    session_id: bytes
    edition: str
    evcc_id: str = ""
    method: Method = "eim"
    emaid: str = ""
    chain: tuple[bytes, ...] = ()
    vehicle: bytes = b""
    service: int = 0
    parameter_set: int = 0
    variant: Variant | None = None
    transfer_mode: str = ""
    schedule: int = 0


@dataclass(frozen=True, slots=True)
class PausedQuestion(Question["Paused | None"]):
    """SECC: what this outlet keeps of the session with this id; None for nothing."""

    takes = (Paused, type(None))
    session_id: bytes
    edition: str


@dataclass(frozen=True, slots=True)
class PauseQuestion(Question[Done]):
    """Both: the session pauses; keep this until the vehicle comes back."""

    takes = Done
    paused: Paused
