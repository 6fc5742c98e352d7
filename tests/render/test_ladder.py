"""The ladder of a session from notices that are written here: lines for people, one JSON object for each event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.messages import app_protocol
from v2gpki.render.ladder import Connected, Ended, Event, Ladder, Place, duration_text, event_value
from v2gpki.render.tree import Line
from v2gpki.session.notices import Agreed, Delivered, Ending, Established, Exchanged, Judged, Moved, Refused, Remarked
from v2gpki.session.secured import Secured

BEGAN = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
PLACE = Place("secc", BEGAN, 1000.0)
MESSAGE = app_protocol.supportedAppProtocolRes(ResponseCode="OK_SuccessfulNegotiation")
EXPIRED = V2GPKIError("path.expired", "the contract ended\non 2026-04-01", clause="RFC 5280 6.1")


def request(at: float, name: str, octets: int = 20) -> Exchanged:
    return Exchanged(1000 + at, False, name, MESSAGE, bytes(octets), 0.5, 60.0)


def response(at: float, name: str, code: str = "OK", *, took: float = 0.003, limit: float = 2.0) -> Exchanged:
    return Exchanged(1000 + at, True, name, MESSAGE, bytes(31), took, limit, code)


def text(line: Line) -> str:
    return "".join(span.text for span in line).rstrip()


def shown(*events: Event) -> list[str]:
    ladder = Ladder(PLACE)
    return [text(line) for event in events for line in ladder.told(event)]


def test_a_request_and_its_answer() -> None:
    lines = shown(request(0.012, "SessionSetupReq", 22), response(0.015, "SessionSetupRes", "OK_NewSessionEstablished"))
    assert [line.split() for line in lines] == [
        ["0.012", "──▶", "SessionSetupReq", "22", "B"],
        ["0.015", "◀──", "SessionSetupRes", "31", "B", "3.0", "ms", "OK_NewSessionEstablished"],
    ]


def test_at_the_vehicle_the_request_goes_the_same_way() -> None:
    """It is sent there and received at the station: the arrow leads from vehicle to station in both ladders."""
    sent = Exchanged(1000.0, True, "SessionSetupReq", MESSAGE, bytes(22))
    assert "──▶" in "".join(text(line) for line in Ladder(Place("evcc", BEGAN, 1000.0)).told(sent))


def test_what_is_late_says_what_is_allowed() -> None:
    (line,) = shown(response(1, "SessionSetupRes", took=2.5))
    assert "2.5 s, 2 s are allowed" in line
    (line,) = shown(response(1, "SessionSetupRes", took=2.0))
    assert "allowed" not in line
    assert "allowed" not in "".join(shown(response(1, "SessionSetupRes", took=900, limit=0)))


def test_response_codes_have_their_colour() -> None:
    def meaning(code: str) -> str:
        (line,) = Ladder(PLACE).told(response(0, "AuthorizationRes", code))
        return line[-1].meaning

    assert [meaning(code) for code in ("OK_CertificateExpiresSoon", "WARNING_CertificateExpired", "FAILED")] == [
        "good",
        "warn",
        "bad",
    ]


def loop(start: int, count: int) -> list[Event]:
    events: list[Event] = []
    for turn in range(start, start + count):
        events.append(request(turn, "CurrentDemandReq"))
        events.append(Delivered(1000.0 + turn, 400.0, 25.0, 10_000.0, imported=5000.0 + turn))
        events.append(response(turn + 0.01, "CurrentDemandRes", took=0.010 + turn / 10_000))
    return events


def test_a_loop_is_shown_once_and_counted() -> None:
    lines = shown(*loop(1, 5), request(7, "PowerDeliveryReq"))
    assert [line.split()[1:3] for line in lines] == [
        ["──▶", "CurrentDemandReq"],
        ["◀──", "CurrentDemandRes"],
        ["CurrentDemand", "4"],
        ["400", "V"],
        ["──▶", "PowerDeliveryReq"],
    ]
    # the last turn is the fifth: 10 ms and 5 times 0.1 ms
    assert lines[2].strip() == "⋮    CurrentDemand 4 times more, answered in 10 ms at most"
    assert lines[3].split() == ["5.000", "400", "V", "25.0", "A", "10.00", "kW", "meter", "5.005", "kWh"]


def test_what_flowed_in_a_loop_of_one_turn_is_told_when_it_is_over() -> None:
    lines = shown(*loop(1, 1), request(7, "PowerDeliveryReq"))
    assert [line.split()[1] for line in lines] == ["──▶", "◀──", "400", "──▶"]


def test_once_is_once() -> None:
    lines = shown(*loop(1, 2), request(7, "PowerDeliveryReq"))
    assert lines[2].strip() == "⋮    CurrentDemand once more, answered in 10 ms at most"


def test_while_it_loops_what_flows_is_told_every_ten_seconds() -> None:
    lines = shown(*loop(0, 35))
    # counted from the answer of the second turn, at 1.010 s
    assert [line.split()[0] for line in lines[2:]] == ["11.010", "21.010", "31.010"]
    assert all("10.00 kW" in line for line in lines[2:])


def test_another_code_or_a_late_answer_ends_the_counting() -> None:
    events = [*loop(1, 3), request(4, "CurrentDemandReq"), response(4.5, "CurrentDemandRes", "FAILED")]
    lines = shown(*events)
    assert [line.split()[1] for line in lines] == ["──▶", "◀──", "CurrentDemand", "400", "──▶", "◀──"]
    assert lines[-1].endswith("FAILED")
    slow = [*loop(1, 3), request(4, "CurrentDemandReq"), response(4.5, "CurrentDemandRes", took=3.0)]
    assert "are allowed" in shown(*slow)[-1]


def test_a_repeated_request_without_an_answer_is_not_lost() -> None:
    ended = Ended(1009.0, Ending("timeout", V2GPKIError("session.timeout", "nothing came")))
    lines = shown(*loop(1, 2), request(4, "CurrentDemandReq"), ended)
    assert lines[-2].split()[:3] == ["4.000", "──▶", "CurrentDemandReq"]
    assert lines[-1].split(maxsplit=1)[1] == "ended by a time-out  nothing came [session.timeout]"


def test_verdicts_protocol_connection_and_end() -> None:
    secured = Secured("1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "secp256r1", staple=b"x")
    lines = shown(
        Connected(1000.0, "[fe80::1]:50000", "[fe80::2]:61341", secured),
        Agreed(1000.1, "urn:iso:15118:2:2013:MsgDef", "iso15118-2"),
        Established(1000.5, b"\x01\x02\x03\x04\x05\x06\x07\x08", "0200000000\x001"),
        Judged(1001.0, "contract chain", "DEABCC12345678"),
        Judged(1002.0, "contract chain", "DE\x1b[31m", EXPIRED),
        Refused(1003.0, "PaymentDetailsReq", "FAILED_CertificateExpired", EXPIRED),
        Remarked(1004.0, "a word"),
        Moved(1004.0, "set-up", "discovered", "ServiceDiscoveryReq"),
        Ended(1005.0, Ending("stopped")),
    )
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        "connected  [fe80::1]:50000 to [fe80::2]:61341",
        "TLS 1.2  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, secp256r1, stapled",
        "iso15118-2  urn:iso:15118:2:2013:MsgDef",
        "session 0102030405060708  with 0200000000\\x001",
        "✓ contract chain  DEABCC12345678",
        "✗ contract chain  DE\\x1b[31m  the contract ended on 2026-04-01 [path.expired]",
        "✗ PaymentDetailsReq refused: FAILED_CertificateExpired  the contract ended on 2026-04-01 [path.expired]",
        "a word",
        "stopped as planned",
    ]
    assert shown(Connected(1000.0, "a", "b"))[0].endswith("plain TCP")
    assert shown(Agreed(1000.0, "", ""))[0].endswith("no protocol in common")


def test_the_values_for_machines() -> None:
    value = event_value(response(1.5, "SessionSetupRes", "OK_NewSessionEstablished", took=2.5), PLACE)
    assert value == {
        "schema": "v2gpki/session-event/1",
        "session": 1,
        "role": "secc",
        "time": "2026-05-01T12:00:01.750Z",
        "at": 1.5,
        "event": "message",
        "direction": "sent",
        "name": "SessionSetupRes",
        "size": 31,
        "response_code": "OK_NewSessionEstablished",
        "took": 2.5,
        "limit": 2.0,
        "late": True,
    }
    assert event_value(request(0, "SessionSetupReq"), PLACE)["direction"] == "received"
    # 12:00:00.250 and 0.755 s
    assert event_value(request(0.755, "SessionSetupReq"), PLACE)["time"] == "2026-05-01T12:00:01.005Z"
    failed = event_value(Judged(1000.0, "contract chain", "DE", EXPIRED), PLACE)
    assert (failed["event"], failed["holds"], failed["code"], failed["clause"]) == (
        "verdict",
        False,
        "path.expired",
        "RFC 5280 6.1",
    )
    assert event_value(Judged(1000.0, "contract chain"), PLACE)["holds"] is True


KINDS: list[tuple[Event, str]] = [
    (Moved(1000.0, "a", "b", "c"), "state"),
    (Agreed(1000.0, "n", "e"), "protocol"),
    (Established(1000.0, b"\x01" * 8, "other"), "established"),
    (Refused(1000.0, "r", "FAILED", EXPIRED), "refusal"),
    (Delivered(1000.0, 1.0, 2.0, 3.0), "power"),
    (Remarked(1000.0, "t"), "remark"),
    (Connected(1000.0, "p", "l"), "connected"),
    (Ended(1000.0, Ending("paused")), "ended"),
]
EVENTS = [event for event, _ in KINDS]


@pytest.mark.parametrize(("event", "kind"), KINDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_event_has_a_value(event: Event, kind: str) -> None:
    value = event_value(event, PLACE)
    assert value["event"] == kind
    assert isinstance(Ladder(PLACE).told(event), list)
    assert value["at"] == 0.0


def test_no_kind_of_event_is_forgotten() -> None:
    shown_here = {type(event) for event in EVENTS} | {Exchanged, Judged}
    assert set(get_args(Event)) == shown_here


def test_tls_in_the_value() -> None:
    secured = Secured("1.3", "TLS_AES_256_GCM_SHA384", "x448", (b"1", b"2"), (b"3",))
    assert event_value(Connected(1000.0, "p", "l", secured), PLACE)["tls"] == {
        "version": "1.3",
        "suite": "TLS_AES_256_GCM_SHA384",
        "group": "x448",
        "mutual": True,
        "stapled": False,
        "peer_certificates": 2,
    }
    assert event_value(Connected(1000.0, "p", "l"), PLACE)["tls"] is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (0.0004, "0.4 ms"), (0.0123, "12 ms"), (0.25, "250 ms"), (1.5, "1.5 s"), (60, "60 s")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words
