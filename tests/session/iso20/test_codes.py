"""What a station of ISO 15118-20 answers to what it does not like: which ResponseCode, and whether the session goes
on; and what a vehicle does not take of a station."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from tests.session.iso20.requests import REQUESTS, octets
from tests.session.iso20.test_order import answer, station_in
from tests.session.iso20.world import STATION, Meeting, counter, offer, sent, services, station_script, told
from tests.session.joined import Side, join
from v2gpki.energy import Offer, SchedulesGiven, ValueAdded
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso20_dc
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.frames import decode_frame
from v2gpki.messages.iso20_types import MessageHeaderType, V2GMessageType
from v2gpki.session import questions as q
from v2gpki.session.engine import Engine
from v2gpki.session.iso20.refusals import no_contract
from v2gpki.session.iso20.settings import StationSettings, VehicleSettings
from v2gpki.session.iso20.values import rational
from v2gpki.session.timers import ISO20
from v2gpki.v2gtp import build


def asked(state: str, request: V2GMessageType) -> tuple[Side, str]:
    """A station in a state that gets this request, and the ResponseCode that it gives."""
    secc, _, session, now = station_in(state)
    secc.engine.receive(octets(request, session), now + 0.01)
    secc.settle(now + 0.01)
    return secc, str(getattr(answer(secc), "ResponseCode", ""))


def refuses(code: str, **facts: str) -> Callable[[object], object]:
    def answering(_: object) -> object:
        raise V2GPKIError(code, "no", facts=facts)

    return answering


# --- authorization --------------------------------------------------------------------------------------------------


def contract_request(challenge: bytes) -> cm.AuthorizationReq:
    request = REQUESTS["AuthorizationReq"]
    assert isinstance(request, cm.AuthorizationReq)
    mode = request.PnC_AReqAuthorizationMode
    assert mode is not None
    return changed(request, PnC_AReqAuthorizationMode=changed(mode, GenChallenge=challenge))


def test_another_challenge_is_a_warning_and_nobody_is_asked() -> None:
    secc, code = asked("authorization-set-up", contract_request(bytes(range(16))))
    assert code == "WARNING_ChallengeInvalid"
    assert secc.engine.ending is None
    assert secc.states()[-1] == "unauthorised"
    assert not [one for one in secc.asked if isinstance(one, q.SignatureQuestion | q.AuthorizationQuestion)]


@pytest.mark.parametrize("service", ["EIM", "PnC"])
def test_a_mode_that_is_not_the_one_selected_is_a_warning(service: str) -> None:
    request = contract_request(bytes(range(16)))
    if service == "EIM":
        wrong = changed(request, SelectedAuthorizationService="EIM")
    else:
        wrong = changed(
            request, PnC_AReqAuthorizationMode=None, EIM_AReqAuthorizationMode=cm.EIM_AReqAuthorizationModeType()
        )
    secc, code = asked("authorization-set-up", wrong)
    assert code == "WARNING_AuthorizationSelectionInvalid"
    assert secc.engine.ending is None


def test_a_way_to_pay_that_is_not_offered_is_a_warning() -> None:
    meeting = Meeting(station=StationSettings(offer(methods=("eim",))))
    secc, evcc = meeting.sides()
    sneaky = contract_request(bytes(range(16)))
    twist(secc, lambda m: changed(sneaky, Header=m.Header) if isinstance(m, cm.AuthorizationReq) else m)
    join(secc, evcc, step=0.001)
    assert ("AuthorizationRes", "WARNING_AuthorizationSelectionInvalid") in secc.codes()


def twist(other: Side, change: Callable[[V2GMessageType], object]) -> None:
    """The wire to this side changes messages on their way."""
    original = other.engine.receive

    def receive(data: bytes, now: float) -> None:
        message = decode_frame(data, handshake=data[2:4] == b"\x80\x01")
        if isinstance(message, V2GMessageType):
            made = change(message)
            assert isinstance(made, V2GMessageType)
            data = build(int.from_bytes(data[2:4], "big"), codec.encode(made, codec.home_of(made)))
        original(data, now)

    pytest.MonkeyPatch().setattr(other.engine, "receive", receive)


@pytest.mark.parametrize("what", ["chain", "challenge", "id", "session", "time"])
def test_a_repetition_may_change_the_time_alone(what: str) -> None:
    meeting = Meeting()
    meeting.station_world.waits = 3
    secc, evcc = meeting.sides()
    seen: list[int] = []

    def second(message: V2GMessageType) -> V2GMessageType:
        if not isinstance(message, cm.AuthorizationReq):
            return message
        seen.append(1)
        mode = message.PnC_AReqAuthorizationMode
        if len(seen) != 2 or mode is None:
            return message
        chain = mode.ContractCertificateChain
        return {
            "chain": changed(
                message,
                PnC_AReqAuthorizationMode=changed(
                    mode, ContractCertificateChain=changed(chain, Certificate=b"another contract")
                ),
            ),
            "challenge": changed(message, PnC_AReqAuthorizationMode=changed(mode, GenChallenge=bytes(16))),
            "id": changed(message, PnC_AReqAuthorizationMode=changed(mode, Id="id2")),
            "session": changed(message, Header=changed(message.Header, Signature=None)),
            "time": changed(message, Header=changed(message.Header, TimeStamp=message.Header.TimeStamp + 7)),
        }[what]

    twist(secc, second)
    join(secc, evcc, step=0.001)
    if what == "time":
        assert (told(secc), told(evcc)) == ("stopped", "stopped")
    else:
        assert told(secc) == "refused:authorisation.changed_repetition"
        assert secc.codes()[-1] == ("AuthorizationRes", "FAILED")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("path.expired", "WARNING_CertificateExpired"),
        ("path.not_yet_valid", "WARNING_CertificateNotYetValid"),
        ("path.revoked", "WARNING_CertificateRevoked"),
        ("path.no_anchor", "WARNING_CertificateValidationError"),
        # A warning of another message is none here.
        ("session.no_contracts", "WARNING_GeneralPnCAuthorizationError"),
    ],
)
def test_what_is_wrong_with_a_contract_is_a_warning(problem: str, code: str) -> None:
    meeting = Meeting()
    meeting.station_world.more = {q.ContractChainQuestion: refuses(problem)}
    meeting.vehicle_world.more = {q.MethodQuestion: lambda _: q.MethodChoice("pnc")}
    meeting.run()
    codes = [found for name, found in meeting.secc.codes() if name == "AuthorizationRes"]
    # Three tries, then the vehicle has nothing left and says so.
    assert set(codes) == {code}
    assert meeting.endings()[0] == "stopped"


@pytest.mark.parametrize(
    ("decision", "code", "goes_on"),
    [
        (q.Decision("rejected"), "WARNING_GeneralPnCAuthorizationError", True),
        (q.Decision("rejected", "WARNING_eMSPUnknown"), "WARNING_eMSPUnknown", True),
        (q.Decision("rejected", "FAILED"), "FAILED", False),
        (q.Decision("rejected", "FAILED_CertificateRevoked"), "FAILED", False),  # a code of -2
        (q.Decision("rejected", "OK"), "FAILED", False),
        (q.Decision("accepted"), "OK", True),
    ],
)
def test_what_the_authoriser_says(decision: q.Decision, code: str, goes_on: bool) -> None:
    meeting = Meeting()
    meeting.station_world.more = {q.AuthorizationQuestion: lambda _: decision}
    meeting.run()
    assert next(found for name, found in meeting.secc.codes() if name == "AuthorizationRes") == code
    assert meeting.endings()[0] == ("stopped" if goes_on else "refused:session.rejected")


@pytest.mark.parametrize(
    ("method", "customer", "processing"),
    [
        ("pnc", False, "Ongoing"),
        ("pnc", True, "Ongoing_WaitingForCustomerInteraction"),
        ("eim", False, "Ongoing_WaitingForCustomerInteraction"),
    ],
)
def test_who_has_to_do_something_meanwhile(method: str, customer: bool, processing: str) -> None:
    meeting = Meeting(method=method)
    decisions = iter([q.Decision("ongoing", customer=customer), q.Decision("accepted")])
    meeting.station_world.more = {q.AuthorizationQuestion: lambda _: next(decisions)}
    meeting.run()
    assert [one.EVSEProcessing for one in sent(meeting, cm.AuthorizationRes)] == [processing, "Finished"]


def test_an_authorization_that_takes_for_ever_fails_after_55_seconds() -> None:
    meeting = Meeting(vehicle=VehicleSettings("EV", pace=1.0))
    meeting.station_world.more = {q.AuthorizationQuestion: lambda _: q.Decision("ongoing")}
    meeting.run()
    assert meeting.endings() == ("refused:session.late", "refused:session.refused")
    assert 54 <= len(sent(meeting, cm.AuthorizationReq)) <= 57


def test_a_vehicle_waits_60_seconds_and_then_stops_in_order() -> None:
    patient = replace(ISO20, ongoing_performance=1e9)
    meeting = Meeting(station=StationSettings(offer(), timers=patient), vehicle=VehicleSettings("EV", pace=1.0))
    meeting.station_world.more = {q.AuthorizationQuestion: lambda _: q.Decision("ongoing")}
    meeting.run()
    assert meeting.endings() == ("stopped", "terminated:session.late")
    assert 59 <= len(sent(meeting, cm.AuthorizationReq)) <= 62


@pytest.mark.parametrize("octets_given", [b"", bytes(16), b"\x07" * 16, bytes(range(15))])
def test_a_dead_source_of_randomness_is_noticed(octets_given: bytes) -> None:
    meeting = Meeting()
    secc, evcc = meeting.sides()
    good = counter()

    def randomness(number: int) -> bytes:
        return good(8) if number == 8 else octets_given

    secc.engine = Engine(station_script(StationSettings(offer()), STATION, randomness), clock=meeting.clock)
    join(secc, evcc, step=0.001)
    assert told(secc) == "refused:authorisation.weak_challenge"
    assert told(evcc) == "refused:session.refused"


# --- installation ---------------------------------------------------------------------------------------------------


def test_contracts_that_are_not_offered_are_a_warning() -> None:
    meeting = Meeting(station=StationSettings(offer(installation=False)))
    secc, evcc = meeting.sides()
    twist(secc, lambda m: _asking(m, seen) if isinstance(m, cm.AuthorizationReq) else m)
    seen: list[int] = []
    join(secc, evcc, step=0.001)
    assert secc.codes()[3] == ("CertificateInstallationRes", "WARNING_NoCertificateAvailable")
    assert not [one for one in secc.asked if isinstance(one, q.ContractQuestion)]


def _asking(message: V2GMessageType, seen: list[int]) -> V2GMessageType:
    seen.append(1)
    return message if len(seen) > 1 else changed(REQUESTS["CertificateInstallationReq"], Header=message.Header)


@pytest.mark.parametrize("same", [True, False])
def test_a_contract_goes_out_as_it_came(same: bool) -> None:
    """To the octet if it bears this session's id; else with it, and with the signature that it has."""
    meeting = Meeting()
    meeting.vehicle_world.install = True
    given: list[bytes] = []

    def provide(_: q.ContractQuestion) -> q.ContractGiven:
        session = meeting.secc.notices and meeting.evcc.notices and meeting.session_id
        header = MessageHeaderType(SessionID=session if same and session else b"otherid!", TimeStamp=5)
        given.append(codec.encode(changed(no_contract(), ResponseCode="OK", Header=header), "iso15118-20-common"))
        return q.ContractGiven(given[-1])

    meeting.station_world.more = {q.ContractQuestion: provide}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    [installed] = meeting.vehicle_world.installed
    assert (installed == given[0]) == same
    read = codec.decode(installed, "iso15118-20-common")
    assert isinstance(read, cm.CertificateInstallationRes)
    assert read.Header.SessionID == meeting.session_id


