"""Trust: is this chain good for this use? Path validation and the rules of the role together.

``judge`` raises one error with every finding, ``assess`` gives the same as a value. The leaf is held against
the profile of the role, each CA against the role that fits its place; lint applies the rules, and its errors
become ``role.*`` codes (the lint code stands in the facts). The anchor must be a root for this use, given with
its role or recognised by its DC; one that cannot be recognised counts. Anchors themselves are not linted: whoever
gave them decided. Nothing is kept but what ``certs.path`` keeps.
Clauses: [V2G2-884], [V2G2-885], [V2G2-924], [V2G2-925], [V2G2-009], [V2G2-867], [V2G20-2331], [V2G20-2674].
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.x509.oid import NameOID

from v2gpki.certs.der import oid
from v2gpki.certs.evidence import Evidence
from v2gpki.certs.lint import lint_certificate
from v2gpki.certs.path import PathReport, ValidPath, examine, refusal
from v2gpki.certs.path_building import about
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.suites import SUITES, family_of
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile

#: What path validation, or our own look at the whole chain, says about each link in its own words.
_SAID_ELSEWHERE = frozenset(
    {
        "lint.authority_key_identifier.mismatch",
        "lint.extensions.unknown_critical",
        "lint.issuer.key",
        "lint.issuer.name",
        "lint.issuer.not_ca",
        "lint.issuer.path_length",
        "lint.issuer.self",
        "lint.issuer.suite",
        "lint.signature.invalid",
        "lint.signature.algorithms_differ",
    }
)

#: Lint codes by prefix, the longest first that fits; the rest is ``role.profile``.
_ROLE_CODES = (
    ("lint.basic_constraints.", "role.basic_constraints"),
    ("lint.extended_key_usage.", "role.extended_key_usage"),
    ("lint.extensions.criticality", "role.criticality"),
    ("lint.identifier.", "role.identifier"),
    ("lint.key.", "role.suite"),
    ("lint.key_usage.", "role.key_usage"),
    ("lint.signature.", "role.suite"),
    ("lint.size.", "role.size"),
    ("lint.subject.", "role.subject"),
    ("lint.validity.", "role.validity"),
)

_HINTS = {
    "role.wrong_anchor": "give the root that the standard names for this use, or the right --role",
    "role.domain_component": "the issuer must write the DC of the role into the certificate",
    "role.depth": "a leaf and two sub-CAs at most; --depth allows more",
    "role.issuer": "a leaf is issued by a sub-CA of its own branch, or by a private operator root",
    "role.suite": "a chain is of one key family from the root to the leaf; --suite names another one",
}


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A root with the role that its owner gave it ("" when unknown)."""

    der: bytes
    role: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything found about a chain for one use: ``path`` from path validation, ``roles`` of its certificates
    as far as they are recognised (leaf first, "" when not), ``findings`` of both (errors) and ``notes`` (the rest).
    ``expires_soon`` tells that the leaf is inside the edition's window of notice."""

    path: PathReport
    profile: Profile
    roles: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    expires_soon: bool


@dataclass(frozen=True, slots=True)
class TrustedChain:
    """A chain that may be used for ``profile.role``; ``notes`` are findings that are no errors."""

    path: ValidPath
    profile: Profile
    roles: tuple[str, ...]
    notes: tuple[Finding, ...]
    expires_soon: bool


@dataclass(frozen=True, slots=True)
class _Use:
    """What the chain is to be used for, and by which profiles that is judged."""

    catalogue: Catalogue
    profile: Profile
    depth: int
    tolerate: frozenset[str]

    def profile_of(self, role: str) -> Profile:
        """The profile of another role of the same edition and family."""
        return self.catalogue.profile(self.profile.edition, role, self.profile.suite)


def judge(
    chain: Sequence[bytes],
    anchors: Sequence[bytes | TrustAnchor],
    *,
    catalogue: Catalogue,
    role: str,
    edition: str,
    at: datetime,
    suite: str | None = None,
    options: Mapping[str, str] | None = None,
    crls: Sequence[bytes] = (),
    ocsps: Sequence[bytes] = (),
    require_evidence: bool = False,
    ordered: bool = False,
    leaf: bytes | None = None,
    depth: int | None = None,
    tolerate: Collection[str] = (),
) -> TrustedChain:
    """Judge a chain (DER, any order) for a role; raises ``path.*`` or ``role.*`` with all findings.

    A chain that came in a message is judged with ``ordered`` (the order of the wire: the path begins with its first
    certificate), or with ``leaf``, the certificate whose key is relied on; else the leaf is whichever fits best.
    ``suite`` is the key family, by default the one that signed the leaf. ``depth`` overrides the profile's
    number of certificates below the root, ``tolerate`` names ``role.*`` or lint codes that are only noted.
    Further parameters are those of ``certs.path.validate``; unknown names raise ``profile.*``.
    """
    found = assess(
        chain,
        anchors,
        catalogue=catalogue,
        role=role,
        edition=edition,
        at=at,
        suite=suite,
        options=options,
        evidence=Evidence(crls, ocsps),
        require_evidence=require_evidence,
        ordered=ordered,
        leaf=leaf,
        depth=depth,
        tolerate=tolerate,
    )
    if found.findings:
        raise refused(found.findings)
    return TrustedChain(found.path.valid(), found.profile, found.roles, found.notes, found.expires_soon)


