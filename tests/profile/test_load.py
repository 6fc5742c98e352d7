"""The catalogue: users' folders that add, inherit and override; options; digests; what does not exist."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue, built_in_folder

DATA = Path(__file__).parent / "data"


def folder(root: Path, **files: str) -> Path:
    """A users' folder; ``iso15118_2__secc`` is the file iso15118-2/secc.toml."""
    for name, text in files.items():
        edition, _, role = name.partition("__")
        path = root / edition.replace("_", "-") / f"{role.replace('_', '-')}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def refusal(code: str, catalogue: Catalogue, *arguments: str, **options: str) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        catalogue.profile(*arguments, options=options)
    assert caught.value.code == code
    return caught.value


class TestForeignEdition:
    """An edition and its roles by TOML alone; the values stand in data/lab-demo."""

    def test_everything_is_read(self) -> None:
        catalogue = Catalogue([DATA])
        assert "lab-demo" in catalogue.editions()
        assert catalogue.roles("lab-demo") == ("kiosk", "kiosk-root")
        kiosk = catalogue.profile("lab-demo", "kiosk")
        assert (kiosk.suite, kiosk.key.suite, kiosk.kind, kiosk.conformant) == ("p521", "p521", "leaf", False)
        assert [(rule.type, rule.oid, rule.value) for rule in kiosk.subject.attributes] == [
            ("title", "2.5.4.12", "Tickets"),
            ("CN", "2.5.4.3", "kiosk {id}"),
        ]
        assert kiosk.extended_key_usage.oids == ("1.3.6.1.4.1.99999.7",)
        assert kiosk.policies.oids == ("1.3.6.1.4.1.99999.1",)
        assert kiosk.validity.default == timedelta(days=14)
        assert kiosk.validity.backdate == timedelta(hours=1)
        assert (kiosk.ocsp.write, kiosk.crl.write) == (False, True)
        assert catalogue.edition("lab-demo").serial.octets == 16

    def test_family_names_are_filled(self) -> None:
        catalogue = Catalogue([DATA])
        for suite, family in (("p521", "Large"), ("p256", "p256")):
            name = catalogue.profile("lab-demo", "kiosk-root", suite).subject.attributes[0]
            assert name.default == f"{{org}} Kiosk Root {family}"

    def test_every_choice(self) -> None:
        catalogue = Catalogue([DATA])
        assert sum(catalogue.check("lab-demo", role) for role in catalogue.roles("lab-demo")) == 4


class TestOverride:
    def test_a_file_is_laid_over_the_built_in_one(self, tmp_path: Path) -> None:
        catalogue = Catalogue([folder(tmp_path, iso15118_2__secc='[subject.attribute.DC]\nvalue = "CSO"\n')])
        found = catalogue.profile("iso15118-2", "secc")
        assert [rule.value for rule in found.subject.attributes] == ["{country}", "{org}", "{id}", "CSO"]
        assert found.validity == Catalogue().profile("iso15118-2", "secc").validity

    def test_inherits_of_itself_means_the_same(self, tmp_path: Path) -> None:
        text = '[size]\nmaximum = 700\n'
        plain = Catalogue([folder(tmp_path / "a", iso15118_2__secc=text)])
        named = Catalogue([folder(tmp_path / "b", iso15118_2__secc='inherits = "iso15118-2/secc"\n' + text)])
        assert plain.profile("iso15118-2", "secc") == named.profile("iso15118-2", "secc")

    def test_lists_are_replaced_and_keys_taken_away(self, tmp_path: Path) -> None:
        text = 'unset = ["validity.maximum"]\nissuers = ["private-root"]\n[validity]\ndefault = "P30Y"\n'
        found = Catalogue([folder(tmp_path, iso15118_2__secc=text)]).profile("iso15118-2", "secc")
        assert found.issuers == ("private-root",)
        assert found.validity.maximum is None
        assert found.validity.default == timedelta(days=30 * 365 + 7)

    def test_later_folders_win(self, tmp_path: Path) -> None:
        first = folder(tmp_path / "a", iso15118_2__secc="[size]\nmaximum = 700\n")
        second = folder(tmp_path / "b", iso15118_2__secc="[size]\nmaximum = 600\n")
        assert Catalogue([first, second]).profile("iso15118-2", "secc").size.maximum == 600
        assert Catalogue([second, first]).profile("iso15118-2", "secc").size.maximum == 700

    def test_edition_file_changes_every_role(self, tmp_path: Path) -> None:
        catalogue = Catalogue([folder(tmp_path, iso15118_2__edition="[common.size]\nmaximum = 750\n")])
        assert {catalogue.profile("iso15118-2", role).size.maximum for role in catalogue.roles("iso15118-2")} == {750}

    def test_new_option(self, tmp_path: Path) -> None:
        text = """
[option.tight]
note = "Whether the certificate must be tiny."
default = "no"
[option.tight.choice.no]
[option.tight.choice.yes.size]
maximum = 500
"""
        catalogue = Catalogue([folder(tmp_path, iso15118_2__secc=text)])
        assert catalogue.options("iso15118-2", "secc")["tight"].choices == ("no", "yes")
        for choice, size in (("no", 800), ("yes", 500)):
            assert catalogue.profile("iso15118-2", "secc", None, {"tight": choice}).size.maximum == size