@pytest.mark.parametrize(
    ("made", "code", "goes_on"),
    [
        (b"\x80", "FAILED", False),
        ("WARNING_CertificateRevoked", "WARNING_CertificateRevoked", True),
        ("FAILED_SignatureError", "FAILED_SignatureError", False),
        ("SessionStopRes", "WARNING_NoCertificateAvailable", True),
    ],
)
def test_what_the_provider_of_contracts_may_answer(made: bytes | str, code: str, goes_on: bool) -> None:
    exi = made if isinstance(made, bytes) else codec.encode(no_contract(), "iso15118-20-common")
    if made == "SessionStopRes":
        header = MessageHeaderType(SessionID=bytes(8), TimeStamp=5)
        exi = codec.encode(cm.SessionStopRes(Header=header, ResponseCode="OK"), "iso15118-20-common")
    elif isinstance(made, str):
        exi = codec.encode(changed(no_contract(), ResponseCode=made), "iso15118-20-common")
    meeting = Meeting()
    meeting.vehicle_world.install = True
    meeting.station_world.more = {q.ContractQuestion: lambda _: q.ContractGiven(exi)}
    meeting.run()
    assert ("CertificateInstallationRes", code) in meeting.secc.codes()
    assert (meeting.endings()[0] == "stopped") == goes_on
    assert not meeting.vehicle_world.installed


