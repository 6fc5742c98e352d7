"""``v2gpki access``: the registration table, who may enrol what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import read_input
from v2gpki.cli.frame import Frame, caller
from v2gpki.cli.options import yes_option
from v2gpki.cli.tables import print_table

if TYPE_CHECKING:
    from rich.console import Console

_FILE = click.Path(path_type=Path, allow_dash=True)


@click.group()
def access() -> None:
    """Who may enrol what: identities, roles, and the ids that are registered for them."""


@access.command()
@click.argument("identity")
@click.option("--role", required=True, metavar="ROLE", help="secc, contract, oem, cps, station, ..")
@click.option("--edition", default="", metavar="EDITION", help="Only this one (default: every one that has the role).")
@click.option("--id", "identifiers", multiple=True, metavar="ID", help="An id; may be repeated.")
@click.option("--id-file", type=_FILE, metavar="FILE", help="Ids, one a line.")
@click.option("--prefix", "prefixes", multiple=True, metavar="TEXT", help="Every id that begins so; may be repeated.")
@click.option("--any", "everything", is_flag=True, help="Every id.")
@click.pass_obj
def register(
    frame: Frame,
    /,
    *,
    identity: str,
    role: str,
    edition: str,
    identifiers: tuple[str, ...],
    id_file: Path | None,
    prefixes: tuple[str, ...],
    everything: bool,
) -> None:
    """Let IDENTITY have certificates of a role for these ids.

    IDENTITY is the name that a token was created for (`v2gpki token create`). A role without ids (cps) is registered
    with --any. A prefix is written without separators (DEACM) or as ids are (DE*ACM*E1).
    """
    from v2gpki.wiring.access import registrations_of

    if id_file is not None:
        lines = read_input(id_file).decode("utf-8", "replace").splitlines()
        identifiers = (*identifiers, *(line.strip() for line in lines if line.strip()))
    if everything:
        prefixes = (*prefixes, "")
    if not identifiers and not prefixes:
        raise click.UsageError("give --id, --id-file or --prefix, or --any for every id")
    ca = frame.authority(unlock=True)
    new = registrations_of(ca).register(
        identity, role, edition=edition, identifiers=identifiers, prefixes=prefixes, caller=caller()
    )
    value = {"schema": "v2gpki/registered/1", "identity": identity, "role": role, "edition": edition, "new": new}
    frame.emit(value, f"{identity} may have {role}: {new} new row{'' if new == 1 else 's'}")


@access.command(name="list")
@click.option("--identity", default="", metavar="NAME", help="Only this identity.")
@click.option("--role", default="", metavar="ROLE", help="Only this role.")
@click.pass_obj
def list_(frame: Frame, *, identity: str, role: str) -> None:
    """List the registration table."""
    from v2gpki.wiring.access import registrations_of

    rows = list(registrations_of(frame.authority()).rows(identity=identity, role=role))
    value = {
        "schema": "v2gpki/registrations/1",
        "registrations": [
            {
                "identity": row.identity,
                "role": row.role,
                "edition": row.edition,
                "match": row.match,
                "value": row.value,
                "granted_at": row.granted_at,
                "granted_by": row.granted_by,
            }
            for row in rows
        ],
    }

    def human(console: Console) -> None:
        shown = (
            (
                row.identity,
                row.role,
                row.edition or "every",
                row.value if row.match == "id" else f"{row.value}..." if row.value else "every id",
            )
            for row in rows
        )
        print_table(console, ("identity", "role", "edition", "ids"), shown, nothing="nobody may enrol anything")

    frame.emit(value, human)


@access.command()
@click.argument("identity")
@click.option("--role", default="", metavar="ROLE", help="Only this role.")
@click.option("--edition", metavar="EDITION", help="Only rows for this edition.")
@click.option("--id", "identifier", metavar="ID", help="Only this id (with --role).")
@click.option("--prefix", metavar="TEXT", help="Only this beginning.")
@yes_option
@click.pass_obj
def remove(
    frame: Frame,
    /,
    *,
    identity: str,
    role: str,
    edition: str | None,
    identifier: str | None,
    prefix: str | None,
    yes: bool,
) -> None:
    """Take rows of IDENTITY away.

    Certificates that it has are not revoked by this (`v2gpki cert revoke` does that), but it cannot renew them.
    """
    from v2gpki.wiring.access import registrations_of

    if identifier is not None and prefix is not None:
        raise click.UsageError("give --id or --prefix, not both")
    if not yes:
        frame.confirm(f"Take {'these rows' if role or prefix else 'all rows'} of {identity} away?")
    gone = registrations_of(frame.authority(unlock=True)).remove(
        identity, role=role, edition=edition, identifier=identifier, prefix=prefix, caller=caller()
    )
    value = {"schema": "v2gpki/unregistered/1", "identity": identity, "removed": gone}
    frame.emit(value, f"{gone} row{'' if gone == 1 else 's'} of {identity} taken away")
