"""The one gate from a layered TOML table to a frozen ``Profile``.

Every key is read with its type, every unknown key is refused, and the rules are checked against each
other: default validity within its limits, required key-usage bits among those that we write, CA flags
that fit the kind, templates whose holes exist, roles and names that exist. What passes is complete.
Refuses with ``profile.unknown_key``, ``profile.missing_key``, ``profile.bad_value``, each with file,
dotted key and reason. Rule kinds follow RFC 5280 4.1.2.6 and 4.2.1; their values stand in TOML alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from v2gpki.identifiers import KINDS as IDENTIFIER_KINDS
from v2gpki.keys.suites import SUITES
from v2gpki.profile.layers import Layered
from v2gpki.profile.model import (
    KEY_USAGE_BITS,
    AlternativeNameRule,
    AttributeRule,
    BasicConstraintsRule,
    Edition,
    ExtendedKeyUsageRule,
    IdentifierRule,
    KeyIdentifierRule,
    KeyRule,
    KeyUsageRule,
    Kind,
    PoliciesRule,
    Presence,
    Profile,
    SizeRule,
    SkiForm,
    StringType,
    SubjectRule,
    UrlRule,
    ValidityRule,
)
from v2gpki.profile.table import Table

#: The holes of subject templates; ``{family}`` is filled when the profile loads, the others when a certificate is made.
HOLES = ("id", "org", "country", "name")
KINDS: Mapping[str, Kind] = {"root": "root", "sub-ca": "sub-ca", "leaf": "leaf"}
_PRESENCES: Mapping[str, Presence] = {"required": "required", "optional": "optional", "forbidden": "forbidden"}
_STRINGS: Mapping[str, StringType] = {"utf8": "utf8", "printable": "printable", "ia5": "ia5"}
_SKI_FORMS: Mapping[str, SkiForm] = {"sha1-160": "sha1-160", "sha1-60": "sha1-60"}
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_Value = TypeVar("_Value")


def profile_of(
    layered: Layered,
    *,
    edition: Edition,
    role: str,
    suite: str,
    roles: Sequence[str],
    options: tuple[tuple[str, str], ...] = (),
) -> Profile:
    """Check a layered role table, suite and options laid on already, and freeze it; ``roles`` are the edition's."""
    top = Table(layered, layered.tree)
    for settled in ("inherits", "families", "suite", "option"):
        top.skip(settled)
    kind = _one(top, "kind", KINDS)
    identifier = _identifier(top.table("identifier"))
    profile = Profile(
        edition=edition.name,
        role=role,
        suite=suite,
        title=top.text("title"),
        kind=kind,
        branch=top.text("branch"),
        issuers=top.texts("issuers", (), among=roles),
        anchors=top.texts("anchors", among=roles),
        depth=top.number("depth", 0, 9),
        identifier=identifier,
        subject=_subject(top.table("subject"), edition, suite, identifier),
        validity=_validity(top.table("validity")),
        size=_size(top.table("size")),
        key=_key(top.table("key"), suite, kind),
        basic_constraints=_basic_constraints(top.table("basic_constraints"), kind),
        key_usage=_key_usage(top.table("key_usage")),
        extended_key_usage=_extended_key_usage(top.table("extended_key_usage"), edition),
        subject_key_identifier=_key_identifier(top.table("subject_key_identifier"), subject=True),
        authority_key_identifier=_key_identifier(top.table("authority_key_identifier"), subject=False),
        ocsp=_url(top.table("ocsp")),
        crl=_url(top.table("crl")),
        policies=_policies(top.table("policies"), edition),
        serial=edition.serial,
        subject_alternative_name=_alternative_name(top, identifier),
        ocsp_nocheck=top.flag("ocsp_nocheck", False),
        conformant=edition.conformant and top.flag("conformant", True),
        held=top.flag("held", kind != "leaf"),
        clause=top.text("clause", ""),
        note=top.text("note", ""),
        options=options,
    )
    top.done()
    if kind == "root" and profile.issuers:
        top.refuse("issuers", "a root signs itself and has no issuers")
    if kind != "root" and not profile.issuers:
        top.refuse("issuers", "a certificate that is no root needs at least one issuer")
    return replace(profile, digest=_digest(layered, profile))


