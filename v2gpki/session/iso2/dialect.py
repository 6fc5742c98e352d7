"""How ISO 15118-2 writes its messages: V2G_Message with a header and one body element."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.dialect import Heard, Said
from v2gpki.session.iso2.flow import FLOW
from v2gpki.session.timers import ISO2, Timers
from v2gpki.v2gtp import Frame, PayloadType


class ISO2Dialect:
    """ISO 15118-2."""

    edition = "iso15118-2"
    flow = FLOW

    def __init__(self, timers: Timers = ISO2) -> None:
        self.timers = timers

    def hear(self, frame: Frame) -> Heard:
        """Read a frame."""
        if frame.payload_type != PayloadType.EXI:
            raise V2GPKIError(
                "session.payload",
                f"a frame of type {frame.payload_type:#06x} came within a session of ISO 15118-2",
                clause="ISO 15118-2 table 10",
                facts={"payload_type": frame.payload_type},
            )
        message = codec.decode(frame.payload, "iso15118-2")
        body = message.Body.BodyElement if isinstance(message, iso2.V2G_Message) else None
        if not isinstance(message, iso2.V2G_Message) or body is None:
            raise V2GPKIError("session.empty", "a V2G_Message without body element", clause="ISO 15118-2 8.3.3")
        return Heard(type(body).__name__, body, message, message.Header.SessionID, frame)

    def say(self, body: Message, session_id: bytes, at: datetime, signature: Signature | None = None) -> Said:
        """Write a body element; a V2G_Message goes out as it is, with its own header."""
        del at  # the header of -2 has no time
        if isinstance(body, iso2.V2G_Message):
            message = body if signature is None else replace(body, Header=replace(body.Header, Signature=signature))
        else:
            header = iso2.MessageHeaderType(SessionID=session_id, Signature=signature)
            # The encoder refuses what is no body element.
            element = cast(iso2.SessionSetupReq, body)
            message = iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=element))
        return Said(message, Frame(PayloadType.EXI, codec.encode(message, "iso15118-2")))

    def refusal(self, request: str, response_code: str, session_id: bytes, at: datetime) -> Message:
        """The body that refuses a request."""
        from v2gpki.session.iso2.refusals import refusal  # noqa: PLC0415  # it is needed once at most

        del session_id
        return refusal(request, response_code, at)
