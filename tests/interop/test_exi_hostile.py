"""All vectors of `V2GPKI_EXTRA_VECTORS` as they should not be: cut off anywhere, malformed, deviating, with tables."""

from __future__ import annotations

import pytest

from tests.messages.comparison import failures, tree
from tests.vectors import SCHEMAS, Vector, extra, extra_folder
from v2gpki import messages
from v2gpki.errors import V2GPKIError
from v2gpki.exi import interpret
from v2gpki.messages.codec import model

_FOLDER = extra_folder()
#: Beyond so many octets only every so many-th beginning is tried: a long list repeats itself.
_DENSE, _STRIDE = 2000, 97


def _cut(vector: Vector) -> None:
    whole, fragment = bytes.fromhex(vector["exi"]), vector["mode"] == "fragment"
    schema = vector["schema"]
    for size in (*range(min(len(whole), _DENSE)), *range(_DENSE, len(whole), _STRIDE), len(whole) - 1):
        with pytest.raises(V2GPKIError) as refusal:
            messages.decode(whole[:size], schema, fragment)
        assert refusal.value.code == "exi.truncated", size


def _malformed(vector: Vector) -> None:
    run = interpret.trace(
        model(vector["schema"]), bytes.fromhex(vector["exi"]), fragment=vector["mode"] == "fragment", tolerant=False
    )
    if vector["expect"] == "reject":
        assert run.error is not None
    elif vector["expect"] == "trailing":
        assert run.error is not None
        assert run.error.code == "exi.trailing"


def _deviation(vector: Vector) -> None:
    reading = messages.read(bytes.fromhex(vector["exi"]), vector["schema"])
    messages.to_xml(reading.message, vector["schema"])


def _string_table(vector: Vector) -> None:
    """Tolerant reading knows the string table of EXI's default options, and says that it was needed."""
    octets, fragment = bytes.fromhex(vector["exi"]), vector["mode"] == "fragment"
    reading = messages.read(octets, vector["schema"], fragment)
    assert [finding.code for finding in reading.findings] == ["exi.string_table"]
    assert tree(messages.to_xml(reading.message, vector["schema"])) == tree(vector["xml"])
    with pytest.raises(V2GPKIError) as refusal:
        messages.decode(octets, vector["schema"], fragment)
    assert refusal.value.code == "exi.string_table"


# Tests that cannot run are not there, rather than skipped: the selection is always tested (tests/exi).
if _FOLDER is not None:

    @pytest.mark.parametrize("schema", SCHEMAS)
    def test_a_beginning_of_a_message_is_never_a_message(schema: str) -> None:
        assert not failures(extra(_FOLDER, schema, f"{schema}_other"), _cut)

    @pytest.mark.parametrize("file", ["malformed", "deviations", "string_table"])
    def test_what_is_wrong_is_answered_as_it_should_be(file: str) -> None:
        check = {"malformed": _malformed, "deviations": _deviation, "string_table": _string_table}[file]
        vectors = [vector for vector in extra(_FOLDER, file) if vector["schema"] in SCHEMAS]
        assert len(vectors) > 100
        assert not failures(vectors, check)
