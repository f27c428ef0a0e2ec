"""The contract every game fulfils: rules for one game, one stream, no batch axis.

A game is a set of pure functions over a small pytree of `uint32` words. Batching, compilation, the end of an episode
and its truncation belong to the rest of `engine`; a game's file holds its rules, its observation and its drawing, no
more.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar, runtime_checkable

import jax
from jax import Array

from .spec import GameSpec

State = TypeVar("State")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Step(Generic[State]):
    """What a legal move makes of a live game."""

    state: State
    reward: Array  # f32[P], earned by this move
    terminated: Array  # bool[], the game is over by its rules


@dataclasses.dataclass(frozen=True)
class Symmetry(Generic[State]):
    """A change of view under which the rules look the same, such as a mirror.

    `actions[a]` is the action that `a` becomes when the state is mapped by `state`.
    """

    state: Callable[[State], State]
    actions: tuple[int, ...]


class Game(Protocol[State]):
    """Rules of one game. Every method works on one state; P players, A actions.

    `step` may assume a live state and a legal action: `engine.transition` guards both.
    """

    @property
    def spec(self) -> GameSpec:
        """The frozen description that travels with states and weights."""
        ...

    def init(self, key: Array) -> State:
        """The first state; `key` is uint32[2], ignored where the start is constant."""
        ...

    def step(self, state: State, action: Array) -> Step[State]:
        """Plays a legal `action` (i32[]) in a live state."""
        ...

    def observe(self, state: State, player: Array) -> Array:
        """Planes f32[*observation_shape] as `player` (i32[]) sees them, and only what that player may know."""
        ...

    def legal_actions(self, state: State) -> Array:
        """bool[A], True = legal."""
        ...

    def player(self, state: State) -> Array:
        """i32[], whose turn it is."""
        ...

    def symmetries(self) -> Sequence[Symmetry[State]]:
        """The symmetries other than the identity; empty where there are none."""
        ...

    def action_label(self, action: int) -> str:
        """How people write the action."""
        ...

    def parse_action(self, text: str) -> int:
        """The action people write as `text`; `ValueError` says what was expected."""
        ...

    def draw(self, state: State) -> str:
        """An SVG picture; clickable elements carry `data-action`."""
        ...

    def text(self, state: State) -> str:
        """The board in plain characters, for a terminal."""
        ...


class StochasticGame(Game[State], Protocol[State]):
    """A game with chance: a step is `apply_chance(afterstate(state, action), outcome)` for a drawn outcome.

    C = `num_chance_outcomes`.
    """

    def afterstate(self, state: State, action: Array) -> State:
        """The state between the move and chance."""
        ...

    def chance_outcomes(self, state: State) -> Array:
        """f32[C], the probability of each outcome in an afterstate."""
        ...

    def apply_chance(self, state: State, outcome: Array) -> Step[State]:
        """Resolves chance by `outcome` (i32[])."""
        ...


@runtime_checkable
class HiddenInformationGame(Game[State], Protocol[State]):
    """A game in which players do not see all: `conformance` needs to change what is hidden from one of them."""

    def redeal(self, state: State, player: Array, key: Array) -> State:
        """The state with all that is hidden from `player` (i32[]) drawn anew, as their observation allows."""
        ...
