"""From packed rows to what a learner reads: observation, mask and targets, each row under a random symmetry."""

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import keys
from ..engine.batch import select
from ..engine.game import Game, State
from ..engine.transition import EngineState, legal_actions, observe
from . import ring as rings
from .ring import Ring
from .samplers import Draws


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
    """N rows, ready to cross the border."""

    observation: Array  # f32[N, *observation_shape]
    legal_actions: Array  # bool[N, A]
    policy: Array  # f32[N, A]
    value: Array  # f32[N]
    age: Array  # i32[N], rows written since


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ViewedRows:
    """N rows as they were drawn, each under a random symmetry."""

    state: EngineState[Any]  # [N]
    policy: Array  # f32[N, A]
    value: Array  # f32[N]
    age: Array  # i32[N], rows written since


def viewed_rows(game: Game[State], ring: Ring[Any], draws: Draws, key: Array) -> ViewedRows:
    """The drawn rows; with `game` bound, a `prepare` for `owner.Replay`."""
    rows: PolicyRows = rings.rows_at(ring, draws.slot)
    states, policy = _random_view(game, rows, key)
    return ViewedRows(states, policy, rows.value, rings.age(ring, draws.slot))


def policy_batch(game: Game[State], ring: Ring[Any], draws: Draws, key: Array) -> PolicyBatch:
    """What a learner reads of the drawn rows; with `game` bound, a `prepare` for `owner.Replay`."""
    rows = viewed_rows(game, ring, draws, key)
    return PolicyBatch(
        observation=jax.vmap(lambda state: observe(game, state))(rows.state),
        legal_actions=jax.vmap(lambda state: legal_actions(game, state))(rows.state),
        policy=rows.policy,
        value=rows.value,
        age=rows.age,
    )


def _random_view(game: Game[State], rows: PolicyRows, key: Array) -> tuple[EngineState[State], Array]:
    """Each row's state and policy under a uniformly drawn symmetry, the identity among them."""
    states, policy = rows.state.game, rows.policy
    symmetries = game.symmetries()
    word, _ = keys.word_pairs(key, policy.shape[0])
    view = keys.below(word, len(symmetries) + 1)
    for index, symmetry in enumerate(symmetries, start=1):
        source = jnp.argsort(jnp.array(symmetry.actions))  # the action that becomes action a
        mapped = jax.vmap(symmetry.state)(rows.state.game)
        states = select(view == index, mapped, states)
        policy = jnp.where((view == index)[:, None], rows.policy[:, source], policy)
    return dataclasses.replace(rows.state, game=states), policy
