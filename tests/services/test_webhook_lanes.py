"""Whose turn it is: one at a time for an owner and host, owners by turns, rests after time-outs."""

from __future__ import annotations

from v2gpki.services.webhook_lanes import Lane, Lanes


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def chosen(lanes: Lanes, *waiting: tuple[str, str], limit: int = 9) -> list[tuple[str, str]]:
    found = lanes.choose([Lane(*one) for one in waiting], limit, key=lambda lane: lane)
    return [(lane.owner, lane.host) for lane in found]


def test_a_lane_takes_one_at_a_time() -> None:
    lanes = Lanes()
    assert chosen(lanes, ("a", "x"), ("a", "x"), ("b", "x")) == [("a", "x"), ("b", "x")]
    lanes.begin(Lane("a", "x"))
    assert chosen(lanes, ("a", "x"), ("b", "x")) == [("b", "x")]
    lanes.end(Lane("a", "x"), late=False)
    assert chosen(lanes, ("a", "x")) == [("a", "x")]


def test_an_owner_with_many_hosts_has_two_at_a_time() -> None:
    lanes = Lanes(most=2)
    many = [("a", f"h{number}") for number in range(9)]
    assert chosen(lanes, *many) == many[:2]
    lanes.begin(Lane("a", "h0"))
    assert chosen(lanes, *many) == [("a", "h1")]
    lanes.begin(Lane("a", "h1"))
    assert chosen(lanes, *many, ("b", "x")) == [("b", "x")]


def test_owners_take_turns() -> None:
    lanes = Lanes()
    assert chosen(lanes, ("a", "x"), ("a", "y"), ("b", "x"), limit=2) == [("a", "x"), ("b", "x")]
    lanes.begin(Lane("a", "x"))
    lanes.end(Lane("a", "x"), late=False)
    assert chosen(lanes, ("a", "x"), ("b", "x"), limit=1) == [("b", "x")]


def test_a_lane_that_times_out_rests_longer_each_time() -> None:
    seconds = Seconds()
    lanes, lane = Lanes(now=seconds), Lane("a", "x")
    for _ in range(2):
        lanes.end(lane, late=True)
        assert chosen(lanes, lane) == [("a", "x")]
    for rest in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        lanes.end(lane, late=True)
        seconds.now += rest - 1
        assert chosen(lanes, lane, ("a", "y")) == [("a", "y")]
        seconds.now += 1
        assert chosen(lanes, lane) == [("a", "x")]
    lanes.end(lane, late=False)
    lanes.end(lane, late=True)
    assert chosen(lanes, lane) == [("a", "x")]


def test_the_host_of_a_lane_is_its_name_alone() -> None:
    assert Lane.of("a", "https://Events.Example.com:8443/x?y") == ("a", "events.example.com")
