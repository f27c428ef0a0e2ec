"""The compiled loop that `random` and `observe` time: T steps of B games in one program, nothing left to be dropped.

Rewards and ends of every step are summed into the result, and in `observe` the bits of every observation and legal
mask too. All implementations run through this loop; they differ in a `Games` that knows how to start and to step.
"""

import functools
import operator
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from .. import __version__
from ..engine import batch as engine
from ..engine import bits, keys
from ..engine.keys import Key
from ..engine.transition import legal_words
from ..registry import make_game
from . import gymnax_games, peers, pgx_games, rows
from .random_words import first_words, xorshift

# Lets one CPU kernel write several results; without it XLA repeats the whole step for each word of the state. It is no
# compile option but a backend's extra one, which JAX passes on from the environment only.
SHARED_WORK = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_prefer_vector_width": "512"}
_MAX_MOVES = 1 << 30  # in one call, so that counts stay within i32
_SUMMED_AT_ONCE = 32  # numbers of an observation; XLA rewrites longer sums
_MAX_BLOCKS = 4


class Seen(Protocol):
    """What a step shows; the arrays may be of any numeric type."""

    @property
    def reward(self) -> Array: ...  # [B, P]
    @property
    def terminated(self) -> Array: ...  # bool[B]
    @property
    def truncated(self) -> Array: ...  # bool[B]
    @property
    def observation(self) -> Array: ...  # [B, ...]
    @property
    def legal_actions(self) -> Array: ...  # bool[B, A]


class Games(Protocol):
    """B games of one implementation with its random policy, both inside the compiled program."""

    @property
    def packages(self) -> Sequence[str]:
        """What to report the versions of."""
        ...

    def start(self, seed: int) -> tuple[Any, Any]:
        """(states, the policy's random state)."""
        ...

    def step(self, states: Any, random: Any) -> tuple[Any, Any, Seen]:
        """One uniformly drawn legal move in every game, with auto-reset."""
        ...


class CartridgeGames:
    """The engine's own batch."""

    packages = ("jax", "jaxlib")

    def __init__(self, game: str, batch: int) -> None:
        self._game, self._batch = make_game(game), batch

    def start(self, seed: int) -> tuple[Any, Array]:
        return engine.init(self._game, seed, self._batch)[0], first_words(seed, self._batch)

    def step(self, states: Any, random: Array) -> tuple[Any, Array, engine.TimeStep]:
        random = xorshift(random)
        legal = jax.vmap(lambda state: legal_words(self._game, state))(states)
        states, seen = engine.step(self._game, states, jax.vmap(bits.random_member)(legal, random))
        return states, random, seen


