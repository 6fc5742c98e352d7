"""What must hold for any octets whatsoever; Hypothesis checks it in the unit tests, atheris as long as one lets it.

Nothing but `V2GPKIError` with a code of the table may leave the library; both back ends say the same; what is read is
written again, and what is written again is read as the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.vectors import SCHEMAS
from v2gpki import messages
from v2gpki.cli.octets import pieces
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.exi import interpret
from v2gpki.messages.codec import model

_HEADER = b"\x80"


def split(data: bytes) -> tuple[str, bool, bytes]:
    """The first octet chooses schema and mode, the rest follows the header of an EXI stream."""
    choice = data[0] if data else 0
    return SCHEMAS[choice % len(SCHEMAS)], bool(choice >> 3 & 1), _HEADER + data[1:]


def joined(schema: str, fragment: bool, exi: bytes) -> bytes:
    """The input for `split` that gives this stream; its first octet is taken for the header."""
    return bytes([SCHEMAS.index(schema) | fragment << 3]) + exi[1:]


def known(problem: V2GPKIError) -> str:
    """The code, which must stand in the table."""
    assert problem.code in CODES, problem.code
    return problem.code


def streams(data: bytes) -> None:
    """EXI: strict, generated and tolerant reading agree; a message comes back after writing."""
    schema, fragment, exi = split(data)
    message: object = None
    code = ""
    try:
        message = messages.decode(exi, schema, fragment)
    except V2GPKIError as problem:
        code = known(problem)
    strict = interpret.trace(model(schema), exi, fragment=fragment, tolerant=False)
    tolerant = messages.trace(exi, schema, fragment)
    if strict.error is not None:
        assert code == known(strict.error), (code, strict.error)
        if tolerant.error is not None:
            known(tolerant.error)
        return
    assert strict.reading is not None
    assert not code, code
    assert strict.reading.message == message
    assert tolerant.reading is not None
    assert tolerant.reading.message == message
    assert not tolerant.reading.findings
    assert isinstance(message, messages.Message | messages.NamedValue)
    again = messages.encode(message, schema, fragment)
    assert messages.decode(again, schema, fragment) == message
    assert strict.reading.element is not None
    by_table = interpret.encode(model(schema), strict.reading.element, strict.reading.value, fragment=fragment)
    assert by_table == again


def views(data: bytes) -> None:
    """XML and JSON: what is read can be shown, and read back from what is shown."""
    schema, fragment, exi = split(data)
    try:
        message = messages.decode(exi, schema, fragment)
    except V2GPKIError:
        return
    for write, read in ((messages.to_xml, messages.from_xml), (messages.to_json, messages.from_json)):
        try:
            text = write(message, schema)
        except V2GPKIError as problem:
            # XML has no control characters, for example.
            code = known(problem)
        else:
            code = "messages.not_expressible"
            assert read(text, schema, fragment) == message
        assert code == "messages.not_expressible"


def shown(data: bytes) -> None:
    """Tolerant reading gives what the views can show, or refuse."""
    schema, fragment, exi = split(data)
    run = messages.trace(exi, schema, fragment)
    if run.reading is None:
        return
    message = run.reading.message
    if isinstance(message, messages.Message | messages.NamedValue):
        for write in (messages.to_xml, messages.to_json):
            try:
                write(message, schema)
            except V2GPKIError as problem:
                known(problem)


def inputs(data: bytes) -> None:
    """Files: captures, V2GTP streams, hex, base64; each piece is recognised or refused."""
    try:
        found = pieces(data)
    except V2GPKIError as problem:
        known(problem)
        return
    for piece in found.pieces[:2]:
        try:
            messages.recognise(piece.octets)
        except V2GPKIError as problem:
            known(problem)


def texts(data: bytes) -> None:
    """XML and JSON of anybody: a message that can be written, or a refusal."""
    schema, fragment, rest = split(data)
    for read in (messages.from_xml, messages.from_json):
        try:
            message = read(rest[1:], schema, fragment)
            messages.encode(message, schema, fragment)
        except V2GPKIError as problem:
            known(problem)


PROPERTIES: Mapping[str, Callable[[bytes], None]] = {
    "streams": streams,
    "views": views,
    "shown": shown,
    "inputs": inputs,
    "texts": texts,
}
