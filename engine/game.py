"""The contract every game fulfils: rules for one game, one stream, no batch axis.

A game is a set of pure functions over a small pytree of `uint32` words. Batching, compilation, the end of an episode
and its truncation belong to the rest of `engine`; a game's file holds its rules, its observation and its drawing, no
more.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import jax
from jax import Array

from .bits import Words
from .keys import Key
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

    def init(self, key: Key) -> State:
        """The first state; ignores `key` where the start is constant."""
        ...

    def step(self, state: State, action: Array, key: Key) -> Step[State]:
        """Plays a legal `action` (i32[]) in a live state.

        `key` is fresh at every step and all the chance there is: two uniformly random words, or, where that is not
        enough, `keys.draw(key, 0)`, `keys.draw(key, 1)` and so on. A game without chance ignores it.
        """
        ...

    def observe(self, state: State, player: Array) -> Array:
        """Planes f32[*observation_shape] as `player` (i32[]) sees them, and only what that player may know."""
        ...

    def legal_words(self, state: State) -> Words:
        """The legal actions as a set, action a at bit a % 32 of word a // 32; `bits.pack` makes it from bool[A]."""
        ...

    def player(self, state: State) -> Array:
        """i32[], whose turn it is."""
        ...

    def invariants(self, state: State) -> Mapping[str, Array]:
        """What is true of every state that play can reach, bool[] each, under a name: the field and what is wrong.

        `codec.unpack_state` asks it of bytes from outside; no step does. It need not know everything, but whatever
        passes must play on to an end. A claim about `meta` is asked of live states alone: it says which boards a game
        does not go on from.
        """
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


@runtime_checkable
class ChanceGame(Game[State], Protocol[State]):
    """A game whose chance can be listed: a step is `apply_chance(afterstate(state, action), outcome)` for some outcome.

    So search can look at every outcome, and another engine's dice can be played. C = `num_chance_outcomes`; S is the
    number of starts. What lies between the move and chance may be of a type of its own.
    """

    def start_outcomes(self) -> Array:
        """f32[S], the probability of each start."""
        ...

    def start(self, outcome: Array) -> State:
        """Start number `outcome` (i32[]); `init` draws one of them."""
        ...

    def afterstate(self, state: State, action: Array) -> Any:
        """What a legal `action` (i32[]) makes of a live state before chance has its say."""
        ...

    def chance_outcomes(self, after: Any) -> Array:
        """f32[C], the probability of each outcome; where nothing is left to chance, all of it is on outcome 0."""
        ...

    def apply_chance(self, after: Any, outcome: Array) -> Step[State]:
        """Resolves chance by `outcome` (i32[]); rewards of the move before it are part of the step."""
        ...


@runtime_checkable
class HiddenInformationGame(Game[State], Protocol[State]):
    """A game in which players do not see all: `conformance` needs to change what is hidden from one of them."""

    def redeal(self, state: State, player: Array, key: Key) -> State:
        """The state with all that is hidden from `player` (i32[]) drawn anew, as their observation allows."""
        ...