class TestInheritance:
    def test_role_of_the_same_edition(self, tmp_path: Path) -> None:
        text = 'inherits = "secc"\ntitle = "Depot"\n[subject.attribute.O]\nvalue = "{org} Depot"\n'
        catalogue = Catalogue([folder(tmp_path, iso15118_2__depot=text)])
        found = catalogue.profile("iso15118-2", "depot")
        assert (found.role, found.title, found.key_usage.bits) == ("depot", "Depot", ("digitalSignature",))
        assert [rule.value for rule in found.subject.attributes][1:3] == ["{org} Depot", "{id}"]
        assert "depot" in catalogue.roles("iso15118-2")

    def test_role_of_another_edition_keeps_its_rules_and_takes_the_new_commons(self, tmp_path: Path) -> None:
        text = 'inherits = "iso15118-2/secc"\nissuers = ["kiosk-root"]\nanchors = ["kiosk-root"]\n'
        shutil.copytree(DATA / "lab-demo", tmp_path / "lab-demo")
        edition = (tmp_path / "lab-demo/edition.toml").read_text(encoding="utf-8")
        edition = edition.replace("[key_purposes]", '[key_purposes]\nserverAuth = "1.3.6.1.5.5.7.3.1"')
        domain = 'C = "2.5.4.6"\nDC = "0.9.2342.19200300.100.1.25"'
        edition = edition.replace("[attribute_types]", f"[attribute_types]\n{domain}")
        (tmp_path / "lab-demo/edition.toml").write_text(edition, encoding="utf-8")
        found = Catalogue([folder(tmp_path, lab_demo__secc=text)]).profile("lab-demo", "secc")
        assert (found.edition, found.suite, found.issuers) == ("lab-demo", "p521", ("kiosk-root",))
        assert found.size.maximum == 2000
        assert found.validity.default == timedelta(days=60)
        assert [rule.type for rule in found.subject.attributes] == ["C", "O", "CN", "DC"]

    def test_whole_edition(self, tmp_path: Path) -> None:
        edition = 'inherits = "iso15118-2"\nshort = "mine"\ntitle = "Mine"\n[common.size]\nmaximum = 640\n'
        role = "[subject.attribute.DC]\nvalue = \"CSO\"\n"
        catalogue = Catalogue([folder(tmp_path, my_edition__edition=edition, my_edition__secc=role)])
        assert catalogue.roles("my-edition") == catalogue.roles("iso15118-2")
        assert catalogue.profile("my-edition", "contract").size.maximum == 640
        assert catalogue.profile("my-edition", "secc").subject.attributes[-1].value == "CSO"
        assert catalogue.profile("iso15118-2", "contract").size.maximum == 800

    def test_circles_are_refused(self, tmp_path: Path) -> None:
        roles = folder(tmp_path / "r", iso15118_2__a='inherits = "b"\n', iso15118_2__b='inherits = "a"\n')
        assert "circle" in refusal("profile.bad_inheritance", Catalogue([roles]), "iso15118-2", "a").message
        editions = folder(tmp_path / "e", one__edition='inherits = "two"\n', two__edition='inherits = "one"\n')
        assert "circle" in refusal("profile.bad_inheritance", Catalogue([editions]), "one", "secc").message

    def test_first_file_cannot_inherit_itself(self, tmp_path: Path) -> None:
        catalogue = Catalogue([folder(tmp_path, iso15118_2__new='inherits = "new"\n')])
        assert "before" in refusal("profile.bad_inheritance", catalogue, "iso15118-2", "new").message


