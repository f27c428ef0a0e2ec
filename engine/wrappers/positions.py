"""Positions of one game on the host, for tree search in Python: plain words, and chance that is listed, never drawn.

A position never changes, and what the rules say of it is computed by one compiled call and kept for a while.
"""

import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..game import ChanceGame, Game, Step
from ..keys import Key
from ..transition import EngineState, legal_actions, transition

Outcomes = tuple[tuple[int, float], ...]  # those that may happen, with their probabilities

_NO_CHANCE: Outcomes = ((0, 1.0),)
_KEPT = 1 << 16  # positions


@dataclasses.dataclass(frozen=True)
class Position:
    """What the rules say of a state, on the host."""

    words: bytes  # the engine's state without its key
    over: bool
    player: int
    legal: tuple[int, ...]  # none after the end
    rewards: tuple[float, ...]  # of the move that led here


class Rules:
    """The game's functions, compiled, from words on the host to words on the host.

    A game with chance must be a `ChanceGame`.
    """

    def __init__(self, game: Game[Any]) -> None:
        self.game = game
        first = jax.eval_shape(lambda: _engine_state(game, jnp.int32(0)))
        self._leaves, self._structure = jax.tree.flatten(first)
        self.starts: Outcomes = _possible(game.start_outcomes()) if isinstance(game, ChanceGame) else _NO_CHANCE
        self.play = functools.lru_cache(_KEPT)(self._play)
        self.outcomes = functools.lru_cache(_KEPT)(self._outcomes)
        self.observations = functools.lru_cache(_KEPT)(self._observations)
        self._compiled_start = jax.jit(lambda outcome: self._facts(_engine_state(game, outcome)))
        self._compiled_play = jax.jit(self._traced_play)
        self._compiled_observe = jax.jit(self._traced_observe)
        self._compiled_chances = jax.jit(self._traced_chances)

    def start(self, outcome: int) -> Position:
        """The start that chance has chosen."""
        return self._position(self._compiled_start(outcome), np.zeros(self.game.spec.num_players))

    def text(self, words: bytes) -> str:
        """The board in plain characters."""
        return self.game.text(self._state(jnp.asarray(_array(words))).game)

    def _play(self, words: bytes, action: int, outcome: int) -> Position:
        """The position after `action` and the chance that follows."""
        facts, rewards = self._compiled_play(_array(words), action, outcome)
        return self._position(facts, rewards)

    def _outcomes(self, words: bytes, action: int) -> Outcomes:
        """The chance that follows `action`: possible outcomes and their probabilities, a single one where none does."""
        if not self.game.spec.stochastic:
            return _NO_CHANCE
        return _possible(self._compiled_chances(_array(words), action))

    def _observations(self, words: bytes) -> np.ndarray:
        """f32[P, N], what each player sees."""
        return np.asarray(self._compiled_observe(_array(words)))

    def _traced_play(self, words: Array, action: Array, outcome: Array) -> Any:
        settled = cast(Game[Any], _Settled(self.game, outcome)) if isinstance(self.game, ChanceGame) else self.game
        moved = transition(settled, self._state(words), action)
        return self._facts(moved.state), moved.reward

    def _traced_observe(self, words: Array) -> Array:
        state = self._state(words).game
        players = jnp.arange(self.game.spec.num_players)
        return jax.vmap(lambda player: self.game.observe(state, player).reshape(-1))(players)

    def _traced_chances(self, words: Array, action: Array) -> Array:
        game = cast(ChanceGame[Any], self.game)
        return game.chance_outcomes(game.afterstate(self._state(words).game, action))

    def _facts(self, state: EngineState[Any]) -> tuple[Array, Array, Array, Array]:
        """(words u32[W], over bool[], whose turn i32[], legal actions bool[A])."""
        words = jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(state)])
        return words, state.over, self.game.player(state.game), legal_actions(self.game, state)

    def _state(self, words: Array) -> EngineState[Any]:
        """The state behind u32[W]."""
        ends = np.cumsum([leaf.size for leaf in self._leaves])
        parts = [words[end - leaf.size : end] for leaf, end in zip(self._leaves, ends, strict=True)]
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, self._leaves, strict=True)]
        return jax.tree.unflatten(self._structure, shaped)

    def _position(self, facts: Any, rewards: Any) -> Position:
        words, over, player, legal = jax.device_get(facts)
        actions = () if over else tuple(np.flatnonzero(legal).tolist())
        return Position(words.tobytes(), bool(over), int(player), actions, tuple(np.asarray(rewards).tolist()))


class _Settled:
    """A game whose next chance has been settled: all of it that `transition` looks at."""

    def __init__(self, game: ChanceGame[Any], outcome: Array) -> None:
        self.spec, self.player, self.legal_words = game.spec, game.player, game.legal_words
        self._game, self._outcome = game, outcome

    def step(self, state: Any, action: Array, key: Key) -> Step[Any]:
        """Draws nothing."""
        del key
        return self._game.apply_chance(self._game.afterstate(state, action), self._outcome)


def _engine_state(game: Game[Any], outcome: Array) -> EngineState[Any]:
    """Start number `outcome`, without a key: nothing is drawn in OpenSpiel's tree."""
    none = jnp.uint32(0)
    first = game.start(outcome) if isinstance(game, ChanceGame) else game.init((none, none))
    return EngineState(first, none)


def _possible(chances: Array) -> Outcomes:
    """The outcomes that may happen; their probabilities sum to 1 in float64, as OpenSpiel demands."""
    wide = np.asarray(chances, np.float64)
    wide /= wide.sum()
    return tuple((int(outcome), float(wide[outcome])) for outcome in np.flatnonzero(wide))


def _array(words: bytes) -> np.ndarray:
    return np.frombuffer(words, np.uint32)
