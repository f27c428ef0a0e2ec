"""Streams on which every request is answered in its turn, until the caller has no more or the server stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from .errors import RefusalError

_LEAVING = "this server is about to stop: go on when it is back, or at another"


class Dialogues:
    """The streams of a service. What its answers wait for should end once `left` is set; see `either`."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    def leave(self) -> None:
        """Ends them all with UNAVAILABLE, each once the request it is at has been answered."""
        self.left.set()

    async def hold(
        self, requests: AsyncIterator[Any], context: Any, answer: Callable[[Any], Awaitable[bytes | Any]]
    ) -> None:
        """Answers until the caller has no more to ask.

        Raises:
          RefusalError: the server stops.
        """
        while True:
            reading = asyncio.ensure_future(anext(requests, None))
            if not await self.either(reading):
                raise leaving()
            if (request := reading.result()) is None:
                return
            await context.write(await answer(request))

    async def either(self, awaited: asyncio.Future[Any], seconds: float | None = None) -> bool:
        """Waits for `awaited`; False, and it is cancelled, where the server stops or the time is up before."""
        told = asyncio.ensure_future(self.left.wait())
        try:
            await asyncio.wait({awaited, told}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return awaited.done()
        finally:
            told.cancel()
            if not awaited.done():
                awaited.cancel()


def leaving() -> RefusalError:
    """What callers hear of a server that stops."""
    return RefusalError(grpc.StatusCode.UNAVAILABLE, _LEAVING)
