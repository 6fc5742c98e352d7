"""What a station is made of: protocols that its vendor, its operator or a CSMS fills in. No message class is seen here.

Every method is a coroutine; ``servers.in_thread`` makes one of a plain function. A question is waited for no longer
than the vehicle waits for its response: who needs longer says "ongoing" and is asked again. A plug-in that cannot
answer raises ``V2GPKIError``; the vehicle gets the refusal of its code. Units as in ``energy.quantities``. Stock
implementations: ``servers/secc/defaults``. Clauses: ISO 15118-2 8.4, 8.5; ISO 15118-20 8.3.4; OCPP 2.0.1 C07, M01.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from v2gpki.energy.offer import Method, Offer
from v2gpki.energy.quantities import (
    IsolationState,
    Needs,
    Present,
    Reading,
    Setpoint,
    StageLimits,
    VehicleLimits,
    VehicleState,
)
from v2gpki.energy.schedule import ControlMode, EnergyOffer
from v2gpki.energy.steering import Control, SchedulesGiven
from v2gpki.energy.tariff import Receipt
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import HashData
from v2gpki.pnc.algorithms import Edition
from v2gpki.session.notices import Notice

# --- who may charge -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to charge.

    ``method`` "pnc": ``emaid``, ``chain`` (DER, leaf first, without root), ``hash_data`` (of each certificate of it
    whose issuer is known; for OCPP's Authorize) and ``verdict``, what our own roots say of the chain: None, it holds.
    The challenge is signed with that contract, or nobody is asked. "eim": all of them are empty. ``session_id`` 8
    octets, ``evcc_id`` as the vehicle says it (-2: MAC in hex). ``attempt`` counts from 0 within a session, since
    "ongoing" is asked again.
    """

    method: Method
    edition: Edition
    session_id: bytes
    evcc_id: str
    emaid: str = ""
    chain: tuple[bytes, ...] = ()
    hash_data: tuple[HashData, ...] = ()
    verdict: V2GPKIError | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether they may.

    ``response_code`` is the ResponseCode that the vehicle is told instead of the usual one; "" lets ``problem`` say it,
    or the edition's own. ``customer`` with "ongoing": somebody at the station has to do something first. ``reason``
    goes to log and summary, not to the vehicle.
    """

    status: Literal["accepted", "ongoing", "rejected"]
    response_code: str = ""
    reason: str = ""
    customer: bool = False
    problem: V2GPKIError | None = None


class Authoriser(Protocol):
    """Decides who may charge: a list, a card reader, a CSMS.

    >>> import asyncio
    >>> class Fleet:
    ...     async def authorise(self, asked: Asked) -> Decision:
    ...         if asked.verdict is not None:
    ...             return Decision("rejected", problem=asked.verdict)
    ...         return Decision("accepted" if asked.emaid.startswith("DEABC") else "rejected")
    >>> fleet: Authoriser = Fleet()
    >>> asked = Asked("pnc", "iso15118-2", bytes(8), "00AA11BB22CC", emaid="DEABCC12345678")
    >>> asyncio.run(fleet.authorise(asked)).status
    'accepted'
    """

    async def authorise(self, asked: Asked) -> Decision:
        """The decision; asked again some moments after "ongoing", for as long as the edition lets the vehicle wait."""
        ...


# --- contracts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContractAsked:
    """A CertificateInstallationReq or CertificateUpdateReq: its octets as they came, ``schema`` their namespace.

    An answer after ``deadline_seconds`` comes too late. ``maximum_contracts`` None: what the request says.
    """

    exi: bytes = field(repr=False)
    edition: Edition
    action: Literal["install", "update"]
    schema: str
    deadline_seconds: float = 4.5
    maximum_contracts: int | None = None
    evse_id: str = ""


@dataclass(frozen=True, slots=True)
class ContractGiven:
    """The response for the vehicle: ``exi`` goes out unchanged but for the session id that it must bear.

    "failed" with ``exi`` is a refusal that was worded elsewhere; without, the station words it from ``problem``.
    "ongoing" (-20 only) is asked again. ``remaining`` counts contracts that the same request can still get.
    """

    status: Literal["accepted", "failed", "ongoing"]
    exi: bytes = field(default=b"", repr=False)
    remaining: int = 0
    reason: str = ""
    emaid: str = ""
    problem: V2GPKIError | None = None


class ContractProvider(Protocol):
    """Gets contracts for vehicles: from a home beside the station, from a CSMS (OCPP Get15118EVCertificate), from a
    pool.

    >>> import asyncio
    >>> class Nobody:
    ...     async def contract(self, asked: ContractAsked) -> ContractGiven:
    ...         return ContractGiven("failed", reason=f"no {asked.action} here")
    >>> nobody: ContractProvider = Nobody()
    >>> asyncio.run(nobody.contract(ContractAsked(b"", "iso15118-2", "install", "urn:iso:15118:2:2013:MsgDef"))).reason
    'no install here'
    """

    async def contract(self, asked: ContractAsked) -> ContractGiven:
        """The response, within the deadline."""
        ...


# --- power ----------------------------------------------------------------------------------------------------------


class PowerStage(Protocol):
    """The power electronics, contactors and meter of one outlet.

    >>> import asyncio
    >>> class Wallbox:  # AC: no cable check and no precharge
    ...     async def limits(self) -> StageLimits:
    ...         return StageLimits("AC", max_charge_power=11_000, max_voltage=230, max_current=16)
    ...     async def cable_check(self) -> IsolationState:
    ...         return "no_imd"
    ...     async def precharge(self, voltage: float, current: float) -> Present:
    ...         return await self.present()
    ...     async def close(self) -> None: ...
    ...     async def open(self) -> None: ...
    ...     async def deliver(self, setpoint: Setpoint) -> Present:
    ...         power = min(setpoint.power, 11_000.0)
    ...         return Present(230, power / 690, power, power_limited=power < setpoint.power)
    ...     async def present(self) -> Present:
    ...         return Present(230, 0, 0)
    ...     async def meter(self) -> Reading:
    ...         return Reading("M-1", imported=1_234_500)
    >>> wallbox: PowerStage = Wallbox()
    >>> asyncio.run(wallbox.deliver(Setpoint(22_000))).power_limited
    True
    """

    async def limits(self) -> StageLimits:
        """What the stage can do now; asked for anew in every round of charging, so they may change."""
        ...

    async def cable_check(self) -> IsolationState:
        """Begin the isolation check, or say how it went: "unknown" is still checking and asked again (DC)."""
        ...

    async def precharge(self, voltage: float, current: float) -> Present:
        """Bring the output to ``voltage`` with at most ``current``, before the vehicle closes its contactors (DC)."""
        ...

    async def close(self) -> None:
        """Close the contactors. Raises ``station.contactor`` when they do not."""
        ...

    async def open(self) -> None:
        """No more current, then open the contactors. Must succeed when they are open. Raises ``station.contactor``."""
        ...

    async def deliver(self, setpoint: Setpoint) -> Present:
        """Follow a setpoint; what flows now."""
        ...

    async def present(self) -> Present:
        """What is at the output now; in the welding detection its voltage must fall."""
        ...

    async def meter(self) -> Reading:
        """The meter's registers, with its signature if it signs itself."""
        ...


