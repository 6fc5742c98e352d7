"""``v2gpki installation``: the vehicle asks, the home answers, the vehicle verifies and opens, a person is told why."""

from __future__ import annotations

import base64
import json
import os
import stat
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from tests.cli.exchange_commands import EDITIONS, EMAID, PCID, Line, make, opened_line
from v2gpki import v2gtp
from v2gpki.certs.chain import pem
from v2gpki.keys.software import SoftwareSigner
from v2gpki.messages import codec
from v2gpki.pnc.installation import build_request, read_request, read_response, respond, signed_contract
from v2gpki.pnc.installation.contract import element_20, elements_2
from v2gpki.pnc.installation.signing import sign_2
from v2gpki.pnc.signature import sign

OTHER = "DEACMC98765432"
BOTH = pytest.mark.parametrize("name", list(EDITIONS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("installations"))


@pytest.fixture
def line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Line:
    return opened_line(made, tmp_path, monkeypatch, capsys)


def answered(line: Line, name: str, *options: str) -> dict[str, Any]:
    """A contract, the vehicle's request in `req`, the home's answer in `res`."""
    line.contract()
    line.request(name, "req")
    return line.told("installation", "answer", "--request", "req", "--out", "res", *options)


def opening(name: str, message: str = "res", out: str = "opened") -> tuple[str, ...]:
    return (
        *("installation", "open", message, "--oem-key", f"{name}/key.pem", "--oem-chain", f"{name}/chain.pem"),
        *("--anchor", f"{name}/root.pem", "--out", out),
    )


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def flipped(path: str, octet: int) -> None:
    octets = bytearray(Path(path).read_bytes())
    octets[octet] ^= 1
    Path(path).write_bytes(octets)


# --- the whole way --------------------------------------------------------------------------------------------------


@BOTH
def test_a_contract_gets_into_a_vehicle(line: Line, name: str) -> None:
    answer = answered(line, name)
    assert (answer["status"], answer["response_code"], answer["emaid"]) == ("Accepted", "OK", EMAID)
    verified = line.told("installation", "verify", "res", "--anchor", f"{name}/root.pem", "--emaid", EMAID)
    assert (verified["verdict"], verified["emaid"]) == ("good", EMAID)
    opened = line.told(*opening(name), "--plain-key")
    assert opened["emaid"] == EMAID
    assert files(Path("opened")) == {"key.pem", "contract.pem", "chain.pem"}
    assert stat.S_IMODE(os.stat("opened/key.pem").st_mode) == 0o600
    contract = x509.load_pem_x509_certificate(Path("opened/contract.pem").read_bytes())
    key = load_pem_private_key(Path("opened/key.pem").read_bytes(), None)
    der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public_key().public_bytes(*der) == contract.public_key().public_bytes(*der)
    assert len(x509.load_pem_x509_certificates(Path("opened/chain.pem").read_bytes())) == 3
    edition = EDITIONS[name][0]
    assert line.told("verify", "opened/chain.pem", "--anchor", f"{name}/mo-root.pem", "--role", "contract",
                     "--edition", edition)["verdict"] == "good"  # fmt: skip


def test_an_update_is_asked_for_answered_and_opened(line: Line) -> None:
    answered(line, "iso2")
    line.told(*opening("iso2", out="first"), "--plain-key")
    line.told(
        *("installation", "request", "--kind", "update", "--contract-key", "first/key.pem"),
        *("--contract-chain", "first/chain.pem", "--root", "iso2/root.pem", "--out", "up"),
    )
    request = read_request(Path("up").read_bytes())
    assert (request.action, request.emaid) == ("update", EMAID)
    line.told("installation", "answer", "--request", "up", "--kind", "update", "--out", "up.res")
    assert read_response(Path("up.res").read_bytes()).action == "update"
    line.told("installation", "open", "up.res", "--oem-key", "first/key.pem", "--anchor", "iso2/root.pem",
              "--out", "second", "--plain-key")  # fmt: skip
    first, second = (
        x509.load_pem_x509_certificate(Path(folder, "contract.pem").read_bytes()) for folder in ("first", "second")
    )
    assert first.serial_number != second.serial_number
    assert first.subject == second.subject
    wrong = line.told("installation", "answer", "--request", "up", "--kind", "install", "--out", "no", exit_code=1)
    assert (wrong["status"], wrong["code"]) == ("Failed", "installation.wrong_action")
    only_of_the_kind(line)


def only_of_the_kind(line: Line) -> None:
    """An installation in `req` and `res`, an update in `up` and `up.res`: each is judged as what it is, or refused."""
    anchors = {"res": "root", "up.res": "root", "req": "oem-root", "up": "mo-root"}
    keys = {"res": "iso2/key.pem", "up.res": "first/key.pem"}
    for message, anchor in anchors.items():
        right, wrong = ("update", "install") if message.startswith("up") else ("install", "update")
        judged = (message, "--anchor", f"iso2/{anchor}.pem")
        chain = ("--oem-chain", "iso2/chain.pem") if message == "req" else ()
        assert line.told("installation", "verify", *judged, *chain, "--kind", right)["verdict"] == "good"
        refused = line.told("installation", "verify", *judged, *chain, "--kind", wrong, exit_code=1)
        assert (refused["verdict"], refused["code"]) == ("bad", "installation.wrong_action")
        assert line.told("installation", "explain", *judged, *chain, "--kind", right)["message"]["action"] == right
        error = line.told("installation", "explain", *judged, *chain, "--kind", wrong, refused=True)
        assert error["code"] == "installation.wrong_action"
        if message not in keys:
            continue
        opened = ("installation", "open", *judged, "--oem-key", keys[message], "--plain-key", "--out", f"of-{message}")
        assert line.told(*opened, "--kind", wrong, refused=True)["code"] == "installation.wrong_action"
        assert not Path(f"of-{message}").exists()
        assert line.told(*opened, "--kind", right)["action"] == right


def test_the_same_request_gets_the_same_contract(line: Line) -> None:
    answered(line, "iso2")
    line.told("installation", "answer", "--request", "req", "--out", "again")
    assert Path("again").read_bytes() == Path("res").read_bytes()
    assert len(line.told("contract", "show", EMAID)["certificates"]) == 1


def test_several_contracts_in_the_wished_order(line: Line) -> None:
    line.contract()
    line.contract(OTHER)
    line.request("iso20", "req", "--maximum", "2", "--emaid", OTHER, "--session-id", "0102030405060708")
    asked = read_request(Path("req").read_bytes())
    assert (asked.maximum_contracts, asked.prioritised_emaids) == (2, (OTHER,))
    first = line.told("installation", "answer", "--request", "req", "--out", "a", "--position", "0")
    second = line.told("installation", "answer", "--request", "req", "--out", "b", "--position", "1")
    assert [(one["emaid"], one["remaining_contracts"]) for one in (first, second)] == [(OTHER, 1), (EMAID, 0)]
    assert read_response(Path("a").read_bytes()).session_id.hex() == "0102030405060708"


@pytest.mark.parametrize("form", ["raw", "hex", "base64"])
def test_every_form_is_written_and_read(line: Line, form: str) -> None:
    line.contract()
    line.request("iso2", "req", "--format", form)
    line.told("installation", "answer", "--request", "req", "--out", "res", "--format", form)
    text = Path("res").read_bytes()
    octets = text if form == "raw" else bytes.fromhex(text.decode()) if form == "hex" else base64.b64decode(text)
    assert read_response(octets).code == "OK"
    assert line.told("installation", "verify", "res", "--anchor", "iso2/root.pem")["verdict"] == "good"
    framed = v2gtp.build(v2gtp.PayloadType.EXI, octets)
    Path("framed").write_bytes(framed)
    assert line.told("installation", "verify", "framed", "--anchor", "iso2/root.pem")["verdict"] == "good"


def test_stdout_takes_a_message(line: Line) -> None:
    line.contract()
    value = line.request("iso2", "-")
    assert read_request(base64.b64decode(value["exi"])).action == "install"
    text = line.said("installation", "request", "--oem-key", "iso2/key.pem", "--oem-chain", "iso2/chain.pem",
                     "--root", "iso2/root.pem", "--out", "-", "--format", "hex")  # fmt: skip
    assert read_request(bytes.fromhex(text)).action == "install"


# --- refused --------------------------------------------------------------------------------------------------------


def test_a_refusal_is_written_too(line: Line) -> None:
    line.request("iso2", "req")
    value = line.told("installation", "answer", "--request", "req", "--out", "res", exit_code=1)
    assert (value["status"], value["response_code"]) == ("Failed", "FAILED_NoCertificateAvailable")
    assert value["code"] == "provisioning.no_contract"
    assert "contract create" in value["hint"]
    assert read_response(Path("res").read_bytes()).code == "FAILED_NoCertificateAvailable"
    refused = line.told("installation", "verify", "res", "--anchor", "iso2/root.pem", exit_code=1)
    assert (refused["verdict"], refused["code"]) == ("bad", "installation.refused")
    explained = line.told("installation", "explain", "res")
    assert (explained["verdict"], explained["certificates"]) == ("refusal", [])


def test_an_unknown_vehicle_is_refused_unless_told_otherwise(line: Line) -> None:
    line.contract()
    line.request("iso2", "req")
    line.told("pcp", "delete", PCID, "--yes")
    line.contract(EMAID, "--unregistered-vehicle")
    error = line.told("installation", "answer", "--request", "req", "--out", "res", exit_code=1)
    assert error["code"] == "provisioning.unknown_vehicle"
    value = line.told("installation", "answer", "--request", "req", "--out", "ok", "--accept-unregistered")
    assert value["status"] == "Accepted"


@BOTH
def test_nothing_is_written_when_opening_fails(line: Line, name: str) -> None:
    answered(line, name)
    octets = len(Path("res").read_bytes())
    flipped("res", octets - 200)
    error = line.told(*opening(name), "--plain-key", refused=True)
    assert error["code"].startswith("signature.")
    assert not Path("opened").exists()
    flipped("res", octets - 200)
    wrong = ("--oem-key", f"{'iso20' if name == 'iso2' else 'iso2'}/key.pem")
    assert line.told(*opening(name), *wrong, "--plain-key", refused=True)["code"] == "envelope.wrong_curve"
    assert not Path("opened").exists()
    anchor = ("--anchor", f"{name}/mo-root.pem")
    without = [word for word in opening(name) if word not in ("--anchor", f"{name}/root.pem")]
    assert line.told(*without, *anchor, "--plain-key", refused=True)["code"].split(".")[0] in {"path", "role"}
    assert not Path("opened").exists()
    other = line.told(*opening(name), "--emaid", OTHER, "--plain-key", refused=True)
    assert other["code"] == "installation.wrong_emaid"
    assert line.told(*opening(name), exit_code=2, refused=True)["code"] == "usage.invalid"
    assert not Path("opened").exists()


def test_opening_overwrites_nothing(line: Line) -> None:
    answered(line, "iso2")
    Path("opened").mkdir()
    Path("opened/chain.pem").write_text("mine")
    assert line.told(*opening("iso2"), "--plain-key", refused=True)["code"] == "file.exists"
    assert files(Path("opened")) == {"chain.pem"}
    line.told(*opening("iso2"), "--plain-key", "--force")
    assert Path("opened/chain.pem").read_text().startswith("-----BEGIN")


def test_the_contracts_key_is_encrypted(line: Line) -> None:
    answered(line, "iso2")
    Path("secret").write_text("open sesame\n")
    os.chmod("secret", 0o600)
    line.told(*opening("iso2"), "--key-passphrase-file", "secret")
    assert b"ENCRYPTED PRIVATE KEY" in Path("opened/key.pem").read_bytes()
    assert load_pem_private_key(Path("opened/key.pem").read_bytes(), b"open sesame")


def test_another_pcid_does_not_open_an_envelope_of_iso20(line: Line) -> None:
    answered(line, "iso20")
    assert line.told(*opening("iso20"), "--pcid", "WACME0000000000013", "--plain-key", refused=True)["code"] == (
        "envelope.bad_tag"
    )
    assert line.told(*opening("iso20"), "--aad", "none", "--plain-key", refused=True)["code"] == "envelope.bad_tag"
    assert line.told(*opening("iso20"), "--aad", "nonsense", "--plain-key", exit_code=2, refused=True)["code"] == (
        "envelope.unknown_aad"
    )


def test_an_answer_of_iso20_is_opened_only_with_a_pcid(line: Line) -> None:
    """Which vehicle it was sealed for must be known; that is said before anything is judged or asked for."""
    answered(line, "iso20")
    bare = ("installation", "open", "res", "--oem-key", "iso20/key.pem", "--plain-key", "--out", "opened")
    for anchor in ("root", "mo-root"):
        error = line.told(*bare, "--anchor", f"iso20/{anchor}.pem", exit_code=2, refused=True)
        assert error["code"] == "usage.invalid"
        assert "--pcid" in error["message"]
        assert "--oem-chain" in error["message"]
        assert "'' is no PCID" not in error["message"]
    locked = [word if word != "iso20/key.pem" else "nowhere.pem" for word in bare]
    assert line.told(*locked, "--anchor", "iso20/root.pem", exit_code=2, refused=True)["code"] == "usage.invalid"
    assert not Path("opened").exists()
    # A form that binds no PCID needs none; a refusal says its ResponseCode all the same.
    error = line.told(*bare, "--anchor", "iso20/root.pem", "--aad", "none", refused=True)
    assert error["code"] == "envelope.bad_tag"
    assert line.told(*bare, "--anchor", "iso20/root.pem", "--pcid", PCID)["emaid"] == EMAID
    line.told("contract", "end", EMAID, "--yes")
    line.request("iso20", "late")
    line.told("installation", "answer", "--request", "late", "--out", "refusal", exit_code=1)
    late = [word if word != "res" else "refusal" for word in bare]
    assert line.told(*late, "--anchor", "iso20/root.pem", "--force", refused=True)["code"] == "installation.refused"


def test_revoked_and_expired_signers_are_found(line: Line) -> None:
    answered(line, "iso2")
    cps = next(one for one in line.stream("cert", "list", "--role", "cps") if one["edition"] == "iso15118-2")
    line.told("cert", "revoke", cps["serial"], "--yes")
    line.told("crl", "issue", cps["issuer"], "--out", "cps.crl")
    verify = ("installation", "verify", "res", "--anchor", "iso2/root.pem")
    assert line.told(*verify)["verdict"] == "good"
    assert line.told(*verify, "--crl", "cps.crl", exit_code=1)["code"] == "path.revoked"
    assert line.told(*verify, "--at", "2060-01-01", exit_code=1)["code"] == "path.expired"
    assert line.told(*verify, "--require-evidence", exit_code=1)["code"] == "path.status_unknown"


@BOTH
def test_requests_are_verified_too(line: Line, name: str) -> None:
    line.request(name, "req")
    verify = ("installation", "verify", "req", "--anchor", f"{name}/oem-root.pem")
    whole = line.told(*verify, "--oem-chain", f"{name}/chain.pem")
    assert (whole["verdict"], whole["kind"], whole["pcid"]) == ("good", "request", PCID)
    assert line.told(*verify, exit_code=1 if name == "iso2" else 0)["verdict"] == ("bad" if name == "iso2" else "good")
    wrong = line.told("installation", "verify", "req", "--anchor", f"{name}/mo-root.pem", "--oem-chain",
                      f"{name}/chain.pem", exit_code=1)  # fmt: skip
    assert wrong["verdict"] == "bad"


def test_a_strangers_certificate_before_the_vehicles_chain(line: Line) -> None:
    """A request of -2 carries its leaf alone; what --oem-chain adds never takes its place."""
    chain = [der_of(Path("iso2/chain.pem"), place) for place in range(3)]
    key = ec.derive_private_key(15118, ec.SECP256R1())
    for above, ca in ((0, True), (0, False), (1, True), (1, False)):
        stranger = forged(chain[above], key, ca=ca, name=PCID)
        message = build_request(
            edition="iso15118-2", chain=(stranger,), signer=SoftwareSigner(key), roots=[der_of(Path("iso2/root.pem"))]
        )
        Path("stranger").write_bytes(codec.encode(message))
        for oem_chain in (chain, chain[1:], chain[::-1], [stranger, *chain]):
            Path("given.pem").write_bytes(pem(oem_chain))
            told = line.told("installation", "verify", "stranger", "--anchor", "iso2/oem-root.pem", "--oem-chain",
                             "given.pem", exit_code=1)  # fmt: skip
            assert told["verdict"] == "bad"
            named = chain[above] in oem_chain
            wanted = "installation.bad_chain" if ca else "path.bad_signature" if named else "path.broken"
            assert told["code"] == wanted
            value = line.told("installation", "explain", "stranger", "--anchor", "iso2/oem-root.pem", "--oem-chain",
                              "given.pem", exit_code=1)  # fmt: skip
            assert "trust" in {check["check"] for check in value["checks"] if check["verdict"] == "failed"}
    line.request("iso2", "req")
    Path("given.pem").write_bytes(pem(chain[::-1]))
    good = line.told("installation", "verify", "req", "--anchor", "iso2/oem-root.pem", "--oem-chain", "given.pem")
    assert good["verdict"] == "good"


@BOTH
def test_a_strangers_certificate_before_the_chain_of_the_signer(line: Line, name: str) -> None:
    answered(line, name)
    found = read_response(Path("res").read_bytes())
    real = signed_contract(found.octets)
    curve = ec.SECP256R1() if name == "iso2" else ec.SECP521R1()
    key = ec.derive_private_key(15118, curve)
    stranger = forged(found.cps_chain[0], key, ca=True, name="")
    signer = SoftwareSigner(key)
    if name == "iso2":
        signature = sign_2(elements_2(real.data), signer)
    else:
        signature = sign([element_20(real.data)], signer, edition=found.edition)
    signed = replace(real, cps_chain=(stranger, *found.cps_chain), signature=signature)
    forgery = respond(signed, session_id=found.session_id, timestamp=datetime.now(UTC))
    Path("forgery").write_bytes(forgery)
    told = line.told("installation", "verify", "forgery", "--anchor", f"{name}/root.pem", exit_code=1)
    assert (told["verdict"], told["code"]) == ("bad", "installation.bad_chain")
    error = line.told(*opening(name, "forgery"), "--plain-key", refused=True)
    assert error["code"] == "installation.bad_chain"
    assert not Path("opened").exists()
    value = line.told("installation", "explain", "forgery", "--anchor", f"{name}/root.pem", "--oem-key",
                      f"{name}/key.pem", "--oem-chain", f"{name}/chain.pem", exit_code=1)  # fmt: skip
    failed = {check["check"] for check in value["checks"] if check["verdict"] == "failed"}
    assert {"cps_chain", "trust"} <= failed
    assert "steps" not in value["envelope"]


def forged(below: bytes, key: ec.EllipticCurvePrivateKey, *, ca: bool, name: str) -> bytes:
    """A self-made certificate that names another's subject as its issuer."""
    above = x509.load_der_x509_certificate(below)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) if name else above.subject
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(0x5EED)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def der_of(file: Path, place: int = 0) -> bytes:
    return x509.load_pem_x509_certificates(file.read_bytes())[place].public_bytes(Encoding.DER)


