"""Files of certificates under judgement: the first by the role that was named, those above it by theirs.

A broken certificate is a finding here and no error, so files are read more leniently than elsewhere. A
certificate further up is judged by the issuing role that fits it; one that fits none, or that is not the
issuer of the one before, is reported as not judged. Trust is no subject here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from v2gpki.certs.chain import load_certificates
from v2gpki.certs.lint import lint_certificate
from v2gpki.certs.lint.facts import Facts, read_facts
from v2gpki.certs.lint.reader import MalformedError
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.suites import SUITES
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile

_BLOCK = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----(.*?)(?:-----|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Judged:
    """One certificate of a file: the profile that it was judged by (None: not judged), and the findings."""

    der: bytes
    profile: Profile | None
    findings: tuple[Finding, ...]


def certificate_octets(data: bytes) -> list[bytes]:
    """The certificates of a file (PEM, DER, PKCS#7), and what claims to be one; raises ``chain.empty``."""
    try:
        return load_certificates(data)
    except V2GPKIError as problem:
        if problem.code == "chain.empty":
            raise
    blocks = _BLOCK.findall(data)
    return [_decoded(block) for block in blocks] if blocks else [data]


def family_of(der: bytes, suites: Sequence[str]) -> str:
    """The family of those given whose algorithm signed the certificate; the first when none did."""
    facts = _facts(der)
    for name in suites:
        if facts is not None and facts.outer_algorithm == SUITES[name].signature_algorithm:
            return name
    return suites[0]


def lint_bundle(
    certificates: Sequence[bytes],
    catalogue: Catalogue,
    *,
    edition: str,
    role: str,
    suite: str | None = None,
    options: Mapping[str, str] | None = None,
    issuer: bytes | None = None,
) -> tuple[Judged, ...]:
    """Judge the certificates of one file, leaf first; ``issuer`` is the certificate above them, if known.

    ``suite`` None is the family that the first certificate's signature shows. Raises ``profile.unknown_*``.
    """
    family = suite or family_of(certificates[0], catalogue.suites(edition, role))
    profile: Profile | None = catalogue.profile(edition, role, family, options)
    known = [_facts(der) for der in certificates]
    judged: list[Judged] = []
    for at, der in enumerate(certificates):
        facts = known[at]
        if at:
            below = known[at - 1]
            follows = facts is not None and below is not None and below.issuer == facts.subject
            profile = _issuing_profile(facts, profile, catalogue) if follows and facts and profile else None
        if profile is None:
            judged.append(Judged(der, None, ()))
            continue
        above = _issuer_among(facts, known, at)
        if above is None and issuer is not None and (at == 0 or _names(facts, issuer)):
            above = issuer
        judged.append(Judged(der, profile, lint_certificate(der, profile, issuer=above)))
    return tuple(judged)


def _issuing_profile(facts: Facts, below: Profile, catalogue: Catalogue) -> Profile | None:
    """The profile of an issuer: of the roles that may issue ``below`` the one that fits with fewest errors."""
    best: tuple[int, Profile] | None = None
    constraints = facts.values.basic_constraints
    for role in below.issuers:
        if below.suite not in catalogue.suites(below.edition, role):
            continue
        profile = catalogue.profile(below.edition, role, below.suite)
        if (profile.kind == "root") != (facts.issuer == facts.subject):
            continue
        if constraints is None or constraints.path_length != profile.basic_constraints.path_length:
            continue
        errors = sum(found.severity == "error" for found in lint_certificate(facts.der, profile))
        if best is None or errors < best[0]:
            best = errors, profile
    return best[1] if best else None


def _issuer_among(facts: Facts | None, known: Sequence[Facts | None], at: int) -> bytes | None:
    """The certificate above the one at ``at`` in the same file: by name, and by key identifier if there are two."""
    if facts is None or facts.issuer == facts.subject:
        return None
    named = [one for place, one in enumerate(known) if one is not None and place != at and one.subject == facts.issuer]
    key = facts.values.authority_key_identifier
    for one in named:
        if key is not None and key.key_identifier == one.values.subject_key_identifier:
            return one.der
    return named[0].der if named else None


def _names(facts: Facts | None, issuer: bytes) -> bool:
    above = _facts(issuer)
    return facts is not None and above is not None and facts.issuer == above.subject


def _facts(der: bytes) -> Facts | None:
    try:
        return read_facts(der)
    except MalformedError:
        return None


def _decoded(block: bytes) -> bytes:
    """The octets of a PEM block; of one that is no base64 none."""
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error:
        return b""
