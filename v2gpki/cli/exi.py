"""``v2gpki exi``: show captured messages, write messages, and trace every bit of one. Needs no home."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from v2gpki.cli.failure import error_text, error_value, finding_text, finding_value
from v2gpki.cli.files import read_input, write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.octets import Piece, Pieces, of_hex, pieces
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, Finding, V2GPKIError
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from v2gpki.messages import Message, NamedValue, Step, Trace

Decorated = TypeVar("Decorated", bound=Callable[..., object])

_SCHEMAS = ("app", "iso15118-2", "iso15118-20-common", "ac", "dc", "wpt", "acdp", "xmldsig")
_COLOURS = {"SE": "cyan", "EE": "cyan", "AT": "magenta", "CH": "green", "!": "red"}
_VALUE_WIDTH = 96


def _input_options(command: Decorated) -> Decorated:
    """FILE or --hex, --schema, --fragment, --ecog: the same for all three."""
    for decorate in (
        click.option("--ecog", is_flag=True, help="Code full lists as EcoG's grammars do, one bit longer."),
        click.option("--fragment", is_flag=True, help="A signed fragment, not a document."),
        click.option("--schema", type=click.Choice(_SCHEMAS), help="The schema (default: found out)."),
    ):
        command = decorate(command)
    return command


_waive_option = click.option(
    "--waive", "waivers", multiple=True, metavar="PATH", help="Let breaches at this path through; * is a step."
)
_hex_option = click.option("--hex", "hex_text", metavar="HEX", help="The octets themselves instead of FILE.")


@click.group(name="exi")
def exi() -> None:
    """Read, write and trace V2G messages in EXI: supportedAppProtocol, ISO 15118-2 and -20, XML signatures.

    Input is raw, hex, base64, V2GTP frames, or a capture of a session (pcap, pcapng). The schema is found
    out from the payload type and the octets where it is not given.
    """


@exi.command(name="decode")
@click.argument("file", required=False, metavar="[FILE|-]")
@_hex_option
@_input_options
@click.option("--format", "form", type=click.Choice(["xml", "json"]), default="xml", help="What to print.")
@click.option("--tolerant", is_flag=True, help="Read what breaks rules too, and list the breaches.")
@_waive_option
@click.pass_obj
def decode(
    frame: Frame,
    *,
    file: str | None,
    hex_text: str | None,
    schema: str | None,
    fragment: bool,
    ecog: bool,
    form: str,
    tolerant: bool,
    waivers: Sequence[str],
) -> int:
    """Print the messages in FILE as XML or JSON.

    The exit code is 1 when a message cannot be read, or with --tolerant when it breaks a rule.
    """
    found = _input(file, hex_text)
    indent = len(found.pieces) == 1 and not frame.json
    settings = _Settings(schema, fragment or None, form, tolerant, ecog, tuple(waivers), indent)
    results = [_Decoded(piece, settings) for piece in found.pieces]
    if len(results) == 1 and results[0].error is not None:
        raise results[0].error
    value = {
        "schema": "v2gpki/exi/1",
        "messages": [result.value() for result in results],
        "notes": found.notes,
    }
    text = "\n".join(_texts(results, form))
    frame.emit(value, printable(text) if sys.stdout.isatty() else text)
    for note in found.notes:
        frame.note(printable(note))
    if len(results) == 1:
        frame.note(results[0].summary)
        for finding in results[0].findings:
            frame.note(finding_text(finding))
    return EXIT_REFUSED if any(result.error or result.findings for result in results) else EXIT_OK


class _Settings(NamedTuple):
    """How to read."""

    schema: str | None
    fragment: bool | None
    form: str
    tolerant: bool
    ecog: bool
    waivers: tuple[str, ...]
    indent: bool


class _Decoded:
    """One piece, read and put into text; or why not."""

    def __init__(self, piece: Piece, settings: _Settings) -> None:
        self.piece = piece
        self.settings = settings
        self.schema = settings.schema or ""
        self.fragment = settings.fragment or False
        self.text = ""
        self.findings: tuple[Finding, ...] = ()
        self.also: list[str] = []
        self.error: V2GPKIError | None = None
        try:
            self.schema, self.fragment, self.also = _way(piece, settings.schema, settings.fragment)
            self.text = self._read()
        except V2GPKIError as problem:
            self.error = problem

    def _read(self) -> str:
        from v2gpki import messages

        octets, (_, _, form, tolerant, ecog, waivers, indent) = self.piece.octets, self.settings
        message: object
        if tolerant or ecog or waivers:
            reading = messages.read(octets, self.schema, self.fragment, tolerant=tolerant, ecog=ecog, waivers=waivers)
            self.findings = reading.findings
            message = reading.message
        else:
            message = messages.decode(octets, self.schema, self.fragment)
        if not isinstance(message, messages.Message | messages.NamedValue):
            raise V2GPKIError("messages.not_a_root", f"{self.schema} has no such root", hint="trace shows it")
        write = messages.to_json if form == "json" else messages.to_xml
        return write(message, self.schema, indent=indent)

    @property
    def summary(self) -> str:
        """One line: where from, which schema."""
        from v2gpki.v2gtp import payload_name

        parts = list(self.piece.origin.values())
        if self.piece.payload_type is not None:
            parts.append(f"{self.piece.payload_type:#06x} {payload_name(self.piece.payload_type)}")
        if self.schema:
            parts.append(f"schema {self.schema}" + (", fragment" if self.fragment else ""))
        if self.also:
            parts.append("also reads as " + ", ".join(self.also))
        parts.append(f"{len(self.piece.octets)} octets")
        return " | ".join(parts)

    def value(self) -> dict[str, object]:
        """The JSON form."""
        value: dict[str, object] = {**self.piece.origin}
        if self.piece.payload_type is not None:
            value["payload_type"] = f"{self.piece.payload_type:#06x}"
        value |= {"exi": self.piece.octets, "exi_schema": self.schema, "fragment": self.fragment, "also": self.also}
        if self.error is not None:
            return value | {"error": error_value(self.error)}
        value["message"] = json.loads(self.text) if self.settings.form == "json" else self.text
        value["findings"] = [finding_value(finding) for finding in self.findings]
        return value


def _texts(results: Sequence[_Decoded], form: str) -> Iterator[str]:
    """What people see: one message alone, or each under a comment that says what it is."""
    if len(results) == 1:
        yield results[0].text
        return
    for result in results:
        summary = printable(result.summary)
        yield f"<!-- {summary} -->" if form == "xml" else f"// {summary}"
        if result.error is None:
            yield result.text
        elif result.error.code == "messages.unknown_payload":
            yield result.piece.octets.hex()
        else:
            yield f"{result.piece.octets.hex()}\n{error_text(result.error)}"
        yield from (finding_text(finding) for finding in result.findings)


def _way(piece: Piece, schema: str | None, fragment: bool | None) -> tuple[str, bool, list[str]]:
    """The schema and mode to read a piece with, and the other schemas that would do."""
    from v2gpki import messages
    from v2gpki.v2gtp import PayloadType

    if piece.payload_type is not None and schema is None:
        if piece.payload_type != PayloadType.EXI:
            return messages.schema_of(piece.payload_type), fragment or False, []
        schemas: Sequence[str] = ("app", "iso15118-2")
        fragment = fragment or False
    else:
        schemas = (schema,) if schema else messages.SCHEMAS
    if len(schemas) == 1 and fragment is not None:
        return schemas[0], fragment, []
    try:
        found = messages.recognise(piece.octets, schemas, fragment)
    except V2GPKIError:
        if len(schemas) == 1:
            return schemas[0], fragment or False, []
        near = messages.nearest(piece.octets, schemas, fragment or False)
        run = messages.trace(piece.octets, near, fragment or False)
        if run.reading is None or any(finding.code == "exi.trailing" for finding in run.reading.findings):
            raise
        return near, fragment or False, []
    first = found[0]
    also = {candidate.schema: None for candidate in found[1:] if candidate.schema != first.schema}
    return first.schema, first.fragment, list(also)


@exi.command(name="encode")
@click.argument("file", required=False, metavar="[FILE|-]")
@_input_options
@click.option("--format", "form", type=click.Choice(["xml", "json"]), help="What FILE is (default: found out).")
@click.option("--v2gtp", is_flag=True, help="Put the V2GTP header in front.")
@click.option("-o", "--output", metavar="FILE", help="Write the octets here (- is stdout) instead of printing hex.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@_waive_option
@click.pass_obj
def encode(
    frame: Frame,
    *,
    file: str | None,
    schema: str | None,
    fragment: bool,
    ecog: bool,
    form: str | None,
    v2gtp: bool,
    output: str | None,
    force: bool,
    waivers: Sequence[str],
) -> int:
    """Write the message in FILE (XML or JSON) as EXI, in hex or with -o as octets. Every facet is checked."""
    from v2gpki import messages

    text = read_input(file or "-")
    named, message = _message(text, form or _form(text), schema, fragment)
    octets = messages.encode(message, named, fragment, ecog=ecog, waivers=tuple(waivers))
    if v2gtp:
        from v2gpki.v2gtp import build

        octets = build(_payload_type(named), octets)
    if output is not None:
        write_output(output, octets, force=force)
        if output == "-":
            return EXIT_OK
    value = {
        "schema": "v2gpki/exi-encode/1",
        "exi_schema": named,
        "fragment": fragment,
        "size": len(octets),
        "exi": octets,
    }
    frame.emit(value, f"{len(octets)} octets in {output}" if output else octets.hex())
    return EXIT_OK


def _form(text: bytes) -> str:
    return "json" if text.lstrip()[:1] in (b"{", b"[") else "xml"


def _message(text: bytes, form: str, schema: str | None, fragment: bool) -> tuple[str, Message | NamedValue]:
    """The schema and the message; the first schema that has the root, if none is given."""
    from v2gpki import messages

    read = messages.from_json if form == "json" else messages.from_xml
    if schema is not None:
        return schema, read(text, schema, fragment)
    # xmldsig comes first: a signature's parts are coded with it alone, whatever schema they travel in.
    last: V2GPKIError | None = None
    for name in ("xmldsig", *(name for name in messages.SCHEMAS if name != "xmldsig")):
        try:
            return name, read(text, name, fragment)
        except V2GPKIError as problem:
            if problem.code != "messages.not_a_root":
                raise
            last = problem
    assert last is not None
    raise last


def _payload_type(schema: str) -> int:
    from v2gpki.messages.frames import PAYLOAD_SCHEMAS
    from v2gpki.v2gtp import PayloadType

    if schema in {"app", "iso15118-2"}:
        return PayloadType.EXI
    for payload_type, name in PAYLOAD_SCHEMAS.items():
        if name == schema:
            return payload_type
    raise V2GPKIError("usage.invalid", f"no payload type carries documents of {schema}", hint="leave --v2gtp out")


@exi.command(name="trace")
@click.argument("file", required=False, metavar="[FILE|-]")
@_hex_option
@_input_options
@click.pass_obj
def trace(
    frame: Frame, *, file: str | None, hex_text: str | None, schema: str | None, fragment: bool, ecog: bool
) -> int:
    """Print every event of a message: bit position, width and value of its code, and what it says.

    Reading goes on behind what breaks a rule where that is possible; such places are marked with "!".
    """
    from v2gpki import messages

    found = _input(file, hex_text)
    values: list[dict[str, object]] = []
    lines: list[str] = []
    wrong = False
    for piece in found.pieces:
        try:
            name, mode, _ = _way(piece, schema, fragment or None)
        except V2GPKIError as problem:
            if problem.code == "messages.unknown_payload":
                continue
            name, mode = messages.nearest(piece.octets, fragment=fragment), fragment
        run = messages.trace(piece.octets, name, mode, ecog=ecog)
        wrong = wrong or run.error is not None or bool(run.reading and run.reading.findings)
        values.append({**piece.origin, "exi_schema": name, "fragment": mode, **_trace_value(run)})
        if lines:
            lines.append("")
        lines += [click.style(f"schema {name}{', fragment' if mode else ''}", bold=True), *_trace_lines(run)]
        if run.error is not None:
            lines.append(error_text(run.error))
    frame.emit({"schema": "v2gpki/exi-trace/1", "messages": values, "notes": found.notes}, "\n".join(lines))
    return EXIT_REFUSED if wrong else EXIT_OK


def _trace_value(run: Trace) -> dict[str, object]:
    return {
        "bits": run.reading.bits if run.reading else None,
        "events": [
            {
                "event": step.event,
                "path": step.path,
                "name": step.name,
                "codes": [{"bit": bit, "width": width, "value": code} for bit, width, code in step.codes],
                "value": step.value,
                "value_bit": step.value_position,
                "value_bits": step.value_bits,
                "note": step.note,
            }
            for step in run.steps
        ],
        "error": error_value(run.error) if run.error else None,
    }


def _trace_lines(run: Trace) -> Iterator[str]:
    for step in run.steps:
        codes = " ".join(f"{code:0{width}b}" if width else "-" for _, width, code in step.codes)
        place = step.codes[0][0] if step.codes else step.value_position
        event = click.style(f"{step.event:6}", fg=_COLOURS.get(step.event))
        indent = "  " * step.depth
        position = click.style(f"{place:6}", dim=True)
        yield f"{position}  {'' if step.event == '!' else codes:12}  {indent}{event} {_said(step)}".rstrip()


def _said(step: Step) -> str:
    """Name, value with its place and width, note."""
    parts = []
    if step.name and step.event != "CH":
        namespace, _, name = step.name.rpartition("}")
        parts.append(click.style(name, bold=True) + (click.style(f" {namespace}}}", dim=True) if namespace else ""))
    if step.value is not None:
        shown = step.value.hex() if isinstance(step.value, bytes) else printable(str(step.value))
        if len(shown) > _VALUE_WIDTH:
            shown = f"{shown[:_VALUE_WIDTH]}... ({len(step.value) if isinstance(step.value, str | bytes) else shown})"
        parts.append(shown)
        parts.append(click.style(f"@{step.value_position}+{step.value_bits}", dim=True))
    if step.note:
        parts.append(click.style(printable(step.note), fg="red"))
    return " ".join(parts)


def _input(file: str | None, hex_text: str | None) -> Pieces:
    if file is not None and hex_text is not None:
        raise V2GPKIError("usage.invalid", "give a file or --hex, not both")
    if hex_text is not None:
        return of_hex(hex_text)
    if file is None and sys.stdin.isatty():
        raise V2GPKIError("usage.invalid", "there is nothing to read", hint="give a file, - or --hex")
    return pieces(read_input(file or "-"))
