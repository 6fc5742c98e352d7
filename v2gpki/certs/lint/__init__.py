"""Judges one certificate by a profile: rule kinds are Python, the rules are the profile's data.

``lint_certificate`` never raises, whatever the bytes: what cannot be read is the finding
``lint.der.malformed``. It judges form and content, and with the issuer at hand also what the two must
have in common; trust, time and revocation are ``certs.path``'s.
Clauses: RFC 5280 4, and those that the profile's rules carry.
"""

from __future__ import annotations

from v2gpki.certs.lint.case import Case, Check, Issuer
from v2gpki.certs.lint.extensions import extension_checks
from v2gpki.certs.lint.facts import read_facts
from v2gpki.certs.lint.guard import HOLE_CODES, HoleGuard
from v2gpki.certs.lint.key import key_checks
from v2gpki.certs.lint.names import name_checks
from v2gpki.certs.lint.reader import MalformedError
from v2gpki.certs.lint.report import Explanation, Report, explanations
from v2gpki.certs.lint.signer import as_issuer, issuer_of, signer_checks
from v2gpki.certs.lint.structure import structure_checks
from v2gpki.certs.lint.validity import validity_checks
from v2gpki.errors import Finding
from v2gpki.profile.model import Profile

__all__ = ["HOLE_CODES", "Explanation", "HoleGuard", "explanations", "lint_certificate"]

#: Checks by profile object; the profile is kept so that its id stays its own.
_compiled: dict[int, tuple[Profile, tuple[Check, ...]]] = {}


def lint_certificate(der: bytes, profile: Profile, *, issuer: bytes | None = None) -> tuple[Finding, ...]:
    """Judge DER bytes by a profile; the findings sorted, errors first, nothing when all is well.

    ``issuer`` is the DER of the issuer's certificate: given, name, key identifier, authority, path length,
    key family, validity and signature are judged too. A root is judged as its own issuer without it.
    """
    report = Report()
    try:
        facts = read_facts(der)
    except MalformedError as problem:
        report.add("lint.der.malformed", f"this is no X.509 certificate: {problem}", "certificate", "RFC 5280 4.1")
        return report.findings()
    signer: Issuer | None = None
    if issuer is not None:
        try:
            signer = issuer_of(issuer)
        except MalformedError as problem:
            message = f"the issuer's certificate cannot be read: {problem}"
            report.add("lint.issuer.malformed", message, "issuer", "RFC 5280 4.1")
    elif not profile.issuers:
        signer = as_issuer(facts)
    case = Case(facts, signer, report)
    for check in _checks(profile):
        check(case)
    return report.findings()


def _checks(profile: Profile) -> tuple[Check, ...]:
    """The checks of a profile, made once per profile object."""
    found = _compiled.get(id(profile))
    if found is not None and found[0] is profile:
        return found[1]
    checks = (
        *structure_checks(profile),
        *name_checks(profile),
        *validity_checks(profile),
        *key_checks(profile),
        *extension_checks(profile),
        *signer_checks(profile),
    )
    if len(_compiled) >= 512:
        _compiled.clear()
    _compiled[id(profile)] = (profile, checks)
    return checks
