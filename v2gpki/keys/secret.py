"""The secret of a home, 256 random bits, wrapped under the passphrase: the content of ``secret.json``.

The passphrase (UTF-8, Unicode form NFC) goes through PBKDF2-HMAC-SHA256 with a random salt and at least
600,000 rounds; the result wraps the secret with AES-256-GCM. Every other member of the file (schema, home,
rounds, ..) is authenticated with it, so none can be changed unnoticed. A checksum over the file tells damage from a
wrong passphrase. Refused: fewer rounds, unknown members, newer formats. A change of the passphrase wraps
the same secret again: no key file changes. Sources: RFC 8018 5.2, NIST SP 800-38D.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from v2gpki.errors import V2GPKIError
from v2gpki.keys.files import damaged

LEAST_ROUNDS = 600_000
#: About ten seconds of work: a file that asks for more is not ours.
MOST_ROUNDS = 100_000_000
SECRET_SIZE = 32

_FAMILY = "v2gpki/secret/"
_SCHEMA = _FAMILY + "1"
_HEX_SIZES = {"home": 8, "salt": 16, "nonce": 12, "wrapped": SECRET_SIZE + 16, "check": 32}
_MEMBERS = ("schema", "home", "kdf", "rounds", "salt", "cipher", "nonce", "wrapped", "check")
_FIXED = {"schema": _SCHEMA, "kdf": "pbkdf2-hmac-sha256", "cipher": "aes-256-gcm"}


@dataclass(frozen=True, slots=True)
class HomeSecret:
    """``home`` is the home's random name (16 hex digits), not secret; ``octets`` are the 32 octets of the secret."""

    home: str
    octets: bytes = field(repr=False)


def fresh(random: Callable[[int], bytes] = os.urandom) -> HomeSecret:
    """A new random secret for a new home."""
    return HomeSecret(random(8).hex(), random(SECRET_SIZE))


def wrap(
    secret: HomeSecret, passphrase: str, rounds: int = LEAST_ROUNDS, *, random: Callable[[int], bytes] = os.urandom
) -> bytes:
    """The content of ``secret.json``. Raises ``passphrase.empty`` and ``key.weak_rounds``."""
    if not LEAST_ROUNDS <= rounds <= MOST_ROUNDS:
        raise V2GPKIError(
            "key.weak_rounds",
            f"{rounds} rounds of PBKDF2 are refused for a passphrase",
            hint=f"choose {LEAST_ROUNDS} to {MOST_ROUNDS}",
            facts={"rounds": rounds},
        )
    salt, nonce = random(16), random(12)
    members: dict[str, str | int] = {
        "schema": _SCHEMA,
        "home": secret.home,
        "kdf": _FIXED["kdf"],
        "rounds": rounds,
        "salt": salt.hex(),
        "cipher": _FIXED["cipher"],
        "nonce": nonce.hex(),
    }
    wrapped = AESGCM(_derive(passphrase, salt, rounds)).encrypt(nonce, secret.octets, _bound(members))
    members["wrapped"] = wrapped.hex()
    members["check"] = hashlib.sha256(_bound(members)).hexdigest()
    return json.dumps(members, indent=2).encode("ascii") + b"\n"


def unwrap(content: bytes, passphrase: str, path: Path) -> HomeSecret:
    """The secret from the content of ``secret.json``; one slow step. ``path`` is named in errors.

    Raises ``key.wrong_passphrase``, ``key.damaged``, ``key.newer_format``, ``passphrase.empty``.
    """
    members = _parse(content, path)
    texts = {name: str(members[name]) for name in _HEX_SIZES}
    rounds = int(members["rounds"])
    check = members.pop("check")
    if hashlib.sha256(_bound(members)).hexdigest() != check:
        raise damaged(path, "its checksum does not fit its content")
    del members["wrapped"]
    key = _derive(passphrase, bytes.fromhex(texts["salt"]), rounds)
    try:
        octets = AESGCM(key).decrypt(
            bytes.fromhex(texts["nonce"]), bytes.fromhex(texts["wrapped"]), _bound(members)
        )
    except InvalidTag:
        raise V2GPKIError(
            "key.wrong_passphrase",
            f"the passphrase does not open the keys in {path.parent}",
            hint="give the passphrase that this home was created with",
            facts={"path": str(path)},
        ) from None
    return HomeSecret(texts["home"], octets)


def _parse(content: bytes, path: Path) -> dict[str, str | int]:
    """The members, each of the right type and size."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        raise damaged(path, "it is no JSON") from None
    if not isinstance(parsed, dict):
        raise damaged(path, "it is no JSON object")
    schema = parsed.get("schema")
    if isinstance(schema, str) and schema.startswith(_FAMILY) and schema != _SCHEMA:
        raise V2GPKIError(
            "key.newer_format",
            f"{path} has the format {schema}; this version of v2gpki reads {_SCHEMA}",
            hint="use the version of v2gpki that wrote it, or a newer one",
            facts={"path": str(path), "schema": schema},
        )
    if set(parsed) != set(_MEMBERS):
        raise damaged(path, f"it must have exactly the members {', '.join(_MEMBERS)}")
    for name, expected in _FIXED.items():
        if parsed[name] != expected:
            raise damaged(path, f"{name} is not {expected}")
    for name, size in _HEX_SIZES.items():
        if not _is_hex(parsed[name], size):
            raise damaged(path, f"{name} is not {size} octets in lower-case hex")
    rounds = parsed["rounds"]
    if not isinstance(rounds, int) or isinstance(rounds, bool) or not LEAST_ROUNDS <= rounds <= MOST_ROUNDS:
        raise damaged(path, f"rounds is no number from {LEAST_ROUNDS} to {MOST_ROUNDS}")
    return parsed


def _is_hex(value: object, size: int) -> bool:
    return isinstance(value, str) and len(value) == 2 * size and all(digit in "0123456789abcdef" for digit in value)


def _bound(members: Mapping[str, str | int]) -> bytes:
    """The members in one fixed form, for the authentication tag and the checksum."""
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode("ascii")


def _derive(passphrase: str, salt: bytes, rounds: int) -> bytes:
    if not passphrase:
        raise V2GPKIError("passphrase.empty", "an empty passphrase does not protect a home")
    # cryptography's PBKDF2 takes half the time of hashlib's here. Octets of the environment that are no UTF-8
    # arrive as surrogates, and pass.
    octets = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    return PBKDF2HMAC(hashes.SHA256(), 32, salt, rounds).derive(octets)