class MeterSigner(Protocol):
    """Signs readings for a meter that does not.

    >>> import asyncio, hashlib
    >>> class Digest:
    ...     async def sign(self, reading: Reading) -> bytes:
    ...         return hashlib.sha256(f"{reading.meter_id} {reading.imported:.0f}".encode()).digest()
    >>> meter: MeterSigner = Digest()
    >>> len(asyncio.run(meter.sign(Reading("M-1", 1000))))
    32
    """

    async def sign(self, reading: Reading) -> bytes:
        """The meter's signature of a reading, 1 to 64 octets; its form is the meter's."""
        ...


# --- schedules and prices -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScheduleAsked:
    """What schedules are to be made from; ``now`` in Unix seconds, ``most_entries`` of one schedule.

    ``renegotiation``: the session has a schedule already. ``vehicle_offer`` is energy that the vehicle would give back.
    """

    edition: Edition
    session_id: bytes
    now: int
    control: ControlMode
    method: Method
    emaid: str
    stage: StageLimits
    vehicle: VehicleLimits
    needs: Needs
    bidirectional: bool = False
    pricing: Literal["none", "absolute", "levels"] = "none"
    most_entries: int = 1024
    renegotiation: bool = False
    vehicle_offer: EnergyOffer | None = None
    attempt: int = 0


