"""A server, reached: what the clients of all services share, for programs with threads; `aio` has the twin.

Every call of ours is safe to send again, so calls are tried again while the server cannot be reached. On a stream,
requests are answered in their order; where it breaks, another is opened and what was not answered is sent again.
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc

from .channel import CallError, Credentials, Patience, told

Given = TypeVar("Given")
Reply = TypeVar("Reply")


class Connection:
    """Use as a context manager, or `close` it.

    Args:
      address: `HOST:PORT` or `unix:PATH`.
    """

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        self._credentials = credentials or Credentials()
        self.address, self.patience = address, patience or Patience()
        self.channel = self._credentials.open(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return self._credentials.metadata

    def close(self) -> None:
        """Closes the channel."""
        self.channel.close()

    def call(self, method: Callable[..., Given], message: Any) -> Given:
        """One call, tried again while the server cannot be reached; `CallError` where it fails for good."""
        return self.patiently(lambda: method(message, metadata=self.metadata))

    def patiently(self, attempt: Callable[[], Given]) -> Given:
        """What `attempt` gives, which is made again while the server cannot be reached."""
        pauses = self.patience.pauses()
        while True:
            try:
                return attempt()
            except (grpc.RpcError, CallError) as error:
                pause = self.patience.go_on(error if isinstance(error, CallError) else told(error), pauses)
            time.sleep(pause)


class Pipeline(Generic[Reply]):
    """Requests that go out ahead of their replies, over as many streams as it takes; for one thread.

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
        self._stream: _Stream | None = None
        self.waiting: deque[Any] = deque()  # sent and not yet answered

    def send(self, message: Any) -> None:
        """Sends a request."""
        self.waiting.append(message)
        if self._stream is None:
            self._stream = _Stream(self._begin, self._connection.metadata)
        self._stream.send(message)

    def receive(self) -> Reply:
        """The reply to the oldest request that was sent and not answered.

        Raises:
          CallError: the server refuses, or cannot be reached. The requests still wait.
        """
        if not self.waiting:
            raise ValueError("nothing was sent whose reply could be received")
        reply = self._connection.patiently(self._try)
        self.waiting.popleft()
        return reply

    def drop(self) -> None:
        """Ends the stream in peace and forgets what was not answered."""
        self.waiting.clear()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _try(self) -> Reply:
        try:
            if self._stream is None:
                self._stream = _Stream(self._begin, self._connection.metadata)
                for message in self.waiting:
                    self._stream.send(message)
            return self._stream.receive()
        except (grpc.RpcError, CallError):
            self._stream = None
            raise


class _Stream:
    """Requests go out by a queue, which gRPC reads on a thread of its own."""

    def __init__(self, begin: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        requests: Iterator[Any] = iter(self._requests.get, None)
        self._call: Any = begin(requests, metadata=metadata)

    def send(self, message: Any) -> None:
        self._requests.put(message)

    def receive(self) -> Any:
        for reply in self._call:
            return reply
        raise CallError(grpc.StatusCode.UNAVAILABLE, "the server ended the stream before it had answered")

    def close(self) -> None:
        self._requests.put(None)
