"""What a station of ISO 15118-2 offers beside power: signed tariffs, services; what a vehicle makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.session.iso2.joining import bodies, run
from tests.session.iso2.rig import (
    HOUR,
    NOW,
    SCHEDULES,
    STATION,
    TLS,
    Car,
    Outlet,
    refuse,
    station,
    vehicle,
)
from tests.session.iso2.tapes import answer_to, in_state, requests, with_session
from v2gpki.energy import Level, PriceLevels, ServiceChoice, ValueAdded
from v2gpki.messages import iso2
from v2gpki.session import questions as q
from v2gpki.session.notices import Judged, Remarked
from v2gpki.session.secured import Secured


@pytest.mark.judged("signed SalesTariff", edition="iso15118-2", by="ourselves")
def test_signed_tariffs_are_told_to_whoever_consents() -> None:
    car = Car()
    secc, evcc = station(), vehicle(car=car)
    run(secc, evcc)
    (offered,) = car.offered
    assert offered.verified
    night, flat = offered.schedules
    assert night.power == SCHEDULES[0].power
    # 0.30 and 0.15 become shares of the dearest and levels; a SalesTariff has no currency.
    assert night.price == PriceLevels(1, NOW, 2, (Level(HOUR, 1), Level(23 * HOUR, 0)), "night")
    assert flat == SCHEDULES[1]
    (response,) = bodies(evcc, "ChargeParameterDiscoveryRes")
    (tariff, nothing) = [each.SalesTariff for each in response.SASchedules.SAScheduleTuple]
    assert nothing is None
    costs = [cost.Cost[0].amount for entry in tariff.SalesTariffEntry for cost in entry.ConsumptionCost]
    assert (tariff.Id, costs) == ("id1", [100, 50])


def test_tariffs_that_are_signed_wrongly() -> None:
    car = Car()
    evcc = vehicle(car=car, SignatureQuestion=refuse("signature.wrong_value"))
    run(station(), evcc)
    assert [offered.verified for offered in car.offered] == [False]
    assert [(n.what, n.problem and n.problem.code) for n in evcc.notices if isinstance(n, Judged)] == [
        ("SalesTariff signature", "signature.wrong_value")
    ]


@pytest.mark.parametrize("secured", [TLS, None])
def test_a_station_that_signs_no_tariffs_sends_them_without_id(secured: Secured | None) -> None:
    """Without a key, or for a vehicle that has no contract."""
    spoilt: dict[str, Any] = {"SigningQuestion": refuse("signature.bad_signer")} if secured else {}
    car = Car()
    evcc = vehicle(car=car, secured=secured)
    run(station(secured=secured, **spoilt), evcc)
    (response,) = bodies(evcc, "ChargeParameterDiscoveryRes")
    tariff = response.SASchedules.SAScheduleTuple[0].SalesTariff
    assert (tariff.Id, tariff.SalesTariffDescription) == (None, "night")
    assert not car.offered[0].verified


def test_value_added_services() -> None:
    variants: dict[int, dict[str, bool | int | float | str]] = {1: {"Port": 443, "Name": "cable", "Free": True}}
    added = ValueAdded(33, "Internet by cable", "Internet", parameters=variants)
    settings = replace(STATION, offer=replace(STATION.offer, value_added=(added,)))
    car = Car()

    def service(question: q.ServiceQuestion) -> ServiceChoice:
        return replace(car.service(question), value_added=((33, 1),))

    secc, evcc = station(settings), vehicle(car=car, ServiceQuestion=service)
    run(secc, evcc)
    assert [(one.identifier, one.name, one.category) for one in car.offers[0].value_added] == [
        (33, "Internet by cable", "Internet")
    ]
    (selection,) = bodies(secc, "PaymentServiceSelectionReq")
    assert selection.SelectedServiceList.SelectedService[1] == iso2.SelectedServiceType(ServiceID=33, ParameterSetID=1)


def test_a_new_session_is_asked_for_in_fewer_octets() -> None:
    """As a vehicle in the field does: one octet of zeros is no session that was paused."""
    secc = in_state("connected")
    answer = answer_to(secc, with_session(requests()["SessionSetupReq"], b"\0"))
    assert answer is not None
    assert answer.Header.SessionID == b"\1" * 8
    assert not any(isinstance(question, q.PausedQuestion) for question in secc.asked)


def test_a_contract_that_expires_soon() -> None:
    secc, evcc = station(ContractChainQuestion=lambda _: q.ExpiresSoon()), vehicle()
    run(secc, evcc)
    assert ("PaymentDetailsRes", "OK_CertificateExpiresSoon") in evcc.codes()
    assert any("expires soon" in notice.text for notice in evcc.notices if isinstance(notice, Remarked))


def test_a_station_that_has_less_power_now() -> None:
    """6.9 kW of three phases at 230 V are 10 A; the next setpoint has them too."""
    outlet = Outlet()
    usual = outlet.power

    def power(question: q.PowerQuestion) -> q.Delivery:
        given = usual(question)
        return replace(given, control=replace(given.control, power=6_900.0))

    car = Car()
    secc, evcc = station(outlet=outlet, PowerQuestion=power), vehicle(car=car)
    run(secc, evcc)
    assert {status.EVSEMaxCurrent for status in bodies(evcc, "ChargingStatusRes")} == {
        iso2.PhysicalValueType(Multiplier=0, Unit="A", Value=10)
    }
    assert [question.setpoint.power for question in outlet.powered] == [11_000, 6_900, 6_900]
    assert [one.power for one in car.delivered] == [0, 6_900, 6_900, 6_900]


@pytest.mark.parametrize("what", ["standby", "renegotiate_service"])
def test_what_this_edition_has_no_word_for_ends_the_session(what: str) -> None:
    run(station(), vehicle(car=Car(steps={2: what})))
