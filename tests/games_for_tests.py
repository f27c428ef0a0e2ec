"""Two tiny games that show what the board games do not: uneven turns, a cut at `max_steps`, hidden information."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from cartridge.engine.game import Step, Symmetry
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
            max_steps=max_steps,
            state_bytes=12,
            alternating=False,
        )

    def init(self, key: Array) -> CountingState:
        del key  # the start is constant
        return CountingState(jnp.uint32(0), jnp.uint32(0))

    def step(self, state: CountingState, action: Array) -> Step[CountingState]:
        total = state.total + action.astype(jnp.uint32) + 1
        won = total == TARGET
        gain = jnp.where(won, 1.0, 0.0)
        reward = jnp.where(jnp.arange(2) == self.player(state), gain, -gain)
        return Step(CountingState(total, state.moves + 1), reward, won)

    def observe(self, state: CountingState, player: Array) -> Array:
        """f32[3]: the sum, the moves, whether it is the player's turn."""
        mine = self.player(state) == player
        return jnp.stack([state.total, state.moves, mine.astype(jnp.uint32)]).astype(jnp.float32)

    def legal_actions(self, state: CountingState) -> Array:
        return state.total + jnp.arange(1, 4, dtype=jnp.uint32) <= TARGET

    def player(self, state: CountingState) -> Array:
        return (state.moves % 3 == 2).astype(jnp.int32)

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
        max_steps=0,
        state_bytes=8,
        hidden_information=True,
    )

    def init(self, key: Array) -> GuessState:
        del key  # the start is constant
        return GuessState(jnp.uint32(0))

    def step(self, state: GuessState, action: Array) -> Step[GuessState]:
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

    def legal_actions(self, state: GuessState) -> Array:
        return jnp.stack([state.word == state.word] * 2)

    def player(self, state: GuessState) -> Array:
        return (state.word & 1).astype(jnp.int32)

    def redeal(self, state: GuessState, player: Array, key: Array) -> GuessState:
        """Turns the coin at random where player 1 cannot see it."""
        unseen = ((state.word & 3) > 0) & (player == 1)
        coin = jax.random.bits(key, (), jnp.uint32) & 1
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
