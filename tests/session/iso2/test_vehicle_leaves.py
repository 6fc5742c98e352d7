"""What a vehicle does not take, what it does then, and what a FAILED answer does to it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace as changed

from tests.session.iso2.rig import (
    DC_LIMITS,
    EMAID,
    TLS,
    VEHICLE,
    Car,
    Outlet,
    refuse,
    station,
    vehicle,
)
from tests.session.iso2.tapes import KINDS, frames, pause, read, tape, with_session
from tests.session.joined import Side, join
from v2gpki.energy import Control, EnergyService, Present, Reading, ServiceChoice, Variant
from v2gpki.messages import iso2
from v2gpki.session import questions as q
from v2gpki.session.iso2.refusals import RESPONSE_CODES, refusal
from v2gpki.session.iso2.values import physical
from v2gpki.session.notices import Ending, Refused
from v2gpki.session.secured import Secured

SESSION = b"\1" * 8


def answered(name: str, count: int, **fields: Any) -> Side:
    """A vehicle that gets the next answer of a tape with other fields; Any: of whichever field a test changes."""
    said = tape(name)
    message = read(said.responses[count])
    body = message.Body.BodyElement
    assert body is not None
    evcc = said.vehicle_after(count)
    header = iso2.MessageHeaderType(
        SessionID=fields.pop("session", message.Header.SessionID), Signature=message.Header.Signature
    )
    spoilt = iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=changed(body, **fields)))
    evcc.engine.receive(with_session(spoilt, header.SessionID), evcc.engine.now + 0.01)
    evcc.settle(evcc.engine.now)
    pause(evcc)
    return evcc


def place(name: str, answer: str) -> int:
    """Where the first answer of a name is on a tape."""
    said = tape(name)
    return 1 + [type(read(frame).Body.BodyElement).__name__ for frame in said.responses[1:]].index(answer)


def next_request(evcc: Side) -> object:
    """What the vehicle says next."""
    (frame,) = frames(evcc.engine.outgoing())
    return read(frame).Body.BodyElement


def problem(evcc: Side) -> tuple[str, str]:
    """How it ended, and why."""
    ending = evcc.engine.ending
    assert ending is not None
    assert ending.problem is not None
    return ending.kind, ending.problem.code


@pytest.mark.parametrize("request_name", RESPONSE_CODES)
def test_a_failure_ends_it_at_once(request_name: str) -> None:
    """Whatever was asked: nothing more is said, and the ending has the ResponseCode."""
    said = next(
        tape(kind.name)
        for kind in KINDS
        if any(type(read(frame).Body.BodyElement).__name__ == request_name for frame in tape(kind.name).requests[1:])
    )
    count = 1 + [type(read(frame).Body.BodyElement).__name__ for frame in said.requests[1:]].index(request_name)
    for code in RESPONSE_CODES[request_name]:
        evcc = said.vehicle_after(count)
        body: Any = refusal(request_name, code, evcc.engine.clock.now())
        header = iso2.MessageHeaderType(SessionID=SESSION)
        message = iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=body))
        evcc.engine.receive(with_session(message, SESSION), evcc.engine.now + 0.01)
        evcc.settle(evcc.engine.now)
        assert problem(evcc) == ("refused", "session.refused")
        assert evcc.engine.outgoing() == b""
        (told,) = [notice for notice in evcc.notices if isinstance(notice, Refused)]
        assert (told.request, told.response_code) == (request_name, code)


def test_an_answer_to_something_else() -> None:
    said = tape("ac eim")
    evcc = said.vehicle_after(2)
    evcc.engine.receive(said.responses[3], 1.0)
    assert problem(evcc) == ("fault", "session.wrong_response")


def test_an_answer_of_another_session() -> None:
    assert problem(answered("ac eim", 2, session=b"\x09" * 8)) == ("fault", "session.wrong_session")


def test_a_session_without_id() -> None:
    assert problem(answered("ac eim", 1, session=bytes(8))) == ("fault", "session.wrong_session")


def test_a_session_joined_that_nobody_paused() -> None:
    evcc = answered("ac eim", 1, ResponseCode="OK_OldSessionJoined")
    assert problem(evcc) == ("fault", "session.wrong_session")


def test_an_answer_that_comes_before_its_request() -> None:
    said = tape("ac eim")
    evcc = said.vehicle_after(2)
    evcc.engine.receive(said.responses[2] + said.responses[3], 1.0)
    evcc.settle(1.0)
    assert problem(evcc) == ("fault", "session.early")


def test_a_contract_offered_without_tls_is_not_taken() -> None:
    both = iso2.PaymentOptionListType(PaymentOption=("Contract", "ExternalPayment"))
    evcc = answered("ac eim", 2, PaymentOptionList=both)
    selection = next_request(evcc)
    assert isinstance(selection, iso2.PaymentServiceSelectionReq)
    assert selection.SelectedPaymentOption == "ExternalPayment"


def left(evcc: Side, secc: Side) -> tuple[str, str]:
    """Join both: the vehicle says goodbye, the station sees an ordinary end; gives the vehicle's ending."""
    join(secc, evcc)
    assert secc.engine.ending == Ending("stopped")
    assert evcc.names(sent=True)[-1] == "SessionStopReq"
    return problem(evcc)


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"ServiceQuestion": refuse("session.wrong_transfer_mode")}, "session.wrong_transfer_mode"),
        ({"ContractChoiceQuestion": lambda _: None}, "session.no_contracts"),
        ({"SigningQuestion": refuse("signature.bad_signer")}, "signature.bad_signer"),
        ({"NeedsQuestion": refuse("environment.failed")}, "environment.failed"),
        ({"ConsentQuestion": refuse("vehicle.no_consent")}, "vehicle.no_consent"),
        ({"ConnectQuestion": refuse("vehicle.contactor")}, "vehicle.contactor"),
        ({"StepQuestion": refuse("environment.failed")}, "environment.failed"),
        ({"DemandQuestion": refuse("environment.failed")}, "environment.failed"),
    ],
)
def test_a_vehicle_that_cannot_go_on_says_goodbye(spoilt: dict[str, Any], code: str) -> None:
    outlet = Outlet()
    assert left(vehicle(**spoilt), station(outlet=outlet)) == ("terminated", code)
    # What was closed is open.
    assert [question.closed for question in outlet.switched] in ([], [True, False])


