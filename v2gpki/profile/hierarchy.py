"""Hierarchies: which authorities a laboratory has and who certifies whom, from ``lab.toml``.

A ``Lab`` says for each hierarchy where its branches hang (own root or V2G root; two, one or no sub-CAs),
which leafs the authority holds itself (CPS and OCSP signers) and which roots are cross-certified; ``plan``
turns that into the certificates to make, issuers before issued. What may hang where stands in the editions'
TOML: an unlawful root, a V2G root that would issue leafs ([V2G2-867]), an unknown branch or role is refused
with file, key and reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from v2gpki.errors import V2GPKIError
from v2gpki.profile.layers import Layered, Origin, did_you_mean
from v2gpki.profile.load import Catalogue, parse_toml
from v2gpki.profile.model import Branch, Edition, Profile
from v2gpki.profile.table import Table

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DEFAULT = "default"
OcspScope = Literal["all", "sub-cas", "none"]
_SCOPES: Mapping[str, OcspScope] = {"all": "all", "sub-cas": "sub-cas", "none": "none"}


@dataclass(frozen=True, slots=True)
class Planned:
    """One certificate to make.

    ``issuer_slug`` is "" for a root. ``held`` marks a leaf that the authority holds (OCSP, CPS), else it is an
    authority. ``name`` fills ``{name}`` ("": the profile's default), ``org`` replaces the caller's organisation
    when not "". ``subject_slug`` is set for a cross-certificate: the root whose name and key are certified.
    """

    slug: str
    edition: str
    suite: str
    role: str
    issuer_slug: str
    held: bool = False
    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    org: str = ""
    subject_slug: str = ""


@dataclass(frozen=True, slots=True)
class BranchPlan:
    """One branch of one hierarchy: its root, how many sub-CAs, which leafs are held."""

    name: str
    root: str
    sub_cas: int
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One ``[[hierarchy]]`` of a lab file, checked against the editions that it names."""

    name: str
    editions: tuple[str, ...]
    suites: tuple[str, ...]
    branches: tuple[BranchPlan, ...]
    ocsp: OcspScope
    options: Mapping[str, str]
    names: Mapping[str, str]
    org: str = ""

    @property
    def prefix(self) -> str:
        """What its slugs begin with."""
        return "" if self.name == _DEFAULT else f"{self.name}-"


@dataclass(frozen=True, slots=True)
class Lab:
    """All hierarchies of one file."""

    file: str
    hierarchies: tuple[Hierarchy, ...]
    crosses: tuple[tuple[str, str], ...]
    catalogue: Catalogue = field(repr=False, compare=False)

    def plan(self, editions: Sequence[str] = ()) -> tuple[Planned, ...]:
        """The certificates to make for ``editions``, issuers before issued; () is every conformant edition.

        Raises ``profile.bad_value`` for an edition that the file does not describe, for two certificates with
        one slug and for a cross-certificate between roots that are not planned.
        """
        described = list(dict.fromkeys(name for hierarchy in self.hierarchies for name in hierarchy.editions))
        for name in editions:
            self.catalogue.edition(name)
            if name not in described:
                hint = did_you_mean(name, described)
                raise self._refuse("hierarchy", f"no hierarchy describes the edition {name}", hint)
        wanted = list(editions) or [name for name in described if self.catalogue.edition(name).conformant]
        planned: dict[str, Planned] = {}
        for name in wanted:
            for hierarchy in self.hierarchies:
                if name in hierarchy.editions:
                    for entry in self._hierarchy(hierarchy, self.catalogue.edition(name)):
                        if entry.slug in planned:
                            raise self._refuse("hierarchy", f'two certificates would be called "{entry.slug}"')
                        planned[entry.slug] = entry
        for cross in self._crosses(planned, complete=not editions):
            planned[cross.slug] = cross
        return tuple(planned.values())

    def _hierarchy(self, hierarchy: Hierarchy, edition: Edition) -> Iterator[Planned]:
        families = [suite for suite in edition.suites if suite in hierarchy.suites]
        for suite in families or edition.suites:
            made: dict[str, str] = {}
            authorities: list[tuple[str, str]] = []
            for branch in hierarchy.branches:
                if branch.name in edition.branches:
                    for entry in self._branch(hierarchy, edition, suite, branch, made):
                        if not entry.held:
                            authorities.append((entry.slug, entry.issuer_slug))
                        yield entry
            for slug, issuer in authorities:
                if edition.ocsp_role and (hierarchy.ocsp == "all" or (hierarchy.ocsp == "sub-cas" and issuer)):
                    leaf = self._entry(hierarchy, edition, suite, edition.ocsp_role, slug, held=True)
                    yield _renamed(leaf, f"{slug}-{edition.ocsp_role}")

    def _branch(
        self, hierarchy: Hierarchy, edition: Edition, suite: str, branch: BranchPlan, made: dict[str, str]
    ) -> Iterator[Planned]:
        """Root, sub-CAs and held leafs of one branch; ``made`` maps the roles made so far to their slugs."""
        known = edition.branches[branch.name]
        issuer = ""
        for role in (branch.root, *(known.sub_cas[-branch.sub_cas :] if branch.sub_cas else ())):
            if role not in made:
                entry = self._entry(hierarchy, edition, suite, role, issuer)
                made[role] = entry.slug
                yield entry
            issuer = made[role]
        for role in branch.held:
            if role in known.leafs and suite in self.catalogue.suites(edition.name, role):
                yield self._entry(hierarchy, edition, suite, role, issuer, held=True)

    def _entry(
        self, hierarchy: Hierarchy, edition: Edition, suite: str, role: str, issuer: str, *, held: bool = False
    ) -> Planned:
        family = f"-{suite}" if len(edition.suites) > 1 else ""
        options: dict[str, str] = {}
        if hierarchy.options:
            offered = self.catalogue.options(edition.name, role, suite)
            options = {name: choice for name, choice in hierarchy.options.items() if name in offered}
        return Planned(
            slug=f"{hierarchy.prefix}{edition.short}{family}-{role}",
            edition=edition.name,
            suite=suite,
            role=role,
            issuer_slug=issuer,
            held=held,
            name=hierarchy.names.get(role, ""),
            options=options,
            org=hierarchy.org,
        )

    def _crosses(self, planned: Mapping[str, Planned], *, complete: bool) -> Iterator[Planned]:
        roots = {slug: entry for slug, entry in planned.items() if not entry.issuer_slug}
        for subject, issuer in self.crosses:
            if subject not in roots or issuer not in roots:
                if complete:
                    missing = issuer if subject in roots else subject
                    raise self._refuse("cross", f'there is no root "{missing}"', did_you_mean(missing, list(roots)))
                continue
            signer, certified = roots[issuer], roots[subject]
            edition = self.catalogue.edition(signer.edition)
            if not edition.cross_role or (signer.edition, signer.suite) != (certified.edition, certified.suite):
                raise self._refuse("cross", f'"{subject}" and "{issuer}" belong to different editions or key families')
            yield Planned(
                slug=f"{issuer}-{edition.cross_role}-{subject}",
                edition=signer.edition,
                suite=signer.suite,
                role=edition.cross_role,
                issuer_slug=issuer,
                subject_slug=subject,
            )

    def _refuse(self, key: str, reason: str, hint: str = "") -> V2GPKIError:
        facts = {"file": self.file, "key": key}
        return V2GPKIError("profile.bad_value", f"{self.file}: {key}: {reason}", hint=hint, facts=facts)


def load_lab(path: Path | None, catalogue: Catalogue) -> Lab:
    """Read and check a lab file (None: the built-in one) against the catalogue's editions."""
    file = path or catalogue.lab_file
    layered = Layered()
    layered.lay(parse_toml(file), Origin(str(file)))
    top = Table(layered, layered.tree)
    hierarchies = tuple(_hierarchy(table, catalogue) for table in top.tables("hierarchy"))
    if not hierarchies:
        top.refuse("hierarchy", "at least one [[hierarchy]] is needed")
    crosses = []
    for table in top.tables("cross"):
        crosses.append((table.text("subject"), table.text("issuer")))
        if len(set(crosses[-1])) == 1:
            table.refuse("issuer", "a root does not cross-certify itself")
        table.done()
    top.done()
    names = [hierarchy.name for hierarchy in hierarchies]
    for name in names:
        if names.count(name) > 1:
            top.refuse("hierarchy", f'two hierarchies are called "{name}"')
    return Lab(str(file), hierarchies, tuple(crosses), catalogue)


def _hierarchy(table: Table, catalogue: Catalogue) -> Hierarchy:
    name = table.text("name", _DEFAULT)
    if not _NAME.fullmatch(name):
        table.refuse("name", f'"{name}" cannot start a slug: lower-case letters, digits and single hyphens')
    editions = table.texts("editions", among=catalogue.editions())
    if not editions:
        table.refuse("editions", "at least one edition is needed")
    known = [catalogue.edition(edition) for edition in editions]
    suites = sorted({suite for edition in known for suite in edition.suites})
    branches = table.table("branch")
    hierarchy = Hierarchy(
        name=name,
        editions=editions,
        suites=table.texts("suites", (), among=suites),
        branches=tuple(_branch(branches, label, known, catalogue) for label in branches.labels()),
        ocsp=_SCOPES[table.text("ocsp", "all", among=list(_SCOPES))],
        options=_options(table.table("options"), known, catalogue),
        names=_names(table.table("name_of"), known, catalogue),
        org=table.text("org", ""),
    )
    table.done()
    return hierarchy


def _branch(branches: Table, label: str, editions: Sequence[Edition], catalogue: Catalogue) -> BranchPlan:
    known = [(edition, edition.branches[label]) for edition in editions if label in edition.branches]
    if not known:
        names = sorted({name for edition in editions for name in edition.branches})
        branches.refuse(label, "no edition of this hierarchy has this branch", hint=did_you_mean(label, names))
    table = branches.table(label)
    roots = list(dict.fromkeys(root for _, branch in known for root in branch.roots))
    most = min(len(branch.sub_cas) for _, branch in known)
    plan = BranchPlan(
        name=label,
        root=table.text("root", roots[0], among=roots),
        sub_cas=table.number("sub_cas", 0, most) if table.has("sub_cas") else most,
        held=table.texts("held", (), among=sorted({leaf for _, branch in known for leaf in branch.leafs})),
    )
    table.skip("sub_cas")
    table.done()
    for edition, branch in known:
        _check_lawful(table, plan, edition, branch, catalogue)
    return plan


def _check_lawful(table: Table, plan: BranchPlan, edition: Edition, branch: Branch, catalogue: Catalogue) -> None:
    """Refuse a branch in which one role would certify another that it may not; the usual shape needs no check."""
    if plan.root not in branch.roots:
        table.refuse("root", f"{plan.root} is no root of this branch in {edition.name}")
    sub_cas = branch.sub_cas[-plan.sub_cas :] if plan.sub_cas else ()
    if plan.root == branch.roots[0] and sub_cas == branch.sub_cas and sub_cas:
        return
    chain = (plan.root, *sub_cas)
    for issuer, role in zip(chain, sub_cas, strict=False):
        _check_issuer(table, "root", issuer, catalogue.profile(edition.name, role))
    able = [leaf for leaf in branch.leafs if chain[-1] in catalogue.profile(edition.name, leaf).issuers]
    for leaf in plan.held or (() if able else branch.leafs):
        if leaf in branch.leafs:
            _check_issuer(table, "sub_cas", chain[-1], catalogue.profile(edition.name, leaf))


def _check_issuer(table: Table, key: str, issuer: str, profile: Profile) -> None:
    if issuer not in profile.issuers:
        table.refuse(
            key,
            f"{issuer} would have to certify {profile.role} of {profile.edition}, which it may not",
            hint=f"{profile.role} is certified by: {', '.join(profile.issuers)}",
            clause=profile.clause,
        )


def _options(table: Table, editions: Sequence[Edition], catalogue: Catalogue) -> Mapping[str, str]:
    chosen = {name: table.text(name) for name in table.labels()}
    if not chosen:
        return chosen
    offered: dict[str, set[str]] = {}
    for edition in editions:
        for role in catalogue.roles(edition.name):
            for option in catalogue.options(edition.name, role).values():
                offered.setdefault(option.name, set()).update(option.choices)
    for name, choice in chosen.items():
        if name not in offered:
            table.refuse(name, "no role of this hierarchy has this option", hint=did_you_mean(name, list(offered)))
        if choice not in offered[name]:
            table.refuse(name, f'there is no choice "{choice}"', hint=did_you_mean(choice, list(offered[name])))
    return chosen


def _names(table: Table, editions: Sequence[Edition], catalogue: Catalogue) -> Mapping[str, str]:
    roles = sorted({role for edition in editions for role in catalogue.roles(edition.name)})
    for role in table.labels():
        if role not in roles:
            table.refuse(role, "there is no such role", hint=did_you_mean(role, roles))
    return {role: table.text(role) for role in table.labels()}


def _renamed(entry: Planned, slug: str) -> Planned:
    return Planned(
        slug, entry.edition, entry.suite, entry.role, entry.issuer_slug, entry.held, "", entry.options, entry.org
    )
