"""Messages that other stacks sent in live sessions of ISO 15118-2, put before our station and our vehicle.

Each message comes to a side that awaits one of its name, under that side's session id; what it says must be taken. Not
each recorded session fits: who renegotiates, or pays by contract, has signatures and schedules of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.session.iso2.tapes import answer_to, frames, pause, read, states, tape, with_session
from tests.vectors import extra, extra_folder
from v2gpki.messages import codec, iso2
from v2gpki.session.iso2.flow import FLOW

_FOLDER = extra_folder()
_SESSION = b"\1" * 8
#: What a station checks against its own offer: a foreign choice of schedule or profile is refused rightly.
_BOUND = frozenset({"PowerDeliveryReq"})
#: What a goodbye follows on anyway, here after the last turn of the loop.
_LAST = frozenset({"WeldingDetectionRes"})


def _recorded(suffix: str) -> Iterator[tuple[str, str, iso2.V2G_Message]]:
    """Id, name and message of each recorded request (Req) or answer (Res)."""
    assert _FOLDER is not None
    for frame in extra(_FOLDER, "peer_samples"):
        if frame["schema"] == "iso15118-2" and frame["mode"] == "document" and frame["oracle"] == "same":
            message = codec.decode(bytes.fromhex(frame["exi"]), "iso15118-2")
            assert isinstance(message, iso2.V2G_Message)
            name = type(message.Body.BodyElement).__name__
            if name.endswith(suffix):
                yield frame["id"], name, message


def _name(frame: bytes) -> str:
    return type(read(frame).Body.BodyElement).__name__


def _code(message: iso2.V2G_Message | None) -> str:
    return "" if message is None else str(getattr(message.Body.BodyElement, "ResponseCode", ""))


if _FOLDER is not None:

    def test_our_station_takes_what_foreign_vehicles_ask() -> None:
        taken, refused = 0, []
        for number, name, message in _recorded("Req"):
            if name in _BOUND:
                continue
            fits = [state for state in FLOW.states() if name in FLOW.expected(state) and state in states()]
            answers = []
            for state in fits:
                taped, count = states()[state]
                secc = tape(taped).station_after(count)
                answers.append(_code(answer_to(secc, with_session(message, secc_session(state)))))
            if any(code.startswith("OK") for code in answers):
                taken += 1
            else:
                refused.append((number, name, answers))
        assert refused == []
        assert taken > 50

    def test_our_vehicle_takes_what_foreign_stations_answer() -> None:
        taken, refused = 0, []
        for number, name, message in _recorded("Res"):
            problems = []
            for taped in ("ac eim", "dc eim"):
                said = tape(taped)
                names = [_name(frame) for frame in said.responses[1:]]
                if name not in names:
                    continue
                evcc = said.vehicle_after(names.index(name) + 1)
                evcc.engine.receive(with_session(message, _SESSION), evcc.engine.now + 0.01)
                evcc.settle(evcc.engine.now)
                pause(evcc)
                ending, sent = evcc.engine.ending, [_name(frame) for frame in frames(evcc.engine.outgoing())]
                # Who cannot go on says goodbye; who has said goodbye is done.
                went_on = name == "SessionStopRes" if ending else "SessionStopReq" not in sent or name in _LAST
                problems.append("" if went_on else f"{ending} {sent}")
            if "" in problems:
                taken += 1
            elif problems:
                refused.append((number, name, problems))
        assert refused == []
        assert taken > 80


def secc_session(state: str) -> bytes:
    """The session id that a station awaits in a state."""
    return bytes(8) if state == FLOW.begin else _SESSION
