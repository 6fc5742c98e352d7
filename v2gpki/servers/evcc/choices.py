"""A vehicle's choices out of the box: ``plugins.Consent`` by wishes, ``plugins.Pilot`` with a plan.

Refused are schedules that cost too much, prices that nobody signed where that is wanted, and meters that go back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from v2gpki.energy.offer import EnergyService, Method, Notification, Offer, Variant
from v2gpki.energy.quantities import Current, Needs, Reading, VehicleState
from v2gpki.energy.schedule import ControlMode, EnergyOffer, PowerSchedule, PowerSpan, Schedule
from v2gpki.energy.steering import ScheduleChoice, SchedulesOffered, ServiceChoice, Step
from v2gpki.energy.tariff import Receipt, Tariff
from v2gpki.errors import V2GPKIError
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.evcc.plugins import HeldContract, PaymentAsked
from v2gpki.servers.pace import Pace
from v2gpki.session.questions import MethodChoice

# --- choices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the driver wants. Ways and modes in the order of preference; ``install`` asks for a contract where there is
    none.

    ``most_price`` for 1 kWh; ``only_verified``: signed prices or none. ``tolerance``: what the vehicle says of a
    schedule's power tolerance, None nothing (-20; some stations want a word though they have none).
    """

    current: Current = "DC"
    bidirectional: bool = False
    methods: tuple[Method, ...] = ("pnc", "eim")
    controls: tuple[ControlMode, ...] = ("scheduled", "dynamic")
    install: Literal["never", "if_none", "always"] = "if_none"
    update: bool = False
    most_price: Decimal | None = None
    only_verified: bool = False
    tolerance: bool | None = None
    value_added: tuple[int, ...] = ()


class StockConsent:
    """``Consent`` by wishes: the first service and variant that fit, the schedule whose energy costs least.

    Readings are confirmed as long as the registers of one meter do not go back.
    """

    def __init__(self, wishes: Wishes | None = None) -> None:
        self.wishes = wishes or Wishes()
        #: The prices that were agreed to last, in money; None for none.
        self.agreed: Tariff | None = None
        self._read: dict[str, Reading] = {}

    async def payment(self, asked: PaymentAsked) -> MethodChoice:
        """With a contract, with one that is installed now, or at the station."""
        for method in self.wishes.methods:
            if method not in asked.methods or method in asked.failed:
                continue
            if method == "eim":
                return MethodChoice("eim")
            install = asked.installable and self._installs(asked.contract)
            if install or asked.contract is not None:
                return MethodChoice("pnc", install)
        raise _no_service(f"no way to pay is left of {list(asked.methods)}", "a contract, or eim among the wishes")

    async def service(self, offer: Offer, edition: Edition, contract: HeldContract | None) -> ServiceChoice:
        """Both ways if that is wished for and offered, else one way."""
        payment = await self.payment(PaymentAsked(edition, offer.methods, contract, offer.installation))
        service, variant = self._fitting(offer)
        return ServiceChoice(
            payment.method,
            service,
            variant,
            install=payment.install,
            update=payment.method == "pnc" and self.wishes.update and contract is not None and not payment.install,
            value_added=tuple(
                (added.identifier, next(iter(added.parameters), 0))
                for added in offer.value_added
                if added.identifier in self.wishes.value_added
            ),
        )

    async def schedule(self, offered: SchedulesOffered, needs: Needs) -> ScheduleChoice:
        """The cheapest one; among equals the one that is there first."""
        self.agreed = offered.price if isinstance(offered.price, Tariff) else None
        if offered.control == "dynamic":
            price = offered.price
            self._check(price if isinstance(price, Tariff) else None, verified=offered.verified or price is None)
            return ScheduleChoice(0)
        good = [schedule for schedule in offered.schedules if self._acceptable(schedule, offered)]
        if not good:
            raise V2GPKIError(
                "vehicle.no_consent",
                f"none of {len(offered.schedules)} schedules will do",
                hint="allow a higher price, or prices that nobody signed",
            )
        best = min(good, key=lambda schedule: _mean_price(schedule, offered.now, needs))
        self.agreed = best.price if isinstance(best.price, Tariff) else None
        return ScheduleChoice(best.identifier, _profile(best.power, offered.now), self.wishes.tolerance)

    async def metering(self, reading: Reading, receipt: Receipt | None) -> bool:
        """Whether the meter has gone forward."""
        del receipt
        before = self._read.get(reading.meter_id)
        if before is not None and (reading.imported < before.imported or reading.exported < before.exported):
            return False
        self._read[reading.meter_id] = reading
        return True

    async def energy_offer(self, now: int, needs: Needs) -> EnergyOffer | None:
        """None: it gives back what it is asked to, without a price of its own."""
        del now, needs
        return None

    # -- inside --------------------------------------------------------------------------------

    def _installs(self, contract: HeldContract | None) -> bool:
        return self.wishes.install == "always" or (self.wishes.install == "if_none" and contract is None)

    def _fitting(self, offer: Offer) -> tuple[EnergyService, Variant]:
        services = [service for service in offer.services if service.current == self.wishes.current]
        services.sort(key=lambda service: service.bidirectional != self.wishes.bidirectional)
        for service in services:
            for control in self.wishes.controls:
                for variant in service.variants:
                    if variant.control == control:
                        return service, variant
        raise _no_service(f"no service of {offer.evse_id} fits", f"the vehicle wants {self.wishes.current}")

    def _acceptable(self, schedule: Schedule, offered: SchedulesOffered) -> bool:
        try:
            price = schedule.price
            # Nobody has to sign that there is no price.
            self._check(price if isinstance(price, Tariff) else None, verified=offered.verified or price is None)
        except V2GPKIError:
            return False
        return True

    def _check(self, tariff: Tariff | None, *, verified: bool) -> None:
        wishes = self.wishes
        most = max((band.price for span in tariff.spans for band in span.charge), default=None) if tariff else None
        dear = most is not None and wishes.most_price is not None and most > wishes.most_price
        if dear or (wishes.only_verified and not verified):
            raise V2GPKIError(
                "vehicle.no_consent",
                f"1 kWh costs {most}" if dear else "nobody signed these prices",
                hint="allow a higher price, or prices that nobody signed",
            )


