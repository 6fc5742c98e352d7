"""An ASGI application as the far end of a synchronous httpx client: the whole of HTTP but the socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from threading import Thread
from types import TracebackType

import httpx
from starlette.types import ASGIApp


class AsgiBridge(httpx.BaseTransport):
    """Runs the application in a loop of its own, from ``with`` to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its body goes in the pieces in which it came."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        pieces = list(request.stream)

        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        async def exchange() -> httpx.Response:
            again = httpx.Request(request.method, request.url, headers=request.headers, content=body())
            answer = await self._inner.handle_async_request(again)
            content = await answer.aread()
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)

        return asyncio.run_coroutine_threadsafe(exchange(), self._loop).result(30)

    def close(self) -> None:
        """End the loop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()
