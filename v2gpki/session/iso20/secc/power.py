"""From the limits of both sides to the end of power at the SECC: ChargeParameterDiscovery, ScheduleExchange, cable
check, pre-charge, PowerDelivery, welding detection.

Clauses: ISO 15118-20 8.3.4.4.5, 8.3.4.4.6, 8.3.4.5, 8.3.4.6, 8.5.6, [V2G20-1619], [V2G20-2122], [V2G20-2272].
"""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.energy.steering import SchedulesGiven
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_common as cm
from v2gpki.messages import iso20_dc as dc
from v2gpki.session.conversation import Answer, Handler
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso20 import limits, schedules
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.secc.course import Part, of
from v2gpki.session.iso20.values import number, rational
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import (
    CableCheckQuestion,
    ContactorQuestion,
    IdleQuestion,
    PreChargeQuestion,
    SchedulesQuestion,
    SigningQuestion,
    StationLimitsQuestion,
    WeldingQuestion,
)

_SCHEDULES, _CABLE, _POWER = "ScheduleExchangeReq", "DC_CableCheckReq", "PowerDeliveryReq"
#: A while the voltage is brought up.
_PRE_CHARGE_CURRENT = 2.0
#: States in which a schedule is in force already.
_IN_FORCE = ("charging", "confirming", "renegotiating", "renegotiated")


