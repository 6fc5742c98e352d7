"""Requests and answers of both editions, as the SECC answers them and as the EVCC asks.

`Answering` holds what every answer of a station has in common: session id, flow table, the refusal of each request,
the end after a failure. `Asking` holds what every request of a vehicle has: the time that its answer may take, the
ResponseCode, the session id. Clauses: ISO 15118-2 8.3.2, 8.8.3, [V2G2-538] ff.; ISO 15118-20 8.3.2, 8.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from v2gpki.errors import V2GPKIError
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.dialect import NO_SESSION, Dialect, Heard
from v2gpki.session.engine import Engine, Over, Steps, over
from v2gpki.session.notices import Ending, Exchanged, Moved, Refused, Remarked
from v2gpki.session.questions import Question
from v2gpki.v2gtp import Frame, build

ResponseT = TypeVar("ResponseT", bound=Message)
ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers. ``then`` is the next state ("" the only one that there is), ``raw`` a frame that goes out
    as it is in place of the body, ``ends`` how the session ends with it."""

    body: Message
    then: str = ""
    signature: Signature | None = None
    raw: Frame | None = None
    ends: Ending | None = None


Handler: TypeAlias = "Callable[[Heard], Steps[Answer]]"


class Answering:
    """The station's side of an edition; a subclass gives ``handlers`` by the name of the request."""

    #: Requests that come before there is a session id to compare.
    opening = frozenset({"SessionSetupReq"})

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self.engine = engine
        self.dialect = dialect
        self.state = dialect.flow.begin
        self.session_id = NO_SESSION
        self.handlers: Mapping[str, Handler] = {}
        #: The request that is being answered, and when it came.
        self.answering = ""
        self.came = 0.0

    def ask(self, question: Question[ReplyT], within: float | None = None) -> Steps[ReplyT]:
        """Ask the driver, for as long as the request that is being answered leaves: ``session.late`` after that.
        ``within`` is another time in seconds since the request came."""
        return (yield from self.engine.ask(question, self.left(within)))

    def after_warning(self, request: Heard) -> str:
        """The state after a request of -20 that gets a WARNING, with which the session does not end."""
        return self.state if self.state in self.dialect.flow.after(self.state, request.name) else ""

    def left(self, within: float | None = None) -> float:
        """Seconds that are left to answer the request."""
        allowed = self.dialect.timers.fails_after(self.answering) if within is None else within
        return max(0.0, self.came + allowed - self.engine.now)

    def run(self) -> Steps[Ending]:
        """Answer requests until the session ends."""
        while True:
            ending = yield from self._turn()
            if ending is not None:
                return ending

    def code_for(self, problem: V2GPKIError, _request: Heard) -> str:
        """The ResponseCode that says what went wrong with a request."""
        outcome = problem.outcome
        named = problem.facts.get("response_code")
        if isinstance(named, str) and named:
            return named
        code = outcome.iso2 if self.dialect.edition == "iso15118-2" else outcome.iso20
        return code or "FAILED"

    def _turn(self) -> Steps[Ending | None]:
        engine, timers = self.engine, self.dialect.timers
        waits_since = engine.now
        within = timers.next_within(self.state)
        frame = yield from engine.hear(f"a request in the state {self.state}", within)
        try:
            request = self.dialect.hear(frame)
        except V2GPKIError as problem:
            # What cannot be read names no answer.
            raise Over(Ending("fault", problem)) from problem
        waited = engine.now - waits_since
        engine.tell(Exchanged(engine.now, False, request.name, request.message, build(*frame), waited, within))
        came = self.came = engine.now
        self.answering = request.name
        try:
            self._require_in_order(request)
            answer = yield from self.handlers[request.name](request)
            then = self.dialect.flow.moved(self.state, request.name, answer.then)
            octets, message = self._send(answer)
        except V2GPKIError as problem:
            return self._refuse(request, problem, came)
        limit = timers.answers_within(request.name)
        self._told(message, octets, engine.now - came, limit)
        engine.tell(Moved(engine.now, self.state, then, request.name))
        self.state = then
        return answer.ends

    def _require_in_order(self, request: Heard) -> None:
        if request.name not in self.opening and request.session_id != self.session_id:
            raise V2GPKIError(
                "session.unknown_session",
                f"{request.name} carries the session id {request.session_id.hex()}; "
                f"this session is {self.session_id.hex()}",
                clause="ISO 15118-2 [V2G2-539], ISO 15118-20 8.3.2",
                facts={"session_id": request.session_id.hex()},
            )
        expected = self.dialect.flow.expected(self.state)
        if request.name not in expected or request.name not in self.handlers:
            raise V2GPKIError(
                "session.sequence",
                f"{request.name} is out of sequence in the state {self.state}: {', '.join(expected)} may come",
                clause="ISO 15118-2 [V2G2-538], ISO 15118-20 8.8",
                facts={"request": request.name, "state": self.state, "expected": expected},
            )

    def _send(self, answer: Answer) -> tuple[bytes, Message]:
        if answer.raw is not None:
            return self.engine.send(*answer.raw), answer.body
        said = self.dialect.say(answer.body, self.session_id, self.engine.clock.now(), answer.signature)
        return self.engine.send(*said.frame), said.message

    def _refuse(self, request: Heard, problem: V2GPKIError, came: float) -> Ending | None:
        """Answer with a failure, with which the session ends, or with a warning, after which it goes on."""
        engine = self.engine
        code = self.code_for(problem, request)
        at = engine.clock.now()
        # The other side's id: it must be able to match the answer with what it asked.
        session_id = self.session_id if self.session_id != NO_SESSION else request.session_id
        try:
            body = self.dialect.refusal(request.name, code, session_id, at)
            said = self.dialect.say(body, session_id, at)
        except V2GPKIError as unanswerable:
            # No request of ours, a response for one: there is nothing to answer with.
            raise Over(Ending("fault", problem)) from unanswerable
        octets = engine.send(*said.frame)
        self._told(said.message, octets, engine.now - came, self.dialect.timers.answers_within(request.name))
        engine.tell(Refused(engine.now, request.name, code, problem))
        if not code.startswith("WARNING"):
            return Ending("refused", problem)
        then = self.dialect.flow.moved(self.state, request.name, self.after_warning(request))
        engine.tell(Moved(engine.now, self.state, then, request.name))
        self.state = then
        return None

    def _told(self, message: Message, octets: bytes, took: float, limit: float) -> None:
        body = body_of(message)
        code = str(getattr(body, "ResponseCode", ""))
        self.engine.tell(Exchanged(self.engine.now, True, type(body).__name__, message, octets, took, limit, code))