class TestUnknown:
    @pytest.mark.parametrize(
        ("code", "arguments", "hint"),
        [
            ("profile.unknown_edition", ("iso15118-3", "secc"), "iso15118-2"),
            ("profile.unknown_role", ("iso15118-2", "sec"), "secc"),
            ("profile.unknown_role", ("iso15118-2", "edition"), ""),
            ("profile.unknown_role", ("iso15118-2", "vehicle"), ""),
            ("profile.unknown_suite", ("iso15118-2", "secc", "p521"), "p256"),
            ("profile.unknown_suite", ("iso15118-20", "oem-x448", "p521"), "ed448"),
        ],
    )
    def test_edition_role_suite(self, code: str, arguments: tuple[str, ...], hint: str) -> None:
        assert hint in refusal(code, Catalogue(), *arguments).hint

    def test_option_and_choice(self) -> None:
        error = refusal("profile.unknown_option", Catalogue(), "iso15118-2", "oem", dcs="optional")
        assert '"dc"' in error.hint
        error = refusal("profile.unknown_option", Catalogue(), "iso15118-2", "oem", dc="optimal")
        assert '"optional"' in error.hint

    def test_option_that_a_family_does_not_have(self) -> None:
        catalogue = Catalogue()
        assert "key-usage" in catalogue.options("iso15118-20", "contract", "p521")
        assert "key-usage" not in catalogue.options("iso15118-20", "contract", "ed448")

    def test_folders(self, tmp_path: Path) -> None:
        for place in (tmp_path / "absent", tmp_path):
            with pytest.raises(V2GPKIError) as caught:
                Catalogue([place])
            assert caught.value.code == "profile.bad_folder"
            assert str(place) in caught.value.message
        with pytest.raises(V2GPKIError) as caught:
            Catalogue([folder(tmp_path, iso15118_3__secc="")])
        assert (caught.value.code, "iso15118-3" in caught.value.message) == ("profile.bad_folder", True)

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        folder(tmp_path, iso15118_2__secc="")
        (tmp_path / "iso15118-2/secc.toml").write_bytes(b"title = '\xff'")
        assert "UTF-8" in refusal("profile.unreadable", Catalogue([tmp_path]), "iso15118-2", "secc").message


class TestDigest:
    def test_stable_between_processes(self) -> None:
        code = (
            "from v2gpki.profile.load import Catalogue as C; c = C()\n"
            "print(c.profile('iso15118-20', 'contract', 'ed448').digest, c.profile('iso15118-2', 'secc').digest)"
        )
        command = [sys.executable, "-c", code]
        outputs = [
            subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
            for seed in ("1", "2")
        ]
        assert outputs[0] == outputs[1]
        digests = outputs[0].split()
        assert [len(digest) for digest in digests] == [64, 64]

    def test_order_of_keys_does_not_matter(self, tmp_path: Path) -> None:
        one = folder(tmp_path / "a", iso15118_2__secc="[key]\nsuite = 'p256'\nnote = 'one'\n")
        two = folder(tmp_path / "b", iso15118_2__secc="[key]\nnote = 'one'\nsuite = 'p256'\n")
        digests = {Catalogue([place]).profile("iso15118-2", "secc").digest for place in (one, two)}
        assert len(digests) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "[size]\nmaximum = 799\n",
            "held = true\n",
            "title = 'Other'\n",
            "[subject]\norder = ['CN', 'C', 'O', 'DC']\n",
            "[validity]\nbackdate = 'PT4M'\n",
        ],
    )
    def test_every_change_changes_it(self, tmp_path: Path, text: str) -> None:
        changed = Catalogue([folder(tmp_path, iso15118_2__secc=text)]).profile("iso15118-2", "secc")
        assert changed.digest != Catalogue().profile("iso15118-2", "secc").digest

    def test_an_oid_behind_a_name_counts(self, tmp_path: Path) -> None:
        edition = "[attribute_types]\nCN = '2.5.4.4'\n"
        changed = Catalogue([folder(tmp_path, iso15118_2__edition=edition)]).profile("iso15118-2", "secc")
        assert changed.digest != Catalogue().profile("iso15118-2", "secc").digest

    def test_family_and_options_count(self) -> None:
        catalogue = Catalogue()
        digests = {
            catalogue.profile("iso15118-20", "secc", suite, options).digest
            for suite in ("p521", "ed448")
            for options in ({}, {"dc": "cso"})
        }
        assert len(digests) == 4


def test_profiles_are_cached() -> None:
    catalogue = Catalogue()
    assert catalogue.profile("iso15118-2", "secc") is catalogue.profile("iso15118-2", "secc", "p256")


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    """A broken role file troubles nobody who does not use it."""
    catalogue = Catalogue([folder(tmp_path, iso15118_2__secc="broken")])
    assert catalogue.profile("iso15118-2", "cps").role == "cps"
    refusal("profile.unreadable", catalogue, "iso15118-2", "secc")


def test_built_in_folder_is_that_of_the_project() -> None:
    assert (built_in_folder() / "iso15118-2" / "edition.toml").is_file()
