"""The one thread that touches what is on the device; and the event loop's own, for work that is over at once."""

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

_BRIEF = 0.002  # seconds: little more than it takes to hand work to a thread and hear of its end


class Device:
    """Does one thing after another, in the order in which they were asked for. The event loop alone calls it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._newest: Future[Any] | None = None
        self._took: dict[Hashable, float] = {}  # seconds of the last call of a kind

    async def call(self, function: Callable[..., Result], *arguments: object, kind: Hashable = None) -> Result:
        """function(*arguments), while the event loop goes on.

        Args:
          kind: of work that takes about as long each time. Where it was brief the last time, and the thread has nothing
            to do, it is done here and now, and the event loop waits.
        """
        if self._took.get(kind, _BRIEF) < _BRIEF and (self._newest is None or self._newest.done()):
            result = self._timed(kind, function, *arguments)
            await asyncio.sleep(0)  # whoever calls again and again lets others have their turn
            return result
        if kind is None:
            future = self._thread.submit(function, *arguments)
        else:
            future = self._thread.submit(self._timed, kind, function, *arguments)
        self._newest = future
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Waits for what was asked for."""
        self._thread.shutdown(wait=True)

    def _timed(self, kind: Hashable, function: Callable[..., Result], *arguments: object) -> Result:
        begun = time.perf_counter()
        result = function(*arguments)
        self._took[kind] = time.perf_counter() - begun
        return result
