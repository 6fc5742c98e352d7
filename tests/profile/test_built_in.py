"""The built-in profiles: all of them load, each constraint names its clause, the facts of the standard stand in them.

Expected values are the numbers and ids of the standard's tables as the project's fact sheet quotes them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from v2gpki.profile.load import Catalogue, built_in_folder
from v2gpki.profile.model import Profile, Rule

CATALOGUE = Catalogue()
ROLES = [(edition, role) for edition in CATALOGUE.editions() for role in CATALOGUE.roles(edition)]
ALL = [(edition, role, suite) for edition, role in ROLES for suite in CATALOGUE.suites(edition, role)]
ISO2 = {
    "v2g-root", "cpo-sub-ca-1", "cpo-sub-ca-2", "secc", "cps-sub-ca-1", "cps-sub-ca-2", "cps", "mo-root", "mo-sub-ca-1",
    "mo-sub-ca-2", "contract", "oem-root", "oem-sub-ca-1", "oem-sub-ca-2", "oem", "private-root", "ocsp", "cross",
}  # fmt: skip
RULES = (
    "subject", "identifier", "validity", "size", "key", "basic_constraints", "key_usage", "extended_key_usage",
    "subject_key_identifier", "authority_key_identifier", "ocsp", "crl", "policies", "subject_alternative_name",
)  # fmt: skip


def profile(edition: str, role: str, suite: str | None = None, **options: str) -> Profile:
    return CATALOGUE.profile(edition, role, suite, {name.replace("_", "-"): value for name, value in options.items()})


def test_editions_and_roles() -> None:
    assert CATALOGUE.editions() == ("iso15118-2", "iso15118-20", "lab-ecog-20", "ocpp")
    assert set(CATALOGUE.roles("iso15118-2")) == ISO2
    assert set(CATALOGUE.roles("iso15118-20")) == ISO2 | {"vehicle-sub-ca-1", "vehicle-sub-ca-2", "vehicle", "oem-x448"}
    assert set(CATALOGUE.roles("ocpp")) == {"csms-root", "csms", "station", "manufacturer-root", "manufacturer"}
    assert CATALOGUE.edition("iso15118-20").suites == ("p521", "ed448")


@pytest.mark.parametrize(("edition", "role"), ROLES)
def test_every_choice_of_every_option_loads(edition: str, role: str) -> None:
    choices = sum(
        1 + sum(len(option.choices) for option in CATALOGUE.options(edition, role, suite).values())
        for suite in CATALOGUE.suites(edition, role)
    )
    assert CATALOGUE.check(edition, role) == choices


@pytest.mark.parametrize(("edition", "role", "suite"), ALL)
def test_every_rule_has_its_clause(edition: str, role: str, suite: str) -> None:
    found = profile(edition, role, suite)
    rules = [getattr(found, name) for name in RULES]
    for rule in [*rules, *found.subject.attributes, *CATALOGUE.options(edition, role, suite).values()]:
        if rule is not None and not (role.endswith("root") and rule is found.identifier):
            assert isinstance(rule, Rule)
            if not (rule is found.identifier and not rule.kinds):
                assert rule.clause, rule
    assert found.clause


def rule_tables(table: dict[str, object], path: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The constraint tables below a table, overlays of option choices left out (their option carries the clause)."""
    for key, value in table.items():
        if not isinstance(value, dict):
            continue
        here = f"{path}{key}"
        if key in RULES:
            yield here, value
        if key in ("attribute", "option"):
            yield from ((f"{here}.{label}", inner) for label, inner in value.items() if isinstance(inner, dict))
        elif key not in ("branch", "attribute_types", "key_purposes", "policy_names", "suite_names"):
            yield from rule_tables(value, f"{here}.")


