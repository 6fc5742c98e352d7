"""Messages of an installation as files: read in any form in which people have them, written in the one they choose.

Read are raw EXI, hex, base64, V2GTP frames and captures of a session; of a capture the request and the answer that
follows it. Private keys are PEM or DER, encrypted or not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from v2gpki.cli.files import STANDARD, read_input, require_free, write_output
from v2gpki.cli.octets import Piece, pieces
from v2gpki.cli.passphrase import of_file
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.cli.frame import Frame
    from v2gpki.keys.suites import PrivateKey

FORMATS = ("raw", "hex", "base64")

#: ``--format``: the form of a message that is written.
format_option = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="raw", show_default=True, help="How OUT is written."
)


class Exchange(NamedTuple):
    """The message that a file is about, the request before it in a capture, and the milliseconds between the two."""

    octets: bytes
    request: bytes = b""
    elapsed_ms: int | None = None


def read_message(file: str, kind: str = "") -> bytes:
    """The EXI of the one message in a file; of several the last of this ``kind`` (request, response, "" both).

    Raises ``exi.input``, ``v2gtp.*``, ``file.unreadable``.
    """
    found = pieces(read_input(file)).pieces
    if len(found) == 1:
        return found[0].octets
    known = [piece for piece, named in _installations(found) if kind in ("", named)]
    if not known:
        raise _none(file, kind)
    return known[-1].octets


def read_exchange(file: str) -> Exchange:
    """The last answer in a file with the request before it, or what there is."""
    found = pieces(read_input(file)).pieces
    if len(found) == 1:
        return Exchange(found[0].octets)
    known = _installations(found)
    if not known:
        raise _none(file, "")
    last, kind = known[-1]
    if kind == "request":
        return Exchange(last.octets)
    request = next((piece for piece, named in reversed(known[:-1]) if named == "request"), None)
    if request is None:
        return Exchange(last.octets)
    return Exchange(last.octets, request.octets, _elapsed(request, last))


def _installations(found: Sequence[Piece]) -> list[tuple[Piece, str]]:
    """The messages of an installation among others, with their kind."""
    from v2gpki.pnc.installation.explain.contents import read

    known = []
    for piece in found:
        try:
            known.append((piece, read(piece.octets).kind))
        except V2GPKIError:
            continue
    return [(piece, str(kind)) for piece, kind in known]


def _elapsed(request: Piece, answer: Piece) -> int | None:
    times = [piece.origin.get("time", "") for piece in (request, answer)]
    if not all(times):
        return None
    first, last = (datetime.fromisoformat(time) for time in times)
    return round((last - first).total_seconds() * 1000)


def _none(file: str, kind: str) -> V2GPKIError:
    return V2GPKIError(
        "exi.input",
        f"{file}: there is no {kind or 'message'} of an installation among these messages",
        hint="v2gpki exi decode shows all of them",
    )


def require_out(out: str, *, force: bool) -> None:
    """Refuse before any work when something is in the way."""
    require_free([out], force=force)


def write_message(frame: Frame, out: str, octets: bytes, *, form: str, force: bool) -> dict[str, object]:
    """Write a message, and give what of it belongs into the result: with ``--json`` stdout is the result's alone."""
    if form == "hex":
        data = octets.hex().encode("ascii") + b"\n"
    else:
        data = base64.b64encode(octets) + b"\n" if form == "base64" else octets
    if not (frame.json and out == STANDARD):
        write_output(out, data, force=force)
    return {
        "octets": len(octets),
        "format": form,
        **({"exi": base64.b64encode(octets).decode("ascii")} if out == STANDARD else {"out": out}),
    }


def read_key(file: Path, passphrase_file: Path | None, *, warn: Callable[[str], None]) -> PrivateKey:
    """A private key from a file; an error about its content names the file."""
    from v2gpki.keys import pkcs8

    secret = None if passphrase_file is None else of_file(passphrase_file, warn=warn).encode("utf-8")
    data = read_input(file, limit=1 << 20)
    try:
        return pkcs8.load(data, secret)
    except V2GPKIError as problem:
        problem.message = f"{file}: {problem.message}"
        if problem.code == "key.needs_passphrase":
            problem.hint = "give the file with its passphrase: --oem-key-passphrase-file, or that of the contract key"
        raise
