"""The classes against the reference encoder's tables, and how quickly they are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.vectors import SCHEMAS, Vector, selection
from v2gpki.exi import ir
from v2gpki.messages.codec import grammar


@pytest.fixture(params=SCHEMAS)
def codes(request: pytest.FixtureRequest) -> Vector:
    """The code lists of one schema."""
    return next(one for one in selection("codes") if one["schema"] == request.param)


def test_documents_have_the_reference_codes(codes: Vector) -> None:
    schema = grammar(codes["schema"]).schema
    assert [str(element.name) for element in schema.document] == codes["document"][:-1]
    assert codes["document"][-1] == "START_ELEMENT_GENERIC"


def test_fragments_have_the_reference_codes(codes: Vector) -> None:
    schema = grammar(codes["schema"]).schema
    assert [str(element.name) for element in schema.fragment] == codes["fragment"][:-2]
    assert codes["fragment"][-2:] == ["START_ELEMENT_GENERIC", "END_DOCUMENT"]


def test_name_tables_are_the_references(codes: Vector) -> None:
    """Only names under wildcards and misplaced ones are coded by them."""
    assert [[uri, list(names)] for uri, names in grammar(codes["schema"]).schema.names] == codes["names"]


def test_only_emaid_is_relaxed(codes: Vector) -> None:
    schema = grammar(codes["schema"]).schema
    relaxed = [element.name.name for element in schema.fragment if isinstance(element.type, ir.RelaxedType)]
    assert relaxed == (["eMAID"] if codes["schema"] == "iso15118-2" else [])


def test_names_in_json_are_unique_within_a_type(codes: Vector) -> None:
    """Attributes, elements and the text of one type never share a name; else its JSON could not be read."""
    for element in grammar(codes["schema"]).schema.fragment:
        type_ = element.type
        if isinstance(type_, ir.RelaxedType):
            continue
        names = [attribute.field for attribute in type_.attributes] + ([type_.value_field] if type_.value_field else [])
        for particle in type_.particles:
            if particle.form == "items":
                continue
            names += [one.name.name for one in particle.elements if not one.abstract]
        assert len(names) == len(set(names)), element


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_is_imported_is_what_is_used() -> None:
    inside = "[m for m in sys.modules if m.startswith('v2gpki.messages.')]"
    assert _run(f"import sys; from v2gpki import messages; print({inside})") == "[]"
    editions = "[m for m in sys.modules if '.iso' in m or '.views' in m or '.interpret' in m]"
    code = f"import sys; from v2gpki import messages; messages.decode, messages.encode; print({editions})"
    assert _run(code) == "[]"
    only = "sorted(m.rpartition('.')[2] for m in sys.modules if m.startswith('v2gpki.messages.iso20_'))"
    code = f"import sys; from v2gpki.messages import iso20_dc; print({only})"
    assert _run(code) == "['iso20_dc', 'iso20_types']"


def test_the_modules_hold_every_name() -> None:
    """The package of an edition is the sum of its subjects."""
    from v2gpki.messages import iso2, iso20_common

    for package, schema in ((iso2, "iso15118-2"), (iso20_common, "iso15118-20-common")):
        for namespace in grammar(schema).namespaces:
            if namespace.prefix != "ds":
                assert [cls for cls in namespace.classes if getattr(package, cls.__name__, None) is not cls] == []
