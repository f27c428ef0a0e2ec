"""`api` mode: one Python call a step with NumPy or torch in and out, as a training loop makes them.

Only the call is timed. The actions are drawn outside, as a user's policy would, on the host.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ..registry import make
from . import gymnax_games, peers, pgx_games, rows
from .compiled import bytes_per_game, versions
from .envpool_calls import draw_legal

OURS_TORCH = "cartridge+torch"
Played = tuple[np.ndarray, np.ndarray, np.ndarray]  # reward [B, P], ended bool[B], legal_actions bool[B, A]


class CallLoop:
    """A `worker.Loop` over a function that plays one step from Python."""

    def __init__(self, step: Callable[[np.ndarray], Any], show: Callable[[Any], Played], legal: Any, seed: int) -> None:
        """`step` is what is timed, `show` turns what it gave into NumPy, `legal` is bool[B, A] of the first state."""
        self._step, self._show, self._legal = step, show, np.asarray(legal)
        self._rng = np.random.default_rng(seed)
        self.description: dict[str, Any] = {}
        self.play(1)  # compiles

    def describe(self) -> dict[str, Any]:
        return self.description

    def play(self, num_steps: int) -> dict[str, float]:
        seconds, episodes, checksum = 0.0, 0, 0.0
        for _ in range(num_steps):
            actions = draw_legal(self._legal, self._rng)
            begun = time.perf_counter()
            given = self._step(actions)
            seconds += time.perf_counter() - begun
            reward, ended, self._legal = self._show(given)
            episodes += int(ended.sum())
            checksum += float(np.abs(reward).sum())
        return {"seconds": seconds, "moves": num_steps * len(self._legal), "episodes": episodes, "checksum": checksum}


def build(implementation: str, game: str, mode: str, batch: int, seed: int = 0) -> CallLoop:
    """The loop of `cartridge`, `cartridge+torch`, `pgx` or `gymnax`, as `bench.worker` asks for it."""
    del mode
    begun = time.perf_counter()
    if implementation == peers.PGX:
        loop, states, packages = _pgx(game, batch, seed)
    elif implementation == peers.GYMNAX:
        loop, states, packages = _gymnax(game, batch, seed)
    else:
        loop, states, packages = _ours(game, batch, seed, torch=implementation == OURS_TORCH)
    device = next(iter(jax.tree.leaves(states)[0].devices()))
    loop.description = {
        "compile_s": time.perf_counter() - begun,
        "bytes_per_game": bytes_per_game(states, batch),
        "device": rows.device_name(device.platform, device.device_kind),
        "versions": versions(packages),
    }
    return loop


def _ours(game: str, batch: int, seed: int, torch: bool) -> tuple[CallLoop, Any, tuple[str, ...]]:
    env = make(game, batch, seed, output="torch" if torch else "numpy")

    def step(actions: np.ndarray) -> Any:
        return env.step(actions)

    loop = CallLoop(step, _shown, env.reset().legal_actions, seed)
    return loop, env.state, ("jax", "jaxlib", "torch" if torch else "numpy")


def _pgx(game: str, batch: int, seed: int) -> tuple[CallLoop, Any, tuple[str, ...]]:
    """pgx's `auto_reset`, compiled, and what a NumPy loop needs of it brought to the host."""
    from pgx.experimental import auto_reset

    environment = pgx_games.pgx_environment(game)
    step = jax.jit(jax.vmap(auto_reset(environment.step, environment.init)))
    split = jax.jit(lambda key: tuple(jax.random.split(key, batch + 1)[index] for index in (0, slice(1, None))))
    key, keys = split(jax.random.PRNGKey(seed))
    states = jax.jit(jax.vmap(environment.init))(keys)
    first = states

    def call(actions: np.ndarray) -> peers.Shown:
        nonlocal key, states
        key, keys = split(key)
        states = step(states, actions, keys)
        return jax.tree.map(np.asarray, pgx_games.pgx_seen(states))

    return CallLoop(call, _shown, first.legal_action_mask, seed), first, ("jax", "jaxlib", "numpy", "pgx")


def _gymnax(game: str, batch: int, seed: int) -> tuple[CallLoop, Any, tuple[str, ...]]:
    """gymnax's `step`, compiled over the batch, and what a NumPy loop needs of it brought to the host."""
    games = gymnax_games.GymnaxGames(peers.GYMNAX, game, batch)
    step = jax.jit(games.play)
    split = jax.jit(lambda key: tuple(jax.random.split(key, batch + 1)[index] for index in (0, slice(1, None))))
    states, key = jax.jit(games.start, static_argnums=0)(seed)
    first = states

    def call(actions: np.ndarray) -> peers.Shown:
        nonlocal key, states
        key, keys = split(key)
        states, shown = step(states, actions, keys)
        return jax.tree.map(np.asarray, shown)

    legal = np.ones((batch, games.num_actions), bool)
    return CallLoop(call, _shown, legal, seed), first, ("jax", "jaxlib", "numpy", "gymnax")


def _shown(seen: Any) -> Played:
    return np.asarray(seen.reward), np.asarray(seen.terminated | seen.truncated), np.asarray(seen.legal_actions)