def test_the_contracts_chain_is_judged_when_asked_for(line: Line) -> None:
    answered(line, "iso2")
    verify = ("installation", "verify", "res", "--anchor", "iso2/root.pem", "--contract-anchor")
    assert line.told(*verify, "iso2/mo-root.pem")["verdict"] == "good"
    assert line.told(*verify, "iso2/oem-root.pem", exit_code=1)["verdict"] == "bad"


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (("--kind", "update"), "usage.invalid", 2),
        (("--session-id", "01"), "usage.invalid", 2),
        (("--edition", "iso15118-3"), "usage.invalid", 2),
        (("--emaid", EMAID), "usage.invalid", 2),
        (("--oem-key", "iso20/key.pem"), "installation.wrong_key", 1),
    ],
)
def test_requests_that_cannot_be(line: Line, options: tuple[str, ...], code: str, exit_code: int) -> None:
    error = line.told(
        *("installation", "request", "--oem-key", "iso2/key.pem", "--oem-chain", "iso2/chain.pem"),
        *("--root", "iso2/root.pem", "--out", "req", *options),
        exit_code=exit_code,
        refused=True,
    )
    assert error["code"] == code
    assert not Path("req").exists()


def test_octets_that_are_no_message(line: Line) -> None:
    Path("noise").write_bytes(b"\x80\x00\x01\x02")
    for verb in (("verify", "noise", "--anchor", "iso2/root.pem"), ("explain", "noise")):
        error = line.told("installation", *verb, refused=True)
        assert error["code"].split(".")[0] in {"exi", "installation", "messages"}


