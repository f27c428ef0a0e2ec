"""When a batch is stepped: as soon as enough of the leases that play are ready, or one has waited long enough.

Requests meet here. While the device steps, those that come in wait, and the next step takes all of them: so many
clients share a step, and a single one never waits for others.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

import grpc

from ...proto.slice_reply import SliceReplyView, write
from ..serving import RefusalError
from .device import Device
from .device_batch import DeviceBatch, Order, Outcome
from .lease import CREDITS, Ask, Lease
from .windows import Room, compiled_size

log = logging.getLogger(__name__)

_PLAYING = 0.25  # seconds after its last request for which a lease is waited for


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """When a step begins although not all are ready."""

    share: float = 0.5  # of the games that play
    delay: float = 0.0003  # seconds since the first was ready


class Ticker:
    """One batch of games, its room, and the loop that steps it.

    Args:
      device: the only one to touch the batch.
      failed: called where a step has failed and the batch with it; it ends the leases.
    """

    def __init__(
        self,
        batch: DeviceBatch[Any],
        device: Device,
        compiler: Executor,
        window: WindowSettings,
        failed: Callable[["Ticker"], None],
    ) -> None:
        self.batch, self.room = batch, Room(batch.capacity)
        self._device, self._compiler, self._window, self._failed = device, compiler, window, failed
        self._ready: dict[Lease, None] = {}  # leases with a step to make, in the order in which they came
        self._playing: dict[Lease, float] = {}  # and when each was last heard
        self._ready_games = self._playing_games = 0
        self._compiled: set[tuple[int, tuple[str, ...]]] = set()
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run())

    def submit(self, lease: Lease, ask: Ask) -> None:
        """Queues a step of a lease, behind those it has asked for before."""
        lease.asks[ask.sequence] = ask
        now = asyncio.get_running_loop().time()
        if lease not in self._playing:
            self._playing_games += lease.where.size
        self._playing[lease] = now
        self._make_ready(lease)
        self._look()

    def forget(self, lease: Lease) -> None:
        """A lease has ended."""
        self.room.give_back(lease.where)
        if self._playing.pop(lease, None) is not None:
            self._playing_games -= lease.where.size
        self._unready(lease)
        self._look()

    async def prepare(self, num_games: int, outputs: tuple[str, ...]) -> None:
        """Compiles what leases of that size need, beside the steps."""
        key = (compiled_size(num_games, self.batch.capacity), outputs)
        if key not in self._compiled:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._compiler, self.batch.prepare, num_games, outputs)
            self._compiled.add(key)

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a method of the batch between two steps."""
        return await self._device.call(function, *arguments)

    async def close(self) -> None:
        """Ends the loop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _look(self) -> None:
        """Lets the step begin, now or a little later."""
        if not self._ready:
            return
        if self._ready_games >= self._window.share * self._playing_games:
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._window.delay, self._due.set)

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            taken = self._take()
            if taken:
                try:
                    replies = await self._step(taken)
                except Exception:
                    log.exception("a step of %s failed, and its batch with it", self.batch.game.spec.env_id)
                    self._failed(self)
                    return
                self._answer(taken, replies)
            self._rest()
            self._look()

    async def _step(self, taken: Sequence[tuple[Lease, Ask]]) -> list[bytes]:
        size = compiled_size(sum(lease.where.size for lease, _ in taken), self.batch.capacity)
        return await self._device.call(_step, self.batch, taken, kind=("lease", self.batch.game, size))

    def _answer(self, taken: Sequence[tuple[Lease, Ask]], replies: Sequence[bytes]) -> None:
        """Tells those who asked for a step what became of it."""
        now = asyncio.get_running_loop().time()
        for (lease, ask), reply in zip(taken, replies, strict=True):
            if lease.asks.pop(ask.sequence, None) is None:
                continue  # it has ended meanwhile, and those who waited were told
            lease.sequence, lease.kept = ask.sequence, reply
            lease.heard = now
            ask.answer(reply)
            if lease.asks:
                self._make_ready(lease)

    def _take(self) -> list[tuple[Lease, Ask]]:
        """The next step of each ready lease, less those for which nobody waits any more."""
        now = asyncio.get_running_loop().time()
        ready, self._ready, self._ready_games = self._ready, {}, 0
        taken = []
        for lease in ready:
            ask = next(iter(lease.asks.values()))
            if ask.abandoned or (ask.deadline is not None and ask.deadline <= now):
                _drop(lease)
            else:
                taken.append((lease, ask))
        return taken

    def _rest(self) -> None:
        """Waits no longer for leases that have stopped playing."""
        late = asyncio.get_running_loop().time() - _PLAYING
        for lease in [lease for lease, heard in self._playing.items() if heard < late and lease not in self._ready]:
            del self._playing[lease]
            self._playing_games -= lease.where.size

    def _make_ready(self, lease: Lease) -> None:
        if lease not in self._ready:
            self._ready[lease] = None
            self._ready_games += lease.where.size

    def _unready(self, lease: Lease) -> None:
        if lease in self._ready:
            del self._ready[lease]
            self._ready_games -= lease.where.size


def reply_to(lease: Lease, sequence: int, outcome: Outcome) -> bytes:
    """The message that tells a lease's client what became of a step."""
    return write(
        SliceReplyView(
            lease_id=lease.lease_id,
            sequence=sequence,
            credits=CREDITS,
            rewards=outcome.rewards,
            ends=outcome.ends,
            tensors=outcome.tensors,
            final_rows=outcome.final_rows,
            finals=outcome.finals,
        )
    )


def _step(batch: DeviceBatch[Any], taken: Sequence[tuple[Lease, Ask]]) -> list[bytes]:
    """One step, and its replies as they go on the wire."""
    outcomes = batch.step([Order(lease.where, lease.outputs, ask.actions, ask.orders) for lease, ask in taken])
    return [reply_to(lease, ask.sequence, outcome) for (lease, ask), outcome in zip(taken, outcomes, strict=True)]


def _drop(lease: Lease) -> None:
    """Nobody waits for the next step of a lease, so it is not made, nor any that was asked for after it."""
    asks, lease.asks = list(lease.asks.values()), {}
    first = asks[0].sequence
    asks[0].answer(
        RefusalError(grpc.StatusCode.DEADLINE_EXCEEDED, f"the deadline passed before step {first}, which was not made")
    )
    for ask in asks[1:]:
        message = f"step {first} was dropped; send it again, then {ask.sequence}"
        ask.answer(RefusalError(grpc.StatusCode.FAILED_PRECONDITION, message))
