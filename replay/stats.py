"""What a replay holds, in numbers: gathered piece by piece from the table of its rows (see `export`)."""

import functools
import math
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from ..engine import codec
from ..engine.game import Game
from ..engine.transition import EngineState
from .export import Columns, Episodes
from .flaws import filled_up


class Stats:
    """Add every piece, of at most `flaws.BATCH` rows each; then ask for the `summary`."""

    def __init__(self, game: Game[Any]) -> None:
        self._game, self._episodes = game, Episodes()
        self._to_move = np.zeros(game.spec.num_players, np.int64)
        self._positions: list[np.ndarray] = []
        self._value, self._priority, self._entropy = _Moments(), _Moments(), _Moments()

    def add(self, columns: Columns) -> None:
        """Takes the next piece."""
        self._episodes.add(columns)
        states = codec.split_words(self._game, columns["state"])
        players = np.asarray(_players(self._game, filled_up(states)))[: len(columns["move"])]
        self._to_move += np.bincount(players, minlength=len(self._to_move))
        self._positions.append(_hashes(jax.tree.leaves(states.game)))
        self._value.add(columns["value"])
        policy = columns["policy"].astype(np.float64)
        self._entropy.add(np.sum(policy * -np.log(np.where(policy > 0, policy, 1.0)), axis=1) + 0.0)  # no -0.0
        if "priority" in columns:
            self._priority.add(columns["priority"])

    def summary(self) -> dict[str, Any]:
        """Plain values; None where there are no rows, or no priorities."""
        rows, lengths = self._value.count, self._episodes.num_moves
        moves = _Moments()
        moves.add(lengths)
        return {
            "rows": rows,
            "episodes": len(lengths),
            "episode_moves": moves.described(),
            "player_to_move_share": [int(count) / rows for count in self._to_move] if rows else None,
            "value": self._value.described(),
            "policy_entropy_nats": self._entropy.described(),
            "distinct_positions_share": _distinct(self._positions) / rows if rows else None,
            "priority": self._priority.described() | {"effective_rows": self._priority.effective_count}
            if self._priority.count
            else None,
        }


class _Moments:
    """Of numbers that come in pieces."""

    def __init__(self) -> None:
        self.count, self._sum, self._squares = 0, 0.0, 0.0
        self._least, self._largest = math.inf, -math.inf

    def add(self, numbers: np.ndarray) -> None:
        """Takes [n] of them."""
        if not numbers.size:
            return
        exact = numbers.astype(np.float64)
        self.count += numbers.size
        self._sum += float(exact.sum())
        self._squares += float((exact * exact).sum())
        self._least = min(self._least, float(exact.min()))
        self._largest = max(self._largest, float(exact.max()))

    def described(self) -> dict[str, float]:
        """Mean, min and max; nothing of no numbers."""
        if not self.count:
            return {}
        return {"mean": self._sum / self.count, "min": self._least, "max": self._largest}

    @property
    def effective_count(self) -> float:
        """(sum p)^2 / sum p^2: so many equal weights would spread draws as far. Kish, "Survey Sampling", 1965."""
        return self._sum**2 / self._squares if self._squares else 0.0


def _hashes(words: Iterable[Any]) -> np.ndarray:
    """u64[n] of each position's words (u32[n, ...] each); clock and key do not count. Mixing as in SplitMix64."""
    total = np.uint64(0)
    for leaf in words:
        for word in np.asarray(leaf).reshape(len(leaf), -1).T:
            total = (total ^ word) + np.uint64(0x9E3779B97F4A7C15)
            total = (total ^ (total >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            total = (total ^ (total >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            total = total ^ (total >> np.uint64(31))
    return np.asarray(total)


def _distinct(hashes: list[np.ndarray]) -> int:
    return len(np.unique(np.concatenate(hashes)))


@functools.partial(jax.jit, static_argnums=0)
def _players(game: Game[Any], states: EngineState[Any]) -> jax.Array:
    return jax.vmap(game.player)(states.game)
