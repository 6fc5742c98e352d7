"""Values as EXI codes them (EXI 1.0 section 7.1), read and written through bit streams; bounded in every direction.

`read_value` gives what the wire says and refuses only what cannot be: more octets than there are, an index beyond an
enumeration, a code point that is none. Facets (`Value.breach`) are the caller's to check, so that a tolerant reader
can go on. A writer is given values whose type is right; it refuses numbers that its width cannot hold with
`ValueError`.
"""

from __future__ import annotations

from v2gpki.exi.bitstream import BitReader, BitWriter, Malformed
from v2gpki.exi.ir import Binary, Boolean, Enumeration, Integer, Plain, Text, Value

#: Whole groups of seven bits, read and written alike. Nobody sends more than 20 octets; EXI itself has no bound.
MAX_INTEGER_BITS = 2044
_GROUPS = MAX_INTEGER_BITS // 7


def read_unsigned(reader: BitReader, groups: int = _GROUPS) -> int:
    """An unsigned varint: groups of seven bits, the least significant first (EXI 7.1.6)."""
    start = reader.position
    octet = reader.bits(8)
    value = octet & 127
    shift = 7
    while octet & 128:
        if shift >= 7 * groups:
            raise Malformed("exi.limit", f"a number of more than {7 * groups} bits", start)
        octet = reader.bits(8)
        value |= (octet & 127) << shift
        shift += 7
    return value


def write_unsigned(writer: BitWriter, value: int) -> None:
    """Write an unsigned varint."""
    if value < 0:
        raise ValueError("a negative number has no unsigned coding")
    while value > 127:
        writer.bits(value & 127 | 128, 8)
        value >>= 7
    writer.bits(value, 8)


def read_length(reader: BitReader) -> int:
    """A length that is not longer than what is left could hold."""
    start = reader.position
    length = read_unsigned(reader)
    if length > reader.remaining // 8 + 2:
        raise Malformed("exi.truncated", f"a length of {length} where {reader.remaining // 8} octets are left", start)
    return length


def read_characters(reader: BitReader, count: int) -> str:
    """So many code points, each an unsigned varint (EXI 7.1.10)."""
    if 8 * count > reader.remaining:
        raise Malformed("exi.truncated", f"the data end within a string of {count} characters", reader.position)
    start = reader.position
    octets = reader.octets(count)
    if octets.isascii():
        return octets.decode("ascii")
    reader.position = start
    characters = []
    for _ in range(count):
        at = reader.position
        point = read_unsigned(reader)
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise Malformed("exi.character", f"{point:#x} is not a character", at)
        characters.append(chr(point))
    return "".join(characters)


def read_string(reader: BitReader) -> str:
    """A string literal. Hits in a string table are refused: ISO 15118 has no string table ([V2G2-099], [V2G2-600])."""
    start = reader.position
    length = read_length(reader)
    if length < 2:
        raise Malformed("exi.string_table", "a hit in a string table, which ISO 15118 does not have", start)
    return read_characters(reader, length - 2)


def write_characters(writer: BitWriter, text: str) -> None:
    """The code points alone."""
    if text.isascii():
        writer.octets(text.encode("ascii"))
        return
    for character in text:
        write_unsigned(writer, ord(character))


def write_string(writer: BitWriter, text: str) -> None:
    """Write a string literal: length in code points plus 2, code points."""
    write_unsigned(writer, len(text) + 2)
    write_characters(writer, text)


def read_binary(reader: BitReader) -> bytes:
    """Length in octets, octets."""
    start = reader.position
    length = read_unsigned(reader)
    if 8 * length > reader.remaining:
        raise Malformed("exi.truncated", f"{length} octets announced, {reader.remaining // 8} are left", start)
    return reader.octets(length)


def write_binary(writer: BitWriter, data: bytes) -> None:
    """Write length and octets."""
    write_unsigned(writer, len(data))
    writer.octets(data)


def read_value(reader: BitReader, value: Value) -> Plain:
    """A value of a simple type, as the wire has it; facets beyond the coding are not checked."""
    match value:
        case Boolean():
            return reader.bits(1) == 1
        case Enumeration(values):
            at = reader.position
            index = reader.bits(value.bits)
            if index >= len(values):
                raise Malformed("exi.enumeration", f"index {index} of an enumeration of {len(values)} values", at)
            return values[index]
        case Integer(minimum=minimum):
            return _read_integer(reader, value, minimum or 0)
        case Text():
            return read_string(reader)
        case Binary():
            return read_binary(reader)


def _read_integer(reader: BitReader, value: Integer, minimum: int) -> int:
    form = value.form
    if form == "bits":
        return reader.bits(value.bits) + minimum
    if form == "unsigned":
        return read_unsigned(reader)
    negative = reader.bits(1)
    magnitude = read_unsigned(reader)
    return -magnitude - 1 if negative else magnitude


def write_value(writer: BitWriter, value: Value, content: Plain) -> None:
    """Write a value whose Python type is the right one; `ValueError` if its coding has no room for it."""
    match value:
        case Boolean():
            writer.bits(1 if content else 0, 1)
        case Enumeration(values):
            assert isinstance(content, str)
            writer.bits(values.index(content), value.bits)
        case Integer(minimum=minimum):
            assert isinstance(content, int)
            _write_integer(writer, value, content, minimum or 0)
        case Text():
            assert isinstance(content, str)
            write_string(writer, content)
        case Binary():
            assert isinstance(content, bytes)
            write_binary(writer, content)


def _write_integer(writer: BitWriter, value: Integer, content: int, minimum: int) -> None:
    form = value.form
    if form == "bits":
        if not 0 <= content - minimum < 1 << value.bits:
            raise ValueError(f"{content} does not fit {value.bits} bits")
        writer.bits(content - minimum, value.bits)
    elif form == "unsigned":
        write_unsigned(writer, content)
    else:
        writer.bits(1 if content < 0 else 0, 1)
        write_unsigned(writer, -content - 1 if content < 0 else content)
