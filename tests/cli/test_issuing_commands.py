"""``init-root``, ``init``, ``ca``, ``cert`` and ``crl`` as a person or a script uses them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

import v2gpki
from v2gpki.certs.csr import build_csr
from v2gpki.cli import run
from v2gpki.keys.suites import SUITES, spki_of

PASSPHRASE = "a passphrase of the tests"
Runner = Callable[..., dict[str, object]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for a home, the passphrase in the environment, the working folder beside it."""
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("V2GPKI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ISO 15118-2 home made by now, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "home"
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    return folder


@pytest.fixture
def lab(home: Path, made: Path) -> Path:
    """``home`` with a whole ISO 15118-2 ecosystem in it."""
    shutil.copytree(made, home)
    return home


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Runner:
    """Run a command with --json and return its one object; ``refused`` is the expected exit code."""

    def tell(*arguments: str | Path, refused: int = 0) -> dict[str, object]:
        status = run(["--json", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        assert status == refused, captured.err
        value = json.loads(captured.err if refused else captured.out)
        assert isinstance(value, dict)
        assert next(iter(value)) == "schema"
        return value

    return tell


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but SQLite's own side files."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".db-wal", ".db-shm"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_root_shows_subject_fingerprint_and_where_its_key_is(home: Path, told: Runner) -> None:
    value = told("init-root", "--edition", "iso15118-2", "--name", "Acme V2G Root")
    certificate = x509.load_der_x509_certificate(
        v2gpki.open_authority(home).authority("iso2-v2g-root").der
    )
    assert value["subject"] == certificate.subject.rfc4514_string()
    assert "CN=Acme V2G Root" in str(value["subject"])
    assert "DC=V2G" in str(value["subject"])
    fingerprint = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
    assert value["fingerprint"] == fingerprint
    key = Path(str(value["key"]))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in key.read_bytes()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_second_root_is_refused_and_changes_nothing(home: Path, told: Runner) -> None:
    first = told("init-root", "--edition", "iso15118-2", "--name", "Acme V2G Root")
    before = contents(home)
    again = told("init-root", "--edition", "iso15118-2", "--name", "Other", refused=1)
    assert again["code"] == "authority.exists"
    assert str(first["fingerprint"]) in str(again["message"])
    assert contents(home) == before
    accepted = told("init-root", "--edition", "iso15118-2", "--name", "Other", "--if-missing")
    assert accepted["fingerprint"] == first["fingerprint"]
    assert accepted["created"] is False
    assert contents(home) == before


@pytest.mark.parametrize(
    ("role", "edition", "suite", "slug"),
    [
        ("mo", "iso15118-2", "p256", "iso2-mo-root@1"),
        ("oem", "iso15118-20", "p521", "iso20-p521-oem-root@1"),
        ("private", "iso15118-2", "p256", "iso2-private-root@1"),
        ("v2g", "iso15118-20", "ed448", "iso20-ed448-v2g-root@1"),
    ],
)
def test_every_kind_of_root(home: Path, told: Runner, role: str, edition: str, suite: str, slug: str) -> None:
    value = told("init-root", "--role", role, "--edition", edition, "--suite", suite, "--name", "Acme Root")
    assert value["id"] == slug
    certificate = x509.load_der_x509_certificate(v2gpki.open_authority(home).authority(slug).der)
    algorithms = {"p256": "1.2.840.10045.4.3.2", "p521": "1.2.840.10045.4.3.4", "ed448": "1.3.101.113"}
    assert certificate.signature_algorithm_oid.dotted_string == algorithms[suite]
    certificate.verify_directly_issued_by(certificate)


def test_a_private_operators_leaf_stands_directly_below_its_root(home: Path, told: Runner) -> None:
    told("init-root", "--role", "private", "--edition", "iso15118-2", "--name", "Depot")
    told("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "secc")
    chain = x509.load_pem_x509_certificates(Path("secc/chain.pem").read_bytes())
    assert len(chain) == 1
    root = x509.load_der_x509_certificate(v2gpki.open_authority(home).authority("iso2-private-root").der)
    chain[0].verify_directly_issued_by(root)


def test_init_twice_and_with_another_edition(home: Path, told: Runner) -> None:
    first = told("init", "--edition", "iso15118-2", "--org", "Acme")
    assert len(first["created"]) == 11  # type: ignore[arg-type]  # 3 roots and 4 pairs of Sub-CAs
    again = told("init", "--edition", "iso15118-2", "--org", "Acme")
    assert again["created"] == []
    assert again["held"] == []
    assert len(again["existing"]) == len(first["created"]) + len(first["held"])  # type: ignore[arg-type]
    both = told("init", "--edition", "both")
    assert set(both["existing"]) == set(again["existing"])  # type: ignore[call-overload]
    assert len(both["created"]) == 26  # type: ignore[arg-type]  # two families of 3 roots and 5 pairs
    subjects = {record.subject for record in v2gpki.open_authority(home).store.authorities()}
    assert all("O=Acme" in subject for subject in subjects)


def test_issue_writes_key_certificate_and_chain(lab: Path, told: Runner) -> None:
    Path("secret.txt").write_text("hand this out\n")
    Path("secret.txt").chmod(0o600)
    value = told(
        *("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--key-passphrase-file", "secret.txt"),
        *("--der", "--p12", "--out", "station"),
    )
    assert sorted(Path(str(f)).name for f in value["files"]) == [  # type: ignore[attr-defined]
        "cert.der",
        "cert.p12",
        "cert.pem",
        "chain.pem",
        "key.pem",
    ]
    certificate = x509.load_pem_x509_certificate(Path("station/cert.pem").read_bytes())
    chain = x509.load_pem_x509_certificates(Path("station/chain.pem").read_bytes())
    assert [c.subject.rfc4514_string() for c in chain] == [
        "DC=CPO,CN=DE*ACM*E0001,O=Acme",
        "CN=Acme CPO Sub-CA 2,O=Acme",
        "CN=Acme CPO Sub-CA 1,O=Acme",
    ]
    assert chain[0] == certificate
    assert Path("station/cert.der").read_bytes() == certificate.public_bytes(serialization.Encoding.DER)
    key = serialization.load_pem_private_key(Path("station/key.pem").read_bytes(), b"hand this out")
    assert key.public_key() == certificate.public_key()
    assert stat.S_IMODE(Path("station/key.pem").stat().st_mode) == 0o600
    bundle = pkcs12.load_pkcs12(Path("station/cert.p12").read_bytes(), b"hand this out")
    assert bundle.cert is not None
    assert bundle.cert.certificate == certificate
    assert [c.certificate for c in bundle.additional_certs] == chain[1:]


def test_issue_from_a_request_writes_no_key(lab: Path, told: Runner) -> None:
    key = SUITES["p256"].generate()
    Path("station.csr").write_bytes(build_csr(key, "DE*ACM*E0002"))
    told("cert", "issue", "secc", "--csr", "station.csr", "--out", "station")
    assert sorted(path.name for path in Path("station").iterdir()) == ["cert.pem", "chain.pem"]
    assert x509.load_pem_x509_certificate(Path("station/cert.pem").read_bytes()).public_key() == key.public_key()


def test_nothing_is_overwritten_and_nothing_issued_then(lab: Path, told: Runner) -> None:
    told("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "station")
    files, store = contents(Path("station")), v2gpki.open_authority(lab).store.count_certificates()
    value = told("cert", "issue", "secc", "--id", "DE*ACM*E0002", "--plain-key", "--out", "station", refused=1)
    assert value["code"] == "file.exists"
    assert contents(Path("station")) == files
    assert v2gpki.open_authority(lab).store.count_certificates() == store


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--plain-key", "--out", "o"), 1),
        (("--id", "DE*ACM*E0001", "--out", "o"), 2),
        (("--id", "DE*ACM*E0001", "--plain-key"), 2),
        (("--id", "DE*ACM*E0001", "--plain-key", "--key-passphrase-file", "x", "--out", "o"), 2),
        (("--id", "DE*ACM*E0001", "--p12", "--plain-key", "--out", "o"), 2),
        (("--id", "DE*ACM*E0001", "--key-passphrase-file", "missing", "--out", "o"), 3),
        (("--id", "DE*ACM*E0001", "--csr", "missing", "--out", "o"), 3),
        (("--id", "DE*ACM*E0001", "--plain-key", "--option", "colour", "--out", "o"), 2),
        (("--id", "no such thing", "--plain-key", "--out", "o"), 1),
        (("--id", "DE*ACM*E0001", "--plain-key", "--not-after", "tomorrow", "--out", "o"), 2),
    ],
)
def test_bad_calls_leave_nothing(lab: Path, told: Runner, arguments: tuple[str, ...], status: int) -> None:
    before = v2gpki.open_authority(lab).store.audit_tip()
    told("cert", "issue", "secc", *arguments, refused=status)
    assert v2gpki.open_authority(lab).store.audit_tip() == before
    assert not Path("o").exists()


def test_a_refusal_takes_back_only_the_folders_that_it_made(lab: Path, told: Runner) -> None:
    Path("mine").mkdir()
    told("cert", "issue", "secc", "--id", "no such thing", "--plain-key", "--out", "mine/a/b", refused=1)
    assert list(Path("mine").iterdir()) == []


def test_the_command_that_init_recommends_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for editions in (["both"], ["iso15118-20"], ["ocpp"]):
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree("secc", ignore_errors=True)
        assert run(["init", *(word for edition in editions for word in ("--edition", edition))]) == 0
        advice = capsys.readouterr().out.partition("next: ")[2]
        for command in advice.split("; "):
            assert run(shlex.split(command)[1:]) == 0
        assert Path("secc/cert.pem").exists() == (editions != ["ocpp"])


def test_a_dry_run_records_and_writes_nothing(lab: Path, told: Runner) -> None:
    before = v2gpki.open_authority(lab).store.audit_tip()
    value = told("cert", "issue", "contract", "--unregistered", "--id", "DEACMC12345678", "--dry-run")
    assert value["schema"] == "v2gpki/cert-dry-run/1"
    assert v2gpki.open_authority(lab).store.audit_tip() == before


def test_a_wrong_passphrase_changes_nothing(lab: Path, told: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(lab)
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "not this one")
    value = told("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "o", refused=3)
    assert value["code"] == "key.wrong_passphrase"
    assert contents(lab) == before


def test_a_missing_home_says_how_to_make_one(home: Path, told: Runner) -> None:
    for command in (("ca", "list"), ("cert", "list"), ("tree",), ("audit", "verify")):
        value = told(*command, refused=3)
        assert value["code"] == "home.missing"
        assert "init" in str(value["hint"])
    assert not home.exists()


def test_a_damaged_database_is_refused_by_every_command(lab: Path, told: Runner) -> None:
    (lab / "store.db").write_bytes(b"SQLite format 3\0" + b"\xa5" * 4096)
    for side in lab.glob("store.db-*"):
        side.unlink()
    for command in (
        ("ca", "list"),
        ("audit", "verify"),
        ("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "o"),
        ("init", "--edition", "iso15118-2"),
    ):
        assert told(*command, refused=3)["code"] == "store.damaged"


def test_a_read_only_home_can_be_read(made: Path) -> None:
    """The superuser writes everywhere, so as root the test becomes somebody else in a child."""
    with tempfile.TemporaryDirectory() as folder:
        lab, other = Path(folder) / "home", Path(folder) / "other"
        shutil.copytree(made, lab)
        shutil.copytree(made, other)
        # What the commands import has to be there before: somebody else may not be allowed to read it.
        writable_outcome = read_only_outcome(other)
        if os.geteuid() != 0:
            assert writable_outcome == 0
            return
        assert writable_outcome == 14
        for path in [Path(folder), lab, *lab.rglob("*")]:
            os.chown(path, 65534, 65534)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgid(65534)
                os.setuid(65534)
                status = read_only_outcome(lab)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def read_only_outcome(lab: Path) -> int:
    """0 when reading works and issuing is refused with exit code 3."""
    for path in [*lab.rglob("*"), lab]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        for command in (["ca", "list"], ["cert", "list"], ["tree"], ["audit", "verify"]):
            if run(["--home", str(lab), *command]) != 0:
                return 11
        with v2gpki.open_authority(lab, passphrase=PASSPHRASE) as ca:
            try:
                ca.issue("secc", id="DE*ACM*E0001")
            except v2gpki.V2GPKIError as refusal:
                return 0 if refusal.outcome.exit_code == 3 else 13
        return 14
    finally:
        for path in [lab, *lab.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)


def test_list_show_revoke_export(lab: Path, told: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    issued = told("cert", "issue", "contract", "--unregistered", "--id", "DEACMC12345678", "--plain-key", "--out", "c")
    serial = str(issued["serial"])
    assert run(["cert", "list", "--role", "contract", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value["serial"] for value in listed] == [serial]
    for name in (serial, serial[:8], str(issued["fingerprint"])[:12], "DEACMC12345678"):
        assert told("cert", "show", name)["serial"] == serial
    revoked = told("cert", "revoke", serial, "--reason", "cessationOfOperation", "--yes")
    assert (revoked["state"], revoked["reason"]) == ("revoked", "cessationOfOperation")
    refusal = told("cert", "revoke", serial, "--reason", "superseded", "--yes", refused=1)
    assert refusal["code"] == "store.already_revoked"
    assert run(["cert", "export", serial, "--format", "chain"]) == 0
    assert capsys.readouterr().out == Path("c/chain.pem").read_text()
    assert told("cert", "export", serial, "--format", "chain")["pem"] == Path("c/chain.pem").read_text()
    assert told("cert", "show", "ffff", refused=1)["code"] == "store.unknown_certificate"


def test_revoking_asks_unless_told_not_to(
    lab: Path, told: Runner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issued = told("cert", "issue", "contract", "--unregistered", "--id", "DEACMC12345678", "--plain-key", "--out", "c")
    for answer, status in (("n\n", 130), ("", 2)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert run(["cert", "revoke", str(issued["serial"])]) == status
        assert ("--yes" in capsys.readouterr().err) == (status == 2)
        assert told("cert", "show", str(issued["serial"]))["state"] == "valid"
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert "--yes" in str(told("cert", "revoke", issued["serial"], refused=2)["message"])
    assert told("cert", "show", str(issued["serial"]))["state"] == "valid"
    assert run(["cert", "revoke", str(issued["serial"])]) == 0
    capsys.readouterr()
    assert told("cert", "show", str(issued["serial"]))["state"] == "revoked"


def test_a_crl_lists_what_was_revoked(lab: Path, told: Runner) -> None:
    first = told("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "a")
    told("cert", "issue", "secc", "--id", "DE*ACM*E0002", "--plain-key", "--out", "b")
    told("cert", "revoke", str(first["serial"]), "--reason", "keyCompromise", "--yes")
    one = told("crl", "issue", "iso2-cpo-sub-ca-2", "--out", "one.crl")
    assert (one["number"], one["published_as"]) == (1, "iso2-cpo-sub-ca-2.crl")
    assert told("crl", "issue", "iso2-cpo-sub-ca-2", "--out", "two.pem", "--pem")["number"] == 2
    issuer = x509.load_der_x509_certificate(v2gpki.open_authority(lab).authority("iso2-cpo-sub-ca-2").der)
    for crl in (
        x509.load_der_x509_crl(Path("one.crl").read_bytes()),
        x509.load_pem_x509_crl(Path("two.pem").read_bytes()),
    ):
        assert crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # P-256
        assert [f"{entry.serial_number:x}" for entry in crl] == [first["serial"]]
        assert crl.issuer == issuer.subject


def test_the_crl_of_a_later_generation_has_a_name_of_its_own(lab: Path, told: Runner) -> None:
    old = told("ca", "show", "iso2-cpo-sub-ca-2")
    told("cert", "revoke", str(old["serial"]), "--reason", "superseded", "--yes")
    told("ca", "create", "cpo-sub-ca-2", "--edition", "iso15118-2")
    for name, issuer, file in (
        ("iso2-cpo-sub-ca-2", "iso2-cpo-sub-ca-2@2", "iso2-cpo-sub-ca-2-2.crl"),
        ("iso2-cpo-sub-ca-2@1", "iso2-cpo-sub-ca-2@1", "iso2-cpo-sub-ca-2.crl"),
    ):
        made = told("crl", "issue", name, "--out", file)
        assert (made["issuer"], made["published_as"]) == (issuer, file)


def test_show_and_write_an_authority(lab: Path, told: Runner) -> None:
    value = told("ca", "show", "iso2-cpo-sub-ca-2")
    assert (value["role"], value["issuer"]) == ("cpo-sub-ca-2", "iso2-cpo-sub-ca-1@1")
    assert run(["ca", "cert", "iso2-cpo-sub-ca-2", "--chain", "--out", "chain.pem"]) == 0
    chain = x509.load_pem_x509_certificates(Path("chain.pem").read_bytes())
    assert [c.subject.rfc4514_string() for c in chain] == [
        "CN=Acme CPO Sub-CA 2,O=Acme",
        "CN=Acme CPO Sub-CA 1,O=Acme",
        "DC=V2G,CN=Acme V2G Root CA,O=Acme",
    ]
    fingerprints = [c.fingerprint(hashes.SHA256()).hex() for c in chain]
    shown = told("ca", "cert", "iso2-cpo-sub-ca-2", "--chain")
    assert (shown["pem"], shown["fingerprints"]) == (Path("chain.pem").read_text(), fingerprints)
    written = told("ca", "cert", "iso2-cpo-sub-ca-2", "--der", "--out", "ca.der")
    assert (written["out"], written["fingerprints"]) == ("ca.der", fingerprints[:1])
    assert hashlib.sha256(Path("ca.der").read_bytes()).hexdigest() == fingerprints[0]
    ambiguous = told("ca", "show", "iso2-cpo", refused=1)
    assert ambiguous["code"] == "authority.ambiguous"
    assert "iso2-cpo-sub-ca-1" in str(ambiguous["message"])


def test_revoking_an_authority_takes_it_out_of_service(lab: Path, told: Runner) -> None:
    serial = str(told("ca", "show", "iso2-cpo-sub-ca-2")["serial"])
    told("cert", "revoke", serial, "--reason", "cACompromise", "--yes")
    assert told("ca", "show", "iso2-cpo-sub-ca-2@1")["state"] == "revoked"
    refusal = told("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--issuer", "iso2-cpo-sub-ca-2@1",
                   "--out", "o", refused=1)
    assert refusal["code"] == "issuing.issuer_not_active"
    new = told("ca", "create", "cpo-sub-ca-2", "--edition", "iso15118-2")
    assert new["id"] == "iso2-cpo-sub-ca-2@2"
    told("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "o")


def test_an_escrowed_key_stays_and_is_handed_out(lab: Path, told: Runner) -> None:
    value = told("cert", "issue", "oem", "--id", "WACME000000000001", "--plain-key", "--escrow", "--out", "o")
    key = serialization.load_pem_private_key(Path("o/key.pem").read_bytes(), None)
    with v2gpki.open_authority(lab, passphrase=PASSPHRASE) as ca:
        record = ca.find_certificate(str(value["serial"]))
        assert ca.vault is not None
        kept = ca.vault.private_key(record.key_id)
    assert spki_of(kept.public_key()) == key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
