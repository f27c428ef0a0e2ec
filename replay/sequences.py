"""Steps that follow one another in a game, and what they earned: read at sampling time, so storage stays single."""

from typing import Any, TypeVar

import jax.numpy as jnp
from jax import Array

from . import ring as rings
from .ring import Ring

Row = TypeVar("Row")


def sequences(ring: Ring[Row], slots: Array, length: int) -> Row:
    """The rows of `length` steps of a game from each slot (i32[n]) on: leaves of [n, length, ...].

    There must be as many; see `follows` and `samplers.Prioritised.span`.
    """
    return rings.rows_at(ring, sequence_slots(ring, slots, length))


def sequence_slots(ring: Ring[Any], slots: Array, length: int) -> Array:
    """i32[n, length]: where those rows lie."""
    _, offset = rings.place(ring, slots)
    along = offset[:, None] + ring.columns * jnp.arange(length, dtype=jnp.int32)[None]
    return (slots - offset)[:, None] + along % ring.rows_per_group


def follows(ring: Ring[Any], slots: Array, length: int) -> Array:
    """bool[n]: whether `length` steps from each slot on have been written."""
    return rings.age(ring, slots) >= (length - 1) * ring.columns


def within_episode(discounts: Array) -> Array:
    """bool[n, L] of f32[n, L]: the steps of a sequence that belong to its first step's episode.

    A discount of 0 marks an episode's last step, which still belongs to it.
    """
    alive = jnp.cumprod(discounts != 0, axis=1, dtype=jnp.int32)
    return jnp.concatenate([jnp.ones_like(alive[:, :1]), alive[:, :-1]], axis=1) != 0


def n_step(rewards: Array, discounts: Array) -> tuple[Array, Array]:
    """(return f32[n], discount f32[n]) over the L steps of f32[n, L].

    Each reward counts as much as the product of the discounts before it, and what follows the last step counts as much
    as the product of all, which is the discount returned. Past an episode's end, whose discount is 0, nothing counts.
    Sutton and Barto, "Reinforcement Learning", 2018, section 7.1.
    """
    through = jnp.cumprod(discounts, axis=1)
    before = jnp.concatenate([jnp.ones_like(through[:, :1]), through[:, :-1]], axis=1)
    return jnp.sum(before * rewards, axis=1), through[:, -1]
