"""What one service brings to the HTTP application: raw ASGI applications, starlette routes, and what runs beside them.

Each service is a part; ``servers.parts`` makes them from an opened home, ``application`` joins those that are chosen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias

from starlette.routing import BaseRoute

from v2gpki.servers.http.exchange import Receive, Scope, Send


class When(Enum):
    """When there is an answer, if not now."""

    LATER = "later"


LATER = When.LATER
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Takes an answer that was not there at once.
Later: TypeAlias = Callable[[bytes], None]
#: A POST's body -> its answer with status 200, from its own header lines on; None when it must go the long way;
#: ``LATER`` when the answer will be handed over, once, from the event loop.
Prompt: TypeAlias = Callable[[bytes, Later], bytes | Literal[When.LATER] | None]
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
    ``routes`` are starlette's; ``prompts`` answer a POST to exactly their path without ASGI. ``jobs`` run in each
    process. ``plain`` parts are served without TLS too when other listeners have it. ``signs`` says that it needs the
    keys; ``ends`` tells of the OCSP signers of authorities.
    """

    name: str
    title: str
    urls: tuple[str, ...]
    apps: tuple[tuple[str, App], ...] = ()
    claims: tuple[Claim, ...] = ()
    routes: tuple[BaseRoute, ...] = ()
    prompts: tuple[tuple[str, Prompt], ...] = ()
    jobs: tuple[Job, ...] = ()
    plain: bool = False
    signs: bool = True
    ends: Ends | None = None
