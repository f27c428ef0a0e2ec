"""Batches on their way to torch: drawn ahead, lent without a copy, and held until torch is done with them."""

from collections import deque
from collections.abc import Generator, Iterable
from itertools import islice
from typing import Any

from ..engine import border


def torch_batches(batches: Iterable[Any], depth: int = 2, check: bool = False) -> Generator[Any]:
    """The same batches, pytrees of JAX arrays, with torch tensors in their place; see `border.to_torch`.

    JAX computes on its own while torch works, so that up to `depth` batches are drawn ahead of the one in use. What a
    batch shows is the replay as it was when the batch was drawn. The tensors are read-only and lent until the next
    batch is asked for: clone what is to stay.

    Args:
      batches: drawn one by one, as many as there are.
      depth: batches drawn ahead, at least 1.
      check: for debugging, at some cost: raise `BorderError` if a batch was written into.
    """
    source = iter(batches)
    waiting = deque(islice(source, max(1, depth)))
    held = border.Held()
    try:
        while waiting:
            batch = waiting.popleft()
            waiting.extend(islice(source, 1))
            with border.unwritten(batch, check):
                yield border.to_torch(batch)
            held.hold(batch)
    finally:
        held.drain()
