"""The charging loop of ISO 15118-20: metering that is confirmed, schedules and services that are renegotiated, standing
by, and what the station wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from tests.session.iso20.world import VEHICLE, Meeting, later, offer, sent, signature, told
from tests.session.joined import Side, join
from v2gpki.energy import Control, Demand, PowerSchedule, PowerSpan, Present, ScheduleChoice, Step
from v2gpki.energy.tariff import Receipt
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso20_ac, iso20_dc
from v2gpki.messages import iso20_common as cm
from v2gpki.session import handshake
from v2gpki.session import questions as q
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso20.evcc.loop import Loop
from v2gpki.session.iso20.evcc.power import Power
from v2gpki.session.iso20.evcc.vehicle import ISO20Vehicle
from v2gpki.session.iso20.loop_answers import LoopRes
from v2gpki.session.iso20.settings import StationSettings, VehicleSettings
from v2gpki.session.notices import Ending, Exchanged
from v2gpki.v2gtp import build

KINDS = [(ac, control) for ac in (False, True) for control in ("scheduled", "dynamic")]


def payload_types(meeting: Meeting, name: str) -> set[int]:
    notices = [n for n in meeting.evcc.notices if isinstance(n, Exchanged) and n.name == name]
    return {int.from_bytes(n.octets[2:4], "big") for n in notices}


# --- metering -------------------------------------------------------------------------------------------------------


@pytest.mark.judged("metering confirmation", edition="iso15118-20", by="ourselves")
@pytest.mark.parametrize(("ac", "control"), KINDS)
def test_a_reading_is_signed_checked_and_returned(ac: bool, control: str) -> None:
    meeting = Meeting(ac=ac, control=control)
    meeting.station_world.wishes = {2: Control(receipt=True), 4: Control(receipt=True, notification_seconds=9)}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()
    confirmations = sent(meeting, cm.MeteringConfirmationReq)
    loops = sent(meeting, iso20_ac.AC_ChargeLoopRes if ac else iso20_dc.DC_ChargeLoopRes)
    asking = [loop for loop in loops if loop.EVSEStatus is not None]
    assert [loop.EVSEStatus.EVSENotification for loop in asking if loop.EVSEStatus] == ["MeteringConfirmation"] * 2
    for loop, confirmation in zip(asking, confirmations, strict=True):
        data = confirmation.SignedMeteringData
        assert (data.MeterInfo, data.SessionID) == (loop.MeterInfo, meeting.session_id)
        assert loop.Header.Signature is not None
        # The vehicle returns the element, not the signature.
        assert confirmation.Header.Signature is None
        chosen = data.Scheduled_SMDTControlMode.SelectedScheduleTupleID if data.Scheduled_SMDTControlMode else 0
        assert chosen == (1 if control == "scheduled" else 0)
    assert meeting.station_world.receipts == meeting.vehicle_world.confirmed
    assert len(meeting.vehicle_world.confirmed) == 2
    assert payload_types(meeting, "MeteringConfirmationReq") == {0x8102}
    assert payload_types(meeting, "MeteringConfirmationRes") == {0x8102}
    asked = [one for one in meeting.evcc.asked if isinstance(one, q.SignatureQuestion)]
    assert {one.chain for one in asked if one.purpose == "SignedMeteringData"} == {(b"secc leaf",)}


def test_a_receipt_goes_along() -> None:
    meeting = Meeting()
    turn = meeting.station_world.turn

    def with_receipt(question: q.PowerQuestion) -> q.Delivery:
        return replace(turn(question), receipt=Receipt(1_772_000_000, "EUR", taxes=()))

    meeting.station_world.more = {q.PowerQuestion: with_receipt}
    meeting.station_world.wishes = {2: Control(receipt=True)}
    meeting.run()
    [confirmation] = sent(meeting, cm.MeteringConfirmationReq)
    assert confirmation.SignedMeteringData.Receipt is not None
    [asked] = [one for one in meeting.evcc.asked if isinstance(one, q.MeteringQuestion)]
    # The prices that were agreed on say the currency.
    assert asked.receipt == Receipt(1_772_000_000, "EUR")


def test_a_reading_whose_signature_does_not_hold_ends_the_session_in_order() -> None:
    meeting = Meeting()
    meeting.station_world.wishes = {2: Control(receipt=True)}
    meeting.station_world.more = {q.SigningQuestion: lambda _: signature(b"x" * 64)}
    meeting.run()
    assert meeting.endings() == ("stopped", "terminated:signature.wrong_value")
    assert not sent(meeting, cm.MeteringConfirmationReq)
    assert not meeting.station_world.closed
    meeting.in_table()


def test_ecogs_vehicle_is_not_asked() -> None:
    meeting = Meeting(station=StationSettings(offer(), compat="ecog"))
    meeting.station_world.wishes = {2: Control(receipt=True)}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert not sent(meeting, cm.MeteringConfirmationReq)


def test_ecogs_station_signs_no_reading_and_has_no_side_streams() -> None:
    meeting = Meeting(vehicle=VehicleSettings("EV", compat="ecog"))
    meeting.station_world.wishes = {2: Control(receipt=True)}

    def unsigned(_: object) -> object:
        raise V2GPKIError("signature.missing", "there is none")

    meeting.vehicle_world.more = {q.SignatureQuestion: unsigned}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert payload_types(meeting, "MeteringConfirmationReq") == {0x8002}


def test_a_vehicle_that_does_not_want_to_confirm_stops() -> None:
    meeting = Meeting()
    meeting.station_world.wishes = {2: Control(receipt=True)}
    meeting.vehicle_world.more = {q.MeteringQuestion: lambda _: False}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert meeting.station_world.turns == 2
    assert not meeting.station_world.receipts


@pytest.mark.parametrize("what", ["energy", "session", "receipt", "schedule", "mode"])
def test_another_reading_than_the_one_sent_is_refused(what: str) -> None:
    meeting = Meeting()
    meeting.station_world.wishes = {2: Control(receipt=True)}
    secc, evcc = meeting.sides()
    original = secc.engine.receive

    def altered(data: bytes, now: float) -> None:
        original(data if data[2:4] != b"\x81\x02" else other(data), now)

    def other(data: bytes) -> bytes:

        message = codec.decode(data[8:], "iso15118-20-common")
        assert isinstance(message, cm.MeteringConfirmationReq)
        found = message.SignedMeteringData
        wrong = {
            "energy": changed(found, MeterInfo=changed(found.MeterInfo, ChargedEnergyReadingWh=1)),
            "session": changed(found, SessionID=b"12345678"),
            "receipt": changed(found, Receipt=cm.ReceiptType(TimeAnchor=1)),
            "schedule": changed(
                found, Scheduled_SMDTControlMode=cm.Scheduled_SMDTControlModeType(SelectedScheduleTupleID=2)
            ),
            "mode": changed(
                found,
                Scheduled_SMDTControlMode=None,
                Dynamic_SMDTControlMode=cm.Dynamic_SMDTControlModeType(),
            ),
        }[what]
        return build(0x8102, codec.encode(changed(message, SignedMeteringData=wrong), "iso15118-20-common"))

    secc.engine.receive = altered  # type: ignore[method-assign]  # the wire changes what goes over it

    join(secc, evcc, step=0.001)
    assert told(secc) == "refused:metering.wrong_reading"
    assert secc.codes()[-1] == ("MeteringConfirmationRes", "FAILED_MeteringSignatureNotValid")
    assert not meeting.station_world.receipts


def test_a_vehicle_that_never_confirms_is_asked_again_and_then_to_stop() -> None:
    station = StationSettings(offer(), confirm_metering=True, confirmation_seconds=2.0)
    meeting = Meeting(station=station)
    meeting.station_world.wishes = {1: Control(receipt=True)}
    meeting.vehicle_world.most = 60
    secc, _ = meeting.sides()

    class Deaf(Loop):
        """It sends its loops and looks at nothing."""

        def _confirmed(self, _: LoopRes) -> Steps[bool]:
            yield from ()
            return True

    def deaf(engine: Engine) -> Steps[Ending]:
        yield from handshake.propose(engine, [handshake.ISO20_DC], within=2)
        vehicle = ISO20Vehicle(engine, VehicleSettings("EV"), VEHICLE, "dc")
        loop = Deaf(vehicle, vehicle.settings, vehicle.secured, vehicle.trip)
        loop.power, loop.side = vehicle.power, vehicle.loop.side
        vehicle.loop = loop
        return (yield from vehicle.run())

    evcc = Side(Engine(deaf, clock=meeting.clock), meeting.vehicle_world.answers())
    join(secc, evcc, step=0.001)
    assert (told(secc), told(evcc)) == ("stopped", "stopped")
    meeting.secc, meeting.evcc = secc, evcc
    loops = sent(meeting, iso20_dc.DC_ChargeLoopRes)
    wishes = [loop.EVSEStatus.EVSENotification if loop.EVSEStatus else "" for loop in loops]
    asked = wishes.count("MeteringConfirmation")
    # Two seconds, 0.1 between turns.
    assert 15 <= asked <= 20
    assert wishes == ["MeteringConfirmation"] * asked + ["Terminate"]
    # The same reading all the time, under the same signature.
    assert len({(loop.MeterInfo, loop.Header.Signature) for loop in loops[:asked]}) == 1


# --- what the station wants -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wish", "ending"), [("stop", "stopped"), ("pause", "paused")])
def test_the_vehicle_obeys(wish: str, ending: str) -> None:

    meeting = Meeting()
    meeting.station_world.wishes = {2: Control(notification="stop" if wish == "stop" else "pause")}
    meeting.vehicle_world.most = 50
    meeting.run()
    assert meeting.endings() == (ending, ending)
    assert meeting.station_world.turns == 2
    assert meeting.vehicle_world.wished[:3] == ["", "", wish]


def test_it_may_take_the_time_that_it_is_given() -> None:
    meeting = Meeting(method="eim")
    meeting.station_world.wishes = dict.fromkeys(range(2, 50), Control(notification="stop", notification_seconds=1))
    meeting.vehicle_world.most = 50
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    # 0.1 s a turn: the wish of the second turn is due ten turns later.
    assert 10 <= meeting.station_world.turns <= 13


# --- renegotiation --------------------------------------------------------------------------------------------------


@pytest.mark.judged("renegotiation of the schedule", edition="iso15118-20", by="ourselves")
@pytest.mark.parametrize(("ac", "control"), KINDS)
@pytest.mark.parametrize("who", ["station", "vehicle"])
def test_another_schedule(ac: bool, control: str, who: str) -> None:
    meeting = Meeting(ac=ac, control=control)
    if who == "station":
        meeting.station_world.wishes = {2: Control(notification="renegotiate_schedule")}
    else:
        meeting.vehicle_world.steps = {3: Step("renegotiate")}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()
    asked = [one for one in meeting.secc.asked if isinstance(one, q.SchedulesQuestion)]
    assert [one.renegotiation for one in asked] == [False, True]
    assert [one.renegotiation for one in meeting.vehicle_world.offered] == [False, True]
    progress = [one.ChargeProgress for one in sent(meeting, cm.PowerDeliveryReq)]
    assert progress == ["Start", "ScheduleRenegotiation", "Stop"]
    assert payload_types(meeting, "ScheduleExchangeReq") == {0x8002, 0x8101}
    # Contactors stay closed, the loop goes on.
    contactors = [one.closed for one in meeting.secc.asked if isinstance(one, q.ContactorQuestion)]
    assert contactors == [True, False]
    assert meeting.secc.names(sent=False).count("DC_CableCheckReq") == (0 if ac else 1)


def test_a_renegotiation_that_takes_its_time() -> None:
    meeting = Meeting()
    meeting.vehicle_world.steps = {3: Step("renegotiate")}
    schedules, asked = meeting.station_world.schedules, []

    def slow(question: q.SchedulesQuestion) -> object:
        asked.append(question)
        if question.renegotiation and question.attempt < 2:
            raise V2GPKIError("session.late", "not yet")
        return schedules(question)

    meeting.station_world.more = {q.SchedulesQuestion: slow}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert [one.attempt for one in asked if one.renegotiation] == [0, 1, 2]
    meeting.in_table()


def test_a_vehicle_may_begin_with_power_delivery() -> None:
    """As -2 does: PowerDelivery(ScheduleRenegotiation) before the schedules, and once more after."""
    meeting = Meeting(ac=True, method="eim", vehicle=VehicleSettings("EV", compat="ecog"))
    meeting.vehicle_world.steps = {3: Step("renegotiate")}

    agree = Power.agree

    def begin_with_power(self: Power, *, renegotiation: bool = False) -> Steps[bool]:
        if renegotiation:
            yield from self.vehicle.exchange(
                cm.PowerDeliveryReq(
                    Header=cm.MessageHeaderType(SessionID=bytes(8), TimeStamp=0),
                    EVProcessing="Finished",
                    ChargeProgress="ScheduleRenegotiation",
                ),
                cm.PowerDeliveryRes,
                then="renegotiating-ac",
            )
        return (yield from agree(self, renegotiation=renegotiation))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Power, "agree", begin_with_power)
        meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()


@pytest.mark.judged("renegotiation of the service", edition="iso15118-20", by="ourselves")
@pytest.mark.parametrize("who", ["station", "vehicle"])
@pytest.mark.parametrize("ac", [False, True])
def test_another_service(ac: bool, who: str) -> None:
    meeting = Meeting(ac=ac)
    if who == "station":
        meeting.station_world.wishes = {2: Control(notification="renegotiate_service")}
    else:
        meeting.vehicle_world.steps = {3: Step("renegotiate_service")}
    service = meeting.vehicle_world.service

    def other_way(question: q.ServiceQuestion) -> object:
        meeting.vehicle_world.control = "dynamic" if meeting.vehicle_world.turns else "scheduled"
        return service(question)

    meeting.vehicle_world.more = {q.ServiceQuestion: other_way}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()
    assert meeting.secc.names(sent=False).count("ServiceDiscoveryReq") == 2
    assert meeting.secc.names(sent=False).count("SessionSetupReq") == 1
    targets = meeting.station_world.targets
    assert (targets[0].control, targets[-1].control) == ("scheduled", "dynamic")
    assert [one.ChargingSession for one in sent(meeting, cm.SessionStopReq)] == ["ServiceRenegotiation", "Terminate"]


def test_a_station_that_does_not_renegotiate_services_says_so() -> None:
    meeting = Meeting(station=StationSettings(offer(service_renegotiation=False)))
    meeting.vehicle_world.steps = {3: Step("renegotiate_service")}
    meeting.run()
    assert meeting.endings() == ("refused:session.no_renegotiation", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("SessionStopRes", "FAILED_NoServiceRenegotiationSupported")


# --- standing by ----------------------------------------------------------------------------------------------------


@pytest.mark.judged("standby", edition="iso15118-20", by="ourselves")
@pytest.mark.parametrize(("ac", "control"), KINDS)
def test_a_vehicle_stands_by_and_goes_on(ac: bool, control: str) -> None:
    meeting = Meeting(ac=ac, control=control, method="eim")
    meeting.vehicle_world.steps = {2: Step("standby"), 3: Step("standby")}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()
    progress = [one.ChargeProgress for one in sent(meeting, cm.PowerDeliveryReq)]
    assert progress == ["Start", "Standby", "Start", "Stop"]
    granted = [one.granted for one in meeting.station_world.targets]
    assert granted[1:3] == [0.0, 0.0]
    assert [one.setpoint.power for one in meeting.station_world.targets[1:3]] == [0.0, 0.0]
    assert granted[3] != 0.0
    # Nothing flows from the answer to PowerDelivery on, not only from the next turn of the loop.
    assert meeting.station_world.idled == [1]


def test_the_station_wakes_a_vehicle_up() -> None:
    meeting = Meeting(method="eim")
    meeting.vehicle_world.steps = dict.fromkeys(range(2, 6), Step("standby"))
    meeting.station_world.wishes = {3: Control(notification="exit_standby")}
    meeting.run()
    progress = [one.ChargeProgress for one in sent(meeting, cm.PowerDeliveryReq)]
    assert progress[:3] == ["Start", "Standby", "Start"]
    assert meeting.endings() == ("stopped", "stopped")


def test_a_vehicle_that_stands_by_wakes_up_for_another_schedule() -> None:
    meeting = Meeting(method="eim")
    meeting.vehicle_world.steps = dict.fromkeys(range(2, 5), Step("standby"))
    meeting.station_world.wishes = {3: Control(notification="renegotiate_schedule")}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    progress = [one.ChargeProgress for one in sent(meeting, cm.PowerDeliveryReq)]
    assert progress == ["Start", "Standby", "Start", "ScheduleRenegotiation", "Stop"]
    meeting.in_table()


def test_standing_by_may_be_forbidden_which_is_a_warning() -> None:
    meeting = Meeting(method="eim", station=StationSettings(offer(), standby=False))
    meeting.vehicle_world.steps = {2: Step("standby")}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert ("PowerDeliveryRes", "WARNING_StandbyNotAllowed") in meeting.secc.codes()
    meeting.in_table()


# --- profiles -------------------------------------------------------------------------------------------------------


def test_a_profile_above_the_schedule_is_refused() -> None:

    meeting = Meeting(method="eim")
    now = int(meeting.clock.now().timestamp())
    # 60 kW for the first hour, then 30: 50 kW are too much from the second hour on.
    plan = PowerSchedule(now, (PowerSpan(1800, 50_000.0), PowerSpan(1801, 50_000.0)))
    meeting.vehicle_world.more = {q.ConsentQuestion: lambda _: ScheduleChoice(1, plan)}
    meeting.run()
    assert meeting.endings() == ("refused:session.wrong_profile", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("PowerDeliveryRes", "FAILED_EVPowerProfileInvalid")
    fits = Meeting(method="eim")
    short = PowerSchedule(now, (PowerSpan(1800, 50_000.0), PowerSpan(1800, 50_000.0)))
    fits.vehicle_world.more = {q.ConsentQuestion: lambda _: ScheduleChoice(1, short)}
    fits.run()
    assert fits.endings() == ("stopped", "stopped")
    # The profile, not the schedule, is what is granted.
    assert fits.station_world.targets[0].granted == 50_000.0


def test_a_schedule_that_was_not_offered_is_refused() -> None:
    meeting = Meeting(method="eim")
    meeting.vehicle_world.more = {q.ConsentQuestion: lambda _: ScheduleChoice(3)}
    meeting.run()
    assert meeting.endings() == ("refused:session.wrong_schedule", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("PowerDeliveryRes", "FAILED_ScheduleSelectionInvalid")


def test_an_ac_vehicle_that_draws_more_than_its_profile_is_warned() -> None:
    meeting = Meeting(ac=True, method="eim")
    meeting.station_world.power = 3_000.0
    meeting.run()
    codes = [code for name, code in meeting.secc.codes() if name == "AC_ChargeLoopRes"]
    # It draws 4 kW where 3 are granted.
    assert codes == ["WARNING_EVPowerProfileViolation"] * 5
    assert meeting.endings() == ("stopped", "stopped")


def test_time_moves_the_schedule_on() -> None:
    meeting = Meeting(method="eim")
    meeting.vehicle_world.most = 2
    turn = meeting.station_world.turn

    def slow(question: q.PowerQuestion) -> q.Delivery:
        later(meeting.clock, 3600.0)
        return turn(question)

    meeting.station_world.more = {q.PowerQuestion: slow}
    meeting.run()
    assert [one.granted for one in meeting.station_world.targets] == [60_000.0, 30_000.0]


def test_a_contactor_that_does_not_close_ends_the_session() -> None:
    meeting = Meeting(method="eim")

    def stuck(_: object) -> object:
        raise V2GPKIError("station.contactor", "it is stuck")

    meeting.station_world.more = {q.ContactorQuestion: stuck}
    meeting.run()
    assert meeting.endings() == ("refused:station.contactor", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("PowerDeliveryRes", "FAILED_ContactorError")


def test_an_isolation_fault_ends_the_session() -> None:
    meeting = Meeting(method="eim")
    meeting.station_world.more = {q.CableCheckQuestion: lambda _: "fault"}
    meeting.run()
    assert meeting.endings() == ("refused:session.not_isolated", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("DC_CableCheckRes", "FAILED")


def test_a_vehicle_may_take_a_voltage_that_never_matches() -> None:
    """EcoG's simulated station has one volt."""
    meeting = Meeting(method="eim", vehicle=VehicleSettings("EV", precharge_within=1e9, compat="ecog"))
    meeting.station_world.more = {q.PreChargeQuestion: lambda _: Present(1.0, 0.0, 0.0)}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert ("PowerDeliveryRes", "OK_PowerToleranceConfirmed") in meeting.secc.codes()


