"""The examples in the docstrings of the plug-in points: each is run, and no protocol is without one."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

import v2gpki.servers.evcc.plugins
import v2gpki.servers.in_thread
import v2gpki.servers.secc.plugins
from v2gpki.servers.in_thread import in_thread

MODULES = (v2gpki.servers.evcc.plugins, v2gpki.servers.secc.plugins, v2gpki.servers.in_thread)
PROTOCOLS = [
    pytest.param(member, id=member.__qualname__)
    for module in MODULES
    for _, member in inspect.getmembers(module, inspect.isclass)
    if member.__module__ == module.__name__ and getattr(member, "_is_protocol", False)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_an_example(protocol: type) -> None:
    """And it shows an implementation of every method, one that can be awaited like the protocol's own."""
    found = doctest.DocTestParser().get_examples(inspect.getdoc(protocol) or "")
    examples = "".join(example.source for example in found)
    methods = [name for name, member in vars(protocol).items() if inspect.iscoroutinefunction(member)]
    assert methods
    assert all(f"async def {name}(self" in examples for name in methods)
    assert f": {protocol.__name__} = " in examples


def test_a_plain_function_gets_its_arguments_and_its_errors_come_out() -> None:
    threads = set()

    def divide(one: float, *, by: float) -> float:
        threads.add(threading.get_ident())
        return one / by

    with ThreadPoolExecutor(1, initializer=lambda: threads.add(threading.get_ident())) as own:
        assert asyncio.run(in_thread(divide, executor=own)(9, by=3)) == 3
        assert len(threads) == 1
        with pytest.raises(ZeroDivisionError):
            asyncio.run(in_thread(divide, executor=own)(1, by=0))
    assert threading.get_ident() not in threads


def test_all_protocols_were_found() -> None:
    assert len(PROTOCOLS) == 12
