"""What a probe says of stations that are built here, good and bad: over TLS 1.2, TLS 1.3 and plain TCP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.servers.probe.station import ISO2, Station
from tests.servers.v2gtls.bench import Pki, today
from v2gpki.errors import V2GPKIError
from v2gpki.servers.probe.report import Report, Row, report_value
from v2gpki.servers.probe.scan import Host
from v2gpki.servers.probe.station import Means, probe_station
from v2gpki.servers.v2gtls import StationSecurity, TLSIdentity

EVERY_SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"


def means(pki: Pki, **more: object) -> Means:
    roots = [root.der for root in pki.roots("v2g-root")]
    return replace(Means(pki.catalogue, today, roots, timeout=3.0), **more)  # type: ignore[arg-type]  # of its own fields


def probed(pki: Pki, station: Station, **more: object) -> Report:
    return station.run(lambda port: probe_station(Host("::1", port), means(pki, **more)))


def row(report: Report, area: str, what: str) -> Row:
    found = [one for one in report.rows if (one.area, one.what) == (area, what)]
    assert len(found) == 1, [(one.area, one.what) for one in report.rows]
    return found[0]


@pytest.fixture(scope="module")
def good(pki: Pki) -> Report:
    """One station for both editions, with everything that it should have."""
    security = pki.station(
        ("iso15118-2", pki.identity("secc", "iso15118-2")),
        ("iso15118-20", pki.identity("secc", "iso15118-20", "p521")),
    )
    station = Station(security, protocols=(ISO2, "urn:iso:std:iso:15118:-20:DC"))
    return probed(pki, station, identity=pki.identity("vehicle", "iso15118-20", "p521"))


def test_tls_of_a_good_station(good: Report) -> None:
    assert row(good, "TLS", "versions") == Row("TLS", "versions", ("TLS 1.2", "TLS 1.3"), "ok")
    assert row(good, "TLS 1.2", "suites").found == (EVERY_SUITE,)
    assert row(good, "TLS 1.2", "groups").found == ("secp256r1",)
    assert row(good, "TLS 1.3", "suites").found == ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
    assert set(row(good, "TLS 1.3", "groups").found) == {"secp521r1", "x448"}
    assert row(good, "TLS 1.3", "without a vehicle certificate") == Row(
        "TLS 1.3", "without a vehicle certificate", "certificate_required", "ok"
    )


@pytest.mark.parametrize("area", ["TLS 1.2", "TLS 1.3"])
def test_the_chain_of_a_good_station(good: Report, area: str) -> None:
    chain = row(good, area, "chain")
    assert chain.standing == "ok"
    assert len(chain.found) == len(good.chains[area]) == 3
    assert "CN=DE*ABC*E45B*78C" in chain.found[0]
    assert row(good, area, "path").standing == "ok"
    assert row(good, area, "staple").text.startswith("good, until ")
    lints = [one for one in good.rows if one.area == area and one.what.startswith("lint ")]
    assert [one.found for one in lints] == ["no findings"] * 3


def test_protocols_and_session_of_a_good_station(good: Report) -> None:
    assert row(good, "TLS 1.2", ISO2).text.startswith("OK_SuccessfulNegotiation, ")
    assert row(good, "TLS 1.2", "EVSEID").found == "DE*ABC*E45B*78C"
    assert row(good, "TLS 1.2", "payment options").found == ("Contract",)
    assert row(good, "TLS 1.2", "energy transfer").found == ("AC_three_phase_core",)
    for request in ("SessionSetupReq", "ServiceDiscoveryReq", "SessionStopReq"):
        assert row(good, "TLS 1.2", f"answers {request}").standing == "ok"
    assert row(good, "TLS 1.3", "urn:iso:std:iso:15118:-20:DC").standing == "ok"
    assert row(good, "TLS 1.3", "authorisation").found == ("EIM", "PnC")
    assert row(good, "TLS 1.3", "certificate installation").found == "yes"
    assert row(good, "TLS 1.3", "answers AuthorizationSetupReq").standing == "ok"
    assert row(good, "TLS 1.3", "urn:din:70121:2012:MsgDef").standing == "info"


def test_this_station_takes_iso20_below_its_tls(good: Report) -> None:
    """It is built to: whoever takes -20 on TLS 1.2 has an error."""
    wrong = row(good, "TLS 1.2", "urn:iso:std:iso:15118:-20:DC")
    assert (wrong.standing, wrong.clause) == ("error", "[V2G20-2356]")


def of_identity(pki: Pki, identity: TLSIdentity) -> Report:
    return probed(pki, Station(pki.station(("iso15118-2", identity))))


def test_a_station_without_a_staple(pki: Pki) -> None:
    staple = row(of_identity(pki, pki.identity("secc", "iso15118-2", stapled=False)), "TLS 1.2", "staple")
    assert (staple.found, staple.standing) == ("none", "warning")


def test_a_staple_that_says_revoked(pki: Pki) -> None:
    staple = row(of_identity(pki, pki.identity("secc", "iso15118-2", revoked=True)), "TLS 1.2", "staple")
    assert staple.text.startswith("revoked")
    assert staple.standing == "error"


def path_codes(report: Report) -> Sequence[str]:
    found = row(report, "TLS 1.2", "path")
    assert found.standing == "error"
    return found.found


def test_chains_that_do_not_hold(pki: Pki, stranger: Pki) -> None:
    expired = of_identity(pki, pki.identity("secc", "iso15118-2", expired=True))
    assert path_codes(expired) == ("path.expired",)
    assert row(expired, "TLS 1.2", "leaf ends").standing == "error"
    assert "role.domain_component" in path_codes(of_identity(pki, pki.identity("cps", "iso15118-2")))
    foreign = of_identity(pki, stranger.identity("secc", "iso15118-2"))
    assert set(path_codes(foreign)) & {"path.no_anchor", "path.bad_signature", "path.broken"}


def test_a_root_that_is_sent_along(pki: Pki) -> None:
    secc = pki.identity("secc", "iso15118-2")
    assert secc.root is not None
    report = of_identity(pki, replace(secc, chain=(*secc.chain, secc.root)))
    assert row(report, "TLS 1.2", "chain").standing == "warning"


def test_without_roots_no_path_is_judged(pki: Pki) -> None:
    station = Station(pki.station(("iso15118-2", pki.identity("secc", "iso15118-2"))))
    path = row(probed(pki, station, roots=()), "TLS 1.2", "path")
    assert (path.found, path.standing) == ("not judged", "info")


def test_a_station_that_answers_too_late(pki: Pki) -> None:
    """SessionSetupRes has 1.5 s; this one comes after 1.6."""
    station = Station(None, delay=1.6)
    late = row(probed(pki, station, tls=False), "plain TCP", "answers SessionSetupReq")
    assert late.standing == "error"
    assert late.text.endswith(" ms of 1.5 s")


def test_plain_tcp(pki: Pki) -> None:
    report = probed(pki, Station(None))
    assert row(report, "TLS", "versions").found == "no TLS"
    assert row(report, "plain TCP", ISO2).standing == "ok"
    assert row(report, "plain TCP", "EVSEID").found == "DE*ABC*E45B*78C"


def test_without_a_vehicle_certificate_protocols_of_tls_1_3_are_not_asked(pki: Pki) -> None:
    security = pki.station(("iso15118-20", pki.identity("secc", "iso15118-20", "ed448")))
    report = probed(pki, Station(security))
    assert row(report, "TLS 1.3", "protocols").found == "not asked"
    assert len(report.chains["TLS 1.3"]) == 3


def test_a_station_on_p_256_only_for_the_new_edition(pki: Pki) -> None:
    security = pki.station(("lab-ecog-20", pki.identity("secc", "lab-ecog-20")))
    report = probed(pki, Station(security))
    groups = row(report, "TLS 1.3", "groups")
    assert (groups.found, groups.standing) == (("secp256r1",), "error")
    assert report.chains["TLS 1.3"]


def test_nobody_there(pki: Pki) -> None:
    async def gone(port: int) -> Report:
        return await probe_station(Host("::1", 1), means(pki))

    with pytest.raises(V2GPKIError) as refused:
        Station(None).run(gone)
    assert refused.value.code == "tls.unreachable"


def test_the_value(good: Report) -> None:
    value = report_value(good)
    assert (value["schema"], value["kind"], value["passed"]) == ("v2gpki/probe/1", "secc", False)
    assert value["errors"] == 1
    assert isinstance(value["chains"], dict)


def test_refused_versions_are_told(pki: Pki) -> None:
    """A station that speaks no edition refuses every ClientHello."""
    report = probed(pki, Station(StationSecurity({}, lambda _chain: None)))
    versions = row(report, "TLS", "versions")
    assert versions.standing == "error"