FILES = sorted(built_in_folder().glob("*/*.toml"))


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_every_constraint_table_of_the_toml_has_a_clause(file: Path) -> None:
    for path, table in rule_tables(tomllib.loads(file.read_text(encoding="utf-8")), ""):
        only_deeper = all(isinstance(value, dict) for value in table.values())
        if not only_deeper:
            assert table.get("clause"), f"{file.name}: [{path}] has no clause"
        if ".option." in f".{path}":
            assert table.get("note"), f"{file.name}: [{path}] has no note"


@pytest.mark.parametrize(("edition", "role", "suite"), ALL)
def test_issuers_anchors_and_branches_agree(edition: str, role: str, suite: str) -> None:
    found = profile(edition, role, suite)
    branches = CATALOGUE.edition(edition).branches
    if found.branch in branches and found.kind != "root":
        branch = branches[found.branch]
        assert role in branch.sub_cas + branch.leafs
        assert set(found.anchors) <= set(branch.roots) | {"private-root"}
        assert set(found.issuers) <= set(branch.sub_cas) | set(branch.roots)
    for issuer in found.issuers:
        assert profile(edition, issuer, suite).basic_constraints.ca
    for anchor in found.anchors:
        assert profile(edition, anchor, suite).kind == "root"


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_v2g_root_issues_no_leaf_but_its_ocsp_signer(edition: str) -> None:
    """[V2G2-867]; [V2G2-009]: two sub-CAs at most."""
    for role in CATALOGUE.roles(edition):
        found = profile(edition, role)
        assert found.depth <= 3
        if found.kind == "leaf" and role != "ocsp":
            assert "v2g-root" not in found.issuers


@pytest.mark.parametrize(
    ("edition", "role", "domain"),
    [
        ("iso15118-2", "v2g-root", "V2G"),
        ("iso15118-2", "secc", "CPO"),
        ("iso15118-2", "cps", "CPS"),
        ("iso15118-2", "oem", "OEM"),
        ("iso15118-2", "contract", None),
        ("iso15118-20", "secc", "CPO"),
        ("iso15118-20", "vehicle", None),
    ],
)
def test_domain_component(edition: str, role: str, domain: str | None) -> None:
    """[V2G2-925] and Annex F; an IA5String with OID 0.9.2342.19200300.100.1.25 (RFC 4519 2.4)."""
    found = [rule for rule in profile(edition, role).subject.attributes if rule.type == "DC"]
    assert [rule.value for rule in found] == ([domain] if domain else [])
    for rule in found:
        assert (rule.oid, rule.string, rule.fixed, rule.presence) == (
            "0.9.2342.19200300.100.1.25",
            "ia5",
            True,
            "required",
        )


def days(count: int) -> timedelta:
    return timedelta(days=count)


@pytest.mark.parametrize(
    ("role", "default", "minimum", "maximum"),
    [
        ("v2g-root", days(40 * 365 + 10), None, days(40 * 365 + 10)),
        ("cpo-sub-ca-1", days(4 * 365 + 1), None, None),
        ("cpo-sub-ca-2", days(365), None, days(2 * 365 + 1)),
        ("secc", days(60), None, days(92)),
        ("cps", days(90), None, None),
        ("contract", days(730), days(28), days(731)),
    ],
)
def test_validity_of_iso2(role: str, default: timedelta, minimum: timedelta | None, maximum: timedelta | None) -> None:
    rule = profile("iso15118-2", role).validity
    assert (rule.default, rule.minimum, rule.maximum) == (default, minimum, maximum)
    assert rule.backdate == timedelta(minutes=5)


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20", "lab-ecog-20"])
@pytest.mark.parametrize("branch", ["cpo", "cps", "mo", "oem"])
def test_path_lengths(edition: str, branch: str) -> None:
    lengths = [profile(edition, f"{branch}-sub-ca-{number}").basic_constraints.path_length for number in (1, 2)]
    assert lengths == [1, 0]
    assert profile(edition, "v2g-root").basic_constraints.path_length is None


