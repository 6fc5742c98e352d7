"""What a station does not take, and the ResponseCode that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.session.iso2.rig import EMAID, Outlet, installation_answer, refuse, signature_over, station
from tests.session.iso2.tapes import answer_to, in_state, requests, tape, with_session, written
from tests.session.joined import Side
from v2gpki.energy import Present, SchedulesGiven
from v2gpki.messages import codec, iso2
from v2gpki.messages.xmldsig import Signature
from v2gpki.session import questions as q
from v2gpki.session.notices import Judged, Refused

SESSION = b"\1" * 8


def sent(name: str, **fields: Any) -> bytes:
    """The good request of this name, with other fields; Any: of whichever field a test changes."""
    message = requests()[name]
    body = message.Body.BodyElement
    assert body is not None
    changed = replace(message, Body=iso2.BodyType(BodyElement=replace(body, **fields)))
    return with_session(changed, SESSION)


def signed(name: str, signature: Signature | None, **fields: Any) -> bytes:
    """The same under this signature."""
    message = requests()[name]
    body = message.Body.BodyElement
    assert body is not None
    header = iso2.MessageHeaderType(SessionID=SESSION, Signature=signature)
    return written(iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=replace(body, **fields))))


def refused(secc: Side, frame: bytes) -> tuple[str, str]:
    """The ResponseCode and our own code of a refusal, after which the session is over."""
    answer = answer_to(secc, frame)
    assert answer is not None
    assert secc.engine.ending is not None
    assert secc.engine.ending.kind == "refused"
    problem = secc.engine.ending.problem
    assert problem is not None
    code = str(getattr(answer.Body.BodyElement, "ResponseCode", ""))
    told = [(notice.response_code, notice.problem) for notice in secc.notices if isinstance(notice, Refused)]
    assert told == [(code, problem)]
    return code, problem.code


def quantity(value: int, unit: iso2.unitSymbolType, multiplier: int = 0) -> iso2.PhysicalValueType:
    return iso2.PhysicalValueType(Multiplier=multiplier, Unit=unit, Value=value)


def ac(**fields: Any) -> iso2.AC_EVChargeParameter:
    """AC parameters of a vehicle; Any: of whichever field a test changes."""
    usual: dict[str, Any] = {
        "EAmount": quantity(20_000, "Wh"),
        "EVMaxVoltage": quantity(400, "V"),
        "EVMaxCurrent": quantity(16, "A"),
        "EVMinCurrent": quantity(6, "A"),
    }
    return iso2.AC_EVChargeParameter(**(usual | fields))


def dc(**fields: Any) -> iso2.DC_EVChargeParameter:
    """DC parameters of a vehicle; Any: of whichever field a test changes."""
    usual: dict[str, Any] = {
        "DC_EVStatus": iso2.DC_EVStatus(EVReady=True, EVErrorCode="NO_ERROR", EVRESSSOC=40),
        "EVMaximumCurrentLimit": quantity(300, "A"),
        "EVMaximumVoltageLimit": quantity(450, "V"),
    }
    return iso2.DC_EVChargeParameter(**(usual | fields))


def profile(*entries: tuple[int, int]) -> iso2.ChargingProfileType:
    """A profile: from which second on how many W."""
    return iso2.ChargingProfileType(
        ProfileEntry=tuple(
            iso2.ProfileEntryType(ChargingProfileEntryStart=start, ChargingProfileEntryMaxPower=quantity(watts, "W"))
            for start, watts in entries
        )
    )


def services(*numbers: tuple[int, int | None]) -> iso2.SelectedServiceListType:
    return iso2.SelectedServiceListType(
        SelectedService=tuple(iso2.SelectedServiceType(ServiceID=number, ParameterSetID=s) for number, s in numbers)
    )


def test_a_service_that_is_not_there() -> None:
    frame = sent("ServiceDetailReq", ServiceID=3)
    assert refused(in_state("discovered"), frame) == ("FAILED_ServiceIDInvalid", "session.unknown_service")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"SelectedServiceList": services((2, 1))}, "FAILED_NoChargeServiceSelected"),
        ({"SelectedServiceList": services((1, None), (7, None))}, "FAILED_ServiceSelectionInvalid"),
        ({"SelectedServiceList": services((1, None), (2, 9))}, "FAILED_ServiceSelectionInvalid"),
    ],
)
def test_services_that_cannot_be_had(fields: dict[str, Any], code: str) -> None:
    # "installed" has a tape over TLS; its third message is the one before the choice.
    secc = tape("ac install").station_after(4)
    frame = sent("PaymentServiceSelectionReq", SelectedPaymentOption="Contract", **fields)
    assert refused(secc, frame)[0] == code


def test_a_contract_without_tls() -> None:
    """The first tape has no TLS: a vehicle that takes what was not offered."""
    frame = sent("PaymentServiceSelectionReq", SelectedPaymentOption="Contract")
    assert refused(in_state("discovered"), frame) == ("FAILED_PaymentSelectionInvalid", "session.wrong_payment")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("path.expired", "FAILED_CertificateExpired"),
        ("path.revoked", "FAILED_CertificateRevoked"),
        ("path.no_anchor", "FAILED_CertChainError"),
        ("session.late", "FAILED"),
        ("environment.failed", "FAILED"),
    ],
)
def test_a_contract_chain_that_is_not_good(problem: str, code: str) -> None:
    secc = in_state("selected-contract", ContractChainQuestion=refuse(problem))
    assert refused(secc, sent("PaymentDetailsReq")) == (code, problem)
    (judged,) = [notice for notice in secc.notices if isinstance(notice, Judged)]
    assert judged.by == EMAID
    assert judged.problem is not None


def test_an_emaid_that_is_none() -> None:
    secc = in_state("selected-contract")
    assert refused(secc, sent("PaymentDetailsReq", eMAID="??????????????")) == ("FAILED", "identifier.invalid")


def test_the_challenge_comes_before_the_signature() -> None:
    secc = in_state("identified")
    frame = signed("AuthorizationReq", None, Id="id1", GenChallenge=b"\x09" * 16)
    assert refused(secc, frame) == ("FAILED_ChallengeInvalid", "authorisation.wrong_challenge")


def test_no_challenge() -> None:
    frame = signed("AuthorizationReq", None, Id=None, GenChallenge=None)
    assert refused(in_state("identified"), frame)[0] == "FAILED_ChallengeInvalid"


@pytest.mark.parametrize(
    ("signature", "problem"),
    [(None, "signature.missing"), (signature_over("something else"), "signature.wrong_value")],
)
def test_no_good_signature(signature: Signature | None, problem: str) -> None:
    frame = signed("AuthorizationReq", signature, Id="id1", GenChallenge=b"\2" * 16)
    assert refused(in_state("identified"), frame) == ("FAILED_SignatureError", problem)


def test_a_repetition_that_says_something_else() -> None:
    # The tape of an installation waits for authorization by contract.
    taped = tape("ac install")
    secc = taped.station_after(taped.states.index("authorising") + 1)
    frame = signed("AuthorizationReq", None, Id="id1", GenChallenge=b"\3" * 16)
    assert refused(secc, frame) == ("FAILED", "authorisation.changed_repetition")


@pytest.mark.parametrize(
    ("decision", "code"),
    [
        (q.Decision("rejected"), "FAILED"),
        (q.Decision("rejected", "FAILED_ContractCanceled", "canceled"), "FAILED_ContractCanceled"),
        (q.Decision("rejected", "FAILED_ContactorError"), "FAILED"),
        (q.Decision("rejected", "nonsense"), "FAILED"),
    ],
)
def test_a_vehicle_that_may_not_charge(decision: q.Decision, code: str) -> None:
    secc = in_state("identified", AuthorizationQuestion=lambda _: decision)
    frame = signed("AuthorizationReq", signature_over("AuthorizationReq"), Id="id1", GenChallenge=b"\2" * 16)
    assert refused(secc, frame) == (code, "session.not_authorised")


def test_a_backend_that_never_decides() -> None:
    """After the 55 s of V2G_SECC_Ongoing_Performance_Time."""
    secc = in_state("identified", AuthorizationQuestion=lambda _: q.Decision("ongoing"))
    frame = signed("AuthorizationReq", signature_over("AuthorizationReq"), Id="id1", GenChallenge=b"\2" * 16)
    again = signed("AuthorizationReq", None, Id=None, GenChallenge=None)
    first = answer_to(secc, frame)
    began = secc.engine.now
    assert first is not None
    assert secc.engine.ending is None
    secc.engine.receive(again, began + 54.9)
    secc.settle(secc.engine.now)
    assert secc.engine.ending is None
    secc.engine.outgoing()
    secc.engine.now = began + 55
    assert refused(secc, again) == ("FAILED", "session.not_authorised")


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (refuse("session.late"), "nobody"),
        (refuse("environment.failed"), "nobody"),
        (refuse("session.no_contracts"), "nobody"),
        (lambda _: q.ContractGiven(b""), "not ready"),
        (lambda _: q.ContractGiven(b"garbage"), "garbage"),
        (lambda _: q.ContractGiven(requests_octets("SessionStopReq")), "another message"),
    ],
)
def test_no_contract(answer: Callable[[Any], object], name: str) -> None:
    del name
    taped = tape("ac install")
    secc = taped.station_after(taped.states.index("selected-contract") + 1, ContractQuestion=answer)
    found = refused(secc, sent("CertificateInstallationReq"))
    assert found == ("FAILED_NoCertificateAvailable", "session.no_contracts")


def requests_octets(name: str) -> bytes:
    """The EXI of a request."""
    return with_session(requests()[name], SESSION)[8:]


def test_an_answer_to_installation_where_an_update_was_asked_for() -> None:
    wrong = installation_answer(requests_octets("CertificateInstallationReq"))
    taped = tape("ac update")
    secc = taped.station_after(
        taped.states.index("selected-contract") + 1, ContractQuestion=lambda _: q.ContractGiven(wrong)
    )
    assert refused(secc, sent("CertificateUpdateReq"))[0] == "FAILED_NoCertificateAvailable"


def test_a_failure_of_whoever_makes_contracts_goes_out_as_it_came() -> None:
    worded = installation_answer(requests_octets("CertificateInstallationReq"), "FAILED_ContractCanceled")
    taped = tape("ac install")
    secc = taped.station_after(
        taped.states.index("selected-contract") + 1, ContractQuestion=lambda _: q.ContractGiven(worded)
    )
    secc.engine.receive(sent("CertificateInstallationReq"), secc.engine.now + 0.01)
    secc.settle(secc.engine.now)
    assert secc.engine.outgoing()[8:] == worded
    assert secc.engine.ending is not None
    assert secc.engine.ending.kind == "refused"
    (told,) = [notice for notice in secc.notices if isinstance(notice, Refused)]
    assert told.response_code == "FAILED_ContractCanceled"


def test_the_deadline_of_a_contract_is_that_of_the_answer() -> None:
    """4.5 s, after which the vehicle hears that there is none."""
    taped = tape("ac install")
    secc = taped.station_after(taped.states.index("selected-contract") + 1)
    came = secc.engine.now + 1
    secc.engine.receive(sent("CertificateInstallationReq"), came)
    assert secc.engine.deadline == came + 4.5
    secc.engine.tick(came + 4.5)
    body = list_body(secc)
    assert getattr(body, "ResponseCode", "") == "FAILED_NoCertificateAvailable"


def list_body(secc: Side) -> object:
    """The body of what is to be sent."""
    message = codec.decode(secc.engine.outgoing()[8:], "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    return message.Body.BodyElement


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
