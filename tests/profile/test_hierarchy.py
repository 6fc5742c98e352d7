"""Lab files: the default hierarchies, their variants, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.profile.hierarchy import Lab, Planned, load_lab
from v2gpki.profile.load import Catalogue

CATALOGUE = Catalogue()
HEAD = '[[hierarchy]]\neditions = ["iso15118-2"]\nocsp = "none"\n'


def lab(tmp_path: Path, text: str) -> Lab:
    path = tmp_path / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return load_lab(path, CATALOGUE)


def links(planned: tuple[Planned, ...]) -> dict[str, str]:
    return {entry.slug: entry.issuer_slug for entry in planned}


@pytest.mark.parametrize("editions", [(), *((name,) for name in CATALOGUE.editions())])
def test_issuers_come_before_issued_and_may_issue(editions: tuple[str, ...]) -> None:
    made: dict[str, Planned] = {}
    for entry in load_lab(None, CATALOGUE).plan(editions):
        assert entry.slug not in made
        profile = CATALOGUE.profile(entry.edition, entry.role, entry.suite, entry.options)
        if entry.issuer_slug:
            issuer = made[entry.issuer_slug]
            assert issuer.role in profile.issuers
            assert (issuer.edition, issuer.suite) == (entry.edition, entry.suite)
        else:
            assert profile.kind == "root"
        assert entry.held == (profile.kind == "leaf")
        made[entry.slug] = entry


def test_default_of_iso2() -> None:
    planned = links(load_lab(None, CATALOGUE).plan(["iso15118-2"]))
    assert {slug: issuer for slug, issuer in planned.items() if not slug.endswith("-ocsp")} == {
        "iso2-v2g-root": "",
        "iso2-cpo-sub-ca-1": "iso2-v2g-root",
        "iso2-cpo-sub-ca-2": "iso2-cpo-sub-ca-1",
        "iso2-cps-sub-ca-1": "iso2-v2g-root",
        "iso2-cps-sub-ca-2": "iso2-cps-sub-ca-1",
        "iso2-cps": "iso2-cps-sub-ca-2",
        "iso2-mo-root": "",
        "iso2-mo-sub-ca-1": "iso2-mo-root",
        "iso2-mo-sub-ca-2": "iso2-mo-sub-ca-1",
        "iso2-oem-root": "",
        "iso2-oem-sub-ca-1": "iso2-oem-root",
        "iso2-oem-sub-ca-2": "iso2-oem-sub-ca-1",
    }
    authorities = [slug for slug in planned if not slug.endswith("-ocsp") and slug != "iso2-cps"]
    assert {slug: issuer for slug, issuer in planned.items() if slug.endswith("-ocsp")} == {
        f"{slug}-ocsp": slug for slug in authorities
    }


def test_both_families_of_iso20() -> None:
    slugs = {entry.slug for entry in load_lab(None, CATALOGUE).plan(["iso15118-20"])}
    for suite in ("p521", "ed448"):
        assert f"iso20-{suite}-v2g-root" in slugs
        assert f"iso20-{suite}-vehicle-sub-ca-2" in slugs
    assert {slug.replace("p521", "ed448") for slug in slugs} == {slug for slug in slugs if "ed448" in slug}


def test_lab_editions_only_when_named() -> None:
    built_in = load_lab(None, CATALOGUE)
    assert {entry.edition for entry in built_in.plan()} == {"iso15118-2", "iso15118-20", "ocpp"}
    assert {entry.edition for entry in built_in.plan(["lab-ecog-20"])} == {"lab-ecog-20"}
    assert built_in.plan(["lab-ecog-20"])[0].slug == "ecog20-v2g-root"


class TestVariants:
    def test_branch_under_the_v2g_root(self, tmp_path: Path) -> None:
        planned = links(lab(tmp_path, HEAD + '[hierarchy.branch.mo]\nroot = "v2g-root"\n').plan())
        assert planned == {
            "iso2-v2g-root": "",
            "iso2-mo-sub-ca-1": "iso2-v2g-root",
            "iso2-mo-sub-ca-2": "iso2-mo-sub-ca-1",
        }

    def test_one_sub_ca_is_sub_ca_2(self, tmp_path: Path) -> None:
        """A chain with one sub-CA has the profile of Sub-CA 2, path length 0."""
        planned = links(lab(tmp_path, HEAD + '[hierarchy.branch.cpo]\nroot = "v2g-root"\nsub_cas = 1\n').plan())
        assert planned == {"iso2-v2g-root": "", "iso2-cpo-sub-ca-2": "iso2-v2g-root"}

    @pytest.mark.parametrize(("branch", "root"), [("mo", "mo-root"), ("oem", "oem-root"), ("private", "private-root")])
    def test_no_sub_ca(self, tmp_path: Path, branch: str, root: str) -> None:
        text = HEAD + f'[hierarchy.branch.{branch}]\nroot = "{root}"\nsub_cas = 0\n'
        assert links(lab(tmp_path, text).plan()) == {f"iso2-{root}": ""}

    def test_private_root_below_the_cpo_branch(self, tmp_path: Path) -> None:
        text = HEAD + '[hierarchy.branch.cpo]\nroot = "private-root"\nsub_cas = 0\n'
        assert links(lab(tmp_path, text).plan()) == {"iso2-private-root": ""}

    def test_ocsp_scopes(self, tmp_path: Path) -> None:
        for scope, count in (("all", 3), ("sub-cas", 2), ("none", 0)):
            text = HEAD.replace("none", scope) + '[hierarchy.branch.mo]\nroot = "mo-root"\n'
            planned = lab(tmp_path, text).plan()
            assert sum(entry.role == "ocsp" for entry in planned) == count

    def test_several_v2g_roots_and_a_cross_certificate(self, tmp_path: Path) -> None:
        text = HEAD + "[hierarchy.branch.v2g]\n" + HEAD + 'name = "south"\norg = "South"\n[hierarchy.branch.v2g]\n'
        text += '[[cross]]\nsubject = "south-iso2-v2g-root"\nissuer = "iso2-v2g-root"\n'
        planned = lab(tmp_path, text).plan()
        assert links(planned) == {
            "iso2-v2g-root": "",
            "south-iso2-v2g-root": "",
            "iso2-v2g-root-cross-south-iso2-v2g-root": "iso2-v2g-root",
        }
        assert [entry.org for entry in planned] == ["", "South", ""]
        assert planned[2].subject_slug == "south-iso2-v2g-root"
        assert CATALOGUE.profile(planned[2].edition, planned[2].role).kind == "sub-ca"

    def test_options_reach_the_roles_that_know_them(self, tmp_path: Path) -> None:
        text = HEAD + '[hierarchy.options]\naia = "off"\ndata-signing = "without"\n[hierarchy.branch.mo]\n'
        options = {entry.role: dict(entry.options) for entry in lab(tmp_path, text).plan()}
        assert options == {
            "mo-root": {},
            "mo-sub-ca-1": {"aia": "off"},
            "mo-sub-ca-2": {"aia": "off", "data-signing": "without"},
        }

    def test_names_and_families(self, tmp_path: Path) -> None:
        text = HEAD.replace('"iso15118-2"', '"iso15118-2", "iso15118-20"') + 'suites = ["ed448"]\n'
        text += '[hierarchy.name_of]\nv2g-root = "One Root"\n[hierarchy.branch.v2g]\n'
        planned = lab(tmp_path, text).plan()
        assert [(entry.slug, entry.name) for entry in planned] == [
            ("iso2-v2g-root", "One Root"),
            ("iso20-ed448-v2g-root", "One Root"),
        ]


HELD = "[hierarchy.branch.cps]\nsub_cas = 0\nheld = ['cps']"
PRIVATE = "[hierarchy.branch.cpo]\nroot = 'private-root'"
WRONG = [
    ("", "profile.bad_value", "hierarchy", "at least one"),
    ("hierarchy = 1", "profile.bad_value", "hierarchy", "array of tables"),
    ("[[hierarchies]]", "profile.bad_value", "hierarchy", "at least one"),
    ("[[hierarchy]]\neditions = []", "profile.bad_value", "hierarchy[0].editions", "at least one"),
    ("[[hierarchy]]\neditions = ['iso15118-3']", "profile.bad_value", "hierarchy[0].editions", "iso15118-3"),
    (HEAD + "name = 'South Side'", "profile.bad_value", "hierarchy[0].name", "slug"),
    (HEAD + "sutes = []", "profile.unknown_key", "hierarchy[0].sutes", "not known"),
    (HEAD + "suites = ['p521']", "profile.bad_value", "hierarchy[0].suites", "p521"),
    (HEAD.replace("none", "some"), "profile.bad_value", "hierarchy[0].ocsp", "some"),
    (HEAD + "[hierarchy.branch.vehicle]", "profile.bad_value", "hierarchy[0].branch.vehicle", "no edition"),
    (HEAD + "[hierarchy.branch.mo]\nroot = 'oem-root'", "profile.bad_value", "hierarchy[0].branch.mo.root", "oem-root"),
    (HEAD + "[hierarchy.branch.mo]\nsub_cas = 3", "profile.bad_value", "hierarchy[0].branch.mo.sub_cas", "0..2"),
    (HEAD + "[hierarchy.branch.mo]\nsubcas = 1", "profile.unknown_key", "hierarchy[0].branch.mo.subcas", "not known"),
    (HEAD + "[hierarchy.branch.mo]\nheld = ['secc']", "profile.bad_value", "hierarchy[0].branch.mo.held", "secc"),
    (HEAD + "[hierarchy.branch.cpo]\nsub_cas = 0", "profile.bad_value", "hierarchy[0].branch.cpo.sub_cas", "may not"),
    (HEAD + HELD, "profile.bad_value", "hierarchy[0].branch.cps.sub_cas", "may not"),
    (HEAD + PRIVATE, "profile.bad_value", "hierarchy[0].branch.cpo.root", "may not"),
    (HEAD + "[hierarchy.options]\naiaa = 'off'", "profile.bad_value", "hierarchy[0].options.aiaa", "option"),
    (HEAD + "[hierarchy.options]\naia = 'of'", "profile.bad_value", "hierarchy[0].options.aia", '"of"'),
    (HEAD + "[hierarchy.name_of]\nv2groot = 'x'", "profile.bad_value", "hierarchy[0].name_of.v2groot", "no such role"),
    (HEAD + HEAD, "profile.bad_value", "hierarchy", '"default"'),
    (HEAD + "[[cross]]\nsubject = 'a'\nissuer = 'a'", "profile.bad_value", "cross[0].issuer", "itself"),
    (HEAD + "[[cross]]\nsubject = 'a'", "profile.missing_key", "cross[0].issuer", "missing"),
    ("[[hierarchy]", "profile.unreadable", "", "no TOML"),
]


@pytest.mark.parametrize(("text", "code", "key", "reason"), WRONG, ids=[case[0].removeprefix(HEAD) for case in WRONG])
def test_wrong_lab_file(tmp_path: Path, text: str, code: str, key: str, reason: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        lab(tmp_path, text)
    assert caught.value.code == code
    assert str(tmp_path / "lab.toml") in caught.value.message
    assert caught.value.facts["key"] == key
    assert reason in caught.value.message


def test_wrong_plans(tmp_path: Path) -> None:
    with pytest.raises(V2GPKIError, match="no hierarchy describes"):
        lab(tmp_path, HEAD + "[hierarchy.branch.v2g]\n").plan(["iso15118-20"])
    with pytest.raises(V2GPKIError, match="no edition"):
        lab(tmp_path, HEAD).plan(["iso15118-3"])
    with pytest.raises(V2GPKIError, match='no root "b"'):
        lab(tmp_path, HEAD + "[hierarchy.branch.v2g]\n[[cross]]\nsubject = 'iso2-v2g-root'\nissuer = 'b'\n").plan()
    families = HEAD.replace("iso15118-2", "iso15118-20") + "[hierarchy.branch.v2g]\n"
    cross = "[[cross]]\nsubject = 'iso20-p521-v2g-root'\nissuer = 'iso20-ed448-v2g-root'\n"
    with pytest.raises(V2GPKIError, match="different editions or key families"):
        lab(tmp_path, families + cross).plan()


def test_absent_lab_file(tmp_path: Path) -> None:
    with pytest.raises(V2GPKIError, match="cannot be read"):
        load_lab(tmp_path / "absent.toml", CATALOGUE)
