"""The extensions: presence, criticality, and what they say.

Refuses duplicates, unreadable values, unknown critical extensions, and whatever the profile's rules for
BasicConstraints, KeyUsage, EKU, key identifiers, AIA-OCSP, CRL-DP, policies and ocsp-nocheck exclude.
Clauses: RFC 5280 4.2, RFC 6960 4.2.2.2.1, and the profile's own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from v2gpki.certs.lint import extension_values as ext
from v2gpki.certs.lint.case import Case, Check
from v2gpki.certs.lint.key import public_octets
from v2gpki.certs.lint.reader import dotted_oid, number, oid_octets
from v2gpki.identifiers.named import address_octets
from v2gpki.profile.model import KEY_USAGE_BITS, Presence, Profile

_KNOWN_NAMES = frozenset(name for name, _ in ext.KNOWN.values())
_URL = re.compile(rb"(?:https?|ldap)://[!-~]+")


@dataclass(frozen=True, slots=True)
class _Codes:
    """The codes of an extension that is only judged by being there."""

    missing: str
    forbidden: str


def extension_checks(profile: Profile) -> Iterator[Check]:
    """The checks of the extensions for one profile."""
    yield _check_readable
    yield _check_unknown
    yield _criticality_check(profile)
    yield _basic_constraints_check(profile)
    yield _key_usage_check(profile)
    yield _purpose_check(profile)
    yield _subject_key_check(profile)
    yield _authority_key_check(profile)
    yield _ocsp_check(profile)
    yield _crl_check(profile)
    yield _policies_check(profile)
    yield _nocheck_check(profile)
    yield _alternative_name_check(profile)


def _check_readable(case: Case) -> None:
    """Duplicates and values that cannot be read."""
    seen: set[bytes] = set()
    for extension in case.facts.extensions:
        if extension.oid in seen:
            case.report.add(
                "lint.extensions.duplicate",
                f"the extension {extension.name} stands there more than once",
                f"extensions.{extension.name}",
                "RFC 5280 4.2",
            )
        seen.add(extension.oid)
    for name, problem in case.facts.values.broken.items():
        case.report.add(
            "lint.extensions.malformed",
            f"the extension {name} cannot be read: {problem}",
            f"extensions.{name}",
            "RFC 5280 4.2.1",
        )


def _check_unknown(case: Case) -> None:
    """Extensions that the profile knows nothing of."""
    for extension in case.facts.extensions:
        if extension.name in _KNOWN_NAMES:
            continue
        where = f"extensions.{extension.name}"
        if extension.critical:
            message = f"the critical extension {extension.name} is not known here"
            case.report.add("lint.extensions.unknown_critical", message, where, "RFC 5280 4.2")
        else:
            message = f"the extension {extension.name} is in no profile and was not judged"
            case.report.add("lint.extensions.unknown", message, where, "RFC 5280 4.2")


def _criticality_check(profile: Profile) -> Check:
    wanted = {
        ext.BASIC_CONSTRAINTS: (profile.basic_constraints.critical, profile.basic_constraints.clause),
        ext.KEY_USAGE: (profile.key_usage.critical, profile.key_usage.clause),
        ext.EXTENDED_KEY_USAGE: (profile.extended_key_usage.critical, profile.extended_key_usage.clause),
        ext.SUBJECT_KEY_IDENTIFIER: (False, profile.subject_key_identifier.clause),
        ext.AUTHORITY_KEY_IDENTIFIER: (False, profile.authority_key_identifier.clause),
        ext.AUTHORITY_INFORMATION_ACCESS: (False, profile.ocsp.clause),
        ext.CRL_DISTRIBUTION_POINTS: (False, profile.crl.clause),
        ext.CERTIFICATE_POLICIES: (False, profile.policies.clause),
        ext.OCSP_NOCHECK: (False, "RFC 6960 4.2.2.2.1"),
        ext.SUBJECT_ALTERNATIVE_NAME: (False, "RFC 5280 4.2.1.6"),
    }

    def check(case: Case) -> None:
        for extension in case.facts.extensions:
            critical, clause = wanted.get(extension.name, (extension.critical, ""))
            if extension.critical != critical:
                case.report.add(
                    "lint.extensions.criticality",
                    f"{extension.name} is {'' if extension.critical else 'not '}critical, "
                    f"it must {'' if critical else 'not '}be",
                    f"extensions.{extension.name}",
                    clause or "RFC 5280 4.2.1",
                    critical=extension.critical,
                )

    return check


def _basic_constraints_check(profile: Profile) -> Check:
    rule = profile.basic_constraints
    where = f"extensions.{ext.BASIC_CONSTRAINTS}"

    def check(case: Case) -> None:
        if case.facts.has(ext.BASIC_CONSTRAINTS) is None:
            message = "BasicConstraints is missing"
            case.report.add("lint.basic_constraints.missing", message, where, rule.clause)
            return
        found = case.facts.values.basic_constraints
        if found is None:
            return
        if found.ca != rule.ca:
            message = f"cA is {str(found.ca).upper()}, the profile demands {str(rule.ca).upper()}"
            case.report.add("lint.basic_constraints.ca", message, f"{where}.cA", rule.clause)
        if found.path_length != rule.path_length:
            have = "absent" if found.path_length is None else number(found.path_length)
            want = "none" if rule.path_length is None else str(rule.path_length)
            message = f"the path length is {have}, the profile demands {want}"
            case.report.add(
                "lint.basic_constraints.path_length", message, f"{where}.pathLenConstraint", rule.clause
            )

    return check


def _key_usage_check(profile: Profile) -> Check:
    rule = profile.key_usage
    required = frozenset(rule.required)
    discouraged = frozenset(rule.discouraged) - required
    allowed = frozenset(rule.bits) | required | frozenset(rule.optional) | discouraged
    where = f"extensions.{ext.KEY_USAGE}"

    def check(case: Case) -> None:
        report = case.report
        if case.facts.has(ext.KEY_USAGE) is None:
            report.add("lint.key_usage.missing", "KeyUsage is missing", where, rule.clause)
            return
        found = case.facts.values.key_usage
        if found is None:
            return
        bits = frozenset(found)
        for code, wrong, message in (
            ("lint.key_usage.required", required - bits, "KeyUsage lacks"),
            ("lint.key_usage.forbidden", bits - allowed, "KeyUsage may not have"),
            ("lint.key_usage.discouraged", bits & discouraged, "sources disagree whether KeyUsage may have"),
        ):
            if wrong:
                names = tuple(name for name in KEY_USAGE_BITS if name in wrong) or tuple(sorted(wrong))
                report.add(code, f"{message} {', '.join(names)}", where, rule.clause, bits=names)

    return check


def _purpose_check(profile: Profile) -> Check:
    rule = profile.extended_key_usage
    required = frozenset(oid_octets(oid) for oid in rule.required)
    allowed = required | frozenset(oid_octets(oid) for oid in (*rule.oids, *rule.optional))
    codes = _Codes("lint.extended_key_usage.missing", "lint.extended_key_usage.forbidden")
    presence: Presence = "required" if required else rule.presence
    where = f"extensions.{ext.EXTENDED_KEY_USAGE}"

    def check(case: Case) -> None:
        _judge_presence(case, ext.EXTENDED_KEY_USAGE, presence, codes, rule.clause)
        found = case.facts.values.extended_key_usage
        if found is None or presence == "forbidden":
            return
        purposes = frozenset(found)
        if required - purposes:
            names = tuple(sorted(dotted_oid(oid) for oid in required - purposes))
            message = f"ExtendedKeyUsage lacks {', '.join(names)}"
            case.report.add("lint.extended_key_usage.required", message, where, rule.clause, purposes=names)
        if purposes - allowed:
            names = tuple(sorted(dotted_oid(oid) for oid in purposes - allowed))
            message = f"ExtendedKeyUsage may not have {', '.join(names)}"
            case.report.add("lint.extended_key_usage.purpose", message, where, rule.clause, purposes=names)

    return check


def _subject_key_check(profile: Profile) -> Check:
    rule = profile.subject_key_identifier
    codes = _Codes("lint.subject_key_identifier.missing", "lint.subject_key_identifier.forbidden")
    where = f"extensions.{ext.SUBJECT_KEY_IDENTIFIER}"

    def check(case: Case) -> None:
        _judge_presence(case, ext.SUBJECT_KEY_IDENTIFIER, rule.presence, codes, rule.clause)
        found = case.facts.values.subject_key_identifier
        if found is None:
            return
        forms = key_identifier_forms(case.facts.spki)
        if found == forms[rule.form]:
            return
        for form, value in forms.items():
            if found == value:
                message = f"the key identifier has the form {form}, the profile writes {rule.form}"
                case.report.add("lint.subject_key_identifier.form", message, where, rule.clause, form=form)
                return
        message = f"the key identifier {found[:20].hex()} follows from the key by no known rule"
        case.report.add("lint.subject_key_identifier.value", message, where, rule.clause or "RFC 5280 4.2.1.2")

    return check


def key_identifier_forms(spki: bytes) -> dict[str, bytes]:
    """The key identifiers in use for a key, by form. ``sha1-160`` and ``sha1-60-bits`` are RFC 5280 4.2.1.2
    (1) and (2), ``sha1-60`` the field's 8 octets over the whole SubjectPublicKeyInfo, ``sha256-160`` RFC 7093 2 (1)."""
    octets = public_octets(spki)
    point = hashlib.sha1(octets, usedforsecurity=False).digest()
    whole = hashlib.sha1(spki, usedforsecurity=False).digest()
    return {
        "sha1-160": point,
        "sha1-60": bytes((0x40 | whole[12] & 0x0F,)) + whole[13:],
        "sha1-60-bits": bytes((0x40 | point[12] & 0x0F,)) + point[13:],
        "sha256-160": hashlib.sha256(octets).digest()[:20],
        "sha1-160-spki": whole,
    }


