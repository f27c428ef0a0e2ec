"""From packed rows to what a learner reads: observation, mask and targets, each row under a random symmetry."""

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from ..engine.batch import select
from ..engine.game import Game, State
from ..engine.transition import EngineState, legal_actions, observe
from .ring import Ring, sample_uniform


class PolicyRows(Protocol):
    """Rows that search-based self-play produces."""

    @property
    def state(self) -> EngineState[Any]: ...  # [N]

    @property
    def policy(self) -> Array: ...  # f32[N, A]

    @property
    def value(self) -> Array: ...  # f32[N]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PolicyBatch:
    """U batches of N rows, ready to cross the border."""

    observation: Array  # f32[U, N, *observation_shape]
    legal_actions: Array  # bool[U, N, A]
    policy: Array  # f32[U, N, A]
    value: Array  # f32[U, N]
    age: Array  # i32[U, N], rows written since


def sample_batches(
    game: Game[State], ring: Ring[Any], key: Array, num_batches: int, batch_size: int
) -> PolicyBatch:
    """Draws and prepares `num_batches` batches in one call, so that the learner's loop crosses the border once."""
    row_key, view_key = jax.random.split(key)
    num_rows = num_batches * batch_size
    rows, age = sample_uniform(ring, row_key, num_rows)
    states, policy = _random_view(game, rows, view_key)
    batch = PolicyBatch(
        observation=jax.vmap(lambda state: observe(game, state))(states),
        legal_actions=jax.vmap(lambda state: legal_actions(game, state))(states),
        policy=policy,
        value=rows.value,
        age=age,
    )
    return jax.tree.map(lambda leaf: leaf.reshape(num_batches, batch_size, *leaf.shape[1:]), batch)


def _random_view(game: Game[State], rows: PolicyRows, key: Array) -> tuple[EngineState[State], Array]:
    """Each row's state and policy under a uniformly drawn symmetry, the identity among them."""
    states, policy = rows.state.game, rows.policy
    symmetries = game.symmetries()
    view = jax.random.randint(key, (policy.shape[0],), 0, len(symmetries) + 1)
    for index, symmetry in enumerate(symmetries, start=1):
        source = jnp.argsort(jnp.array(symmetry.actions))  # the action that becomes action a
        mapped = jax.vmap(symmetry.state)(rows.state.game)
        states = select(view == index, mapped, states)
        policy = jnp.where((view == index)[:, None], rows.policy[:, source], policy)
    return dataclasses.replace(rows.state, game=states), policy
