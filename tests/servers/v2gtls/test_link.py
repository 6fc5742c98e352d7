"""Links between two ends of ours: what is agreed on, whom each end refuses, and what it tells the other.

Which alert fits is RFC 8446 6.2's and RFC 6066 8's; suites and groups are those of facts about both editions:
ISO 15118-2 7.7.3, [V2G20-1856], [V2G20-1634].
"""

from __future__ import annotations

import pytest

from tests.servers.v2gtls.bench import End, Pki, meet
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import Edition, StationSecurity, TLSIdentity
from v2gpki.session.secured import Secured


def agreed(end: End) -> Secured:
    assert end.problem is None, end.problem
    assert end.link is not None
    assert end.link.secured is not None
    return end.link.secured


def refused(ends: tuple[End, End], *, by: str) -> End:
    """The end that refused (0 the station, 1 the vehicle); the other heard the same alert, and nothing passed."""
    one, other = ends if by == "station" else ends[::-1]
    assert one.problem is not None
    assert other.code == "tls.alert"
    assert one.alert == other.alert
    assert ends[0].received == []
    assert ends[1].received == []
    return one


def test_iso2_is_tls_1_2_with_its_suite_and_no_client_certificate(pki: Pki) -> None:
    secc = pki.identity("secc", "iso15118-2")
    station, vehicle = meet(pki.station(("iso15118-2", secc)), pki.vehicle("iso15118-2"))
    for end in (station, vehicle):
        secured = agreed(end)
        assert (secured.version, secured.suite, secured.group) == (
            "1.2",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
            "secp256r1",
        )
        assert not secured.may_carry_iso20
    assert agreed(vehicle).peer_chain == secc.chain == agreed(station).own_chain
    assert agreed(station).peer_chain == () == agreed(vehicle).own_chain
    assert agreed(vehicle).staple == secc.staple() != None  # noqa: E711  # it must be there
    assert station.received == [b"\x01charge", b""]
    assert vehicle.received == [b"\x01charge"]


@pytest.mark.parametrize(
    ("station_suite", "vehicle_suite"), [("p521", "p521"), ("ed448", "ed448"), ("p521", "ed448"), ("ed448", "p521")]
)
def test_iso20_is_mutual_tls_1_3(pki: Pki, station_suite: str, vehicle_suite: str) -> None:
    secc = pki.identity("secc", "iso15118-20", station_suite)
    car = pki.identity("vehicle", "iso15118-20", vehicle_suite)
    station, vehicle = meet(pki.station(("iso15118-20", secc)), pki.vehicle("iso15118-20", identity=car))
    for end in (station, vehicle):
        secured = agreed(end)
        assert (secured.version, secured.suite, secured.group) == ("1.3", "TLS_AES_256_GCM_SHA384", "secp521r1")
        assert secured.may_carry_iso20
    assert agreed(vehicle).peer_chain == secc.chain == agreed(station).own_chain
    assert agreed(station).peer_chain == car.chain == agreed(vehicle).own_chain
    assert agreed(vehicle).staple == secc.staple()


def test_one_station_serves_both_editions(pki: Pki) -> None:
    station = pki.station(
        ("iso15118-2", pki.identity("secc", "iso15118-2")),
        ("iso15118-20", pki.identity("secc", "iso15118-20", "p521")),
        ("iso15118-20", pki.identity("secc", "iso15118-20", "ed448")),
    )
    car = pki.identity("vehicle", "iso15118-20", "p521")
    assert agreed(meet(station, pki.vehicle("iso15118-2"))[0]).version == "1.2"
    assert agreed(meet(station, pki.vehicle("iso15118-20", identity=car))[0]).version == "1.3"
    both = pki.vehicle("iso15118-2", "iso15118-20", identity=car)
    assert agreed(meet(station, both)[0]).may_carry_iso20
    only_iso2 = pki.station(("iso15118-2", pki.identity("secc", "iso15118-2")))
    assert agreed(meet(only_iso2, both)[0]).version == "1.2"


def test_the_lab_profile_is_mutual_tls_1_3_on_p256(pki: Pki) -> None:
    secc = pki.identity("secc", "lab-ecog-20")
    car = pki.identity("oem", "lab-ecog-20")
    station = StationSecurity({"lab-ecog-20": [secc]}, lambda _chain: None)
    one, other = meet(station, pki.vehicle("lab-ecog-20", identity=car))
    assert agreed(one).may_carry_iso20
    assert agreed(other).group == "secp256r1"