def _subject(table: Table, edition: Edition, suite: str, identifier: IdentifierRule) -> SubjectRule:
    order = table.texts("order")
    attributes = table.table("attribute")
    rules = {label: _attribute(attributes, label, edition, suite) for label in attributes.labels()}
    for label in order:
        if label not in rules:
            table.refuse("order", f'"{label}" has no table [subject.attribute.{label}]', against=("subject.attribute",))
    for label, rule in rules.items():
        if label not in order and rule.presence != "forbidden":
            reason = f"{label} does not stand in subject.order and is not forbidden"
            attributes.refuse(label, reason, against=("subject.order",))
        if "{id}" in rule.value and not identifier.kinds:
            attributes.refuse(label, "{id} is used, but identifier.kinds is empty", against=("identifier.kinds",))
    written = tuple(rules[label] for label in order if rules[label].presence != "forbidden")
    if not written:
        table.refuse("order", "a subject needs at least one attribute", clause="RFC 5280 4.1.2.6")
    subject = SubjectRule(
        attributes=written,
        forbidden=tuple(dict.fromkeys(rule.type for rule in rules.values() if rule.presence == "forbidden")),
        excluded=tuple(rule for rule in rules.values() if rule.presence == "forbidden"),
        closed=table.flag("closed", False),
        ordered=table.flag("ordered", False),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    table.done()
    return subject


def _attribute(attributes: Table, label: str, edition: Edition, suite: str) -> AttributeRule:
    table = attributes.table(label)
    kind = table.text("type", label)
    if kind not in edition.attribute_types:
        table.refuse_name("type", label, kind, list(edition.attribute_types))
    string = _one(table, "string", _STRINGS, "utf8")
    presence = _one(table, "presence", _PRESENCES, "required")
    accept = table.texts("accept", ("utf8", "printable") if string == "utf8" else (string,), among=list(_STRINGS))
    value = table.template("value", (*HOLES, "family"))
    fixed = table.flag("fixed", False)
    if string not in accept:
        table.refuse("accept", f'the string type that we write, "{string}", is missing here')
    if presence != "forbidden" and not value:
        table.refuse("value", "an attribute that may be written needs a value")
    if fixed and "{" in value:
        table.refuse("fixed", "a fixed value cannot have holes", against=(f"{table.path}value",))
    family = edition.suite_names.get(suite, suite)
    rule = AttributeRule(
        type=kind,
        oid=edition.attribute_types[kind],
        value=value.replace("{family}", family),
        default=table.template("default", ("org", "country", "family")).replace("{family}", family),
        string=string,
        accept=tuple(_STRINGS[name] for name in accept),
        presence=presence,
        fixed=fixed,
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    table.done()
    return rule


def _identifier(table: Table) -> IdentifierRule:
    rule = IdentifierRule(
        kinds=table.texts("kinds", (), among=IDENTIFIER_KINDS),
        required=table.flag("required", False),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if rule.required and not rule.kinds:
        reason = "an identifier cannot be required while kinds is empty"
        table.refuse("required", reason, against=("identifier.kinds",))
    table.done()
    return rule


def _validity(table: Table) -> ValidityRule:
    default = table.span("default")
    maximum = table.span("maximum", longest=True) if table.has("maximum") else None
    minimum = table.span("minimum") if table.has("minimum") else None
    if not default:
        table.refuse("default", "the validity must be longer than nothing")
    if maximum is not None and default > maximum:
        table.refuse("default", "the default is longer than the maximum", against=("validity.maximum",))
    if minimum is not None and default < minimum:
        table.refuse("default", "the default is shorter than the minimum", against=("validity.minimum",))
    rule = ValidityRule(
        default=default,
        maximum=maximum,
        minimum=minimum,
        backdate=table.span("backdate", timedelta(0)),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    table.skip("maximum")
    table.skip("minimum")
    table.done()
    return rule


def _size(table: Table) -> SizeRule:
    rule = SizeRule(
        maximum=table.number("maximum", 200, 1_000_000), clause=table.text("clause", ""), note=table.text("note", "")
    )
    table.done()
    return rule


def _key(table: Table, suite: str, kind: Kind) -> KeyRule:
    rule = KeyRule(
        suite=table.text("suite", suite, among=list(SUITES)),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if kind != "leaf" and not SUITES[rule.suite].signs:
        table.refuse("suite", f"a CA needs a key that signs, {rule.suite} does not")
    table.done()
    return rule


def _basic_constraints(table: Table, kind: Kind) -> BasicConstraintsRule:
    ca = table.flag("ca")
    path_length = table.number("path_length", 0, 9) if table.has("path_length") else None
    if ca != (kind != "leaf"):
        table.refuse("ca", f"ca = {str(ca).lower()} does not fit the kind {kind}", against=("kind",))
    if path_length is not None and not ca:
        reason, against = "only a CA has a path length", ("basic_constraints.ca",)
        table.refuse("path_length", reason, clause="RFC 5280 4.2.1.9", against=against)
    rule = BasicConstraintsRule(
        ca=ca,
        path_length=path_length,
        critical=table.flag("critical", True),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    table.skip("path_length")
    table.done()
    return rule


def _key_usage(table: Table) -> KeyUsageRule:
    bits = table.texts("bits", among=KEY_USAGE_BITS)
    rule = KeyUsageRule(
        bits=bits,
        required=table.texts("required", bits, among=KEY_USAGE_BITS),
        optional=table.texts("optional", (), among=KEY_USAGE_BITS),
        discouraged=table.texts("discouraged", (), among=KEY_USAGE_BITS),
        critical=table.flag("critical", True),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if not bits:
        table.refuse("bits", "at least one bit must be set", clause="RFC 5280 4.2.1.3")
    for bit in rule.required:
        if bit not in bits:
            reason = f"{bit} is required, but not among the bits that we write"
            table.refuse("required", reason, against=("key_usage.bits",))
    table.done()
    return rule


def _extended_key_usage(table: Table, edition: Edition) -> ExtendedKeyUsageRule:
    rule = ExtendedKeyUsageRule(
        oids=_oids(table, "write", edition.key_purposes),
        required=_oids(table, "required", edition.key_purposes),
        optional=_oids(table, "optional", edition.key_purposes),
        critical=table.flag("critical", False),
        presence=_one(table, "presence", _PRESENCES, "optional"),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if rule.oids and rule.presence == "forbidden":
        table.refuse(
            "write", "the extension is forbidden, so nothing can be written", against=(f"{table.path}presence",)
        )
    for oid in rule.required:
        if oid not in rule.oids:
            table.refuse("required", f"{oid} is required, but not written", against=(f"{table.path}write",))
    table.done()
    return rule


def _key_identifier(table: Table, *, subject: bool) -> KeyIdentifierRule:
    rule = KeyIdentifierRule(
        presence=_one(table, "presence", _PRESENCES, "required"),
        form=_one(table, "form", _SKI_FORMS, "sha1-160") if subject else "sha1-160",
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    table.done()
    return rule


def _url(table: Table) -> UrlRule:
    rule = UrlRule(
        write=table.flag("write"),
        presence=_one(table, "presence", _PRESENCES, "optional"),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if rule.write and rule.presence == "forbidden":
        table.refuse(
            "write", "the extension is forbidden, so it cannot be written", against=(f"{table.path}presence",)
        )
    table.done()
    return rule


def _policies(table: Table, edition: Edition) -> PoliciesRule:
    rule = PoliciesRule(
        oids=_oids(table, "write", edition.policy_names),
        presence=_one(table, "presence", _PRESENCES, "optional"),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    table.done()
    return rule


def _alternative_name(top: Table, identifier: IdentifierRule) -> AlternativeNameRule | None:
    if not top.has("subject_alternative_name"):
        return None
    table = top.table("subject_alternative_name")
    rule = AlternativeNameRule(
        presence=_one(table, "presence", _PRESENCES, "required"),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if rule.presence == "required" and not identifier.required:
        table.refuse("presence", "the name is the identifier, so identifier.required must be true")
    table.done()
    return rule


def _one(table: Table, key: str, known: Mapping[str, _Value], default: str | None = None) -> _Value:
    return known[table.text(key, default, among=list(known))]


def _oids(table: Table, key: str, names: Mapping[str, str]) -> tuple[str, ...]:
    oids = []
    for name in table.texts(key, ()):
        if name not in names and not _OID.fullmatch(name):
            table.refuse_name(key, "", name, list(names))
        oids.append(names.get(name, name))
    return tuple(oids)


def _digest(layered: Layered, profile: Profile) -> str:
    """SHA-256 over the resolved table, what it was resolved for, and the OIDs that its names stand for."""
    names = [rule.oid for rule in profile.subject.attributes]
    names += [*profile.extended_key_usage.oids, *profile.policies.oids]
    tree = {key: value for key, value in layered.tree.items() if key not in ("suite", "option", "inherits")}
    resolved = [profile.edition, profile.role, profile.suite, profile.conformant, profile.options, names, tree]
    return hashlib.sha256(json.dumps(resolved, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
