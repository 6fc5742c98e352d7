"""The files of one issued certificate: key.pem, cert.pem, chain.pem, and on request cert.der and cert.p12.

Whether they can be written is tried out before anything is signed: the folder is made, its space
reserved, the passphrase read. What the authority has recorded is then delivered all at once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import STANDARD, made_for, require_free, write_folder, write_output
from v2gpki.cli.passphrase import of_file
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.cli.frame import Frame
    from v2gpki.keys.suites import PrivateKey
    from v2gpki.store.records import CertificateRecord

_RESERVED_OCTETS = 64 * 1024
#: PBKDF2 rounds for keys that are handed out under a person's passphrase.
HANDED_OUT_ROUNDS = 600_000


class Delivery:
    """Where and in which form one certificate is handed out."""

    def __init__(
        self,
        folder: Path | None,
        *,
        own_key: bool,
        plain: bool,
        passphrase_file: Path | None,
        der: bool,
        p12: bool,
        force: bool,
        warn: Callable[[str], None],
        dry_run: bool = False,
    ) -> None:
        """Check the options; raises a usage error or what reading the passphrase raises."""
        if plain and passphrase_file is not None:
            raise click.UsageError("--plain-key and --key-passphrase-file exclude each other")
        if own_key and not dry_run and not plain and passphrase_file is None:
            raise click.UsageError(
                "say how the private key is to be handed out: --key-passphrase-file FILE or --plain-key"
            )
        if p12 and (passphrase_file is None or not own_key):
            raise click.UsageError("--p12 holds the private key: it needs --key-passphrase-file and a key made here")
        self._folder = folder
        self._own_key = own_key
        self._der = der
        self._p12 = p12
        self._force = force
        self._passphrase = b"" if passphrase_file is None else of_file(passphrase_file, warn=warn).encode("utf-8")

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Issue inside: before, nothing is in the way and the folder takes the files; a refusal leaves no folder."""
        folder = self._place()
        require_free([folder / name for name in self._names()], force=self._force)
        with made_for(folder):
            trial = f".reserved.{secrets.token_hex(6)}"
            write_folder(folder, {trial: bytes(_RESERVED_OCTETS)})
            (folder / trial).unlink()
            yield

    def deliver(
        self, record: CertificateRecord, chain: Sequence[bytes], private_key: PrivateKey | None
    ) -> list[Path]:
        """Write the files; a failure names the certificate, which is already issued."""
        from v2gpki.certs.chain import pem

        files: dict[str, bytes] = {}
        if private_key is not None:
            files["key.pem"] = self._key(private_key)
        files["cert.pem"] = pem((record.der,))
        files["chain.pem"] = pem(chain)
        if self._der:
            files["cert.der"] = record.der
        if self._p12 and private_key is not None:
            from v2gpki.certs.pkcs12 import build_pkcs12

            name = record.identifier or record.role
            files["cert.p12"] = build_pkcs12(name, private_key, record.der, chain[1:], self._passphrase)
        try:
            return write_folder(self._place(), files, secret=("key.pem", "cert.p12"), force=self._force)
        except V2GPKIError as failure:
            raise V2GPKIError(
                failure.code,
                f"the certificate {record.serial:x} was issued, but its files were not written: {failure.message}",
                hint="make room, then revoke it and issue again"
                if private_key is not None
                else f"make room, then v2gpki cert export {record.serial:x}",
                facts={**failure.facts, "serial": f"{record.serial:x}"},
            ) from failure

    def _names(self) -> list[str]:
        names = ["key.pem"] if self._own_key else []
        names += ["cert.pem", "chain.pem"]
        if self._der:
            names.append("cert.der")
        return [*names, "cert.p12"] if self._p12 else names

    def _place(self) -> Path:
        if self._folder is None:
            raise V2GPKIError("usage.invalid", "no folder was given for the files", hint="give --out DIR")
        return self._folder

    def _key(self, private_key: PrivateKey) -> bytes:
        from v2gpki.keys import pkcs8

        if not self._passphrase:
            return pkcs8.plain(private_key)
        return pkcs8.encrypt(private_key, self._passphrase, HANDED_OUT_ROUNDS)


def write_certificates(frame: Frame, certificates: Sequence[bytes], *, out: str, der: bool, force: bool) -> None:
    """Write certificates of the store as PEM, or the first as DER.

    With ``--json`` the result is an object: the file that was written, or the PEM in place of stdout.
    """
    from v2gpki.certs.chain import pem

    text = pem(certificates)
    if not (frame.json and out == STANDARD):
        write_output(out, certificates[0] if der else text, force=force)
    value: dict[str, object] = {
        "schema": "v2gpki/certificates/1",
        "fingerprints": [hashlib.sha256(certificate).hexdigest() for certificate in certificates],
        **({"pem": text.decode("ascii")} if out == STANDARD else {"out": out}),
    }
    if frame.json:
        frame.emit(value, "")