def assess(
    chain: Sequence[bytes],
    anchors: Sequence[bytes | TrustAnchor],
    *,
    catalogue: Catalogue,
    role: str,
    edition: str,
    at: datetime,
    suite: str | None = None,
    options: Mapping[str, str] | None = None,
    evidence: Evidence | None = None,
    require_evidence: bool = False,
    ordered: bool = False,
    leaf: bytes | None = None,
    depth: int | None = None,
    tolerate: Collection[str] = (),
) -> Assessment:
    """Like ``judge``, but what is wrong comes back as findings together with the path."""
    given = [anchor if isinstance(anchor, TrustAnchor) else TrustAnchor(anchor) for anchor in anchors]
    any_profile = catalogue.profile(edition, role, suite, options)
    known = {anchor.der: anchor.role or recognised_root(catalogue, edition, anchor.der) for anchor in given}
    fitting = [der for der, root in known.items() if not root or root in any_profile.anchors]

    def look(trusted: Sequence[bytes]) -> PathReport:
        return examine(
            chain,
            trusted,
            at=at,
            evidence=evidence,
            require_evidence=require_evidence,
            ordered=ordered,
            leaf=leaf,
        )

    report = look(fitting)
    if not report.anchored and len(fitting) < len(known):
        # No way to a root of this use: the others tell whether the chain is good for another one.
        report = look(list(known))
    path = [view(der) for der in report.certificates]
    family = suite or _family(catalogue, edition, role, path[0])
    profile = catalogue.profile(edition, role, family, options)
    use = _Use(catalogue, profile, profile.depth if depth is None else depth, frozenset(tolerate))
    below = path[:-1] if report.anchored and len(path) > 1 else path
    root = known[path[-1].der] if report.anchored else ""
    right = not root or root in profile.anchors
    roles, misplaced = _place(use, path, below, root if right else "", anchored=report.anchored)
    # Under a root for another use the CAs belong to another branch: only the leaf has a role to be judged by.
    judged = range(len(below) if right else 1)
    found = [
        *_of_shape(use, path, below, root),
        *misplaced,
        *_of_families(use, path, roles),
        *(finding for index in judged for finding in _lint(use, path, index, roles[index])),
    ]
    errors = [finding for finding in found if finding.severity == "error"]
    return Assessment(
        path=report,
        profile=profile,
        roles=(*roles, root) if len(below) < len(path) else tuple(roles),
        findings=(*report.findings, *errors),
        notes=tuple(finding for finding in found if finding.severity != "error"),
        expires_soon=path[0].not_after - catalogue.edition(edition).expiring_soon.window <= at <= path[0].not_after,
    )


def refused(findings: Sequence[Finding]) -> V2GPKIError:
    """One error for all findings of an assessment."""
    problem = refusal(findings)
    problem.hint = _HINTS.get(problem.code, problem.hint)
    return problem


def recognised_root(catalogue: Catalogue, edition: str, der: bytes) -> str:
    """The root role whose DC this root carries, "" when none or several would fit.

    Where a profile names no DC, the name of its branch in capitals stands for it, as roots in the field have it.
    """
    carried = _domain_components(view(der))
    if not carried:
        return ""
    roles = [
        role
        for role in catalogue.roles(edition)
        for profile in [catalogue.profile(edition, role, catalogue.suites(edition, role)[0])]
        if profile.kind == "root" and carried & _written_components(profile)
    ]
    return roles[0] if len(roles) == 1 else ""


def _written_components(profile: Profile) -> set[str]:
    """The DC values that mark a profile; one with a hole marks none."""
    dotted = NameOID.DOMAIN_COMPONENT.dotted_string
    named = {rule.value for rule in profile.subject.attributes if rule.oid == dotted and "{" not in rule.value}
    return named or {profile.branch.upper()}


def _domain_components(certificate: CertificateView) -> set[str]:
    attributes = certificate.x509.subject.get_attributes_for_oid(NameOID.DOMAIN_COMPONENT)
    return {str(attribute.value) for attribute in attributes}


def _family(catalogue: Catalogue, edition: str, role: str, leaf: CertificateView) -> str:
    """The family that signed the leaf, if the role has it; else the default one, against which lint then speaks."""
    families = catalogue.suites(edition, role)
    written = oid(leaf.x509.signature_algorithm_oid.dotted_string)
    return next((name for name in families if written in SUITES[name].signature_algorithm), families[0])


