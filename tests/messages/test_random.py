"""What holds for every message: encoded it is decoded again, by both back ends, and both views show all of it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.drawing import draw, roots
from tests.vectors import SCHEMAS
from v2gpki import messages
from v2gpki.exi import interpret
from v2gpki.messages import codec


@pytest.mark.parametrize("fragment", [False, True], ids=["document", "fragment"])
@pytest.mark.parametrize("schema", SCHEMAS)
@given(seed=st.integers(0, 2**32))
def test_there_and_back(schema: str, fragment: bool, seed: int) -> None:
    random = Random(seed)
    message = draw(random, random.choice(roots(schema, fragment=fragment)))
    octets = messages.encode(message, schema, fragment)
    assert messages.decode(octets, schema, fragment) == message
    assert messages.from_xml(messages.to_xml(message, schema), schema, fragment) == message
    assert messages.from_json(messages.to_json(message, schema), schema, fragment) == message
    # the interpreter alone
    element, value = codec.root_of(message, schema, fragment)
    assert interpret.encode(codec.model(schema), element, value, fragment=fragment) == octets
    assert interpret.decode(codec.model(schema), octets, fragment=fragment) == (element, value)
