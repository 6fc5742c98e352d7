"""What TLS a station offers: versions, suites and groups, each asked for by a ClientHello of its own.

The list of what is left is offered again and again until the station refuses it: so all that it takes is known, in its
own order of preference or in ours. One connection at a time; each is closed before the next is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from v2gpki.errors import V2GPKIError
from v2gpki.servers.probe.hello import TLS_1_2, TLS_1_3, Answer, AnswerReader, Question, client_hello
from v2gpki.servers.probe.names import GROUPS, SIGNATURES, SUITES_12, SUITES_13, VERSIONS

#: Answers that are asked for in one list at most: a station that takes whatever comes is not asked for ever.
_MOST = 64


class Host(NamedTuple):
    """Where a station is: an address with its zone, and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Timed(NamedTuple):
    """An answer, how long the connection took and how long the answer (seconds)."""

    answer: Answer
    connected: float
    answered: float


@dataclass(frozen=True, slots=True)
class Offered:
    """What a station takes of one version, in the order in which it chose; ``first`` is its answer to everything."""

    version: int
    first: Timed
    suites: tuple[int, ...]
    groups: tuple[int, ...]


@dataclass(slots=True)
class Scan:
    """Everything about a station's TLS. ``refused`` says by what each version was refused; ``no_tls`` why nothing of
    it is TLS."""

    offered: dict[int, Offered] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    no_tls: V2GPKIError | None = None


async def scan(host: Host, *, timeout: float) -> Scan:
    """Ask for every version; raises ``tls.unreachable``, ``tls.late``."""
    found = Scan()
    for version in VERSIONS:
        suites = SUITES_13 if version >= TLS_1_3 else SUITES_12
        question = Question(version, tuple(suites), tuple(GROUPS), tuple(SIGNATURES))
        try:
            first = await ask(host, question, timeout=timeout)
        except V2GPKIError as problem:
            if problem.code != "probe.no_tls":
                raise
            found.no_tls = problem
            continue
        if first.answer.alert:
            found.refused[version] = first.answer.alert
        elif first.answer.version != version:
            found.refused[version] = f"answered with {VERSIONS.get(first.answer.version, first.answer.version)}"
        elif version >= TLS_1_2:
            found.offered[version] = await _everything(host, question, first, timeout)
        else:
            found.offered[version] = Offered(version, first, (first.answer.suite,), ())
    return found


async def ask(host: Host, question: Question, *, timeout: float) -> Timed:
    """One ClientHello and what it is answered; raises ``tls.unreachable``, ``tls.late``, ``probe.no_tls``."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(*host)
    except (OSError, TimeoutError) as problem:
        raise unreachable(host, problem) from problem
    connected = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            answer = await _answer(reader, writer, client_hello(question, os.urandom(32)))
    except TimeoutError:
        raise V2GPKIError(
            "tls.late", f"{host} did not answer a ClientHello within {timeout:g} s", facts={"seconds": f"{timeout:g}"}
        ) from None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return Timed(answer, connected - begun, time.monotonic() - connected)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: bytes) -> Answer:
    seen = AnswerReader()
    try:
        writer.write(hello)
        await writer.drain()
        while data := await reader.read(65_536):
            answer = seen.feed(data)
            if answer is not None:
                return answer
    except OSError:
        pass  # a reset says no more than an end
    return seen.finish()


async def _everything(host: Host, question: Question, first: Timed, timeout: float) -> Offered:
    """All suites, then all groups with the suites that were taken."""
    suites = [first.answer.suite]
    while len(suites) < _MOST and (left := _without(question.suites, suites)):
        answer = (await ask(host, replace(question, suites=left), timeout=timeout)).answer
        if answer.alert or answer.suite in suites or answer.version != question.version:
            break
        suites.append(answer.suite)
    groups = [first.answer.group] if first.answer.group else []
    while groups and len(groups) < _MOST and (left := _without(question.groups, groups)):
        # In TLS 1.2 those that were taken stay at the end: a client that lacks the curve of the server's certificate is
        # refused for that (RFC 8422 5.1.1).
        known = groups if question.version < TLS_1_3 else []
        narrower = replace(question, suites=tuple(suites), groups=(*left, *known))
        answer = (await ask(host, narrower, timeout=timeout)).answer
        if answer.alert or not answer.group or answer.group in groups:
            break
        groups.append(answer.group)
    return Offered(question.version, first, tuple(suites), tuple(groups))


def _without(numbers: Iterable[int], taken: list[int]) -> tuple[int, ...]:
    return tuple(number for number in numbers if number not in taken)


def unreachable(host: Host, problem: OSError | TimeoutError) -> V2GPKIError:
    """Nothing answers there."""
    reason = os.strerror(problem.errno).lower() if problem.errno else "it does not answer"
    return V2GPKIError(
        "tls.unreachable",
        f"{host} cannot be reached: {reason}",
        hint="take address and port from the station's SDP response; a link-local address needs its interface (%eth0)",
        facts={"peer": str(host)},
    )
