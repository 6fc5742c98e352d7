"""PKI folders as ``v2gpki export`` writes them, of one home that has both editions and the lab's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.services.export import export_layout

PASSWORD = "lab secret 7"
EVCCID = "WABV0000000000000001"


@contextmanager
def unlocked(home: Path) -> Iterator[v2gpki.CertificateAuthority]:
    """A home, opened with its passphrase and a clock that stands."""
    with v2gpki.open_authority(
        home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test"
    ) as ca:
        yield ca


def exported(home: Path, folder: Path) -> Path:
    """Folders `two` (everest, -2, with CA keys), `twenty` and `ed448` (everest, -20), `josev` and `lab`."""
    copy = folder / "home"
    shutil.copytree(home, copy)
    with unlocked(copy) as ca:
        ca.initialise(ca.plan(["lab-ecog-20"]), org="Acme")
        for name, layout, edition, suite in (
            ("two", "everest", "iso15118-2", None),
            ("twenty", "everest", "iso15118-20", "p521"),
            ("ed448", "everest", "iso15118-20", "ed448"),
            ("josev", "josev", "iso15118-2", None),
            ("lab", "josev", "lab-ecog-20", None),
        ):
            export_layout(
                ca,
                layout,
                folder / name,
                edition=edition,
                suite=suite,
                password=PASSWORD,
                ca_keys=name in {"two", "josev"},
            )
    return folder
