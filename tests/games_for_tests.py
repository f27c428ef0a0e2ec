"""Tiny games that show what the board games do not: uneven turns, a cut at `max_steps`, hidden information, chance."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from cartridge.engine import bits, keys
from cartridge.engine.game import Step, Symmetry
from cartridge.engine.keys import Key
from cartridge.engine.spec import GameSpec
from jax import Array

TARGET = 10


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CountingState:
    """The sum so far and the moves made."""

    total: Array  # u32[]
    moves: Array  # u32[]


class Counting:
    """Players add 1, 2 or 3; who makes ten wins. Player 0 moves twice, then player 1 once, and so on."""

    def __init__(self, max_steps: int = 0) -> None:
        self.spec = GameSpec(
            env_id="counting",
            version="1.0.0",
            num_players=2,
            num_actions=3,
            observation_shape=(3,),
            observation_limit=255,
            max_steps=max_steps,
            state_bytes=12,
            alternating=False,
        )

    def init(self, key: Key) -> CountingState:
        del key  # the start is constant
        return CountingState(jnp.uint32(0), jnp.uint32(0))

    def step(self, state: CountingState, action: Array, key: Key) -> Step[CountingState]:
        del key
        total = state.total + action.astype(jnp.uint32) + 1
        won = total == TARGET
        gain = jnp.where(won, 1.0, 0.0)
        reward = jnp.where(jnp.arange(2) == self.player(state), gain, -gain)
        return Step(CountingState(total, state.moves + 1), reward, won)

    def observe(self, state: CountingState, player: Array) -> Array:
        """f32[3]: the sum, the moves, whether it is the player's turn."""
        mine = self.player(state) == player
        return jnp.stack([state.total, state.moves, mine.astype(jnp.uint32)]).astype(jnp.float32)

    def legal_words(self, state: CountingState) -> bits.Words:
        return bits.pack(state.total + jnp.arange(1, 4, dtype=jnp.uint32) <= TARGET)

    def player(self, state: CountingState) -> Array:
        return (state.moves % 3 == 2).astype(jnp.int32)

    def invariants(self, state: CountingState) -> Mapping[str, Array]:
        return {
            "total: more than the target": state.total <= TARGET,
            "moves: not as many as make the sum": (state.moves <= state.total) & (state.total <= 3 * state.moves),
        }

    def symmetries(self) -> Sequence[Symmetry[CountingState]]:
        return []

    def action_label(self, action: int) -> str:
        return f"+{action + 1}"

    def parse_action(self, text: str) -> int:
        if text not in ("+1", "+2", "+3"):
            raise ValueError(f"{text!r} is no move; write +1, +2 or +3")
        return int(text) - 1

    def draw(self, state: CountingState) -> str:
        buttons = "".join(f'<text data-action="{action}">+{action + 1}</text>' for action in range(3))
        return f'<svg xmlns="http://www.w3.org/2000/svg"><text>{int(state.total)}</text>{buttons}</svg>'

    def text(self, state: CountingState) -> str:
        return f"{int(state.total)} of {TARGET}"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GuessState:
    """Bits 0-1: the moves made; bit 2: the coin that player 0 laid."""

    word: Array  # u32[]


class Guess:
    """Player 0 lays a coin face down, player 1 says which side; right wins."""

    spec = GameSpec(
        env_id="guess",
        version="1.0.0",
        num_players=2,
        num_actions=2,
        observation_shape=(2,),
        observation_limit=255,
        max_steps=0,
        state_bytes=8,
        hidden_information=True,
    )

    def init(self, key: Key) -> GuessState:
        del key  # the start is constant
        return GuessState(jnp.uint32(0))

    def step(self, state: GuessState, action: Array, key: Key) -> Step[GuessState]:
        del key
        second = self.player(state) == 1
        chosen = action.astype(jnp.uint32)
        right = jnp.where((state.word >> 2) == chosen, 1.0, -1.0)
        laid = jnp.where(second, state.word >> 2, chosen)
        reward = jnp.where(second, jnp.stack([-right, right]), 0.0)
        return Step(GuessState(((state.word & 3) + 1) | (laid << 2)), reward, second)

    def observe(self, state: GuessState, player: Array) -> Array:
        """f32[2]: whether the coin lies, and its side for the one who laid it."""
        laid = (state.word & 3) > 0
        return jnp.stack([laid, laid & (player == 0) & (state.word >> 2 == 1)]).astype(jnp.float32)

    def legal_words(self, state: GuessState) -> bits.Words:
        return ((state.word | 0b11) & 0b11,)

    def player(self, state: GuessState) -> Array:
        return (state.word & 1).astype(jnp.int32)

    def invariants(self, state: GuessState) -> Mapping[str, Array]:
        moves, coin = state.word & 3, state.word >> 2
        return {
            "word: unused bits": coin <= 1,
            "word: more moves than two": moves <= 2,
            "word: a coin before it is laid": (coin == 0) | (moves > 0),
            "meta: the game goes on after the guess": moves < 2,
        }

    def redeal(self, state: GuessState, player: Array, key: Key) -> GuessState:
        """Turns the coin at random where player 1 cannot see it."""
        unseen = ((state.word & 3) > 0) & (player == 1)
        coin = key[0] & 1
        return GuessState(jnp.where(unseen, (state.word & 3) | (coin << 2), state.word))

    def symmetries(self) -> Sequence[Symmetry[GuessState]]:
        return []

    def action_label(self, action: int) -> str:
        return ("heads", "tails")[action]

    def parse_action(self, text: str) -> int:
        if text not in ("heads", "tails"):
            raise ValueError(f"{text!r} is no side; write heads or tails")
        return ("heads", "tails").index(text)

    def draw(self, state: GuessState) -> str:
        return '<svg xmlns="http://www.w3.org/2000/svg"><g data-action="0"/><g data-action="1"/></svg>'

    def text(self, state: GuessState) -> str:
        return f"{int(state.word) & 3} moves made"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RaceState:
    """Points of the two players in bits 0-7 and 8-15, whose turn in bit 16."""

    word: Array  # u32[]


