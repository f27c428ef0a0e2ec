"""Two contenders play the same openings from both seats, all games in lock step.

The two games of an opening form a pair. While turns alternate, each contender is to move in exactly one of the two, so
each judges N states a ply for 2N games and none in vain. Where turns repeat and a contender is to move in both, the
second game waits; so the result is right for any order of turns.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Generic

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine.batch import select
from ..engine.game import Game, State
from ..engine.spec import SpecError
from ..engine.transition import EngineState, transition
from .openings import random_openings
from .policies import Policy

Contender = Callable[[Any], Policy]  # from parameters (any pytree, None where it needs none) to a policy

WAITED = -1  # in `MatchResult.moves`
_LONGEST = 10_000  # plies; a game that is still going then counts by its rewards so far
_EXTRA_PLIES = 6  # by how much openings may be lengthened to find enough distinct ones


@dataclasses.dataclass(frozen=True)
class MatchResult(Generic[State]):
    """N openings, each played twice. Row s holds the games in which the first contender is player s."""

    openings: EngineState[State]  # [N]
    reward: np.ndarray  # f32[2, N], what the first contender got after the opening
    unfinished: np.ndarray  # bool[2, N]
    moves: np.ndarray  # i32[T, 2, N], `WAITED` where no move was made

    def line(self, seat: int, opening: int) -> list[int]:
        """The actions of one game after its opening, by both contenders, in order."""
        column = self.moves[:, seat, opening]
        return column[column != WAITED].tolist()


class Match(Generic[State]):
    """A pairing, compiled once for any parameters and any openings of one number."""

    def __init__(self, game: Game[State], first: Contender, second: Contender) -> None:
        if game.spec.num_players != 2:
            raise SpecError(f"a match needs two players, {game.spec.env_id} has {game.spec.num_players}")
        self._ply = jax.jit(partial(_ply, game, first, second))

    def play(
        self, openings: EngineState[State], key: Array, first_params: Any = None, second_params: Any = None
    ) -> MatchResult[State]:
        """Plays both games of each of N `openings` to the end; `key` is uint32[2]."""
        games = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), openings)
        total = jnp.zeros(games.meta.shape)
        record: list[np.ndarray] = []
        while len(record) < _LONGEST and not np.all(games.over):
            key, ply_key = jax.random.split(key)
            games, total, actions = self._ply(first_params, second_params, games, total, ply_key)
            record.append(np.asarray(actions))
        moves = np.stack(record) if record else np.zeros((0, *total.shape), np.int32)
        return MatchResult(openings, np.asarray(total), ~np.asarray(games.over), moves)


def distinct_openings(game: Game[State], key: Array, count: int, plies: int) -> EngineState[State]:
    """`count` distinct live states after about `plies` random legal moves each.

    Where too few games differ after so many moves, the later ones are some moves longer. `ValueError` if that does not
    help either.
    """
    size = max(4 * count, 64)
    draw = jax.jit(lambda key, length: random_openings(game, key, jnp.full((size,), length), length))
    found: list[Any] = []
    seen: set[bytes] = set()
    for extra in range(_EXTRA_PLIES + 1):
        host = jax.tree.map(np.asarray, draw(jax.random.fold_in(key, extra), plies + extra))
        for row, words in enumerate(_words(host)):
            if len(found) < count and words not in seen:
                seen.add(words)
                found.append(jax.tree.map(lambda leaf, row=row: leaf[row], host))
        if len(found) == count:
            return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *found)
    raise ValueError(
        f"{game.spec.env_id} has no {count} distinct openings of {plies} random moves (found {len(found)}); "
        "ask for fewer games or longer openings"
    )


def _ply(
    game: Game[State],
    first: Contender,
    second: Contender,
    first_params: Any,
    second_params: Any,
    games: EngineState[State],
    total: Array,
    key: Array,
) -> tuple[EngineState[State], Array, Array]:
    """One move in every pair's games where it is due: (games [2, N], total f32[2, N], actions i32[2, N])."""
    seat = jnp.array([[0], [1]])
    mine = jax.vmap(jax.vmap(game.player))(games.game) == seat  # bool[2, N], the first contender's turn
    due = jnp.zeros(mine.shape, bool)
    actions = jnp.full(mine.shape, WAITED)
    keys = jax.random.split(key)
    for policy, turn, policy_key in (
        (first(first_params), mine & ~games.over, keys[0]),
        (second(second_params), ~mine & ~games.over, keys[1]),
    ):
        chosen = jnp.stack([turn[0], turn[1] & ~turn[0]])  # one game of each pair at most
        action = policy(select(turn[0], *(_row(games, row) for row in (0, 1))), policy_key)
        actions = jnp.where(chosen, action[None], actions)
        due = due | chosen
    moved = jax.vmap(jax.vmap(lambda state, action: transition(game, state, action)))(games, actions)
    earned = jnp.stack([moved.reward[0, :, 0], moved.reward[1, :, 1]])
    after = jax.tree.map(lambda new, old: _where(due, new, old), moved.state, games)
    return after, total + jnp.where(due, earned, 0.0), actions


def _row(games: EngineState[State], row: int) -> EngineState[State]:
    return jax.tree.map(lambda leaf: leaf[row], games)


def _where(chosen: Array, new: Array, old: Array) -> Array:
    """Game by game, for [2, N, ...] arrays."""
    return jnp.where(chosen.reshape(chosen.shape + (1,) * (old.ndim - 2)), new, old)


def _words(states: EngineState[State]) -> list[bytes]:
    """Each of N states (NumPy leaves) as bytes to compare by."""
    columns = [np.ascontiguousarray(leaf).reshape(len(leaf), -1).view(np.uint8) for leaf in jax.tree.leaves(states)]
    return [row.tobytes() for row in np.concatenate(columns, axis=1)]
