"""An explained installation exchange as lines for people, from the value that `pnc.installation.explain` gives.

Lines are spans of text with a meaning (passed, failed, unchecked, dim, title, ""); the caller turns meanings into
colours. Foreign text is made printable here. Long octets are cut, but for the steps of an envelope, which are there
to be computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from v2gpki.render.text import printable

#: Hex digits of a fragment that are shown; JSON has all of them.
_SHOWN = 64


class Span(NamedTuple):
    """A piece of a line and what it means."""

    text: str
    meaning: str = ""


Line: TypeAlias = tuple[Span, ...]
Value: TypeAlias = Mapping[str, object]

_MEANINGS = {"good": "passed", "bad": "failed"}


def installation_lines(value: Value, *, octets: bool = False) -> Iterator[Line]:
    """The explanation, the summary first; `octets` shows every octet of the signed fragments."""
    verdict = str(value["verdict"])
    yield (Span(verdict, _MEANINGS.get(verdict, "unchecked")), Span(f"  {_safe(value['summary'])}"))
    yield ()
    yield from _message(_part(value, "message"))
    yield from _checks(_items(value, "checks"), value["first_failure"])
    yield from _certificates(_items(value, "certificates"))
    if value["signature"] is not None:
        yield from _signature(_part(value, "signature"), octets=octets)
    if value["envelope"] is not None:
        yield from _envelope(_part(value, "envelope"))
    yield from _sizes(_part(value, "sizes"))
    yield from _window(_part(value, "window"))


def _message(message: Value) -> Iterator[Line]:
    yield _title(f"{message['name']}, {message['edition']}, {message['octets']} octets")
    for key in ("session_id", "response_code", "processing", "emaid", "remaining_contracts", "retry_counter",
                "maximum_contracts"):  # fmt: skip
        if message.get(key) not in (None, ""):
            yield _row(key.replace("_", " "), message[key])
    for root in _items(message, "roots"):
        yield _row("root", f"{root['issuer']}, serial {root['serial']}")
    wanted = message.get("prioritised_emaids")
    if isinstance(wanted, Sequence) and wanted:
        yield _row("wanted first", ", ".join(map(str, wanted)))
    unsigned = message.get("unsigned")
    if isinstance(unsigned, Sequence) and unsigned:
        yield _row("not signed", ", ".join(map(str, unsigned)))


def _checks(checks: Sequence[Value], first: object) -> Iterator[Line]:
    yield ()
    yield _title("Checks, in the order of a receiver")
    pending = first is not None
    for check in checks:
        verdict = str(check["verdict"])
        note = f" ({_safe(check['note'])})" if verdict == "unchecked" else ""
        here = pending and verdict == "failed"
        pending = pending and not here
        mark = Span("  <- first failure", "failed") if here else Span("")
        yield (Span(f"  {verdict:<9} ", verdict), Span(_safe(check["title"])), Span(note, "dim"), mark)
        for reason in _items(check, "reasons"):
            told = "; ".join(str(reason[key]) for key in ("code", "clause") if reason[key])
            yield (Span(" " * 12), Span(_safe(reason["message"]), "failed"), Span(f" [{_safe(told)}]", "dim"))


def _certificates(certificates: Sequence[Value]) -> Iterator[Line]:
    if not certificates:
        return
    yield ()
    yield _title("Certificates")
    for one in certificates:
        size = Span(f"{one['octets']:>5} of {one['limit']}", "" if one["fits"] else "failed")
        about = f"  {one['place']}: {_safe(one.get('subject', 'cannot be read'))}"
        until = f"  until {one['not_after']}" if "not_after" in one else ""
        yield (Span("  "), size, Span(about), Span(until, "dim"))


def _signature(signature: Value, *, octets: bool) -> Iterator[Line]:
    yield ()
    yield _title(f"Signature: {_safe(signature['algorithm'] or signature['signature_method'])}")
    by = signature.get("signed_by")
    yield _row("signed by", f"the key of the {by['key_of']} ({_safe(by['subject'])})" if isinstance(by, Mapping)
               else "none of the keys at hand")  # fmt: skip
    for one in _items(signature, "references"):
        verdict = "passed" if one["verdict"] == "valid" else "failed"
        size = len(str(one["fragment"])) // 2
        yield (
            Span(f"  {_safe(one['uri'])} ", verdict),
            Span(f"{_safe(one['path'])}: EXI fragment of {size} octets, grammar {one['grammar']}"),
        )
        yield _row("  digest", one["digest_found"])
        if one["digest_found"] != one["digest_computed"]:
            yield _row("  computed", one["digest_computed"], "failed")
        yield _row("  octets", _cut(one["fragment"], whole=octets), "dim")
    info = _part(signature, "signed_info")
    for grammar, coded in _part(info, "octets").items():
        used = " (this one is signed)" if grammar == info["grammar"] else ""
        yield _row("SignedInfo", f"grammar {grammar}{used}: {_cut(coded, whole=octets)}", "" if used else "dim")
    yield _row("value", _cut(signature["signature_value"], whole=octets), "dim")


def _envelope(envelope: Value) -> Iterator[Line]:
    yield ()
    yield _title(f"Envelope: {envelope['curve']}, {envelope['cipher'] or 'opaque'}")
    if envelope.get("insecure"):
        yield _row("INSECURE", "opened although the signature or its chain was not found good", "failed")
    if envelope["aad_form"]:
        yield _row("AAD form", envelope["aad_form"])
    if envelope["because"]:
        yield _row("note", envelope["because"])
    steps = envelope.get("steps")
    if not isinstance(steps, Mapping):
        yield _row("DH key", _cut(envelope["dh_public_key"], whole=False), "dim")
        yield _row("wrapped key", _cut(envelope["encrypted_key"], whole=False), "dim")
        return
    for name, octets in steps.items():
        if octets:
            yield _row(str(name).replace("_", " "), octets)


def _sizes(sizes: Value) -> Iterator[Line]:
    yield ()
    yield _title(f"Size: {sizes['octets']} octets, {sizes['base64']} characters of base64")
    for limit in _items(sizes, "limits"):
        fits = bool(limit["fits"])
        told = f"{limit['left']} left" if fits else "too large"
        yield (Span(f"  {limit['limit']:>6} ", "passed" if fits else "failed"), Span(f"{limit['of']}: {told}"))


def _window(window: Value) -> Iterator[Line]:
    yield ()
    yield _title("Time")
    yield (Span(f"  {_safe(window['text'])}"),)
    if window["elapsed_ms"] is not None:
        kept = bool(window["kept"])
        yield (Span(f"  it took {window['elapsed_ms']} ms", "passed" if kept else "failed"),)


def _title(text: str) -> Line:
    return (Span(text, "title"),)


def _row(name: str, text: object, meaning: str = "") -> Line:
    return (Span(f"  {name:<14} ", "dim"), Span(_safe(text), meaning))


def _cut(octets: object, *, whole: bool) -> str:
    text = str(octets)
    return text if whole or len(text) <= _SHOWN else f"{text[:_SHOWN]}.. ({len(text) // 2} octets)"


def _part(value: Value, key: str) -> Value:
    found = value[key]
    if not isinstance(found, Mapping):
        raise TypeError(f"{key} is no object")
    return found


def _items(value: Value, key: str) -> Sequence[Value]:
    found = value.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, Sequence) else []


def _safe(text: object) -> str:
    """Foreign text on one line, with nothing that a terminal obeys."""
    return printable(str(text)).replace("\n", "\\n")
