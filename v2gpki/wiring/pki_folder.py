"""Reads the PKI folder of a station or a vehicle: the layouts that ``v2gpki export`` writes, and those they come from.

Layouts stand in ``wiring.pki_layouts``; a folder may also hold several such folders, one for each edition. A folder may
have several SECC leafs: the newest valid one for each root counts, as EVerest does it. Of which edition a leaf is, says
the export's manifest, else its key family. Refuses what is no such folder, and one in which the needed leaf is missing
or nothing opens its key; what is merely passed over becomes a note. No message shows a password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from v2gpki.certs.view import CertificateView
from v2gpki.errors import V2GPKIError
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import PrivateKey, spki_of
from v2gpki.wiring.credentials import (
    Answers,
    Credential,
    Holder,
    Roots,
    StationCredentials,
    VehicleCredentials,
    no_answers,
)
from v2gpki.wiring.pki_layouts import Place, sources_of
from v2gpki.wiring.pki_reading import (
    Reading,
    answers_in,
    certificates,
    files,
    is_root,
    manifest_edition,
    newest,
    read,
)

#: Whose deviations a folder is read for.
Compat: TypeAlias = Literal["", "ecog"]
#: The folder of contracts that a vehicle got, inside its PKI folder.
INSTALLED = "installed"
#: The key that signs meter readings; no layout knows one.
_METER = Place((), ("meter.key",), ("meter*.txt",))


def station_credentials(
    folder: Path, *, at: datetime, password: bytes | None = None, compat: Compat = ""
) -> StationCredentials:
    """A station's part of a PKI folder.

    `at` decides which leafs are valid. `password` is tried first for every encrypted key. With `compat` "ecog" chains
    on P-256 also serve `lab-ecog-20`, unless a manifest says what they are for. Raises ``pki.unknown_layout``,
    ``pki.missing`` if there is no SECC chain with a key, ``key.*``, ``chain.malformed``, ``file.unreadable``.
    """
    found = _look(folder, ("secc",), password, compat)
    if not found.leafs["secc"]:
        raise _no_leaf(folder, found.reading, "SECC certificate", "client/cso/SECC_LEAF.pem, certs/seccLeafCert.pem")
    return StationCredentials(
        found.roots,
        str(folder),
        found.crls,
        found.answers,
        tuple(found.reading.notes),
        identities=newest(found.leafs["secc"], at),
        meter=next((SoftwareSigner(key) for _, key in found.reading.keys(folder, _METER)), None),
        mo_sub_ca_2=SoftwareSigner(found.mo_sub_key) if found.mo_sub_key else None,
    )


def vehicle_credentials(
    folder: Path, *, at: datetime, password: bytes | None = None, compat: Compat = ""
) -> VehicleCredentials:
    """A vehicle's part of a PKI folder; contracts that it gets belong into the subfolder ``installed``, and are read by
    whoever keeps them there.

    The parameters are those of `station_credentials`. Raises ``pki.unknown_layout``, ``pki.missing`` if there is no V2G
    root, ``key.*``, ``chain.malformed``, ``file.unreadable``.
    """
    found = _look(folder, ("oem", "contract", "vehicle"), password, compat)
    if not found.roots.v2g:
        raise V2GPKIError(
            "pki.missing",
            f"{folder} has no V2G root: the vehicle could trust no station",
            hint="put it into ca/v2g/V2G_ROOT_CA.pem, or write the folder by v2gpki export --layout everest -o DIR",
            facts={"pki": str(folder), "role": "v2g-root"},
        )
    return VehicleCredentials(
        found.roots,
        str(folder),
        found.crls,
        found.answers,
        tuple(found.reading.notes),
        oem=newest(found.leafs["oem"], at),
        contracts=newest(found.leafs["contract"], at),
        vehicle=newest(found.leafs["vehicle"], at),
        contracts_folder=folder / INSTALLED,
    )


@dataclass(slots=True)
class _Found:
    """Everything of a folder that one side needs."""

    reading: Reading
    leafs: dict[Holder, list[Credential]]
    roots: Roots = field(default_factory=Roots)
    crls: tuple[bytes, ...] = ()
    answers: Answers = no_answers
    mo_sub_key: PrivateKey | None = None


def _look(folder: Path, holders: Sequence[Holder], password: bytes | None, compat: Compat) -> _Found:
    found = _Found(Reading(password), {holder: [] for holder in holders})
    roots: dict[str, list[bytes]] = {"v2g": [], "mo": [], "oem": []}
    sources: list[Answers] = []
    for place, layout in sources_of(folder):
        pool = [one for path in files(place, layout.tree) for one in certificates(path)]
        named = manifest_edition(place)
        for holder in holders:
            some = list(found.reading.credentials(place, layout, holder, pool, named))
            if compat == "ecog" and named is None:
                some += [replace(one, edition="lab-ecog-20") for one in some if one.edition == "iso15118-2"]
            found.leafs[holder] += some
        for use, patterns in layout.roots.items():
            roots[use] += [one.der for path in files(place, patterns) for one in certificates(path) if is_root(one)]
        found.crls += tuple(read(path) for path in files(place, layout.crls))
        sources.append(answers_in(place, layout))
        if "secc" in holders:
            found.mo_sub_key = found.mo_sub_key or _ca_key(found.reading, place, layout.mo_sub, pool)
    found.roots = Roots(**{use: tuple(dict.fromkeys(ders)) for use, ders in roots.items()})
    found.answers = lambda chain: [der for source in sources for der in source(chain)]
    return found


def _ca_key(reading: Reading, folder: Path, place: Place, pool: Sequence[CertificateView]) -> PrivateKey | None:
    """The key of a place that belongs to a CA."""
    authorities = {one.spki for one in pool if one.ca}
    return next((key for _, key in reading.keys(folder, place) if spki_of(key.public_key()) in authorities), None)


def _no_leaf(folder: Path, reading: Reading, what: str, where: str) -> V2GPKIError:
    if reading.closed:
        return reading.closed[0]
    return V2GPKIError(
        "pki.missing",
        f"{folder} has no {what} with its private key (looked for: {where})",
        hint="v2gpki export --layout everest -o DIR writes a folder that has one",
        facts={"pki": str(folder), "notes": tuple(note.message for note in reading.notes)},
    )


