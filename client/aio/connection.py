"""A server, reached from asyncio: the twin of `client/connection.py`."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc

from ..channel import CallError, Credentials, Patience, told

Given = TypeVar("Given")
Reply = TypeVar("Reply")


class Connection:
    """Make it in a running loop; use as an asynchronous context manager, or `close` it.

    Args:
      address: `HOST:PORT` or `unix:PATH`.
    """

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        self._credentials = credentials or Credentials()
        self.address, self.patience = address, patience or Patience()
        self.channel = self._credentials.open_aio(address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return self._credentials.metadata

    async def close(self) -> None:
        """Closes the channel."""
        await self.channel.close()

    async def call(self, method: Callable[..., Awaitable[Given]], message: Any) -> Given:
        """One call, tried again while the server cannot be reached; `CallError` where it fails for good."""
        return await self.patiently(lambda: method(message, metadata=self.metadata))

    async def patiently(self, attempt: Callable[[], Awaitable[Given]]) -> Given:
        """What `attempt` gives, which is made again while the server cannot be reached."""
        pauses = self.patience.pauses()
        while True:
            try:
                return await attempt()
            except (grpc.RpcError, CallError) as error:
                pause = self.patience.go_on(error if isinstance(error, CallError) else told(error), pauses)
            await asyncio.sleep(pause)


class Pipeline(Generic[Reply]):
    """Requests that go out ahead of their replies, over as many streams as it takes; for one task.

    Args:
      method: the full name of a method from streams to streams.
      serialize, deserialize: of its requests and its replies.
    """

    def __init__(
        self,
        connection: Connection,
        method: str,
        serialize: Callable[[Any], bytes],
        deserialize: Callable[[bytes], Reply],
    ) -> None:
        self._connection = connection
        self._begin: Any = connection.channel.stream_stream(method, serialize, deserialize)
        self._stream: Any = None
        self.waiting: deque[Any] = deque()  # sent and not yet answered

    async def send(self, message: Any) -> None:
        """Sends a request; on a stream that broke it goes out once a reply is asked for."""
        self.waiting.append(message)
        try:
            if self._stream is None:
                await self._open()
            else:
                await self._stream.write(message)
        except (grpc.RpcError, asyncio.InvalidStateError):
            self._stream = None

    async def receive(self) -> Reply:
        """The reply to the oldest request that was sent and not answered.

        Raises:
          CallError: the server refuses, or cannot be reached. The requests still wait.
        """
        if not self.waiting:
            raise ValueError("nothing was sent whose reply could be received")
        reply = await self._connection.patiently(self._try)
        self.waiting.popleft()
        return reply

    async def drop(self) -> None:
        """Ends the stream in peace and forgets what was not answered."""
        self.waiting.clear()
        if self._stream is not None:
            await self._stream.done_writing()
            self._stream = None

    async def _try(self) -> Reply:
        try:
            stream = self._stream or await self._open()
            reply = await stream.read()
            if reply:  # the end of a stream is falsy, a message never is
                return reply
            code, details = await stream.code(), await stream.details()
            if code is grpc.StatusCode.OK:
                code, details = grpc.StatusCode.UNAVAILABLE, "the server ended the stream before it had answered"
            raise CallError(code, details)
        except (grpc.RpcError, CallError):
            self._stream = None
            raise

    async def _open(self) -> Any:
        """A new stream, on which all is sent that has not been answered."""
        self._stream = self._begin(metadata=self._connection.metadata)
        for message in self.waiting:
            await self._stream.write(message)
        return self._stream