def test_a_contract_that_takes_for_ever_is_none() -> None:
    meeting = Meeting(vehicle=VehicleSettings("EV", pace=1.0))
    meeting.vehicle_world.install = True
    meeting.station_world.more = {q.ContractQuestion: lambda _: q.ContractGiven(b"")}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert ("CertificateInstallationRes", "WARNING_NoCertificateAvailable") in meeting.secc.codes()
    assert 54 <= len(sent(meeting, cm.CertificateInstallationReq)) <= 57


# --- services -------------------------------------------------------------------------------------------------------


def test_details_of_a_service_that_is_not_offered() -> None:
    secc, code = asked("discovered", changed(REQUESTS["ServiceDetailReq"], ServiceID=77))
    assert code == "FAILED_ServiceIDInvalid"
    assert told(secc) == "refused:session.unknown_service"


@pytest.mark.parametrize(("service", "parameters"), [(6, 1), (2, 9), (1, 1)])
def test_a_selection_that_is_not_offered(service: int, parameters: int) -> None:
    request = changed(
        REQUESTS["ServiceSelectionReq"],
        SelectedEnergyTransferService=cm.SelectedServiceType(ServiceID=service, ParameterSetID=parameters),
    )
    # DC in the DC journey.
    secc, code = asked("detailed", request)
    if station_in("detailed")[1].ac and service == 1:
        assert code == "OK"
        return
    assert code == "FAILED_NoEnergyTransferServiceSelected"
    assert told(secc) == "refused:session.no_charge_service"


