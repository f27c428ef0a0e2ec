"""Nim in one word: four piles of up to seven counters, a nibble each, and a bit for whose turn it is.

A move takes any number of counters from one pile. Who takes the last counter wins; with `misere=1` that player loses.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from cartridge.engine import bits
from cartridge.engine.game import Step, Symmetry
from cartridge.engine.keys import Key
from cartridge.engine.spec import GameSpec
from jax import Array

PILES, MOST = 4, 7  # piles, and counters in the largest
ACTIONS = PILES * MOST  # action 7 * p + k takes k + 1 counters from pile p
_START = 0x7531
_ALL_PILES, _TURN = 0xFFFF, 1 << 16
_ANY = 0x17777  # all bits of piles of up to seven, and the turn


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NimState:
    """Bits 4 * p to 4 * p + 2 hold the size of pile p, bit 16 is set where player 1 is to move."""

    word: Array  # u32[]


class Nim:
    """Two players, piles of 1, 3, 5 and 7; player 0 moves first."""

    def __init__(self, misere: str = "0") -> None:
        if misere not in ("0", "1"):
            raise ValueError(f"misere is {misere!r}, expected 0 or 1")
        self._last_wins = misere == "0"
        self.spec = GameSpec(
            env_id="nim",
            version="1.0.0",
            num_players=2,
            num_actions=ACTIONS,
            observation_shape=(PILES, MOST, 1),
            max_steps=0,
            state_bytes=8,
            options=() if self._last_wins else (("misere", "1"),),
        )

    def init(self, key: Key) -> NimState:
        del key  # the start is constant
        return NimState(jnp.uint32(_START))

    def step(self, state: NimState, action: Array, key: Key) -> Step[NimState]:
        del key  # there is no chance
        chosen = action.astype(jnp.uint32)
        pile, taken = chosen // MOST, chosen % MOST + 1
        word = (state.word - (taken << (4 * pile))) ^ _TURN
        ended = (word & _ALL_PILES) == 0
        first_wins = (self.player(state) == 0) == self._last_wins
        gain = jnp.where(ended, jnp.where(first_wins, 1.0, -1.0), 0.0)
        return Step(NimState(word), jnp.stack([gain, 0.0 - gain]), ended)

    def legal_words(self, state: NimState) -> bits.Words:
        """From a pile of n one may take 1 to n: the lowest n of its seven bits."""
        legal = jnp.uint32(0)
        for pile in range(PILES):
            size = (state.word >> (4 * pile)) & 0xF
            legal = legal | (((jnp.uint32(1) << size) - 1) << (MOST * pile))
        return (legal,)

    def player(self, state: NimState) -> Array:
        return (state.word >> 16).astype(jnp.int32)

    def invariants(self, state: NimState) -> Mapping[str, Array]:
        return {"word: bits beyond the piles and the turn": state.word & ~jnp.uint32(_ANY) == 0}

    def observe(self, state: NimState, player: Array) -> Array:
        """f32[4, 7, 1]: pile p shows a one for each of its counters; both players see the same."""
        del player
        planes = bits.to_planes(self.legal_words(state), [(0, action) for action in range(ACTIONS)])
        return planes.reshape(self.spec.observation_shape)

    def symmetries(self) -> Sequence[Symmetry[NimState]]:
        """The piles in reverse order."""
        actions = [(PILES - 1 - action // MOST) * MOST + action % MOST for action in range(ACTIONS)]
        return [Symmetry(_reversed, tuple(actions))]

    def action_label(self, action: int) -> str:
        return "abcd"[action // MOST] + str(action % MOST + 1)

    def parse_action(self, text: str) -> int:
        labels = [self.action_label(action) for action in range(ACTIONS)]
        if text.strip().lower() not in labels:
            raise ValueError(f"{text!r} is no move; write a pile a-d and a number of counters 1-7, such as c2")
        return labels.index(text.strip().lower())

    def draw(self, state: NimState) -> str:
        """A click on a counter takes it and all to its right."""
        parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 280 160" width="280" height="160">']
        for pile, size in enumerate(_sizes(state)):
            for place in range(size):
                action, x, y = MOST * pile + size - place - 1, 20 + 40 * place, 20 + 40 * pile
                parts.append(f'<circle data-action="{action}" cx="{x}" cy="{y}" r="16" fill="#d55e00"/>')
        return "".join(parts) + "</svg>"

    def text(self, state: NimState) -> str:
        return "\n".join(f"{name} {'o ' * size}".rstrip() for name, size in zip("abcd", _sizes(state), strict=True))


def _reversed(state: NimState) -> NimState:
    pairs = ((state.word & 0x0F0F) << 4) | ((state.word & 0xF0F0) >> 4)
    return NimState(((pairs & 0xFF) << 8) | (pairs >> 8) | (state.word & _TURN))


def _sizes(state: NimState) -> list[int]:
    """Counters in each pile, outside compiled code."""
    return [(int(state.word) >> (4 * pile)) & 0xF for pile in range(PILES)]
