"""The ladder of one session: what each notice is to people (lines of spans) and to machines (`v2gpki/session-event/1`).

The vehicle stands left, the station right. Whoever shows it says at what reading of the monotonic clock the session
began; times are seconds since. Repeated exchanges (charging loop, "still working") are shown once and then counted;
the machine's form leaves nothing out. What the ladder shows of foreign text is made safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import singledispatch
from typing import TypeAlias

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.render.text import printable
from v2gpki.render.tree import Line, Span
from v2gpki.session.notices import (
    Agreed,
    Delivered,
    Ending,
    Established,
    Exchanged,
    Judged,
    Moved,
    Notice,
    Refused,
    Remarked,
    Role,
)
from v2gpki.session.secured import Secured

SCHEMA = "v2gpki/session-event/1"
#: While exchanges repeat, what flows is told so often, in seconds.
PROGRESS = 10.0
_NAME = 32
_ENDINGS = {
    "stopped": "stopped as planned",
    "paused": "paused",
    "refused": "refused",
    "terminated": "terminated",
    "timeout": "ended by a time-out",
    "peer_closed": "ended: the other side closed the connection",
    "fault": "ended by a fault",
}


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection is there; ``secured`` None is plain TCP. Addresses as ``[host]:port``."""

    at: float
    peer: str
    local: str
    secured: Secured | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over."""

    at: float
    ending: Ending


#: What a ladder is made of.
Event: TypeAlias = Notice | Connected | Ended


@dataclass(frozen=True, slots=True)
class Place:
    """Whose ladder this is: the role of this side, when the session began by the wall (aware) and by the monotonic
    clock, and a number where a station has several sessions."""

    role: Role
    began: datetime
    zero: float
    session: int = 1

    def since(self, at: float) -> float:
        """Seconds since the session began."""
        return round(at - self.zero, 6)

    def moment(self, at: float) -> str:
        """RFC 3339 in UTC with milliseconds."""
        moment = self.began + timedelta(seconds=at - self.zero)
        return f"{rfc3339(moment)[:-1]}.{moment.microsecond // 1000:03}Z"


# --- for machines ---------------------------------------------------------------------------------------------------


def event_value(event: Event, place: Place) -> dict[str, object]:
    """One event as a JSON object."""
    value: dict[str, object] = {
        "schema": SCHEMA,
        "session": place.session,
        "role": place.role,
        "time": place.moment(event.at),
        "at": place.since(event.at),
    }
    return value | _value(event)


@singledispatch
def _value(event: object) -> dict[str, object]:
    raise TypeError(f"{type(event).__name__} is no event of a session")


@_value.register
def _(event: Exchanged) -> dict[str, object]:
    return {
        "event": "message",
        "direction": "sent" if event.sent else "received",
        "name": event.name,
        "size": len(event.octets),
        "response_code": event.response_code,
        "took": round(event.took, 6),
        "limit": event.limit,
        "late": late(event),
    }


@_value.register
def _(event: Moved) -> dict[str, object]:
    return {"event": "state", "state": event.state, "then": event.then, "request": event.request}


@_value.register
def _(event: Agreed) -> dict[str, object]:
    return {"event": "protocol", "namespace": event.namespace, "edition": event.edition}


@_value.register
def _(event: Established) -> dict[str, object]:
    facts = {"session_id": event.session_id.hex(), "other": event.other, "resumed": event.resumed}
    return {"event": "established", **facts}


@_value.register
def _(event: Judged) -> dict[str, object]:
    holds = event.problem is None
    return {"event": "verdict", "what": event.what, "by": event.by, "holds": holds} | _problem(event.problem)


@_value.register
def _(event: Refused) -> dict[str, object]:
    refused: dict[str, object] = {"event": "refusal", "request": event.request, "response_code": event.response_code}
    return refused | _problem(event.problem)


@_value.register
def _(event: Delivered) -> dict[str, object]:
    return {
        "event": "power",
        "voltage": event.voltage,
        "current": event.current,
        "power": event.power,
        "imported": event.imported,
        "exported": event.exported,
    }


@_value.register
def _(event: Remarked) -> dict[str, object]:
    return {"event": "remark", "text": event.text}


@_value.register
def _(event: Connected) -> dict[str, object]:
    return {"event": "connected", "peer": event.peer, "local": event.local, "tls": secured_value(event.secured)}


@_value.register
def _(event: Ended) -> dict[str, object]:
    return {"event": "ended", "ending": event.ending.kind} | _problem(event.ending.problem)


def secured_value(secured: Secured | None) -> dict[str, object] | None:
    """TLS in JSON; None for plain TCP."""
    if secured is None:
        return None
    return {
        "version": secured.version,
        "suite": secured.suite,
        "group": secured.group,
        "mutual": secured.mutual,
        "stapled": secured.staple is not None,
        "peer_certificates": len(secured.peer_chain),
    }


def late(event: Exchanged) -> bool:
    """Whether the standard allows less than it took."""
    return bool(event.limit) and event.took > event.limit


def is_response(event: Exchanged) -> bool:
    """Whether the station said it."""
    return event.name.endswith("Res")


def _problem(problem: V2GPKIError | None) -> dict[str, object]:
    if problem is None:
        return {}
    return {"code": problem.code, "message": problem.message, "clause": problem.clause}


# --- for people -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Repeated:
    """Exchanges like the one before, which are counted instead of shown."""

    request: Exchanged
    count: int = 0
    slowest: float = 0.0
    told: float = 0.0


@dataclass(slots=True)
class Ladder:
    """Lines for people as events come; it remembers only what is being repeated.

    Meanings of spans: time, request, response, name, dim, good, bad, warn and "".
    """

    place: Place
    _request: Exchanged | None = field(default=None, repr=False)
    _known: tuple[str, str] = field(default=("", ""), repr=False)
    _repeated: _Repeated | None = field(default=None, repr=False)
    _waiting: Exchanged | None = field(default=None, repr=False)
    _flow: Delivered | None = field(default=None, repr=False)

    def told(self, event: Event) -> list[Line]:
        """The lines that this event adds; often none."""
        if isinstance(event, Moved):
            return []
        if isinstance(event, Delivered):
            self._flow = event
            return self._progress(event.at)
        if isinstance(event, Exchanged):
            return self._response(event) if is_response(event) else self._asked(event)
        lines = self._settled()
        self._known = ("", "")
        return lines + [self._line(event.at, spans) for spans in _words(event)]

    def _asked(self, event: Exchanged) -> list[Line]:
        """A request like the last one waits for its answer before it is shown."""
        if event.name == self._known[0] and not late(event):
            self._waiting = event
            return []
        self._known = (event.name, "")
        self._request = event
        return [*self._settled(), self._message(event)]

    def _response(self, event: Exchanged) -> list[Line]:
        known = (self._known[0], event.response_code)
        asked, self._waiting = self._waiting, None
        if asked is not None and known == self._known and not late(event):
            repeated = self._repeated = self._repeated or _Repeated(asked, told=event.at)
            repeated.count += 1
            repeated.slowest = max(repeated.slowest, event.took)
            return self._progress(event.at)
        lines = self._settled() if asked is not None or self._repeated is not None else []
        self._known = known
        return [*lines, *([self._message(asked)] if asked else []), self._message(event)]

    def _progress(self, at: float) -> list[Line]:
        repeated, flow = self._repeated, self._flow
        if repeated is None or flow is None or at - repeated.told < PROGRESS:
            return []
        repeated.told = at
        return [self._line(at, [Span(flow_text(flow), "dim")])]

    def _settled(self) -> list[Line]:
        """What was held back: the count of what was repeated, and a request that has got no answer."""
        repeated, asked, flow = self._repeated, self._waiting, self._flow
        self._repeated = self._waiting = self._flow = None
        lines: list[Line] = []
        if repeated is not None:
            name = repeated.request.name.removesuffix("Req")
            times = "once" if repeated.count == 1 else f"{repeated.count} times"
            text = f"{name} {times} more, answered in {duration_text(repeated.slowest)} at most"
            lines.append((Span(" " * 11 + "⋮    "), Span(text, "dim")))
        if flow is not None:
            lines.append(self._line(flow.at, [Span(flow_text(flow), "dim")]))
        if asked is not None:
            lines.append(self._message(asked))
        return lines

    def _message(self, event: Exchanged) -> Line:
        # Requests go from the vehicle to the station, whoever shows them.
        request = not is_response(event)
        spans = [
            Span("──▶  " if request else "◀──  ", "request" if request else "response"),
            Span(f"{printable(event.name):<{_NAME}}", "name"),
            Span(f"{len(event.octets):>7} B", "dim"),
        ]
        if late(event):
            spans.append(Span(f"  {duration_text(event.took)}, {duration_text(event.limit)} are allowed", "bad"))
        elif not request:
            spans.append(Span(f"  {duration_text(event.took):>7}", "dim"))
        if event.response_code:
            spans.append(Span(f"  {printable(event.response_code)}", _standing(event.response_code)))
        return self._line(event.at, spans)

    def _line(self, at: float, spans: Sequence[Span]) -> Line:
        return (Span(f"{self.place.since(at):>9.3f}  ", "time"), *spans)


@singledispatch
def _words(event: object) -> list[list[Span]]:
    raise TypeError(f"{type(event).__name__} has no words")


@_words.register
def _(event: Agreed) -> list[list[Span]]:
    if not event.edition:
        return [[Span("no protocol in common", "bad")]]
    return [[Span(f"{event.edition}", "name"), Span(f"  {printable(event.namespace)}", "dim")]]


@_words.register
def _(event: Established) -> list[list[Span]]:
    how = "session resumed" if event.resumed else "session"
    return [[Span(f"{how} {event.session_id.hex()}", "name"), Span(f"  with {printable(event.other)}")]]


@_words.register
def _(event: Judged) -> list[list[Span]]:
    whose = f"  {printable(event.by)}" if event.by else ""
    if event.problem is None:
        return [[Span(f"✓ {printable(event.what)}", "good"), Span(whose)]]
    return [[Span(f"✗ {printable(event.what)}", "bad"), Span(f"{whose}  {_why(event.problem)}")]]


@_words.register
def _(event: Refused) -> list[list[Span]]:
    return [
        [
            Span(f"✗ {printable(event.request)} refused: {printable(event.response_code)}", "bad"),
            Span(f"  {_why(event.problem)}"),
        ]
    ]


@_words.register
def _(event: Remarked) -> list[list[Span]]:
    return [[Span(printable(event.text).replace("\n", " "), "dim")]]


@_words.register
def _(event: Connected) -> list[list[Span]]:
    spans = [Span("connected", "name"), Span(f"  {printable(event.peer)} to {printable(event.local)}")]
    secured = event.secured
    if secured is None:
        return [[*spans, Span("  plain TCP", "warn")]]
    facts = [secured.suite, secured.group] + ["stapled"] * (secured.staple is not None) + ["mutual"] * secured.mutual
    return [spans, [Span(f"TLS {secured.version}", "good"), Span(f"  {', '.join(facts)}")]]


@_words.register
def _(event: Ended) -> list[list[Span]]:
    planned = event.ending.kind in ("stopped", "paused")
    spans = [Span(_ENDINGS[event.ending.kind], "good" if planned else "bad")]
    return [[*spans, Span(f"  {_why(event.ending.problem)}")] if event.ending.problem else spans]


def ending_words(ending: Ending) -> str:
    """How a session ended, in a few words."""
    return _ENDINGS[ending.kind]


def flow_text(flow: Delivered) -> str:
    """What flows, and how far the meter is."""
    text = f"{flow.voltage:.0f} V  {flow.current:.1f} A  {flow.power / 1000:.2f} kW"
    registers = [f"meter {flow.imported / 1000:.3f} kWh"] if flow.imported is not None else []
    registers += [f"back {flow.exported / 1000:.3f} kWh"] if flow.exported else []
    return "  ".join([text, *registers])


def duration_text(seconds: float) -> str:
    """``3 ms``, ``250 ms``, ``1.5 s``, ``60 s``: three digits that matter."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 or milliseconds == 0 else f"{milliseconds:.1f} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def _standing(response_code: str) -> str:
    if response_code.startswith("OK"):
        return "good"
    return "warn" if response_code.startswith("WARNING") else "bad"


def _why(problem: V2GPKIError) -> str:
    return f"{printable(problem.message)} [{problem.code}]".replace("\n", " ")
