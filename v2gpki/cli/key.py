"""``v2gpki key``: hand out a private key that the home keeps, encrypted again for others."""

from __future__ import annotations

from pathlib import Path

import click

from v2gpki.cli.files import require_free, write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import force_option
from v2gpki.cli.passphrase import of_file


@click.group()
def key() -> None:
    """Private keys that the home keeps."""


@key.command(name="export")
@click.argument("name", metavar="CA|SERIAL")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help='Where to write it, PEM, 0600 ("-": stdout).',
)
@click.option(
    "--key-passphrase-file", type=click.Path(path_type=Path), metavar="FILE", help="Encrypt it with this passphrase."
)
@click.option("--plain-key", is_flag=True, help="Write it unencrypted.")
@force_option
@click.pass_obj
def export(
    frame: Frame, *, name: str, out: Path, key_passphrase_file: Path | None, plain_key: bool, force: bool
) -> None:
    """Write the private key of an authority, a held signer or an escrowed certificate as PKCS#8.

    The name is an authority's slug or id, or the serial, fingerprint or identifier of a certificate.
    The export is written to the audit log before the key leaves the home.
    """
    if plain_key == (key_passphrase_file is not None):
        raise click.UsageError("say how the key leaves: --key-passphrase-file FILE, or --plain-key")
    secret = None if key_passphrase_file is None else of_file(key_passphrase_file, warn=frame.warn)
    require_free([out], force=force)
    authority = frame.authority(unlock=True)

    from v2gpki.certs.chain import fingerprint
    from v2gpki.keys import pkcs8
    from v2gpki.wiring.key_export import export_key

    exported = export_key(authority, name)
    if secret is None:
        frame.warn(f"the private key of {exported.target} is written unencrypted")
        data = pkcs8.plain(exported.private_key)
    else:
        data = pkcs8.encrypt(exported.private_key, secret.encode(), pkcs8.STRONG_ROUNDS)
    write_output(out, data, force=force, secret=True)
    if str(out) == "-":
        return
    value = {
        "schema": "v2gpki/key/1",
        "target": exported.target,
        "subject": exported.subject,
        "certificate": fingerprint(exported.der),
        "encrypted": secret is not None,
        "out": out,
    }
    frame.emit(value, f"wrote the private key of {exported.target} to {out}")
