"""Batches show each stored row under one of its symmetries, and everything in a row turns together."""

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.openings import random_openings
from cartridge.actor.selfplay import Samples
from cartridge.engine.game import Game
from cartridge.engine.transition import EngineState, legal_actions, observe
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from cartridge.replay.batches import PolicyBatch, policy_batch
from cartridge.replay.ring import Ring, add, empty
from cartridge.replay.samplers import Uniform
from jax import Array

NUM_ROWS, BATCH_SIZE = 8, 640
GAMES: dict[str, Game[Any]] = {"tictactoe": TicTacToe(), "connect4": Connect4()}


@dataclasses.dataclass(frozen=True)
class Stored:
    """Rows whose value is their own serial number, so that a sampled row can be told from any other."""

    game: Game[Any]
    rows: Samples[Any]  # [NUM_ROWS]
    ring: Ring[Samples[Any]]


@cache
def stored(name: str) -> Stored:
    """Rows of lopsided boards whose policies put another weight on every legal action."""
    game = GAMES[name]
    states = jax.jit(lambda: random_openings(game, jax.random.PRNGKey(2), jnp.full((NUM_ROWS,), 4), 4))()
    legal = jax.vmap(lambda state: legal_actions(game, state))(states)
    weight = jnp.where(legal, jax.random.uniform(jax.random.PRNGKey(3), legal.shape, minval=0.1), 0.0)
    rows = Samples(states, weight / jnp.sum(weight, axis=1, keepdims=True), jnp.arange(NUM_ROWS) / NUM_ROWS)
    ring = empty(jax.tree.map(lambda leaf: leaf[0], rows), NUM_ROWS, NUM_ROWS)
    return Stored(game, rows, add(ring, rows))


@cache
def sampled(name: str, seed: int = 4) -> PolicyBatch:
    data = stored(name)

    @jax.jit
    def draw(ring: Ring[Samples[Any]], key: Array) -> PolicyBatch:
        draws = Uniform().draw((), ring, key, BATCH_SIZE)
        return policy_batch(data.game, ring, draws, jax.random.fold_in(key, 1))

    return draw(data.ring, jax.random.PRNGKey(seed))


def views(name: str) -> dict[str, np.ndarray]:
    """Every row under every symmetry, worked out from the contract: arrays [NUM_ROWS, views, ...]."""
    game, rows = stored(name).game, stored(name).rows
    identity = (lambda state: state, tuple(range(game.spec.num_actions)))
    maps = [identity, *((symmetry.state, symmetry.actions) for symmetry in game.symmetries())]
    seen: dict[str, list[np.ndarray]] = {"observation": [], "legal_actions": [], "policy": []}
    for state_map, actions in maps:
        mapped = EngineState(jax.jit(jax.vmap(state_map))(rows.state.game), rows.state.meta)
        policy = np.zeros_like(rows.policy)
        for action, image in enumerate(actions):
            policy[:, image] = rows.policy[:, action]
        seen["observation"].append(np.asarray(jax.vmap(lambda state: observe(game, state))(mapped)))
        seen["legal_actions"].append(np.asarray(jax.vmap(lambda state: legal_actions(game, state))(mapped)))
        seen["policy"].append(policy)
    return {field: np.stack(arrays, axis=1) for field, arrays in seen.items()}


@pytest.mark.parametrize("name", GAMES)
def test_shapes(name: str) -> None:
    spec, batch = GAMES[name].spec, sampled(name)
    assert batch.observation.shape == (BATCH_SIZE, *spec.observation_shape)
    assert batch.legal_actions.shape == batch.policy.shape == (BATCH_SIZE, spec.num_actions)
    assert batch.value.shape == batch.age.shape == (BATCH_SIZE,)
    assert batch.legal_actions.dtype == bool
    assert batch.observation.dtype == batch.policy.dtype == batch.value.dtype == jnp.float32


@pytest.mark.parametrize("name", GAMES)
def test_every_row_is_one_view_of_what_was_stored(name: str) -> None:
    """Observation, mask and policy of a sampled row agree on one symmetry, and all symmetries occur alike."""
    batch, known = sampled(name), views(name)
    num_views = len(GAMES[name].symmetries()) + 1
    source = np.round(np.asarray(batch.value).reshape(-1) * NUM_ROWS).astype(int)
    np.testing.assert_array_equal(NUM_ROWS - 1 - source, np.asarray(batch.age).reshape(-1))
    found = np.ones((source.size, num_views), bool)
    for field, known_views in known.items():
        rows = np.asarray(getattr(batch, field)).reshape(source.size, 1, -1)
        same = np.all(np.isclose(rows, known_views[source].reshape(source.size, num_views, -1)), axis=2)
        assert np.all(same.any(axis=1)), field
        found &= same
    assert np.all(found.any(axis=1)), "observation, mask and policy were turned differently"
    alone = found.sum(axis=1) == 1  # a board that is its own mirror image has two equal views
    assert np.mean(alone) > 0.9
    counts = np.bincount(np.argmax(found[alone], axis=1), minlength=num_views)
    assert counts.min() > 0.5 * alone.sum() / num_views
    assert counts.max() < 1.6 * alone.sum() / num_views


@pytest.mark.parametrize("name", GAMES)
def test_policy_stays_on_legal_actions(name: str) -> None:
    batch = sampled(name)
    assert np.all((np.asarray(batch.policy) > 0) == np.asarray(batch.legal_actions))
    np.testing.assert_allclose(np.asarray(batch.policy).sum(axis=-1), 1.0, atol=1e-6)


def test_batches_follow_their_key() -> None:
    first = sampled("connect4").value
    assert np.array_equal(sampled.__wrapped__("connect4").value, first)
    assert not np.array_equal(sampled("connect4", seed=5).value, first)
