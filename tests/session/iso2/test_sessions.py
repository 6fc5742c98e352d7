"""Whole sessions of ISO 15118-2, station and vehicle joined: AC and DC, EIM and contract, with everything between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.session.iso2.rig import (
    CHAIN,
    EMAID,
    EVCC_ID,
    EVSE_ID,
    TLS,
    Car,
    Outlet,
    installation_answer,
    octets,
    refuse,
    station,
    vehicle,
)
from tests.session.joined import Side, join
from v2gpki.messages import iso2
from v2gpki.session import questions as q
from v2gpki.session.iso2.flow import FLOW
from v2gpki.session.iso2.settings import KeptSessions, StationSettings, VehicleSettings
from v2gpki.session.notices import Ending, Established, Exchanged, Moved, Notice
from v2gpki.session.secured import Secured

STATION = StationSettings(evse_id=EVSE_ID)
VEHICLE = VehicleSettings(evcc_id=EVCC_ID)
DC_STATION = replace(STATION, transfer_modes=("DC_extended", "DC_core"))
DC_VEHICLE = replace(VEHICLE, transfer_mode="DC_extended")

OPENING = ["SessionSetupReq", "ServiceDiscoveryReq", "PaymentServiceSelectionReq"]
CONTRACT = [*OPENING, "PaymentDetailsReq", "AuthorizationReq", "ChargeParameterDiscoveryReq"]
EIM = [*OPENING, "AuthorizationReq", "ChargeParameterDiscoveryReq"]
DC_BEGINS = ["CableCheckReq", "PreChargeReq", "PowerDeliveryReq"]
DC_ENDS = ["PowerDeliveryReq", "WeldingDetectionReq", "SessionStopReq"]
AC_ENDS = ["PowerDeliveryReq", "SessionStopReq"]


def run(secc: Side, evcc: Side, ending: str = "stopped") -> list[str]:
    """Join both; both end so and went the same way through the flow table. Gives the requests after the handshake."""
    join(secc, evcc)
    assert (secc.engine.ending, evcc.engine.ending) == (Ending(ending), Ending(ending))  # type: ignore[arg-type]
    assert secc.states() == evcc.states()
    state = FLOW.begin
    for moved in [notice for notice in secc.notices if isinstance(notice, Moved)]:
        assert (moved.state, moved.then in FLOW.after(state, moved.request)) == (state, True)
        state = moved.then
    assert state == FLOW.over
    assert evcc.names(sent=True) == secc.names(sent=False)
    assert evcc.names(sent=False) == secc.names(sent=True)
    return evcc.names(sent=True)[1:]


def bodies(side: Side, name: str) -> list[Any]:
    """The bodies of this name that a side saw. Any: of whichever class the test asks for."""
    found = [notice.message for notice in side.notices if isinstance(notice, Exchanged) and notice.name == name]
    return [message.Body.BodyElement for message in found if isinstance(message, iso2.V2G_Message)]


def one(notices: list[Notice], kind: type[Notice]) -> Any:
    """The only notice of a kind. Any: of whichever class the test asks for."""
    (found,) = [notice for notice in notices if isinstance(notice, kind)]
    return found


@pytest.mark.parametrize(
    ("settings", "car", "middle", "end"),
    [
        (STATION, VEHICLE, ["PowerDeliveryReq"] + ["ChargingStatusReq"] * 3, AC_ENDS),
        (DC_STATION, DC_VEHICLE, DC_BEGINS + ["CurrentDemandReq"] * 3, DC_ENDS),
    ],
)
@pytest.mark.parametrize(("secured", "opening"), [(TLS, CONTRACT), (None, EIM)])
def test_the_plain_session(
    settings: StationSettings,
    car: VehicleSettings,
    middle: list[str],
    end: list[str],
    secured: Secured | None,
    opening: list[str],
) -> None:
    secc, evcc = station(settings, secured=secured), vehicle(car, secured=secured)
    assert run(secc, evcc) == opening + middle + end
    assert [code for _, code in evcc.codes()] == [
        "OK_SuccessfulNegotiation",
        "OK_NewSessionEstablished",
        *["OK"] * (len(opening + middle + end) - 1),
    ]


def test_what_both_sides_know_of_each_other() -> None:
    outlet = Outlet()
    secc, evcc = station(outlet=outlet), vehicle()
    run(secc, evcc)
    # The first random octets are the session id, the next ones the challenge.
    established: Established = one(secc.notices, Established)
    assert (established.session_id, established.other, established.resumed) == (b"\1" * 8, "00112233AABB", False)
    assert one(evcc.notices, Established).other == EVSE_ID
    assert outlet.authorisations == [
        q.AuthorizationQuestion("pnc", EMAID, CHAIN, "00112233AABB", b"\1" * 8)
    ]
    (details,) = bodies(evcc, "PaymentDetailsRes")
    assert details.GenChallenge == b"\2" * 16
    (signed,) = bodies(secc, "AuthorizationReq")
    assert (signed.Id, signed.GenChallenge) == ("id1", b"\2" * 16)


def test_a_contract_is_neither_offered_nor_taken_without_tls() -> None:
    secc, evcc = station(secured=None), vehicle(secured=None)
    run(secc, evcc)
    (offer,) = bodies(evcc, "ServiceDiscoveryRes")
    assert offer.PaymentOptionList.PaymentOption == ("ExternalPayment",)
    assert offer.ServiceList is None


@pytest.mark.parametrize(("action", "name"), [("install", "CertificateInstallation"), ("update", "CertificateUpdate")])
def test_a_contract_is_installed_on_the_way(action: Any, name: str) -> None:
    car = Car()
    secc, evcc = station(), vehicle(replace(VEHICLE, contract=action), car)
    requests = run(secc, evcc)
    assert requests[:7] == [
        *OPENING[:2],
        "ServiceDetailReq",
        OPENING[2],
        f"{name}Req",
        "PaymentDetailsReq",
        "AuthorizationReq",
    ]
    (selection,) = bodies(secc, "PaymentServiceSelectionReq")
    sets = [(s.ServiceID, s.ParameterSetID) for s in selection.SelectedServiceList.SelectedService]
    assert sets == [(1, None), (2, {"install": 1, "update": 2}[action])]
    # The octets went through the station as they were, both ways.
    (asked,) = [question for question in secc.asked if isinstance(question, q.ContractQuestion)]
    sent = [n.octets for n in evcc.notices if isinstance(n, Exchanged) and n.name == f"{name}Req"]
    assert sent == [b"\x01\xfe\x80\x01" + len(asked.exi).to_bytes(4, "big") + asked.exi]
    assert (asked.action, asked.seconds) == (action, 4.5)
    assert car.installed == [installation_answer(asked.exi)]


def test_a_contract_for_another_session_gets_this_sessions_id() -> None:
    """Contracts may wait ready; only the header is the station's to write."""

    def from_elsewhere(question: q.ContractQuestion) -> q.ContractGiven:
        kept = installation_answer(question.exi)
        # The SessionID is 8 octets that follow 2 octets of EXI header and event codes, shifted by some bits.
        session = int.from_bytes(b"\1" * 8, "big")
        other = int.from_bytes(b"\7" * 8, "big")
        for shift in range(8):
            size = 9
            wanted = (session << shift).to_bytes(size, "big")
            at = kept.find(wanted[1:8])
            if at > 0:
                whole = int.from_bytes(kept, "big")
                offset = 8 * (len(kept) - at - 8)
                return q.ContractGiven((whole ^ ((session ^ other) << (offset + shift))).to_bytes(len(kept), "big"))
        raise AssertionError("the session id is not in the message")

    car = Car()
    secc = station(ContractQuestion=from_elsewhere)
    evcc = vehicle(replace(VEHICLE, contract="install"), car)
    run(secc, evcc)
    (asked,) = [question for question in secc.asked if isinstance(question, q.ContractQuestion)]
    assert car.installed == [installation_answer(asked.exi)]