@pytest.mark.parametrize(
    ("edition", "role", "suite", "bits"),
    [
        ("iso15118-2", "v2g-root", "p256", "keyCertSign cRLSign"),
        ("iso15118-2", "secc", "p256", "digitalSignature"),
        ("iso15118-2", "cps", "p256", "digitalSignature"),
        ("iso15118-2", "mo-sub-ca-2", "p256", "keyCertSign cRLSign digitalSignature nonRepudiation"),
        ("iso15118-2", "contract", "p256", "digitalSignature nonRepudiation keyEncipherment keyAgreement"),
        ("iso15118-2", "oem", "p256", "digitalSignature keyAgreement"),
        ("iso15118-20", "oem", "p521", "digitalSignature keyAgreement"),
        ("iso15118-20", "oem", "ed448", "digitalSignature"),
        ("iso15118-20", "contract", "ed448", "digitalSignature"),
        ("iso15118-20", "oem-x448", "ed448", "keyAgreement"),
        ("iso15118-20", "vehicle", "p521", "digitalSignature"),
    ],
)
def test_key_usage(edition: str, role: str, suite: str, bits: str) -> None:
    rule = profile(edition, role, suite).key_usage
    assert rule.bits == tuple(bits.split())
    assert rule.critical


def test_ed448_keys_never_agree() -> None:
    """RFC 8410 5."""
    for role in CATALOGUE.roles("iso15118-20"):
        found = profile("iso15118-20", role, "ed448")
        if found.key.suite == "ed448":
            rule = found.key_usage
            assert "keyAgreement" not in rule.bits + rule.required + rule.optional + rule.discouraged


def test_sizes_and_windows() -> None:
    """[V2G2-010]; certificateType of the -20 schema; [V2G2-690]; [V2G20-2218]."""
    assert {profile("iso15118-2", role).size.maximum for role in CATALOGUE.roles("iso15118-2")} == {800}
    assert {profile("iso15118-20", role).size.maximum for role in CATALOGUE.roles("iso15118-20")} == {1600}
    assert CATALOGUE.edition("iso15118-2").expiring_soon.window == timedelta(days=21)
    assert CATALOGUE.edition("iso15118-20").expiring_soon.window == timedelta(days=14)
    serial = CATALOGUE.edition("iso15118-2").serial
    assert (serial.octets, serial.first_minimum, serial.first_maximum) == (20, 0x40, 0x7F)


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20", "ocpp"])
def test_key_identifiers(edition: str) -> None:
    """Both are demanded everywhere, but a self-signed root may leave out the authority's (RFC 5280 4.2.1.1)."""
    for role in CATALOGUE.roles(edition):
        found = profile(edition, role)
        assert found.subject_key_identifier.presence == "required"
        expected = "optional" if found.kind == "root" else "required"
        assert found.authority_key_identifier.presence == expected


def test_vehicle() -> None:
    """[V2G20-2598], [V2G20-2331]; Table B.8; id-kp-clientAuth is 1.3.6.1.5.5.7.3.2 (RFC 5280 4.2.1.12)."""
    found = profile("iso15118-20", "vehicle", "p521")
    assert [rule.type for rule in found.subject.attributes] == ["O", "CN"]
    assert found.subject.closed
    assert found.identifier.kinds == ("evccid",)
    assert found.extended_key_usage.oids == ("1.3.6.1.5.5.7.3.2",)
    assert found.extended_key_usage.required == ()
    assert found.anchors == ("oem-root", "v2g-root")


def test_x448_role_exists_in_one_family() -> None:
    assert CATALOGUE.suites("iso15118-20", "oem-x448") == ("ed448",)
    found = profile("iso15118-20", "oem-x448")
    assert (found.suite, found.key.suite) == ("ed448", "x448")


