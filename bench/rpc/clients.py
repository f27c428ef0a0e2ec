"""The clients of `bench rpc`: programs that call as fast as they can, with threads or asyncio, as users' would.

They choose random legal moves from the mask they are sent, and count the time that takes apart. Each is a process of
its own, driven over `bench.worker`.
"""

import asyncio
import atexit
import queue
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio
import numpy as np

from ...client import slices
from ...proto import slice_reply
from ...proto.channel import client_options
from ...proto.engine.v1 import engine_pb2 as pb
from ...proto.engine.v1 import engine_pb2_grpc
from .servers import ECHO_SERVICE, SIZE_BYTES

_ENGINE = "/engine.v1.Engine"
_MOST_ACTIONS = 8  # of a game whose legal moves are looked up by its mask
_INFO_MASK = 0xFFFF


def build(**settings: Any) -> "Client":
    """See `Client`."""
    return Client(**settings)


class Asker(Protocol):
    """One request on the way at a time: what it asks, and what it learns from the reply."""

    path: str
    write: Any  # message -> bytes
    read: Any  # bytes -> reply
    request_bytes: float  # of its messages so far, on average
    response_bytes: float

    def ask(self, tally: "Tally") -> Any: ...

    def take(self, reply: Any) -> None: ...

    def leave(self, channel: grpc.Channel) -> None: ...


class Client:
    """One program.

    Args:
      target: "echo", "lease" (games that stay on the server) or "state" (one game a call, its state kept here).
      kind: "threads" or "asyncio".
      mode: "unary" or "stream".
      in_flight: requests on the way, each of a lease of its own.
      settings: of the askers.
    """

    def __init__(self, address: str, target: str, kind: str, mode: str, in_flight: int, **settings: Any) -> None:
        self._mode, self._kind, self._address = mode, kind, address
        with grpc.insecure_channel(address, options=client_options()) as channel:
            self._askers = [_ASKERS[target](channel, mode, **settings) for _ in range(in_flight)]
        self._runner = asyncio.Runner()
        atexit.register(self._leave)  # or the next setting finds no games that are free

    def describe(self) -> dict[str, Any]:
        """What it runs on."""
        return {"versions": {"grpcio": grpc.__version__, "numpy": np.__version__}}

    def play(self, seconds: float) -> dict[str, Any]:
        """Calls for so long; rates are the asker's to make."""
        tally = Tally(seconds)
        if self._kind == "asyncio":
            self._runner.run(_ASYNCIO[self._mode](self._address, self._askers, tally))
        else:
            _THREADS[self._mode](self._address, self._askers, tally)
        sizes = [(one.request_bytes, one.response_bytes) for one in self._askers]
        request_bytes, response_bytes = np.mean(sizes, axis=0).tolist()
        return tally.result() | {"request_bytes": request_bytes, "response_bytes": response_bytes}

    def _leave(self) -> None:
        with grpc.insecure_channel(self._address, options=client_options()) as channel:
            for asker in self._askers:
                asker.leave(channel)