def test_everything_takes_its_time() -> None:
    outlet = Outlet(ongoing={"authorization": 3, "schedules": 2, "cable": 4, "precharge": 2})
    secc, evcc = station(DC_STATION, outlet), vehicle(DC_VEHICLE)
    requests = run(secc, evcc)
    counted = {name: requests.count(name) for name in dict.fromkeys(requests)}
    assert counted["AuthorizationReq"] == 4
    assert counted["ChargeParameterDiscoveryReq"] == 3
    assert counted["CableCheckReq"] == 5
    assert counted["PreChargeReq"] == 3
    first, *later = bodies(secc, "AuthorizationReq")
    assert first.GenChallenge == b"\2" * 16
    assert later == [iso2.AuthorizationReq()] * 3
    assert len(outlet.authorisations) == 4


def test_who_stands_at_the_station_is_waited_for_longer_than_a_backend() -> None:
    """More than the 60 s of V2G_EVCC_Ongoing_Timer: the customer has no such limit ([V2G2-854])."""
    outlet = Outlet(ongoing={"authorization": 800})
    secc, evcc = station(outlet=outlet, secured=None), vehicle(secured=None)
    requests = run(secc, evcc)
    assert requests.count("AuthorizationReq") == 801
    waits = [answer.EVSEProcessing for answer in bodies(evcc, "AuthorizationRes")]
    assert set(waits[:-1]) == {"Ongoing_WaitingForCustomerInteraction"}
    assert waits[-1] == "Finished"


