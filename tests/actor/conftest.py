"""Two small games whose exact solution fits in a few lines: a race in which turns repeat, and a climb for one."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cartridge.engine import bits
from cartridge.engine.game import Step, Symmetry
from cartridge.engine.keys import Key
from cartridge.engine.spec import GameSpec
from cartridge.engine.transition import EngineState
from jax import Array

_MOST = 3  # counters a move may take


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WordState:
    """Eight bits of counters (or height), then one bit for the player to move."""

    word: Array  # u32[]


class _Bare:
    """What people see of a game and what bytes from outside are asked, which no search needs."""

    def invariants(self, state: WordState) -> Mapping[str, Array]:
        del state
        return {}

    def symmetries(self) -> Sequence[Symmetry[WordState]]:
        return []

    def action_label(self, action: int) -> str:
        return str(action)

    def parse_action(self, text: str) -> int:
        return int(text)

    def draw(self, state: WordState) -> str:
        return self.text(state)

    def text(self, state: WordState) -> str:
        return str(state.word)


class Race(_Bare):
    """Take one to three counters; who takes the last loses. Whoever takes three moves again."""

    spec = GameSpec("race", "1.0.0", 2, _MOST, (1, 1, 2), max_steps=0, state_bytes=8)
    start = 9

    def init(self, key: Key) -> WordState:
        del key
        return WordState(jnp.uint32(self.start))

    def step(self, state: WordState, action: Array, key: Key) -> Step[WordState]:
        del key
        left = (state.word & 255) - (action.astype(jnp.uint32) + 1)
        mover = state.word >> 8
        following = jnp.where(action == _MOST - 1, mover, 1 - mover)
        sign = 1.0 - 2.0 * mover.astype(jnp.float32)
        reward = jnp.where(left == 0, sign * jnp.array([-1.0, 1.0]), 0.0)
        return Step(WordState(left | (following << 8)), reward, left == 0)

    def observe(self, state: WordState, player: Array) -> Array:
        mine = self.player(state) == player
        return jnp.stack([state.word & 255, mine.astype(jnp.uint32)]).astype(jnp.float32).reshape(1, 1, 2)

    def legal_words(self, state: WordState) -> bits.Words:
        return bits.pack(jnp.arange(_MOST, dtype=jnp.uint32) < (state.word & 255))

    def player(self, state: WordState) -> Array:
        return (state.word >> 8).astype(jnp.int32)


class Climb(_Bare):
    """One player. Action 0 stops for 0.1; action 1 climbs, and the third climb ends the game with 1."""

    spec = GameSpec("climb", "1.0.0", 1, 2, (1, 1, 1), max_steps=0, state_bytes=8)

    def init(self, key: Key) -> WordState:
        del key
        return WordState(jnp.uint32(0))

    def step(self, state: WordState, action: Array, key: Key) -> Step[WordState]:
        del key
        height = state.word + 1
        top = (action == 1) & (height == 3)
        reward = jnp.where(action == 0, 0.1, jnp.where(top, 1.0, 0.0))
        return Step(WordState(height), reward.reshape(1), (action == 0) | top)

    def observe(self, state: WordState, player: Array) -> Array:
        del player
        return state.word.astype(jnp.float32).reshape(1, 1, 1)

    def legal_words(self, state: WordState) -> bits.Words:
        del state
        return (jnp.uint32(0b11),)

    def player(self, state: WordState) -> Array:
        del state
        return jnp.int32(0)


@cache
def race_value(counters: int) -> int:
    """Minimax for the player to move: 1 or -1."""
    return max(race_action_value(counters, action) for action in range(min(_MOST, counters)))


def race_action_value(counters: int, action: int) -> int:
    """Minimax for the player who takes `action` + 1 of `counters`."""
    left = counters - (action + 1)
    if left == 0:
        return -1
    return race_value(left) if action == _MOST - 1 else -race_value(left)


@pytest.fixture(scope="module", autouse=True)
def quick_compilation() -> Iterator[None]:
    """Searches this small take far longer to compile than to run: XLA leaves out what only makes them faster."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def race() -> Race:
    return Race()


@pytest.fixture(scope="session")
def climb() -> Climb:
    return Climb()


@pytest.fixture(scope="session")
def race_states() -> EngineState[Any]:
    """Every race of 1 to 10 counters, for player 0 and then for player 1 to move: [20] states."""
    words = [counters | (player << 8) for player in (0, 1) for counters in range(1, 11)]
    return EngineState(WordState(jnp.array(words, jnp.uint32)), jnp.zeros((len(words),), jnp.uint32))


@pytest.fixture(scope="session")
def race_solution() -> Callable[[int], list[int | None]]:
    """counters -> the exact value of each action for the mover, None where it is illegal."""

    def solve(counters: int) -> list[int | None]:
        return [race_action_value(counters, a) if a < counters else None for a in range(_MOST)]

    return solve
