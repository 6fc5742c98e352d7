"""The machine under every session: octets cut into frames, deadlines, and one script that goes on step by step.

A script is a generator. It waits for a frame (`Engine.hear`), asks its driver (`Engine.ask`), sends (`Engine.send`) and
tells (`Engine.tell`); between two steps nothing runs. So a session can be joined with another one without sockets, cut
at every step, and driven by any clock. ISO 15118 is half-duplex: one request, one answer, and what comes too early
waits, but only one of it.

    engine = Engine(script, clock=clock)
    engine.start(now)
    while engine.ending is None:
        send(engine.outgoing())                    # octets for the connection
        if engine.question is not None:
            engine.answer(reply_to(engine.question), now)      # or engine.refuse(problem, now)
        else:
            engine.receive(octets, now)            # or engine.tick(now) at engine.deadline, engine.peer_closed(now)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.session.notices import Ending, EndingKind, Notice
from v2gpki.session.questions import Question
from v2gpki.v2gtp import DEFAULT_LIMIT, Frame, Splitter, build

T = TypeVar("T")
ReplyT = TypeVar("ReplyT")
#: Frames that may wait while a question is open: the other side has to wait for its answer.
_EARLY = 1


@dataclass(frozen=True, slots=True)
class Incoming:
    """The script waits for a frame, until ``deadline`` (None: as long as it takes); ``what`` names it in a time-out."""

    deadline: float | None
    what: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The script waits for the driver's reply; after ``deadline`` the question is late."""

    question: Question[object]
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Resting:
    """The script pauses until ``deadline``."""

    deadline: float


Effect: TypeAlias = Incoming | Asked | Resting
#: A piece of a script that gives a T in the end.
Steps: TypeAlias = Generator[Effect, object, T]
Script: TypeAlias = "Callable[[Engine], Steps[Ending]]"


