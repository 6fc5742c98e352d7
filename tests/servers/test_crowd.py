"""Who has to go when there are too many connections."""

from __future__ import annotations

import pytest

from v2gpki.servers.crowd import Crowd, Work, neighbourhood


class Someone:
    def __init__(self, work: Work = Work.IDLE) -> None:
        self.work = work
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def arrived(crowd: Crowd, host: str, count: int, work: Work = Work.IDLE) -> list[Someone]:
    members = [Someone(work) for _ in range(count)]
    for member in members:
        assert crowd.arrive(member, host)
    return members


def test_one_address_loses_its_oldest_idle_one() -> None:
    crowd = Crowd(most=100, of_one=3)
    busy, reading, idle = (arrived(crowd, "192.0.2.1", 1, work)[0] for work in reversed(Work))
    others = arrived(crowd, "192.0.2.2", 3)
    (fourth,) = arrived(crowd, "192.0.2.1", 1, Work.ANSWERING)
    assert (busy.dropped, reading.dropped, idle.dropped) == (False, False, True)
    arrived(crowd, "192.0.2.1", 1, Work.ANSWERING)
    assert (busy.dropped, reading.dropped) == (False, True)
    assert not crowd.arrive(Someone(), "192.0.2.1")
    assert not any(one.dropped for one in (busy, fourth, *others))
    crowd.leave(busy)
    assert crowd.arrive(Someone(), "192.0.2.1")
    assert len(crowd) == 6


def test_who_has_most_loses_one_when_it_is_full() -> None:
    crowd = Crowd(most=6, of_one=100)
    first = arrived(crowd, "192.0.2.1", 1)
    many = arrived(crowd, "192.0.2.2", 5)
    arrived(crowd, "192.0.2.3", 2)
    assert [one.dropped for one in many] == [True, True, False, False, False]
    assert not first[0].dropped
    assert len(crowd) == 6


def test_a_full_crowd_at_work_lets_others_in_to_be_told() -> None:
    crowd = Crowd(most=2, of_one=100)
    arrived(crowd, "192.0.2.1", 2, Work.ANSWERING)
    arrived(crowd, "192.0.2.2", 1)
    assert len(crowd) == 3


@pytest.mark.parametrize("proxies", [("192.0.2.1",), ("192.0.2.0/24",), ("*",), ("proxy.example", "192.0.2.1")])
def test_a_proxy_may_have_many(proxies: tuple[str, ...]) -> None:
    crowd = Crowd(most=100, of_one=1, proxies=proxies)
    arrived(crowd, "192.0.2.1", 5, Work.ANSWERING)


def test_who_is_gone_is_counted_once() -> None:
    crowd = Crowd(most=9, of_one=2)
    one, _ = arrived(crowd, "192.0.2.1", 2)
    crowd.leave(one)
    crowd.leave(one)
    crowd.leave(Someone())
    assert len(crowd) == 1


def test_an_ipv6_client_is_its_network() -> None:
    assert neighbourhood("2001:db8:1:2::1") == neighbourhood("2001:db8:1:2:ffff::9%eth0")
    assert neighbourhood("2001:db8:1:2::1") != neighbourhood("2001:db8:1:3::1")
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("::ffff:192.0.2.1") != neighbourhood("::ffff:192.0.2.2")
