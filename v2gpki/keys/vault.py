"""The private keys of a home: one folder (0700) with ``secret.json`` and a ``<key id>.pem`` (0600) for each key.

Unlocking is one slow step: it unwraps the home's random secret. Each key file is standard encrypted PKCS#8 whose
password is the lower-case hex of that secret, with one round of PBKDF2: the secret is random, so rounds would slow
nobody but us. Above the PEM block stand the key id, the home, and a seal (HMAC-SHA256 under the secret):
CBC has no integrity and an Ed448 key no redundancy, so a damaged or swapped file would otherwise give another key.
Refused: overwriting, key ids that are no plain names, files open to others, files of another home.
Safe from threads; several processes may share a folder. Sources: RFC 8018, RFC 7468 2 (text before the block).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from v2gpki.errors import V2GPKIError
from v2gpki.keys import files, pkcs8, secret
from v2gpki.keys.secret import HomeSecret
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import PrivateKey

WRAPPED_FILE = "secret.json"
LONGEST_KEY_ID = 200

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_SUFFIX = ".pem"
_TITLE = "v2gpki key file 1"
_HEADER = re.compile(
    rb"v2gpki key file 1\nkey: ([^\n]+)\nhome: ([0-9a-f]{16})\nseal: ([0-9a-f]{64})\n(-----BEGIN .*)", re.DOTALL
)


class Vault:
    """An unlocked keys folder; made by ``create`` or ``unlock``. Shows, copies and pickles nothing secret."""

    __slots__ = ("_lock", "_secret", "_signers", "folder")

    def __init__(self, folder: Path, opened: HomeSecret) -> None:
        """Use ``create`` or ``unlock``."""
        self.folder = folder
        self._secret = opened
        self._signers: dict[str, SoftwareSigner] = {}
        self._lock = threading.Lock()

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether the folder holds a wrapped secret."""
        return (folder / WRAPPED_FILE).exists()

    @classmethod
    def create(cls, folder: Path, passphrase: str, rounds: int = secret.LEAST_ROUNDS) -> Vault:
        """Make the folder (its parent must be there) with a fresh secret under the passphrase.

        Raises ``key.exists`` when there is one already, ``key.damaged`` when there are keys without a secret,
        ``key.exposed``, ``key.weak_rounds``, ``passphrase.empty``, ``file.unwritable``.
        """
        fresh = secret.fresh()
        content = secret.wrap(fresh, passphrase, rounds)
        try:
            made = not folder.is_dir()
            folder.mkdir(mode=0o700, exist_ok=True)
            if made:
                files.flush(folder.parent)
        except OSError as problem:
            raise files.unwritable(folder, problem) from problem
        vault = cls(folder, fresh)
        _check_folder(folder)
        if not cls.exists(folder) and (stranded := vault.key_ids()):
            raise files.damaged(
                folder, f"it holds {len(stranded)} keys but no {WRAPPED_FILE}, without which they stay closed"
            )
        files.place(folder, {WRAPPED_FILE: content})
        return vault

    @classmethod
    def unlock(cls, folder: Path, passphrase: str) -> Vault:
        """Open the folder with the passphrase: one slow step, about a tenth of a second.

        Raises ``key.wrong_passphrase``, ``key.missing``, ``key.exposed``, ``key.damaged``, ``key.newer_format``,
        ``passphrase.empty``, ``file.unreadable``.
        """
        path = folder / WRAPPED_FILE
        content = files.read(path)
        _check_folder(folder)
        return cls(folder, secret.unwrap(content, passphrase, path))

    def key_ids(self) -> set[str]:
        """The ids of the keys that are in the folder now."""
        try:
            names = os.listdir(self.folder)
        except OSError as problem:
            raise V2GPKIError(
                "file.unreadable",
                f"{self.folder} cannot be listed: {problem.strerror}",
                facts={"path": str(self.folder)},
            ) from problem
        return {name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX) and name[0] != "."}

    def add(self, key_id: str, private_key: PrivateKey) -> None:
        """Keep one new key; durable when it returns. Raises as ``add_many``."""
        self.add_many({key_id: private_key})

    def add_many(self, keys: Mapping[str, PrivateKey]) -> None:
        """Keep several new keys, all or none; durable when it returns, with one flush of the folder.

        Raises ``key.exists``, ``key.bad_id``, ``file.unwritable``.
        """
        contents = {_file_name(key_id): self._sealed(key_id, key) for key_id, key in keys.items()}
        files.place(self.folder, contents)

    def signer(self, key_id: str) -> SoftwareSigner:
        """The signer of a key, read once and then kept.

        Raises ``key.missing``, ``key.damaged``, ``key.foreign``, ``key.exposed``, ``key.bad_id``, ``key.cannot_sign``.
        """
        known = self._signers.get(key_id)
        if known is not None:
            return known
        signer = SoftwareSigner(self.private_key(key_id))
        with self._lock:
            return self._signers.setdefault(key_id, signer)

    def private_key(self, key_id: str) -> PrivateKey:
        """A key itself, read from its file: for handing out only. Raises as ``signer``."""
        path = self.folder / _file_name(key_id)
        block = self._opened(key_id, path, files.read(path))
        try:
            return pkcs8.load(block, self._password())
        except V2GPKIError as problem:
            raise files.damaged(path, "its seal is right, but its key cannot be read") from problem

    def export(self, key_id: str, new_secret: bytes, rounds: int = pkcs8.STRONG_ROUNDS) -> bytes:
        """A key for others: PEM, encrypted again under ``new_secret`` (octets of a passphrase).

        Raises as ``signer``, and ``passphrase.empty``.
        """
        return pkcs8.encrypt(self.private_key(key_id), new_secret, rounds)

    def remove(self, key_id: str) -> None:
        """Delete a key for good. Raises ``key.missing``, ``key.bad_id``, ``file.unwritable``."""
        path = self.folder / _file_name(key_id)
        with self._lock:
            self._signers.pop(key_id, None)
            files.remove(path)

    def discard(self, key_id: str) -> None:
        """Delete a key if it is there, and what a killed process left of writing it; for keys that never counted.

        An id that no key can have is none that is there. Raises ``file.unwritable``.
        """
        if not _is_key_id(key_id):
            return
        with self._lock:
            self._signers.pop(key_id, None)
            files.discard(self.folder, _file_name(key_id))

    def derived_key(self, purpose: str) -> bytes:
        """32 octets for one purpose, always the same for this home: HKDF-SHA256 over its secret (RFC 5869). Whoever has
        them learns nothing of the secret, nor of another purpose's octets."""
        return HKDF(SHA256(), 32, salt=None, info=f"v2gpki/{purpose}".encode("ascii")).derive(self._secret.octets)

    def __repr__(self) -> str:
        return f"Vault({str(self.folder)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault holds secrets and is neither copied nor pickled")

    def _password(self) -> bytes:
        return self._secret.octets.hex().encode("ascii")

    def _sealed(self, key_id: str, private_key: PrivateKey) -> bytes:
        block = pkcs8.encrypt(private_key, self._password(), 1)
        lines = (_TITLE, f"key: {key_id}", f"home: {self._secret.home}", f"seal: {self._seal(key_id, block)}", "")
        return "\n".join(lines).encode("ascii") + block

    def _opened(self, key_id: str, path: Path, content: bytes) -> bytes:
        """The PEM block of a key file whose header and seal are right."""
        header = _HEADER.fullmatch(content)
        if header is None:
            if content.startswith(b"v2gpki key file ") and not content.startswith(_TITLE.encode("ascii") + b"\n"):
                raise V2GPKIError(
                    "key.newer_format",
                    f"{path} has a newer format than this version of v2gpki reads",
                    hint="use the version of v2gpki that wrote it, or a newer one",
                    facts={"path": str(path)},
                )
            raise files.damaged(path, "it does not have the form of a key file of this home")
        named, home, seal, block = header[1], header[2].decode("ascii"), header[3].decode("ascii"), header[4]
        if home != self._secret.home:
            raise V2GPKIError(
                "key.foreign",
                f"{path} belongs to another home ({home}; this one is {self._secret.home})",
                hint="put back the file of this home; keys move between homes by export, not by copying files",
                facts={"path": str(path), "home": self._secret.home, "found": home},
            )
        if named != key_id.encode("ascii"):
            raise files.damaged(path, f"it holds the key {named[:LONGEST_KEY_ID].decode('ascii', 'replace')!r}")
        if not hmac.compare_digest(seal, self._seal(key_id, block)):
            raise files.damaged(path, "its seal does not fit its content")
        return block

    def _seal(self, key_id: str, block: bytes) -> str:
        message = f"{_TITLE}\n{key_id}\n{self._secret.home}\n".encode("ascii") + block
        return hmac.digest(self._secret.octets, message, hashlib.sha256).hex()


def _check_folder(folder: Path) -> None:
    files.check_private(folder, folder.stat().st_mode)


def _is_key_id(text: str) -> bool:
    return bool(_KEY_ID.fullmatch(text)) and len(text) <= LONGEST_KEY_ID and ".." not in text


def _file_name(key_id: str) -> str:
    if not _is_key_id(key_id):
        raise V2GPKIError(
            "key.bad_id",
            f"{key_id[:LONGEST_KEY_ID]!r} is no key id",
            hint=f"1 to {LONGEST_KEY_ID} letters, digits, and . _ @ - between them",
            facts={"key_id": key_id[:LONGEST_KEY_ID]},
        )
    return key_id + _SUFFIX
