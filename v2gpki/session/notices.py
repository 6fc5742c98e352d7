"""What an engine tells its driver: for ladders, logs, captures and summaries. Nothing of it needs an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.messages.schema import Message

Role = Literal["secc", "evcc"]
EndingKind = Literal["stopped", "paused", "refused", "terminated", "timeout", "peer_closed", "fault"]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A message went over the connection. ``at`` is monotonic seconds, ``took`` those since the message before it;
    ``limit`` is what the standard allows for ``took`` (0: nothing); ``octets`` is the V2GTP frame."""

    at: float
    sent: bool
    name: str
    message: Message
    octets: bytes
    took: float = 0.0
    limit: float = 0.0
    response_code: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """The session is in another state."""

    at: float
    state: str
    then: str
    request: str


@dataclass(frozen=True, slots=True)
class Agreed:
    """supportedAppProtocol chose a protocol, or found none ("")."""

    at: float
    namespace: str
    edition: str


@dataclass(frozen=True, slots=True)
class Established:
    """The session has its id. ``other`` is who is at the other end: the EVCCID at the station, the EVSEID at the
    vehicle; ``resumed``: it was paused before."""

    at: float
    session_id: bytes
    other: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict that the session stands on: ``what`` ("AuthorizationReq signature", "contract chain", ..), None for
    what holds; ``by`` names whose key or chain it is about."""

    at: float
    what: str
    by: str = ""
    problem: V2GPKIError | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was answered with a failure, and why."""

    at: float
    request: str
    response_code: str
    problem: V2GPKIError


@dataclass(frozen=True, slots=True)
class Delivered:
    """What flows: present values at the station's outlet, in V, A, W (negative: out of the vehicle), and the meter's
    registers in Wh (None: not known)."""

    at: float
    voltage: float
    current: float
    power: float
    imported: float | None = None
    exported: float | None = None


@dataclass(frozen=True, slots=True)
class Remarked:
    """Something worth knowing that stops nothing."""

    at: float
    text: str


Notice: TypeAlias = Exchanged | Moved | Agreed | Established | Judged | Refused | Delivered | Remarked


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended; ``problem`` says why when not as planned."""

    kind: EndingKind
    problem: V2GPKIError | None = None
