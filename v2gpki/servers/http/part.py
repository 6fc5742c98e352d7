"""What one service brings to the HTTP application: raw ASGI applications, starlette routes, and what runs beside them.

Each service is a part; ``servers.parts`` makes them from an opened home, ``application`` joins those that are chosen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, Protocol, TypeAlias

from starlette.routing import BaseRoute

from v2gpki.servers.http.exchange import Receive, Scope, Send


class When(Enum):
    """When there is an answer, if not now."""

    LATER = "later"


LATER = When.LATER
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Later(Protocol):
    """Takes an answer that was not there at once, from its own header lines on."""

    def __call__(self, rest: bytes, status: int = 200) -> None:
        """Once, from the event loop."""
        ...


class Asker(Protocol):
    """The connection that a request came by."""

    @property
    def address(self) -> str:
        """The other end's address, "" when it is not known."""
        ...

    @property
    def tls(self) -> Mapping[object, object] | None:
        """ASGI's extension for TLS, None without TLS."""
        ...


#: What is said at once: the answer with status 200, from its own header lines on; None when the request must go the
#: long way; ``LATER`` when the answer will be handed over.
Said: TypeAlias = bytes | Literal[When.LATER] | None
#: The answer to a POST's body, whoever asks.
Prompt: TypeAlias = Callable[[bytes, Later], Said]
#: The same, for one head of a request, as connections ask it.
Respond: TypeAlias = Callable[[bytes, Later, Asker], Said]
#: The same, with what the access line of the request will say (``caller``, ``code``).
Personal: TypeAlias = Callable[[bytes, dict[str, str], Later, Asker], Said]
#: Who answers the requests with this head at once; None when they must go the long way.
Find: TypeAlias = Callable[[Scope], Personal | None]
#: A path -> the raw application that it belongs to, None when it is none of the part's.
Claim: TypeAlias = Callable[[str], App | None]
#: Runs beside the requests of a process until it is cancelled.
Job: TypeAlias = Callable[[], Coroutine[None, None, None]]
#: When what each name stands for ends at a moment; None when there is nothing.
Ends: TypeAlias = Callable[[datetime], Mapping[str, datetime | None]]


@dataclass(frozen=True, slots=True)
class Part:
    """One service.

    ``name`` is its word on the command line, ``title`` one line for people, ``urls`` the paths that it answers (shown
    at the start). ``apps`` are raw ASGI applications by the first segment of the path (``/ocsp`` takes ``/ocsp``
    and everything below), in front of all else; ``claims`` are asked next, for paths that say elsewhere whose they are;
    ``routes`` are starlette's; ``prompts`` answer a POST to exactly their path without ASGI, without a line in the log,
    and ``finds`` those whose answer depends on their head. ``jobs`` run in each process. ``plain`` parts are served
    without TLS too when other listeners have it. ``signs`` says that it needs the keys; ``ends`` tells of the OCSP
    signers of authorities.
    """

    name: str
    title: str
    urls: tuple[str, ...]
    apps: tuple[tuple[str, App], ...] = ()
    claims: tuple[Claim, ...] = ()
    routes: tuple[BaseRoute, ...] = ()
    prompts: tuple[tuple[str, Prompt], ...] = ()
    finds: tuple[Find, ...] = ()
    jobs: tuple[Job, ...] = ()
    plain: bool = False
    signs: bool = True
    ends: Ends | None = None