class Power(Part):
    """Limits, schedules, contactors."""

    _attempt = 0

    def handlers(self) -> Mapping[str, Handler]:
        """The requests of this subject."""
        return {
            "AC_ChargeParameterDiscoveryReq": self._parameters,
            "DC_ChargeParameterDiscoveryReq": self._parameters,
            _SCHEDULES: of(cm.ScheduleExchangeReq, self._exchange_schedules),
            _CABLE: of(dc.DC_CableCheckReq, self._check_cable),
            "DC_PreChargeReq": of(dc.DC_PreChargeReq, self._pre_charge),
            _POWER: of(cm.PowerDeliveryReq, self._deliver),
            "DC_WeldingDetectionReq": of(dc.DC_WeldingDetectionReq, self._detect_welding),
        }

    # -- before power --------------------------------------------------------------------------

    def _parameters(self, request: Heard) -> Steps[Answer]:
        course, selected = self.course, self.selected
        course.vehicle = limits.read_vehicle(request.body, selected)
        question = StationLimitsQuestion(selected.current, selected.bidirectional)
        course.stage = yield from self.station.ask(question)
        body: ac.AC_ChargeParameterDiscoveryRes | dc.DC_ChargeParameterDiscoveryRes
        if selected.current == "AC":
            body = limits.tell_ac(course.stage, selected.bidirectional)
        else:
            body = limits.tell_dc(course.stage, selected.bidirectional)
        self._attempt = 0
        self.finished(_SCHEDULES)
        return Answer(body)

    def _exchange_schedules(self, request: cm.ScheduleExchangeReq) -> Steps[Answer]:
        course, selected = self.course, self.selected
        control = selected.variant.control
        needs, offer = schedules.read_needs(request, control)
        course.needs = needs
        scheduled = request.Scheduled_SEReqControlMode
        if offer is None and scheduled is not None and scheduled.EVEnergyOffer is not None:
            engine = self.station.engine
            engine.tell(Remarked(engine.now, "the vehicle's energy offer has no price to reckon with: not taken"))
        in_force = self.station.state.startswith(_IN_FORCE)
        if course.stage is None or course.vehicle is None:
            raise V2GPKIError("internal.bug", "schedules before limits")
        question = SchedulesQuestion(
            control=control,
            stage=course.stage,
            vehicle=course.vehicle,
            needs=needs,
            bidirectional=selected.bidirectional,
            pricing=selected.variant.pricing,
            most_entries=request.MaximumSupportingPoints,
            renegotiation=in_force,
            vehicle_offer=offer,
            attempt=self._attempt,
        )
        self._attempt += 1
        try:
            given = yield from self.station.ask(question)
        except V2GPKIError as problem:
            if problem.code != "session.late":
                raise
            given = SchedulesGiven("ongoing")
        if given.status == "ongoing":
            self.still_ongoing(_SCHEDULES, self.station.dialect.timers.ongoing_performance, "the schedules")
            now = int(self.station.engine.clock.now().timestamp())
            then = "renegotiating" if in_force else "scheduling"
            return Answer(schedules.wait(control, now), then=self.reached(then))
        self.finished(_SCHEDULES)
        self._attempt = 0
        then = self.reached("renegotiated" if in_force else "scheduled")
        return (yield from self._offer(given, request.MaximumSupportingPoints, then))

    def _offer(self, given: SchedulesGiven, most_entries: int, then: str) -> Steps[Answer]:
        course, control = self.course, self.selected.variant.control
        if control == "scheduled" and not given.schedules:
            raise V2GPKIError("session.value", "the station has no schedule to offer", clause="ISO 15118-20 8.3.4.4.5")
        wanted = self.settings.sign_prices or any(one.signed for one in given.schedules)
        sign = wanted and course.method == "pnc"
        body = schedules.tell(given, control, most_entries, sign=sign)
        course.schedules = given.schedules[:3]
        if not schedules.has_signable_prices(body):
            return Answer(body, then=then)
        signature = yield from self.station.ask(SigningQuestion("ScheduleExchangeRes", body, course.emaid))
        return Answer(body, then=then, signature=signature)

    def _check_cable(self, _: dc.DC_CableCheckReq) -> Steps[Answer]:
        try:
            isolation = yield from self.station.ask(CableCheckQuestion())
        except V2GPKIError as problem:
            if problem.code != "session.late":
                raise
            isolation = "unknown"
        if isolation == "unknown":
            self.still_ongoing(_CABLE, self.station.dialect.timers.cable_check_performance, "the cable check")
            waiting = dc.DC_CableCheckRes(Header=HEADER, ResponseCode="OK", EVSEProcessing="Ongoing")
            return Answer(waiting, then="checking-cable")
        self.finished(_CABLE)
        if isolation == "fault":
            raise V2GPKIError("session.not_isolated", "the isolation check failed", clause="ISO 15118-20 8.3.4.6.3")
        body = dc.DC_CableCheckRes(Header=HEADER, ResponseCode="OK", EVSEProcessing="Finished")
        return Answer(body, then="cable-checked")

    def _pre_charge(self, request: dc.DC_PreChargeReq) -> Steps[Answer]:
        target, stage = number(request.EVTargetVoltage), self.course.stage
        if stage is not None and self.settings.compat == "ecog":
            # EcoG's vehicle wants 20 kV.
            target = min(target, stage.max_voltage)
        if stage is not None and not 0 <= target <= stage.max_voltage * 1.01:
            raise V2GPKIError(
                "session.wrong_parameter",
                f"the vehicle wants {target:g} V where the station has {stage.max_voltage:g} at most",
                clause="ISO 15118-20 8.3.4.6.4",
            )
        present = yield from self.station.ask(PreChargeQuestion(target, _PRE_CHARGE_CURRENT))
        body = dc.DC_PreChargeRes(Header=HEADER, ResponseCode="OK", EVSEPresentVoltage=rational(present.voltage))
        return Answer(body, then="pre-charged" if request.EVProcessing == "Finished" else "pre-charging")

    # -- power ---------------------------------------------------------------------------------

    def _deliver(self, request: cm.PowerDeliveryReq) -> Steps[Answer]:
        progress = request.ChargeProgress
        if progress == "Stop":
            return (yield from self._stop())
        if request.EVProcessing != "Finished":
            starting = self.reached("starting")
            possible = self.station.dialect.flow.after(self.station.state, _POWER)
            return Answer(_delivered("OK"), then=starting if starting in possible else self.station.state)
        if progress == "Standby":
            return (yield from self._stand_by())
        if progress == "ScheduleRenegotiation" and not self.station.state.startswith("renegotiated"):
            then = self.reached("renegotiating")
            self.require_step(_POWER, then)
            self._attempt = 0
            return Answer(_delivered("OK"), then=then)
        return (yield from self._start(request))

    def _start(self, request: cm.PowerDeliveryReq) -> Steps[Answer]:
        """Power by a new schedule, for the first time or after a renegotiation."""
        course, control = self.course, self.selected.variant.control
        then = self.reached("charging")
        self.require_step(_POWER, then)
        code: cm.responseCodeType = "OK"
        if request.EVPowerProfile is not None:
            course.chosen, course.profile = schedules.read_profile(request.EVPowerProfile, control, course.schedules)
            code = _tolerance(request.EVPowerProfile)
        elif control == "scheduled":
            raise V2GPKIError(
                "session.wrong_profile",
                "PowerDelivery begins without EVPowerProfile, which scheduled control needs",
                clause="ISO 15118-20 8.3.4.4.6",
            )
        if not course.closed:
            number_of = course.chosen.identifier if course.chosen else 0
            yield from self.station.ask(ContactorQuestion(closed=True, schedule=number_of, profile=course.profile))
            course.closed = True
        return Answer(_delivered(code), then=then)

    def _stop(self) -> Steps[Answer]:
        then = self.reached("stopped")
        self.require_step(_POWER, then)
        yield from self.station.ask(ContactorQuestion(closed=False))
        course = self.course
        course.closed = False
        course.chosen = course.profile = course.issued = course.issued_signature = None
        return Answer(_delivered("OK"), then=then)

    def _stand_by(self) -> Steps[Answer]:
        """Contactors stay closed, and nothing flows from now on: the loop's next turn may be a minute away."""
        then = self.reached("standby")
        self.require_step(_POWER, then)
        if not self.settings.standby:
            raise V2GPKIError(
                "session.standby", "vehicles may not stand by at this station", clause="ISO 15118-20 8.3.4.4.6"
            )
        yield from self.station.ask(IdleQuestion())
        return Answer(_delivered("OK"), then=then)

    def _detect_welding(self, _: dc.DC_WeldingDetectionReq) -> Steps[Answer]:
        present = yield from self.station.ask(WeldingQuestion())
        return Answer(
            dc.DC_WeldingDetectionRes(Header=HEADER, ResponseCode="OK", EVSEPresentVoltage=rational(present.voltage))
        )


def _delivered(code: cm.responseCodeType) -> cm.PowerDeliveryRes:
    return cm.PowerDeliveryRes(Header=HEADER, ResponseCode=code)


def _tolerance(profile: cm.EVPowerProfileType) -> cm.responseCodeType:
    mode = profile.Scheduled_EVPPTControlMode
    said = mode.PowerToleranceAcceptance if mode else None
    if said is None:
        return "OK"
    confirmed = said == "PowerToleranceConfirmed"
    return "OK_PowerToleranceConfirmed" if confirmed else "WARNING_PowerToleranceNotConfirmed"
