"""From a layered ``edition.toml`` to a frozen ``Edition``, and the options that a layered role table offers.

Refuses with ``profile.unknown_key``, ``profile.missing_key``, ``profile.bad_value``: a suite that does not
exist, a default choice that is none of the choices, a serial number that could be negative or exceed
20 octets (RFC 5280 4.1.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from v2gpki.keys.suites import SUITES
from v2gpki.profile.layers import Layered
from v2gpki.profile.model import AnswerRule, Branch, Edition, ExpiryRule, Option, SerialRule
from v2gpki.profile.table import Table

#: Keys of ``edition.toml`` that hold what roles inherit; ``profile.load`` lays them.
SHARED = ("common", "kind")
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_SHORT = re.compile(r"[a-z][a-z0-9]{0,15}")


def edition_of(layered: Layered, name: str, folders: tuple[Path, ...]) -> Edition:
    """Check a layered ``edition.toml`` and freeze it."""
    top = Table(layered, layered.tree)
    for key in ("inherits", *SHARED):
        top.skip(key)
    suites = top.texts("suites", among=[suite.name for suite in SUITES.values() if suite.signs])
    short = top.text("short")
    if not suites:
        top.refuse("suites", "an edition needs at least one suite")
    if not _SHORT.fullmatch(short):
        top.refuse("short", f'"{short}" cannot start a slug: lower-case letters and digits, at most 16')
    edition = Edition(
        name=name,
        short=short,
        title=top.text("title"),
        suites=suites,
        suite_names=_names(top.table("suite_names")),
        serial=_serial(top.table("serial")),
        expiring_soon=_expiring_soon(top.table("expiring_soon")),
        branches=_branches(top.table("branch")),
        attribute_types=_identifiers(top.table("attribute_types")),
        key_purposes=_identifiers(top.table("key_purposes")),
        policy_names=_identifiers(top.table("policy_names")),
        folders=folders,
        ocsp_role=top.text("ocsp_role", ""),
        cross_role=top.text("cross_role", ""),
        conformant=top.flag("conformant", True),
        note=top.text("note", ""),
        ocsp_answers=_ocsp_answers(top.table("ocsp_answers")),
    )
    top.done()
    return edition


def options_of(layered: Layered) -> Mapping[str, Option]:
    """The options that a layered role table offers, by name."""
    tables = Table(layered, layered.tree).table("option")
    return {name: _option(tables.table(name), name) for name in tables.labels()}


def _option(table: Table, name: str) -> Option:
    choices = table.table("choice")
    for choice in choices.labels():
        choices.table(choice)
    option = Option(
        name=name,
        default=table.text("default", among=choices.labels()),
        choices=tuple(choices.labels()),
        clause=table.text("clause", ""),
        note=table.text("note"),
    )
    table.done()
    return option


def _serial(table: Table) -> SerialRule:
    rule = SerialRule(
        octets=table.number("octets", 8, 20),
        first_minimum=table.number("first_minimum", 1, 0x7F),
        first_maximum=table.number("first_maximum", 1, 0x7F),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if rule.first_minimum > rule.first_maximum:
        table.refuse("first_minimum", "the smallest first octet is larger than the largest")
    table.done()
    return rule


def _expiring_soon(table: Table) -> ExpiryRule:
    rule = ExpiryRule(window=table.span("window"), clause=table.text("clause", ""), note=table.text("note", ""))
    table.done()
    return rule


def _ocsp_answers(table: Table) -> AnswerRule:
    usual = AnswerRule()
    rule = AnswerRule(
        validity=table.span("validity", usual.validity),
        backdate=table.span("backdate", usual.backdate),
        refresh=table.span("refresh", usual.refresh),
        clause=table.text("clause", ""),
        note=table.text("note", ""),
    )
    if rule.refresh + rule.backdate >= rule.validity:
        table.refuse("refresh", "an answer would end before it is signed anew")
    table.done()
    return rule


def _branches(table: Table) -> Mapping[str, Branch]:
    branches = {}
    for name in table.labels():
        inner = table.table(name)
        branches[name] = Branch(
            name=name,
            title=inner.text("title"),
            roots=inner.texts("roots"),
            sub_cas=inner.texts("sub_cas", ()),
            leafs=inner.texts("leafs", ()),
        )
        inner.done()
    return branches


def _names(table: Table) -> Mapping[str, str]:
    return {name: table.text(name) for name in table.labels()}


def _identifiers(table: Table) -> Mapping[str, str]:
    names = _names(table)
    for name, oid in names.items():
        if not _OID.fullmatch(oid):
            table.refuse(name, f'"{oid}" is no dotted object identifier')
    return names
