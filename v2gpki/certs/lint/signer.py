"""What a certificate and its issuer must have in common: name, authority, path length, key family, signature.

A root is its own issuer. Refuses an issuer that may not sign certificates, whose path length is used
up, whose key is of another family, and every signature that does not verify.
Clauses: RFC 5280 4.1.2.4, 6.1.3, 6.1.4; [V2G2-867], [V2G2-009].
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from v2gpki.certs.lint.case import Case, Check, Issuer
from v2gpki.certs.lint.facts import Facts, read_facts
from v2gpki.certs.lint.key import suite_name
from v2gpki.certs.lint.reader import number
from v2gpki.certs.lint.report import Report
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, PublicKey, load_public_key
from v2gpki.profile.model import Profile


@lru_cache(maxsize=256)
def issuer_of(der: bytes) -> Issuer:
    """An issuer's certificate made ready; bytes that are none raise ``reader.MalformedError``."""
    return as_issuer(read_facts(der))


def as_issuer(facts: Facts) -> Issuer:
    """A certificate in the part of the issuer."""
    return Issuer(facts, suite_name(facts.spki), _public_key(facts.spki))


def signer_checks(profile: Profile) -> Iterator[Check]:
    """The checks that concern the issuer, for one profile."""
    yield _name_check(profile)
    yield _authority_check(profile)
    yield _family_check(profile)
    yield _check_signature


def judge_path_length(report: Report, path_length: int | None, *, ca: bool, clause: str) -> None:
    """Refuse a CA certificate below an issuer whose path length is used up."""
    if ca and path_length is not None and path_length < 1:
        report.add(
            "lint.issuer.path_length",
            f"the issuer's path length {number(path_length)} allows no CA certificate below it",
            "issuer",
            clause or "RFC 5280 6.1.4",
        )


def _name_check(profile: Profile) -> Check:
    is_root = not profile.issuers

    def check(case: Case) -> None:
        facts = case.facts
        if not facts.issuer_attributes:
            case.report.add("lint.issuer.empty", "the issuer's name is empty", "issuer", "RFC 5280 4.1.2.4")
        if is_root and facts.issuer != facts.subject:
            case.report.add(
                "lint.issuer.not_self", "a root is its own issuer, here the names differ", "issuer", profile.clause
            )
        elif profile.kind == "leaf" and facts.issuer == facts.subject:
            case.report.add(
                "lint.issuer.self", "the certificate names itself as its issuer", "issuer", profile.clause
            )
        if case.issuer is not None and case.issuer.facts is not facts and facts.issuer != case.issuer.facts.subject:
            case.report.add(
                "lint.issuer.name",
                "the issuer's name is not, octet by octet, the subject of the issuer's certificate",
                "issuer",
                "RFC 5280 6.1.3 (a)(4)",
            )

    return check


def _authority_check(profile: Profile) -> Check:
    def check(case: Case) -> None:
        if case.issuer is None or case.issuer.facts is case.facts:
            return
        values = case.issuer.facts.values
        constraints, usage = values.basic_constraints, values.key_usage
        if constraints is None or not constraints.ca:
            message = "the issuer's certificate is no CA certificate"
            case.report.add("lint.issuer.not_ca", message, "issuer", profile.basic_constraints.clause)
            return
        if usage is not None and "keyCertSign" not in usage:
            message = "the issuer's KeyUsage lacks keyCertSign"
            case.report.add("lint.issuer.not_ca", message, "issuer", profile.key_usage.clause)
        own = case.facts.values.basic_constraints
        judge_path_length(
            case.report,
            constraints.path_length,
            ca=own is not None and own.ca and case.facts.issuer != case.facts.subject,
            clause=profile.basic_constraints.clause,
        )

    return check


def _family_check(profile: Profile) -> Check:
    wanted = SUITES[profile.suite]

    def check(case: Case) -> None:
        if case.issuer is None or case.issuer.facts is case.facts or case.issuer.suite == wanted.name:
            return
        found = SUITES[case.issuer.suite].title if case.issuer.suite else "of no known suite"
        case.report.add(
            "lint.issuer.suite",
            f"the issuer's key is {found}, the whole chain must be {wanted.title}",
            "issuer",
            profile.key.clause,
            expected=wanted.name,
        )

    return check


def _check_signature(case: Case) -> None:
    issuer = case.issuer
    if issuer is None:
        return
    if issuer.key is None:
        message = "the issuer's key is broken or of no suite in use: the signature cannot be verified"
        case.report.add("lint.issuer.key", message, "issuer", "RFC 5280 6.1.3 (a)(1)")
    elif not _verifies(issuer.key, case.facts):
        case.report.add(
            "lint.signature.invalid",
            "the signature does not verify with the issuer's key",
            "signatureValue",
            "RFC 5280 6.1.3 (a)(1)",
        )


def _verifies(key: PublicKey, facts: Facts) -> bool:
    """Whether the signature over tbsCertificate is the key's, by the algorithm that the certificate names."""
    for suite in SUITES.values():
        if suite.signs and facts.outer_algorithm == suite.signature_algorithm:
            break
    else:
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and suite.hash is not None:
            key.verify(facts.signature, facts.tbs, ec.ECDSA(suite.hash))
        elif isinstance(key, ed448.Ed448PublicKey) and suite.hash is None:
            key.verify(facts.signature, facts.tbs)
        else:
            return False
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _public_key(spki: bytes) -> PublicKey | None:
    """The key, None when it is broken or of no suite of ours."""
    try:
        return load_public_key(spki)
    except V2GPKIError:
        return None