def _authority_key_check(profile: Profile) -> Check:
    rule = profile.authority_key_identifier
    codes = _Codes("lint.authority_key_identifier.missing", "lint.authority_key_identifier.forbidden")
    where = f"extensions.{ext.AUTHORITY_KEY_IDENTIFIER}"

    def check(case: Case) -> None:
        _judge_presence(case, ext.AUTHORITY_KEY_IDENTIFIER, rule.presence, codes, rule.clause)
        found = case.facts.values.authority_key_identifier
        if found is None:
            return
        if found.key_identifier is None:
            message = "AuthorityKeyIdentifier has no keyIdentifier"
            case.report.add("lint.authority_key_identifier.no_key", message, where, rule.clause)
        if case.issuer is None:
            return
        issuer = case.issuer.facts
        wanted = issuer.values.subject_key_identifier
        if found.key_identifier is not None and wanted is not None and found.key_identifier != wanted:
            message = (
                f"AuthorityKeyIdentifier is {found.key_identifier[:20].hex()}, the issuer's key is {wanted[:20].hex()}"
            )
            case.report.add("lint.authority_key_identifier.mismatch", message, where, rule.clause)
        elif found.serial is not None and found.serial != issuer.serial:
            message = "AuthorityKeyIdentifier names another serial number than the issuer's"
            case.report.add("lint.authority_key_identifier.mismatch", message, where, rule.clause)

    return check


