"""The socket of the signing process: frames in, answers out, by a few threads; nobody waits for somebody slow.

Taken in are workers only (`peers.Family`). A connection has one question at a time; a frame that does not arrive within
``DEADLINE``, is too large or no frame closes it. Too many connections are closed at once. Whoever is refused what no
worker asks is named in the log; questions and answers never are.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from v2gpki.errors import V2GPKIError
from v2gpki.servers.signing.peers import Family, Peer, peer_of
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.protocol import Answer, Question, Refused

_LOG = logging.getLogger("v2gpki.signing")

#: Seconds that a question may take to arrive, and its answer to be taken.
DEADLINE = 5.0
MOST_CONNECTIONS = 512
MOST_OF_ONE_PROCESS = 96
THREADS = 8
_READ = 65536
#: A worker asks the registration table itself before it asks here.
_BREACHES = frozenset({"signing.refused", "signing.not_recorded", "est.not_registered"})


class _Line:
    """One connection and what has arrived of its question."""

    __slots__ = ("connection", "got", "peer", "since")

    def __init__(self, connection: socket.socket, peer: Peer) -> None:
        self.connection = connection
        self.peer = peer
        self.got = b""
        self.since = 0.0


class Desk:
    """Answers workers until told to stop."""

    def __init__(
        self, listening: socket.socket, answer: Callable[[Question], Answer], family: Family, *, threads: int = THREADS
    ) -> None:
        """``listening`` is a local socket that listens; ``answer`` is called in several threads."""
        self._listening = listening
        self._answer = answer
        self._family = family
        self._threads = threads
        self._lines: dict[int, _Line] = {}
        self._count: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._wake, self._waking = os.pipe()
        self._ended = False

    def run(self, lifeline: int = -1) -> None:
        """Serve until ``stop``, or until the other end of ``lifeline`` is closed."""
        self._listening.setblocking(False)
        once = select.EPOLLIN | select.EPOLLONESHOT
        self._poll.register(self._listening.fileno(), once)
        self._poll.register(self._wake, select.EPOLLIN)
        if lifeline >= 0:
            self._poll.register(lifeline, select.EPOLLIN)
        others = [
            threading.Thread(target=self._work, args=(lifeline,), name=f"v2gpki-signing-{number}")
            for number in range(1, self._threads)
        ]
        for thread in others:
            thread.start()
        self._work(lifeline)
        for thread in others:
            thread.join()
        for line in list(self._lines.values()):
            line.connection.close()
        self._poll.close()
        os.close(self._wake)
        os.close(self._waking)

    def stop(self) -> None:
        """End; questions that were begun are answered."""
        self._ended = True
        os.write(self._waking, b"x")

    # -- helpers -------------------------------------------------------------------------------

    def _work(self, lifeline: int) -> None:
        while not self._ended:
            for descriptor, _ in self._poll.poll(1.0, 1):
                if descriptor == self._listening.fileno():
                    self._accept()
                elif descriptor in (lifeline, self._wake):
                    if not self._ended:
                        self.stop()
                elif (line := self._lines.get(descriptor)) is not None:
                    self._serve(line)
            self._sweep()

    def _accept(self) -> None:
        with suppress(OSError):
            connection, _ = self._listening.accept()
            peer = peer_of(connection)
            with self._lock:
                full = len(self._lines) >= MOST_CONNECTIONS or self._count[peer.process] >= MOST_OF_ONE_PROCESS
            if full or not self._family.has(peer):
                why = "it has too many connections" if full else "it is none of our workers"
                _LOG.error("a process is turned away: %s", why, extra={"peer": peer.process, "user": peer.user})
                connection.close()
            else:
                connection.setblocking(False)
                with self._lock:
                    self._lines[connection.fileno()] = _Line(connection, peer)
                    self._count[peer.process] += 1
                self._poll.register(connection.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        self._poll.modify(self._listening.fileno(), select.EPOLLIN | select.EPOLLONESHOT)

    def _serve(self, line: _Line) -> None:
        """Take what has come; answer when the question is whole; wait for more otherwise."""
        try:
            more = line.connection.recv(_READ)
            if not more:
                self._close(line)
                return
            line.got += more
            body = protocol.whole(line.got)
            if body is None:
                line.since = line.since or monotonic()
            else:
                line.got, line.since = b"", 0.0
                line.connection.settimeout(DEADLINE)
                line.connection.sendall(protocol.frame(self._reply(line.peer, body)))
                line.connection.setblocking(False)
            self._poll.modify(line.connection.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        except BlockingIOError:
            self._poll.modify(line.connection.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        except V2GPKIError as problem:
            self._breach(line.peer, "a frame", problem.code)
            with suppress(OSError):
                line.connection.send(protocol.frame(protocol.refused_answer(problem)))
            self._close(line)
        except OSError:
            self._close(line)

    def _reply(self, peer: Peer, body: bytes) -> Answer:
        question = protocol.question(body)
        try:
            given = self._answer(question)
        except Exception:  # noqa: BLE001 - the outermost border: one question must not end the process
            _LOG.exception("a question could not be answered", extra={"peer": peer.process})
            bug = V2GPKIError("internal.bug", "the signing process could not answer")
            return protocol.refused_answer(bug)
        for one in given.answers if isinstance(given, protocol.Each) else (given,):
            if not isinstance(one, Refused):
                continue
            if one.code in _BREACHES:
                self._breach(peer, type(question).__name__, one.code)
            elif one.code == "signing.outdated":
                _LOG.warning("a worker asked for what the store does not say", extra={"peer": peer.process})
        return given

    def _breach(self, peer: Peer, what: str, code: str) -> None:
        _LOG.error("a worker is refused what no worker asks", extra={"peer": peer.process, "asked": what, "code": code})

    def _close(self, line: _Line) -> None:
        with self._lock:
            if self._lines.pop(line.connection.fileno(), None) is None:
                return
            self._count[line.peer.process] -= 1
        line.connection.close()

    def _sweep(self) -> None:
        """Close what has begun a question and does not end it."""
        now = monotonic()
        with self._lock:
            late = [line for line in self._lines.values() if line.since and now - line.since > DEADLINE]
        for line in late:
            self._close(line)