# --- explain --------------------------------------------------------------------------------------------------------


def test_explaining_a_good_answer(line: Line) -> None:
    answered(line, "iso2")
    explain = ("installation", "explain", "res", "--request", "req", "--anchor", "iso2/root.pem")
    value = line.told(*explain, "--oem-key", "iso2/key.pem")
    assert (value["verdict"], value["first_failure"]) == ("good", None)
    assert value["warnings"]
    text = line.said(*explain, "--oem-key", "iso2/key.pem", "--octets")
    steps = value["envelope"]["steps"]
    fragments = [one["fragment"] for one in value["signature"]["references"]]
    size = f"{value['certificates'][0]['octets']} of 800"
    for shown in (value["summary"], size, "5600", "7500", "17000", "4.5 s", steps["kdf_input"], *fragments):
        assert shown in text
    without = line.said(*explain)
    assert steps["kdf_input"] not in without
    assert steps["key"] not in without


def test_explaining_uses_the_vehicles_key_only_for_whom_it_trusts(line: Line) -> None:
    answered(line, "iso2")
    explain = ("installation", "explain", "res", "--oem-key", "iso2/key.pem")
    for options in ((), ("--anchor", "iso2/mo-root.pem")):
        closed = line.told(*explain, *options, exit_code=1 if options else 0)
        assert "steps" not in closed["envelope"]
        assert not closed.get("warnings")
        opened = line.told(*explain, *options, "--despite-signature", exit_code=1 if options else 0)
        assert opened["envelope"]["insecure"] is True
        assert opened["envelope"]["steps"]["z"]
        assert len(opened["warnings"]) == 2
        text = line.said(*explain, *options, "--despite-signature", exit_code=1 if options else 0)
        assert "INSECURE" in text
    good = line.told(*explain, "--anchor", "iso2/root.pem", "--despite-signature")
    assert good["envelope"]["insecure"] is False


