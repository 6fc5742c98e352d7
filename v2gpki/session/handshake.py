"""supportedAppProtocol: the vehicle lists what it speaks, the station chooses. Both roles, for every edition.

The station takes the vehicle's highest priority that it speaks itself: same namespace and major version; another minor
version is a minor deviation. Editions below their TLS are not offered nor taken: -20 needs TLS 1.3 with a vehicle that
has shown a certificate. Clauses: ISO 15118-2 8.2, [V2G2-169] ff.; ISO 15118-20 8.2, [V2G20-2356].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.app_protocol import (
    AppProtocolType,
    responseCodeType,
    supportedAppProtocolReq,
    supportedAppProtocolRes,
)
from v2gpki.messages.schema import Message
from v2gpki.session.engine import Engine, Over, Steps, over
from v2gpki.session.notices import Agreed, Ending, Exchanged
from v2gpki.session.secured import Secured
from v2gpki.v2gtp import Frame, PayloadType, build

_CLAUSE = "ISO 15118-2 8.2"
_DEVIATION: responseCodeType = "OK_SuccessfulNegotiationWithMinorDeviation"
_MOST = 20


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol of supportedAppProtocol. ``edition`` is ours for it; ``transfer`` is "ac", "dc" or "" for both."""

    namespace: str
    major: int
    minor: int
    edition: str
    transfer: str = ""


ISO2 = Protocol("urn:iso:15118:2:2013:MsgDef", 2, 0, "iso15118-2")
ISO20_AC = Protocol("urn:iso:std:iso:15118:-20:AC", 1, 0, "iso15118-20", "ac")
ISO20_DC = Protocol("urn:iso:std:iso:15118:-20:DC", 1, 0, "iso15118-20", "dc")
#: All that is spoken here, the newest first.
PROTOCOLS = (ISO20_DC, ISO20_AC, ISO2)


def allowed(protocols: Sequence[Protocol], secured: Secured | None, *, lab: bool = False) -> list[Protocol]:
    """Those that this connection may carry; ``lab`` lets -20 through without its TLS (some stacks do)."""
    mutual = secured is not None and secured.may_carry_iso20
    return [protocol for protocol in protocols if protocol.edition != "iso15118-20" or mutual or lab]


def choose(engine: Engine, offered: Sequence[Protocol], *, within: float) -> Steps[Protocol]:
    """The station's side. Ends the session when nothing fits, with Failed_NoNegotiation sent."""
    began = engine.now
    frame = yield from engine.hear("supportedAppProtocolReq", within)
    request = _read(frame)
    if not isinstance(request, supportedAppProtocolReq):
        raise over("fault", "session.sequence", f"the vehicle begins with {type(request).__name__}", clause=_CLAUSE)
    came, octets = engine.now, build(*frame)
    engine.tell(Exchanged(came, False, "supportedAppProtocolReq", request, octets, came - began, within))
    for wanted in sorted(request.AppProtocol, key=lambda entry: entry.Priority):
        found = _match(wanted, offered)
        if found is not None:
            same = found.minor == wanted.VersionNumberMinor
            code: responseCodeType = "OK_SuccessfulNegotiation" if same else _DEVIATION
            _say(engine, supportedAppProtocolRes(ResponseCode=code, SchemaID=wanted.SchemaID), came)
            engine.tell(Agreed(engine.now, found.namespace, found.edition))
            return found
    _say(engine, supportedAppProtocolRes(ResponseCode="Failed_NoNegotiation"), came)
    engine.tell(Agreed(engine.now, "", ""))
    listed = ", ".join(f"{entry.ProtocolNamespace} {entry.VersionNumberMajor}" for entry in request.AppProtocol)
    raise over(
        "refused",
        "session.no_protocol",
        f"the vehicle speaks {listed}; here it may speak {', '.join(p.namespace for p in offered) or 'nothing'}",
        hint="ISO 15118-20 needs TLS 1.3 with a vehicle certificate",
        clause=_CLAUSE,
    )


def propose(engine: Engine, spoken: Sequence[Protocol], *, within: float) -> Steps[Protocol]:
    """The vehicle's side: offers what it speaks, the preferred first. Ends the session when the station takes none."""
    entries = tuple(
        AppProtocolType(
            ProtocolNamespace=protocol.namespace,
            VersionNumberMajor=protocol.major,
            VersionNumberMinor=protocol.minor,
            SchemaID=number,
            Priority=number,
        )
        for number, protocol in enumerate(spoken[:_MOST], 1)
    )
    if not entries:
        raise over("fault", "session.no_protocol", "there is no protocol to offer on this connection", clause=_CLAUSE)
    asked = engine.now
    _say(engine, supportedAppProtocolReq(AppProtocol=entries), asked)
    frame = yield from engine.hear("supportedAppProtocolRes", within)
    response = _read(frame)
    if not isinstance(response, supportedAppProtocolRes):
        what = f"supportedAppProtocolReq got {type(response).__name__}"
        raise over("fault", "session.wrong_response", what, clause=_CLAUSE)
    code, octets = response.ResponseCode, build(*frame)
    took = engine.now - asked
    engine.tell(Exchanged(engine.now, False, "supportedAppProtocolRes", response, octets, took, within, code))
    chosen = response.SchemaID
    # With one proposal there is nothing to name.
    number = 1 if chosen is None and len(entries) == 1 else (chosen or 0)
    if code == "Failed_NoNegotiation" or not 1 <= number <= len(entries):
        engine.tell(Agreed(engine.now, "", ""))
        raise over(
            "refused",
            "session.no_protocol",
            f"the station takes none of {', '.join(protocol.namespace for protocol in spoken)}: {code}"
            + ("" if chosen is None else f", SchemaID {chosen}"),
            clause=_CLAUSE,
        )
    found = spoken[number - 1]
    engine.tell(Agreed(engine.now, found.namespace, found.edition))
    return found


def _match(wanted: AppProtocolType, offered: Sequence[Protocol]) -> Protocol | None:
    for protocol in offered:
        if (protocol.namespace, protocol.major) == (wanted.ProtocolNamespace, wanted.VersionNumberMajor):
            return protocol
    return None


def _read(frame: Frame) -> Message:
    try:
        if frame.payload_type != PayloadType.EXI:
            raise V2GPKIError(
                "session.payload",
                f"a frame of type {frame.payload_type:#06x} came before a protocol was chosen",
                clause=_CLAUSE,
                facts={"payload_type": frame.payload_type},
            )
        message = codec.decode(frame.payload, "app")
    except V2GPKIError as problem:
        raise _fault(problem) from problem
    if not isinstance(message, Message):
        raise over("fault", "session.empty", "a handshake message without content", clause=_CLAUSE)
    return message


def _fault(problem: V2GPKIError) -> Over:
    """A fault that leaves nothing to answer."""
    return Over(Ending("fault", problem))


def _say(engine: Engine, message: supportedAppProtocolReq | supportedAppProtocolRes, since: float) -> None:
    octets = engine.send(PayloadType.EXI, codec.encode(message, "app"))
    code = message.ResponseCode if isinstance(message, supportedAppProtocolRes) else ""
    engine.tell(Exchanged(engine.now, True, type(message).__name__, message, octets, engine.now - since, 0.0, code))
