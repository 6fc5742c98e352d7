"""Certificates, keys and revocation evidence out of the files of a PKI folder, joined by what they say, not by name.

A key is matched with a certificate by the public key, a certificate with its issuer by name and signature. What cannot
be used becomes a note with the path; a key that no password opens is kept as the reason why something is missing.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from v2gpki.certs.chain import issues, load_certificates
from v2gpki.certs.ocsp_reading import ocsp_view
from v2gpki.certs.view import CertificateView, flaw_of_signature, view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import PrivateKey, spki_of, suite_of
from v2gpki.pnc.algorithms import EDITIONS, Edition
from v2gpki.pnc.installation.chains import common_name, normal_or_same
from v2gpki.wiring.credentials import Answers, Credential, Holder
from v2gpki.wiring.pki_layouts import PkiLayout, Place

_LARGEST = 1 << 20
_ENDINGS = frozenset({".pem", ".der", ".crt", ".cer"})
_MOST_SUB_CAS = 8


@dataclass(slots=True)
class Reading:
    """What was read so far: `notes` of what was passed over, `closed` the keys that nothing opened, by holder."""

    password: bytes | None = field(default=None, repr=False)
    notes: list[Finding] = field(default_factory=list)
    closed: list[V2GPKIError] = field(default_factory=list)

    def note(self, code: str, message: str, path: Path) -> None:
        """Something that was passed over, or deserves attention."""
        self.notes.append(Finding(code, "warning", message, where=str(path)))

    def keys(self, folder: Path, place: Place) -> Iterator[tuple[Path, PrivateKey]]:
        """Every key of a place that opens."""
        for path in files(folder, place.keys):
            self._look_at(path)
            try:
                yield path, self._opened(path, folder, place)
            except V2GPKIError as problem:
                self.closed.append(problem)
                self.note(problem.code, problem.message, path)

    def _opened(self, path: Path, folder: Path, place: Place) -> PrivateKey:
        data = read(path)
        problem: V2GPKIError | None = None
        tried = list(dict.fromkeys((*self._secrets(path, folder, place), None)))
        for secret in tried:
            try:
                return pkcs8.load(data, secret)
            except V2GPKIError as refusal:
                problem = refusal if problem is None or refusal.code == "key.wrong_passphrase" else problem
                if refusal.code not in {"key.wrong_passphrase", "key.needs_passphrase"}:
                    break
        assert problem is not None
        hint = problem.hint
        if problem.code in {"key.wrong_passphrase", "key.needs_passphrase"}:
            hint = "put the password into a text file beside the key, as the layout has it, or give --password-file"
        raise V2GPKIError(
            problem.code,
            f"{path}: {problem.message}",
            hint=hint,
            clause=problem.clause,
            facts={**problem.facts, "path": str(path), "passwords_tried": len(tried) - 1},
        )

    def _secrets(self, key: Path, folder: Path, place: Place) -> Iterator[bytes]:
        if self.password:
            yield self.password
        beside = files(folder, place.passwords)
        for path in sorted(beside, key=lambda path: not path.stem.lower().startswith(key.stem.lower())):
            self._look_at(path)
            lines = read(path).splitlines()
            if lines and lines[0].strip():
                yield lines[0].strip()

    def _look_at(self, path: Path) -> None:
        mode = path.stat().st_mode
        message = f"other users may open {path}: its mode is {stat.S_IMODE(mode):04o} (chmod 0600 {path})"
        if mode & 0o077 and not any(note.where == str(path) for note in self.notes):
            self.note("key.exposed", message, path)

    def credentials(
        self, folder: Path, layout: PkiLayout, holder: Holder, pool: Sequence[CertificateView], edition: Edition | None
    ) -> Iterator[Credential]:
        """The leafs of a holder that have a key, with their chains. `edition` None goes by the key family."""
        place = layout.leafs[holder]
        leafs = [one for path in files(folder, place.certificates) for one in certificates(path) if not one.ca]
        opened = {spki_of(key.public_key()): (path, key) for path, key in self.keys(folder, place)}
        for leaf in {one.fingerprint: one for one in leafs}.values():
            path, key = opened.get(leaf.spki, (None, None))
            if path is None or key is None:
                self.note("pki.missing", f"{leaf.subject_text} has no private key in {folder}", folder)
                continue
            above, root = chain_above(leaf, pool)
            yield Credential(
                edition or edition_of(key),
                holder,
                (leaf.der, *above),
                key,
                root,
                normal_or_same(common_name(leaf)) if holder == "contract" else "",
                str(path),
                answers_in(folder, layout),
            )


def files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that match, each once, in the order of their names."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def read(path: Path) -> bytes:
    """A file of a sensible size. Raises ``file.unreadable``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as problem:
        raise V2GPKIError(
            "file.unreadable", f"{path} cannot be read: {problem.strerror}", facts={"path": str(path)}
        ) from problem
    if len(data) > _LARGEST:
        raise V2GPKIError(
            "file.unreadable", f"{path} is larger than {_LARGEST} octets", facts={"path": str(path)}
        )
    return data