def test_ocsp_signers() -> None:
    """RFC 6960 4.2.2.2; id-kp-OCSPSigning is 1.3.6.1.5.5.7.3.9."""
    for edition, suite in (("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")):
        found = profile(edition, "ocsp", suite)
        assert found.extended_key_usage.required == ("1.3.6.1.5.5.7.3.9",)
        assert found.ocsp_nocheck
        assert found.held
        assert not found.ocsp.write
        authorities = {role for role in CATALOGUE.roles(edition) if profile(edition, role).kind != "leaf"} - {"cross"}
        assert set(found.issuers) == authorities


def test_ski_of_contracts() -> None:
    """Twenty octets, but eight for -20 contracts unless the option says otherwise."""
    for edition, role, suite in ALL:
        expected = "sha1-60" if (edition, role) == ("iso15118-20", "contract") else "sha1-160"
        assert profile(edition, role, suite).subject_key_identifier.form == expected
    assert profile("iso15118-20", "contract", "ed448", ski="20-octets").subject_key_identifier.form == "sha1-160"


def test_lab_edition() -> None:
    assert not CATALOGUE.edition("lab-ecog-20").conformant
    assert not profile("lab-ecog-20", "secc").conformant
    assert profile("lab-ecog-20", "secc").size.maximum == 1600
    assert set(CATALOGUE.roles("lab-ecog-20")) == ISO2
    assert profile("iso15118-2", "secc").conformant


def test_ocpp() -> None:
    csms = profile("ocpp", "csms")
    assert csms.extended_key_usage.required == ("1.3.6.1.5.5.7.3.1",)
    assert csms.subject_alternative_name is not None
    station = profile("ocpp", "station")
    assert station.extended_key_usage.required == ("1.3.6.1.5.5.7.3.2",)
    assert [rule.value for rule in station.subject.attributes if rule.type == "CN"] == ["{id}"]


class TestOptions:
    def test_key_agreement_of_secc(self) -> None:
        chosen = profile("iso15118-2", "secc", key_agreement="with")
        assert chosen.key_usage.bits == ("digitalSignature", "keyAgreement")
        assert profile("iso15118-2", "secc").key_usage.discouraged == ("keyAgreement",)

    def test_domain_of_oem(self) -> None:
        for choice in ("required", "optional"):
            attributes = profile("iso15118-2", "oem", dc=choice).subject.attributes
            assert [rule.presence for rule in attributes if rule.type == "DC"] == [choice]

    def test_country_of_contract(self) -> None:
        assert profile("iso15118-2", "contract").subject.forbidden == ("C",)
        allowed = profile("iso15118-2", "contract", country="allowed").subject
        assert allowed.forbidden == ()
        assert [rule.type for rule in allowed.attributes] == ["C", "O", "CN"]

    def test_server_auth(self) -> None:
        assert profile("iso15118-2", "secc").extended_key_usage.oids == ()
        assert profile("iso15118-2", "secc", eku="server-auth").extended_key_usage.oids == ("1.3.6.1.5.5.7.3.1",)

    def test_contract_key_usage(self) -> None:
        assert profile("iso15118-2", "contract", key_usage="minimal").key_usage.bits == (
            "digitalSignature",
            "keyAgreement",
        )

    def test_cps_validity(self) -> None:
        assert profile("iso15118-2", "cps", validity="field").validity.default == days(4 * 365 + 1)

    @pytest.mark.parametrize(("edition", "role"), [(e, r) for e, r in ROLES if e.startswith("iso")])
    def test_addresses_everywhere(self, edition: str, role: str) -> None:
        found = profile(edition, role)
        expected = found.kind != "root" and role != "ocsp"
        assert (found.ocsp.write, found.crl.write) == (expected, False)
        if expected:
            assert not profile(edition, role, aia="off").ocsp.write
        if found.kind != "root":
            assert profile(edition, role, crl_dp="on").crl.write

    def test_what_was_chosen_stands_in_the_profile(self) -> None:
        found = profile("iso15118-2", "oem", dc="optional")
        assert dict(found.options) == {"aia": "on", "crl-dp": "off", "dc": "optional"}
