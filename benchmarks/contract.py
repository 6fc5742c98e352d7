"""Contracts: a complete bundle next to what its bare operations take, and how long a vehicle waits for its answer.

Everything of ours goes through the public API with profile, lint, intent, result, pools and audit. The limit of a
bundle is the sum of its cryptographic operations, measured in the same run through the same library. Each answer is
opened by a vehicle after timing. Waiting is measured request by request, as wall time, new vehicles each; beside it
stands the CPU time of the same answers, which other work on the machine and its disk disturb less. The audit log's head
is signed twice a second meanwhile, as a server has it.

The aims were set on a machine where the bare operations of a bundle of ISO 15118-2 take 107 us of one core; beside
each stands what they come to on a machine of this one's speed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import v2gpki
from measure import Row, cpu_us, table
from v2gpki.certs import path
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import SUITES, PrivateKey
from v2gpki.messages import encode
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.upkeep import SEAL_EVERY
from v2gpki.services.provisioning import ProvisioningAnswer
from v2gpki.services.trust import TrustAnchor, judge
from v2gpki.store.pool_records import Contract
from v2gpki.wiring import CertificateOrder

PASSPHRASE = "benchmark only"  # protects nothing
GROUP = 100
ROUNDS = 7
REQUESTS = 300
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SUITE: dict[Edition, str] = {"iso15118-2": "p256", "iso15118-20": "p521"}
V2G_ROOT: dict[Edition, str] = {"iso15118-2": "iso2-v2g-root", "iso15118-20": "iso20-p521-v2g-root"}
#: Microseconds of the bare operations of a -2 bundle where the aims were set.
REFERENCE = 107
#: Milliseconds that 99 of 100 requests may take: (cold, sub-CA paths known, bundle ready).
WAITS: dict[Edition, tuple[float, float, float]] = {"iso15118-2": (8, 2, 0.5), "iso15118-20": (12, 2, 0.5)}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle that is registered and has a contract."""

    pcid: str
    chain: tuple[bytes, ...]
    key: PrivateKey
    contract: Contract


@cache
def bare_operations(edition: Edition) -> float:
    """What OpenSSL takes for a bundle: two keys, two signatures, one key agreement, one encryption, five digests."""
    suite = SUITES[SUITE[edition]]
    signer, receiver = suite.generate(), suite.generate().public_key()
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    assert isinstance(receiver, ec.EllipticCurvePublicKey)
    assert suite.hash is not None
    ecdsa, message, secret = ec.ECDSA(suite.hash), bytes(480), os.urandom(66)

    def digest(content: bytes) -> bytes:
        computed = hashes.Hash(suite.hash or hashes.SHA256())
        computed.update(content)
        return computed.finalize()

    def work() -> None:
        for _ in range(GROUP):
            suite.generate()
            signer.sign(message, ecdsa)
            ephemeral = suite.generate()
            assert isinstance(ephemeral, ec.EllipticCurvePrivateKey)
            key = digest(ephemeral.exchange(ec.ECDH(), receiver))
            if edition == "iso15118-2":
                cipher = Cipher(algorithms.AES128(key[:16]), modes.CBC(bytes(16))).encryptor()
                cipher.update(secret[:32]) + cipher.finalize()
                for _ in range(4):
                    digest(message)
            else:
                AESGCM(key[:32]).encrypt(bytes(12), secret, None)
                digest(bytes(4000))
            signer.sign(message, ecdsa)

    return cpu_us(work, units=GROUP, rounds=ROUNDS)


@cache
def check_of_signature(edition: Edition) -> float:
    """What OpenSSL takes to check one signature: every request has one."""
    suite = SUITES[SUITE[edition]]
    signer, message = suite.generate(), bytes(480)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    assert suite.hash is not None
    ecdsa, key = ec.ECDSA(suite.hash), signer.public_key()
    signature = signer.sign(message, ecdsa)

    def work() -> None:
        for _ in range(GROUP):
            key.verify(signature, message, ecdsa)

    return cpu_us(work, units=GROUP, rounds=ROUNDS)


def slowness() -> float:
    """How many times longer than there the bare operations of a -2 bundle take here."""
    return bare_operations("iso15118-2") / REFERENCE


def fleet(ca: v2gpki.CertificateAuthority, edition: Edition, count: int, *, first: int = 0) -> list[Vehicle]:
    """So many registered vehicles with a contract each."""
    pools = ca.plug_and_charge
    pcids = [f"WVW{number:014d}" for number in range(first, first + count)]
    issued = ca.issue_many([CertificateOrder("oem", pcid, edition=edition, suite=SUITE[edition]) for pcid in pcids])
    vehicles = []
    for pcid, answer in zip(pcids, issued, strict=True):
        pools.vehicles.register(answer.chain, edition=edition, at=NOW, caller="benchmark")
        emaid = f"DE8AC{pcid[-9:]}"
        ends = NOW + timedelta(days=500)
        contract = pools.contracts.create(emaid, pcid, NOW, ends, at=NOW, caller="benchmark")
        assert answer.private_key is not None
        vehicles.append(Vehicle(pcid, answer.chain, answer.private_key, contract))
    return vehicles


def request(ca: v2gpki.CertificateAuthority, edition: Edition, vehicle: Vehicle) -> bytes:
    """What a vehicle sends."""
    message = installation.build_request(
        edition=edition,
        chain=vehicle.chain,
        signer=SoftwareSigner(vehicle.key),
        roots=[ca.authority(V2G_ROOT[edition]).der],
        session_id=os.urandom(8),
        timestamp=NOW,
    )
    return encode(message)


