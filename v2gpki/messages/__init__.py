"""Every ISO 15118 message as a typed class, and its EXI, XML and JSON forms.

>>> from v2gpki import messages
>>> from v2gpki.messages import iso2
>>> octets = messages.encode(
...     iso2.V2G_Message(
...         Header=iso2.MessageHeaderType(SessionID=bytes(8)),
...         Body=iso2.BodyType(BodyElement=iso2.SessionSetupReq(EVCCID=bytes.fromhex("0a0b0c0d0e0f"))),
...     )
... )
>>> messages.decode(octets, schema="iso15118-2").Body.BodyElement.EVCCID.hex()
'0a0b0c0d0e0f'

Schemas: app, iso15118-2, iso15118-20-common, ac, dc, wpt, acdp, xmldsig. Classes: `app_protocol`, `iso2`,
`iso20_common`, `iso20_types`, `iso20_ac`, `iso20_dc`, `iso20_wpt`, `iso20_acdp`, `xmldsig`; names and fields are the
standard's. What is imported is what is used: names are loaded at their first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from v2gpki.exi.interpret import Reading, Step, Trace
    from v2gpki.messages.codec import SCHEMAS, decode, encode, read, trace
    from v2gpki.messages.frames import Candidate, decode_frame, nearest, recognise, schema_of
    from v2gpki.messages.schema import AnyElement, Message, NamedValue, QName
    from v2gpki.messages.views import from_json, from_xml, to_json, to_xml

__all__ = [
    "SCHEMAS",
    "AnyElement",
    "Candidate",
    "Message",
    "NamedValue",
    "QName",
    "Reading",
    "Step",
    "Trace",
    "decode",
    "decode_frame",
    "encode",
    "from_json",
    "from_xml",
    "nearest",
    "read",
    "recognise",
    "schema_of",
    "to_json",
    "to_xml",
    "trace",
]

_HOMES = {
    **dict.fromkeys(("Candidate", "decode_frame", "nearest", "recognise", "schema_of"), "v2gpki.messages.frames"),
    **dict.fromkeys(("SCHEMAS", "decode", "encode", "read", "trace"), "v2gpki.messages.codec"),
    **dict.fromkeys(("AnyElement", "Message", "NamedValue", "QName"), "v2gpki.messages.schema"),
    **dict.fromkeys(("from_json", "from_xml", "to_json", "to_xml"), "v2gpki.messages.views"),
    **dict.fromkeys(("Reading", "Step", "Trace"), "v2gpki.exi.interpret"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
