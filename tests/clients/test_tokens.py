"""Tokens of remote providers: how long they are kept."""

from __future__ import annotations

import httpx
import pytest

from v2gpki.clients.exchange import Exchange
from v2gpki.clients.tokens import ClientCredentials


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("100", 69), ('"100"', 69), ("100.5", 70), ("20", 9), ("null", 269), ('"soon"', 269), ("[1]", 269),
        ("NaN", 269), ("Infinity", 269), ("1e400", 269), ("-1", 269), ("0", 269), ("1" + "0" * 400, 269),
        ("99999999999", 269),
    ],
)  # fmt: skip
def test_how_long_a_token_is_kept(said: str, kept: int) -> None:
    """All but the last 30 seconds, or half of a short one; 300 are usual where the provider says nothing sensible."""
    now, given = [0.0], list[int]()

    def provider(request: httpx.Request) -> httpx.Response:
        given.append(1)
        return httpx.Response(200, content=f'{{"access_token": "t", "expires_in": {said}}}'.encode())

    exchange = Exchange(transport=httpx.MockTransport(provider))
    tokens = ClientCredentials("https://provider.test/token", "me", "x", exchange=exchange, clock=lambda: now[0])
    tokens.token()
    now[0] = kept
    tokens.token()
    assert len(given) == 1
    now[0] = kept + 1.5
    tokens.token()
    assert len(given) == 2