def test_receipts() -> None:
    outlet, car = Outlet(receipts=frozenset({1, 3})), Car()
    secc, evcc = station(outlet=outlet), vehicle(car=car)
    requests = run(secc, evcc)
    turn = ["ChargingStatusReq", "MeteringReceiptReq", "ChargingStatusReq", "ChargingStatusReq", "MeteringReceiptReq"]
    assert requests[requests.index("ChargingStatusReq") : -2] == turn
    # 1000 Wh and 10 more with each turn.
    assert [reading.imported for reading in outlet.confirmed] == [1010.0, 1030.0]
    assert car.confirmed == outlet.confirmed
    (first, _) = bodies(secc, "MeteringReceiptReq")
    assert (first.SessionID, first.SAScheduleTupleID, first.MeterInfo.MeterID) == (b"\1" * 8, 1, "meter 1")


def test_receipts_in_dc_at_every_new_reading() -> None:
    outlet = Outlet()
    secc, evcc = station(replace(DC_STATION, receipts=True), outlet), vehicle(DC_VEHICLE)
    assert run(secc, evcc).count("MeteringReceiptReq") == 3
    assert len(outlet.confirmed) == 3


def test_a_vehicle_without_contract_is_asked_for_no_receipt() -> None:
    outlet = Outlet(receipts=frozenset({1}))
    secc, evcc = station(outlet=outlet, secured=None), vehicle(secured=None)
    assert "MeteringReceiptReq" not in run(secc, evcc)


def test_a_vehicle_that_signs_no_receipt_stops() -> None:
    secc, evcc = station(outlet=Outlet(receipts=frozenset({1}))), vehicle(replace(VEHICLE, receipts=False))
    requests = run(secc, evcc)
    assert requests.count("ChargingStatusReq") == 1
    assert requests[-2:] == AC_ENDS


@pytest.mark.parametrize(
    ("settings", "car_settings", "again"),
    [
        (STATION, VEHICLE, ["ChargeParameterDiscoveryReq", "PowerDeliveryReq"]),
        (DC_STATION, DC_VEHICLE, ["ChargeParameterDiscoveryReq", "PowerDeliveryReq"]),
        (
            DC_STATION,
            replace(DC_VEHICLE, cable_check_again=True),
            ["ChargeParameterDiscoveryReq", *DC_BEGINS],
        ),
    ],
)
@pytest.mark.parametrize("by_station", [True, False])
def test_renegotiation(
    settings: StationSettings, car_settings: VehicleSettings, again: list[str], by_station: bool
) -> None:
    """In the second turn; wishes are counted from 1, and the first one goes before the loop."""
    car = Car(turns=5) if by_station else Car(turns=5, intents={3: "renegotiate"})
    outlet = Outlet(wants={2: "renegotiate"} if by_station else {})
    secc, evcc = station(settings, outlet), vehicle(car_settings, car)
    requests = run(secc, evcc)
    first = requests.index("PowerDeliveryReq")
    loop = "CurrentDemandReq" if settings is DC_STATION else "ChargingStatusReq"
    assert requests[first : first + 4 + len(again)] == ["PowerDeliveryReq", loop, loop, "PowerDeliveryReq", *again]
    progress = [request.ChargeProgress for request in bodies(secc, "PowerDeliveryReq")]
    assert progress == ["Start", "Renegotiate", "Start", "Stop"]
    assert outlet.switched == [True, True, False]


def test_the_station_stops_charging() -> None:
    outlet = Outlet(wants={2: "stop"})
    secc, evcc = station(outlet=outlet), vehicle(car=Car(turns=100))
    assert run(secc, evcc).count("ChargingStatusReq") == 2
    assert outlet.switched == [True, False]


