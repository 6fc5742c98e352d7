"""Issuing: our figures next to what the bare cryptographic operations, a builder and a shell script take.

Everything of ours goes through the public API with profile, lint, intent, result and audit. Peers run in the
same process or the same run; a peer that is not there is named as not run. Medians.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding

import v2gpki
from measure import Row, cpu_us, process_s, table, wall_us
from v2gpki.keys.suites import SUITES, PrivateKey
from v2gpki.wiring import CertificateOrder

GROUP = 100
ROUNDS = 7
PASSPHRASE = "benchmark only"  # protects nothing
#: The limits were set on a machine on which a P-256 key and signature alone take 32 us; compare as ratios.
LIMITS = {"p256": "limit 100 where key and signature take 32", "p521": "limit 450", "ed448": "no limit set"}
#: EcoG's script, unpacked beside its environment by ``make interop``.
ECOG_SCRIPTS = Path(__file__).resolve().parent.parent / ".interop"


def signer_work(key: PrivateKey, message: bytes) -> None:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = SUITES["p256" if key.curve.name == "secp256r1" else "p521"].hash
        assert algorithm is not None
        key.sign(message, ec.ECDSA(algorithm))
    else:
        assert isinstance(key, ed448.Ed448PrivateKey)
        key.sign(message)


def bare_operations(suite: str) -> float:
    """Key generation and one signature by OpenSSL through cryptography: the physical limit."""
    issuer, message = SUITES[suite].generate(), bytes(480)

    def work() -> None:
        for _ in range(GROUP):
            SUITES[suite].generate()
            signer_work(issuer, message)

    return cpu_us(work, units=GROUP, rounds=ROUNDS)


def builder(suite: str) -> float:
    """Key generation and cryptography's CertificateBuilder with six extensions: no lint, no record."""
    issuer = SUITES[suite].generate()
    assert not isinstance(issuer, ec.EllipticCurvePublicKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Acme MO Sub-CA 2")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "DEACMC123456780")])
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    access = x509.AccessDescription(
        x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://127.0.0.1:8080/ocsp")
    )
    usage = x509.KeyUsage(True, True, True, False, True, False, False, False, False)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def work() -> None:
        for _ in range(GROUP):
            key = SUITES[suite].generate().public_key()
            certificate = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(name)
                .serial_number(x509.random_serial_number())
                .not_valid_before(start)
                .not_valid_after(start + timedelta(days=700))
                .public_key(key)
                .add_extension(x509.BasicConstraints(False, None), True)
                .add_extension(usage, True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
                .add_extension(authority_key, False)
                .add_extension(x509.AuthorityInformationAccess([access]), False)
                .sign(issuer, SUITES[suite].hash)  # type: ignore[arg-type]  # x448 does not come here
            )
            certificate.public_bytes(Encoding.DER)

    return cpu_us(work, units=GROUP, rounds=ROUNDS)


def ours(ca: v2gpki.CertificateAuthority, edition: str, suite: str) -> tuple[float, float]:
    """(CPU us per certificate in groups of 100, wall us of one durable issuance); the output is verified after."""
    made = []

    def group() -> None:
        orders = [
            CertificateOrder("contract", f"DEACMC{number:08d}", edition, suite) for number in range(GROUP)
        ]
        made[:] = ca.issue_many(orders)

    def one() -> None:
        ca.issue("contract", id="DEACMC99999999", edition=edition, suite=suite)

    figures = cpu_us(group, units=GROUP, rounds=ROUNDS), wall_us(one)
    for answer in made:
        leaf, issuer = (x509.load_der_x509_certificate(der) for der in answer.chain[:2])
        leaf.verify_directly_issued_by(issuer)
        assert ca.store.certificate(answer.record.issuer_id, answer.record.serial) == answer.record
    return figures


def issuing(folder: Path) -> None:
    rows = []
    with v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(), org="Acme")
        for edition, suite in (("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")):
            grouped, single = ours(ca, edition, suite)
            rows += [
                Row(
                    f"{suite} certificate, key, lint, record, audit; groups of {GROUP}",
                    f"{grouped:.0f} us CPU",
                    f"{LIMITS[suite]}; here key and signature alone take {bare_operations(suite):.0f} us, "
                    f"a builder without lint and record {builder(suite):.0f} us",
                ),
                Row(f"{suite} one certificate, durable", f"{single:.0f} us wall"),
            ]
    table("Issuing", rows)


def whole_processes(folder: Path) -> None:
    home = folder / "whole"
    environment = {**os.environ, "V2GPKI_HOME": str(home), "V2GPKI_PASSPHRASE": PASSPHRASE}
    program = str(Path(sys.executable).parent / "v2gpki")

    def fresh() -> None:
        shutil.rmtree(home, ignore_errors=True)

    rows = []
    script = next(ECOG_SCRIPTS.glob("**/iso15118/shared/pki/create_certs.sh"), None)
    peer = "EcoG's create_certs.sh: not run (make interop installs it)"
    if script is not None and shutil.which("openssl"):
        scripts = folder / "ecog"
        shutil.copytree(script.parent, scripts)
        seconds = process_s(["bash", "create_certs.sh", "-v", "iso-2"], lambda: None, cwd=scripts)
        peer = f"limit 0.35; EcoG's create_certs.sh {seconds:.2f} s, weaker key encryption"
    for arguments, beside in (
        (("init", "--edition", "iso15118-2"), peer),
        (("init", "--edition", "both"), "limit 0.80"),
        (("--version",), "limit 0.10"),
    ):
        seconds = process_s([program, *arguments], fresh, env=environment)
        rows.append(Row(f"v2gpki {' '.join(arguments)}, whole process", f"{seconds:.3f} s", beside))
    bare = process_s([sys.executable, "-c", "pass"], lambda: None)
    rows.append(Row("python -c pass", f"{bare:.3f} s"))
    table("Whole processes", rows)


def main() -> None:
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"v2gpki {v2gpki.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, {version}")
    with tempfile.TemporaryDirectory() as folder:
        issuing(Path(folder))
        whole_processes(Path(folder))


if __name__ == "__main__":
    main()
