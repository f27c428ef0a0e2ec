"""One step for games that want different things: which move at all, which begin again, and what follows an end.

A service steps the games of many clients in one call, so what `batch.step` takes as its compiled form is data here, a
byte of orders for every game. Games that are not told to move stay as they are, bit for bit.
"""

import dataclasses
from typing import Any, Generic

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import batch, codec
from .game import Game, State
from .transition import EngineState, legal_words, observe, transition

# Orders, one byte a game: MOVE, BEGIN_AGAIN (whatever the action) or neither, and one of three ways to go on after an
# episode's end.
MOVE, BEGIN_AGAIN = np.uint8(1), np.uint8(2)
SAME_STEP, NEXT_STEP, DISABLED = np.uint8(0), np.uint8(4), np.uint8(8)
AUTORESET_ORDERS = dict(zip(batch.AUTORESET_MODES, (SAME_STEP, NEXT_STEP, DISABLED), strict=True))

# Bits of `Moved.ends`.
TERMINATED, TRUNCATED, ILLEGAL = np.uint8(1), np.uint8(2), np.uint8(4)

Shown = dict[str, Any]  # encoding -> arrays [B, ...], not yet bytes: see `show`


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moved(Generic[State]):
    """B games after a step."""

    states: EngineState[State]
    last: EngineState[State]  # the same before any began again: what an episode that ended here left behind
    rewards: tuple[Array, ...]  # f32[B] for each player: XLA writes [B, P] number by number
    ends: Array  # u8[B]


def step(game: Game[State], states: EngineState[State], actions: Array, orders: Array) -> Moved[State]:
    """Plays `actions` (i32[B]) as `orders` (u8[B]) say; each mode does what it does in `batch.step`.

    The barriers halve the time on a CPU: without them XLA computes the move, and then the new game, again for each
    array that depends on them.
    """
    again = (orders & BEGIN_AGAIN) != 0
    moves = ((orders & MOVE) != 0) & ~again
    at_once, later = (orders & (NEXT_STEP | DISABLED)) == 0, (orders & NEXT_STEP) != 0
    moved, rewards, ends = jax.lax.optimization_barrier(_moved(game, states, actions))
    last = batch.select(moves, moved, states)
    follows = moves & ((at_once & moved.over) | (later & states.over))
    keys = None if last.key is None else batch.select(again, batch.restart_keys(states), last.key)
    return Moved(
        states=jax.lax.optimization_barrier(batch.next_episode_where(game, follows | again, last, keys)),
        last=last,
        rewards=tuple(jnp.where(moves, reward, 0.0) for reward in rewards),
        ends=jnp.where(moves, ends, np.uint8(0)),
    )


def show(game: Game[State], states: EngineState[State], outputs: tuple[str, ...]) -> Shown:
    """What is needed of a batch for `outputs`, names out of `spec.outputs`; `to_bytes` makes bytes of it on the host.

    In forms that XLA writes quickly on a CPU: bits are packed on the host, because XLA takes ten times as long for it
    as for the rest of a step.
    """
    shown: Shown = {}
    for name in outputs:
        kind, layout = name.split(":")[:2]
        if kind == "obs":
            seen = jax.vmap(lambda state: observe(game, state))(states)
            flat = seen.reshape(seen.shape[0], -1)
            shown[name] = flat if layout.startswith("f32") else flat.astype(jnp.uint8)
        elif kind == "mask":
            legal = jax.vmap(lambda state: legal_words(game, state))(states)
            # A game that is over offers no action.
            shown[name] = tuple(jnp.where(states.over, np.uint32(0), word) for word in legal)
        elif kind == "player":
            shown[name] = jax.vmap(lambda state: game.player(state.game))(states).astype(jnp.uint8)
        else:
            shown[name] = states
    return shown


def to_bytes(game: Game[State], name: str, shown: Any, rows: slice | np.ndarray) -> memoryview:
    """The bytes of some games of what `show` gave for one output, brought to the host; a view where the layout allows.

    Args:
      rows: which games, a slice or i64[k].
    """
    kind, layout = name.split(":")[:2]
    if kind == "state":
        array = codec.pack_state(jax.tree.map(lambda leaf: leaf[rows], shown))
    elif kind == "mask":
        words = np.stack([word[rows] for word in shown], axis=1).astype("<u4", copy=False)
        array = words.view(np.uint8)[:, : -(-game.spec.num_actions // 8)]
    elif layout.startswith("bits"):
        array = _packed(shown[rows])
    else:
        array = shown[rows]
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _moved(
    game: Game[State], states: EngineState[State], actions: Array
) -> tuple[EngineState[State], tuple[Array, ...], Array]:
    """(states, rewards, ends) where every game moves and none begins again."""
    moved = jax.vmap(lambda state, action: transition(game, state, action))(states, actions)
    ends = jnp.zeros(actions.shape, jnp.uint8)
    for flag, bit in ((moved.terminated, TERMINATED), (moved.truncated, TRUNCATED), (moved.illegal, ILLEGAL)):
        ends = ends | jnp.where(flag, bit, np.uint8(0))
    return moved.state, tuple(moved.reward[:, player] for player in range(game.spec.num_players)), ends


def _packed(flags: np.ndarray) -> np.ndarray:
    """u8[B, ceil(N / 8)] of u8[B, N]. Rows of whole bytes are packed in one go: NumPy goes row by row otherwise."""
    width = -(-flags.shape[1] // 8)
    padded = np.empty((len(flags), 8 * width), np.uint8)
    padded[:, : flags.shape[1]], padded[:, flags.shape[1] :] = flags, 0
    return np.packbits(padded, bitorder="little").reshape(-1, width)
