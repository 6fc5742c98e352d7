"""The frame of a certificate: DER, version, serial number, algorithms, size.

Refuses what is BER and not DER, anything but version 3, serials outside RFC 5280, algorithm
identifiers that differ inside and outside or are not the family's own, and too many octets.
Clauses: RFC 5280 4.1, RFC 5758 3.2, RFC 8410 3, [V2G2-006], [V2G2-010], [V2G20-2674].
"""

from __future__ import annotations

from collections.abc import Iterator

from v2gpki.certs.lint.case import Case, Check
from v2gpki.certs.lint.reader import INTEGER, SEQUENCE, MalformedError, Reader, dotted_oid
from v2gpki.certs.lint.report import Report
from v2gpki.keys.suites import SUITES
from v2gpki.profile.model import Profile, SizeRule

_SERIAL_LIMIT = 20
_SERIAL_ENTROPY = 8


def structure_checks(profile: Profile) -> Iterator[Check]:
    """The checks of the frame for one profile."""
    yield _check_der
    yield _check_version
    yield _check_serial
    yield _algorithm_check(profile)
    yield _signature_form_check(profile)
    yield lambda case: judge_size(case.report, profile.size, len(case.facts.der))
    if not profile.conformant:
        yield lambda case: _report_laboratory(case, profile)


def judge_size(report: Report, rule: SizeRule, size: int) -> None:
    """Refuse ``size`` octets of DER when they are more than the edition's messages carry."""
    if size > rule.maximum:
        report.add(
            "lint.size.too_large",
            f"the certificate has {size} octets, {rule.maximum} are allowed",
            "certificate",
            rule.clause,
            size=size,
            maximum=rule.maximum,
        )


def _check_der(case: Case) -> None:
    facts = case.facts
    for flaw in facts.flaws:
        case.report.add("lint.der.not_canonical", flaw, "certificate", "X.690 10, RFC 5280 4.1")
    for name in facts.defaults:
        message = f"{name} is written although it has its default value"
        case.report.add("lint.der.default_written", message, "certificate", "X.690 11.5")
    if facts.values.key_usage_padded:
        message = "keyUsage ends in zero bits, which DER removes"
        case.report.add("lint.der.trailing_zero_bits", message, "extensions.keyUsage", "X.690 11.2.2")
    if facts.trailing:
        case.report.add(
            "lint.der.trailing",
            f"{facts.trailing} octets follow the certificate",
            "certificate",
            "RFC 5280 4.1",
            octets=facts.trailing,
        )


def _check_version(case: Case) -> None:
    facts = case.facts
    if facts.version != 3:
        case.report.add(
            "lint.structure.version",
            f"the certificate is of version {facts.version if 0 < facts.version < 100 else 'unknown'}, not 3",
            "version",
            "RFC 5280 4.1.2.1",
        )
    if facts.unique_ids:
        case.report.add(
            "lint.structure.unique_id",
            "the certificate has an issuerUniqueID or subjectUniqueID",
            "tbsCertificate",
            "RFC 5280 4.1.2.8",
        )


def _check_serial(case: Case) -> None:
    facts = case.facts
    clause = "RFC 5280 4.1.2.2"
    if facts.serial <= 0:
        case.report.add("lint.serial.not_positive", "the serial number is zero or negative", "serialNumber", clause)
    elif facts.serial_size > _SERIAL_LIMIT:
        case.report.add(
            "lint.serial.too_long",
            f"the serial number has {facts.serial_size} octets, {_SERIAL_LIMIT} are allowed",
            "serialNumber",
            clause,
            octets=facts.serial_size,
        )
    elif facts.serial_size < _SERIAL_ENTROPY:
        case.report.add(
            "lint.serial.short",
            f"the serial number has {facts.serial_size} octets: fewer than {_SERIAL_ENTROPY} cannot be random enough",
            "serialNumber",
            clause,
            octets=facts.serial_size,
        )


def _algorithm_check(profile: Profile) -> Check:
    wanted = SUITES[profile.suite]
    clause = profile.key.clause

    def check(case: Case) -> None:
        facts = case.facts
        if facts.inner_algorithm != facts.outer_algorithm:
            case.report.add(
                "lint.signature.algorithms_differ",
                f"signatureAlgorithm is {_algorithm_text(facts.outer_algorithm)}, "
                f"inside stands {_algorithm_text(facts.inner_algorithm)}",
                "signatureAlgorithm",
                "RFC 5280 4.1.1.2",
            )
        for where, found in (
            ("tbsCertificate.signature", facts.inner_algorithm),
            ("signatureAlgorithm", facts.outer_algorithm),
        ):
            if found == wanted.signature_algorithm:
                continue
            if _algorithm_oid(found) == _algorithm_oid(wanted.signature_algorithm):
                case.report.add(
                    "lint.signature.parameters",
                    f"the algorithm has parameters, for {wanted.title} they must be absent",
                    where,
                    clause or "RFC 5758 3.2",
                )
            else:
                case.report.add(
                    "lint.signature.algorithm",
                    f"the algorithm is {_algorithm_text(found)}, the profile demands {wanted.title}",
                    where,
                    clause,
                    expected=wanted.name,
                )

    return check


def _signature_form_check(profile: Profile) -> Check:
    wanted = SUITES[profile.suite]

    def check(case: Case) -> None:
        facts = case.facts
        if facts.outer_algorithm != wanted.signature_algorithm:
            return
        problem = "it is no whole number of octets" if facts.signature_unused else ""
        if wanted.curve is None:
            if len(facts.signature) != wanted.signature_size:
                problem = f"it has {len(facts.signature)} octets, {wanted.title} has {wanted.signature_size}"
        elif not problem:
            problem = _ecdsa_problem(facts.signature)
        if problem:
            case.report.add(
                "lint.signature.malformed",
                f"the signature value is malformed: {problem}",
                "signatureValue",
                profile.key.clause or "RFC 3279 2.2.3",
            )

    return check


def _ecdsa_problem(signature: bytes) -> str:
    """Why these octets are no DER Ecdsa-Sig-Value, or nothing."""
    reader = Reader(signature)
    try:
        at, stop = reader.expect(SEQUENCE, 0, len(signature), "Ecdsa-Sig-Value")
        reader.close(stop, len(signature), "Ecdsa-Sig-Value")
        for name in ("r", "s"):
            if at < stop and signature[at] != INTEGER:
                return f"{name} is no INTEGER"
            value, at = reader.integer(at, stop, name)
            if value <= 0:
                return f"{name} is not positive"
        reader.close(at, stop, "Ecdsa-Sig-Value")
    except MalformedError as problem:
        return str(problem)
    return reader.flaws[0] if reader.flaws else ""


def _report_laboratory(case: Case, profile: Profile) -> None:
    case.report.add(
        "lint.profile.not_conformant",
        f"the profile {profile.edition}/{profile.role} is for laboratories: it follows no edition of the standard",
        "profile",
        profile.clause,
    )


def _algorithm_oid(algorithm: bytes) -> bytes:
    """The OID content octets of an AlgorithmIdentifier that ``facts`` has read."""
    reader = Reader(algorithm)
    at, stop = reader.expect(SEQUENCE, 0, len(algorithm), "an algorithm")
    return reader.object_identifier(at, stop, "an algorithm")[0]


def _algorithm_text(algorithm: bytes) -> str:
    """An AlgorithmIdentifier in words: the suite's title, else its dotted OID."""
    for suite in SUITES.values():
        if suite.signs and algorithm == suite.signature_algorithm:
            return suite.title
    return dotted_oid(_algorithm_oid(algorithm))