class Tariffs(Protocol):
    """Makes schedules with prices, and reckons what a session has cost.

    >>> import asyncio
    >>> from v2gpki.energy import Needs, PowerSchedule, PowerSpan, Schedule, StageLimits, VehicleLimits
    >>> class Flat:
    ...     async def schedules(self, asked: ScheduleAsked) -> SchedulesGiven:
    ...         power = PowerSchedule(asked.now, (PowerSpan(86_400, asked.stage.max_charge_power),))
    ...         return SchedulesGiven(schedules=(Schedule(1, power),))
    ...     async def receipt(self, session_id: bytes, readings: tuple[Reading, ...]) -> Receipt | None:
    ...         return None
    >>> flat: Tariffs = Flat()
    >>> limits, vehicle = StageLimits("AC", 11_000, 230, 16), VehicleLimits("AC", 7_400, 230, 32)
    >>> asked = ScheduleAsked("iso15118-2", bytes(8), 0, "scheduled", "eim", "", limits, vehicle, Needs(20_000, 30_000))
    >>> asyncio.run(flat.schedules(asked)).schedules[0].power.power_at(3600)
    11000
    """

    async def schedules(self, asked: ScheduleAsked) -> SchedulesGiven:
        """Schedules for a vehicle."""
        ...

    async def receipt(self, session_id: bytes, readings: tuple[Reading, ...]) -> Receipt | None:
        """What has been charged for so far; readings from the session's first to its newest. None: nothing to say."""
        ...


# --- running the session --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Charging:
    """Where a session is; ``setpoint`` is what the stage was told last, ``since_receipt`` Wh since the last receipt."""

    edition: Edition
    session_id: bytes
    evcc_id: str
    control: ControlMode
    emaid: str
    seconds: float
    limits: VehicleLimits | None
    vehicle: VehicleState | None
    needs: Needs | None
    present: Present
    reading: Reading
    setpoint: Setpoint | None = None
    since_receipt: float = 0.0


class Operator(Protocol):
    """Runs the outlet: stop, pause, renegotiate, load management. It is asked in every round of charging.

    >>> import asyncio
    >>> class HalfAnHour:
    ...     async def control(self, charging: Charging) -> Control:
    ...         return Control(notification="stop") if charging.seconds > 1800 else Control(power=5_000)
    >>> operator: Operator = HalfAnHour()
    >>> present, reading = Present(230, 0, 0), Reading("M-1", 0)
    >>> here = Charging("iso15118-2", bytes(8), "", "scheduled", "", 1801, None, None, None, present, reading)
    >>> asyncio.run(operator.control(here)).notification
    'stop'
    """

    async def control(self, charging: Charging) -> Control:
        """What the station wants now."""
        ...


class StationEvents(Protocol):
    """Is told what happened: every notice of the session's engine, in order.

    >>> import asyncio
    >>> from v2gpki.session.notices import Moved
    >>> class Kept(list):
    ...     async def happened(self, notice: Notice) -> None:
    ...         self.append(notice)
    >>> kept = Kept()
    >>> events: StationEvents = kept
    >>> asyncio.run(events.happened(Moved(at=0.0, state="begin", then="session", request="SessionSetupReq")))
    >>> kept[0].request
    'SessionSetupReq'
    """

    async def happened(self, notice: Notice) -> None:
        """What this raises is logged and changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class StationPlugins:
    """One outlet's plug-ins together; a driver gets one of these for each session."""

    offer: Offer
    authoriser: Authoriser
    stage: PowerStage
    tariffs: Tariffs
    operator: Operator
    contracts: ContractProvider | None = None
    meter_signer: MeterSigner | None = None
    events: StationEvents | None = None
