"""Files of OCSP answers: the folder that a CDN serves, the staples of a chain, EVerest's cache."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from v2gpki.cli.files import write_folder
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.services.ocsp import SignedAhead, Staple
from v2gpki.services.ocsp.get_path import file_of_request
from v2gpki.services.ocsp.staples import cache_entry

MANIFEST = "manifest.json"
_SCHEMA = "v2gpki/ocsp-files/1"
_STEM = re.compile(r"M\d\d_D\d\d_Y\d{4}_H\d\d_M\d\d_S\d\d_i\d+_r\d+_ocsp")


class AnswerFolder:
    """Answers as files whose path is that of the GET asking for them. Each one appears whole or not at all."""

    def __init__(self, folder: Path, *, prune: bool) -> None:
        """``prune`` removes at the end what was not written; only in a folder that an earlier run wrote.

        Raises ``file.unwritable``, and ``file.exists`` for a folder with other things in it.
        """
        self._folder = folder
        self._written: set[str] = set()
        self._made: set[Path] = set()
        self._prune = prune
        self._counts = {"good": 0, "revoked": 0}
        self._next_update: datetime | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            foreign = any(folder.iterdir()) and not (folder / MANIFEST).exists()
        except OSError as problem:
            raise _unwritable(folder, problem) from problem
        if foreign:
            raise V2GPKIError(
                "file.exists",
                f"{folder} holds files, but no {MANIFEST} of an earlier run",
                hint="choose a folder of its own for the answers",
                facts={"path": str(folder)},
            )

    def write(self, signed: SignedAhead) -> None:
        """One answer; an older one about the same certificate is replaced."""
        name = file_of_request(signed.request)
        target = self._folder / name
        beside = self._folder / f".{os.getpid()}.new"
        try:
            if target.parent not in self._made:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(target.parent)
            beside.write_bytes(signed.der)
            beside.replace(target)
        except OSError as problem:
            raise _unwritable(self._folder, problem) from problem
        self._counts[signed.status] += 1
        if self._prune:
            self._written.add(os.path.normpath(name))
        self._next_update = min(self._next_update or signed.next_update, signed.next_update)

    def finish(self, now: datetime) -> dict[str, object]:
        """Write the manifest, remove what is left over, and say what was done."""
        removed = self._remove_others() if self._prune else 0
        value: dict[str, object] = {
            "schema": _SCHEMA,
            "answers": sum(self._counts.values()),
            **self._counts,
            "removed": removed,
            "signed_at": rfc3339(now),
            "next_update": None if self._next_update is None else rfc3339(self._next_update),
        }
        write_folder(self._folder, {MANIFEST: json.dumps(value, indent=2).encode() + b"\n"}, force=True)
        return value

    def _remove_others(self) -> int:
        removed = 0
        for place, _, files in os.walk(self._folder):
            for file in files:
                path = Path(place) / file
                name = str(path.relative_to(self._folder))
                if name != MANIFEST and name not in self._written:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed


def plain_files(staples: Sequence[Staple]) -> dict[str, bytes]:
    """``<n>-<common name>.der`` in the order of the chain, and ``staples.json``."""
    files, rows = {}, []
    for number, one in enumerate(staples):
        name = re.sub(r"[^A-Za-z0-9]+", "-", _common_name(one)).strip("-")[:60] or "certificate"
        file = f"{number}-{name}.der"
        files[file] = one.der
        rows.append(
            {
                "file": file,
                "subject": one.certificate.subject_text,
                "status": one.status,
                "not_before": rfc3339(one.certificate.not_before),
                "not_after": rfc3339(one.certificate.not_after),
                "this_update": rfc3339(one.this_update),
                "next_update": rfc3339(one.next_update),
                **one.hash_data.written(),
            }
        )
    document = {"schema": "v2gpki/staples/1", "staples": rows}
    return files | {"staples.json": json.dumps(document, indent=2).encode() + b"\n"}


def everest_files(staples: Sequence[Staple], folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(new files, files to replace) of EVerest's OCSP cache: an answer as binary DER and its hash data beside it.

    A cache is searched by the four lines of its ``.hash`` files, so one certificate must have one pair: a pair that
    is there keeps its name.
    """
    known: dict[bytes, str] = {}
    try:
        for path in folder.glob("*.hash") if folder.is_dir() else ():
            if _STEM.fullmatch(path.stem):
                known[b"\n".join(path.read_bytes().split())] = path.stem
    except OSError as problem:
        raise V2GPKIError(
            "file.unreadable", f"{folder} cannot be read: {problem.strerror}", facts={"path": str(folder)}
        ) from problem
    new: dict[str, bytes] = {}
    replaced: dict[str, bytes] = {}
    for number, one in enumerate(staples, 1):
        stem, text = cache_entry(one, number)
        earlier = known.get(text)
        name = earlier or stem
        (replaced if earlier else new).update({f"{name}.der": one.der, f"{name}.hash": text + b"\n"})
    return new, replaced


def _common_name(one: Staple) -> str:
    from cryptography.x509.oid import NameOID

    names = one.certificate.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _unwritable(folder: Path, problem: OSError) -> V2GPKIError:
    return V2GPKIError(
        "file.unwritable",
        f"{folder} cannot be written: {problem.strerror}",
        hint="check the path, its permissions and the free space",
        facts={"path": str(folder)},
    )
