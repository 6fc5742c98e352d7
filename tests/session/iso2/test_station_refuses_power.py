"""What a station does not take of parameters, power, loops and receipts, and the ResponseCode that says so."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.session.iso2.refusing import ac, dc, profile, quantity, refused, sent, signed
from tests.session.iso2.rig import Outlet, refuse, signature_over, station
from tests.session.iso2.tapes import answer_to, in_state, requests, tape
from v2gpki.energy import Present, SchedulesGiven
from v2gpki.messages import iso2
from v2gpki.messages.xmldsig import Signature
from v2gpki.session import questions as q


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"RequestedEnergyTransferMode": "DC_unique", "EVChargeParameter": dc()}, "FAILED_WrongEnergyTransferMode"),
        ({"EVChargeParameter": dc()}, "FAILED_WrongChargeParameter"),
        ({"RequestedEnergyTransferMode": "DC_core"}, "FAILED_WrongChargeParameter"),
        ({"EVChargeParameter": ac(EAmount=quantity(20, "W"))}, "FAILED_WrongChargeParameter"),
        ({"EVChargeParameter": ac(EAmount=quantity(-1, "Wh"))}, "FAILED_WrongChargeParameter"),
        ({"EVChargeParameter": ac(EVMaxVoltage=quantity(0, "V"))}, "FAILED_WrongChargeParameter"),
        ({"EVChargeParameter": ac(EVMinCurrent=quantity(17, "A"))}, "FAILED_WrongChargeParameter"),
        (
            {
                "RequestedEnergyTransferMode": "DC_core",
                "EVChargeParameter": dc(EVMaximumVoltageLimit=quantity(-400, "V")),
            },
            "FAILED_WrongChargeParameter",
        ),
        (
            {
                "RequestedEnergyTransferMode": "DC_core",
                "EVChargeParameter": dc(EVEnergyRequest=quantity(-1, "Wh", 3)),
            },
            "FAILED_WrongChargeParameter",
        ),
    ],
)
def test_parameters_that_make_no_sense(fields: dict[str, Any], code: str) -> None:
    usual: dict[str, Any] = {"RequestedEnergyTransferMode": "AC_three_phase_core", "EVChargeParameter": ac()}
    assert refused(in_state("authorised"), sent("ChargeParameterDiscoveryReq", **(usual | fields)))[0] == code


def test_another_mode_in_a_renegotiation() -> None:
    frame = sent("ChargeParameterDiscoveryReq", RequestedEnergyTransferMode="DC_core", EVChargeParameter=dc())
    assert refused(in_state("renegotiating-ac"), frame)[0] == "FAILED_WrongEnergyTransferMode"


def test_no_schedule_at_all() -> None:
    secc = in_state("authorised", SchedulesQuestion=lambda _: SchedulesGiven())
    assert refused(secc, sent("ChargeParameterDiscoveryReq"))[0] == "FAILED"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"SAScheduleTupleID": 3}, "FAILED_TariffSelectionInvalid"),
        ({"ChargingProfile": profile((0, 11_100))}, "FAILED_ChargingProfileInvalid"),
        # From the second hour on 7 kW are granted.
        ({"ChargingProfile": profile((0, 11_000), (3601, 7_000))}, "FAILED_ChargingProfileInvalid"),
        ({"ChargingProfile": profile((0, 5_000), (3600, 7_100))}, "FAILED_ChargingProfileInvalid"),
        ({"ChargingProfile": profile((10, 5_000), (10, 4_000))}, "FAILED_ChargingProfileInvalid"),
        ({"ChargingProfile": profile((0, -5))}, "FAILED_ChargingProfileInvalid"),
        ({"SAScheduleTupleID": 2, "ChargingProfile": profile((0, 7_000))}, "FAILED_ChargingProfileInvalid"),
        ({"ChargeProgress": "Renegotiate"}, "FAILED_PowerDeliveryNotApplied"),
    ],
)
def test_a_start_that_does_not_fit(fields: dict[str, Any], code: str) -> None:
    usual: dict[str, Any] = {"ChargeProgress": "Start", "SAScheduleTupleID": 1, "ChargingProfile": None}
    secc = in_state("parameters-ac")
    assert refused(secc, sent("PowerDeliveryReq", **(usual | fields)))[0] == code
    assert not any(isinstance(question, q.ContactorQuestion) for question in secc.asked)


@pytest.mark.parametrize(
    "fitting", [None, profile((0, 11_000), (3600, 7_000)), profile((0, 11_000), (3599, 6_999)), profile((7200, 7_000))]
)
def test_a_start_that_fits(fitting: iso2.ChargingProfileType | None) -> None:
    secc = in_state("parameters-ac")
    answer = answer_to(
        secc, sent("PowerDeliveryReq", ChargeProgress="Start", SAScheduleTupleID=1, ChargingProfile=fitting)
    )
    assert answer is not None
    assert getattr(answer.Body.BodyElement, "ResponseCode", "") == "OK"


def test_a_start_while_power_flows() -> None:
    frame = sent("PowerDeliveryReq", ChargeProgress="Start", SAScheduleTupleID=1)
    assert refused(in_state("charging-ac"), frame)[0] == "FAILED_PowerDeliveryNotApplied"


def test_a_stop_is_not_refused_for_a_number() -> None:
    frame = sent("PowerDeliveryReq", ChargeProgress="Stop", SAScheduleTupleID=99)
    secc = in_state("charging-ac")
    answer = answer_to(secc, frame)
    assert answer is not None
    assert getattr(answer.Body.BodyElement, "ResponseCode", "") == "OK"
    assert [question.closed for question in secc.asked if isinstance(question, q.ContactorQuestion)] == [True, False]


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("station.contactor", "FAILED_ContactorError"),
        ("environment.failed", "FAILED_PowerDeliveryNotApplied"),
        ("session.late", "FAILED_PowerDeliveryNotApplied"),
    ],
)
def test_contactors_that_do_not_close(problem: str, code: str) -> None:
    secc = in_state("parameters-ac", ContactorQuestion=refuse(problem))
    frame = sent("PowerDeliveryReq", ChargeProgress="Start", SAScheduleTupleID=1, ChargingProfile=None)
    assert refused(secc, frame)[0] == code


def test_a_cable_that_is_not_isolated() -> None:
    secc = in_state("parameters-dc", CableCheckQuestion=lambda _: "fault")
    assert refused(secc, sent("CableCheckReq")) == ("FAILED", "session.not_delivered")


def test_a_word_for_the_cable_that_is_none() -> None:
    secc = in_state("parameters-dc", CableCheckQuestion=lambda _: "fine")
    assert refused(secc, sent("CableCheckReq"))[0] == "FAILED"


def test_an_isolation_check_without_end() -> None:
    """38 s, after which the vehicle waits 2 s more at most."""
    secc = in_state("parameters-dc", CableCheckQuestion=lambda _: "unknown")
    assert answer_to(secc, sent("CableCheckReq")) is not None
    began = secc.engine.now
    secc.engine.receive(sent("CableCheckReq"), began + 37.9)
    secc.settle(secc.engine.now)
    secc.engine.outgoing()
    assert secc.engine.ending is None
    secc.engine.now = began + 38
    assert refused(secc, sent("CableCheckReq")) == ("FAILED", "session.late")


def receipt(**fields: Any) -> iso2.MeteringReceiptReq:
    """The receipt of the tape, with other fields; Any: of whichever field a test changes."""
    body = requests()["MeteringReceiptReq"].Body.BodyElement
    assert isinstance(body, iso2.MeteringReceiptReq)
    return replace(body, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"SessionID": b"\x09" * 8},
        {"SAScheduleTupleID": 2},
        {"MeterInfo": replace(receipt().MeterInfo, MeterReading=1011)},
        {"MeterInfo": replace(receipt().MeterInfo, MeterID="meter 2")},
        {"MeterInfo": replace(receipt().MeterInfo, SigMeterReading=None)},
    ],
)
def test_a_receipt_for_another_reading(fields: dict[str, Any]) -> None:
    secc = in_state("receipt-ac")
    found = refused(secc, signed("MeteringReceiptReq", signature_over("MeteringReceiptReq"), **fields))
    assert found == ("FAILED_MeteringSignatureNotValid", "metering.wrong_reading")


@pytest.mark.parametrize("signature", [None, signature_over("another")])
def test_a_receipt_that_is_not_signed(signature: Signature | None) -> None:
    secc = in_state("receipt-ac")
    assert refused(secc, signed("MeteringReceiptReq", signature))[0] == "FAILED_MeteringSignatureNotValid"
    assert not any(isinstance(question, q.ReceiptQuestion) for question in secc.asked)


def test_a_receipt_without_schedule_is_good_enough() -> None:
    secc = in_state("receipt-ac")
    frame = signed("MeteringReceiptReq", signature_over("MeteringReceiptReq"), SAScheduleTupleID=None)
    answer = answer_to(secc, frame)
    assert answer is not None
    assert getattr(answer.Body.BodyElement, "ResponseCode", "") == "OK"


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), 1e9])
def test_quantities_that_no_message_can_carry(nonsense: float) -> None:
    """A power stage that says nonsense ends the session with an answer."""
    secc = in_state("cable-checked", PreChargeQuestion=lambda _: Present(nonsense, 0, 0))
    assert refused(secc, sent("PreChargeReq")) == ("FAILED", "session.value")


@pytest.mark.parametrize("octets", [bytes(8), b"\1" * 7, b""])
def test_randomness_that_is_none(octets: bytes) -> None:
    secc = station(outlet=Outlet(), random=lambda _: octets)
    secc.engine.start(0.0)
    secc.engine.receive(tape("ac eim").requests[0], 0.1)
    secc.engine.outgoing()
    assert refused(secc, tape("ac eim").requests[1]) == ("FAILED", "session.value")


def test_closed_contactors_open_when_the_session_stops() -> None:
    secc = in_state("renegotiating-ac")
    answer = answer_to(secc, sent("SessionStopReq", ChargingSession="Terminate"))
    assert answer is not None
    assert [question.closed for question in secc.asked if isinstance(question, q.ContactorQuestion)] == [True, False]


def test_nothing_flows_back() -> None:
    """Whatever the stage could do: -2 knows no discharging."""
    secc = in_state("charging-dc")
    current, voltage = quantity(-100, "A"), quantity(400, "V")
    answered = answer_to(secc, sent("CurrentDemandReq", EVTargetCurrent=current, EVTargetVoltage=voltage))
    assert answered is not None
    [*_, asked] = [question for question in secc.asked if isinstance(question, q.PowerQuestion)]
    assert (asked.setpoint.current, asked.setpoint.voltage) == (0.0, 400.0)
    assert asked.setpoint.power >= 0


def test_a_pre_charge_below_nothing() -> None:
    secc = in_state("cable-checked")
    fields = {"EVTargetCurrent": quantity(-2, "A"), "EVTargetVoltage": quantity(-400, "V")}
    assert answer_to(secc, sent("PreChargeReq", **fields)) is not None
    [asked] = [question for question in secc.asked if isinstance(question, q.PreChargeQuestion)]
    assert (asked.current, asked.voltage) == (0.0, 0.0)