def _ocsp_check(profile: Profile) -> Check:
    rule = profile.ocsp
    where = f"extensions.{ext.AUTHORITY_INFORMATION_ACCESS}"

    def check(case: Case) -> None:
        values = case.facts.values
        if rule.presence == "required" and not values.ocsp_urls:
            if ext.AUTHORITY_INFORMATION_ACCESS not in values.broken:
                message = "AuthorityInfoAccess names no OCSP responder"
                case.report.add("lint.ocsp.missing", message, where, rule.clause)
        elif rule.presence == "forbidden" and values.ocsp_urls:
            message = "AuthorityInfoAccess may not name an OCSP responder"
            case.report.add("lint.ocsp.forbidden", message, where, rule.clause)
        for url in values.ocsp_urls:
            if not _URL.fullmatch(url) or url.startswith(b"ldap"):
                message = f"the OCSP address {url[:200]!r} is no http URL"
                case.report.add("lint.ocsp.url", message, where, rule.clause or "RFC 5280 4.2.2.1")

    return check


def _crl_check(profile: Profile) -> Check:
    rule = profile.crl
    codes = _Codes("lint.crl.missing", "lint.crl.forbidden")

    def check(case: Case) -> None:
        _judge_presence(case, ext.CRL_DISTRIBUTION_POINTS, rule.presence, codes, rule.clause)
        for url in case.facts.values.crl_urls:
            if not _URL.fullmatch(url):
                case.report.add(
                    "lint.crl.url",
                    f"the CRL address {url[:200]!r} is no http or ldap URL",
                    f"extensions.{ext.CRL_DISTRIBUTION_POINTS}",
                    rule.clause or "RFC 5280 4.2.1.13",
                )

    return check