class Over(Exception):  # noqa: N818  # no error: it takes a script out of whatever it is in
    """The session ends here. Handlers that answer a ``V2GPKIError`` with a refusal let it through."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.kind)
        self.ending = ending


def over(kind: EndingKind, code: str, message: str, *, hint: str = "", clause: str = "", **facts: str | int) -> Over:
    """The end of a session with its reason."""
    return Over(Ending(kind, V2GPKIError(code, message, hint=hint, clause=clause, facts=facts)))


class Engine:
    """One session on one connection. ``now`` is monotonic seconds of the driver's choosing, never going back."""

    def __init__(self, script: Script, *, clock: Clock, limit: int = DEFAULT_LIMIT) -> None:
        """``limit``: octets of the largest message that is taken."""
        self.clock = clock
        self.now = 0.0
        self.question: Question[object] | None = None
        self.deadline: float | None = None
        self.ending: Ending | None = None
        self._steps = script(self)
        self._effect: Effect | None = None
        self._splitter = Splitter(limit=limit)
        self._inbox: deque[Frame] = deque()
        self._outbox = bytearray()
        self._notices: list[Notice] = []
        self._closed = False
        self._broken: V2GPKIError | None = None
        self._reason: V2GPKIError | None = None

    # -- for the driver ------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin."""
        self.now = now
        self._go_on(None, None)

    def receive(self, data: bytes, now: float) -> None:
        """Octets of the connection, cut as they came."""
        self.now = now
        if self.ending is not None:
            return
        try:
            while frames := self._splitter.feed(data):
                self._inbox.extend(frames)
                data = b""
        except V2GPKIError as problem:
            self._broken = problem
        if isinstance(self._effect, Incoming):
            self._deliver()
        elif len(self._inbox) > _EARLY:
            self._end(
                over(
                    "fault",
                    "session.early",
                    "another message came, and one more, before the last one was answered",
                    clause="ISO 15118-2 7.6 (half-duplex)",
                ).ending
            )

    def peer_closed(self, now: float, reason: V2GPKIError | None = None) -> None:
        """The connection has ended; ``reason`` is what the connection itself says of it, such as an alert of TLS."""
        self.now = now
        self._closed = True
        self._reason = reason
        if self.ending is None and not (isinstance(self._effect, Incoming) and self._deliver()):
            self._go_on(None, self._gone())

    def answer(self, reply: object, now: float) -> None:
        """The reply to ``question``. Raises TypeError for one of another type."""
        self.now = now
        question = self._asked()
        if not isinstance(reply, question.takes):
            raise TypeError(f"{type(question).__name__} is answered with {question.takes}, not {type(reply).__name__}")
        if self.deadline is not None and now >= self.deadline:
            # Whoever waits for it on the other side has gone on.
            self.tick(now)
        else:
            self._go_on(reply, None)

    def refuse(self, problem: V2GPKIError, now: float) -> None:
        """``question`` has no good answer; the script decides what the other side hears of it."""
        self.now = now
        self._asked()
        self._go_on(None, problem)

    def tick(self, now: float) -> None:
        """Time has passed; what is due now happens."""
        self.now = now
        effect = self._effect
        if self.ending is not None or effect is None or self.deadline is None or now < self.deadline:
            return
        if isinstance(effect, Incoming):
            what = f"{effect.what} did not come in time"
            self._go_on(None, over("timeout", "session.timeout", what, clause="ISO 15118-2 8.8.3", what=effect.what))
        elif isinstance(effect, Resting):
            self._go_on(None, None)
        else:
            what = type(effect.question).__name__
            self._go_on(None, V2GPKIError("session.late", f"{what} was not answered in time", facts={"what": what}))

    def outgoing(self) -> bytes:
        """What is to be sent now; it is given once."""
        data = bytes(self._outbox)
        self._outbox.clear()
        return data

    @property
    def outgoing_left(self) -> bool:
        """Whether there is something to be sent."""
        return bool(self._outbox)

    @property
    def resting(self) -> bool:
        """Whether it pauses by itself: nothing is awaited but time."""
        return isinstance(self._effect, Resting)

    def notices(self) -> list[Notice]:
        """What happened since the last call."""
        told, self._notices = self._notices, []
        return told

    # -- for scripts ---------------------------------------------------------------------------

    def hear(self, what: str, within: float | None = None) -> Steps[Frame]:
        """Wait for a frame, so many seconds at most."""
        deadline = None if within is None else self.now + within
        # The engine gives a frame to whoever waits for one.
        return cast(Frame, (yield Incoming(deadline, what)))

    def ask(self, question: Question[ReplyT], within: float | None = None) -> Steps[ReplyT]:
        """Wait for the driver's reply; raises what the driver refuses with, ``session.late`` after so many seconds."""
        deadline = None if within is None else self.now + within
        # `answer` has checked its type.
        return cast(ReplyT, (yield Asked(cast("Question[object]", question), deadline)))

    def rest(self, seconds: float) -> Steps[None]:
        """Pause, so that a question that is repeated is not repeated at once."""
        yield Resting(self.now + seconds)

    def send(self, payload_type: int, payload: bytes) -> bytes:
        """Put a frame into what is to be sent; gives its octets."""
        frame = build(payload_type, payload)
        self._outbox += frame
        return frame

    def tell(self, notice: Notice) -> None:
        """Tell the driver."""
        self._notices.append(notice)

    @property
    def early(self) -> bool:
        """Whether something has come that nobody waits for yet."""
        return bool(self._inbox)

    # -- the machine ---------------------------------------------------------------------------

    def _asked(self) -> Question[object]:
        if self.question is None:
            raise ValueError("there is no open question")
        return self.question

    def _deliver(self) -> bool:
        """Hand over what has come, if anything has."""
        if self._inbox:
            self._go_on(self._inbox.popleft(), None)
        elif self._broken is not None:
            self._go_on(None, Over(Ending("fault", self._broken)))
        else:
            return False
        return True

    def _gone(self) -> Over:
        if self._reason is not None:
            return Over(Ending("peer_closed", self._reason))
        try:
            self._splitter.finish()
        except V2GPKIError as problem:
            return Over(Ending("peer_closed", problem))
        what = "the other side closed the connection in the middle of a session"
        return over("peer_closed", "session.peer_closed", what)

    def _go_on(self, value: object, problem: Exception | None) -> None:
        self.question = self.deadline = self._effect = None
        while self.ending is None:
            try:
                effect = self._steps.send(value) if problem is None else self._steps.throw(problem)
            except StopIteration as done:
                self._end(done.value)
                return
            except Over as done:
                self._end(done.ending)
                return
            except V2GPKIError as unhandled:
                self._end(Ending("fault", unhandled))
                return
            value, problem, self._effect, self.deadline = None, None, effect, effect.deadline
            if isinstance(effect, Asked | Resting):
                self.question = effect.question if isinstance(effect, Asked) else None
                if not self._closed:
                    return
                self.question, problem = None, self._gone()
            elif self._inbox:
                value = self._inbox.popleft()
            elif self._broken is not None:
                problem = Over(Ending("fault", self._broken))
            elif self._closed:
                problem = self._gone()
            else:
                return

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self.question = self.deadline = self._effect = None
        self._steps.close()
