"""The one gate: wrong keys, types and values, each refused with file, dotted key and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from v2gpki.errors import CODES, V2GPKIError
from v2gpki.profile.load import Catalogue

#: what a user's iso15118-2/secc.toml says, the code, the dotted key, a word of the reason, a word of the hint
WRONG = [
    ("[key_usages]\nbits = []", "profile.unknown_key", "key_usages", "not known", "key_usage"),
    ("[key_usage]\nbit = []", "profile.unknown_key", "key_usage.bit", "not known", "bits"),
    ("[subject]\norderd = true", "profile.unknown_key", "subject.orderd", "not known", "ordered"),
    ("[subject.attribute.CN]\nvalu = 1", "profile.unknown_key", "subject.attribute.CN.valu", "not known", "value"),
    ("isuers = []", "profile.unknown_key", "isuers", "not known", "issuers"),
    ("unset = ['title']", "profile.missing_key", "title", "missing", ""),
    ("unset = ['validity.default']", "profile.missing_key", "validity.default", "missing", ""),
    ("unset = ['valdity.default']", "profile.bad_value", "unset", "no \"valdity.default\"", "validity.default"),
    ("unset = 'title'", "profile.bad_value", "unset", "list", ""),
    ("kind = 'leave'", "profile.bad_value", "kind", '"leave"', "leaf"),
    ("kind = 'sub-ca'", "profile.missing_key", "depth", "missing", ""),
    ("title = 5", "profile.bad_value", "title", "a string is expected, not a number", ""),
    ('title = "a\\u0007b"', "profile.bad_value", "title", "control", ""),
    ("depth = 'three'", "profile.bad_value", "depth", "whole number", ""),
    ("depth = true", "profile.bad_value", "depth", "whole number", ""),
    ("depth = 10", "profile.bad_value", "depth", "0..9", ""),
    ("held = 'yes'", "profile.bad_value", "held", "true or false", ""),
    ("issuers = []", "profile.bad_value", "issuers", "at least one issuer", ""),
    ("issuers = ['cpo-sub-ca-3']", "profile.bad_value", "issuers", "cpo-sub-ca-3", "cpo-sub-ca-2"),
    ("issuers = 'cpo-sub-ca-2'", "profile.bad_value", "issuers", "list of strings", ""),
    ("anchors = ['v2g-root', 'v2g-root']", "profile.bad_value", "anchors", "twice", ""),
    ("validity = 'P1D'", "profile.bad_value", "validity", "a table is expected", ""),
    ("[title]\na = 1", "profile.bad_value", "title", "not a table", ""),
    ("[validity]\ndefault = '60 days'", "profile.bad_value", "validity.default", "no duration", ""),
    ("[validity]\ndefault = 'P2M'", "profile.bad_value", "validity.default", "months", ""),
    ("[validity]\ndefault = 'P93D'", "profile.bad_value", "validity.default", "longer than the maximum", ""),
    ("[validity]\nminimum = 'P61D'", "profile.bad_value", "validity.minimum", "shorter than the minimum", ""),
    ("[validity]\ndefault = 'P0D'", "profile.bad_value", "validity.default", "nothing", ""),
    ("[size]\nmaximum = 10", "profile.bad_value", "size.maximum", "10", ""),
    ("[key]\nsuite = 'p384'", "profile.bad_value", "key.suite", "p384", "p256"),
    ("[basic_constraints]\nca = true", "profile.bad_value", "basic_constraints.ca", "leaf", ""),
    ("[basic_constraints]\npath_length = 0", "profile.bad_value", "basic_constraints.path_length", "only a CA", ""),
    ("[key_usage]\nbits = ['CRLSign']", "profile.bad_value", "key_usage.bits", "CRLSign", "cRLSign"),
    ("[key_usage]\nbits = []", "profile.bad_value", "key_usage.bits", "at least one", ""),
    ("[key_usage]\nrequired = ['cRLSign']", "profile.bad_value", "key_usage.required", "cRLSign", ""),
    ("[extended_key_usage]\nwrite = ['server']", "profile.bad_value", "extended_key_usage.write", "OID", "serverAuth"),
    ("[extended_key_usage]\nrequired = ['1.2.3']", "profile.bad_value", "extended_key_usage.required", "written", ""),
    ("[policies]\nwrite = ['hubject']", "profile.bad_value", "policies.write", "OID", "hubject-cp"),
    ("[subject_key_identifier]\nform = 'sha256'", "profile.bad_value", "subject_key_identifier.form", "sha256", ""),
    ("[authority_key_identifier]\nform = 'sha1-60'", "profile.unknown_key", "authority_key_identifier.form", "", ""),
    ("[ocsp]\npresence = 'forbidden'", "profile.bad_value", "ocsp.presence", "forbidden", ""),
    ("[identifier]\nkinds = ['emiad']", "profile.bad_value", "identifier.kinds", "emiad", "emaid"),
    ("[identifier]\nkinds = []", "profile.bad_value", "identifier.kinds", "kinds is empty", ""),
    ("[subject]\norder = ['CN', 'OU']", "profile.bad_value", "subject.order", "[subject.attribute.OU]", ""),
    ("[subject]\norder = ['CN']", "profile.bad_value", "subject.order", "not stand in subject.order", ""),
    ("[subject.attribute.CN]\ntype = 'CNN'", "profile.bad_value", "subject.attribute.CN.type", "CNN", "CN"),
    ("[subject.attribute.CN]\nvalue = '{ids}'", "profile.bad_value", "subject.attribute.CN.value", "{ids}", "{id}"),
    ("[subject.attribute.CN]\nvalue = 'a } b'", "profile.bad_value", "subject.attribute.CN.value", "brace", ""),
    ("[subject.attribute.CN]\nvalue = ''", "profile.bad_value", "subject.attribute.CN.value", "needs a value", ""),
    ("[subject.attribute.CN]\nfixed = true", "profile.bad_value", "subject.attribute.CN.fixed", "holes", ""),
    ("[subject.attribute.CN]\nstring = 'utf16'", "profile.bad_value", "subject.attribute.CN.string", "utf16", "utf8"),
    ("[subject.attribute.CN]\naccept = ['ia5']", "profile.bad_value", "subject.attribute.CN.accept", "utf8", ""),
    ("[option.eku]\ndefault = 'nix'", "profile.bad_value", "option.eku.default", "nix", ""),
    ("[option.eku.choice.x.size]\nmax = 1", "profile.unknown_key", "option.eku.choice.x.size.max", "", "maximum"),
    ("[option.eku]\nchoices = []", "profile.unknown_key", "option.eku.choices", "", "choice"),
    ("[option.new]\ndefault = 'a'\n[option.new.choice.a]", "profile.missing_key", "option.new.note", "missing", ""),
    ("[suite.p256.size]\nmaximum = 1", "profile.bad_value", "suite.p256.size.maximum", "1", ""),
    ("families = ['p521']", "profile.bad_value", "families", "p256", ""),
    ("title = ", "profile.unreadable", "", "no TOML", ""),
    ("inherits = 7", "profile.bad_value", "inherits", "edition/role", ""),
    ("inherits = 'iso15118-2/sec'", "profile.bad_inheritance", "inherits", "iso15118-2/sec", "secc"),
    ("inherits = 'iso15118-3/secc'", "profile.bad_inheritance", "inherits", "iso15118-3", "iso15118-2"),
]


def user_file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "code", "key", "reason", "hint"), WRONG, ids=[case[0] for case in WRONG])
def test_wrong_role_file(tmp_path: Path, text: str, code: str, key: str, reason: str, hint: str) -> None:
    path = user_file(tmp_path, "iso15118-2/secc.toml", text)
    with pytest.raises(V2GPKIError) as caught:
        Catalogue([tmp_path]).profile("iso15118-2", "secc")
    error = caught.value
    assert error.code == code
    assert error.code in CODES
    assert error.facts["key"] == key
    assert f"{path}: " in error.message
    assert key in error.message
    assert reason in error.message
    assert hint in error.hint


def test_fault_in_the_base_of_an_inherited_role_names_the_base(tmp_path: Path) -> None:
    base = user_file(tmp_path, "iso15118-2/secc.toml", "[size]\nmaximum = 'large'\n")
    user_file(tmp_path, "iso15118-2/kiosk.toml", 'inherits = "secc"\ntitle = "Kiosk"\n')
    with pytest.raises(V2GPKIError) as caught:
        Catalogue([tmp_path]).profile("iso15118-2", "kiosk")
    assert caught.value.facts["file"] == str(base)


EDITION = [
    ("suites = ['p384']", "profile.bad_value", "suites"),
    ("suites = ['x448']", "profile.bad_value", "suites"),
    ("suites = []", "profile.bad_value", "suites"),
    ("short = 'ISO 2'", "profile.bad_value", "short"),
    ("colour = 1", "profile.unknown_key", "colour"),
    ("[serial]\noctets = 21", "profile.bad_value", "serial.octets"),
    ("[serial]\nfirst_maximum = 0x80", "profile.bad_value", "serial.first_maximum"),
    ("[serial]\nfirst_minimum = 0x7F\nfirst_maximum = 0x40", "profile.bad_value", "serial.first_minimum"),
    ("[key_purposes]\nserverAuth = 'one.two'", "profile.bad_value", "key_purposes.serverAuth"),
    ("[attribute_types]\nCN = 5", "profile.bad_value", "attribute_types.CN"),
    ("[branch.cpo]\nroot = 'x'", "profile.unknown_key", "branch.cpo.root"),
    ("[expiring_soon]\nwindow = '3 weeks'", "profile.bad_value", "expiring_soon.window"),
    ("unset = ['expiring_soon']", "profile.missing_key", "expiring_soon.window"),
    ("[common.size]\nmaximum = 0", "profile.bad_value", "common.size.maximum"),
    ("[kind.leaf.key_usage]\ncritcal = true", "profile.unknown_key", "kind.leaf.key_usage.critcal"),
]


@pytest.mark.parametrize(("text", "code", "key"), EDITION, ids=[case[0] for case in EDITION])
def test_wrong_edition_file(tmp_path: Path, text: str, code: str, key: str) -> None:
    path = user_file(tmp_path, "iso15118-2/edition.toml", text)
    with pytest.raises(V2GPKIError) as caught:
        Catalogue([tmp_path]).profile("iso15118-2", "secc")
    assert caught.value.code == code
    assert caught.value.facts["key"] == key
    assert f"{path}: {key}" in caught.value.message
