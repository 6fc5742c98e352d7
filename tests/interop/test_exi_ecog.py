"""Fresh random messages between us and EcoG's codec, in JSON and octets; nothing differs but its known faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.interop.ecog.codec import NAMESPACES, Ecog, RefusedError
from tests.messages.drawing import draw, roots
from v2gpki import messages

pytestmark = pytest.mark.interop("ecog")

_MESSAGES = 120
#: Optional integers that its Java classes cannot leave out: it reads and writes 0 instead.
_INVENTED = {"SchemaID", "SAScheduleTupleID", "NumEPriceLevels", "EPriceLevel"}


@pytest.fixture(scope="module")
def ecog(ecog_python: Path) -> Iterator[Ecog]:
    """EcoG's codec, started once."""
    with Ecog(ecog_python) as codec:
        yield codec


def _told(tree: Any) -> Any:
    """A JSON tree without what EcoG invents."""
    if isinstance(tree, dict):
        return {name: _told(held) for name, held in tree.items() if not (name in _INVENTED and held == 0)}
    return [_told(item) for item in tree] if isinstance(tree, list) else tree


def _carried(tree: Any) -> bool:
    """Whether its JSON and its XML in between can carry a message.

    Its JSON of free content (KeyInfo) has another form; it changes white space in attributes; and the zero that it
    invents for the schedule of a receipt is no value of its type.
    """
    if isinstance(tree, dict):
        receipt = tree.get("MeteringReceiptReq")
        if "content" in tree or (isinstance(receipt, dict) and "SAScheduleTupleID" not in receipt):
            return False
        return all(_carried(held) for held in tree.values())
    if isinstance(tree, list):
        return all(_carried(item) for item in tree)
    return not isinstance(tree, str) or tree == " ".join(tree.split())


@pytest.mark.parametrize("schema", NAMESPACES)
def test_the_same_message_on_both_sides(ecog: Ecog, schema: str) -> None:
    random = Random(f"ecog {schema}")
    documents = [
        element
        for element in roots(schema)
        if element.name.name.endswith(("Req", "Res", "V2G_Message")) and "Body" not in element.name.uri
    ]
    compared = equal = 0
    while compared < _MESSAGES:
        message = draw(random, random.choice(documents))
        text = messages.to_json(message, schema)
        tree = json.loads(text)
        if not _carried(tree):
            continue
        compared += 1
        octets = messages.encode(message, schema, ecog=True)
        assert _told(ecog.decode(schema, octets)) == _told(tree)
        theirs = ecog.encode(schema, text)
        equal += theirs == octets
        back = messages.to_json(messages.decode(theirs, schema, ecog=True), schema)
        assert _told(json.loads(back)) == _told(tree)
    # the others hold an empty value, which it codes in the other of the two legal ways, or what it invents
    assert equal > _MESSAGES // 5


def test_full_lists_need_its_own_coding(ecog: Ecog) -> None:
    """Sixteen services are one too many for its grammar when they are coded as the standard says."""
    selected = messages.from_json(
        json.dumps(
            {
                "V2G_Message": {
                    "Header": {"SessionID": "0000000000000000"},
                    "Body": {
                        "PaymentServiceSelectionReq": {
                            "SelectedPaymentOption": "Contract",
                            "SelectedServiceList": {"SelectedService": [{"ServiceID": i} for i in range(16)]},
                        }
                    },
                }
            }
        )
    )
    assert ecog.decode("iso15118-2", messages.encode(selected, ecog=True)) == json.loads(messages.to_json(selected))
    try:
        read = ecog.decode("iso15118-2", messages.encode(selected))
    except RefusedError:
        return
    assert read != json.loads(messages.to_json(selected))