def _mean_price(schedule: Schedule, now: int, needs: Needs) -> Decimal:
    """What the wanted energy costs at the schedule's power, for each kWh; 0 without a tariff in money."""
    if not isinstance(schedule.price, Tariff):
        return Decimal(0)
    power = schedule.power.power_at(now)
    wanted = max(needs.target_energy, 1.0)
    seconds = int(wanted / power * 3600) + 1 if power > 0 else 1
    cost, at = Decimal(0), now
    while at < now + seconds:
        span, ends = schedule.price.span_at(at)
        until = int(min(ends, now + seconds))
        band = [band for band in span.charge if band.power_from <= power][-1]
        cost += band.price * (until - at)
        at = until
    return cost / seconds


def _profile(power: PowerSchedule, now: int) -> PowerSchedule:
    """The schedule's powers from now on, as a profile of -2 has them: 24 at most."""
    spans = power.spans[:24]
    return PowerSchedule(max(now, power.starts), tuple(PowerSpan(span.seconds, span.power) for span in spans))


def _no_service(what: str, hint: str) -> V2GPKIError:
    return V2GPKIError("vehicle.no_service", what, hint=hint, clause="ISO 15118-2 8.4.3.3, ISO 15118-20 8.3.4.4")


# --- the next step --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """After so many simulated seconds of charging the vehicle does this, once."""

    after: float
    step: Step


class StockPilot:
    """``Pilot``: charges until it is complete, follows what the station wants, and a plan of its own.

    ``most_seconds`` (simulated) of charging and it stops; ``ends`` "pause" makes every end of its own a pause.
    """

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        plan: Sequence[PlannedStep] = (),
        most_seconds: float = math.inf,
        ends: Literal["stop", "pause"] = "stop",
    ) -> None:
        self._pace = pace or Pace()
        self._plan = list(plan)
        self._most_seconds = most_seconds
        self._began: float | None = None
        self._ends: Literal["stop", "pause"] = ends
        self._told_to_stop = False

    def stop(self) -> None:
        """The driver wants to leave: the next step stops the session."""
        self._told_to_stop = True

    async def step(self, state: VehicleState, wish: Notification, within: float) -> Step:
        """A fault first, then the station, then the plan, then whether there is anything left to do."""
        del within
        now = self._pace.seconds()
        self._began = now if self._began is None else self._began
        charged = now - self._began
        if state.fault:
            return Step("stop", code="fault", explanation=state.fault)
        if self._told_to_stop:
            return Step("stop", code="driver")
        if wish in _FOLLOWED:
            return _FOLLOWED[wish]
        for planned in self._plan:
            if charged >= planned.after:
                self._plan.remove(planned)
                return planned.step
        if state.complete or charged >= self._most_seconds:
            return Step(self._ends, code="complete" if state.complete else "time")
        return Step()


_FOLLOWED: dict[Notification, Step] = {
    "stop": Step("stop", code="station"),
    "pause": Step("pause", code="station"),
    "renegotiate_schedule": Step("renegotiate"),
    "renegotiate_service": Step("renegotiate_service"),
}
