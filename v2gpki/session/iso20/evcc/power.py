"""From the limits of both sides to the end of power at the EVCC: ChargeParameterDiscovery, ScheduleExchange, cable
check, pre-charge, PowerDelivery, welding detection.

Clauses: ISO 15118-20 8.3.4.4.5, 8.3.4.4.6, 8.3.4.5, 8.3.4.6, 8.5.6.
"""

from __future__ import annotations

from dataclasses import replace

from v2gpki.energy.quantities import StageLimits
from v2gpki.energy.steering import Delivered
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_common as cm
from v2gpki.messages import iso20_dc as dc
from v2gpki.session.engine import Steps
from v2gpki.session.iso20 import limits, schedules
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.evcc.trip import Part
from v2gpki.session.iso20.values import number, rational
from v2gpki.session.notices import Judged
from v2gpki.session.questions import (
    ConnectQuestion,
    ConsentQuestion,
    DemandQuestion,
    EnergyOfferQuestion,
    NeedsQuestion,
    SignatureQuestion,
    StateQuestion,
    VehicleLimitsQuestion,
)

_WELDED = 60.0
_LOOKS = 5


class Power(Part):
    """Limits, schedules, contactors."""

    # -- before power --------------------------------------------------------------------------

    def parameters(self) -> Steps[StageLimits]:
        """Tell the vehicle's limits and hear the station's."""
        trip, selected = self.trip, self.selected
        trip.limits = yield from self.ask(VehicleLimitsQuestion(selected.current, selected.bidirectional))
        trip.needs = yield from self.ask(NeedsQuestion())
        if selected.current == "AC":
            told = yield from self.vehicle.exchange(
                limits.ask_ac(trip.limits, selected.bidirectional), ac.AC_ChargeParameterDiscoveryRes
            )
            trip.stage = limits.read_station(told, selected)
        else:
            answer = yield from self.vehicle.exchange(
                limits.ask_dc(trip.limits, selected.bidirectional, trip.needs.target_soc),
                dc.DC_ChargeParameterDiscoveryRes,
            )
            trip.stage = limits.read_station(answer, selected)
        return trip.stage

    def agree(self, *, renegotiation: bool = False) -> Steps[bool]:
        """Agree on a schedule; True if the station asks for a pause first. Raises what the driver refuses with."""
        trip, control = self.trip, self.selected.variant.control
        needs = trip.needs = yield from self.ask(NeedsQuestion())
        offer = None
        if self.selected.bidirectional and control == "scheduled":
            offer = yield from self.ask(EnergyOfferQuestion(self.now(), needs))
        request = schedules.ask(needs, control, self.settings.most_entries, offer)
        since = self.vehicle.engine.now
        done, waiting = ("renegotiated", "renegotiating") if renegotiation else ("scheduled", "scheduling")
        while True:
            answer = yield from self.vehicle.exchange(
                request,
                cm.ScheduleExchangeRes,
                then=lambda one: self.reached(done if one.EVSEProcessing == "Finished" else waiting),
            )
            if answer.EVSEProcessing == "Finished":
                break
            yield from self.again(since, self.vehicle.dialect.timers.ongoing, "the schedules")
        if answer.GoToPause and not renegotiation:
            return True
        verified = yield from self._verified(answer)
        trip.offered = schedules.read(answer, self.now(), verified=verified, renegotiation=renegotiation)
        if trip.offered.control != control:
            raise V2GPKIError("session.wrong_schedule", f"the station answers {control} control with the other one")
        trip.choice = yield from self.ask(ConsentQuestion(trip.offered, needs))
        return False

    def _verified(self, answer: cm.ScheduleExchangeRes) -> Steps[bool]:
        """Whether the prices, all of them, are signed by the mobility operator of the vehicle's contract."""
        if not schedules.has_signable_prices(answer) or schedules.has_unsigned_prices(answer):
            return False
        engine = self.vehicle.engine
        try:
            yield from self.ask(SignatureQuestion("ScheduleExchangeRes", answer, self.trip.chain[1:]))
        except V2GPKIError as problem:
            engine.tell(Judged(engine.now, "signature of prices", problem=problem))
            return False
        engine.tell(Judged(engine.now, "signature of prices"))
        return True

    def check_cable(self) -> Steps[None]:
        """Have the station check its isolation."""
        since = self.vehicle.engine.now
        while True:
            answer = yield from self.vehicle.exchange(
                dc.DC_CableCheckReq(Header=HEADER),
                dc.DC_CableCheckRes,
                then=lambda one: "cable-checked" if one.EVSEProcessing == "Finished" else "checking-cable",
            )
            if answer.EVSEProcessing == "Finished":
                return
            yield from self.again(since, self.vehicle.dialect.timers.cable_check, "the cable check")

    def pre_charge(self, stage: StageLimits) -> Steps[None]:
        """Have the station match the battery's voltage."""
        since, delivered = self.vehicle.engine.now, Delivered(stage)
        finished = False
        while True:
            demand = yield from self.ask(DemandQuestion(delivered))
            state = yield from self.ask(StateQuestion())
            answer = yield from self.vehicle.exchange(
                dc.DC_PreChargeReq(
                    Header=HEADER,
                    EVProcessing="Finished" if finished else "Ongoing",
                    EVPresentVoltage=rational(state.voltage),
                    EVTargetVoltage=rational(demand.voltage),
                ),
                dc.DC_PreChargeRes,
                then="pre-charged" if finished else "pre-charging",
            )
            if finished:
                return
            voltage = number(answer.EVSEPresentVoltage)
            delivered = Delivered(stage, voltage=voltage)
            finished = abs(voltage - demand.voltage) <= self.settings.precharge_within
            if not finished:
                yield from self.again(since, self.vehicle.dialect.timers.pre_charge, "the pre-charge")

    # -- power ---------------------------------------------------------------------------------

    def start(self, progress: cm.chargeProgressType = "Start") -> Steps[None]:
        """Close the vehicle's contactors and let power flow, by the schedule that was chosen."""
        trip = self.trip
        if trip.offered is None or trip.choice is None or trip.limits is None:
            raise V2GPKIError("internal.bug", "power without a schedule")
        if not trip.connected:
            yield from self.ask(ConnectQuestion(closed=True))
            trip.connected = True
        choice = trip.choice
        if choice.tolerance is None and self.settings.compat == "ecog":
            choice = replace(choice, tolerance=True)
        plan = schedules.profile(choice, trip.offered, trip.limits.max_charge_power, self.now())
        channel: cm.channelSelectionType = "Discharge" if trip.choice.channel == "discharge" else "Charge"
        yield from self.vehicle.exchange(
            cm.PowerDeliveryReq(
                Header=HEADER,
                EVProcessing="Finished",
                ChargeProgress=progress,
                EVPowerProfile=plan,
                BPT_ChannelSelection=channel if self.selected.bidirectional else None,
            ),
            cm.PowerDeliveryRes,
            then=self.reached("charging"),
        )

    def stand_by(self) -> Steps[bool]:
        """Stand by; False if the station does not want that."""
        here = self.vehicle.state
        answer = yield from self.vehicle.exchange(
            cm.PowerDeliveryReq(Header=HEADER, EVProcessing="Finished", ChargeProgress="Standby"),
            cm.PowerDeliveryRes,
            then=lambda one: here if one.ResponseCode == "WARNING_StandbyNotAllowed" else self.reached("standby"),
        )
        return answer.ResponseCode != "WARNING_StandbyNotAllowed"

    def stop(self) -> Steps[None]:
        """End the flow of power, then open the vehicle's contactors."""
        yield from self.vehicle.exchange(
            cm.PowerDeliveryReq(Header=HEADER, EVProcessing="Finished", ChargeProgress="Stop"),
            cm.PowerDeliveryRes,
            then=self.reached("stopped"),
        )
        if self.trip.connected:
            self.trip.connected = False
            yield from self.ask(ConnectQuestion(closed=False))

    def detect_welding(self) -> Steps[None]:
        """See the voltage fall behind the open contactors."""
        for look in range(1, _LOOKS + 1):
            answer = yield from self.vehicle.exchange(
                dc.DC_WeldingDetectionReq(Header=HEADER, EVProcessing="Ongoing" if look < _LOOKS else "Finished"),
                dc.DC_WeldingDetectionRes,
            )
            if look == _LOOKS:
                return
            if number(answer.EVSEPresentVoltage) < _WELDED:
                break
            yield from self.vehicle.engine.rest(self.settings.pace)
        yield from self.vehicle.exchange(
            dc.DC_WeldingDetectionReq(Header=HEADER, EVProcessing="Finished"), dc.DC_WeldingDetectionRes
        )


