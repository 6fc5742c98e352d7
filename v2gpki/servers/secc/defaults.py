"""A station out of the box: a power stage that simulates, an authoriser by list, tariffs, an operator with a plan.

Each is one of ``servers.secc.plugins``, over ``energy``; contracts of a home are in ``servers/secc/contracts``. Nothing
here talks to hardware or to a CSMS: what is simulated is said so by its name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from v2gpki import identifiers
from v2gpki.energy.cost import receipt
from v2gpki.energy.offer import EnergyService, Method, Notification, Offer, Variant
from v2gpki.energy.quantities import Current, IsolationState, Present, Reading, Setpoint, StageLimits
from v2gpki.energy.schedule import PowerSchedule, PowerSpan, Pricing, Schedule
from v2gpki.energy.stage import Stage
from v2gpki.energy.steering import Control, SchedulesGiven
from v2gpki.energy.tariff import Receipt, Tariff
from v2gpki.errors import V2GPKIError
from v2gpki.servers.pace import Pace
from v2gpki.servers.secc.plugins import Asked, Charging, Decision, ScheduleAsked

_DAY = 86_400
_VOLTS = 230.0
#: Sessions that an operator remembers.
_REMEMBERED = 1_000


# --- what it is -----------------------------------------------------------------------------------------------------


def limits_of(current: Current, power: float, *, phases: int = 3, discharge: float = 0.0) -> StageLimits:
    """A stage of ``power`` W that gives back ``discharge`` W: AC at 230 V, DC from 150 to 920 V with at most 500 A."""
    if current == "AC":
        amperes = power / (_VOLTS * phases)
        back = discharge / (_VOLTS * phases)
        return StageLimits(
            "AC", power, _VOLTS, amperes, phases=phases, max_discharge_power=discharge, max_discharge_current=back
        )
    return StageLimits(
        "DC",
        power,
        max_voltage=920.0,
        max_current=min(500.0, power / 150.0),
        min_voltage=150.0,
        phases=1,
        max_discharge_power=discharge,
        max_discharge_current=min(500.0, discharge / 150.0),
        current_tolerance=1.0,
    )


def offer_of(
    limits: StageLimits, evse_id: str, *, methods: Sequence[Method] = ("pnc", "eim"), priced: bool = False
) -> Offer:
    """What a station with this stage offers: scheduled and dynamic control, one way and both if it can.

    ``priced``: scheduled control has absolute prices (-20).
    """
    connector: Literal["single_phase", "three_phase", "extended"] = "extended"
    if limits.current == "AC":
        connector = "three_phase" if limits.phases == 3 else "single_phase"
    variants = (
        Variant(connector, 1, pricing="absolute" if priced else "none", nominal_voltage=limits.nominal_voltage),
        Variant(connector, 2, control="dynamic", nominal_voltage=limits.nominal_voltage),
    )
    services = [EnergyService(limits.current, variants)]
    if limits.bidirectional:
        services.append(EnergyService(limits.current, variants, bidirectional=True))
    return Offer(evse_id, tuple(services), tuple(methods))


# --- power ----------------------------------------------------------------------------------------------------------


class SimulatedStage:
    """``PowerStage`` over ``energy.stage.Stage``, in the time of a ``Pace`` (start the stage at 0)."""

    def __init__(self, stage: Stage, pace: Pace | None = None) -> None:
        self.stage = stage
        self._pace = pace or Pace()

    async def limits(self) -> StageLimits:
        """The stage's own."""
        return self.stage.limits

    async def cable_check(self) -> IsolationState:
        """As the stage's facts say."""
        return self._now().check_isolation()

    async def precharge(self, voltage: float, current: float) -> Present:
        """Along the stage's ramp; no current flows into an open contactor, whatever ``current`` allows."""
        del current
        return self._now().precharge(voltage)

    async def close(self) -> None:
        """Raises ``station.contactor``."""
        self._now().close()

    async def open(self) -> None:
        """Raises ``station.contactor``."""
        self._now().open()

    async def deliver(self, setpoint: Setpoint) -> Present:
        """Follow it from now on."""
        return self._now().deliver(setpoint)

    async def present(self) -> Present:
        """What is at the output."""
        return self._now().present()

    async def meter(self) -> Reading:
        """The registers, in the time of the pace."""
        return self._now().meter.read(self._pace.unix())

    def _now(self) -> Stage:
        self.stage.advance(max(self._pace.seconds(), self.stage.at))
        return self.stage


# --- who may charge -------------------------------------------------------------------------------------------------


class ListedAuthoriser:
    """``Authoriser`` by list: contracts whose chain holds and whose EMAID is on it, and whoever pays at the station.

    ``emaids`` None: all of them, () none; ``eim`` False: nobody at the station. "ongoing" is said ``ongoing`` times
    first, as by a CSMS that takes its time.
    """

    def __init__(self, emaids: Iterable[str] | None = None, *, eim: bool = True, ongoing: int = 0) -> None:
        """Raises ``identifier.invalid``."""
        self._keys = None if emaids is None else frozenset(_key(emaid) for emaid in emaids)
        self._eim = eim
        self._ongoing = ongoing

    async def authorise(self, asked: Asked) -> Decision:
        """The verdict on the chain comes first: nobody is accepted, or asked to wait, against it."""
        if asked.method == "pnc" and asked.verdict is not None:
            return Decision("rejected", reason=asked.verdict.message, problem=asked.verdict)
        if asked.attempt < self._ongoing:
            return Decision("ongoing", customer=asked.method == "eim")
        if (problem := self._problem(asked)) is not None:
            return Decision("rejected", reason=problem.message, problem=problem)
        return Decision("accepted")

    def _problem(self, asked: Asked) -> V2GPKIError | None:
        if asked.method == "eim":
            if self._eim:
                return None
            return V2GPKIError(
                "authorisation.no_eim", "nobody may pay at this station", hint="charge with a contract, or allow eim"
            )
        if self._keys is None or _known(asked.emaid, self._keys):
            return None
        return V2GPKIError(
            "authorisation.not_listed",
            f"the contract {asked.emaid[:40]!r} is not on this station's list",
            hint="add its EMAID to the list",
            facts={"emaid": asked.emaid},
        )


