"""Servers that answer for ever, an octet at a time: every step is in time, and the whole has an end all the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import pytest

from v2gpki import V2GPKIError
from v2gpki.clients.est import EstClient
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.ocsp import OcspClient
from v2gpki.clients.opcp import OpcpClient
from v2gpki.clients.tokens import ClientCredentials


@contextmanager
def dripping(media_type: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server whose answers get one more octet every 50 ms; gives its address and the connections that it had."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    seen: list[int] = []

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: " + media_type + b"\r\ncontent-length: 60000\r\n\r\n")
            while not over.wait(0.05):
                connection.sendall(b"A")

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            if over.is_set():
                connection.close()
                return
            seen.append(1)
            threads.append(threading.Thread(target=drip, args=(connection,)))
            threads[-1].start()

    threads = [threading.Thread(target=serve)]
    threads[0].start()
    address = listening.getsockname()
    try:
        yield "http://{}:{}".format(*address), seen
    finally:
        over.set()
        with suppress(OSError):
            socket.create_connection(address).close()
        threads[0].join()
        listening.close()
        for thread in threads[1:]:
            thread.join()


def ends(call: Callable[[], object], code: str) -> float:
    """The seconds after which a call ends with this refusal."""
    begun = monotonic()
    with pytest.raises(V2GPKIError) as refusal:
        call()
    assert refusal.value.code == code
    return monotonic() - begun


def test_no_client_waits_for_an_answer_that_does_not_end() -> None:
    with dripping(b"application/json") as (url, seen):
        exchange = Exchange(timeout=5, deadline=0.5, retries=0)
        assert ends(OpcpClient(url, exchange).roots, "client.timeout") < 4
        assert ends(EstClient(url, exchange).cacerts, "client.timeout") < 4
        tokens = ClientCredentials(f"{url}/oauth/token", "me", "secret", exchange=exchange)
        assert ends(tokens.token, "client.timeout") < 4
        assert len(seen) == 3
        # What may be repeated is tried again, each time for so long.
        again = Exchange(timeout=5, deadline=0.5, retries=1, pause=lambda _: None)
        assert ends(OpcpClient(url, again).roots, "client.timeout") < 4
        assert len(seen) == 5


def test_no_ocsp_query_waits_for_an_answer_that_does_not_end() -> None:
    with dripping(b"application/ocsp-response") as (url, seen):
        client = OcspClient(timeout=5, deadline=0.5, retries=1, pause=lambda _: None)
        assert ends(lambda: client.ask(url, b"\x30\x03\x02\x01\x01"), "ocsp.unreachable") < 4
        assert len(seen) == 2
