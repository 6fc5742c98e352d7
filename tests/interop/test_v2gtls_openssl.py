"""OpenSSL's s_client and s_server judge our links: what is agreed on, and which alert each refusal is told by.

Alert numbers are those of RFC 8446 6 (certificate_expired 45, unknown_ca 48, certificate_required 116, ..).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.tls_peers import given, judging, s_client, s_server
from tests.servers.v2gtls.bench import Pki, today
from v2gpki.servers.v2gtls import StationSecurity, TLSIdentity
from v2gpki.servers.v2gtls.judging import vehicle_judge

pytestmark = pytest.mark.interop("openssl")

TLS12 = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256", "-groups", "P-256"]
TLS13 = ["-tls1_3", "-groups", "P-521:X448"]
#: What a vehicle of a generic stack offers: TLS 1.3 with the groups of OpenSSL, of which P-521 is among the last.
GENERIC = ["-tls1_3"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pki]:
    made = Pki(tmp_path_factory.mktemp("v2gtls") / "home")
    yield made
    made.ca.close()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pki]:
    made = Pki(tmp_path_factory.mktemp("stranger") / "home")
    yield made
    made.ca.close()


@pytest.fixture(scope="module")
def secc(pki: Pki) -> TLSIdentity:
    return pki.identity("secc", "iso15118-2")


@pytest.fixture(scope="module")
def secc20(pki: Pki) -> TLSIdentity:
    return pki.identity("secc", "iso15118-20", "p521")


@pytest.fixture(scope="module")
def station(pki: Pki, secc: TLSIdentity, secc20: TLSIdentity) -> StationSecurity:
    """Both editions behind one listener."""
    return pki.station(
        ("iso15118-2", secc),
        ("iso15118-20", secc20),
        ("iso15118-20", pki.identity("secc", "iso15118-20", "ed448")),
    )


# -- our station, s_client as the vehicle ----------------------------------------------------------


@pytest.mark.judged("TLS 1.2, P-256, staple: station", edition="iso15118-2", by="OpenSSL")
def test_a_vehicle_of_iso2(station: StationSecurity, secc: TLSIdentity, tmp_path: Path) -> None:
    keys = tmp_path / "keys.log"
    said = s_client(station, *TLS12, *judging(tmp_path, secc.root), "-status", "-keylogfile", str(keys))
    assert "Verify return code: 0 (ok)" in said.text
    assert "Cipher is ECDHE-ECDSA-AES128-SHA256" in said.text
    assert "OCSP Response Status: successful" in said.text
    assert "Cert Status: good" in said.text
    assert "Server Temp Key: ECDH, prime256v1, 256 bits" in said.text
    assert "No client certificate CA names sent" in said.text
    assert said.end.received[0] == b"\x01ehcee\n"
    assert said.end.link is not None
    assert said.end.link.secured is not None
    assert said.end.link.secured.version == "1.2"
    assert sorted(said.end.keys) == secrets(keys)


@pytest.mark.judged("TLS 1.3 mutual, P-521 and Ed448: station", edition="iso15118-20", by="OpenSSL")
@pytest.mark.parametrize("suite", ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
@pytest.mark.parametrize(
    ("family", "group", "key"),
    [("p521", "P-521", "ECDH, secp521r1, 521 bits"), ("ed448", "X448", "X448, 448 bits"), ("p521", "X448", "X448")],
)
def test_a_vehicle_of_iso20(
    pki: Pki, station: StationSecurity, tmp_path: Path, suite: str, family: str, group: str, key: str
) -> None:
    keys = tmp_path / "keys.log"
    scheme = "ed448" if family == "ed448" else "ECDSA+SHA512"
    car = pki.identity("vehicle", "iso15118-20", family)
    root = next(one.root for one in station.identities["iso15118-20"] if len(one.chain[0]) and fits(one, family))
    said = s_client(
        station,
        *("-tls1_3", "-groups", group, "-ciphersuites", suite, "-sigalgs", scheme),
        *given(tmp_path, car),
        *judging(tmp_path, root),
        *("-status", "-keylogfile", str(keys)),
    )
    assert "Verify return code: 0 (ok)" in said.text
    assert f"Cipher is {suite}" in said.text
    assert f"Server Temp Key: {key}" in said.text
    assert "Cert Status: good" in said.text
    assert "Acceptable client certificate CA names" in said.text
    assert "DC = OEM" in said.text or "OEM" in said.text.split("Acceptable client")[1]
    secured = said.end.link.secured if said.end.link else None
    assert secured is not None
    assert secured.may_carry_iso20
    assert (secured.suite, secured.peer_chain) == (suite, car.chain)
    assert sorted(said.end.keys) == secrets(keys)


def test_a_generic_vehicle_is_asked_for_another_group(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    """Its first key share is X25519's; with a HelloRetryRequest it comes back with P-521."""
    said = s_client(station, *GENERIC, *given(tmp_path, pki.identity("vehicle", "iso15118-20", "p521")))
    assert said.end.link is not None
    assert said.end.link.secured is not None
    assert said.end.link.secured.group in ("secp521r1", "x448")


