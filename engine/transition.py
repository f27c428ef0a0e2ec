"""The end of a game has one owner: every step of the batch, the search and the services passes through `transition`.

The engine's state is the game's words and one meta word: the step count in the low 30 bits, bit 30 for a game ended by
an illegal action, bit 31 for a game that is over. An over state is absorbing. A stochastic game carries a key besides:
its start draws block 0 of it, step n block n, and as a game ends the key becomes the next episode's, which is one
addition further, so that episode e of a game depends on seed, game and e alone.
"""

import dataclasses
from typing import Generic

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import bits, keys
from .game import ChanceGame, Game, State, Step
from .keys import Key

_OVER = np.uint32(1 << 31)
_ILLEGAL = np.uint32(1 << 30)
_COUNT = np.uint32((1 << 30) - 1)
_NEXT_EPISODE = np.uint32(0x243F6A89), np.uint32(0x85A308D3)  # digits of pi, made odd: no key comes back in 2^32


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EngineState(Generic[State]):
    """A game with its clock: what replay, search trees and the wire carry."""

    game: State
    meta: Array  # u32[]
    key: Key | None = None  # in stochastic games alone

    @property
    def over(self) -> Array:
        """bool[], terminated or truncated."""
        return (self.meta & _OVER) != 0

    @property
    def over_by_illegal(self) -> Array:
        """bool[], ended by an illegal action."""
        return (self.meta & _ILLEGAL) != 0

    @property
    def step_count(self) -> Array:
        """i32[], moves made so far."""
        return (self.meta & _COUNT).astype(jnp.int32)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Transition(Generic[State]):
    """One guarded step."""

    state: EngineState[State]
    reward: Array  # f32[P]
    terminated: Array  # bool[], over by the rules or by an illegal action
    truncated: Array  # bool[], cut at `max_steps`
    illegal: Array  # bool[], the action was illegal


def start(game: Game[State], key: Array | Key) -> EngineState[State]:
    """A fresh game; `key` is uint32[2] or a pair of words."""
    meta = jnp.zeros((), jnp.uint32)
    if not game.spec.stochastic:
        return EngineState(game.init(keys.zero_key()), meta)
    pair = key[0], key[1]
    return EngineState(game.init(keys.draw(pair, 0)), meta, pair)


def transition(
    game: Game[State], state: EngineState[State], action: Array, outcome: Array | None = None
) -> Transition[State]:
    """Plays `action` (i32[]) whatever the state: over states absorb it, an illegal one ends the game.

    An illegal action leaves the board as it was and gives the mover -1, every other player 1/(P-1). In a `ChanceGame`
    an `outcome` (i32[]) says what chance does; without one the state's key does.
    """
    spec = game.spec
    live = ~state.over
    legal = bits.is_set(game.legal_words(state.game), action)
    count = (state.meta & _COUNT) + live.astype(jnp.uint32)
    step_key = keys.zero_key() if state.key is None else keys.draw(state.key, count)
    step = _step(game, state.game, action, step_key, outcome)
    played = live & legal
    illegal = live & ~legal

    terminated = (played & step.terminated) | illegal
    truncated = jnp.zeros((), bool)
    if spec.max_steps:
        truncated = live & ~terminated & (count >= spec.max_steps)
    ended = terminated | truncated
    flags = jnp.where(ended, _OVER, np.uint32(0)) | jnp.where(illegal, _ILLEGAL, np.uint32(0))
    meta = jnp.where(live, count | flags, state.meta)

    board = jax.tree.map(lambda new, old: jnp.where(played, new, old), step.state, state.game)
    reward = _rewards(game, state.game, step.reward, played, illegal)
    key = None if state.key is None else _next_key(ended, state.key)
    return Transition(EngineState(board, meta, key), reward, terminated, truncated, illegal)


def _step(game: Game[State], state: State, action: Array, key: Key, outcome: Array | None) -> Step[State]:
    if outcome is None:
        return game.step(state, action, key)
    if not isinstance(game, ChanceGame):
        raise TypeError(f"{game.spec.env_id} lists no outcomes of chance, so none can be chosen")
    return game.apply_chance(game.afterstate(state, action), outcome)


def legal_words(game: Game[State], state: EngineState[State]) -> bits.Words:
    """The legal actions as a packed set (see `bits`), in which to draw a move is cheap.

    In an over state it holds every action, which does nothing there, so that no softmax divides by zero.
    """
    every = bits.full(game.spec.num_actions)
    legal = zip(every, game.legal_words(state.game), strict=True)
    return tuple(jnp.where(state.over, all_set, word) for all_set, word in legal)


def legal_actions(game: Game[State], state: EngineState[State]) -> Array:
    """bool[A] of `legal_words`."""
    return bits.unpack(legal_words(game, state), game.spec.num_actions)


def observe(game: Game[State], state: EngineState[State]) -> Array:
    """The observation of the player to move, f32[*observation_shape]."""
    return game.observe(state.game, game.player(state.game))


def _next_key(ended: Array, key: Key) -> Key:
    """The next episode's key where this one `ended`. No draw: games whose steps are without chance then need none."""
    one = jnp.where(ended, np.uint32(1), np.uint32(0))
    return key[0] + one * _NEXT_EPISODE[0], key[1] + one * _NEXT_EPISODE[1]


def _rewards(game: Game[State], state: State, earned: Array, played: Array, illegal: Array) -> Array:
    """f32[P]: what the move earned; for an illegal one -1 for the mover, shared gains for the others.

    One scalar a player until the last line: XLA then sees through a column of the batch, `reward[:, p]`, and keeps to
    plain vector loops over games, where arithmetic on f32[B, P] would loop over the two or three players. It does not
    see through `jnp.stack`, which `vmap` turns into a transpose.
    """
    num_players = game.spec.num_players
    mover = game.player(state)
    each = []
    for player in range(num_players):
        blame = jnp.where(mover == player, -1.0, 1.0 / max(num_players - 1, 1))
        each.append(jnp.where(illegal, blame, jnp.where(played, earned[player], 0.0)))
    # Strongly typed whatever the game wrote, so that it can be a carry.
    return jnp.concatenate([jnp.expand_dims(reward.astype(jnp.float32), 0) for reward in each])
