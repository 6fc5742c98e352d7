"""What may follow what: one table per edition, the same for SECC and EVCC; the docs' state diagrams are drawn from it.

A state says what has been answered last, so it is what the station awaits and the vehicle may send. A move is a request
that may come in a state, and the states that its positive answer may lead to. Whatever is not in the table is out of
sequence (ISO 15118-2 8.8.2, [V2G2-538] ff.; ISO 15118-20 8.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from v2gpki.errors import V2GPKIError


class Move(NamedTuple):
    """In ``state`` the request may come, and its answer leads to one of ``then``."""

    state: str
    request: str
    then: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """The table of one edition. ``begin`` is the state after supportedAppProtocolRes, ``over`` ends the session."""

    edition: str
    begin: str
    over: str
    moves: Mapping[str, Mapping[str, tuple[str, ...]]]

    def expected(self, state: str) -> tuple[str, ...]:
        """The names of the requests that may come in a state, none when the session is over."""
        return tuple(self.moves.get(state, ()))

    def after(self, state: str, request: str) -> tuple[str, ...]:
        """The states that the answer to a request may lead to; none when it is out of sequence."""
        return self.moves.get(state, {}).get(request, ())

    def moved(self, state: str, request: str, then: str = "") -> str:
        """The next state: ``then``, or the only one that there is.

        Raises ``internal.bug`` for a step that the table does not have: an engine may not do what its diagram hides.
        """
        possible = self.after(state, request)
        if not then and len(possible) == 1:
            return possible[0]
        if then not in possible:
            raise V2GPKIError(
                "internal.bug",
                f"{self.edition}: no step from {state} by {request} to {then or 'one of several'}",
                facts={"state": state, "request": request, "then": then, "possible": possible},
            )
        return then

    def all_moves(self) -> list[Move]:
        """Every row of the table, in its order."""
        return [
            Move(state, request, then) for state, requests in self.moves.items() for request, then in requests.items()
        ]

    def states(self) -> list[str]:
        """Every state, in the order of the table; the end last."""
        return [*self.moves, self.over]


def flow(edition: str, moves: Mapping[str, Mapping[str, str]], *, begin: str, over: str = "over") -> Flow:
    """A table from rows ``{state: {request: "state state .."}}``. Raises ValueError when a state leads nowhere."""
    read = {
        state: {request: tuple(then.split()) for request, then in requests.items()} for state, requests in moves.items()
    }
    named = {then for requests in read.values() for possible in requests.values() for then in possible} | {begin}
    if unknown := sorted(named - set(read) - {over}):
        raise ValueError(f"{edition}: states without a row: {', '.join(unknown)}")
    if unreached := sorted(set(read) - named):
        raise ValueError(f"{edition}: states that nothing leads to: {', '.join(unreached)}")
    return Flow(edition, begin, over, read)
