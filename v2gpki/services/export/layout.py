"""The layouts that an export can write: ``layouts/*.toml``, checked once and frozen.

A layout says which end-entity certificates it needs (``[leafs.NAME]``: role, default id, ``optional`` when an
edition may lack the role) and what goes into each file. A part of the PKI is named from a leaf's chain:
``secc`` (the leaf), ``secc.sub-ca-2`` (its issuer), ``secc.sub-ca-1`` (the next one), ``secc.root``, ``secc.chain``
(leaf and Sub-CAs, no root) and ``secc.above`` (the Sub-CAs alone). Tables are kinds of files:
``certificates`` (PEM or DER by the name's ending), ``roots`` (a root role of the home, if it has one), ``keys``
and ``ca-keys`` (encrypted PKCS#8), ``passwords`` and ``pkcs12`` (leaf with key and Sub-CAs), ``staples`` (a folder for
the OCSP responses of a leaf's chain, as EVerest caches them). ``folders`` renames first folders for an edition.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from v2gpki.errors import V2GPKIError

Kind = Literal["certificates", "roots", "keys", "ca-keys", "passwords", "pkcs12", "staples"]
Table: TypeAlias = Mapping[str, object]

KINDS: tuple[Kind, ...] = ("certificates", "roots", "keys", "ca-keys", "passwords", "pkcs12", "staples")
PARTS = ("", "sub-ca-2", "sub-ca-1", "root", "chain", "above")
_ENDINGS: Mapping[Kind, tuple[str, ...]] = {
    "certificates": (".pem", ".der"),
    "roots": (".pem", ".der"),
    "keys": (".key", ".pem", ".der"),
    "ca-keys": (".key", ".pem", ".der"),
    "passwords": (".txt",),
    "pkcs12": (".p12",),
    "staples": ("",),
}
_NO_SECRETS = frozenset({"certificates", "roots", "staples"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One end-entity certificate that an export issues; ``id`` is the identifier when the user gives none."""

    name: str
    role: str
    id: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """One file: ``leaf`` and ``part`` say what is in it; for a root of the home ``leaf`` is the root's role.
    ``friendly_name`` is what a PKCS#12 shows."""

    path: PurePosixPath
    kind: Kind
    leaf: str
    part: str = ""
    friendly_name: str = ""

    @property
    def secret(self) -> bool:
        """Whether the file holds a private key or a password."""
        return self.kind not in _NO_SECRETS


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout; the first of ``editions`` is the default. ``folders`` has the first folders that are called otherwise
    in an edition, by the edition."""

    name: str
    title: str
    editions: tuple[str, ...]
    note: str
    leafs: Mapping[str, Leaf]
    files: tuple[File, ...]
    folders: Mapping[str, Mapping[str, str]]

    def files_of(self, edition: str) -> tuple[File, ...]:
        """The files as they are called in an edition."""
        renamed = self.folders.get(edition, {})
        return tuple(
            replace(file, path=PurePosixPath(renamed.get(first, first), *rest))
            for file in self.files
            for first, *rest in [file.path.parts]
        )


def layout_names() -> tuple[str, ...]:
    """The layouts that can be written."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in _folder().iterdir()))


@cache
def load_layout(name: str) -> Layout:
    """One layout by name; raises ``export.unknown_layout``."""
    if name not in layout_names():
        raise V2GPKIError(
            "export.unknown_layout",
            f"there is no layout {name!r}",
            hint=f"use one of {', '.join(layout_names())}",
            facts={"layout": name, "known": layout_names()},
        )
    return read_layout(name, tomllib.loads((_folder() / f"{name}.toml").read_text("utf-8")))


def read_layout(name: str, table: Table) -> Layout:
    """A layout from its TOML table; a mistake in it raises ``ValueError`` with the key."""
    known = {"title", "editions", "note", "leafs", "folders", *KINDS}
    if unknown := set(table) - known:
        raise ValueError(f"layout {name}: unknown key {sorted(unknown)[0]}")
    leafs = {leaf: _leaf(name, leaf, row) for leaf, row in _table(name, table, "leafs").items()}
    files = [
        _file(name, kind, path, value, leafs) for kind in KINDS for path, value in _table(name, table, kind).items()
    ]
    if len({file.path for file in files}) != len(files):
        raise ValueError(f"layout {name}: a file stands there twice")
    editions = table["editions"]
    if not isinstance(editions, list) or not editions:
        raise ValueError(f"layout {name}: editions is a list of names")
    title, note = str(table["title"]), str(table.get("note", ""))
    folders = {
        edition: {old: str(new) for old, new in _table(name, {edition: row}, edition).items()}
        for edition, row in _table(name, table, "folders").items()
    }
    return Layout(name, title, tuple(map(str, editions)), note, leafs, tuple(files), folders)


def _leaf(layout: str, name: str, row: object) -> Leaf:
    if not isinstance(row, dict) or not set(row) <= {"role", "id", "optional"} or "role" not in row:
        raise ValueError(f"layout {layout}: leafs.{name} has role, id and optional")
    return Leaf(name, str(row["role"]), str(row.get("id", "")), row.get("optional", False) is True)


def _file(layout: str, kind: Kind, path: str, value: object, leafs: Mapping[str, Leaf]) -> File:
    pure = PurePosixPath(path)
    where = f"layout {layout}: {kind}.{path}"
    if pure.is_absolute() or ".." in pure.parts or pure.suffix not in _ENDINGS[kind]:
        raise ValueError(f"{where} is no file name of this kind")
    if kind == "roots":
        return File(pure, kind, str(value))
    if kind == "pkcs12":
        if not isinstance(value, dict) or set(value) != {"leaf", "name"} or value["leaf"] not in leafs:
            raise ValueError(f"{where} has a leaf and a name")
        return File(pure, kind, str(value["leaf"]), "chain", str(value["name"]))
    leaf, _, part = str(value).partition(".")
    single = part in ("sub-ca-2", "sub-ca-1", "root")
    fits = {"certificates": True, "ca-keys": single}.get(kind, not part)
    if leaf not in leafs or part not in PARTS or not fits or (pure.suffix == ".der" and part in ("chain", "above")):
        raise ValueError(f"{where} cannot hold {value!r}")
    return File(pure, kind, leaf, part)


def _table(layout: str, table: Table, key: str) -> Mapping[str, object]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"layout {layout}: {key} is a table")
    return value


def _folder() -> resources.abc.Traversable:
    return resources.files("v2gpki.services.export") / "layouts"
