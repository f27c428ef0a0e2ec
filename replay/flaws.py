"""Whether rows from outside can be: their states, and the policies and values that a learner would fit to them.

What the engine looks at in a state is `engine.validation`; here is what a row must keep besides.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine.game import Game
from ..engine.transition import EngineState, legal_actions
from ..engine.validation import held
from .batches import PolicyRows

BATCH = 1 << 13  # rows looked at in one call; a batch is filled up to it, so that one size is compiled
_SUM_ERROR = 1e-3  # by which a policy may miss 1: f32 sums of thousands of actions stay far below
_ILLEGAL_SHARE = 1e-6  # of a policy; its cross-entropy with a masked network is enormous


def first_flaw(game: Game[Any], rows: PolicyRows, moves: np.ndarray) -> tuple[int, str] | None:
    """(row, what is wrong with it) of the first row that cannot be, None if all can.

    Args:
      rows: at most `BATCH`, NumPy leaves of [n, ...].
      moves: i[n], the move counts that the rows are said to have.
    """
    states, policy, value = rows.state, np.asarray(rows.policy), np.asarray(rows.value)
    number = len(value)
    filled = filled_up(states)
    known = {claim: holds[:number] for claim, holds in held(game, filled).items()}
    over, illegal_share = (np.asarray(found)[:number] for found in _told(game, filled, _filled(policy)))
    with np.errstate(invalid="ignore"):
        total, least = policy.sum(1), policy.min(1)
        claims = {
            "its state": np.logical_and.reduce(list(known.values())),
            "its game is over": ~over,
            "its move": np.asarray(states.step_count) == moves,
            "its policy has a number that is not finite": np.isfinite(policy).all(1),
            "its policy has a negative probability": ~(least < 0),
            "its policy does not sum to 1": np.abs(total - 1) <= _SUM_ERROR,
            "its policy gives illegal actions a share": ~(illegal_share > _ILLEGAL_SHARE),
            "its value": (value >= -1) & (value <= 1),
        }
    broken = {name: int(np.argmin(holds)) for name, holds in claims.items() if not holds.all()}
    if not broken:
        return None
    name = min(broken, key=lambda name: broken[name])
    row = broken[name]
    details = {
        "its state": lambda: f"its state cannot be: {'; '.join(claim for claim in known if not known[claim][row])}",
        "its move": lambda: f"its move is {moves[row]}, its state counts {int(states.step_count[row])}",
        "its policy does not sum to 1": lambda: f"its policy sums to {total[row]:.6g}, expected 1",
        "its policy gives illegal actions a share": lambda: f"{name} of {illegal_share[row]:.6g}",
        "its value": lambda: f"its value is {value[row]:.6g}, expected -1 to 1",
    }
    return row, str(details[name]() if name in details else name)


def filled_up(states: EngineState[Any]) -> EngineState[Any]:
    """The states ([n], at least 1 and at most `BATCH`) with the last one repeated, [BATCH]."""
    return jax.tree.map(_filled, states)


def _filled(leaf: Any) -> np.ndarray:
    return np.asarray(leaf)[np.minimum(np.arange(BATCH), len(leaf) - 1)]


@functools.partial(jax.jit, static_argnums=0)
def _told(game: Game[Any], states: EngineState[Any], policy: Array) -> tuple[Array, Array]:
    """(over bool[n], the policy's share on illegal actions f32[n])."""
    legal = jax.vmap(lambda state: legal_actions(game, state))(states)
    return states.over, jnp.sum(jnp.where(legal, 0.0, policy), axis=1)