def test_a_receipt_that_cannot_be_signed_opens_the_contactors() -> None:
    """The state awaits a receipt; PowerDelivery may come all the same."""
    outlet = Outlet(receipts=frozenset({1}))
    evcc = vehicle()
    usual = evcc.answers[q.SigningQuestion]

    def signs(question: q.SigningQuestion) -> object:
        if question.purpose == "MeteringReceiptReq":
            return refuse("signature.bad_signer")(question)
        return usual(question)

    evcc.answers = {**evcc.answers, q.SigningQuestion: signs}
    assert left(evcc, station(outlet=outlet)) == ("terminated", "signature.bad_signer")
    assert [question.closed for question in outlet.switched] == [True, False]


def test_a_contract_that_cannot_be_taken() -> None:
    evcc = vehicle(car=Car(install=True), InstalledQuestion=refuse("installation.wrong_key"))
    assert left(evcc, station()) == ("terminated", "installation.wrong_key")


def test_no_schedule_of_that_number() -> None:
    assert left(vehicle(car=Car(number=9)), station()) == ("terminated", "session.wrong_schedule")


@pytest.mark.parametrize(
    ("way", "code", "secured"),
    [
        ("mode", "session.wrong_transfer_mode", TLS),
        ("mode", "session.wrong_transfer_mode", None),
        ("payment", "session.wrong_payment", None),
    ],
)
def test_a_choice_that_was_not_offered(way: str, code: str, secured: Secured | None) -> None:
    car = Car()

    def service(question: q.ServiceQuestion) -> ServiceChoice:
        choice = car.service(question)
        if way == "payment":
            return ServiceChoice("pnc", choice.service, choice.variant)
        variant = Variant("combo_core")
        return ServiceChoice(choice.method, EnergyService("DC", (variant,)), variant)

    assert left(vehicle(car=car, secured=secured, ServiceQuestion=service), station(secured=secured)) == (
        "terminated",
        code,
    )


