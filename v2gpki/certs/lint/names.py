"""The subject: which attributes stand there, in which string type, with which value.

Refuses missing, forbidden, repeated and (when the profile is closed) unlisted attributes, string types
that the profile or RFC 5280 does not allow, control characters, values over the X.520 bounds, and
identifiers that are none. A DC is an IA5String and nothing else.
Clauses: RFC 5280 4.1.2.4, 4.1.2.6 and appendix A.1, RFC 4519 2.4, and the profile's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from v2gpki.certs.lint.case import Case, Check
from v2gpki.certs.lint.facts import STRING_TYPES, Attribute
from v2gpki.certs.lint.reader import (
    IA5_STRING,
    PRINTABLE_STRING,
    UTF8_STRING,
    dotted_oid,
    oid_octets,
)
from v2gpki.certs.lint.report import Report
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, recognise
from v2gpki.profile.model import AttributeRule, IdentifierRule, Profile

#: Tags of the string types that profiles name.
TAGS: Mapping[str, int] = {"utf8": UTF8_STRING, "printable": PRINTABLE_STRING, "ia5": IA5_STRING}

#: Attribute types of X.520 and RFC 4519: short name -> OID, largest number of characters (0: no bound).
_KNOWN_TYPES: Mapping[str, tuple[str, int]] = {
    "CN": ("2.5.4.3", 64),
    "SN": ("2.5.4.4", 32768),
    "serialNumber": ("2.5.4.5", 64),
    "C": ("2.5.4.6", 2),
    "L": ("2.5.4.7", 128),
    "ST": ("2.5.4.8", 128),
    "street": ("2.5.4.9", 128),
    "O": ("2.5.4.10", 64),
    "OU": ("2.5.4.11", 64),
    "title": ("2.5.4.12", 64),
    "GN": ("2.5.4.42", 32768),
    "dnQualifier": ("2.5.4.46", 64),
    "organizationIdentifier": ("2.5.4.97", 0),
    "UID": ("0.9.2342.19200300.100.1.1", 0),
    "DC": ("0.9.2342.19200300.100.1.25", 0),
    "emailAddress": ("1.2.840.113549.1.9.1", 255),
}
_COUNTRY = oid_octets("2.5.4.6")
_SHORT_NAMES: Mapping[bytes, str] = {oid_octets(oid): name for name, (oid, _) in _KNOWN_TYPES.items()}
_BOUNDS: Mapping[bytes, int] = {oid_octets(oid): bound for oid, bound in _KNOWN_TYPES.values()}

#: Types whose string type RFC 5280 fixes, whatever a profile says.
_FIXED_STRINGS: Mapping[bytes, int] = {
    oid_octets(_KNOWN_TYPES[name][0]): tag
    for name, tag in (
        ("DC", IA5_STRING),
        ("emailAddress", IA5_STRING),
        ("C", PRINTABLE_STRING),
        ("serialNumber", PRINTABLE_STRING),
        ("dnQualifier", PRINTABLE_STRING),
    )
}
_DIRECTORY_STRINGS = (UTF8_STRING, PRINTABLE_STRING)

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: A hole of a subject template.
HOLE = re.compile(r"\{(\w+)\}")
#: Longer values are named by their length and not searched.
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Attributed:
    """An attribute rule made ready: OID octets, accepted tags, the pattern of its template, the
    number of characters that the template itself brings, whether ``{id}`` is in it, and the X.520 bound (0: none)."""

    rule: AttributeRule
    oid: bytes
    tags: tuple[int, ...]
    pattern: re.Pattern[str]
    literal: int
    identifies: bool
    bound: int


def attributed(rule: AttributeRule) -> Attributed:
    """Make one attribute rule ready."""
    oid = oid_octets(rule.oid)
    fixed = _FIXED_STRINGS.get(oid)
    pieces = HOLE.split(rule.value)
    pattern = "".join(f"(?P<{piece}>.+)" if at % 2 else re.escape(piece) for at, piece in enumerate(pieces))
    return Attributed(
        rule,
        oid,
        (fixed,) if fixed else tuple(TAGS[name] for name in rule.accept),
        re.compile(pattern, re.DOTALL),
        sum(len(piece) for piece in pieces[::2]),
        "id" in pieces[1::2],
        _BOUNDS.get(oid, 0),
    )


def name_checks(profile: Profile) -> Iterator[Check]:
    """The checks of the subject (and the string forms of the issuer's name) for one profile."""
    rules = tuple(attributed(rule) for rule in profile.subject.attributes)
    by_oid = {rule.oid: rule for rule in rules}
    yield _form_check(by_oid, profile.subject.clause)
    yield _presence_check(profile, rules, by_oid)
    yield _value_check(rules, profile.identifier)
    if profile.subject.ordered:
        yield _order_check(profile, by_oid)


def judge_identifier(report: Report, rule: IdentifierRule, text: str, where: str) -> None:
    """Judge the value of an attribute that carries the identifier."""
    try:
        identifier = recognise(rule.kinds, text)
    except V2GPKIError as problem:
        report.add(
            "lint.identifier.kind",
            problem.message,
            where,
            rule.clause or problem.clause,
            kinds=rule.kinds,
        )
        return
    if identifier.normal != text:
        report.add(
            "lint.identifier.not_normal",
            f"the value is {text!r}, the normal form of this {identifier.kind.upper()} is {identifier.normal!r}",
            where,
            rule.clause,
            normal=identifier.normal,
        )
    _report_doubts(report, rule, identifier, where)


def _report_doubts(report: Report, rule: IdentifierRule, identifier: Identifier, where: str) -> None:
    """Pass on what the identifier's own reader noticed, such as a wrong check digit."""
    for doubt in identifier.warnings:
        code = "lint.identifier.noted" if doubt.severity == "info" else "lint.identifier.doubtful"
        report.add(code, doubt.message, where, doubt.clause or rule.clause, reason=doubt.code)


@dataclass(frozen=True, slots=True)
class TextCodes:
    """The codes for a value's text: an identifier's are apart, since it alone is a hole of the template."""

    characters: str
    length: str


SUBJECT_TEXT = TextCodes("lint.subject.characters", "lint.subject.length")
IDENTIFIER_TEXT = TextCodes("lint.identifier.characters", "lint.identifier.length")


def judge_text(report: Report, codes: TextCodes, oid: bytes, text: str, where: str, *, tag: int) -> None:
    """Judge characters and length of one value of a name; ``tag`` is its string type."""
    if _CONTROL.search(text):
        report.add(codes.characters, f"the value holds a control character: {text[:64]!r}", where, "RFC 5280 4.1.2.6")
    elif not fits(tag, text):
        kind = STRING_TYPES[tag][0]
        message = f"the value is a {kind}, whose alphabet lacks a character of {text[:64]!r}"
        report.add(codes.characters, message, where, "X.680 41.4")
    least = 2 if oid == _COUNTRY else 1
    most = _BOUNDS.get(oid, 0)
    if len(text) < least or (most and len(text) > most):
        report.add(
            codes.length,
            f"the value has {len(text)} characters, at {'least' if len(text) < least else 'most'} "
            f"{least if len(text) < least else most} are allowed",
            where,
            "RFC 5280 A.1",
            characters=len(text),
        )


def fits(tag: int, text: str) -> bool:
    """Whether the string type can hold the text (a reader has decoded the others already)."""
    if tag == PRINTABLE_STRING:
        return _PRINTABLE.fullmatch(text) is not None
    return tag != IA5_STRING or text.isascii()


def _form_check(by_oid: Mapping[bytes, Attributed], clause: str) -> Check:
    """String type, characters and length of every attribute of the subject."""

    def check(case: Case) -> None:
        report = case.report
        last = -1
        for attribute in case.facts.subject_attributes:
            where = f"subject.{_short_name(attribute.oid, by_oid)}"
            if attribute.rdn == last:
                report.add(
                    "lint.subject.multi_valued",
                    "the attribute shares its RDN with another one",
                    where,
                    clause,
                )
            last = attribute.rdn
            rule = by_oid.get(attribute.oid)
            _judge_string_type(report, attribute, rule, where, clause)
            if attribute.text is not None:
                codes = IDENTIFIER_TEXT if rule is not None and rule.identifies else SUBJECT_TEXT
                judge_text(report, codes, attribute.oid, attribute.text, where, tag=attribute.tag)

    return check


def _judge_string_type(report: Report, attribute: Attribute, rule: Attributed | None, where: str, clause: str) -> None:
    fixed = _FIXED_STRINGS.get(attribute.oid)
    if rule is not None:
        tags, source = rule.tags, rule.rule.clause or clause
    elif fixed:
        tags, source = (fixed,), "RFC 5280 4.1.2.4"
    else:
        tags, source = _DIRECTORY_STRINGS, "RFC 5280 4.1.2.4"
    found = STRING_TYPES.get(attribute.tag, (f"a value with the tag {attribute.tag:02x}", ""))[0]
    if attribute.tag not in tags:
        wanted = " or ".join(STRING_TYPES[tag][0] for tag in tags)
        report.add("lint.subject.string_type", f"the value is {found}, allowed is {wanted}", where, source, found=found)
    elif attribute.text is None:
        report.add("lint.subject.characters", f"the value cannot be decoded as {found}", where, source)


def _presence_check(profile: Profile, rules: tuple[Attributed, ...], by_oid: Mapping[bytes, Attributed]) -> Check:
    """Missing, forbidden, unlisted and repeated attributes."""
    subject = profile.subject
    needs_identifier = demands_identifier(profile, rules)
    forbidden = {
        oid_octets(rule.oid): rule.clause
        for rule in (*subject.attributes, *subject.excluded)
        if rule.presence == "forbidden"
    }
    allowed = Counter(rule.oid for rule in rules)

    def check(case: Case) -> None:
        report = case.report
        counts: dict[bytes, int] = {}
        for attribute in case.facts.subject_attributes:
            counts[attribute.oid] = counts.get(attribute.oid, 0) + 1
        for oid, count in counts.items():
            name = _short_name(oid, by_oid)
            where = f"subject.{name}"
            rule = by_oid.get(oid)
            if oid in forbidden:
                clause = forbidden[oid] or subject.clause
                report.add("lint.subject.forbidden", f"the subject may not have {name}", where, clause)
            elif rule is None:
                if subject.closed:
                    message = f"the subject has {name}, which the profile does not list"
                    report.add("lint.subject.unlisted", message, where, subject.clause)
            elif count > allowed[oid]:
                message = f"the subject has {name} {count} times, {allowed[oid]} is allowed"
                report.add("lint.subject.repeated", message, where, rule.rule.clause or subject.clause)
        for rule in rules:
            if rule.rule.presence == "required" and rule.oid not in counts and not rule.identifies:
                _report_missing(report, rule.rule, subject.clause)
        if needs_identifier and not any(rule.identifies and rule.oid in counts for rule in rules):
            report_no_identifier(report, profile.identifier)

    return check


def demands_identifier(profile: Profile, rules: tuple[Attributed, ...]) -> bool:
    """Whether a subject without an identifier breaks the profile."""
    return profile.identifier.required or any(rule.identifies and rule.rule.presence == "required" for rule in rules)


def _report_missing(report: Report, rule: AttributeRule, clause: str) -> None:
    wanted = f" ({rule.value})" if rule.fixed else ""
    where = f"subject.{rule.type}"
    report.add("lint.subject.missing", f"the subject has no {rule.type}{wanted}", where, rule.clause or clause)


def report_no_identifier(report: Report, rule: IdentifierRule) -> None:
    """Note that the subject carries no identifier at all."""
    kinds = ", ".join(kind.upper() for kind in rule.kinds)
    report.add("lint.identifier.missing", f"the subject carries no identifier ({kinds})", "subject", rule.clause)


def _value_check(rules: tuple[Attributed, ...], identifier: IdentifierRule) -> Check:
    """Values that the profile fixes, and identifiers."""
    by_oid: dict[bytes, list[Attributed]] = {}
    for rule in rules:
        by_oid.setdefault(rule.oid, []).append(rule)
    judged = {
        oid: tuple(some)
        for oid, some in by_oid.items()
        if all(rule.rule.fixed for rule in some) or any(rule.identifies and identifier.kinds for rule in some)
    }

    def check(case: Case) -> None:
        for attribute in case.facts.subject_attributes:
            some = judged.get(attribute.oid)
            if some is None or attribute.text is None:
                continue
            where = f"subject.{some[0].rule.type}"
            text = attribute.text[:_LONGEST]
            matched = [(rule, found) for rule in some if (found := rule.pattern.fullmatch(text))]
            if any(rule.identifies for rule in some):
                named = next((found["id"] for rule, found in matched if rule.identifies), text)
                judge_identifier(case.report, identifier, named, where)
            elif not matched:
                wanted = " or ".join(repr(rule.rule.value) for rule in some)
                case.report.add(
                    "lint.subject.value",
                    f"{some[0].rule.type} is {text[:64]!r}, the profile demands {wanted}",
                    where,
                    some[0].rule.clause,
                    expected=tuple(rule.rule.value for rule in some),
                )

    return check


def _order_check(profile: Profile, by_oid: Mapping[bytes, Attributed]) -> Check:
    wanted = {oid_octets(rule.oid): at for at, rule in enumerate(profile.subject.attributes)}

    def check(case: Case) -> None:
        found = [attribute.oid for attribute in case.facts.subject_attributes if attribute.oid in wanted]
        if found != sorted(found, key=wanted.__getitem__):
            names = ", ".join(_short_name(oid, by_oid) for oid in found)
            order = ", ".join(rule.type for rule in profile.subject.attributes)
            case.report.add(
                "lint.subject.order",
                f"the subject's attributes stand as {names}, the profile demands the order {order}",
                "subject",
                profile.subject.clause,
            )

    return check


def _short_name(oid: bytes, by_oid: Mapping[bytes, Attributed]) -> str:
    rule = by_oid.get(oid)
    return rule.rule.type if rule else _SHORT_NAMES.get(oid) or dotted_oid(oid)