class Tally:
    """What happened in a stretch."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._latencies: list[float] = []
        self._begun = self._ended = self._cpu = 0.0
        self.policy = 0.0  # seconds

    def begin(self) -> None:
        """The clock runs from the first call on, for which the channel is open already."""
        self._begun, self._cpu, self.policy = time.perf_counter(), time.process_time(), 0.0

    @property
    def running(self) -> bool:
        return time.perf_counter() - self._begun < self._seconds

    def count(self, since: float) -> None:
        """A reply has come to what was asked at `since`."""
        self._ended = time.perf_counter()
        self._latencies.append(self._ended - since)

    def result(self) -> dict[str, Any]:
        calls, seconds = len(self._latencies), self._ended - self._begun
        return {
            "calls": calls,
            "seconds": seconds,
            "cpu": (time.process_time() - self._cpu) / seconds,
            "policy": self.policy / seconds,
            "p50_ms": 1e3 * float(np.percentile(self._latencies, 50)),
            "p99_ms": 1e3 * float(np.percentile(self._latencies, 99)),
        }


class _Echo:
    """Bytes for bytes."""

    def __init__(self, channel: grpc.Channel, mode: str, request_bytes: int, response_bytes: int) -> None:
        del channel
        self.path = f"/{ECHO_SERVICE}/{mode.capitalize()}"
        self.write = self.read = None
        self.request_bytes, self.response_bytes = request_bytes, response_bytes
        size = response_bytes.to_bytes(SIZE_BYTES, "little")
        self._request = size + bytes(max(0, request_bytes - SIZE_BYTES))

    def ask(self, tally: Tally) -> bytes:
        del tally
        return self._request

    def take(self, reply: bytes) -> None:
        del reply

    def leave(self, channel: grpc.Channel) -> None:
        del channel


class _Lease:
    """Games on the server."""

    def __init__(self, channel: grpc.Channel, mode: str, game: str, games: int, outputs: Sequence[str]) -> None:
        stub: Any = engine_pb2_grpc.EngineStub(channel)
        asked = pb.AcquireRequest(id=pb.EngineId(env_id=game), num_games=games, outputs=outputs, ttl_ms=3_600_000)
        self._lease, self._games, self._sequence = stub.Acquire(asked), games, 0
        self._mask_at = [name.startswith("mask:") for name in outputs].index(True)
        self._policy = _Policy(self._lease.capabilities.discrete_n)
        self.path = f"{_ENGINE}/{'StepSlice' if mode == 'unary' else 'StepStream'}"
        self.write, self.read = pb.SliceRequest.SerializeToString, slice_reply.read
        self._mask = self._lease.first.tensors[self._mask_at]
        self.request_bytes, self._received, self._replies = 0, 0, 0

    @property
    def response_bytes(self) -> float:
        return self._received / self._replies

    def ask(self, tally: Tally) -> pb.SliceRequest:
        begun = time.perf_counter()
        actions = self._policy.choose(self._mask)
        tally.policy += time.perf_counter() - begun
        self._sequence += 1
        message = slices.request(self._lease, self._games, self._sequence, actions)
        self.request_bytes = message.ByteSize()
        return message

    def take(self, reply: slice_reply.SliceReplyView) -> None:
        step = slices.step_of(self._lease, self._games, reply)
        self._mask = reply.tensors[self._mask_at]
        if isinstance(reply.ends, memoryview):
            self._received += memoryview(reply.ends.obj).nbytes  # the whole message
        self._replies += 1
        if step.illegal.any():
            raise RuntimeError("a move drawn from the mask was called illegal")

    def leave(self, channel: grpc.Channel) -> None:
        stub: Any = engine_pb2_grpc.EngineStub(channel)
        stub.Release(pb.ReleaseRequest(lease_id=self._lease.lease_id))


class _State:
    """One game a call, as most environments over gRPC have it; its mask comes in `info`."""

    def __init__(self, channel: grpc.Channel, mode: str, game: str) -> None:
        if mode != "unary":
            raise ValueError("a game whose state the client keeps is stepped by calls of their own")
        stub: Any = engine_pb2_grpc.EngineStub(channel)
        self._id = pb.EngineId(env_id=game)
        capabilities, self._begin = stub.GetCapabilities(self._id), stub.Reset(pb.ResetRequest(id=self._id)).state
        self._policy = _Policy(capabilities.discrete_n)
        self.path = f"{_ENGINE}/Step"
        self.write, self.read = pb.StepRequest.SerializeToString, pb.StepResponse.FromString
        self.request_bytes = self.response_bytes = 0
        self._start()

    def ask(self, tally: Tally) -> pb.StepRequest:
        begun = time.perf_counter()
        action = self._policy.choose(self._mask).astype("<u4").tobytes()
        tally.policy += time.perf_counter() - begun
        message = pb.StepRequest(id=self._id, state=self._state, action=action)
        self.request_bytes = message.ByteSize()
        return message

    def take(self, reply: pb.StepResponse) -> None:
        self.response_bytes = reply.ByteSize()
        if reply.done:
            self._start()
        else:
            self._state, self._mask = reply.state, (reply.info & _INFO_MASK).to_bytes(2, "little")[:1]

    def leave(self, channel: grpc.Channel) -> None:
        del channel

    def _start(self) -> None:
        self._state, self._mask = self._begin, bytes([self._policy.all])


class _Policy:
    """Random legal moves by a table of all masks."""

    def __init__(self, num_actions: int) -> None:
        if num_actions > _MOST_ACTIONS:
            raise ValueError(f"the game has {num_actions} actions, expected at most {_MOST_ACTIONS}")
        masks = [[action for action in range(num_actions) if mask >> action & 1] for mask in range(1 << num_actions)]
        self._count = np.array([len(legal) for legal in masks], np.uint16)
        self._moves = np.array([legal + [0] * (num_actions - len(legal)) for legal in masks], np.uint32)
        self._random = np.random.default_rng(0)
        self.all = (1 << num_actions) - 1

    def choose(self, mask: Any) -> np.ndarray:
        """u32[n]"""
        legal = np.frombuffer(mask, np.uint8)
        draws = np.frombuffer(self._random.bytes(len(legal)), np.uint8)
        return self._moves[legal, draws * self._count[legal] >> 8]


def _threads_unary(address: str, askers: Sequence[Asker], tally: Tally) -> None:
    (asker,) = askers
    with grpc.insecure_channel(address, options=client_options()) as channel:
        call = channel.unary_unary(asker.path, asker.write, asker.read)
        asker.take(call(asker.ask(tally)))  # opens the channel
        tally.begin()
        while tally.running:
            message = asker.ask(tally)
            since = time.perf_counter()
            asker.take(call(message))
            tally.count(since)


def _threads_stream(address: str, askers: Sequence[Asker], tally: Tally) -> None:
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting: deque[tuple[Asker, float]] = deque()

    def send(asker: Asker) -> None:
        message = asker.ask(tally)
        waiting.append((asker, time.perf_counter()))
        requests.put(message)

    def receive() -> tuple[Asker, float]:
        reply = next(replies)
        asker, since = waiting.popleft()
        asker.take(reply)
        return asker, since

    with grpc.insecure_channel(address, options=client_options()) as channel:
        first = askers[0]
        messages: Iterator[Any] = iter(requests.get, None)
        replies: Any = channel.stream_stream(first.path, first.write, first.read)(messages)
        send(first)  # opens the channel
        receive()
        tally.begin()
        for asker in askers:
            send(asker)
        while waiting:
            asker, since = receive()
            tally.count(since)
            if tally.running:
                send(asker)
        requests.put(None)
        next(replies, None)  # its end: were it cut off, the lease would be lost if the next stretch is long in coming


async def _asyncio_unary(address: str, askers: Sequence[Asker], tally: Tally) -> None:
    (asker,) = askers
    async with grpc.aio.insecure_channel(address, options=client_options()) as channel:
        call: Any = channel.unary_unary(asker.path, asker.write, asker.read)
        asker.take(await call(asker.ask(tally)))  # opens the channel
        tally.begin()
        while tally.running:
            message = asker.ask(tally)
            since = time.perf_counter()
            asker.take(await call(message))
            tally.count(since)


async def _asyncio_stream(address: str, askers: Sequence[Asker], tally: Tally) -> None:
    waiting: deque[tuple[Asker, float]] = deque()
    requests: asyncio.Queue[Any] = asyncio.Queue()

    async def messages() -> AsyncIterator[Any]:
        while (message := await requests.get()) is not None:
            yield message

    def send(asker: Asker) -> None:
        message = asker.ask(tally)
        waiting.append((asker, time.perf_counter()))
        requests.put_nowait(message)

    async def receive() -> tuple[Asker, float]:
        reply = await stream.read()
        asker, since = waiting.popleft()
        asker.take(reply)
        return asker, since

    async with grpc.aio.insecure_channel(address, options=client_options()) as channel:
        first = askers[0]
        # gRPC takes the messages by itself: who waits for a large one to be sent, and reads nothing meanwhile, may wait
        # for a server that waits for him to read.
        stream: Any = channel.stream_stream(first.path, first.write, first.read)(messages())
        send(first)  # opens the channel
        await receive()
        tally.begin()
        for asker in askers:
            send(asker)
        while waiting:
            asker, since = await receive()
            tally.count(since)
            if tally.running:
                send(asker)
        requests.put_nowait(None)
        await stream.read()  # its end, as above


_ASKERS: Any = {"echo": _Echo, "lease": _Lease, "state": _State}
_THREADS = {"unary": _threads_unary, "stream": _threads_stream}
_ASYNCIO = {"unary": _asyncio_unary, "stream": _asyncio_stream}
