"""Where the known PKI folders have what: patterns of file names, relative to the folder.

``everest`` is libevse-security's ``etc/everest/certs``; ``josev`` the folder that EcoG's ``PKI_PATH`` names, with
``iso15118_2`` and, from EcoG's own script, ``iso15118_20`` in it. A folder is recognised by its subfolders, and may
hold several others that are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from v2gpki.errors import V2GPKIError
from v2gpki.wiring.credentials import Holder


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layout has a leaf: patterns of its certificates, of its keys and of their passwords."""

    certificates: tuple[str, ...]
    keys: tuple[str, ...]
    passwords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PkiLayout:
    """One layout. `marks` are folders that tell it, `tree` the patterns of all its certificates, `roots` those of each
    use, `mo_sub` where the key of the MO's Sub-CA 2 is, `answers` and `crls` what is known of revocation."""

    name: str
    marks: tuple[str, ...]
    tree: tuple[str, ...]
    leafs: Mapping[Holder, Place]
    roots: Mapping[str, tuple[str, ...]]
    mo_sub: Place
    answers: tuple[str, ...]
    crls: tuple[str, ...]


def _everest_place(folder: str) -> Place:
    return Place((f"client/{folder}/*",), (f"client/{folder}/*.key",), (f"client/{folder}/*PASSWORD*.txt",))


EVEREST = PkiLayout(
    "everest",
    ("ca/v2g", "client/cso", "client/oem", "client/mo"),
    ("ca/*/*", "client/*/*"),
    {
        "secc": _everest_place("cso"),
        "contract": _everest_place("mo"),
        "oem": _everest_place("oem"),
        "vehicle": _everest_place("vehicle"),
        "cps": _everest_place("cps"),
    },
    {"v2g": ("ca/v2g/*",), "mo": ("ca/mo/*",), "oem": ("ca/oem/*", "ca/vehicle/*")},
    _everest_place("mo"),
    ("client/*/ocsp/*.der", "ca/*/ocsp/*.der"),
    ("ca/*/crl/*", "ca/*/*.crl"),
)


def _josev(folder: str) -> PkiLayout:
    certificates, keys = f"{folder}/certs", f"{folder}/private_keys"

    def place(name: str) -> Place:
        return Place(
            (f"{certificates}/{name}LeafCert.*",), (f"{keys}/{name}Leaf.key",), (f"{keys}/{name}Leaf*Password.txt",)
        )

    return PkiLayout(
        "josev",
        (certificates,),
        (f"{certificates}/*",),
        {
            "secc": place("secc"),
            "contract": place("contract"),
            "oem": place("oem"),
            "vehicle": place("vehicle"),
            "cps": place("cps"),
        },
        {
            "v2g": (f"{certificates}/v2gRoot*",),
            "mo": (f"{certificates}/moRoot*",),
            "oem": (f"{certificates}/oemRoot*", f"{certificates}/vehicleRoot*"),
        },
        Place((), (f"{keys}/moSubCA2.key",), (f"{keys}/moSubCA2*Password.txt",)),
        ("ocsp/*.der", f"{certificates}/ocsp/*.der"),
        (f"{certificates}/*.crl",),
    )


LAYOUTS = (EVEREST, _josev("iso15118_2"), _josev("iso15118_20"))


def sources_of(folder: Path) -> list[tuple[Path, PkiLayout]]:
    """The folder by its layouts, and the folders right in it by theirs. Raises ``pki.unknown_layout``, also for what is
    no folder."""
    if not folder.is_dir():
        raise _unknown(folder, f"there is no folder {folder}")
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [
        (place, layout)
        for place in (folder, *inner)
        for layout in LAYOUTS
        if any((place / mark).is_dir() for mark in layout.marks)
    ]
    if not found:
        raise _unknown(folder, f"{folder} has none of the folders of a known layout")
    return found


def _unknown(folder: Path, what: str) -> V2GPKIError:
    marks = sorted({mark for layout in LAYOUTS for mark in layout.marks})
    return V2GPKIError(
        "pki.unknown_layout",
        f"{what} ({', '.join(marks)})",
        hint="v2gpki export --layout everest -o DIR writes such a folder; a home will do too where it can be unlocked",
        facts={"pki": str(folder), "known": tuple(dict.fromkeys(layout.name for layout in LAYOUTS))},
    )