class Asking:
    """The vehicle's side of an edition; a subclass's ``run`` is the sequence of its exchanges."""

    #: Requests whose answer may bear another session id than they did.
    opening = frozenset({"SessionSetupReq"})

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self.engine = engine
        self.dialect = dialect
        self.state = dialect.flow.begin
        self.session_id = NO_SESSION
        #: The last answer, as it came, and when.
        self.last: Heard | None = None
        self.answered = engine.now

    def ask(self, question: Question[ReplyT]) -> Steps[ReplyT]:
        """Ask the driver, for as long as the next request may take: ``session.late`` after that."""
        since = self.engine.now - self.answered
        return (yield from self.engine.ask(question, max(0.0, self.dialect.timers.sequence_performance - since)))

    def run(self) -> Steps[Ending]:
        """The whole session."""
        raise NotImplementedError

    def exchange(
        self,
        body: Message,
        response: type[ResponseT],
        *,
        signature: Signature | None = None,
        then: Callable[[ResponseT], str] | str = "",
        raw: Message | None = None,
    ) -> Steps[ResponseT]:
        """Send a request and wait for its answer. ``then`` gives the state that it leads to, where there are several;
        ``raw`` is a whole message, signed with its header, in place of ``body``.

        Ends the session for a time-out, an answer of another kind or session, and a ResponseCode FAILED.
        """
        engine, dialect = self.engine, self.dialect
        name = type(body).__name__
        if name not in dialect.flow.expected(self.state):
            raise V2GPKIError("internal.bug", f"the vehicle may not send {name} in the state {self.state}")
        if engine.early:
            what = f"the station said something before {name} was sent"
            raise over("fault", "session.early", what, clause="ISO 15118-2 7.6 (half-duplex)")
        said = dialect.say(body if raw is None else raw, self.session_id, engine.clock.now(), signature)
        octets = engine.send(*said.frame)
        engine.tell(Exchanged(engine.now, True, name, said.message, octets))
        asked, limit = engine.now, dialect.timers.waits(name)
        frame = yield from engine.hear(f"{response.__name__}", limit)
        try:
            heard = dialect.hear(frame)
        except V2GPKIError as problem:
            raise Over(Ending("fault", problem)) from problem
        code = str(getattr(heard.body, "ResponseCode", ""))
        took = engine.now - asked
        engine.tell(Exchanged(engine.now, False, heard.name, heard.message, build(*frame), took, limit, code))
        answer = self._require_answer(name, heard, response, code)
        self.last, self.answered = heard, engine.now
        to = dialect.flow.moved(self.state, name, then if isinstance(then, str) else then(answer))
        engine.tell(Moved(engine.now, self.state, to, name))
        self.state = to
        return answer

    def _require_answer(self, name: str, heard: Heard, response: type[ResponseT], code: str) -> ResponseT:
        if not isinstance(heard.body, response):
            raise over("fault", "session.wrong_response", f"{name} got {heard.name}", clause="ISO 15118-2 8.8.2")
        if code.startswith("FAILED"):
            problem = V2GPKIError(
                "session.refused",
                f"the station refuses {name}: {code}",
                clause="ISO 15118-2 8.8.2, ISO 15118-20 8.8",
                facts={"request": name, "response_code": code},
            )
            self.engine.tell(Refused(self.engine.now, name, code, problem))
            raise Over(Ending("refused", problem))
        if name not in self.opening and heard.session_id != self.session_id:
            raise over(
                "fault",
                "session.wrong_session",
                f"{heard.name} is of the session {heard.session_id.hex()}, this one is {self.session_id.hex()}",
                clause="ISO 15118-2 8.3.2",
            )
        if code.startswith("WARNING"):
            self.engine.tell(Remarked(self.engine.now, f"{heard.name}: {code}"))
        return heard.body


def body_of(message: Message) -> Message:
    """The body element of a V2G_Message of -2; every other message is its own."""
    body = getattr(message, "Body", None)
    element = getattr(body, "BodyElement", None)
    return element if isinstance(element, Message) else message
