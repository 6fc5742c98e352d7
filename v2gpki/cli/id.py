"""``v2gpki id``: check identifiers and make them from their parts. Needs no home."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from v2gpki.cli.failure import finding_text, finding_value
from v2gpki.cli.frame import Frame
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError
from v2gpki.identifiers import KINDS, MAKES, Identifier, emaid, make, parse
from v2gpki.identifiers.model import excerpt


@click.group(name="id")
def identifier() -> None:
    """Check and make identifiers: EMAID, PCID, EVSEID, SECCID, EVCCID, CPID."""


@identifier.command(name="check", context_settings={"ignore_unknown_options": True})
@click.argument("kind", type=click.Choice(KINDS, case_sensitive=False), metavar="KIND")
@click.argument("values", nargs=-1, required=True)
@click.pass_obj
def check(frame: Frame, kind: str, values: tuple[str, ...]) -> int:
    """Read VALUES as identifiers of KIND (emaid, pcid, evseid, seccid, evccid, cpid, text): parts, normal
    form, check digit, other forms.

    A value "-" stands for the lines of standard input. A wrong check digit is a warning; exit code 1
    when any value is no such identifier.
    """
    read: list[Identifier | V2GPKIError] = []
    for text in _lines(values):
        try:
            read.append(parse(kind.lower(), text))
        except V2GPKIError as problem:
            read.append(problem)
    invalid = sum(isinstance(item, V2GPKIError) for item in read)
    value = {
        "schema": "v2gpki/id/1",
        "kind": kind.lower(),
        "valid": len(read) - invalid,
        "invalid": invalid,
        "values": [_value(item) for item in read],
    }
    frame.emit(value, "\n".join(_text(item) for item in read))
    return EXIT_REFUSED if invalid else EXIT_OK


@identifier.command(name="make")
@click.argument("kind", type=click.Choice(tuple(MAKES), case_sensitive=False), metavar="KIND")
@click.option("--country", help="Two letters (EMAID, EVSEID, SECCID).")
@click.option("--provider", help="Three characters (EMAID).")
@click.option("--operator", help="Three characters (EVSEID, SECCID).")
@click.option("--wmi", help="Three characters, the manufacturer (PCID).")
@click.option("--instance", help="9 characters, or 6 for the DIN form (EMAID); 14 (PCID).")
@click.option("--outlet", help="1 to 31 characters behind the E (EVSEID).")
@click.option("--controller", help="32 or more characters (SECCID).")
@click.option("--check", help="The check character; computed for an EMAID, never for the others.")
@click.pass_obj
def make_one(frame: Frame, /, kind: str, **fields: str | None) -> int:
    """Make an identifier of KIND (emaid, pcid, evseid, seccid) from its parts."""
    made = make(kind.lower(), {name: text for name, text in fields.items() if text is not None})
    frame.emit({"schema": "v2gpki/id/1", "kind": made.kind, "values": [_value(made)]}, _text(made))
    return EXIT_OK


def _lines(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        if value == "-":
            lines = (line.decode("utf-8", "surrogateescape").rstrip("\r\n") for line in sys.stdin.buffer)
            yield from (line for line in lines if line)
        else:
            yield value


def _value(item: Identifier | V2GPKIError) -> dict[str, object]:
    if isinstance(item, V2GPKIError):
        return {
            "valid": False,
            "text": item.facts["text"],
            "code": item.code,
            "message": item.message,
            "hint": item.hint,
            "clause": item.clause,
            "facts": dict(item.facts),
        }
    return {
        "valid": True,
        "text": item.text,
        "normal": item.normal,
        "parts": {name: part for name, part in item.parts.items() if name != "key"},
        "key": item.parts["key"],
        "forms": _forms(item),
        "findings": [finding_value(finding) for finding in item.warnings],
    }


def _text(item: Identifier | V2GPKIError) -> str:
    if isinstance(item, V2GPKIError):
        lines = [f"{click.style('invalid', fg='red')}  {item.message}"]
        return "\n".join(lines + ([f"  hint: {item.hint}"] if item.hint else []))
    lines = [f"{click.style('valid', fg='green')}  {item.normal}"]
    if item.text != item.normal:
        lines.append(f"  given as   {excerpt(item.text)[1:-1]}")
    lines += [f"  {name:10} {part}" for name, part in item.parts.items() if part and name not in ("key", "form")]
    lines += [f"  {name:10} {form}" for name, form in _forms(item).items()]
    return "\n".join(lines + [finding_text(finding) for finding in item.warnings])


def _forms(item: Identifier) -> dict[str, str]:
    return emaid.forms(item) if item.kind == "emaid" else {}
