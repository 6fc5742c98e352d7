"""Plug-ins written without asyncio: a plain function becomes one to await, run in a thread."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(
    function: Callable[P, R], *, executor: Executor | None = None
) -> Callable[P, Coroutine[Any, Any, R]]:  # Any: what nobody sends or is sent
    """``function`` as one to await; it runs in ``executor`` (None: the event loop's own), its errors come out
    unchanged.

    A thread cannot be stopped: who stops waiting goes on, the function goes on too. In the body of a class it makes a
    method of a method.

    >>> class Lists:
    ...     def look_up(self, emaid: str) -> bool:
    ...         return emaid.startswith("DEABC")
    ...     authorised = in_thread(look_up)
    >>> asyncio.run(Lists().authorised("DEABCC12345678"))
    True
    """

    @functools.wraps(function)
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> R:
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(executor, call)

    return awaited