def test_explaining_a_broken_answer(line: Line) -> None:
    answered(line, "iso20")
    flipped("res", len(Path("res").read_bytes()) - 20)
    value = line.told("installation", "explain", "res", exit_code=1)
    assert value["verdict"] == "bad"
    text = line.said("installation", "explain", "res", exit_code=1)
    assert value["summary"] in text
    assert "<- first failure" in text
    assert "was changed after it was signed" in text


def test_explaining_requests(line: Line) -> None:
    for name in EDITIONS:
        line.request(name, f"{name}.req")
        value = line.told("installation", "explain", f"{name}.req", "--anchor", f"{name}/oem-root.pem",
                          "--oem-chain", f"{name}/chain.pem")  # fmt: skip
        assert (value["verdict"], value["message"]["kind"]) == ("good", "request")
        assert value["message"]["roots"]


def pcap(frames: list[tuple[float, bytes]]) -> bytes:
    """A capture of raw IPv6 and TCP (link type 101), one segment a frame; layout of pcap, RFC 8200 and RFC 9293."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    sent = [0, 0]
    for number, (time, payload) in enumerate(frames):
        ports = (50000, 60000) if number % 2 == 0 else (60000, 50000)
        ends = (b"\xfe\x80" + bytes(13) + b"\1", b"\xfe\x80" + bytes(13) + b"\2")
        source, target = ends if number % 2 == 0 else ends[::-1]
        tcp = struct.pack(">HHIIBBHHH", *ports, sent[number % 2], 0, 5 << 4, 0x18, 1024, 0, 0) + payload
        sent[number % 2] += len(payload)
        packet = struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + source + target + tcp
        seconds = int(time)
        out += struct.pack("<IIII", seconds, round((time - seconds) * 1e6), len(packet), len(packet)) + packet
    return out


def test_a_capture_tells_how_long_the_station_took(line: Line) -> None:
    answered(line, "iso2")
    frames = [v2gtp.build(v2gtp.PayloadType.EXI, Path(name).read_bytes()) for name in ("req", "res")]
    Path("session.pcap").write_bytes(pcap([(1_772_366_400.25, frames[0]), (1_772_366_405.0, frames[1])]))
    value = line.told("installation", "explain", "session.pcap")
    assert value["message"]["name"] == "CertificateInstallationRes"
    assert "exchange" in {check["check"] for check in value["checks"]}
    assert (value["window"]["elapsed_ms"], value["window"]["kept"]) == (4750, False)
    assert "4750 ms" in line.said("installation", "explain", "session.pcap")
    assert line.told("installation", "verify", "session.pcap", "--anchor", "iso2/root.pem")["verdict"] == "good"


def test_no_home_is_needed_to_judge(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(line, "iso2")
    monkeypatch.setenv("V2GPKI_HOME", str(line.folder / "nowhere"))
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    line.request("iso2", "req2")
    line.told("installation", "verify", "res", "--anchor", "iso2/root.pem")
    line.told("installation", "explain", "res", "--anchor", "iso2/root.pem")
    line.told(*opening("iso2"), "--plain-key")
    assert not (line.folder / "nowhere").exists()


def test_secrets_are_in_no_output_of_opening(line: Line) -> None:
    answered(line, "iso2")
    shown = json.dumps(line.told(*opening("iso2"), "--plain-key"))
    key = load_pem_private_key(Path("opened/key.pem").read_bytes(), None)
    assert f"{key.private_numbers().private_value:x}" not in shown  # type: ignore[union-attr]  # an EC key


def test_messages_of_other_kinds_are_named(line: Line) -> None:
    from tests.pnc.samples import annex_j_message

    Path("other").write_bytes(codec.encode(annex_j_message(), "iso15118-2"))
    error = line.told("installation", "explain", "other", refused=True)
    assert error["code"] == "installation.wrong_message"
