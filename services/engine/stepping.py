"""From a request to its reply: what a step must say to be made, and how steps follow one another on a stream."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import numpy as np

from ...engine import slices
from ...proto.engine.v1 import engine_pb2 as pb
from ...proto.slice_reply import SliceReplyView, write
from ..serving import RefusalError
from .lease import CREDITS, Ask, Lease
from .leases import Leases

_ON_THE_WAY = 64  # requests of one stream that are read before their replies are written
_DOUBT = 0.02  # seconds
_LEAVING = "the server is about to stop: acquire a lease anew, there or at another"

Reply = bytes | asyncio.Future[bytes]


async def answer(leases: Leases, request: pb.SliceRequest, remaining: float | None) -> bytes:
    """The reply to a request that came alone.

    Args:
      remaining: seconds to its deadline, None for none.

    Raises:
      RefusalError: it is not stepped.
    """
    reply = _accept(leases, request, remaining)
    return reply if isinstance(reply, bytes) else await reply


class Conversation:
    """A stream of requests, answered in their order; what is wrong with one is told in its reply.

    A stream that breaks off leaves its leases for a little while to whoever takes them up again. Its end may be heard
    of late, when their client plays on in another stream, and then it says nothing about them.
    """

    def __init__(self, leases: Leases, requests: AsyncIterator[pb.SliceRequest], context: Any) -> None:
        self._leases, self._requests, self._context = leases, requests, context
        self._waiting: asyncio.Queue[tuple[pb.SliceRequest, Reply] | None] = asyncio.Queue()
        self._places = asyncio.Semaphore(_ON_THE_WAY)
        self._reading = asyncio.create_task(self._read())
        self._left = False

    def leave(self) -> None:
        """Reads no more; `run` ends when what was read is answered."""
        self._left = True
        self._reading.cancel()

    async def run(self) -> None:
        """Answers until the client has no more to ask.

        Raises:
          RefusalError: it was left.
        """
        finished = False
        try:
            while (item := await self._waiting.get()) is not None:
                await self._context.write(await self._reply(*item))
                self._places.release()
            if self._left:
                raise RefusalError(grpc.StatusCode.UNAVAILABLE, _LEAVING)
            await self._reading
            # gRPC shows a stream that broke off as one that ended, and cancels its handler a moment later.
            await asyncio.sleep(_DOUBT)
            finished = True
        finally:
            self._reading.cancel()
            self._end(None if finished else asyncio.get_running_loop().time())

    async def _read(self) -> None:
        try:
            async for request in self._requests:
                await self._places.acquire()
                self._waiting.put_nowait((request, self._begin(request)))
        finally:
            self._waiting.put_nowait(None)

    def _begin(self, request: pb.SliceRequest) -> Reply:
        try:
            return _accept(self._leases, request, None, self)
        except RefusalError as refusal:
            return _told(request, refusal)

    async def _reply(self, request: pb.SliceRequest, reply: Reply) -> bytes:
        try:
            return reply if isinstance(reply, bytes) else await reply
        except RefusalError as refusal:
            return _told(request, refusal)

    def _end(self, lost: float | None) -> None:
        for lease in self._leases:
            lease.leave(self, lost)
        while not self._waiting.empty():
            item = self._waiting.get_nowait()
            if item is not None and isinstance(item[1], asyncio.Future):
                item[1].cancel()  # not stepped, if that has not begun


def _accept(
    leases: Leases, request: pb.SliceRequest, remaining: float | None, stream: Conversation | None = None
) -> Reply:
    """Queues a step, or finds the reply to one that was made or queued before."""
    lease = leases.find(request.lease_id)
    now = asyncio.get_running_loop().time()
    lease.hear(now)
    lease.step_by(stream)
    if request.sequence == lease.sequence:
        return lease.kept
    if request.sequence in lease.asks:
        return lease.asks[request.sequence].wait()
    if request.sequence != lease.newest + 1:
        raise RefusalError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"sequence is {request.sequence}, expected {lease.newest + 1} for the next step, or {lease.sequence} for "
            "the last reply again",
        )
    if len(lease.asks) >= CREDITS:
        raise RefusalError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{CREDITS} steps of this lease are on the way, which are all its credits: wait for a reply, then send "
            f"{request.sequence} again",
        )
    if remaining is not None and remaining <= 0:
        message = "the deadline had passed when the step came; it was not made"
        raise RefusalError(grpc.StatusCode.DEADLINE_EXCEEDED, message)
    actions, orders = _orders(lease, request)
    ask = Ask(request.sequence, actions, orders, None if remaining is None else now + remaining)
    reply = ask.wait()
    lease.ticker.submit(lease, ask)
    return reply


def _orders(lease: Lease, request: pb.SliceRequest) -> tuple[np.ndarray, np.ndarray]:
    """(actions i32[n], orders u8[n]) of a request."""
    num = lease.where.size
    if len(request.actions) != 4 * num:
        raise _wrong(f"actions are {len(request.actions)} bytes, expected {4 * num}: one u32 for each of {num} games")
    actions = np.frombuffer(request.actions, "<i4")  # what is beyond i32 becomes negative, which is as illegal
    if not request.begin_again:
        return actions, lease.moves
    expected = -(-num // 8)
    if len(request.begin_again) != expected:
        raise _wrong(f"begin_again is {len(request.begin_again)} bytes, expected {expected} for {num} games, or none")
    chosen = np.unpackbits(np.frombuffer(request.begin_again, np.uint8), count=num, bitorder="little")
    return actions, np.where(chosen, slices.BEGIN_AGAIN | lease.mode, lease.moves)


def _told(request: pb.SliceRequest, refusal: RefusalError) -> bytes:
    error = pb.Error(code=_NUMBERS[refusal.code], message=refusal.message)
    return write(SliceReplyView(lease_id=request.lease_id, sequence=request.sequence, credits=CREDITS, error=error))


def _wrong(message: str) -> RefusalError:
    return RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message)


_NUMBERS: Mapping[grpc.StatusCode, int] = {code: code.value[0] for code in grpc.StatusCode}
