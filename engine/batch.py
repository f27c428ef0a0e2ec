"""Many games in lock step: pure functions over a batch of B states, with the three ways to go on after an episode.

`init` and `step` may be used inside a user's own `jit`, `vmap` and `scan`. What a caller does not use of a `TimeStep`
(the observation, say) is never computed there: XLA removes it.
"""

import dataclasses
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from .game import Game, State
from .keys import Key, draw, root_keys, zero_key
from .transition import EngineState, Transition, legal_actions, observe, start, transition

Autoreset = Literal["same_step", "next_step", "disabled"]
AUTORESET_MODES: tuple[Autoreset, ...] = ("same_step", "next_step", "disabled")

Tree = TypeVar("Tree")

_CUT_SHORT = 0xFFFFFFFF  # the block of a key that no step draws: where a game restarted in mid-play goes on


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TimeStep:
    """What B games show after a step. Rewards and flags belong to the step just made.

    In `same_step` mode `observation`, `legal_actions` and `player` are those of the new episode where one ended, and
    `final_observation` holds the true last observation there (zero elsewhere); it is None in the other modes.
    """

    observation: Array  # [B, *observation_shape], seen by `player`
    legal_actions: Array  # bool[B, A], True = legal
    player: Array  # i32[B], whose turn
    reward: Array  # f32[B, P]
    terminated: Array  # bool[B]
    truncated: Array  # bool[B]
    illegal: Array  # bool[B]
    final_observation: Array | None = None  # [B, *observation_shape]


def init(game: Game[State], seed: int | Array, num_envs: int) -> tuple[EngineState[State], TimeStep]:
    """Starts `num_envs` games; game i depends on `seed` and i alone."""
    states = _started(game, num_envs, root_keys(seed, num_envs) if game.spec.stochastic else None)
    return states, first_time_step(game, states)


def step(
    game: Game[State], states: EngineState[State], actions: Array, autoreset: Autoreset = "same_step"
) -> tuple[EngineState[State], TimeStep]:
    """Plays `actions` (i32[B]) in every game.

    same_step: a game that ends is replaced at once, one handed in over by its first step. next_step: the call after the
    end ignores its action and starts anew, with zero reward. disabled: an over game stays as it is.
    """
    moved = jax.vmap(lambda state, action: transition(game, state, action))(states, actions)
    if autoreset == "disabled":
        return moved.state, _time_step(game, moved.state, moved)
    if autoreset == "next_step":
        after = next_episode_where(game, states.over, moved.state, moved.state.key)
        return after, _time_step(game, after, moved)
    if autoreset != "same_step":
        raise ValueError(f"autoreset is {autoreset!r}, expected one of {', '.join(AUTORESET_MODES)}")
    ended = moved.terminated | moved.truncated
    over = moved.state.over  # also where a state handed in was over, and moved nowhere
    after = next_episode_where(game, over, moved.state, moved.state.key)
    last = jax.vmap(lambda state: observe(game, state))(moved.state)
    final = jnp.where(_column(ended, last), last, jnp.zeros_like(last))
    return after, dataclasses.replace(_time_step(game, after, moved), final_observation=final)


def restart_where(game: Game[State], chosen: Array, states: EngineState[State]) -> EngineState[State]:
    """The same batch with fresh games where `chosen` (bool[B]), each another episode than the one it replaces."""
    return next_episode_where(game, chosen, states, restart_keys(states))


def restart_keys(states: EngineState[State]) -> Key | None:
    """(u32[B], u32[B]), what the episode after this one starts from, be it over or cut short; None without chance."""
    if states.key is None:
        return None
    cut_short = jax.vmap(lambda key: draw(key, _CUT_SHORT))(states.key)
    return select(states.over, states.key, cut_short)


def next_episode_where(
    game: Game[State], chosen: Array, states: EngineState[State], key: Key | None
) -> EngineState[State]:
    """Fresh games where `chosen` (bool[B]), from `key` (u32[B] twice), which the end of a game leaves in its state."""
    return select(chosen, _started(game, chosen.shape[0], key), states)


def first_time_step(game: Game[State], states: EngineState[State]) -> TimeStep:
    """The time step of a batch in which nothing has been played."""
    num_envs = states.meta.shape[0]
    nothing = jnp.zeros((num_envs,), bool)
    moved = Transition(states, jnp.zeros((num_envs, game.spec.num_players)), nothing, nothing, nothing)
    return _time_step(game, states, moved)


def reward_of(player: Array, reward: Array) -> Array:
    """f32[B]: what `player` (i32[B]) got of f32[B, P], without a gather."""
    return jnp.sum(jnp.where(player[:, None] == jnp.arange(reward.shape[1])[None], reward, 0.0), axis=1)


def select(chosen: Array, new: Tree, old: Tree) -> Tree:
    """Row by row: `new` where `chosen` (bool[B]), else `old`; both are pytrees of [B, ...] arrays."""
    return jax.tree.map(lambda a, b: jnp.where(_column(chosen, b), a, b), new, old)


def _started(game: Game[State], num_envs: int, key: Key | None) -> EngineState[State]:
    """Fresh games; without a key all start alike, which costs nothing."""
    if key is not None:
        return jax.vmap(lambda one: start(game, one))(key)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_envs, *leaf.shape)), start(game, zero_key()))


def _time_step(game: Game[State], states: EngineState[State], moved: Transition[State]) -> TimeStep:
    return TimeStep(
        observation=jax.vmap(lambda state: observe(game, state))(states),
        legal_actions=jax.vmap(lambda state: legal_actions(game, state))(states),
        player=jax.vmap(lambda state: game.player(state.game))(states),
        reward=moved.reward,
        terminated=moved.terminated,
        truncated=moved.truncated,
        illegal=moved.illegal,
    )


def _column(flags: Array, like: Array) -> Array:
    """bool[B] with trailing ones, to broadcast against `like` under strict rank promotion."""
    return flags.reshape(flags.shape + (1,) * (like.ndim - flags.ndim))
