"""What goes into an export: end-entity certificates issued now, the chains above them, CA keys on demand.

Everything that can be refused is refused before the first certificate is issued: an id that the profile does not
take, an authority that the home lacks, a chain that is shorter than the layout's files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from v2gpki.clock import Clock
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.identifiers import recognise
from v2gpki.keys.suites import SUITES, PrivateKey, spki_of
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile
from v2gpki.services.directory import Directory
from v2gpki.services.export.layout import File, Layout, Leaf
from v2gpki.services.issuance import Issued
from v2gpki.services.ocsp.staples import Staple
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord


class PrivateKeys(Protocol):
    """Where the authorities' private keys are kept."""

    def private_key(self, key_id: str) -> PrivateKey:
        """One key, decrypted."""
        ...


class ExportingAuthority(Protocol):
    """What an export needs of a ``CertificateAuthority``."""

    @property
    def store(self) -> Store:
        """Authorities, certificates, audit log."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """The profiles."""
        ...

    @property
    def vault(self) -> PrivateKeys | None:
        """The private keys; None while the home is locked."""
        ...

    @property
    def clock(self) -> Clock:
        """The time of the audit rows."""
        ...

    @property
    def caller(self) -> str:
        """The name in the audit log."""
        ...

    def issue(
        self,
        role: str,
        *,
        id: str | None,  # noqa: A002  # the field's own word
        edition: str | None,
        suite: str | None,
        issuer: str,
        public_key: bytes | None,
    ) -> Issued:
        """Issue one end-entity certificate for a public key."""
        ...

    def staples(self, chain: Sequence[bytes]) -> Sequence[Staple]:
        """An OCSP response for each certificate of a chain; raises ``ocsp.no_staple``."""
        ...


@dataclass(frozen=True, slots=True)
class PlannedLeaf:
    """An end-entity certificate to be issued: its identifier ("" for none) and the authority that signs it."""

    leaf: Leaf
    profile: Profile
    identifier: str
    issuer: AuthorityRecord

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates above it, nearest first, root last."""
        return (self.issuer.der, *self.issuer.chain)


@dataclass(frozen=True, slots=True)
class IssuedLeaf:
    """An issued one, with its key, the Sub-CAs above (nearest first) and the root."""

    record: CertificateRecord
    private_key: PrivateKey = field(repr=False)
    above: tuple[bytes, ...]
    root: bytes
    findings: tuple[Finding, ...] = ()

    def part(self, name: str) -> tuple[bytes, ...]:
        """The certificates of one part, as ``layout`` names them."""
        return {
            "": (self.record.der,),
            "sub-ca-2": self.above[:1],
            "sub-ca-1": self.above[1:2],
            "root": (self.root,),
            "chain": (self.record.der, *self.above),
            "above": self.above,
        }[name]


def plan(
    authority: ExportingAuthority, layout: Layout, *, edition: str, suite: str | None, ids: Mapping[str, str]
) -> dict[str, PlannedLeaf]:
    """The end-entity certificates that this layout needs of this home, by leaf name; nothing is issued yet.

    An optional leaf is left out when the edition has no such role. Raises ``export.unwanted_id``,
    ``export.chain_too_short``, ``identifier.invalid``, ``authority.unknown_issuer``.
    """
    directory = Directory(authority.store, authority.catalogue)
    roles = authority.catalogue.roles(edition)
    planned = {}
    for name, leaf in layout.leafs.items():
        if leaf.optional and leaf.role not in roles:
            continue
        profile = authority.catalogue.profile(edition, leaf.role, suite)
        identifier = _identifier(profile, ids.get(name, leaf.id))
        planned[name] = PlannedLeaf(leaf, profile, identifier, directory.signing_authority(profile))
    for name in ids:
        if name not in planned:
            raise V2GPKIError(
                "export.unwanted_id",
                f"an id was given for {name}, but the layout {layout.name} has no such certificate in {edition}",
                hint="leave it out, or choose another edition",
                facts={"leaf": name, "layout": layout.name, "edition": edition},
            )
    for file in files_for(layout, edition, planned):
        _require_part(file, planned)
    return planned


def files_for(layout: Layout, edition: str, planned: Mapping[str, PlannedLeaf]) -> Sequence[File]:
    """The files of a layout whose leafs are planned; a root of the home always counts."""
    return [file for file in layout.files_of(edition) if file.kind == "roots" or file.leaf in planned]


def issue(authority: ExportingAuthority, planned: Mapping[str, PlannedLeaf]) -> dict[str, IssuedLeaf]:
    """Issue what was planned, each for a key made here, which nobody keeps but the answer.

    When one is refused, those before it stay in the store, and their keys are nowhere.
    """
    issued = {}
    for name, leaf in planned.items():
        private_key = SUITES[leaf.profile.key.suite].generate()
        answer = authority.issue(
            leaf.leaf.role,
            id=leaf.identifier or None,
            edition=leaf.profile.edition,
            suite=leaf.profile.suite,
            issuer=leaf.issuer.id,
            public_key=spki_of(private_key.public_key()),
        )
        issued[name] = IssuedLeaf(
            answer.record, private_key, leaf.chain[:-1], leaf.chain[-1], answer.findings
        )
    return issued


def keeper(store: Store, planned: PlannedLeaf, part: str) -> AuthorityRecord:
    """The authority of one part (``sub-ca-2``, ``sub-ca-1``, ``root``); raises ``export.key_elsewhere``
    when this home does not keep its private key."""
    wanted = planned.chain[{"sub-ca-2": 0, "sub-ca-1": 1, "root": -1}[part]]
    for record in store.authorities(suite=planned.profile.suite):
        if record.der == wanted and record.key_id:
            return record
    raise V2GPKIError(
        "export.key_elsewhere",
        f"this home does not keep the key of the {part} above {planned.leaf.role}",
        hint="leave --with-ca-keys out",
        facts={"leaf": planned.leaf.name, "part": part},
    )


def root_of(store: Store, role: str) -> AuthorityRecord | None:
    """The newest active root of one role, in whatever edition; None when the home has none."""
    found = [record for record in store.authorities(role=role) if record.state == "active"]
    return found[-1] if found else None


def _identifier(profile: Profile, text: str) -> str:
    if not text or not profile.identifier.kinds:
        return text
    return recognise(profile.identifier.kinds, text).normal


def _require_part(file: File, planned: Mapping[str, PlannedLeaf]) -> None:
    if file.kind == "roots" or file.part not in ("sub-ca-2", "sub-ca-1"):
        return
    leaf = planned[file.leaf]
    above = len(leaf.chain) - 1
    if above >= {"sub-ca-2": 1, "sub-ca-1": 2}[file.part]:
        return
    raise V2GPKIError(
        "export.chain_too_short",
        f"{_name(file.path)} needs two Sub-CAs above {leaf.leaf.role}, but {leaf.issuer.id} has {above}",
        hint="this stack reads two Sub-CAs: export from a hierarchy that has them",
        facts={"file": str(file.path), "issuer": leaf.issuer.id, "sub_cas": above},
    )


def _name(path: PurePosixPath) -> str:
    return path.name
