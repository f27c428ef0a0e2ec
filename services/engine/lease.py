"""A lease: games of a batch, who steps them, what was asked of them, and the reply that may be asked again."""

import asyncio
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ...engine import slices
from .device_batch import DeviceBatch
from .windows import Range

CREDITS = 4  # requests of a lease that may be on the way


class Ticking(Protocol):
    """What a lease needs of whoever steps its batch; see `ticker`."""

    batch: DeviceBatch[Any]

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a method of the batch between two steps."""
        ...

    def submit(self, lease: "Lease", ask: "Ask") -> None:
        """Queues a step."""
        ...

    def forget(self, lease: "Lease") -> None:
        """The lease has ended."""
        ...


@dataclasses.dataclass(eq=False)
class Ask:
    """A step that somebody waits for; more than one does where a request was sent again."""

    sequence: int
    actions: np.ndarray  # i32[n]
    orders: np.ndarray  # u8[n], see `engine.slices`
    deadline: float | None  # of the loop's clock
    replies: list[asyncio.Future[bytes]] = dataclasses.field(default_factory=list)

    def wait(self) -> asyncio.Future[bytes]:
        """What the reply will come to."""
        reply = asyncio.get_running_loop().create_future()
        self.replies.append(reply)
        return reply

    @property
    def abandoned(self) -> bool:
        """Whether all who waited have gone."""
        return all(reply.cancelled() for reply in self.replies)

    def answer(self, reply: bytes | Exception) -> None:
        """Tells all who wait."""
        for one in self.replies:
            if not one.done():
                one.set_exception(reply) if isinstance(reply, Exception) else one.set_result(reply)


@dataclasses.dataclass(eq=False)
class Lease:
    """`where.size` games of a batch, and what has been asked of them."""

    lease_id: int
    ticker: Ticking
    where: Range
    outputs: tuple[str, ...]
    mode: np.uint8  # how a game goes on, see `engine.slices`
    trusted: bool
    ttl: float  # seconds
    heard: float  # when its client was heard last, on the loop's clock
    cost: int  # bytes of the server's memory
    sequence: int = 0  # of the last step made
    kept: bytes = b""  # the reply to it
    streams: set[object] = dataclasses.field(default_factory=set)  # open ones that stepped it since a call alone did
    lost: float | None = None  # when the last of those streams broke off
    asks: dict[int, Ask] = dataclasses.field(default_factory=dict)  # steps not yet made, by their numbers in order

    @functools.cached_property
    def moves(self) -> np.ndarray:
        """u8[n], the orders of a step in which every game moves."""
        return np.full(self.where.size, slices.MOVE | self.mode, np.uint8)

    def hear(self, now: float) -> None:
        """Its client is there."""
        self.heard, self.lost = now, None

    def step_by(self, stream: object | None) -> None:
        """It is stepped in a stream, or by a call alone, of whose client no stream's end says anything."""
        if stream is None:
            self.streams.clear()
        else:
            self.streams.add(stream)

    def leave(self, stream: object, lost: float | None) -> None:
        """A stream has ended; `lost` is when, if it broke off. Its client may have gone on in another before."""
        if stream in self.streams:
            self.streams.remove(stream)
            if not self.streams:
                self.lost = lost

    @property
    def newest(self) -> int:
        """The number of the last step asked for."""
        return self.sequence + len(self.asks)