def test_a_value_added_service_that_is_not_offered() -> None:
    both = Offer("E", services(ac=False, bidirectional=False), value_added=(ValueAdded(65),))
    meeting = Meeting(method="eim", station=StationSettings(both))
    secc, evcc = meeting.sides()
    wrong = cm.SelectedServiceListType(SelectedService=(cm.SelectedServiceType(ServiceID=65, ParameterSetID=9),))
    twist(secc, lambda m: changed(m, SelectedVASList=wrong) if isinstance(m, cm.ServiceSelectionReq) else m)
    join(secc, evcc, step=0.001)
    assert secc.codes()[-1] == ("ServiceSelectionRes", "FAILED_ServiceSelectionInvalid")


# --- power ----------------------------------------------------------------------------------------------------------


def test_a_loop_of_another_control_mode() -> None:
    mode = iso20_dc.BPT_Scheduled_DC_CLReqControlMode(EVTargetCurrent=rational(1), EVTargetVoltage=rational(1))
    for wrong in (mode, dynamic()):
        secc, code = asked("charging-dc", changed(REQUESTS["DC_ChargeLoopReq"], CLReqControlMode=wrong))
        assert code == "FAILED_WrongChargeParameter"
        assert told(secc) == "refused:session.wrong_parameter"


def dynamic() -> iso20_dc.Dynamic_DC_CLReqControlMode:
    one = rational(1)
    names = iso20_dc.Dynamic_DC_CLReqControlMode.__struct_fields__
    return iso20_dc.Dynamic_DC_CLReqControlMode(**{name: one for name in names if name != "DepartureTime"})


@pytest.mark.parametrize(("volts", "good"), [(400.0, True), (921.0, True), (950.0, False), (-1.0, False)])
def test_a_pre_charge_beyond_the_station(volts: float, good: bool) -> None:
    request = changed(REQUESTS["DC_PreChargeReq"], EVTargetVoltage=rational(volts))
    _, code = asked("cable-checked", request)
    assert code == ("OK" if good else "FAILED_WrongChargeParameter")


def test_ecogs_vehicle_gets_the_volts_that_there_are() -> None:
    meeting = Meeting(method="eim", station=StationSettings(offer(), compat="ecog"))
    secc, evcc = meeting.sides()
    twist(
        secc,
        lambda m: changed(m, EVTargetVoltage=rational(20_000)) if isinstance(m, iso20_dc.DC_PreChargeReq) else m,
    )
    join(secc, evcc, step=0.001)
    assert told(secc) == "stopped"
    questions = [one.voltage for one in secc.asked if isinstance(one, q.PreChargeQuestion)]
    assert set(questions) == {920.0}


