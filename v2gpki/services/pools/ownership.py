"""Whose identifiers are whose: a prefix is bound to one party, and only that party registers what begins with it.

The World Manufacturer Identifier is the first three characters of a PCID; country and operator the first five of
an EMAID or of a station's name. The home itself is the party ``""``; it owns nothing and may use what nobody owns.
Sources: VDE-AR-E 2802-100-1; the OPCP rules for registration authorities.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.services.pools.writing import Writing
from v2gpki.store.pool_records import Prefix, PrefixKind
from v2gpki.store.protocol import Store

#: How many characters each kind of prefix has, and what people call it.
PREFIXES: Mapping[PrefixKind, tuple[int, str]] = {
    "wmi": (3, "WMI"),
    "mo": (5, "country and provider of an EMAID"),
    "cpo": (5, "country and operator of a station"),
}
#: What the command line calls them.
_OPTIONS: Mapping[PrefixKind, str] = {"wmi": "wmi", "mo": "provider", "cpo": "operator"}
_LONGEST_OWNER = 64


@dataclass(frozen=True, slots=True)
class Bound:
    """A prefix with its party. ``changed`` tells whether this call did it or it was so before."""

    prefix: Prefix
    changed: bool


class Ownership:
    """The register of prefixes of one home."""

    def __init__(self, store: Store, writing: Writing) -> None:
        self._store = store
        self._writing = writing

    def bind(self, kind: PrefixKind, prefix: str, owner: str, *, at: datetime, caller: str) -> Bound:
        """Give a prefix to a party; the same again changes nothing.

        Raises ``pool.bad_prefix``, ``pool.bad_owner``, and ``pool.prefix_taken`` when another party has it.
        """
        wanted, party = normal_prefix(kind, prefix), _owner(owner)
        before = self._store.pools.prefix(kind, wanted)
        if before is not None:
            if before.owner != party:
                raise _taken(before)
            return Bound(before, changed=False)
        bound = Prefix(kind, wanted, party, at, caller)
        try:
            with self._writing():
                self._store.pools.bind_prefix(bound)
        except V2GPKIError as problem:
            faster = self._store.pools.prefix(kind, wanted)
            if problem.code != "store.conflict" or faster is None:
                raise
            raise _taken(faster) from problem
        return Bound(bound, changed=True)

    def release(self, kind: PrefixKind, prefix: str, *, owner: str = "", at: datetime, caller: str) -> Prefix | None:
        """Take a prefix from its party and return what was bound, None when nothing was.

        ``owner`` not empty must be that party, else ``pool.prefix_taken``. What the party registered stays.
        """
        before = self._store.pools.prefix(kind, normal_prefix(kind, prefix))
        if before is None:
            return None
        if owner and before.owner != _owner(owner):
            raise _taken(before)
        with self._writing():
            self._store.pools.release_prefix(kind, before.prefix, at, caller)
        return before

    def of(self, kind: PrefixKind, identifier: str) -> Prefix | None:
        """Who owns an identifier's prefix."""
        length, _ = PREFIXES[kind]
        return self._store.pools.prefix(kind, identifier[:length].upper())

    def list(self, *, owner: str | None = None) -> tuple[Prefix, ...]:
        """All of them, or one party's."""
        return tuple(self._store.pools.prefixes(owner=owner))


def normal_prefix(kind: PrefixKind, text: str) -> str:
    """A prefix in capitals without separators; raises ``pool.bad_prefix``."""
    length, name = PREFIXES[kind]
    plain = re.sub(r"[-*]", "", text).upper() if kind != "wmi" else text.upper()
    if re.fullmatch(rf"[0-9A-Z]{{{length}}}", plain):
        return plain
    raise V2GPKIError(
        "pool.bad_prefix",
        f"{text[:40]!a} is no {name}: it has {length} letters and digits",
        hint="a WMI is the first three characters of a PCID, such as WVW" if kind == "wmi" else "such as DEABC",
        clause="VDE-AR-E 2802-100-1",
        facts={"kind": kind, "text": ascii(text[:40])},
    )


def binding(kind: PrefixKind, prefix: str, owner: str) -> str:
    """The command that gives a prefix to a party."""
    return f"v2gpki pcp owner bind --{_OPTIONS[kind]} {shlex.quote(prefix)} --owner {shlex.quote(owner)}"


def _owner(text: str) -> str:
    owner = text.strip()
    if owner and len(owner) <= _LONGEST_OWNER and owner.isprintable():
        return owner
    raise V2GPKIError(
        "pool.bad_owner",
        f"the name of a party has 1 to {_LONGEST_OWNER} printable characters",
        hint="name the party as its credential does, such as --owner acme-cars",
        facts={"length": len(owner)},
    )


def _taken(prefix: Prefix) -> V2GPKIError:
    _, name = PREFIXES[prefix.kind]
    release = f"v2gpki pcp owner release --{_OPTIONS[prefix.kind]} {prefix.prefix}"
    return V2GPKIError(
        "pool.prefix_taken",
        f"{prefix.prefix} ({name}) belongs to {prefix.owner}",
        hint=f"name that party (--owner {shlex.quote(prefix.owner)}), or take it from there first: {release}",
        clause="VDE-AR-E 2802-100-1",
        facts={"kind": prefix.kind, "prefix": prefix.prefix, "owner": prefix.owner},
    )
