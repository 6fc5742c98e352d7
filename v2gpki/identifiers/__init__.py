"""The identifiers of Plug & Charge: EMAID, PCID, EVSEID, SECCID, EVCCID, CPID, host names, addresses and free text.

``parse`` reads what a person or a certificate request says and gives the one normal form that goes
into certificates, the store and comparisons. It refuses wrong lengths and characters, control and
non-ASCII ones by position and code point. A wrong check digit is a warning, as the field's stacks
never verify it. Sources: ISO 15118-1 annex H, ISO 15118-2 8.5.2 (types), DIN SPEC 91286,
VDE-AR-E 2802-100-1, the OPCP document on identifiers, RFC 5280 appendix A.1 (ub-common-name 64).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NoReturn

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import emaid, evccid, evseid, named, pcid, seccid
from v2gpki.identifiers.model import Identifier, excerpt

__all__ = ["KINDS", "MAKES", "Identifier", "make", "parse", "recognise"]

_PARSERS: Mapping[str, Callable[[str], Identifier]] = {
    "emaid": emaid.parse,
    "pcid": pcid.parse,
    "evseid": evseid.parse,
    "seccid": seccid.parse,
    "evccid": evccid.parse,
    "cpid": named.parse_cpid,
    "hostname": named.parse_hostname,
    "address": named.parse_address,
    "text": named.parse_text,
}

#: What a text in capitals has to look like to be of a kind at all; its parser says more.
_FORMS: Mapping[str, re.Pattern[str]] = {"evseid": evseid.PATTERN, "seccid": seccid.PATTERN}

#: Every kind that ``parse`` knows.
KINDS: tuple[str, ...] = tuple(_PARSERS)

_MAKERS: Mapping[str, Callable[[Mapping[str, str]], Identifier]] = {
    "emaid": emaid.make,
    "pcid": pcid.make,
    "evseid": evseid.make,
    "seccid": seccid.make,
}

#: The fields that ``make`` takes for a kind: (required, optional).
MAKES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "emaid": (("country", "provider", "instance"), ("check",)),
    "pcid": (("wmi", "instance"), ("check",)),
    "evseid": (("country", "operator", "outlet"), ()),
    "seccid": (("country", "operator", "controller"), ("check",)),
}


def parse(kind: str, text: str) -> Identifier:
    """Read ``text`` as an identifier of one kind; raises ``identifier.invalid``, also for an unknown kind."""
    parser = _PARSERS.get(kind)
    if parser is None:
        _unknown(kind, KINDS)
    return parser(text)


def recognise(kinds: Sequence[str], text: str) -> Identifier:
    """Read ``text`` as the first of ``kinds`` that accepts it; else one ``identifier.invalid`` that says for
    each kind why not."""
    return _recognised(tuple(kinds), text)


@lru_cache(maxsize=4096)
def _recognised(kinds: tuple[str, ...], text: str) -> Identifier:
    """Kept: on its way to a certificate an identifier is read several times."""
    if len(kinds) > 1:
        # Wording why it is not of the first kind costs more than reading it as the second.
        capitals = text.upper()
        kinds_left = [kind for kind in kinds if kind not in _FORMS or _FORMS[kind].fullmatch(capitals)]
        with suppress(V2GPKIError):
            if kinds_left:
                return parse(kinds_left[0], text)
    reasons: list[str] = []
    for kind in kinds:
        try:
            return parse(kind, text)
        except V2GPKIError as problem:
            if len(kinds) == 1:
                raise
            reasons.append(f"as {kind.upper()}: {problem.message}")
    raise V2GPKIError(
        "identifier.invalid",
        f"{excerpt(text)} is none of {', '.join(kind.upper() for kind in kinds)}; {'; '.join(reasons)}",
        hint="v2gpki id make builds a valid one from its parts",
        clause="ISO 15118-1 annex H, VDE-AR-E 2802-100-1",
        facts={"kinds": list(kinds), "text": excerpt(text)},
    )


def make(kind: str, fields: Mapping[str, str]) -> Identifier:
    """Build an identifier from its parts (``MAKES``) and compute its check digit where the algorithm is known.

    Raises ``identifier.invalid`` for a missing, unknown or wrong part.
    """
    maker = _MAKERS.get(kind)
    if maker is None:
        _unknown(kind, tuple(_MAKERS))
    required, optional = MAKES[kind]
    missing = [name for name in required if not fields.get(name)]
    foreign = [name for name in fields if name not in required + optional]
    if missing or foreign:
        wrong = [f"{name} is missing" for name in missing] + [f"{name} does not belong to it" for name in foreign]
        raise V2GPKIError(
            "identifier.invalid",
            f"no {kind.upper()} can be built: {', '.join(wrong)}",
            hint=f"it takes {', '.join(required)}" + (f"; optional: {', '.join(optional)}" if optional else ""),
            facts={"kind": kind, "missing": missing, "foreign": foreign},
        )
    return maker(fields)


def _unknown(kind: str, known: Sequence[str]) -> NoReturn:
    raise V2GPKIError(
        "identifier.invalid",
        f"{excerpt(kind)} is no kind of identifier",
        hint=f"use one of {', '.join(known)}",
        facts={"kind": excerpt(kind)},
    )