def test_plain_tcp_is_a_link_without_tls(pki: Pki) -> None:
    station, vehicle = meet(pki.station(("iso15118-2", pki.identity("secc", "iso15118-2"))), None)
    assert station.problem is None
    assert station.link is not None
    assert station.link.secured is None
    assert vehicle.link is not None
    assert vehicle.link.secured is None
    assert station.received == [b"\x01charge", b""]


def test_a_station_may_take_tls_only(pki: Pki) -> None:
    secc = pki.identity("secc", "iso15118-2")
    station, vehicle = meet(pki.station(("iso15118-2", secc), plain=False), None)
    assert station.code == "tls.plain"
    assert vehicle.received == [b""]


def test_a_station_without_tls_takes_plain_tcp_only(pki: Pki) -> None:
    assert meet(None, None)[0].received == [b"\x01charge", b""]
    station, _vehicle = meet(None, pki.vehicle("iso15118-2"))
    assert station.code == "tls.foreign"
    assert "no TLS identity" in station.problem.message  # type: ignore[union-attr]  # the code is asserted above


# -- who is refused --------------------------------------------------------------------------------


def test_a_tls_1_3_vehicle_without_a_certificate_is_refused(pki: Pki) -> None:
    station = pki.station(
        ("iso15118-2", pki.identity("secc", "iso15118-2")), ("iso15118-20", pki.identity("secc", "iso15118-20"))
    )
    end = refused(meet(station, pki.vehicle("iso15118-20")), by="station")
    assert (end.code, end.alert) == ("tls.no_certificate", "certificate_required")
    end = refused(meet(station, pki.vehicle("iso15118-20", "iso15118-2")), by="station")
    assert end.code == "tls.no_certificate"


def test_a_vehicle_of_tls_1_2_never_gets_what_iso20_needs(pki: Pki) -> None:
    station = pki.station(("iso15118-20", pki.identity("secc", "iso15118-20")))
    end = refused(meet(station, pki.vehicle("iso15118-2")), by="station")
    assert (end.code, end.alert) == ("tls.no_common", "protocol_version")


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_a_station_under_another_root_is_refused(pki: Pki, stranger: Pki, edition: Edition) -> None:
    car = pki.identity("vehicle", "iso15118-20")
    foreign = pki.station((edition, stranger.identity("secc", edition)))
    end = refused(meet(foreign, pki.vehicle(edition, identity=car)), by="vehicle")
    assert (end.code, end.alert) == ("path.no_anchor", "unknown_ca")
    none = pki.vehicle(edition, identity=car, roots=pki.roots("mo-root"))
    ours = pki.station((edition, pki.identity("secc", edition)))
    end = refused(meet(ours, none), by="vehicle")
    assert (end.code, end.alert) == ("path.no_anchor", "unknown_ca")


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_an_expired_station_is_refused(pki: Pki, edition: Edition) -> None:
    car = pki.identity("vehicle", "iso15118-20")
    ends = meet(pki.station((edition, pki.identity("secc", edition, expired=True))), pki.vehicle(edition, identity=car))
    end = refused(ends, by="vehicle")
    assert (end.code, end.alert) == ("path.expired", "certificate_expired")