def test_a_pre_charge_that_never_matches_ends_in_order() -> None:
    meeting = Meeting(method="eim")
    meeting.station_world.more = {q.PreChargeQuestion: lambda _: Present(10.0, 0.0, 0.0)}
    meeting.run()
    assert meeting.endings() == ("stopped", "terminated:session.late")
    assert not meeting.vehicle_world.connected


# --- what may flow back ----------------------------------------------------------------------------------------------


def giving(current: float) -> Callable[[object], Demand]:
    """A vehicle's demand: 400 V with this current."""
    return lambda _: Demand(400.0 * current, 400.0, current)


def test_nothing_flows_back_in_a_service_of_one_way() -> None:
    meeting = Meeting()
    meeting.vehicle_world.more = {q.DemandQuestion: giving(-20.0)}
    meeting.run()
    assert meeting.station_world.targets
    for asked in meeting.station_world.targets:
        assert (asked.setpoint.current, asked.setpoint.power) == (0.0, 0.0)


@pytest.mark.parametrize(("current", "power"), [(-20.0, -8_000.0), (-60.0, -10_000.0)])
def test_what_flows_back_is_within_the_schedule_s(current: float, power: float) -> None:
    """The schedule has 10 kW for the way out of the vehicle."""
    meeting = Meeting(bidirectional=True)
    meeting.vehicle_world.more = {q.DemandQuestion: giving(current)}
    meeting.run()
    assert {asked.setpoint.power for asked in meeting.station_world.targets} == {power}
    assert {asked.setpoint.current for asked in meeting.station_world.targets} == {power / 400.0}