@pytest.mark.judged("TLS 1.3 without a vehicle certificate is refused", edition="iso15118-20", by="OpenSSL")
@pytest.mark.parametrize("name", [["-servername", "secc.example"], ["-noservername"]])
def test_tls_1_3_without_a_certificate_is_refused(station: StationSecurity, name: list[str]) -> None:
    said = s_client(station, *TLS13, *name)
    assert said.alerts == [116]
    assert (said.end.code, said.end.received) == ("tls.no_certificate", [])


@pytest.mark.judged("not reached over TLS 1.2", edition="iso15118-20", by="OpenSSL")
def test_iso20_is_not_reached_by_tls_1_2(pki: Pki, secc20: TLSIdentity, tmp_path: Path) -> None:
    only = pki.station(("iso15118-20", secc20))
    said = s_client(only, *TLS12, *given(tmp_path, pki.identity("vehicle", "iso15118-20", "p521")))
    assert said.alerts == [70]
    assert said.end.code == "tls.no_common"


def test_a_suite_that_iso2_does_not_have_is_refused(pki: Pki, secc: TLSIdentity) -> None:
    said = s_client(pki.station(("iso15118-2", secc)), "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert said.alerts == [40]
    assert (said.end.code, said.end.alert) == ("tls.no_common", "handshake_failure")


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256"])
def test_a_suite_that_iso20_does_not_have_is_refused(pki: Pki, secc20: TLSIdentity, suite: str) -> None:
    """[V2G20-1856]: AES-128 is not among them."""
    said = s_client(pki.station(("iso15118-20", secc20)), *TLS13, "-ciphersuites", suite)
    assert said.alerts == [40]
    said = s_client(pki.station(("iso15118-20", secc20)), "-tls1_3", "-groups", "P-256:X25519")
    assert said.alerts == [40]


def test_a_session_is_not_resumed_and_not_renegotiated(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    kept = tmp_path / "session.pem"
    # TLS 1.2: neither a ticket nor a session id, so nothing is there to be resumed.
    assert "Session-ID: \n" in s_client(station, *TLS12, "-sess_out", str(kept)).text
    assert not kept.exists()
    car = given(tmp_path, pki.identity("vehicle", "iso15118-20", "p521"))
    s_client(station, *TLS13, *car, "-sess_out", str(kept))
    assert kept.exists()
    again = s_client(station, *TLS13, *car, "-sess_in", str(kept))
    assert "New, " in again.text
    assert "Reused, " not in again.text
    assert "no renegotiation" in s_client(station, *TLS12, says=b"R\n", hears=b"no renegotiation").text


@pytest.mark.judged(
    "expired, revoked, foreign, MO-rooted vehicle: refused by its alert", edition="iso15118-20", by="OpenSSL"
)
def test_an_expired_vehicle(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    said = s_client(station, *TLS13, *given(tmp_path, pki.identity("vehicle", "iso15118-20", "p521", expired=True)))
    assert said.alerts == [45]
    assert (said.end.code, said.end.received) == ("path.expired", [])


@pytest.mark.judged(
    "expired, revoked, foreign, MO-rooted vehicle: refused by its alert", edition="iso15118-20", by="OpenSSL"
)
def test_a_revoked_vehicle(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    car = pki.identity("vehicle", "iso15118-20", "p521", revoked=True, stapled=False)
    crls = pki.crls(car)
    knowing = StationSecurity(
        station.identities, vehicle_judge(pki.catalogue, pki.roots("oem-root"), today, crls=crls), station.client_roots
    )
    said = s_client(knowing, *TLS13, *given(tmp_path, car))
    assert said.alerts == [44]
    assert said.end.code == "path.revoked"
    assert s_client(knowing, *TLS13, *given(tmp_path, pki.identity("vehicle", "iso15118-20", "p521"))).alerts == []


@pytest.mark.judged(
    "expired, revoked, foreign, MO-rooted vehicle: refused by its alert", edition="iso15118-20", by="OpenSSL"
)
def test_a_vehicle_of_a_stranger(stranger: Pki, station: StationSecurity, tmp_path: Path) -> None:
    said = s_client(station, *TLS13, *given(tmp_path, stranger.identity("vehicle", "iso15118-20", "p521")))
    assert said.alerts == [48]
    assert said.end.code == "path.no_anchor"


@pytest.mark.judged(
    "expired, revoked, foreign, MO-rooted vehicle: refused by its alert", edition="iso15118-20", by="OpenSSL"
)
def test_a_vehicle_with_a_contract_certificate(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    said = s_client(station, *TLS13, *given(tmp_path, pki.identity("contract", "iso15118-20", "p521")))
    assert said.alerts == [48]
    assert said.end.code == "path.no_anchor"


def test_a_vehicle_with_a_provisioning_certificate(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    said = s_client(station, *TLS13, *given(tmp_path, pki.identity("oem", "iso15118-20", "p521")))
    assert said.alerts == [43]


def test_a_vehicle_that_sends_its_sub_cas_in_another_order(pki: Pki, station: StationSecurity, tmp_path: Path) -> None:
    """RFC 8446 4.4.2 wants that to be taken; what went over the wire is what is told."""
    car = pki.identity("vehicle", "iso15118-20", "p521")
    mixed = TLSIdentity((car.chain[0], *reversed(car.chain[1:])), car.private_key, car.root)
    said = s_client(station, *TLS13, *given(tmp_path, mixed))
    assert said.end.link is not None
    assert said.end.link.secured is not None
    assert said.end.link.secured.peer_chain == mixed.chain


# -- our vehicle, s_server as the station ----------------------------------------------------------


def staple_of(folder: Path, staple: bytes | None) -> list[str]:
    """The option by which s_server staples."""
    assert staple is not None
    path = folder / "staple.der"
    path.write_bytes(staple)
    return ["-status_file", str(path)]


@pytest.mark.judged("TLS 1.2, P-256, staple: vehicle", edition="iso15118-2", by="OpenSSL")
def test_a_station_of_iso2(pki: Pki, secc: TLSIdentity, tmp_path: Path) -> None:
    said = s_server(
        pki.vehicle("iso15118-2"), *TLS12, *given(tmp_path, secc), *staple_of(tmp_path, secc.staple()), "-trace"
    )
    assert said.end.problem is None
    assert said.end.received == [b"egrahc\x01\n"]
    assert said.end.link is not None
    secured = said.end.link.secured
    assert secured is not None
    assert (secured.version, secured.group, secured.peer_chain) == ("1.2", "secp256r1", secc.chain)
    assert secured.staple == secc.staple()
    # The vehicle names its roots, and asks for a staple.
    roots = [hashlib.sha1(one.der).hexdigest() for one in pki.roots("v2g-root")]
    named = re.search(r"extension_type=\D*\(3\), length=(\d+)\n((?: +[0-9a-f]{4} - .*\n)+)", said.text)
    assert named is not None
    assert int(named[1]) == 2 + 21 * len(roots)
    octets = "".join(re.sub("[ -]", "", line) for line in re.findall(r"- (.{47})", named[2]))
    assert all(f"03{digest}" in octets for digest in roots)
    assert "extension_type=status_request(5)" in said.text


@pytest.mark.judged("TLS 1.3 mutual, P-521 and Ed448: vehicle", edition="iso15118-20", by="OpenSSL")
@pytest.mark.parametrize("family", ["p521", "ed448"])
def test_a_station_of_iso20(pki: Pki, tmp_path: Path, family: str) -> None:
    secc = pki.identity("secc", "iso15118-20", family)
    car = pki.identity("vehicle", "iso15118-20", family)
    said = s_server(
        pki.vehicle("iso15118-20", identity=car),
        *("-tls1_3", "-groups", "X448" if family == "ed448" else "P-521", "-Verify", "4"),
        *given(tmp_path, secc),
        *staple_of(tmp_path, secc.staple()),
        *judging(tmp_path, car.root),
    )
    assert said.end.problem is None, said.end.problem
    assert said.end.received == [b"egrahc\x01\n"]
    assert said.end.link is not None
    secured = said.end.link.secured
    assert secured is not None
    assert secured.may_carry_iso20
    assert secured.group == ("x448" if family == "ed448" else "secp521r1")
    assert "verify error" not in said.text


def test_a_station_of_tls_1_3_that_asks_for_no_certificate(pki: Pki, secc20: TLSIdentity, tmp_path: Path) -> None:
    """The link holds, and tells that it may not carry ISO 15118-20."""
    car = pki.identity("vehicle", "iso15118-20", "p521")
    vehicle = pki.vehicle("iso15118-20", identity=car)
    said = s_server(vehicle, *TLS13, *given(tmp_path, secc20), *staple_of(tmp_path, secc20.staple()))
    assert said.end.link is not None
    assert said.end.link.secured is not None
    assert said.end.link.secured.own_chain == ()
    assert not said.end.link.secured.may_carry_iso20


@pytest.mark.judged(
    "wrong anchor, expired, revoked, DC not CPO, no staple: station refused by its alert", edition="both", by="OpenSSL"
)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize(
    ("flaw", "code", "alert"),
    [
        ("no staple", "tls.no_staple", {113}),
        ("staple of another", "path.status_unknown", {113}),
        ("wrong anchor", "path.no_anchor", {48}),
        ("expired", "path.expired", {45}),
        # TLS 1.2 has the staple after the verdict on the chain: RFC 6066 8.
        ("revoked", "path.revoked", {113, 44}),
        ("no CPO", "role.", {43}),
    ],
)
def test_a_station_is_refused(
    pki: Pki, stranger: Pki, tmp_path: Path, version: str, flaw: str, code: str, alert: set[int]
) -> None:
    edition = "iso15118-2" if version == "1.2" else "iso15118-20"
    made = stranger if flaw == "wrong anchor" else pki
    role = "cps" if flaw == "no CPO" else "secc"
    secc = made.identity(role, edition, expired=flaw == "expired", revoked=flaw == "revoked")
    options = [*(TLS12 if version == "1.2" else TLS13), *given(tmp_path, secc)]
    if flaw == "staple of another":
        options += staple_of(tmp_path, pki.identity("secc", edition).staple())
    elif flaw not in ("no staple", "expired"):
        options += staple_of(tmp_path, secc.staple())
    said = s_server(pki.vehicle(edition, identity=pki.identity("vehicle", "iso15118-20", "p521")), *options)
    assert said.end.code.startswith(code)
    assert said.end.received == []
    assert len(said.alerts) == 1
    assert set(said.alerts) <= alert


def secrets(path: Path) -> list[bytes]:
    """The lines of OpenSSL's key log, without its comment."""
    return sorted(line for line in path.read_bytes().splitlines(keepends=True) if not line.startswith(b"#"))


def fits(identity: TLSIdentity, family: str) -> bool:
    """Whether the key is of this family."""
    return ("Ed448" in type(identity.private_key).__name__) == (family == "ed448")