@pytest.mark.parametrize(
    ("edition", "alert"),
    # In TLS 1.2 the staple comes when the chain was accepted: RFC 6066 8 names the alert.
    [("iso15118-2", "bad_certificate_status_response"), ("iso15118-20", "certificate_revoked")],
)
def test_a_revoked_station_is_refused(pki: Pki, edition: Edition, alert: str) -> None:
    car = pki.identity("vehicle", "iso15118-20")
    ends = meet(pki.station((edition, pki.identity("secc", edition, revoked=True))), pki.vehicle(edition, identity=car))
    end = refused(ends, by="vehicle")
    assert (end.code, end.alert) == ("path.revoked", alert)


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_a_station_whose_leaf_is_no_cpo_is_refused(pki: Pki, edition: Edition) -> None:
    """A CPS leaf stands under the same V2G root, with DC=CPS."""
    car = pki.identity("vehicle", "iso15118-20")
    station = pki.station((edition, pki.identity("cps", edition)))
    end = refused(meet(station, pki.vehicle(edition, identity=car)), by="vehicle")
    assert end.alert == "unsupported_certificate"
    assert "role.domain_component" in {finding.code for finding in end.problem.findings}  # type: ignore[union-attr]


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_a_station_without_a_staple_is_refused_unless_the_vehicle_does_without(pki: Pki, edition: Edition) -> None:
    car = pki.identity("vehicle", "iso15118-20")
    station = pki.station((edition, pki.identity("secc", edition, stapled=False)))
    end = refused(meet(station, pki.vehicle(edition, identity=car)), by="vehicle")
    assert (end.code, end.alert) == ("tls.no_staple", "bad_certificate_status_response")
    ends = meet(station, pki.vehicle(edition, identity=car, policy="off"))
    assert agreed(ends[1]).staple is None


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_the_staple_of_another_certificate_is_none(pki: Pki, edition: Edition) -> None:
    """OpenSSL does not even send it; what another stack sends is judged, `tests/interop/test_v2gtls_openssl.py`."""
    car = pki.identity("vehicle", "iso15118-20")
    secc = pki.identity("secc", edition)
    other = pki.identity("secc", edition).staple()
    station = pki.station((edition, TLSIdentity(secc.chain, secc.private_key, secc.root, lambda: other)))
    vehicle = pki.vehicle(edition, identity=car)
    assert refused(meet(station, vehicle), by="vehicle").alert == "bad_certificate_status_response"
    with pytest.raises(V2GPKIError) as caught:
        vehicle.judge_station(secc.chain, other)
    assert caught.value.code == "path.status_unknown"
    vehicle.judge_station(secc.chain, secc.staple())


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_require_all_wants_evidence_about_the_sub_cas_too(pki: Pki, edition: Edition) -> None:
    car = pki.identity("vehicle", "iso15118-20")
    secc = pki.identity("secc", edition)
    station = pki.station((edition, secc))
    end = refused(meet(station, pki.vehicle(edition, identity=car, policy="require-all")), by="vehicle")
    assert (end.code, end.alert) == ("path.status_unknown", "bad_certificate_status_response")
    assert secc.root is not None
    evidence = pki.staples(secc.chain, secc.root)[1:]
    ends = meet(station, pki.vehicle(edition, identity=car, policy="require-all", evidence=evidence))
    assert agreed(ends[1]).staple is not None


def test_a_vehicle_under_the_mo_root_is_refused(pki: Pki) -> None:
    """A contract certificate is no vehicle certificate (facts/pki.md 10, 11): its root is not among the station's."""
    station = pki.station(("iso15118-20", pki.identity("secc", "iso15118-20")))
    contract = pki.identity("contract", "iso15118-20", "p521")
    end = refused(meet(station, pki.vehicle("iso15118-20", identity=contract)), by="station")
    assert (end.code, end.alert) == ("path.no_anchor", "unknown_ca")


def test_an_oem_provisioning_certificate_is_no_vehicle_certificate(pki: Pki) -> None:
    station = pki.station(("iso15118-20", pki.identity("secc", "iso15118-20")))
    end = refused(
        meet(station, pki.vehicle("iso15118-20", identity=pki.identity("oem", "iso15118-20", "p521"))), by="station"
    )
    assert end.alert == "unsupported_certificate"


def test_an_expired_vehicle_is_refused(pki: Pki) -> None:
    station = pki.station(("iso15118-20", pki.identity("secc", "iso15118-20")))
    expired = pki.identity("vehicle", "iso15118-20", expired=True)
    end = refused(meet(station, pki.vehicle("iso15118-20", identity=expired)), by="station")
    assert (end.code, end.alert) == ("path.expired", "certificate_expired")


def test_a_vehicle_of_a_stranger_with_the_same_names_is_refused(pki: Pki, stranger: Pki) -> None:
    station = pki.station(("iso15118-20", pki.identity("secc", "iso15118-20")))
    car = stranger.identity("vehicle", "iso15118-20")
    end = refused(meet(station, pki.vehicle("iso15118-20", identity=car)), by="station")
    assert (end.code, end.alert) == ("path.no_anchor", "unknown_ca")