class DiceRace:
    """Players take turns to roll: action 0 moves on by the die, action 1 by one more with a die of five. 20 wins.

    Player 1 starts with up to three points, so that starts differ.
    """

    spec = GameSpec(
        env_id="dice_race",
        version="1.0.0",
        num_players=2,
        num_actions=2,
        observation_shape=(3,),
        observation_limit=255,
        max_steps=0,
        state_bytes=16,
        num_chance_outcomes=6,
        stochastic=True,
    )

    def init(self, key: Key) -> RaceState:
        return self.start(keys.below(key[0], 4).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        return jnp.full((4,), 0.25)

    def start(self, outcome: Array) -> RaceState:
        return RaceState(outcome.astype(jnp.uint32) << 8)

    def step(self, state: RaceState, action: Array, key: Key) -> Step[RaceState]:
        sides = 6 - action.astype(jnp.uint32)
        return self.apply_chance(self.afterstate(state, action), keys.below(key[0], sides).astype(jnp.int32))

    def afterstate(self, state: RaceState, action: Array) -> RaceState:
        """The action waits in bit 17 for the die."""
        return RaceState(state.word | (action.astype(jnp.uint32) << 17))

    def chance_outcomes(self, after: RaceState) -> Array:
        sides = 6 - (after.word >> 17)
        return jnp.where(jnp.arange(6, dtype=jnp.uint32) < sides, 1 / sides.astype(jnp.float32), 0.0)

    def apply_chance(self, after: RaceState, outcome: Array) -> Step[RaceState]:
        second = (after.word >> 16) & 1
        word = (after.word & 0x1FFFF) + ((outcome.astype(jnp.uint32) + 1 + (after.word >> 17)) << (8 * second))
        won = ((word >> (8 * second)) & 255) >= 20
        gain = jnp.where(won, jnp.where(second == 0, 1.0, -1.0), 0.0)
        return Step(RaceState(word ^ (1 << 16)), jnp.stack([gain, 0.0 - gain]), won)

    def observe(self, state: RaceState, player: Array) -> Array:
        mine = self.player(state) == player
        return jnp.stack([state.word & 255, (state.word >> 8) & 255, mine.astype(jnp.uint32)]).astype(jnp.float32)

    def legal_words(self, state: RaceState) -> bits.Words:
        return ((state.word | 0b11) & 0b11,)

    def player(self, state: RaceState) -> Array:
        return ((state.word >> 16) & 1).astype(jnp.int32)

    def invariants(self, state: RaceState) -> Mapping[str, Array]:
        points = state.word & 255, (state.word >> 8) & 255
        return {
            "word: unused bits": state.word >> 17 == 0,
            "word: more points than the last roll can make": (points[0] <= 25) & (points[1] <= 25),
            "meta: the game goes on after 20 points": (points[0] < 20) & (points[1] < 20),
        }

    def symmetries(self) -> Sequence[Symmetry[RaceState]]:
        return []

    def action_label(self, action: int) -> str:
        return ("plain", "sure")[action]

    def parse_action(self, text: str) -> int:
        if text not in ("plain", "sure"):
            raise ValueError(f"{text!r} is no move; write plain or sure")
        return ("plain", "sure").index(text)

    def draw(self, state: RaceState) -> str:
        return '<svg xmlns="http://www.w3.org/2000/svg"><g data-action="0"/><g data-action="1"/></svg>'

    def text(self, state: RaceState) -> str:
        return f"{int(state.word) & 255} to {(int(state.word) >> 8) & 255}"