def certificates(path: Path) -> list[CertificateView]:
    """The certificates of a file; none of one that has another ending, or keys alone. Raises ``chain.malformed``."""
    if path.suffix.lower() not in _ENDINGS or ".pkcs8." in path.name.lower():
        return []
    try:
        return [view(der) for der in load_certificates(read(path))]
    except V2GPKIError as problem:
        if problem.code == "chain.empty":
            return []
        raise V2GPKIError(
            problem.code,
            f"{path}: {problem.message}",
            hint=problem.hint,
            clause=problem.clause,
            facts={**problem.facts, "path": str(path)},
        ) from problem


def is_root(one: CertificateView) -> bool:
    """Whether a certificate signed itself."""
    return one.ca and one.self_issued and not flaw_of_signature(one.der, one.der)


def chain_above(leaf: CertificateView, pool: Sequence[CertificateView]) -> tuple[tuple[bytes, ...], bytes | None]:
    """The Sub-CAs above a leaf, nearest first, and the root; of several issuers the newest, a root last."""
    above: list[CertificateView] = []
    below = leaf
    while len(above) < _MOST_SUB_CAS:
        found = [one for one in pool if one.ca and one not in above and issues(one, below)]
        if not found:
            return tuple(one.der for one in above), None
        below = max(found, key=lambda one: (not one.self_issued, one.not_before, one.fingerprint))
        if below.self_issued:
            return tuple(one.der for one in above), below.der
        above.append(below)
    return tuple(one.der for one in above), None


def edition_of(key: PrivateKey) -> Edition:
    """The edition whose key family a key has."""
    return "iso15118-2" if suite_of(key).name == "p256" else "iso15118-20"


def manifest_edition(folder: Path) -> Edition | None:
    """The edition that an export's manifest names; None without one."""
    try:
        manifest = json.loads(read(folder / "manifest.json"))
    except (V2GPKIError, ValueError):
        return None
    named = manifest.get("edition") if isinstance(manifest, dict) else None
    return next((edition for edition in EDITIONS if edition == named), None)


def answers_in(folder: Path, layout: PkiLayout) -> Answers:
    """The OCSP responses of a folder, read anew each time: a refreshed one counts at once."""

    def found(_chain: Sequence[bytes]) -> list[bytes]:
        return [data for path in files(folder, layout.answers) if _is_answer(data := read(path))]

    return found


def _is_answer(data: bytes) -> bool:
    try:
        ocsp_view(data)
    except V2GPKIError:
        return False
    return True


def newest(found: Sequence[Credential], at: datetime) -> dict[Edition, tuple[Credential, ...]]:
    """By edition: of each root (and contract) the newest leaf, valid ones before others; newest first."""
    best: dict[tuple[Edition, bytes, str], Credential] = {}
    for one in sorted(found, key=lambda one: _rank(one, at)):
        best[one.edition, one.root or b"", one.emaid] = one
    by_edition: dict[Edition, tuple[Credential, ...]] = {}
    for one in sorted(best.values(), key=lambda one: _rank(one, at), reverse=True):
        by_edition[one.edition] = (*by_edition.get(one.edition, ()), one)
    return by_edition


def _rank(one: Credential, at: datetime) -> tuple[bool, datetime, bytes]:
    leaf = view(one.chain[0])
    return leaf.not_before <= at <= leaf.not_after, leaf.not_before, leaf.fingerprint
