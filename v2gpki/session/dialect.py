"""How an edition writes its messages: what scripts of both roles need to know of it to hear and to say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.flow import Flow
from v2gpki.session.timers import Timers
from v2gpki.v2gtp import Frame

#: A session id that asks for a new session.
NO_SESSION = bytes(8)


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that came. ``body`` is what is asked or answered: the body element of -2, the message of -20;
    ``frame`` holds the octets, which are forwarded unchanged where somebody else reads them."""

    name: str
    body: Message
    message: Message
    session_id: bytes
    frame: Frame


@dataclass(frozen=True, slots=True)
class Said:
    """A message to be sent, and its octets."""

    message: Message
    frame: Frame


class Dialect(Protocol):
    """One edition."""

    edition: str
    flow: Flow
    timers: Timers

    def hear(self, frame: Frame) -> Heard:
        """Read a frame. Raises ``v2gtp.*``, ``exi.*``, ``messages.*``, ``session.empty`` for a message without body."""
        ...

    def say(self, body: Message, session_id: bytes, at: datetime, signature: Signature | None = None) -> Said:
        """Write a body with the header that goes before it. Raises ``exi.*``."""
        ...

    def refusal(self, request: str, response_code: str, session_id: bytes, at: datetime) -> Message:
        """The answer to a request of this name that delivers nothing; raises ``internal.bug`` for none of ours."""
        ...
