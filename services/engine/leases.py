"""Who holds which games: all leases of a server, the memory that they take, and when one has been silent too long."""

import secrets
from collections.abc import Iterator

import grpc

from ..serving import RefusalError
from .lease import Lease

_BOOKKEEPING = 4096  # bytes that a lease takes besides its games
_MIB = 1 << 20


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
