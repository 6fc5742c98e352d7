"""Keys: unlocking, signing and writing, each next to the bare primitive in the same run. Medians."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from measure import Row, cpu_us, table, wall_us
from v2gpki.keys import pkcs8
from v2gpki.keys.secret import LEAST_ROUNDS
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import SUITES, PrivateKey
from v2gpki.keys.vault import Vault

TIMES = 300
MESSAGE = bytes(480)
PASSPHRASE = "benchmark only"  # protects nothing


def many(action: Callable[[], object]) -> Callable[[], None]:
    """The action ``TIMES`` times."""

    def repeat() -> None:
        for _ in range(TIMES):
            action()

    return repeat


def bare_signature(key: PrivateKey) -> Callable[[], bytes]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = ec.ECDSA(hashes.SHA256() if key.curve.name == "secp256r1" else hashes.SHA512())
        return lambda: key.sign(MESSAGE, algorithm)
    assert isinstance(key, ed448.Ed448PrivateKey)
    return lambda: key.sign(MESSAGE)


def signing() -> list[Row]:
    rows = []
    for name in ("p256", "p521", "ed448"):
        key = SUITES[name].generate()
        signer = SoftwareSigner(key)
        ours = cpu_us(many(partial(signer.sign, MESSAGE)), units=TIMES)
        bare = cpu_us(many(bare_signature(key)), units=TIMES)
        rows.append(Row(f"sign 480 octets, {name}", f"{ours:.1f} us", f"cryptography alone {bare:.1f} us"))
        verify(key, signer.sign(MESSAGE))
    return rows


def verify(key: PrivateKey, signature: bytes) -> None:
    """What was timed is a signature."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        digest = hashes.SHA256() if key.curve.name == "secp256r1" else hashes.SHA512()
        key.public_key().verify(signature, MESSAGE, ec.ECDSA(digest))
    elif isinstance(key, ed448.Ed448PrivateKey):
        key.public_key().verify(signature, MESSAGE)


def files() -> list[Row]:
    key, secret = SUITES["p256"].generate(), secrets.token_hex(32).encode()
    one = cpu_us(many(lambda: pkcs8.encrypt(key, secret, 1)), units=TIMES)
    form = (Encoding.PEM, PrivateFormat.PKCS8)
    plain = cpu_us(many(lambda: key.private_bytes(*form, NoEncryption())), units=TIMES)
    best = cpu_us(many(lambda: key.private_bytes(*form, BestAvailableEncryption(secret))), units=TIMES)
    written = pkcs8.encrypt(key, secret, 1)
    read = cpu_us(many(lambda: pkcs8.load(written, secret)), units=TIMES)
    strong = wall_us(lambda: pkcs8.encrypt(key, secret, pkcs8.STRONG_ROUNDS), rounds=5)
    return [
        Row("encrypt a key, 1 round", f"{one:.1f} us", f"cryptography: plain {plain:.1f}, 2,048 rounds {best:.1f} us"),
        Row("open it", f"{read:.1f} us"),
        Row("encrypt a key, 600,000 rounds", f"{strong / 1000:.1f} ms", f"the derivation alone {derivation():.1f} ms"),
    ]


def derivation() -> float:
    """Milliseconds of PBKDF2-HMAC-SHA256 with 600,000 rounds by ``cryptography``."""
    return wall_us(lambda: PBKDF2HMAC(hashes.SHA256(), 32, bytes(16), LEAST_ROUNDS).derive(b"x"), rounds=5) / 1000


def vault(folder: Path) -> list[Row]:
    made = Vault.create(folder / "keys", PASSPHRASE)
    unlock = wall_us(lambda: Vault.unlock(made.folder, PASSPHRASE), rounds=5) / 1000
    key = SUITES["p256"].generate()
    names = iter(range(1_000_000))
    single = wall_us(lambda: made.add(f"key-{next(names)}@1", key))
    group = wall_us(lambda: made.add_many({f"key-{next(names)}@1": key for _ in range(50)})) / 50
    flushed = wall_us(lambda: bare_file(folder))
    return [
        Row("unlock a home", f"{unlock:.1f} ms", f"the derivation alone {derivation():.1f} ms"),
        Row("keep one key, durable", f"{single:.0f} us", f"a file of that size, both flushed {flushed:.0f} us"),
        Row("keep 50 keys at once, each", f"{group:.0f} us"),
    ]


def bare_file(folder: Path) -> None:
    """One file of the size of a key file, it and its folder flushed."""
    descriptor = os.open(folder / secrets.token_hex(8), os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(descriptor, bytes(500))
    os.fsync(descriptor)
    os.close(descriptor)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def main() -> int:
    table("Signing, CPU", signing())
    table("Key files, CPU", files())
    with tempfile.TemporaryDirectory() as folder:
        table("The vault of a home, wall", vault(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
