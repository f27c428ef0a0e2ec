"""The work that all implementations do alike: what is stored, added and drawn, and what a buffer offers for it.

This file, `check.py`, `loop.py` and `torchrl_buffers.py` need no more than NumPy and one another of what Cartridge
needs, because TorchRL's own interpreter runs them.
"""

from typing import Any, Protocol

import numpy as np

UNIFORM, PRIORITISED, SEQUENCES = "uniform", "prioritised", "sequences"  # kinds of buffer
OPERATIONS = {UNIFORM: ("add", "sample"), PRIORITISED: ("add", "sample", "update"), SEQUENCES: ("sample",)}
ROW = 84  # float32 numbers in an item
ITEM_BYTES = 4 * ROW
STEPS, GAMES = 8, 128
BATCH = STEPS * GAMES  # items added at once, and drawn at once
NUM_SEQUENCES = 256  # of STEPS items each, drawn at once
EXPONENT, BETA = 0.6, 0.4  # of priorities and of importance weights


class Buffer(Protocol):
    """A buffer of one implementation and kind, on its own arrays. A method returns once its result is there.

    In the kind `sequences`, a block is STEPS steps of GAMES games and a draw is NUM_SEQUENCES runs of STEPS steps of a
    game; in the others a block is BATCH items and a draw as many. A kind without priorities has no `update` to call.
    """

    @property
    def packages(self) -> tuple[str, ...]:
        """What to report the versions of."""
        ...

    @property
    def device(self) -> tuple[str, str]:
        """`cpu` or another platform, and its model."""
        ...

    def block(self, rows: np.ndarray) -> Any:
        """f32[STEPS, GAMES, ROW] in the form that `add` takes."""
        ...

    def priorities(self, values: np.ndarray) -> Any:
        """f32[BATCH] in the form that `update` takes."""
        ...

    def add(self, block: Any) -> None:
        """Writes a block over the oldest items."""
        ...

    def sample(self) -> Any:
        """A draw: the items, and whatever names them."""
        ...

    def update(self, drawn: Any, priorities: Any) -> None:
        """Gives the items of a draw new priorities."""
        ...

    def rows(self, drawn: Any) -> np.ndarray:
        """The items of a draw: f32[BATCH, ROW], or f32[NUM_SEQUENCES, STEPS, ROW]."""
        ...
