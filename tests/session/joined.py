"""Two engines joined without sockets: octets go over a virtual wire, time is a number, tables answer the questions.

`Side` answers an engine's questions: a table from question class to a function of the question; a function may raise a
`V2GPKIError`, which refuses. `join` runs both until they have ended, and cuts the octets into pieces of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from v2gpki.errors import V2GPKIError
from v2gpki.session.engine import Engine
from v2gpki.session.notices import Exchanged, Moved, Notice

#: Answers by the class of the question. Any: a table holds functions of every kind of question.
Answers = Mapping[type, Callable[[Any], object]]


@dataclass
class Side:
    """An engine, what answers it, and all that it told."""

    engine: Engine
    answers: Answers
    notices: list[Notice] = field(default_factory=list)
    asked: list[object] = field(default_factory=list)

    def settle(self, now: float) -> None:
        """Answer questions until the engine waits for the other side."""
        while self.engine.question is not None:
            question = self.engine.question
            self.asked.append(question)
            try:
                reply = self.answers[type(question)](question)
            except V2GPKIError as problem:
                self.engine.refuse(problem, now)
            else:
                self.engine.answer(reply, now)
        self.notices += self.engine.notices()

    def names(self, *, sent: bool) -> list[str]:
        """The messages that this side sent, or heard."""
        return [notice.name for notice in self.notices if isinstance(notice, Exchanged) and notice.sent is sent]

    def codes(self) -> list[tuple[str, str]]:
        """Responses and their codes, in order."""
        return [(n.name, n.response_code) for n in self.notices if isinstance(n, Exchanged) and n.response_code]

    def states(self) -> list[str]:
        """The states that it went through."""
        return [notice.then for notice in self.notices if isinstance(notice, Moved)]


def join(
    secc: Side, evcc: Side, *, piece: int = 0, step: float = 0.01, most: int = 20_000, sides: Sequence[Side] = ()
) -> float:
    """Run a session to its end; gives the time at it. ``piece``: octets delivered at once, 0 for all that there are;
    ``step``: seconds that a delivery takes; ``most``: deliveries before it counts as hung."""
    now = 0.0
    both = sides or (secc, evcc)
    for side in both:
        side.engine.start(now)
        side.settle(now)
    for _ in range(most):
        moved = False
        for one, other in ((evcc, secc), (secc, evcc)):
            octets = one.engine.outgoing()
            if octets:
                moved = True
                size = piece or len(octets)
                for start in range(0, len(octets), size):
                    now += step
                    other.engine.receive(octets[start : start + size], now)
                    other.settle(now)
            if one.engine.ending is not None and other.engine.ending is None and not other.engine.outgoing_left:
                moved = True
                other.engine.peer_closed(now)
                other.settle(now)
        if secc.engine.ending is not None and evcc.engine.ending is not None:
            return now
        if not moved:
            deadlines = [side.engine.deadline for side in both if side.engine.deadline is not None]
            if not deadlines:
                raise AssertionError(f"both wait for ever: {secc.notices[-1:]} {evcc.notices[-1:]}")
            now = min(deadlines)
            for side in both:
                side.engine.tick(now)
                side.settle(now)
    raise AssertionError("the session does not end")
