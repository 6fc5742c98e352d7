"""``v2gpki export``: the PKI as the folder that another stack reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import read_input
from v2gpki.cli.frame import Frame
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.services.export import Exported

_LARGEST_PASSWORD_FILE = 4096


@click.command()
@click.option("--layout", required=True, metavar="LAYOUT", help="josev (EcoG iso15118) or everest.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The new folder.")
@click.option(
    "--edition",
    "editions",
    multiple=True,
    metavar="EDITION",
    help="Whose certificates (default: the layout's first); several times: each gets a subfolder.",
)
@click.option("--suite", metavar="SUITE", help="The key family, where the edition has several.")
@click.option("--secc-id", metavar="ID", help="EVSEID, SECCID or CPID of the station's certificate.")
@click.option("--emaid", metavar="ID", help="EMAID of the contract certificate.")
@click.option("--pcid", metavar="ID", help="PCID of the OEM provisioning certificate.")
@click.option("--evccid", metavar="ID", help="EVCCID of the vehicle certificate (ISO 15118-20).")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="The password of the exported keys: the first line (default: a random one).",
)
@click.option("--with-ca-keys", is_flag=True, help="Export CA private keys too, as far as the layout has a place.")
@click.option("--force", is_flag=True, help="Replace a folder that an earlier export wrote.")
@click.pass_obj
def export(
    frame: Frame,
    *,
    layout: str,
    out: Path,
    editions: Sequence[str],
    suite: str | None,
    secc_id: str | None,
    emaid: str | None,
    pcid: str | None,
    evccid: str | None,
    password_file: Path | None,
    with_ca_keys: bool,
    force: bool,
) -> None:
    """Issue the end-entity certificates that a foreign stack needs, and write its PKI folder.

    The new private keys stand in that folder alone, encrypted with the password that stands beside them: a
    secret of a lab. A contract certificate of its own is issued each time. secc run and evcc run read it by --pki.
    """
    from v2gpki.services.export import export_editions, export_layout

    given = {"secc": secc_id, "contract": emaid, "oem": pcid, "vehicle": evccid}
    authority = frame.authority(unlock=True)
    ids = {leaf: text for leaf, text in given.items() if text is not None}
    password = None if password_file is None else _first_line(password_file)
    if len(editions) > 1:
        several = export_editions(
            authority, layout, out, editions, suite=suite, ids=ids, password=password, ca_keys=with_ca_keys, force=force
        )
    else:
        edition = editions[0] if editions else None
        one = export_layout(
            authority,
            layout,
            out,
            edition=edition,
            suite=suite,
            ids=ids,
            password=password,
            ca_keys=with_ca_keys,
            force=force,
        )
        several = (one,)
    for warning in dict.fromkeys(warning for one in several for warning in one.warnings):
        frame.warn(warning)
    tables = [{**one.manifest(), "folder": str(one.folder)} for one in several]
    value = tables[0] if len(editions) < 2 else {"schema": "v2gpki/exports/1", "folder": str(out), "exports": tables}
    frame.emit(value, "\n".join(map(_human, several)))


def _first_line(path: Path) -> str:
    data = read_input(path, limit=_LARGEST_PASSWORD_FILE)
    try:
        return data.decode("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as problem:
        raise V2GPKIError(
            "file.unreadable",
            f"{path} is not UTF-8 text",
            hint="the password is the first line of a text file",
            facts={"path": str(path)},
        ) from problem


def _human(exported: Exported) -> str:
    lines = [f"wrote {len(exported.files)} files of {exported.edition} to {exported.folder} ({exported.layout})"]
    lines += [
        f"  {name:<9} {identifier or '-':<22} serial {serial}" for name, identifier, serial in exported.issued
    ]
    return "\n".join(lines)
