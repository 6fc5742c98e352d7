"""Whose a path is: the first segment says it, then the parts that claim it, then starlette."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.servers.http.asgi import exchange
from v2gpki.servers.http.application import build
from v2gpki.servers.http.exchange import Receive, Scope, Send, respond
from v2gpki.servers.http.front import Limits
from v2gpki.servers.http.part import App, Part
from v2gpki.servers.http.tally import Tally


def says(text: str) -> App:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, 200, [], text.encode())

    return app


@pytest.mark.parametrize(
    ("path", "answer", "part"),
    [
        ("/raw", "raw", "a"),
        ("/raw/simpleenroll", "raw", "a"),
        ("/cpo/simpleenroll", "first", "b"),
        ("/cpo/both", "first", "b"),
        ("/cpo/cacerts", "second", "c"),
        ("/cpo/other", "starlette", "c"),
    ],
)
def test_whose_a_path_is(path: str, answer: str, part: str) -> None:
    first, second = says("first"), says("second")
    parts = [
        Part("a", "", (), apps=(("/raw", says("raw")),)),
        Part("b", "", (), claims=(lambda path: first if path.endswith(("simpleenroll", "both")) else None,)),
        Part(
            "c",
            "",
            (),
            claims=(lambda path: second if path.endswith(("cacerts", "both", "raw")) else None,),
            routes=(Route("/cpo/{rest:path}", lambda _: PlainTextResponse("starlette")),),
        ),
    ]
    tally = Tally(["a", "b", "c"])
    front = build(parts, tally, limits=Limits(), own={})
    answered = exchange(front, "GET", path)
    assert answered is not None
    assert (answered.status, answered.body.decode()) == (200, answer)
    assert answered.headers["x-request-id"]
    assert list(tally.requests()) == [(part, "200", 1.0)]
