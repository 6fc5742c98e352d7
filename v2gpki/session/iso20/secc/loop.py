"""The charging loop and MeteringConfirmation at the SECC.

A reading that is to be confirmed goes out with the station's signature over SignedMeteringData, again and unchanged
until the vehicle returns it; where the settings insist on it, a vehicle that does not is asked to stop. Clauses: ISO
15118-20 8.3.4.3.6, 8.3.4.5.3, 8.3.4.6.5, 8.3.5.3.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from msgspec.structs import replace as changed

from v2gpki.energy.offer import Notification
from v2gpki.energy.quantities import Setpoint
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.conversation import Answer, Handler
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso20 import loop_answers, loop_requests, metering, prices
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.loop_requests import LoopReq, Turn
from v2gpki.session.iso20.secc.course import Part, of
from v2gpki.session.notices import Delivered
from v2gpki.session.questions import Delivery, PowerQuestion, ReceiptQuestion, SigningQuestion

#: An AC vehicle that draws so much more than its profile is told so.
_VIOLATION, _NOISE = 1.1, 100.0


class Loop(Part):
    """Turns of the loop."""

    def handlers(self) -> Mapping[str, Handler]:
        """The requests of this subject."""
        return {
            "AC_ChargeLoopReq": self._turn,
            "DC_ChargeLoopReq": self._turn,
            "MeteringConfirmationReq": of(cm.MeteringConfirmationReq, self._confirm),
        }

    def _turn(self, request: Heard) -> Steps[Answer]:
        course, selected = self.course, self.selected
        if course.vehicle is None:
            raise V2GPKIError("internal.bug", "a loop before limits")
        # The table of handlers lets no other message here.
        turn = loop_requests.read(cast("LoopReq", request.body), selected, course.vehicle)
        course.vehicle, course.needs = turn.limits, turn.needs or course.needs
        granted = self._granted()
        delivery = yield from self.station.ask(
            PowerQuestion(
                setpoint=self._setpoint(turn.setpoint, granted),
                control=selected.variant.control,
                vehicle=turn.vehicle,
                limits=turn.limits,
                needs=course.needs,
                granted=granted,
            )
        )
        course.stage = delivery.limits
        self._tell(delivery)
        return (yield from self._answer(turn, delivery, granted))

    def _setpoint(self, wished: Setpoint, granted: float | None) -> Setpoint:
        """What the vehicle asks for, in the bounds of its schedule either way; nothing while it stands by."""
        if self.station.state.startswith("standby"):
            return replace(wished, power=0.0, current=0.0)
        return self._given_back(self._within(wished, granted))

    def _granted(self) -> float | None:
        """The power that schedule and profile have now; 0 while the vehicle stands by."""
        if self.station.state.startswith("standby"):
            return 0.0
        chosen, profile = self.course.chosen, self.course.profile
        now = self.station.engine.clock.now().timestamp()
        if chosen is None:
            return None
        granted = chosen.power.power_at(now)
        return granted if profile is None else min(granted, max(0.0, profile.power_at(now)))

    def _within(self, setpoint: Setpoint, granted: float | None) -> Setpoint:
        """What the vehicle asks for, cut to what it was granted."""
        if granted is None or setpoint.power <= granted:
            return setpoint
        current = setpoint.current
        if current is not None and setpoint.voltage:
            current = min(current, granted / setpoint.voltage)
        return replace(setpoint, power=granted, current=current)

    def _given_back(self, setpoint: Setpoint) -> Setpoint:
        """What the vehicle gives back, cut to what the schedule has for it."""
        chosen = self.course.chosen
        if chosen is None or chosen.discharge is None or setpoint.power >= 0:
            return setpoint
        most = -max(0.0, chosen.discharge.power_at(self.station.engine.clock.now().timestamp()))
        if setpoint.power >= most:
            return setpoint
        current = setpoint.current
        if current is not None and setpoint.voltage:
            current = max(current, most / setpoint.voltage)
        return replace(setpoint, power=most, current=current)

    def _tell(self, delivery: Delivery) -> None:
        engine, present, reading = self.station.engine, delivery.present, delivery.reading
        engine.tell(
            Delivered(
                engine.now,
                present.voltage,
                present.current,
                present.power,
                reading.imported if reading else None,
                reading.exported if reading else None,
            )
        )

    def _answer(self, turn: Turn, delivery: Delivery, granted: float | None) -> Steps[Answer]:
        course = self.course
        wish: Notification = delivery.control.notification
        # EcoG's vehicle breaks off when it is asked for that.
        asks = delivery.control.receipt and delivery.reading is not None and self.settings.compat != "ecog"
        if course.issued is not None and self._overdue():
            wish = wish or "stop"
        elif (asks or course.issued is not None) and not wish:
            wish = "confirm_metering"
        status = loop_answers.status(delivery.control, wish)
        meter = metering.info(delivery.reading) if delivery.reading and (turn.meter or wish) else None
        receipt = prices.receipt(delivery.receipt) if delivery.receipt and meter else None
        then = self.station.state
        if wish == "confirm_metering" and course.issued is None and meter is not None:
            course.issued = metering.signed_data(
                meter, receipt, self.station.session_id, course.chosen.identifier if course.chosen else 0
            )
            question = SigningQuestion(metering.PURPOSE, course.issued, course.emaid)
            course.issued_signature = yield from self.station.ask(question)
            course.issued_at = self.station.engine.now
        signature = None
        if wish == "confirm_metering" and course.issued is not None:
            meter, receipt = course.issued.MeterInfo, course.issued.Receipt
            signature = course.issued_signature
            then = self.reached("confirming") if then.startswith("charging") else then
        body = loop_answers.tell(self.selected, delivery, status, meter)
        body = changed(body, Receipt=receipt, ResponseCode=self._code(turn, granted))
        return Answer(body, then=then, signature=signature)

    def _overdue(self) -> bool:
        waited = self.station.engine.now - self.course.issued_at
        return self.settings.confirm_metering and waited > self.settings.confirmation_seconds

    def _code(self, turn: Turn, granted: float | None) -> cm.responseCodeType:
        too_much = granted is not None and turn.vehicle.power > granted * _VIOLATION + _NOISE
        scheduled_ac = self.selected.current == "AC" and self.selected.variant.control == "scheduled"
        return "WARNING_EVPowerProfileViolation" if too_much and scheduled_ac else "OK"

    def _confirm(self, request: cm.MeteringConfirmationReq) -> Steps[Answer]:
        course = self.course
        if course.issued is None:
            raise V2GPKIError("internal.bug", "a confirmation without a reading")
        metering.require_same(request.SignedMeteringData, course.issued)
        reading = metering.reading(course.issued.MeterInfo)
        yield from self.station.ask(ReceiptQuestion(reading, request))
        course.issued = course.issued_signature = None
        return Answer(cm.MeteringConfirmationRes(Header=HEADER, ResponseCode="OK"))


