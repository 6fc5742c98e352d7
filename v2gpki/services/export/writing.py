"""Turns the material of an export into files, and the files into a folder that appears at once.

Keys are standard encrypted PKCS#8. Their password stands beside them, so stretching it protects nothing; and
a station opens its key between an SDP request and its answer, due in 250 ms. ``manifest.json`` names each
file with the SHA-256 fingerprints of its certificates or of its public key, so that two hosts can compare
what they have.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from v2gpki.certs.chain import pem
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey, spki_of
from v2gpki.services.export import folder as folders
from v2gpki.services.export.layout import File, Layout, load_layout
from v2gpki.services.export.material import (
    ExportingAuthority,
    IssuedLeaf,
    PlannedLeaf,
    files_for,
    issue,
    keeper,
    plan,
    root_of,
)
from v2gpki.services.ocsp.staples import cache_entry
from v2gpki.store.records import AuditEvent, AuthorityRecord

MANIFEST_SCHEMA = "v2gpki/export/1"
ROUNDS = 2_048
_RANDOM_OCTETS = 18
_LONGEST_PASSWORD = 128


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One written file; ``of`` is what it holds (``contract.chain``), fingerprints are SHA-256 in lower-case hex:
    of its certificates in order, and of the SubjectPublicKeyInfo of its private key."""

    path: str
    kind: str
    of: str
    secret: bool
    fingerprints: tuple[str, ...] = ()
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """A written export: ``issued`` are (leaf, identifier, serial) of the certificates made for it."""

    folder: Path
    layout: str
    edition: str
    suite: str
    created_at: str
    issued: tuple[tuple[str, str, str], ...]
    files: tuple[ExportedFile, ...]
    warnings: tuple[str, ...]

    def manifest(self) -> dict[str, object]:
        """What ``manifest.json`` says."""
        return {
            "schema": MANIFEST_SCHEMA,
            "layout": self.layout,
            "edition": self.edition,
            "suite": self.suite,
            "created_at": self.created_at,
            "issued": [
                {"certificate": name, "id": identifier, "serial": serial} for name, identifier, serial in self.issued
            ],
            "files": [
                {
                    "path": file.path,
                    "kind": file.kind,
                    "of": file.of,
                    "secret": file.secret,
                    "fingerprints": list(file.fingerprints),
                    "public_key": file.public_key,
                }
                for file in self.files
            ],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class _Material:
    """Everything that the files are made of."""

    leafs: Mapping[str, IssuedLeaf]
    authorities: Mapping[tuple[str, str], PrivateKey] = field(repr=False)
    roots: Mapping[str, AuthorityRecord]
    password: bytes = field(repr=False)


def export_layout(
    authority: ExportingAuthority,
    layout: str,
    folder: Path,
    *,
    edition: str | None = None,
    suite: str | None = None,
    ids: Mapping[str, str] | None = None,
    password: str | None = None,
    ca_keys: bool = False,
    force: bool = False,
) -> Exported:
    """Issue what ``layout`` (``josev``, ``everest``) needs and write its folder.

    ``edition`` and ``suite`` default to the layout's and the edition's first; ``ids`` gives identifiers by leaf
    (``secc``, ``contract``, ``oem``, ``vehicle``) instead of the layout's own. ``password`` (one line, at most
    128 octets) encrypts every key, None makes a random one. ``ca_keys`` exports the CA keys that the layout
    has a place for. ``force`` replaces a folder that an earlier export wrote, and nothing else.

    Raises ``export.*``, ``file.exists``, ``file.unwritable``, ``home.locked`` and what issuing raises; the folder is
    then as it was.
    """
    described = load_layout(layout)
    job = _job(
        authority, described, edition=edition or described.editions[0], suite=suite, ids=ids or {}, ca_keys=ca_keys
    )
    secret = _secret(password)
    with folders.aside(folder, force=force) as staging:
        return _fill(staging, job, folder, secret)


def export_editions(
    authority: ExportingAuthority,
    layout: str,
    folder: Path,
    editions: Sequence[str],
    *,
    suite: str | None = None,
    ids: Mapping[str, str] | None = None,
    password: str | None = None,
    ca_keys: bool = False,
    force: bool = False,
) -> tuple[Exported, ...]:
    """As ``export_layout``, once for each of several editions: into one folder, each in a subfolder of its name.

    ``suite`` holds for the editions that have it, an identifier for those that have such a leaf.
    """
    described, given, secret = load_layout(layout), ids or {}, _secret(password)
    known = {name for edition in editions for name in _leafs(authority, described, edition)}
    jobs = {
        edition: _job(
            authority,
            described,
            edition=edition,
            suite=suite if suite in authority.catalogue.edition(edition).suites else None,
            ids={
                name: text
                for name, text in given.items()
                if name not in known or name in _leafs(authority, described, edition)
            },
            ca_keys=ca_keys,
        )
        for edition in dict.fromkeys(editions)
    }
    with folders.aside(folder, force=force) as staging:
        exported = tuple(
            _fill(staging.inside(edition), job, folder / edition, secret) for edition, job in jobs.items()
        )
        exports = [{"edition": one.edition, "folder": one.folder.name} for one in exported]
        staging.write_manifest({"schema": f"{MANIFEST_SCHEMA}/several", "layout": layout, "exports": exports})
    return exported


@dataclass(frozen=True, slots=True)
class _Job:
    """One edition's export, in which nothing is missing; nothing is issued yet."""

    authority: ExportingAuthority
    layout: Layout
    edition: str
    planned: Mapping[str, PlannedLeaf]
    files: Sequence[File]
    roots: Mapping[str, AuthorityRecord]
    ca_keys: bool


def _leafs(authority: ExportingAuthority, layout: Layout, edition: str) -> set[str]:
    roles = authority.catalogue.roles(edition)
    return {name for name, leaf in layout.leafs.items() if leaf.role in roles}


def _job(
    authority: ExportingAuthority,
    layout: Layout,
    *,
    edition: str,
    suite: str | None,
    ids: Mapping[str, str],
    ca_keys: bool,
) -> _Job:
    if edition not in layout.editions:
        raise V2GPKIError(
            "export.wrong_edition",
            f"the layout {layout.name} holds certificates of {' or '.join(layout.editions)}, not of {edition}",
            hint=f"give --edition {layout.editions[0]}",
            facts={"layout": layout.name, "edition": edition, "possible": layout.editions},
        )
    planned = plan(authority, layout, edition=edition, suite=suite, ids=ids)
    files = [file for file in files_for(layout, edition, planned) if ca_keys or file.kind != "ca-keys"]
    roots = {
        file.leaf: root
        for file in files
        if file.kind == "roots" and (root := root_of(authority.store, file.leaf)) is not None
    }
    return _Job(authority, layout, edition, planned, files, roots, ca_keys)


def _fill(staging: folders.Staging, job: _Job, folder: Path, secret: bytes) -> Exported:
    """Issue, and write everything of one edition."""
    authority, planned = job.authority, job.planned
    ca_key_of = _ca_keys(authority, job.layout.name, [file for file in job.files if file.kind == "ca-keys"], planned)
    material = _Material(issue(authority, planned), ca_key_of, job.roots, secret)
    written, warnings = [], _warnings(material.leafs, job.layout.note, ca_keys=job.ca_keys)
    for file in job.files:
        if file.kind == "staples":
            answers, problem = _staples(authority, file, material.leafs[file.leaf])
            warnings += problem
            rendered = answers
        elif file.kind == "roots" and file.leaf not in job.roots:
            continue
        else:
            rendered = [_render(file, material)]
        for data, entry in rendered:
            staging.write(entry.path, data, secret=file.secret)
            written.append(entry)
    exported = Exported(
        folder,
        job.layout.name,
        job.edition,
        next(iter(planned.values())).profile.suite,
        rfc3339(authority.clock.now().replace(microsecond=0)),
        tuple((n, leaf.record.identifier, f"{leaf.record.serial:x}") for n, leaf in material.leafs.items()),
        tuple(written),
        warnings,
    )
    staging.write_manifest(exported.manifest())
    return exported


def _staples(
    authority: ExportingAuthority, file: File, leaf: IssuedLeaf
) -> tuple[list[tuple[bytes, ExportedFile]], tuple[str, ...]]:
    """The OCSP responses of a chain as EVerest's cache has them; none, and a warning, where nobody signs any."""
    if not leaf.above:
        return [], ()
    try:
        found = authority.staples((leaf.record.der, *leaf.above))
    except V2GPKIError as problem:
        return [], (f"no OCSP responses to staple were written: {problem.message}",)
    written = []
    for number, one in enumerate(found, 1):
        stem, text = cache_entry(one, number)
        for ending, data in (("der", one.der), ("hash", text + b"\n")):
            written.append((data, ExportedFile(f"{file.path}/{stem}.{ending}", file.kind, file.leaf, False)))
    return written, ()


def _secret(password: str | None) -> bytes:
    """The password of all keys as octets; raises ``export.bad_password``."""
    if password is None:
        return secrets.token_urlsafe(_RANDOM_OCTETS).encode("ascii")
    octets = password.encode("utf-8")
    if password != password.strip() or not password.isprintable() or not 0 < len(octets) <= _LONGEST_PASSWORD:
        raise V2GPKIError(
            "export.bad_password",
            "the password of an export is one line of 1 to 128 octets, printable, without blanks at its ends",
            hint="these stacks read the first line of a text file; leave the password out to get a random one",
        )
    return octets


def _ca_keys(
    authority: ExportingAuthority, layout: str, files: Sequence[File], planned: Mapping[str, PlannedLeaf]
) -> dict[tuple[str, str], PrivateKey]:
    """The CA keys that the files need; the audit log says so before the first one is decrypted."""
    if not files:
        return {}
    owners = {(file.leaf, file.part): keeper(authority.store, planned[file.leaf], file.part) for file in files}
    if authority.vault is None:
        raise V2GPKIError(
            "home.locked",
            "CA keys cannot be exported: the home is locked",
            hint="set V2GPKI_PASSPHRASE or V2GPKI_PASSPHRASE_FILE, or give --passphrase-file",
        )
    key_ids = {owner.id: owner.key_id for owner in owners.values()}
    events = [
        AuditEvent("key.exported", authority.caller, owner, {"key_id": key_id, "layout": layout})
        for owner, key_id in key_ids.items()
    ]
    authority.store.append_audit(events, authority.clock.now().replace(microsecond=0))
    return {place: authority.vault.private_key(owner.key_id) for place, owner in owners.items()}


def _render(file: File, material: _Material) -> tuple[bytes, ExportedFile]:
    path = str(file.path)
    if file.kind == "roots":
        certificates: tuple[bytes, ...] = (material.roots[file.leaf].der,)
        return _certificates(path, certificates), ExportedFile(
            path, file.kind, file.leaf, False, _fingerprints(certificates)
        )
    leaf = material.leafs[file.leaf]
    of = f"{file.leaf}.{file.part}".rstrip(".")
    if file.kind == "certificates":
        certificates = leaf.part(file.part)
        return _certificates(path, certificates), ExportedFile(path, file.kind, of, False, _fingerprints(certificates))
    if file.kind == "passwords":
        return material.password + b"\n", ExportedFile(path, file.kind, of, True)
    key = material.authorities[(file.leaf, file.part)] if file.kind == "ca-keys" else leaf.private_key
    public = hashlib.sha256(spki_of(key.public_key())).hexdigest()
    if file.kind == "pkcs12":
        from v2gpki.certs.pkcs12 import build_pkcs12  # noqa: PLC0415  # keeps start-up fast

        data = build_pkcs12(
            file.friendly_name, key, leaf.record.der, leaf.above, material.password, rounds=ROUNDS
        )
        return data, ExportedFile(path, file.kind, of, True, _fingerprints(leaf.part("chain")), public)
    return _key(path, key, material), ExportedFile(path, file.kind, of, True, (), public)


def _certificates(path: str, certificates: tuple[bytes, ...]) -> bytes:
    return certificates[0] if path.endswith(".der") else pem(certificates)


def _key(path: str, key: PrivateKey, material: _Material) -> bytes:
    from v2gpki.keys import pkcs8  # noqa: PLC0415  # keeps start-up fast

    text = pkcs8.encrypt(key, material.password, ROUNDS)
    if not path.endswith(".der"):
        return text
    return base64.b64decode(b"".join(text.splitlines()[1:-1]))


def _fingerprints(certificates: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(hashlib.sha256(certificate).hexdigest() for certificate in certificates)


def _warnings(leafs: Mapping[str, IssuedLeaf], note: str, *, ca_keys: bool) -> tuple[str, ...]:
    what = "private keys, of CAs too," if ca_keys else "private keys"
    found = [f"the folder holds {what} and their password: a secret of this lab, not for production"]
    if note:
        found.append(note)
    found += [
        f"{name}: {finding.message}"
        for name, leaf in leafs.items()
        for finding in leaf.findings
        if finding.severity == "warning"
    ]
    return tuple(dict.fromkeys(found))
