"""Whole sessions of ISO 15118-20, both sides joined: every current, direction, control mode and way to pay."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from msgspec.structs import replace as changed

from tests.session.iso20.world import (
    CHAIN,
    STATION,
    Meeting,
    check,
    counter,
    levels,
    offer,
    sent,
    services,
    tariff,
    variant,
)
from v2gpki.energy import Control, Offer, ValueAdded
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso20_ac, iso20_dc
from v2gpki.messages import iso20_common as cm
from v2gpki.session import questions as q
from v2gpki.session.engine import Engine
from v2gpki.session.iso20 import schedules
from v2gpki.session.iso20.evcc.vehicle import ISO20Vehicle
from v2gpki.session.iso20.secc.station import ISO20Station
from v2gpki.session.iso20.settings import StationSettings, VehicleSettings
from v2gpki.session.notices import Exchanged, Judged
from v2gpki.session.secured import Secured

KINDS = list(product((False, True), (False, True), ("scheduled", "dynamic"), ("pnc", "eim")))


@pytest.mark.judged(
    "AC, DC, both ways; scheduled and dynamic; EIM and Plug & Charge", edition="iso15118-20", by="ourselves"
)
@pytest.mark.parametrize(("ac", "both", "control", "method"), KINDS)
def test_a_session(ac: bool, both: bool, control: str, method: str) -> None:
    meeting = Meeting(ac, both, control, method).run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()
    current = "AC" if ac else "DC"
    asked = meeting.secc.names(sent=False)
    before = ["DC_CableCheckReq", *["DC_PreChargeReq"] * 4] if not ac else []
    after = ["DC_WeldingDetectionReq"] * 2 if not ac else []
    assert asked == [
        "supportedAppProtocolReq",
        "SessionSetupReq",
        "AuthorizationSetupReq",
        "AuthorizationReq",
        "ServiceDiscoveryReq",
        "ServiceDetailReq",
        "ServiceSelectionReq",
        f"{current}_ChargeParameterDiscoveryReq",
        "ScheduleExchangeReq",
        *before,
        "PowerDeliveryReq",
        *[f"{current}_ChargeLoopReq"] * 5,
        "PowerDeliveryReq",
        *after,
        "SessionStopReq",
    ]
    assert meeting.evcc.names(sent=False) == [f"{name[:-1]}s" for name in asked]
    assert not meeting.station_world.closed
    assert not meeting.vehicle_world.connected


@pytest.mark.parametrize(("ac", "both", "control"), sorted({kind[:3] for kind in KINDS}))
def test_the_loop_is_of_the_mode_that_was_selected(ac: bool, both: bool, control: str) -> None:
    meeting = Meeting(ac, both, control, "eim").run()
    word = "Scheduled" if control == "scheduled" else "Dynamic"
    current = "AC" if ac else "DC"
    for kind, end in ((f"{current}_ChargeLoopReq", "Req"), (f"{current}_ChargeLoopRes", "Res")):
        loops = sent(meeting, getattr(iso20_ac if ac else iso20_dc, kind))
        found = {type(getattr(loop, f"CL{end}ControlMode")).__name__ for loop in loops}
        assert found == {f"{'BPT_' if both else ''}{word}_{current}_CL{end}ControlMode"}


def test_payload_types_are_those_of_the_schemas() -> None:
    meeting = Meeting(control="dynamic", method="eim").run()
    types = {
        n.name: int.from_bytes(n.octets[2:4], "big") for n in meeting.evcc.notices if isinstance(n, Exchanged)
    }
    assert types["SessionSetupReq"] == types["SessionStopRes"] == types["ScheduleExchangeReq"] == 0x8002
    assert types["DC_ChargeLoopReq"] == types["DC_ChargeLoopRes"] == types["DC_CableCheckRes"] == 0x8004
    assert types["supportedAppProtocolReq"] == 0x8001
    other = Meeting(ac=True, method="eim").run()
    assert {
        int.from_bytes(n.octets[2:4], "big")
        for n in other.evcc.notices
        if isinstance(n, Exchanged) and n.name.startswith("AC_")
    } == {0x8003}


def test_what_the_vehicle_wants_reaches_the_power_stage() -> None:
    meeting = Meeting().run()
    first = meeting.station_world.targets[0]
    # 40 kW at 400 V of the vehicle, below the 60 kW of the schedule; its limits go along.
    assert (first.setpoint.voltage, first.setpoint.current, first.setpoint.power) == (400.0, 100.0, 40_000.0)
    assert (first.granted, first.setpoint.max_power, first.setpoint.energy) == (60_000.0, 100_000.0, 30_000.0)
    assert first.limits is not None
    assert (first.limits.max_voltage, first.limits.max_current) == (450.0, 300.0)


def test_more_than_the_schedule_grants_is_cut() -> None:
    meeting = Meeting()
    meeting.station_world.power = 20_000.0
    meeting.run()
    first = meeting.station_world.targets[0].setpoint
    assert (first.power, first.current) == (20_000.0, 50.0)


def test_energy_flows_out_of_the_vehicle() -> None:
    meeting = Meeting(bidirectional=True)
    meeting.vehicle_world.discharge = True
    meeting.run()
    assert meeting.station_world.targets[0].setpoint.current == -20.0
    delivered = meeting.vehicle_world.delivered[-1]
    assert (delivered.power, delivered.current) == (-8_000.0, -20.0)
    channels = {m.BPT_ChannelSelection for m in sent(meeting, cm.PowerDeliveryReq)}
    assert channels == {"Discharge", None}


def test_dynamic_control_tells_the_needs_and_takes_the_stations_target() -> None:
    meeting = Meeting(ac=True, control="dynamic", method="eim")
    meeting.station_world.wishes = {1: Control(power=7_000.0, target_soc=0.9, acknowledge_seconds=12)}
    meeting.run()
    needs = meeting.station_world.targets[0].needs
    assert needs is not None
    assert (needs.target_energy, needs.maximum_energy, needs.minimum_energy) == (20_000.0, 30_000.0, 1_000.0)
    assert needs.departure == 7200.0
    assert meeting.vehicle_world.delivered[1].power == 7_000.0
    answers = sent(meeting, iso20_ac.AC_ChargeLoopRes)
    mode = answers[0].CLResControlMode
    assert isinstance(mode, iso20_ac.Dynamic_AC_CLResControlMode)
    assert (mode.TargetSOC, mode.AckMaxDelay) == (90, 12)


def test_prices_arrive_as_they_were_given() -> None:
    now = int(Meeting().clock.now().timestamp())
    for control, pricing, expected in (
        ("scheduled", "absolute", tariff(now)),
        ("dynamic", "absolute", tariff(now)),
        ("scheduled", "levels", levels(now)),
        ("dynamic", "levels", levels(now)),
    ):
        service = services(ac=False, bidirectional=False)[0]
        variants = (variant("scheduled", number=1, pricing=pricing), variant("dynamic", number=2, pricing=pricing))
        priced = replace(service, variants=variants)
        meeting = Meeting(control=control, station=StationSettings(Offer("DE*ABC*E1", (priced,)))).run()
        offered = meeting.vehicle_world.offered[0]
        assert (offered.price if control == "dynamic" else offered.schedules[0].price) == expected
        assert not offered.verified


# --- who pays -------------------------------------------------------------------------------------------------------


def test_a_contract_is_offered_with_a_challenge_and_eim_without() -> None:
    both = Meeting().run()
    [setup] = sent(both, cm.AuthorizationSetupRes)
    assert setup.AuthorizationServices == ("PnC", "EIM")
    assert setup.EIM_ASResAuthorizationMode is None
    assert setup.PnC_ASResAuthorizationMode is not None
    [request] = sent(both, cm.AuthorizationReq)
    mode = request.PnC_AReqAuthorizationMode
    assert mode is not None
    assert mode.GenChallenge == setup.PnC_ASResAuthorizationMode.GenChallenge
    chain = mode.ContractCertificateChain
    assert (chain.Certificate, *chain.SubCertificates.Certificate) == CHAIN
    only = Meeting(method="eim", station=StationSettings(offer(methods=("eim",)))).run()
    [setup] = sent(only, cm.AuthorizationSetupRes)
    assert setup.AuthorizationServices == ("EIM",)
    assert setup.PnC_ASResAuthorizationMode is None
    assert not setup.CertificateInstallationService


def test_while_the_station_is_at_work_only_the_time_of_the_request_changes() -> None:
    meeting = Meeting()
    meeting.station_world.waits = 2
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    requests = sent(meeting, cm.AuthorizationReq)
    assert len(requests) == 3
    first = requests[0]
    for other in requests[1:]:
        assert changed(other, Header=changed(other.Header, TimeStamp=first.Header.TimeStamp)) == first
    meeting.in_table()


@pytest.mark.judged("CertificateInstallation, several contracts", edition="iso15118-20", by="ourselves")
def test_several_contracts_are_installed_one_after_the_other() -> None:
    meeting = Meeting()
    meeting.vehicle_world.install = True
    meeting.station_world.waits = 1
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    meeting.in_table()
    # Three contracts, the first one after one Ongoing.
    assert meeting.secc.names(sent=False).count("CertificateInstallationReq") == 4
    responses = [codec.decode(exi, "iso15118-20-common") for exi in meeting.vehicle_world.installed]
    left = [m.RemainingContractCertificateChains for m in responses if isinstance(m, cm.CertificateInstallationRes)]
    assert left == [2, 1, 0]
    maxima = [m.MaximumContractCertificateChains for m in sent(meeting, cm.CertificateInstallationReq)]
    assert maxima == [3, 3, 2, 1]
    headers = {m.Header.SessionID for m in responses if isinstance(m, cm.CertificateInstallationRes)}
    assert headers == {meeting.session_id}
    # What the CPS signed is untouched.
    signatures = [m.Header.Signature for m in responses if isinstance(m, cm.CertificateInstallationRes)]
    assert [s.SignedInfo.Reference[0].DigestValue for s in signatures if s] == [bytes([n]) * 64 for n in (1, 2, 3)]


@pytest.mark.parametrize("which", [q.InstallationRequestQuestion, q.InstalledQuestion])
def test_a_contract_that_cannot_be_had_leaves_the_vehicle_with_what_it_has(which: type) -> None:
    meeting = Meeting()
    meeting.vehicle_world.install = True

    def refused(_: object) -> object:
        raise V2GPKIError("signature.wrong_value", "no")

    meeting.vehicle_world.more = {which: refused}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    judged = [n for n in meeting.evcc.notices if isinstance(n, Judged) and n.what == "contract"]
    assert [n.problem.code for n in judged if n.problem] == ["signature.wrong_value"]


def test_no_contract_is_a_warning_and_the_vehicle_goes_on() -> None:
    meeting = Meeting()
    meeting.vehicle_world.install = True

    def unknown(_: object) -> object:
        raise V2GPKIError("pool.unknown_vehicle", "nobody knows it")

    meeting.station_world.more = {q.ContractQuestion: unknown}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert ("CertificateInstallationRes", "WARNING_NoContractMatchingPCIDFound") in meeting.secc.codes()
    meeting.in_table()


def test_a_vehicle_whose_contract_is_refused_pays_otherwise() -> None:
    meeting = Meeting()

    def revoked(_: object) -> object:
        raise V2GPKIError("path.revoked", "it is")

    meeting.station_world.more = {q.ContractChainQuestion: revoked}
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    codes = [code for name, code in meeting.secc.codes() if name == "AuthorizationRes"]
    assert codes == ["WARNING_CertificateRevoked", "OK"]
    meeting.in_table()


def test_a_contract_that_ends_soon_is_taken_and_the_vehicle_told() -> None:
    meeting = Meeting()
    meeting.station_world.more = {q.ContractChainQuestion: lambda _: q.ExpiresSoon()}
    meeting.run()
    assert ("AuthorizationRes", "OK_CertificateExpiresSoon") in meeting.secc.codes()
    assert meeting.endings() == ("stopped", "stopped")


def test_who_decides_learns_who_asks() -> None:
    meeting = Meeting().run()
    [asked] = [one for one in meeting.secc.asked if isinstance(one, q.AuthorizationQuestion)]
    assert (asked.method, asked.chain) == ("pnc", CHAIN)
    assert asked.session_id == meeting.session_id
    assert asked.evcc_id == "WMIV1234567890ABCDEX"


def test_when_nothing_is_left_to_pay_with_the_vehicle_stops_in_order() -> None:
    meeting = Meeting(method="eim", station=StationSettings(offer(methods=("eim",))))
    meeting.station_world.more = {q.AuthorizationQuestion: lambda _: q.Decision("rejected", reason="unknown card")}
    meeting.run()
    assert meeting.endings() == ("stopped", "terminated:session.not_authorised")
    assert ("AuthorizationRes", "WARNING_EIMAuthorizationFailure") in meeting.secc.codes()
    [stop] = sent(meeting, cm.SessionStopReq)
    assert (stop.ChargingSession, stop.EVTerminationCode) == ("Terminate", "session.not_authorised")
    meeting.in_table()


def test_a_wrong_signature_ends_the_session() -> None:
    meeting = Meeting()

    def wrong(_: object) -> object:
        raise V2GPKIError("signature.wrong_value", "it does not hold")

    meeting.station_world.more = {q.SignatureQuestion: wrong}
    meeting.run()
    assert meeting.endings() == ("refused:signature.wrong_value", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("AuthorizationRes", "FAILED_SignatureError")


# --- prices that are signed ------------------------------------------------------------------------------------------


@pytest.mark.judged("signed price schedules", edition="iso15118-20", by="ourselves")
@pytest.mark.parametrize("control", ["scheduled", "dynamic"])
def test_signed_prices(control: str) -> None:
    station = StationSettings(offer(), sign_prices=True)
    meeting = Meeting(control=control, station=station).run()
    assert meeting.endings() == ("stopped", "stopped")
    [response] = sent(meeting, cm.ScheduleExchangeRes)
    assert response.Header.Signature is not None
    assert meeting.vehicle_world.offered[0].verified
    asked = [one for one in meeting.evcc.asked if isinstance(one, q.SignatureQuestion)]
    # The mobility operator's Sub-CA is the one above the contract.
    assert [one.chain for one in asked if one.purpose == "ScheduleExchangeRes"] == [CHAIN[1:]]
    if response.Scheduled_SEResControlMode is not None:
        ids = [
            one.ChargingSchedule.AbsolutePriceSchedule.Id
            for one in response.Scheduled_SEResControlMode.ScheduleTuple
            if one.ChargingSchedule.AbsolutePriceSchedule
        ]
        assert ids == ["id1", "id2"]


def test_prices_are_signed_for_contracts_alone() -> None:
    meeting = Meeting(method="eim", station=StationSettings(offer(), sign_prices=True)).run()
    assert meeting.endings() == ("stopped", "stopped")
    assert not [one for one in meeting.secc.asked if isinstance(one, q.SigningQuestion)]


def test_a_wrong_signature_of_prices_is_told_to_who_consents() -> None:
    meeting = Meeting(station=StationSettings(offer(), sign_prices=True))

    def wrong(question: q.SignatureQuestion) -> object:
        if question.purpose == "ScheduleExchangeRes":
            raise V2GPKIError("signature.wrong_value", "it does not hold")
        return check(question)

    meeting.vehicle_world.more = {q.SignatureQuestion: wrong}
    meeting.run()
    assert not meeting.vehicle_world.offered[0].verified
    assert meeting.endings() == ("stopped", "stopped")


def test_a_signature_beside_a_price_that_it_cannot_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad station adds a price without Id to those that the mobility operator signed."""
    tell = schedules.tell

    def mixed(*args: object, **more: object) -> cm.ScheduleExchangeRes:
        response = tell(*args, **more)  # type: ignore[arg-type]  # handed on as they come
        mode = response.Scheduled_SEResControlMode
        assert mode is not None
        first, second = mode.ScheduleTuple
        price = first.ChargingSchedule.AbsolutePriceSchedule
        assert price is not None
        unsigned = changed(price, Id=None)
        first = changed(first, ChargingSchedule=changed(first.ChargingSchedule, AbsolutePriceSchedule=unsigned))
        return changed(response, Scheduled_SEResControlMode=changed(mode, ScheduleTuple=(first, second)))

    monkeypatch.setattr(schedules, "tell", mixed)
    meeting = Meeting(station=StationSettings(offer(), sign_prices=True)).run()
    [response] = sent(meeting, cm.ScheduleExchangeRes)
    assert response.Header.Signature is not None
    assert not meeting.vehicle_world.offered[0].verified