class CompiledLoop:
    """A `worker.Loop`: the program compiled ahead of time, the games kept between calls."""

    def __init__(self, games: Games, batch: int, observe: bool, seed: int) -> None:
        self._batch, self._observe, self._packages = batch, observe, games.packages
        self._states, self._random = games.start(seed)
        self._device = next(iter(jax.tree.leaves(self._states)[0].devices()))
        options = CPU_OPTIONS if self._device.platform == "cpu" else None
        begun = time.perf_counter()
        lowered = jax.jit(_program(games, batch, observe)).lower(self._states, self._random, jnp.int32(0))
        self._run = lowered.compile(options)
        self._compile_s = time.perf_counter() - begun

    def describe(self) -> dict[str, Any]:
        return {
            "compile_s": self._compile_s,
            "bytes_per_game": bytes_per_game(self._states, self._batch),
            "device": rows.device_name(self._device.platform, self._device.device_kind),
            "versions": versions(self._packages),
        }

    def play(self, num_steps: int) -> dict[str, float]:
        num_steps = min(num_steps, _MAX_MOVES // self._batch)
        begun = time.perf_counter()
        self._states, self._random, *totals = self._run(self._states, self._random, jnp.int32(num_steps))
        episodes, earned, shown = jax.block_until_ready(totals)
        seconds = time.perf_counter() - begun
        moves = num_steps * self._batch
        tally = {"seconds": seconds, "moves": moves, "episodes": int(episodes), "checksum": float(earned)}
        return {**tally, "shown": int(shown)} if self._observe else tally


def build(implementation: str, game: str, mode: str, batch: int, seed: int = 0) -> CompiledLoop:
    """The loop of `cartridge` or of a variant of pgx or gymnax, as `bench.worker` asks for it."""
    if implementation == rows.WITHOUT_DRAWS:
        keys.draw = words_for_nothing  # in a process that builds nothing else
    if implementation in (rows.OURS, rows.WITHOUT_DRAWS):
        games: Games = CartridgeGames(game, batch)
    elif implementation in (peers.GYMNAX, peers.GYMNAX_OUR_SAMPLER):
        games = gymnax_games.GymnaxGames(implementation, game, batch)
    else:
        games = pgx_games.pgx_games(implementation, game, batch)
    return CompiledLoop(games, batch, mode == "observe", seed)


def words_for_nothing(key: Key, counter: Array | int) -> Key:
    """In place of `keys.draw`: how much faster a step is with it says what drawing costs.

    The words still differ from step to step, so that nothing is computed once and for all. They are not random, which
    does not matter: a step takes as long whatever chance decides.
    """
    return key[0] + jnp.uint32(counter), key[1] ^ jnp.uint32(counter)


def bytes_per_game(states: Any, batch: int) -> int:
    """Memory of all arrays of `states`, shared among the games."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(states)) // batch


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Ours, and those of the packages named."""
    return {rows.OURS: __version__, **{name: version(name) for name in packages}}


def _program(games: Games, batch: int, observe: bool) -> Callable[[Any, Any, Array], tuple[Any, ...]]:
    """(states, random, T) -> (states, random, episodes ended, sum of the rewards, sum of what was shown)."""

    def program(states: Any, random: Any, num_steps: Array) -> tuple[Any, ...]:
        def body(_: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            states, random, episodes, earned, shown = carry
            states, random, seen = games.step(states, random)
            episodes = episodes + (seen.terminated | seen.truncated)
            return states, random, episodes, earned + _earned(seen), shown + (_shown(seen) if observe else 0)

        integers = jnp.zeros((batch,), jnp.int32)
        totals = integers, jnp.zeros((batch,), jnp.float32), integers  # summed at the end
        states, random, *totals = jax.lax.fori_loop(0, num_steps, body, (states, random, *totals))
        return states, random, *(jnp.sum(total) for total in totals)

    return program


def _earned(seen: Seen) -> Array:
    """f32[B]: the rewards, each player's with another weight so that zero sums do not cancel.

    Written out: a sum over an axis would first write the rewards to memory.
    """
    total = jnp.zeros(seen.reward.shape[:1], jnp.float32)
    for player in range(seen.reward.shape[1]):
        total = total + (player + 1) * seen.reward[:, player]
    return total


def _shown(seen: Seen) -> Array:
    """i32[B]: the bits of observation and mask, summed as integers, which wrap round and need not keep to an order.

    XLA turns a sum of more than 32 numbers on a CPU into one that first writes them all to memory, so that the sum is
    what is timed. Hence small observations come in blocks; large ones go to memory in any case.
    """
    numbers = seen.observation.reshape(seen.observation.shape[0], -1)
    if jnp.issubdtype(numbers.dtype, jnp.floating):
        numbers = jax.lax.bitcast_convert_type(numbers, jnp.dtype(f"int{8 * numbers.dtype.itemsize}"))
    numbers = numbers.astype(jnp.int32)
    size = numbers.shape[1]
    block = _SUMMED_AT_ONCE if size <= _MAX_BLOCKS * _SUMMED_AT_ONCE else size
    blocks = [numbers[:, start : start + block] for start in range(0, size, block)]
    mask = jnp.sum(seen.legal_actions, axis=1, dtype=jnp.int32)
    return functools.reduce(operator.add, [jnp.sum(part, axis=1, dtype=jnp.int32) for part in blocks], mask)