def paused_once(kept: KeptSessions, secured: Secured | None = TLS) -> bytes:
    """A session that the vehicle pauses; gives its id."""
    settings = replace(STATION, paused=kept)
    car = Car(intents={3: "pause"}, number=2)
    secc, evcc = station(settings, secured=secured), vehicle(car=car, secured=secured)
    run(secc, evcc, "paused")
    established: Established = one(evcc.notices, Established)
    return established.session_id


def test_pause_and_resume() -> None:
    kept = KeptSessions()
    session = paused_once(kept)
    secc = station(replace(STATION, paused=kept, methods=("eim", "pnc")))
    evcc = vehicle(replace(VEHICLE, resume=session))
    run(secc, evcc)
    assert evcc.codes()[1] == ("SessionSetupRes", "OK_OldSessionJoined")
    assert one(evcc.notices, Established).session_id == session
    assert one(secc.notices, Established).resumed
    (offer,) = bodies(evcc, "ServiceDiscoveryRes")
    # Only what had been chosen before ([V2G2-741]).
    assert offer.PaymentOptionList.PaymentOption == ("Contract",)
    assert offer.ChargeService.SupportedEnergyTransferMode.EnergyTransferMode == ("AC_three_phase_core",)


@pytest.mark.parametrize("who", ["another vehicle", "another session", "twice", "nothing kept"])
def test_no_session_is_joined_that_this_vehicle_did_not_pause(who: str) -> None:
    kept = KeptSessions()
    session = paused_once(kept)
    asks, settings = replace(VEHICLE, resume=session), replace(STATION, paused=kept)
    if who == "another vehicle":
        asks = replace(asks, evcc_id=bytes(6))
    elif who == "another session":
        asks = replace(asks, resume=b"\x09" * 8)
    elif who == "twice":
        run(station(settings), vehicle(asks))
    else:
        settings = STATION
    secc, evcc = station(settings, random=octets(0x54)), vehicle(asks)
    run(secc, evcc)
    assert evcc.codes()[1] == ("SessionSetupRes", "OK_NewSessionEstablished")
    assert one(evcc.notices, Established).session_id == b"\x55" * 8


def test_an_end_by_time_and_by_energy() -> None:
    timed = vehicle(replace(VEHICLE, charge_seconds=1.0, pause=True), Car(turns=10_000))
    secc = station()
    run(secc, timed, "paused")
    # 22 kW at most for the vehicle's 40 kW: 6.1 Wh a second; 11.04 kW (230 V, 16 A, 3 phases) is what the loop allows.
    filled = vehicle(replace(VEHICLE, charge_energy=1.0), Car(turns=10_000))
    run(station(), filled)
    assert bodies(filled, "PowerDeliveryReq")[-1].ChargeProgress == "Stop"


def test_signed_tariffs_are_told_to_whoever_consents() -> None:
    car = Car()
    secc, evcc = station(replace(STATION, sign_tariffs=True)), vehicle(car=car)
    run(secc, evcc)
    (consent,) = car.offered
    assert consent.signed
    night, flat = consent.schedules
    # 300 and 150 become shares of the dearest; a SalesTariff has no currency.
    assert [(p.start, p.duration, p.power, p.price) for p in night.periods] == [
        (0, 3600, 11_000, 100),
        (3600, 82_800, 7_000, 50),
    ]
    assert (night.tariff, night.currency, flat.tariff) == ("night", "%", "")
    assert [(p.power, p.price) for p in flat.periods] == [(6_000, None)]


@pytest.mark.parametrize(
    ("settings", "spoilt"),
    [
        (STATION, {}),
        (replace(STATION, sign_tariffs=True), {"SignatureQuestion": refuse("signature.wrong_value")}),
    ],
)
def test_tariffs_that_nobody_signed(settings: StationSettings, spoilt: dict[str, Any]) -> None:
    car = Car()
    run(station(settings), vehicle(car=car, **spoilt))
    assert [consent.signed for consent in car.offered] == [False]


def test_a_station_without_a_key_for_tariffs_sends_them_without_id() -> None:
    car = Car()
    secc = station(replace(STATION, sign_tariffs=True), SigningQuestion=refuse("signature.bad_signer"))
    evcc = vehicle(car=car)
    run(secc, evcc)
    (response,) = bodies(evcc, "ChargeParameterDiscoveryRes")
    assert [t.SalesTariff and t.SalesTariff.Id for t in response.SASchedules.SAScheduleTuple] == [None, None]
    assert not car.offered[0].signed
