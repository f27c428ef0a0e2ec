"""That a buffer does the work it is timed for; asked of every one on a small scale, before anything is timed."""

from typing import Any

import numpy as np

from . import work
from .work import Buffer

ITEMS = 8 * work.BATCH  # of the buffer that is checked
_DRAWS = 8
_ROUNDS = 60  # of draws and updates, after which hardly an item is left with its first priority
_LOW, _HIGH = 0.05, 1.0  # under the exponent an item of low priority has 17 % of the share of one of high


class CheckError(RuntimeError):
    """A buffer that does not do what it is timed for; the message says what."""


def check(buffer: Buffer, kind: str) -> None:
    """Fills a fresh buffer of `ITEMS` items, writes one block over the oldest, and looks at what it draws.

    Raises:
      CheckError: drawn items were never written or are gone, are few, are no steps of one game in order, or do not
        follow the priorities that were given.
    """
    blocks = _numbered(ITEMS // work.BATCH + 1)
    for block in blocks:
        buffer.add(buffer.block(block))
    items = blocks.reshape(-1, work.ROW)
    drawn = np.stack([_stored_numbers(buffer, items) for _ in range(_DRAWS)])
    if kind == work.SEQUENCES:
        _require((np.diff(drawn, axis=-1) == work.GAMES).all(), "a sequence is not the steps of one game in order")
    # Of 8,192 items 2,048 sequences begin with some 1,800, and 8,192 single draws meet some 5,200.
    starts = drawn[..., 0] if kind == work.SEQUENCES else drawn
    expected = (ITEMS if kind == work.UNIFORM else ITEMS // 2) * (1 - np.exp(-starts.size / ITEMS)) / 1.5
    distinct = len(np.unique(starts))
    _require(distinct > expected, f"{starts.size} draws met {distinct} of {ITEMS} items")
    if kind == work.PRIORITISED:
        _check_priorities(buffer, items)


def _numbered(num_blocks: int) -> np.ndarray:
    """f32[num_blocks, STEPS, GAMES, ROW]: random items, but for the number of each in the first place."""
    blocks = np.random.default_rng(0).random((num_blocks, work.STEPS, work.GAMES, work.ROW), np.float32)
    blocks[..., 0] = np.arange(num_blocks * work.BATCH).reshape(blocks.shape[:3])
    return blocks


def _stored_numbers(buffer: Buffer, items: np.ndarray) -> np.ndarray:
    """The numbers of the items of one draw, all of which must be there and whole."""
    return _numbers(buffer.rows(buffer.sample()), items)


def _numbers(rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    numbers = rows[..., 0].astype(int)
    _require(numbers.min() >= work.BATCH, "an item was drawn that has been written over")
    _require(numbers.max() < len(items) and (items[numbers] == rows).all(), "an item was drawn that was never written")
    return numbers


def _check_priorities(buffer: Buffer, items: np.ndarray) -> None:
    """Items of odd number get high priority and others low, whenever they are drawn."""
    for _ in range(_ROUNDS):
        drawn: Any = buffer.sample()
        odd = _numbers(buffer.rows(drawn), items) % 2 == 1
        buffer.update(drawn, buffer.priorities(np.where(odd, _HIGH, _LOW).astype(np.float32)))
    share = np.mean([_stored_numbers(buffer, items) % 2 for _ in range(_DRAWS)])
    expected = 1 / (1 + (_LOW / _HIGH) ** work.EXPONENT)
    _require(abs(share - expected) < 0.03, f"priorities ask for {expected:.0%} of the draws and got {share:.0%}")


def _require(holds: bool | np.bool_, otherwise: str) -> None:
    if not holds:
        raise CheckError(otherwise)
