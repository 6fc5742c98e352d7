"""What an engine asks its driver, and the values that go to and fro. Units: V, A, W, Wh, seconds; power out of the
vehicle is negative. The engine never signs, verifies, decrypts, trusts or charges: that is what these are for.

A question says what its reply is (`takes`). The driver answers with that (`Engine.answer`), or refuses with a
``V2GPKIError`` whose row in ``errors.CODES`` has the ResponseCode that the vehicle hears.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Generic, Literal, TypeVar

from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature

ReplyT_co = TypeVar("ReplyT_co", covariant=True)
Method = Literal["pnc", "eim"]
Current = Literal["ac", "dc"]


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
    ``chain.*``."""

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
    """Whether charging may begin. ``response_code``: what the vehicle hears instead of the usual one."""

    status: Literal["accepted", "ongoing", "rejected"]
    response_code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuthorizationQuestion(Question[Decision]):
    """SECC: may this vehicle charge? Asked again while the decision is "ongoing"."""

    takes = Decision
    method: Method
    emaid: str
    chain: tuple[bytes, ...]
    evcc_id: str
    session_id: bytes


@dataclass(frozen=True, slots=True)
class ContractGiven:
    """A CertificateInstallationRes or CertificateUpdateRes, EXI unchanged; ``remaining`` contracts can still be had."""

    exi: bytes
    remaining: int = 0


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


# --- power ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What one side can do. Powers in W, currents in A (per phase in AC), voltages in V, ``energy`` in Wh the vehicle
    wants. ``discharge_*`` are magnitudes; 0 means no transfer out of the vehicle."""

    max_power: float
    max_current: float
    max_voltage: float
    min_power: float = 0.0
    min_current: float = 0.0
    min_voltage: float = 0.0
    discharge_power: float = 0.0
    discharge_min_power: float = 0.0
    discharge_current: float = 0.0
    nominal_voltage: float = 0.0
    phases: int = 1
    ripple: float = 0.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What the vehicle wants: Wh to take (negative target: to give), until when (seconds from now, 0 unknown), state of
    charge in percent."""

    energy: float
    max_energy: float = 0.0
    min_energy: float = 0.0
    departure: float = 0.0
    state_of_charge: int = 0
    target_state_of_charge: int = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter's registers in Wh; ``signature`` (64 octets at most) is the meter's own, ``at`` Unix seconds."""

    meter_id: str
    imported: float
    exported: float = 0.0
    at: int = 0
    status: int = 0
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` seconds after now for ``duration``: so much power in W at most, at ``price`` (in the currency's
    1/1000 per kWh, None: not said)."""

    start: float
    duration: float
    power: float
    price: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """One offer of the station (or choice of the vehicle): its number, its periods, and the tariff's name and currency;
    ``tariff`` "" offers none."""

    number: int
    periods: tuple[Period, ...]
    tariff: str = ""
    currency: str = "EUR"
    discharge: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class StationLimitsQuestion(Question[Limits]):
    """SECC: what the outlet can do for this kind of transfer."""

    takes = Limits
    current: Current
    bidirectional: bool
    vehicle: Limits | None = None


@dataclass(frozen=True, slots=True)
class SchedulesQuestion(Question["tuple[Schedule, ...]"]):
    """SECC: the schedules on offer; () means "not yet", the vehicle is asked to come again."""

    takes = tuple
    needs: Needs
    vehicle: Limits
    current: Current
    maximum: int


@dataclass(frozen=True, slots=True)
class Processed:
    """Whether a step of the hardware is finished."""

    finished: bool


@dataclass(frozen=True, slots=True)
class CableCheckQuestion(Question[Processed]):
    """SECC: isolation check, asked again until it is finished."""

    takes = Processed


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What the vehicle asks for: V, A, W; power and current negative for discharging; ``at_most`` what the schedule or
    its limits allow."""

    voltage: float
    current: float
    power: float
    maximum: Limits | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What flows now, and what the station wants next. ``reading`` None: not read out this time; ``receipt`` asks the
    vehicle for a metering receipt (-2) or confirmation (-20)."""

    voltage: float
    current: float
    power: float
    current_limited: bool = False
    voltage_limited: bool = False
    power_limited: bool = False
    reading: Reading | None = None
    receipt: bool = False
    notification: Literal["", "stop", "pause", "renegotiate", "service"] = ""
    delay: int = 0
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class PreChargeQuestion(Question[Present]):
    """SECC: bring the outlet to this voltage."""

    takes = Present
    target: Setpoint


@dataclass(frozen=True, slots=True)
class ContactorQuestion(Question[Done]):
    """SECC: close or open. ``schedule`` is what the vehicle chose. Refused with ``station.contactor``."""

    takes = Done
    closed: bool
    schedule: int = 0
    profile: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerQuestion(Question[Present]):
    """SECC: one turn of the charging loop. ``target`` None: AC of -2, where the vehicle takes what it wants."""

    takes = Present
    target: Setpoint | None
    state_of_charge: int = 0


@dataclass(frozen=True, slots=True)
class WeldingQuestion(Question[Present]):
    """SECC: the voltage at the outlet after the contactors have opened."""

    takes = Present


@dataclass(frozen=True, slots=True)
class VehicleLimitsQuestion(Question[Limits]):
    """EVCC: what the vehicle can do for this kind of transfer."""

    takes = Limits
    current: Current
    bidirectional: bool


@dataclass(frozen=True, slots=True)
class NeedsQuestion(Question[Needs]):
    """EVCC: what the vehicle wants now."""

    takes = Needs


@dataclass(frozen=True, slots=True)
class Choice:
    """The schedule that the vehicle takes, and its profile within it."""

    number: int
    profile: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentQuestion(Question[Choice]):
    """EVCC: which of these schedules; refused when none will do. ``signed``: the prices' signature holds."""

    takes = Choice
    schedules: tuple[Schedule, ...]
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What the vehicle does in the next turn of the loop. ``intent``: go on, stop, pause the session, ask for another
    schedule."""

    setpoint: Setpoint
    state_of_charge: int
    complete: bool = False
    remaining_seconds: float = 0.0
    intent: Literal["go_on", "stop", "pause", "renegotiate"] = "go_on"


@dataclass(frozen=True, slots=True)
class WishQuestion(Question[Wish]):
    """EVCC: the next turn, after what flowed in the last (None: the first). ``notification`` is what the station
    wants."""

    takes = Wish
    present: Present | None
    limits: Limits
    notification: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptQuestion(Question[Done]):
    """Both: a metering receipt or confirmation has been made or has come; refused when the reading is not the one."""

    takes = Done
    reading: Reading
    at: datetime | None = None
    extras: dict[str, str] = field(default_factory=dict)