def _policies_check(profile: Profile) -> Check:
    rule = profile.policies
    codes = _Codes("lint.policies.missing", "lint.policies.forbidden")

    def check(case: Case) -> None:
        _judge_presence(case, ext.CERTIFICATE_POLICIES, rule.presence, codes, rule.clause)
        policies = case.facts.values.policies
        if len(set(policies)) != len(policies):
            message = "CertificatePolicies names a policy more than once"
            where = f"extensions.{ext.CERTIFICATE_POLICIES}"
            case.report.add("lint.policies.repeated", message, where, "RFC 5280 4.2.1.4")

    return check


def _nocheck_check(profile: Profile) -> Check:
    codes = _Codes("lint.ocsp_nocheck.missing", "lint.ocsp_nocheck.unexpected")
    presence: Presence = "required" if profile.ocsp_nocheck else "forbidden"

    def check(case: Case) -> None:
        _judge_presence(case, ext.OCSP_NOCHECK, presence, codes, "RFC 6960 4.2.2.2.1")

    return check


def _alternative_name_check(profile: Profile) -> Check:
    rule = profile.subject_alternative_name
    codes = _Codes("lint.subject_alternative_name.missing", "lint.subject_alternative_name.forbidden")
    carriers = frozenset(oid_octets(named.oid) for named in profile.subject.attributes if "{id}" in named.value)
    where = f"extensions.{ext.SUBJECT_ALTERNATIVE_NAME}"

    def check(case: Case) -> None:
        facts = case.facts
        if rule is None:
            if facts.has(ext.SUBJECT_ALTERNATIVE_NAME):
                message = "SubjectAlternativeName stands there, in Plug & Charge nobody reads it"
                case.report.add("lint.subject_alternative_name.unused", message, where, "RFC 5280 4.2.1.6")
            return
        _judge_presence(case, ext.SUBJECT_ALTERNATIVE_NAME, rule.presence, codes, rule.clause)
        if not facts.has(ext.SUBJECT_ALTERNATIVE_NAME) or ext.SUBJECT_ALTERNATIVE_NAME in facts.values.broken:
            return
        hosts = {name.lower() for name in facts.values.host_names}
        for attribute in facts.subject_attributes:
            if attribute.oid not in carriers:
                continue
            named = attribute.text or ""
            address = address_octets(named)
            if (named.lower() not in hosts) if address is None else (address not in facts.values.addresses):
                kind = "dNSName" if address is None else "iPAddress"
                message = f"no {kind} of SubjectAlternativeName is the identifier in the subject"
                case.report.add("lint.subject_alternative_name.mismatch", message, where, rule.clause)

    return check


def _judge_presence(case: Case, name: str, presence: Presence, codes: _Codes, clause: str) -> None:
    there = case.facts.has(name) is not None
    where = f"extensions.{name}"
    if presence == "required" and not there:
        case.report.add(codes.missing, f"the extension {name} is missing", where, clause)
    elif presence == "forbidden" and there:
        case.report.add(codes.forbidden, f"the extension {name} may not be there", where, clause)
