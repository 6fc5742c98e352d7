"""What ``--pki DIR`` holds: a folder that ``v2gpki export`` wrote, or a home, which mints what is needed for this run.

A home is unlocked (passphrase). Its station installs contracts, its vehicle is registered and has one; leafs are
recorded there; their keys, and what the vehicle has installed, live as long as the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from v2gpki.cli.frame import Frame
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.servers.v2gtls import Edition
    from v2gpki.wiring import CertificateAuthority
    from v2gpki.wiring.credentials import StationCredentials, VehicleCredentials
    from v2gpki.wiring.pki_folder import Compat


@dataclass(frozen=True, slots=True)
class StationHolding:
    """A station's credentials, and the home that minted them (None: they are of a folder)."""

    credentials: StationCredentials
    home: CertificateAuthority | None


#: ``--password-file FILE``: for keys of a folder that another password encrypts; gives ``password_file``.
password_option = click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The password of the folder's keys (default: the one beside them).",
)


def station_holding(
    frame: Frame,
    pki: Path,
    editions: Sequence[Edition],
    *,
    evse_id: str,
    compat: Compat,
    password_file: Path | None = None,
) -> StationHolding:
    """A station's. Raises ``pki.*``, ``key.*``, ``chain.malformed``, ``home.*``, ``passphrase.*``."""
    from v2gpki import wiring
    from v2gpki.wiring.pki_folder import station_credentials
    from v2gpki.wiring.pki_home import station_of_home

    if (home := _home(frame, pki)) is None:
        now, password = wiring.SystemClock().now(), _password(frame, password_file)
        held = station_credentials(pki, at=now, password=password, compat=compat)
        _tell_notes(frame, held)
        return StationHolding(held, None)
    chosen = _of_home(home, pki, editions)
    made = station_of_home(home, editions=chosen, **({"evse_id": evse_id} if evse_id else {}))
    return StationHolding(made, home)


def vehicle_holding(
    frame: Frame,
    pki: Path,
    editions: Sequence[Edition],
    *,
    compat: Compat,
    installs: bool,
    password_file: Path | None = None,
) -> VehicleCredentials:
    """A vehicle's; one that ``installs`` a contract has none before. Raises as `station_holding`."""
    from v2gpki import wiring
    from v2gpki.wiring.pki_folder import vehicle_credentials
    from v2gpki.wiring.pki_home import vehicle_of_home

    if (home := _home(frame, pki)) is None:
        now, password = wiring.SystemClock().now(), _password(frame, password_file)
        held = vehicle_credentials(pki, at=now, password=password, compat=compat)
        _tell_notes(frame, held)
        return held
    kept = TemporaryDirectory(prefix="v2gpki-vehicle-")
    click.get_current_context().call_on_close(kept.cleanup)
    return vehicle_of_home(
        home,
        editions=_of_home(home, pki, editions),
        paying=not installs,
        installable=installs,
        contracts_folder=Path(kept.name),
    )


def _tell_notes(frame: Frame, held: StationCredentials | VehicleCredentials) -> None:
    """What was passed over in the folder."""
    for note in held.notes:
        frame.warn(note.message)


def _password(frame: Frame, file: Path | None) -> bytes | None:
    from v2gpki.cli import passphrase

    return passphrase.of_file(file, warn=frame.warn).encode() if file is not None else None


def _home(frame: Frame, pki: Path) -> CertificateAuthority | None:
    """The home that a folder is, unlocked."""
    from v2gpki.wiring.home import STORE_FILE

    if not (pki / STORE_FILE).is_file():
        return None
    frame.home = str(pki)
    return frame.authority(unlock=True)


def _of_home(home: CertificateAuthority, pki: Path, editions: Sequence[Edition]) -> list[Edition]:
    """Those of the editions that the home has."""
    there = {record.edition for record in home.store.authorities()}
    found = [edition for edition in editions if edition in there]
    if not found:
        raise V2GPKIError(
            "pki.missing",
            f"the home {pki} has nothing of {', '.join(editions)}",
            hint="v2gpki init --edition creates it",
            facts={"pki": str(pki)},
        )
    return found