def test_scheduled_control_needs_a_profile() -> None:
    secc, code = asked("pre-charged", changed(REQUESTS["PowerDeliveryReq"], EVPowerProfile=None))
    assert code == "FAILED_EVPowerProfileInvalid"
    assert not [one for one in secc.asked if isinstance(one, q.ContactorQuestion)]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("PowerToleranceConfirmed", "OK_PowerToleranceConfirmed"),
        ("PowerToleranceNotConfirmed", "WARNING_PowerToleranceNotConfirmed"),
    ],
)
def test_a_tolerance_is_confirmed_or_not(said: str, code: str) -> None:
    request = REQUESTS["PowerDeliveryReq"]
    assert isinstance(request, cm.PowerDeliveryReq)
    assert request.EVPowerProfile is not None
    mode = cm.Scheduled_EVPPTControlModeType(
        SelectedScheduleTupleID=1,
        PowerToleranceAcceptance="PowerToleranceConfirmed"
        if said == "PowerToleranceConfirmed"
        else "PowerToleranceNotConfirmed",
    )
    profile = changed(request.EVPowerProfile, Scheduled_EVPPTControlMode=mode)
    secc, found = asked("pre-charged", changed(request, EVPowerProfile=profile))
    assert found == code
    assert secc.engine.ending is None
    assert secc.states()[-1] == "charging-dc"


def test_a_station_without_schedules() -> None:
    meeting = Meeting(method="eim")
    meeting.station_world.more = {q.SchedulesQuestion: lambda _: SchedulesGiven()}
    meeting.run()
    assert meeting.secc.codes()[-1] == ("ScheduleExchangeRes", "FAILED")


@pytest.mark.parametrize("which", [q.SchedulesQuestion, q.CableCheckQuestion])
def test_what_is_never_finished_ends(which: type) -> None:
    meeting = Meeting(method="eim", vehicle=VehicleSettings("EV", pace=1.0))
    meeting.station_world.more = {which: refuses("session.late")}
    meeting.run()
    assert meeting.endings() == ("refused:session.late", "refused:session.refused")
    count = len(sent(meeting, cm.ScheduleExchangeReq if which is q.SchedulesQuestion else iso20_dc.DC_CableCheckReq))
    # 55 s, and 38 s for the cable check.
    assert count == pytest.approx(56 if which is q.SchedulesQuestion else 39, abs=2)


# --- at the vehicle -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "ending"),
    [
        ("SessionSetupRes", {"Header": bytes(8)}, "fault:session.wrong_session"),
        ("SessionSetupRes", {"ResponseCode": "OK_OldSessionJoined"}, "fault:session.wrong_session"),
        ("ServiceDiscoveryRes", {"Header": b"\x01" * 8}, "fault:session.wrong_session"),
        ("ServiceDetailRes", {"ResponseCode": "FAILED"}, "refused:session.refused"),
    ],
)
def test_what_a_vehicle_does_not_take(name: str, change: dict[str, object], ending: str) -> None:
    meeting = Meeting(method="eim")
    secc, evcc = meeting.sides()

    def other(message: V2GMessageType) -> V2GMessageType:
        if type(message).__name__ != name:
            return message
        header = message.Header
        values = {
            key: changed(header, SessionID=value) if key == "Header" else value for key, value in change.items()
        }
        return changed(message, **values)

    twist(evcc, other)
    join(secc, evcc, step=0.001)
    assert told(evcc) == ending


def test_an_answer_to_something_else() -> None:
    meeting = Meeting(method="eim")
    secc, evcc = meeting.sides()
    twist(
        evcc,
        lambda m: cm.SessionStopRes(Header=m.Header, ResponseCode="OK") if isinstance(m, cm.ServiceDetailRes) else m,
    )
    join(secc, evcc, step=0.001)
    assert told(evcc) == "fault:session.wrong_response"


def test_a_station_that_offers_nothing_that_the_vehicle_knows() -> None:
    meeting = Meeting(method="eim")
    secc, evcc = meeting.sides()
    other = cm.ServiceListType(Service=(cm.ServiceType(ServiceID=3, FreeService=False),))
    twist(
        evcc,
        lambda m: changed(m, EnergyTransferServiceList=other) if isinstance(m, cm.ServiceDiscoveryRes) else m,
    )
    join(secc, evcc, step=0.001)
    assert (told(secc), told(evcc)) == ("stopped", "terminated:session.no_charge_service")
