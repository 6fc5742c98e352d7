"""What a station or a vehicle does before its first session, so that no session waits for it.

Message codecs are compiled for the side and the protocols that it speaks, the second opinion on paths is imported, the
table of findings read. All of it would happen at first use as well; a vehicle's timers run then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from v2gpki.certs import pkix
from v2gpki.certs.lint.report import explanations
from v2gpki.messages import codec
from v2gpki.pnc.elements import SIGNED
from v2gpki.session.handshake import Protocol

Side: TypeAlias = Literal["secc", "evcc"]
#: How the names of messages end that a side never writes.
_HEARS: dict[Side, str] = {"secc": "Req", "evcc": "Res"}
#: And those that it never reads.
_SPEAKS: dict[Side, str] = {"secc": "Res", "evcc": "Req"}


def warm_up(side: Side, protocols: Sequence[Protocol], *, paths: bool = True) -> None:
    """Compile and import what sessions of these protocols need; ``paths``: chains are judged."""
    schemas = ["app"]
    signed: dict[str, frozenset[str]] = {}
    for protocol in protocols:
        common = "iso15118-20-common" if protocol.edition == "iso15118-20" else "iso15118-2"
        schemas += [common, *([protocol.transfer] if protocol.transfer else [])]
        rules = SIGNED[protocol.edition].values()
        signed[common] = frozenset(name.rstrip("?") for names in rules for name in names)
    for schema in dict.fromkeys(schemas):
        codec.prepare(
            schema,
            writes=lambda name: not name.endswith(_HEARS[side]),
            reads=lambda name: not name.endswith(_SPEAKS[side]),
            fragments=signed.get(schema, ()),
        )
    if paths:
        codec.prepare("xmldsig", writes=_is_signed_info, reads=lambda _name: False, fragments=("SignedInfo",))
        pkix.prepare()
        explanations()


def _is_signed_info(name: str) -> bool:
    return name == "SignedInfo"
