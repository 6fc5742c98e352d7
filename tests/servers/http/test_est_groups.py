"""Which requests of enrolment are answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http import est_desk
from v2gpki.servers.http.est_desk import EnrolmentDesk
from v2gpki.services.est import Enrolled, EnrolRequest, EstService, Target

TARGET = Target("cpo", "cpo", "secc", "iso15118-2")


class Counting:
    """Answers with the caller's name as an error of ours, and counts who came together."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.entered, self.go = threading.Event(), threading.Event()

    def answer_many(self, requests: Sequence[EnrolRequest]) -> list[Enrolled | V2GPKIError]:
        self.groups.append(len(requests))
        self.entered.set()
        assert self.go.wait(20)
        return [V2GPKIError("est.busy", request.identity) for request in requests]


async def ask(desk: EnrolmentDesk, name: str, times: int) -> None:
    for number in range(times):
        wanted = f"{name}-{number}"
        with pytest.raises(V2GPKIError, match=wanted):
            await desk.answer(EnrolRequest(wanted, b"", TARGET))


def run(service: Counting, times: Sequence[int]) -> None:
    """One client comes first, the others while it is being answered; each asks again when it has its answer, so many
    times."""

    async def work(threads: ThreadPoolExecutor) -> None:
        desk = EnrolmentDesk(cast("EstService", service), threads)  # only answer_many is called
        first = asyncio.create_task(ask(desk, "0", times[0]))
        await asyncio.to_thread(service.entered.wait, 20)
        others = [asyncio.create_task(ask(desk, str(number), more)) for number, more in enumerate(times) if number]
        await asyncio.sleep(0)
        service.go.set()
        async with asyncio.timeout(20):
            await asyncio.gather(first, *others)

    with ThreadPoolExecutor(1) as threads:
        asyncio.run(work(threads))


def test_clients_that_go_on_asking_come_to_be_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one and seven in turns; and nobody waits longer than until the last one is here."""
    monkeypatch.setattr(est_desk, "GATHERING", 30.0)
    service = Counting()
    run(service, [20] * 8)
    assert service.groups == [1, 7] + [8] * 19


def test_nobody_waits_long_for_those_who_do_not_come_again() -> None:
    service = Counting()
    run(service, [3, 1, 1, 1])
    assert service.groups == [1, 3, 1, 1]


def test_who_comes_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(est_desk, "GATHERING", 30.0)
    service = Counting()
    run(service, [50])
    assert service.groups == [1] * 50


def test_everybody_is_told_once_however_the_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was answered hears nothing of what becomes of the next group; whoever waits in it does."""
    monkeypatch.setattr(est_desk, "GATHERING", 30.0)
    told: list[tuple[str, str]] = []
    service = Counting()
    service.go.set()

    async def work(threads: ThreadPoolExecutor) -> None:
        desk = EnrolmentDesk(cast("EstService", service), threads)  # only answer_many is called

        def ask(name: str) -> None:
            def done(answer: Enrolled | V2GPKIError) -> None:
                assert isinstance(answer, V2GPKIError)
                told.append((name, answer.code))
                if name == "bug":
                    raise ArithmeticError("its connection is broken")

            desk.ask(EnrolRequest(name, b"", TARGET), done)

        for name in ("bug", "a", "b"):
            ask(name)
        async with asyncio.timeout(20):
            while len(told) < 3:
                await asyncio.sleep(0)
            ask("c")
            await asyncio.sleep(0)
            worker = desk._worker
            assert worker is not None
            worker.cancel()
            await asyncio.wait([worker])

    with ThreadPoolExecutor(1) as threads:
        asyncio.run(work(threads))
    assert told == [("bug", "est.busy"), ("a", "est.busy"), ("b", "est.busy"), ("c", "internal.bug")]