@pytest.mark.parametrize(
    ("what", "limit"), [("authorization", 60), ("schedules", 60), ("cable", 40), ("precharge", 7)]
)
def test_a_station_that_is_at_work_for_ever(what: str, limit: float) -> None:
    """By the vehicle's own timers: what it hears says "ongoing" each time."""
    answer = {
        "authorization": ("ac install", "AuthorizationRes"),
        "schedules": ("ac install", "ChargeParameterDiscoveryRes"),
        "cable": ("dc contract", "CableCheckRes"),
        "precharge": ("dc contract", "PreChargeRes"),
    }[what]
    count = place(*answer)
    said = tape(answer[0])
    evcc = said.vehicle_after(count)
    began = evcc.engine.now
    # On these tapes the first answer of each is one that is not finished.
    while evcc.engine.now < began + 2 * limit:
        evcc.engine.receive(said.responses[count], evcc.engine.now + 0.1)
        evcc.settle(evcc.engine.now)
        pause(evcc)
        (request,) = frames(evcc.engine.outgoing())
        if type(read(request).Body.BodyElement).__name__ == "SessionStopReq":
            break
    assert evcc.engine.now - began == pytest.approx(limit, abs=0.3)
    stop = iso2.V2G_Message(
        Header=iso2.MessageHeaderType(SessionID=SESSION),
        Body=iso2.BodyType(BodyElement=iso2.SessionStopRes(ResponseCode="OK")),
    )
    evcc.engine.receive(with_session(stop, SESSION), evcc.engine.now + 0.1)
    assert problem(evcc) == ("timeout", "session.timeout")


def dc_status(isolation: iso2.isolationLevelType, code: iso2.DC_EVSEStatusCodeType) -> iso2.DC_EVSEStatus:
    return iso2.DC_EVSEStatus(
        NotificationMaxDelay=0, EVSENotification="None", EVSEIsolationStatus=isolation, EVSEStatusCode=code
    )


DC_PARAMETER = iso2.DC_EVSEChargeParameter(
    DC_EVSEStatus=dc_status("Valid", "EVSE_Ready"),
    EVSEMaximumCurrentLimit=physical(400, "A"),
    EVSEMaximumPowerLimit=physical(150_000, "W"),
    EVSEMaximumVoltageLimit=physical(920, "V"),
    EVSEMinimumCurrentLimit=physical(0, "A"),
    EVSEMinimumVoltageLimit=physical(150, "V"),
    EVSEPeakCurrentRipple=physical(1, "A"),
)
NO_VOLTAGE = iso2.AC_EVSEChargeParameter(
    AC_EVSEStatus=iso2.AC_EVSEStatus(NotificationMaxDelay=0, EVSENotification="None", RCD=False),
    EVSENominalVoltage=physical(0, "V"),
    EVSEMaxCurrent=physical(16, "A"),
)


@pytest.mark.parametrize(
    ("name", "answer", "fields"),
    [
        ("ac eim", "ChargeParameterDiscoveryRes", {"SASchedules": None}),
        ("ac eim", "ChargeParameterDiscoveryRes", {"EVSEChargeParameter": DC_PARAMETER}),
        ("ac eim", "ChargeParameterDiscoveryRes", {"EVSEChargeParameter": NO_VOLTAGE}),
        ("dc eim", "CableCheckRes", {"DC_EVSEStatus": dc_status("Fault", "EVSE_Malfunction")}),
        ("dc eim", "CableCheckRes", {"DC_EVSEStatus": dc_status("Invalid", "EVSE_Ready")}),
    ],
)
def test_answers_of_no_use(name: str, answer: str, fields: dict[str, Any]) -> None:
    evcc = answered(name, place(name, answer), **fields)
    assert isinstance(next_request(evcc), iso2.SessionStopReq)


def test_a_station_that_shuts_down_is_left() -> None:
    """EVSE_Malfunction in the loop, without a notification."""
    broken = q.Delivery(Present(400, 0, 0, state="malfunction"), DC_LIMITS, Control(), Reading("m", 1.0))
    secc, evcc = station(PowerQuestion=lambda _: broken), vehicle(car=Car(current="DC", turns=50, obeys=False))
    join(secc, evcc)
    assert evcc.names(sent=True).count("CurrentDemandReq") == 1
    assert evcc.engine.ending == Ending("stopped")


def test_who_pays_is_told_to_who_signs() -> None:
    evcc = vehicle(VEHICLE)
    join(station(), evcc)
    signing = [question for question in evcc.asked if isinstance(question, q.SigningQuestion)]
    assert [(question.purpose, question.emaid) for question in signing] == [("AuthorizationReq", EMAID)]