def _key(emaid: str) -> str:
    return identifiers.parse("emaid", emaid).parts["key"]


def _known(emaid: str, keys: frozenset[str]) -> bool:
    try:
        return _key(emaid) in keys
    except V2GPKIError:
        return False


# --- schedules and prices -------------------------------------------------------------------------------------------


class StockTariffs:
    """``Tariffs``: the stage's power for a day, or until the vehicle leaves, at the prices of one ``tariff`` (None: no
    prices).

    ``signed``: the prices are to be signed by the mobility operator. ``eco`` adds a second schedule, with half the
    power.
    """

    def __init__(self, tariff: Tariff | None = None, *, signed: bool = False, eco: bool = False) -> None:
        self._tariff = tariff
        self._signed = signed
        self._eco = eco

    async def schedules(self, asked: ScheduleAsked) -> SchedulesGiven:
        """At once; the tariff is cut where the session begins."""
        if asked.control == "dynamic":
            needs = asked.needs
            return SchedulesGiven(
                departure=needs.departure,
                minimum_soc=needs.minimum_soc,
                target_soc=needs.target_soc,
                price=self._price(asked),
            )
        schedules = [self._schedule(1, asked, 1.0)]
        if self._eco:
            schedules.append(self._schedule(2, asked, 0.5))
        return SchedulesGiven(schedules=tuple(schedules))

    async def receipt(self, session_id: bytes, readings: tuple[Reading, ...]) -> Receipt | None:
        """The costs of the readings; None without a tariff or without times."""
        del session_id
        if self._tariff is None or not readings or any(reading.at is None for reading in readings):
            return None
        return receipt(self._tariff, readings)

    def _schedule(self, identifier: int, asked: ScheduleAsked, part: float) -> Schedule:
        seconds = max(_DAY, int(asked.needs.departure or 0))
        both = asked.bidirectional and asked.stage.bidirectional
        price = self._price(asked)
        return Schedule(
            identifier,
            PowerSchedule(asked.now, (PowerSpan(seconds, asked.stage.max_charge_power * part),)),
            price,
            PowerSchedule(asked.now, (PowerSpan(seconds, asked.stage.max_discharge_power * part),)) if both else None,
            price if both else None,
            signed=self._signed and price is not None,
        )

    def _price(self, asked: ScheduleAsked) -> Pricing | None:
        """-2 has one kind of tariff; -20 that of the parameter set that was selected."""
        if self._tariff is None or (asked.edition != "iso15118-2" and asked.pricing == "none"):
            return None
        tariff = self._tariff.since(asked.now)
        return tariff.levels() if asked.pricing == "levels" else tariff


# --- running the outlet ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Planned:
    """From ``after`` seconds of charging on the station wants this; "stop" and "pause" until they are followed, others
    once.
    """

    after: float
    notification: Notification
    within: int = 0


class StockOperator:
    """``Operator`` with a plan: the power that is to flow, notifications at their times, a receipt every so many Wh.

    ``power`` W (negative: out of the vehicle) is the target of dynamic control and a bound in AC; ``receipt_every`` 0
    never asks. ``most_energy`` Wh into the vehicle and the session is stopped.
    """

    def __init__(
        self,
        *,
        power: float | None = None,
        plan: Sequence[Planned] = (),
        receipt_every: float = 0.0,
        most_energy: float | None = None,
    ) -> None:
        self.power = power
        self._plan = tuple(plan)
        self._receipt_every = receipt_every
        self._most_energy = most_energy
        #: By session: the first reading, and which parts of the plan were said.
        self._sessions: OrderedDict[bytes, tuple[float, set[int]]] = OrderedDict()

    async def control(self, charging: Charging) -> Control:
        """The next notification of the plan that is due."""
        begun, said = self._session(charging)
        notification, within = self._due(charging.seconds, said)
        if self._most_energy is not None and charging.reading.imported - begun >= self._most_energy:
            notification, within = "stop", 0
        wants_receipt = 0 < self._receipt_every <= charging.since_receipt
        return Control(notification, within, power=self.power, receipt=wants_receipt)

    def _session(self, charging: Charging) -> tuple[float, set[int]]:
        found = self._sessions.setdefault(charging.session_id, (charging.reading.imported, set()))
        while len(self._sessions) > _REMEMBERED:
            self._sessions.popitem(last=False)
        return found

    def _due(self, seconds: float, said: set[int]) -> tuple[Notification, int]:
        for number, planned in enumerate(self._plan):
            if number in said or seconds < planned.after:
                continue
            if planned.notification not in ("stop", "pause"):
                said.add(number)
            return planned.notification, planned.within
        return "", 0
