"""A function that XLA compiles by itself, within a larger program."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

Result = TypeVar("Result")


def compiled_apart(function: Callable[..., Result], always: Array, *operands: object) -> Result:
    """function(*operands), whose result is written down once and not computed anew by what comes after it.

    Left to itself, XLA on a CPU fuses: what reads a result in several places, or many times over, computes it again
    each time; and where a part of an array is replaced by what was computed from that part, it copies the array first.
    It does not look into the branches of a condition. Other devices would wait for the condition.

    Args:
      always: bool[], True, though XLA must not be able to know it.
      operands: arrays, or trees of them.
    """

    def never(*operands: object) -> Result:
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *operands))

    def on_cpu(*operands: object) -> Result:
        return jax.lax.cond(always, function, never, *operands)

    return jax.lax.platform_dependent(*operands, cpu=on_cpu, default=function)