# --- services -------------------------------------------------------------------------------------------------------


def test_services_that_the_vehicle_does_not_know_are_not_offered() -> None:
    wash = ValueAdded(65, "wash", parameters={3: {"Fee": 2.5, "Hot": True, "Name": "x", "N": 7}})
    both = Offer(
        "DE*ABC*E1",
        services(ac=False, bidirectional=False) + services(ac=False, bidirectional=True),
        value_added=(wash, ValueAdded(66)),
    )
    meeting = Meeting(station=StationSettings(both), vehicle=VehicleSettings("EV", services=(2, 65))).run()
    [found] = sent(meeting, cm.ServiceDiscoveryRes)
    assert [one.ServiceID for one in found.EnergyTransferServiceList.Service] == [2]
    assert found.VASList is not None
    assert [one.ServiceID for one in found.VASList.Service] == [65]
    [asked] = [one for one in meeting.evcc.asked if isinstance(one, q.ServiceQuestion)]
    assert asked.offer.value_added[0].parameters == {3: {"Fee": 2.5, "Hot": True, "Name": "x", "N": 7}}
    assert asked.offer.services == services(ac=False, bidirectional=False)
    assert meeting.endings() == ("stopped", "stopped")


def test_of_an_offer_of_both_only_the_agreed_transfer_is_spoken() -> None:
    both = Offer("DE*ABC*E1", services(ac=False, bidirectional=False) + services(ac=True, bidirectional=False))
    meeting = Meeting(ac=True, station=StationSettings(both)).run()
    [found] = sent(meeting, cm.ServiceDiscoveryRes)
    assert [one.ServiceID for one in found.EnergyTransferServiceList.Service] == [1]


# --- without TLS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secured", [None, replace(STATION, version="1.2"), replace(STATION, peer_chain=()), replace(STATION, own_chain=())]
)
def test_it_is_never_spoken_below_tls_1_3_with_two_certificates(secured: Secured | None) -> None:
    meeting = Meeting(station_secured=secured).run()
    assert meeting.endings() == ("refused:session.no_protocol", "refused:session.no_protocol")
    # The handshake is not the only lock.
    for script in (
        lambda engine: ISO20Station(engine, StationSettings(offer()), secured, counter()).run(),
        lambda engine: ISO20Vehicle(engine, VehicleSettings("EV"), secured).run(),
    ):
        engine = Engine(script, clock=meeting.clock)
        engine.start(0.0)
        assert engine.ending is not None
        assert engine.ending.problem is not None
        assert (engine.ending.problem.code, engine.outgoing()) == ("session.insecure", b"")


def test_a_lab_may_say_that_it_does_without() -> None:
    station, vehicle = StationSettings(offer(), lab=True), VehicleSettings("EV", lab=True)
    meeting = Meeting(station=station, vehicle=vehicle, station_secured=None, vehicle_secured=None).run()
    assert meeting.endings() == ("stopped", "stopped")
