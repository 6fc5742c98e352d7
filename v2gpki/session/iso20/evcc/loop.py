"""The charging loop at the EVCC: what flows is taken, the next demand sent; readings are confirmed, schedules agreed on
anew, and what the station asks for is done within the time that it gives.

Clauses: ISO 15118-20 8.3.4.3.6, 8.3.4.5.3, 8.3.4.6.5, 8.3.5.3.36.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from v2gpki.energy.offer import Notification
from v2gpki.energy.quantities import Demand, VehicleState
from v2gpki.energy.steering import Delivered, Step
from v2gpki.energy.tariff import Tariff
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_common as cm
from v2gpki.messages import iso20_dc as dc
from v2gpki.session.engine import Steps
from v2gpki.session.iso20 import loop_answers, loop_requests, metering, prices
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.evcc.power import Power
from v2gpki.session.iso20.evcc.trip import Part
from v2gpki.session.iso20.loop_answers import LoopRes
from v2gpki.session.notices import Delivered as Flowed
from v2gpki.session.notices import Judged
from v2gpki.session.questions import (
    DemandQuestion,
    MeteringQuestion,
    NeedsQuestion,
    SignatureQuestion,
    StateQuestion,
    StepQuestion,
    VehicleLimitsQuestion,
)
from v2gpki.v2gtp import PayloadType

#: How a vehicle leaves the loop.
Leaving = Literal["stop", "pause", "renegotiate_service"]
_FORCED: dict[Notification, Literal["stop", "pause", "renegotiate", "renegotiate_service"]] = {
    "stop": "stop",
    "pause": "pause",
    "renegotiate_schedule": "renegotiate",
    "renegotiate_service": "renegotiate_service",
}


class Loop(Part):
    """Turns of the loop."""

    power: Power
    #: The dialect's side streams.
    side: dict[str, int]
    #: What the station wants, since when, and within how many seconds.
    _wish: Notification = ""
    _since = 0.0
    _within = 0.0

    def turn(self) -> Steps[Leaving]:
        """Charge until the vehicle leaves; says how."""
        trip = self.trip
        if trip.stage is None:
            raise V2GPKIError("internal.bug", "a loop before limits")
        delivered = Delivered(trip.stage, closed=True, granted=self._granted())
        while True:
            demand = yield from self.ask(DemandQuestion(delivered))
            state = yield from self.ask(StateQuestion())
            step = yield from self._step(state)
            what = self._obeying(step)
            if what in {"stop", "pause", "renegotiate_service"}:
                trip.code, trip.explanation = step.code, step.explanation
                self._heard("", 0.0)
                return "stop" if what == "stop" else "pause" if what == "pause" else "renegotiate_service"
            if what == "renegotiate":
                yield from self._standing_by("go_on", demand)
                yield from self._renegotiate()
            else:
                demand = yield from self._standing_by(what, demand)
            answer = yield from self._exchange(demand, state, step)
            delivered = loop_answers.read(answer, delivered.limits, self._granted())
            self._tell(delivered, answer)
            if not (yield from self._confirmed(answer)):
                return "stop"
            yield from self.vehicle.engine.rest(self.settings.loop_pace)

    def _step(self, state: VehicleState) -> Steps[Step]:
        engine = self.vehicle.engine
        left = max(0.0, self._since + self._within - engine.now) if self._wish else 0.0
        return (yield from self.ask(StepQuestion(state, self._wish, left)))

    def _obeying(self, step: Step) -> str:
        """What the vehicle does: its own step, or what the station wants when the time for that is over."""
        forced = _FORCED.get(self._wish)
        due = self.vehicle.engine.now >= self._since + self._within
        if forced is not None and due and step.what in {"go_on", "standby", "renegotiate"}:
            return forced
        return step.what

    def _standing_by(self, what: str, demand: Demand) -> Steps[Demand]:
        """Begin or end to stand by; the demand is nothing meanwhile."""
        standing = self.vehicle.state.startswith("standby")
        if what == "standby" and not standing:
            standing = yield from self.power.stand_by()
        elif standing and (what != "standby" or self._wish == "exit_standby"):
            yield from self.power.start()
            standing = False
        return Demand(0.0, demand.voltage, 0.0) if standing else demand

    def _renegotiate(self) -> Steps[None]:
        """Another schedule, while power flows; the exchange has a stream of its own."""
        self._heard("", 0.0)
        if self.settings.compat != "ecog":
            self.side["ScheduleExchangeReq"] = PayloadType.SCHEDULE_RENEGOTIATION
        try:
            yield from self.power.agree(renegotiation=True)
        finally:
            self.side.pop("ScheduleExchangeReq", None)
        yield from self.power.start("ScheduleRenegotiation")

    def _exchange(self, demand: Demand, state: VehicleState, step: Step) -> Steps[LoopRes]:
        trip, selected = self.trip, self.selected
        trip.limits = yield from self.ask(VehicleLimitsQuestion(selected.current, selected.bidirectional))
        trip.needs = yield from self.ask(NeedsQuestion())
        request = loop_requests.ask(selected, demand, trip.limits, trip.needs, state, meter=step.meter)
        answer: LoopRes
        if selected.current == "AC":
            answer = yield from self.vehicle.exchange(request, ac.AC_ChargeLoopRes, then=self._reached)
        else:
            answer = yield from self.vehicle.exchange(request, dc.DC_ChargeLoopRes, then=self._reached)
        wish, within = loop_answers.wanted(answer.EVSEStatus)
        if wish != "confirm_metering":
            self._heard(wish, within)
        return answer

    def _reached(self, answer: LoopRes) -> str:
        wish, _ = loop_answers.wanted(answer.EVSEStatus)
        here = self.vehicle.state
        return self.reached("confirming") if wish == "confirm_metering" and here.startswith("charging") else here

    def _heard(self, wish: Notification, within: float) -> None:
        if wish != self._wish:
            self._wish, self._since, self._within = wish, self.vehicle.engine.now, within

    def _granted(self) -> float | None:
        """The power of the chosen schedule now."""
        trip = self.trip
        if trip.offered is None or trip.choice is None:
            return None
        chosen = next((one for one in trip.offered.schedules if one.identifier == trip.choice.identifier), None)
        return None if chosen is None else chosen.power.power_at(self.now())

    def _tell(self, delivered: Delivered, answer: LoopRes) -> None:
        engine, present, meter = self.vehicle.engine, delivered.present, answer.MeterInfo
        if present is not None:
            engine.tell(
                Flowed(
                    engine.now,
                    present.voltage,
                    present.current,
                    present.power,
                    float(meter.ChargedEnergyReadingWh) if meter else None,
                    float(meter.BPT_DischargedEnergyReadingWh or 0) if meter else None,
                )
            )

    # -- metering ------------------------------------------------------------------------------

    def _confirmed(self, answer: LoopRes) -> Steps[bool]:
        """Confirm a reading if the station asks for that; False if the vehicle does not want to."""
        if not self.vehicle.state.startswith("confirming") or answer.MeterInfo is None:
            return True
        trip, vehicle = self.trip, self.vehicle
        schedule = trip.choice.identifier if trip.choice and self.selected.variant.control == "scheduled" else 0
        data = metering.signed_data(answer.MeterInfo, answer.Receipt, vehicle.session_id, schedule)
        yield from self._check(answer, data)
        reading, receipt = metering.reading(answer.MeterInfo), prices.read_receipt(answer.Receipt, self._currency())
        if not (yield from self.ask(MeteringQuestion(reading, receipt))):
            return False
        if self.settings.compat != "ecog":
            self.side["MeteringConfirmationReq"] = PayloadType.METERING_CONFIRMATION
        yield from vehicle.exchange(
            cm.MeteringConfirmationReq(Header=HEADER, SignedMeteringData=data), cm.MeteringConfirmationRes
        )
        return True

    def _check(self, answer: LoopRes, data: cm.SignedMeteringData) -> Steps[None]:
        """The station's signature, which stands in the header of the loop's response."""
        engine, chain = self.vehicle.engine, self.secured.peer_chain if self.secured else ()
        signed = cm.MeteringConfirmationReq(
            Header=replace(HEADER, SessionID=data.SessionID, Signature=answer.Header.Signature), SignedMeteringData=data
        )
        try:
            yield from self.ask(SignatureQuestion(metering.PURPOSE, signed, chain))
        except V2GPKIError as problem:
            engine.tell(Judged(engine.now, "signature of the meter reading", problem=problem))
            if self.settings.compat != "ecog":
                raise
            return
        engine.tell(Judged(engine.now, "signature of the meter reading"))

    def _currency(self) -> str:
        """The currency of the prices that were agreed on, "" for none."""
        offered = self.trip.offered
        found = [offered.price, *(one.price for one in offered.schedules)] if offered else []
        return next((price.currency for price in found if isinstance(price, Tariff)), "")