def check(ca: v2gpki.CertificateAuthority, edition: Edition, vehicle: Vehicle, answer: ProvisioningAnswer) -> None:
    """A vehicle opens what it got: a fast answer that nobody can use counts nothing."""
    root = ca.authority(V2G_ROOT[edition]).der

    def trust(chain: tuple[bytes, ...]) -> object:
        anchors = [TrustAnchor(root, "v2g-root")]
        return judge(chain, anchors, catalogue=ca.catalogue, role="cps", edition=edition, at=NOW, ordered=True)

    response = installation.read_response(answer.exi)
    opened = installation.open_response(response, SoftwareAgreement(vehicle.key), trust=trust, pcid=vehicle.pcid)
    assert opened.emaid == vehicle.contract.emaid


def home(folder: Path, edition: Edition) -> v2gpki.CertificateAuthority:
    """A fresh home of one edition."""
    ca = v2gpki.open_authority(
        folder, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(NOW), caller="benchmark"
    )
    ca.initialise(ca.plan([edition]), org="Acme")
    return ca


def bundles(edition: Edition) -> list[Row]:
    """CPU time of a complete bundle, in groups of a hundred, all of it recorded."""
    limit = bare_operations(edition)
    with tempfile.TemporaryDirectory() as folder, home(Path(folder) / "home", edition) as ca:
        cars = fleet(ca, edition, GROUP * (ROUNDS + 1))
        contracts = iter([cars[start : start + GROUP] for start in range(0, len(cars), GROUP)])
        maker = ca.plug_and_charge.bundles_with()
        spent = cpu_us(lambda: maker.prepare([car.contract for car in next(contracts)]), units=GROUP, rounds=ROUNDS)
        check(ca, edition, cars[-1], ca.plug_and_charge.provisioning.answer(request(ca, edition, cars[-1])))
        assert ca.store.count_certificates(role="contract") == len(cars)
    slower = slowness()
    if edition == "iso15118-2":
        allowed = f"aim 300, {300 * slower:.0f} here"
    else:
        allowed = f"aim 1.25 times the limit and 150: {1.25 * limit + 150:.0f}, {1.25 * limit + 150 * slower:.0f} here"
    return [
        Row(f"{edition}: a bundle, recorded", f"{spent:.0f} us", f"bare operations {limit:.0f} us; {allowed}"),
    ]


def on_all_cores(edition: Edition) -> list[Row]:
    """Bundles a second with a process on each core, each with a home of its own."""
    cores = os.cpu_count() or 1
    workers = [
        subprocess.Popen([sys.executable, __file__, "--worker", edition], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(cores)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    rates = [float(worker.communicate()[0]) for worker in workers]
    aim = f"aim 5,500 on 2 cores, {5500 / slowness():,.0f} here" if edition == "iso15118-2" else ""
    return [Row(f"{edition}: bundles a second on {cores} cores", f"{sum(rates):,.0f}", aim)]


def worker(edition: Edition) -> None:
    """One of them: says that it is ready, waits, works, and tells its rate."""
    with tempfile.TemporaryDirectory() as folder, home(Path(folder) / "home", edition) as ca:
        cars = fleet(ca, edition, 2_000)
        maker = ca.plug_and_charge.bundles_with()
        maker.prepare([car.contract for car in cars[:GROUP]])
        print("ready", flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        maker.prepare([car.contract for car in cars[GROUP:]])
        print((len(cars) - GROUP) / (time.perf_counter() - start), flush=True)


def waits(edition: Edition) -> list[Row]:
    """How long one vehicle after the other waits."""
    cold, cached, ready = WAITS[edition]
    rows = []
    with tempfile.TemporaryDirectory() as folder, home(Path(folder) / "home", edition) as ca:
        cars = fleet(ca, edition, 3 * REQUESTS)
        asked = [request(ca, edition, car) for car in cars]
        provisioning = ca.plug_and_charge.provisioning
        ca._pace_seals(SEAL_EVERY)
        parts = [slice(start, start + REQUESTS) for start in range(0, len(cars), REQUESTS)]
        ca.plug_and_charge.bundles_with().prepare([car.contract for car in cars[parts[2]]])
        provisioning.answer(asked[0])
        for what, part, aim, forget in (
            ("cold: no path is known", parts[0], cold, True),
            ("sub-CA paths are known", parts[1], cached, False),
            ("the bundle is ready", parts[2], ready, False),
        ):
            spent, answers, cpu = [], [], 0.0
            for octets in asked[part]:
                if forget:
                    path.forget()
                start, busy = time.perf_counter(), time.process_time()
                answers.append(provisioning.answer(octets))
                cpu += time.process_time() - busy
                spent.append((time.perf_counter() - start) * 1e3)
            for car, answer in zip(cars[part], answers, strict=True):
                check(ca, edition, car, answer)
            p99 = statistics.quantiles(spent, n=100)[98]
            beside = f"median {statistics.median(spent):.2f}; aim {aim}, {aim * slowness():.2f} here"
            rows.append(Row(f"{edition}: p99 of an answer, {what}", f"{p99:.2f} ms", beside))
            least = f"of it the request's signature checked {check_of_signature(edition):.0f}"
            rows.append(Row(f"{edition}: CPU of an answer, {what}", f"{cpu / REQUESTS * 1e6:.0f} us", least))
    return rows


def main(arguments: Sequence[str]) -> None:
    """Everything, or one worker of it."""
    if arguments[:1] == ["--worker"]:
        worker("iso15118-20" if arguments[1] == "iso15118-20" else "iso15118-2")
        return
    steps: list[Callable[[Edition], list[Row]]] = [bundles, on_all_cores, waits]
    for edition in SUITE:
        table(f"Contracts, {edition}", [row for step in steps for row in step(edition)])


if __name__ == "__main__":
    main(sys.argv[1:])
