"""How ISO 15118-20 writes its messages: each is its own element, its header holds session id, time and signature, and
the V2GTP payload type says which schema it is of.

MeteringConfirmation and, within the charging loop, ScheduleExchange have payload types of their own (side streams);
either is taken, an answer goes where its request came from. Clauses: ISO 15118-20 7.8.3, 8.3.3, table 8.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.frames import PAYLOAD_SCHEMAS
from v2gpki.messages.iso20_types import MessageHeaderType, V2GMessageType
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.dialect import NO_SESSION, Heard, Said
from v2gpki.session.iso20.flow import FLOW
from v2gpki.session.timers import ISO20, Timers
from v2gpki.v2gtp import Frame, PayloadType

#: Stands in a message until `ISO20Dialect.say` knows session and time.
HEADER = MessageHeaderType(SessionID=NO_SESSION, TimeStamp=0)
_SPOKEN = frozenset(
    {
        PayloadType.ISO20_COMMON,
        PayloadType.ISO20_AC,
        PayloadType.ISO20_DC,
        PayloadType.SCHEDULE_RENEGOTIATION,
        PayloadType.METERING_CONFIRMATION,
    }
)
_PAYLOADS = {"iso15118-20-common": PayloadType.ISO20_COMMON, "ac": PayloadType.ISO20_AC, "dc": PayloadType.ISO20_DC}
_SIDE = {
    PayloadType.SCHEDULE_RENEGOTIATION: frozenset({"ScheduleExchangeReq", "ScheduleExchangeRes"}),
    PayloadType.METERING_CONFIRMATION: frozenset({"MeteringConfirmationReq", "MeteringConfirmationRes"}),
}


class ISO20Dialect:
    """ISO 15118-20."""

    edition = "iso15118-20"
    flow = FLOW

    def __init__(self, timers: Timers = ISO20) -> None:
        self.timers = timers
        #: Payload types of messages that do not go by their schema, by name.
        self.side: dict[str, int] = {}

    def hear(self, frame: Frame) -> Heard:
        """Read a frame."""
        if frame.payload_type not in _SPOKEN:
            raise V2GPKIError(
                "session.payload",
                f"a frame of type {frame.payload_type:#06x} came within a session of ISO 15118-20",
                clause="ISO 15118-20 table 8",
                facts={"payload_type": frame.payload_type},
            )
        message = codec.decode(frame.payload, PAYLOAD_SCHEMAS[frame.payload_type])
        if not isinstance(message, V2GMessageType):
            raise V2GPKIError("session.empty", "an element that is no message came", clause="ISO 15118-20 8.3.3")
        name = type(message).__name__
        if name not in _SIDE.get(PayloadType(frame.payload_type), {name}):
            raise V2GPKIError(
                "session.payload",
                f"{name} came on the side stream {frame.payload_type:#06x}",
                clause="ISO 15118-20 table 8",
                facts={"payload_type": frame.payload_type},
            )
        if name.endswith("Req"):
            self.side[f"{name[:-1]}s"] = frame.payload_type
        return Heard(name, message, message, message.Header.SessionID, frame)

    def say(self, body: Message, session_id: bytes, at: datetime, signature: Signature | None = None) -> Said:
        """Write a message with session and time in its header; a signature that it has there stays."""
        if not isinstance(body, V2GMessageType):
            raise V2GPKIError("internal.bug", f"{type(body).__name__} is no message of ISO 15118-20")
        header = MessageHeaderType(
            SessionID=session_id,
            TimeStamp=int(at.timestamp()),
            Signature=signature if signature is not None else body.Header.Signature,
        )
        message = replace(body, Header=header)
        schema = codec.home_of(message)
        payload_type = self._payload_type(type(message).__name__, schema)
        return Said(message, Frame(payload_type, codec.encode(message, schema)))

    def refusal(self, request: str, response_code: str, session_id: bytes, at: datetime) -> Message:
        """The message that refuses a request."""
        from v2gpki.session.iso20.refusals import refusal  # noqa: PLC0415  # it is needed once at most

        del session_id, at
        return refusal(request, response_code)

    def _payload_type(self, name: str, schema: str) -> int:
        asked = self.side.get(name, 0)
        return asked if PAYLOAD_SCHEMAS.get(asked) == schema else _PAYLOADS[schema]
