"""Who holds which games: leases, the time they have left, what they asked, and the reply that may be asked again."""

import asyncio
import dataclasses
import functools
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import grpc
import numpy as np

from ...engine import slices
from ..serving import RefusalError
from .windows import Range

if TYPE_CHECKING:
    from .ticker import Ticker

CREDITS = 4  # requests of a lease that may be on the way
_BOOKKEEPING = 4096  # bytes that a lease takes besides its games
_MIB = 1 << 20


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
    ticker: "Ticker"
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


class Leases:
    """All leases of a server, with the memory that they may take.

    Args:
      memory_mib: for batches and replies. A client's games alone are small; what a server would run out of is replies.
    """

    def __init__(self, memory_mib: int) -> None:
        self._memory = memory_mib * _MIB
        self._taken = 0
        self._leases: dict[int, Lease] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._leases.values()))

    def reserve(self, cost: int, what: str) -> None:
        """Sets memory aside.

        Raises:
          RefusalError: there is not so much left.
        """
        left = self._memory - self._taken
        if cost > left:
            raise RefusalError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{what} takes {_mib(cost)} MiB of the server's memory, and {_mib(left)} of {_mib(self._memory)} MiB "
                "are left: ask for fewer games or smaller outputs, or start the server with a larger --memory-mib",
            )
        self._taken += cost

    def free(self, cost: int) -> None:
        """Gives back what `reserve` set aside."""
        self._taken -= cost

    def add(self, lease: Lease) -> None:
        """Makes a lease known; its cost is reserved already."""
        self._leases[lease.lease_id] = lease

    def find(self, lease_id: int) -> Lease:
        """The lease of that id.

        Raises:
          RefusalError: there is none, any more or ever.
        """
        lease = self._leases.get(lease_id)
        if lease is None:
            raise gone(lease_id)
        return lease

    def remove(self, lease: Lease, why: RefusalError) -> None:
        """Ends a lease: those who wait for its steps are told why, its games are free."""
        if self._leases.pop(lease.lease_id, None) is None:
            return
        for ask in tuple(lease.asks.values()):
            ask.answer(why)
        lease.asks.clear()
        lease.ticker.forget(lease)
        self.free(lease.cost)

    def reap(self, now: float, grace: float) -> int:
        """Ends the leases whose clients have not been heard for longer than agreed, and those whose stream broke off
        and was not taken up again within `grace` seconds; returns how many.
        """

        def late(lease: Lease) -> bool:
            return now - lease.heard > lease.ttl or (lease.lost is not None and now - lease.lost > grace)

        expired = [lease for lease in self if not lease.asks and late(lease)]
        for lease in expired:
            self.remove(lease, gone(lease.lease_id))
        return len(expired)


def new_id() -> int:
    """A number nobody guesses: whoever knows it may step the lease."""
    return secrets.randbits(64) or 1


def cost_of(reply_bytes: int, state_bytes: int) -> int:
    """The memory of a lease: its kept reply and the one in the making."""
    return _BOOKKEEPING + 2 * reply_bytes + state_bytes


def gone(lease_id: int) -> RefusalError:
    """For a lease that is not known."""
    return RefusalError(
        grpc.StatusCode.NOT_FOUND,
        f"no lease {lease_id:#x}: it has expired or was given back, or the server was started anew; acquire another",
    )


def _mib(count: int) -> str:
    return f"{count / _MIB:.1f}"