def _place(
    use: _Use, path: Sequence[CertificateView], below: Sequence[CertificateView], root: str, *, anchored: bool
) -> tuple[list[str], list[Finding]]:
    """A role for each certificate below the anchor, and what is wrong with their sequence.

    Among the sequences that the profiles allow, the one with the fewest lint errors is taken.
    """
    chains = list(_sequences(use, use.profile.role, len(below), root, anchored=anchored))
    if chains:
        best = min(chains, key=lambda roles: _errors(use, path, roles))
        return best, []
    # Too many or misplaced CAs: judge as far as a role is known.
    roles = max(_partial(use, use.profile.role, len(below)), key=len)
    padded = roles + [""] * (len(below) - len(roles))
    if len(below) > use.depth:
        return padded, []
    place = path[-1].subject_text if anchored else below[-1].subject_text
    message = f"no profile of {use.profile.edition} lets {place} issue what stands below it in the chain"
    finding = about("role.issuer", message, below[-1], clause="[V2G2-867], [V2G2-884]", where="issuer")
    return padded, _noted(use, [finding])


def _sequences(use: _Use, role: str, length: int, root: str, *, anchored: bool) -> Iterator[list[str]]:
    """All sequences of ``length`` roles upwards from ``role`` whose last may be issued by the root."""
    profile = use.profile if role == use.profile.role else use.profile_of(role)
    roots = [name for name in profile.issuers if use.profile_of(name).kind == "root"]
    if length == 1:
        if not anchored or (root in roots if root else roots):
            yield [role]
        return
    for issuer in profile.issuers:
        if issuer not in roots:
            for rest in _sequences(use, issuer, length - 1, root, anchored=anchored):
                yield [role, *rest]


def _partial(use: _Use, role: str, length: int) -> Iterator[list[str]]:
    """Sequences of at most ``length`` roles upwards, whatever follows."""
    yield [role]
    profile = use.profile if role == use.profile.role else use.profile_of(role)
    for issuer in profile.issuers:
        if length > 1 and use.profile_of(issuer).kind != "root":
            for rest in _partial(use, issuer, length - 1):
                yield [role, *rest]


def _errors(use: _Use, path: Sequence[CertificateView], roles: Sequence[str]) -> int:
    return sum(
        finding.severity == "error" for index, role in enumerate(roles) for finding in _lint(use, path, index, role)
    )


def _lint(use: _Use, path: Sequence[CertificateView], index: int, role: str) -> list[Finding]:
    """The findings of one certificate by the profile of its role, under ``role.*`` codes where they are errors."""
    if not role:
        return []
    profile = use.profile if index == 0 else use.profile_of(role)
    issuer = path[index + 1].der if index + 1 < len(path) else None
    found = [
        _translated(finding, path[index], role)
        for finding in lint_certificate(path[index].der, profile, issuer=issuer)
        if finding.code not in _SAID_ELSEWHERE
    ]
    return _noted(use, found)


def _translated(finding: Finding, certificate: CertificateView, role: str) -> Finding:
    facts = {
        "fingerprint": certificate.fingerprint.hex(),
        "role": role,
        "lint": finding.code,
        **finding.facts,
    }
    code = finding.code
    if finding.severity == "error":
        code = next((ours for prefix, ours in _ROLE_CODES if code.startswith(prefix)), "role.profile")
        if finding.where == "subject.DC":
            code = "role.domain_component"
    message = f"{certificate.subject_text}: {finding.message}"
    return replace(finding, code=code, message=message, subject=certificate.subject_text, facts=facts)


def _of_shape(
    use: _Use, path: Sequence[CertificateView], below: Sequence[CertificateView], root: str
) -> list[Finding]:
    """Anchor and depth: what no single certificate shows."""
    profile, leaf, anchor = use.profile, path[0], path[-1]
    findings: list[Finding] = []
    if root and root not in profile.anchors:
        message = (
            f"{anchor.subject_text} is a root for another use ({root}); "
            f"a chain for {profile.role} must end at: {', '.join(profile.anchors)}"
        )
        findings.append(about("role.wrong_anchor", message, anchor, clause="[V2G2-925]", role=root))
    if len(below) > use.depth:
        message = f"the chain has {len(below)} certificates below the root, {use.depth} are allowed"
        findings.append(
            about("role.depth", message, leaf, clause="[V2G2-009]", allowed=use.depth, found=len(below))
        )
    return _noted(use, findings)


def _of_families(use: _Use, path: Sequence[CertificateView], roles: Sequence[str]) -> list[Finding]:
    """The key of every certificate that lint does not see: the anchor, and CAs without a role."""
    findings: list[Finding] = []
    for index, one in enumerate(path):
        suite = family_of(one.spki)
        if index == 0 or (index < len(roles) and roles[index]) or (suite and suite.name == use.profile.suite):
            continue
        message = (
            f"the key of {one.subject_text} is {suite.title if suite else 'of no suite of ISO 15118'}, "
            f"the chain is judged as {SUITES[use.profile.suite].title}"
        )
        findings.append(about("role.suite", message, one, clause="[V2G2-007], [V2G20-2674], [V2G20-2319]"))
    return _noted(use, findings)


def _noted(use: _Use, findings: Sequence[Finding]) -> list[Finding]:
    """Tolerated codes become warnings."""
    return [
        replace(finding, severity="warning")
        if finding.severity == "error" and {finding.code, str(finding.facts.get("lint", ""))} & use.tolerate
        else finding
        for finding in findings
    ]
