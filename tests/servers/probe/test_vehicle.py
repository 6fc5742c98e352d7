"""What a probe says of vehicles of ours, with policies good and bad: one connection for each chain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.servers.probe.test_station import row
from tests.servers.v2gtls.bench import QUICK, Pki
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.app_protocol import AppProtocolType, supportedAppProtocolReq
from v2gpki.servers.probe.cases import given_cases, minted_cases, unknown_root
from v2gpki.servers.probe.report import Report
from v2gpki.servers.probe.vehicle import Case, VehicleProbe
from v2gpki.servers.v2gtls import Edition, TLSIdentity, VehicleSecurity, connect
from v2gpki.v2gtp import PayloadType, build

ISO2 = "urn:iso:15118:2:2013:MsgDef"


async def drive_in(port: int, security: VehicleSecurity | None) -> None:
    """One attempt: handshake, the list of protocols, and away."""
    entry = AppProtocolType(
        ProtocolNamespace=ISO2, VersionNumberMajor=2, VersionNumberMinor=0, SchemaID=1, Priority=1
    )
    octets = codec.encode(supportedAppProtocolReq(AppProtocol=(entry,)), "app")
    try:
        link = await connect(("::1", port), security, limits=QUICK)
        await link.send(build(PayloadType.EXI, octets))
        await link.receive()
        await link.close()
    except V2GPKIError:
        return


def probed(cases: Sequence[Case], security: VehicleSecurity | None, *, attempts: int | None = None) -> Report:
    async def both() -> Report:
        said: list[str] = []
        probe = VehicleProbe(cases, timeout=5.0, told=said.append)
        async with await asyncio.start_server(probe.connected, "::1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for _ in range(len(cases) if attempts is None else attempts):
                await drive_in(port, security)
            if attempts is None:
                await probe.finished.wait()
        assert said[0] == f"waiting for the vehicle; it will be shown: {cases[0].name}"
        probe.left()
        return probe.report

    return asyncio.run(both())


def shown(report: Report) -> dict[str, tuple[str, str]]:
    return {one.what: (one.text, one.standing) for one in report.rows if one.area == "chains"}


@pytest.fixture(scope="module")
def secc(pki: Pki) -> TLSIdentity:
    return pki.identity("secc", "iso15118-2")


@pytest.fixture(scope="module")
def every_case(pki: Pki, secc: TLSIdentity) -> list[Case]:
    editions: list[Edition] = ["iso15118-2"]
    loop_time = float  # 0.0: the clock of the home stands, nothing has to be waited for
    minted = minted_cases(pki.ca, editions, "DE*ABC*E45B*78C", loop_time)
    return [*given_cases({"iso15118-2": [secc]}), unknown_root(editions, "DE*ABC*E45B*78C"), *minted]


def test_a_good_vehicle_refuses_what_is_bad(pki: Pki, every_case: list[Case]) -> None:
    report = probed(every_case, pki.vehicle("iso15118-2"))
    assert shown(report) == {
        "the good chain": ("accepted", "ok"),
        "the good chain, no staple": ("refused: bad_certificate_status_response", "ok"),
        "under an unknown root": ("refused: unknown_ca", "ok"),
        "a CPS certificate (DC=CPS)": ("refused: unsupported_certificate", "ok"),
        "revoked, as its staple says": ("refused: bad_certificate_status_response", "ok"),
        "expired": ("refused: certificate_expired", "ok"),
    }
    assert row(report, "handshake", "protocols").found == (f"{ISO2} 2.0",)
    assert report.count("error") == 0


def test_a_vehicle_that_trusts_everybody_is_found_out(every_case: list[Case]) -> None:
    credulous = VehicleSecurity(lambda _chain, _staple: None, staple_policy="off")
    report = probed(every_case, credulous)
    verdicts = shown(report)
    assert verdicts.pop("the good chain") == ("accepted", "ok")
    assert set(verdicts.values()) == {("accepted", "error")}
    assert len(verdicts) == 5
    assert row(report, "ClientHello", "asks for OCSP responses").standing == "warning"
    assert row(report, "ClientHello", "trusted_ca_keys").standing == "warning"


def test_a_vehicle_that_refuses_the_good_chain(pki: Pki, stranger: Pki, secc: TLSIdentity) -> None:
    report = probed(given_cases({"iso15118-2": [secc]}), stranger.vehicle("iso15118-2"))
    assert shown(report)["the good chain"] == ("refused: unknown_ca", "error")
    # Refused for another reason than the missing staple: that says nothing about staples.
    assert shown(report)["the good chain, no staple"] == ("refused: unknown_ca", "warning")


def test_what_a_vehicle_of_iso2_offers(pki: Pki, secc: TLSIdentity) -> None:
    report = probed(given_cases({"iso15118-2": [secc]}), pki.vehicle("iso15118-2"))
    assert row(report, "ClientHello", "versions").found == ("TLS 1.2",)
    assert row(report, "ClientHello", "suites").found == ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",)
    assert row(report, "ClientHello", "groups").found == ("secp256r1",)
    assert row(report, "ClientHello", "signature algorithms").found == ("ecdsa_secp256r1_sha256",)
    assert row(report, "ClientHello", "asks for OCSP responses").found == ("status_request",)
    trusted = row(report, "ClientHello", "trusted_ca_keys")
    assert len(trusted.found) == len(pki.roots("v2g-root"))
    assert trusted.found[0].startswith("cert_sha1_hash ")


def test_a_vehicle_of_iso20_shows_its_certificate(pki: Pki) -> None:
    car = pki.identity("vehicle", "iso15118-20", "p521")
    identity = pki.identity("secc", "iso15118-20", "p521")
    report = probed(
        given_cases({"iso15118-20": [identity]}), pki.vehicle("iso15118-20", identity=car)
    )
    assert shown(report)["the good chain"] == ("accepted", "ok")
    assert row(report, "ClientHello", "versions").found == ("TLS 1.3",)
    assert set(row(report, "ClientHello", "groups").found) == {"secp521r1", "x448"}
    assert report.chains["vehicle certificate"] == car.chain
    assert "CN=" in row(report, "handshake", "vehicle certificate").text


def test_a_vehicle_without_tls(secc: TLSIdentity) -> None:
    report = probed(given_cases({"iso15118-2": [secc]})[:1], None)
    assert row(report, "ClientHello", "versions").found == "no TLS"


def test_cases_that_nobody_came_for(pki: Pki, secc: TLSIdentity) -> None:
    report = probed(given_cases({"iso15118-2": [secc]}), pki.vehicle("iso15118-2"), attempts=1)
    assert shown(report)["the good chain, no staple"] == ("not shown", "warning")


def test_who_says_nothing_uses_up_no_case(pki: Pki, secc: TLSIdentity) -> None:
    async def both() -> Report:
        probe = VehicleProbe(given_cases({"iso15118-2": [secc]})[:1], timeout=5.0)
        async with await asyncio.start_server(probe.connected, "::1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for words in (b"", b"GET / HTTP/1.1\r\n\r\n"):
                reader, writer = await asyncio.open_connection("::1", port)
                writer.write(words)
                writer.write_eof()
                await reader.read()
                writer.close()
            await drive_in(port, pki.vehicle("iso15118-2"))
            await probe.finished.wait()
        return probe.report

    assert shown(asyncio.run(both())) == {"the good chain": ("accepted", "ok")}


def test_a_good_chain_without_staple_has_no_second_case(pki: Pki) -> None:
    """What has no staple cannot be shown without."""
    cases = given_cases({"iso15118-2": [pki.identity("secc", "iso15118-2", stapled=False)]})
    assert [case.name for case in cases] == ["the good chain"]
