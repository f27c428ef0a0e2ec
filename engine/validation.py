"""Whether states from outside can be: the engine's own claims and the game's, asked of a batch before it is let in.

No step asks: the hot path trusts its states, which is why bytes are looked at where they enter.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .game import Game, State
from .transition import EngineState

META = "meta"  # the field: what the engine knows and the game does not
_MANY_MOVES = 1 << 28  # far more than any game without max_steps takes, far fewer than the meta word can count


def first_flaw(game: Game[State], states: EngineState[State]) -> str | None:
    """What is wrong with the first impossible state of a batch ([B, ...] of JAX or NumPy); None if all can be."""
    broken = {name: int(np.flatnonzero(~holds)[0]) for name, holds in held(game, states).items() if not holds.all()}
    if not broken:
        return None
    row = min(broken.values())
    return f"state {row} of {game.spec.env_id} cannot be: {'; '.join(name for name in broken if broken[name] == row)}"


def held(game: Game[State], states: EngineState[State]) -> Mapping[str, np.ndarray]:
    """For each claim bool[B], whether it holds of each state; empty for an empty batch.

    The batch is filled up to a power of two, so that few sizes are ever compiled.
    """
    size = len(states.meta)
    if not size:
        return {}
    rows = np.minimum(np.arange(1 << (size - 1).bit_length()), size - 1)
    filled = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], states)
    return {name: np.asarray(holds)[:size] for name, holds in _claims(game, filled).items()}


def claims(game: Game[State], state: EngineState[State]) -> Mapping[str, Array]:
    """All that must be true of one state, bool[] each, by the field it is about.

    What a game claims of `meta` is asked of live states alone: there it says which boards a game does not go on from.
    """
    rules = game.invariants(state.game)
    known = {name: state.over | holds if name.split(":")[0] == META else holds for name, holds in rules.items()}
    return {**_of_the_clock(game, state), **_of_the_moves(game, state), **known}


def _of_the_clock(game: Game[State], state: EngineState[State]) -> Mapping[str, Array]:
    limit = game.spec.max_steps
    found = {f"{META}: a game ended by an illegal action must be over": state.over | ~state.over_by_illegal}
    if limit:
        in_time = jnp.where(state.over, state.step_count <= limit, state.step_count < limit)
        return {**found, f"{META}: more moves than max_steps = {limit} allow": in_time}
    return {**found, f"{META}: more moves than any game takes": state.step_count < _MANY_MOVES}


def _of_the_moves(game: Game[State], state: EngineState[State]) -> Mapping[str, Array]:
    some = functools.reduce(jnp.bitwise_or, game.legal_words(state.game)) != 0
    return {f"{META}: a live state without a legal action": state.over | some}


@functools.partial(jax.jit, static_argnums=0)
def _claims(game: Game[State], states: EngineState[State]) -> Mapping[str, Array]:
    return jax.vmap(functools.partial(claims, game))(states)
