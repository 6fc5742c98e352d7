"""Station and vehicle of ISO 15118-2 joined to a good end, and what they said on the way."""

from __future__ import annotations

from typing import Any

from tests.session.joined import Side, join
from v2gpki.messages import iso2
from v2gpki.session.iso2.flow import FLOW
from v2gpki.session.notices import Ending, Exchanged, Moved, Notice


def run(secc: Side, evcc: Side, ending: str = "stopped") -> list[str]:
    """Join both; both end so and went the same way through the flow table. Gives the requests after the handshake."""
    join(secc, evcc)
    assert (secc.engine.ending, evcc.engine.ending) == (Ending(ending), Ending(ending))  # type: ignore[arg-type]
    assert secc.states() == evcc.states()
    state = FLOW.begin
    for moved in [notice for notice in secc.notices if isinstance(notice, Moved)]:
        assert (moved.state, moved.then in FLOW.after(state, moved.request)) == (state, True)
        state = moved.then
    assert state == FLOW.over
    assert evcc.names(sent=True) == secc.names(sent=False)
    assert evcc.names(sent=False) == secc.names(sent=True)
    return evcc.names(sent=True)[1:]


def bodies(side: Side, name: str) -> list[Any]:
    """The bodies of this name that a side saw. Any: of whichever class the test asks for."""
    found = [notice.message for notice in side.notices if isinstance(notice, Exchanged) and notice.name == name]
    return [message.Body.BodyElement for message in found if isinstance(message, iso2.V2G_Message)]


def one(notices: list[Notice], kind: type[Notice]) -> Any:
    """The only notice of a kind. Any: of whichever class the test asks for."""
    (found,) = [notice for notice in notices if isinstance(notice, kind)]
    return found
