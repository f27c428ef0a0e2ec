"""2048 in two words: sixteen nibbles, each the power of two on its cell, 0 where it is empty.

A move treats the board as four layers of four nibbles, the nearest to the wall first, and slides and merges all four
lanes at once by arithmetic on nibbles: the rows as they lie for up and down, those of the transposed board for left and
right. Two tiles of 32,768 do not merge: their sum has no nibble.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits, keys
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from .labels import parse_label

UP, RIGHT, DOWN, LEFT = range(4)
SIDE = 4
CELLS = SIDE * SIDE
_LABELS = ("up", "right", "down", "left")
_LARGEST = 15  # a power
_ONES = np.uint32(0x1111)  # the lowest bit of each nibble of a layer
_STARTS = CELLS * (CELLS - 1) * 4  # ordered pairs of cells, and a two or a four on each
_FOUR_IN = 10  # one new tile in ten is a four


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Board:
    """Cell 4 * row + column is nibble number cell % 8 of the low word (rows 0, 1) or of the high one."""

    low: Array  # u32[]
    high: Array  # u32[]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Slid:
    """A board between a move and the new tile."""

    board: Board
    gain: Array  # f32[], the sum of the tiles that the move has made by merging


class Twenty48:
    """One player. The reward of a move is the sum of the tiles it makes by merging; no move left ends the game."""

    spec = GameSpec(
        env_id="2048",
        version="1.0.0",
        num_players=1,
        num_actions=4,
        observation_shape=(SIDE, SIDE, _LARGEST + 1),
        max_steps=0,
        state_bytes=20,
        num_chance_outcomes=2 * CELLS,
        preferred_batch=16384,
        stochastic=True,
    )

    def init(self, key: Key) -> Board:
        cells = keys.below(key[0], CELLS * (CELLS - 1))
        fours = _is_four(key[1]).astype(jnp.uint32) | (_is_four(key[1] << 16).astype(jnp.uint32) << 1)
        return self.start((cells * 4 + fours).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        of_fours = np.array([0.81, 0.09, 0.09, 0.01], np.float32) / (CELLS * (CELLS - 1))
        return jnp.asarray(np.tile(of_fours, CELLS * (CELLS - 1)))

    def start(self, outcome: Array) -> Board:
        """Start 4 * (15 * a + b) + f: a tile on cell a and one on cell number b of the others; bits of f: fours."""
        number = outcome.astype(jnp.uint32)
        fours, pair = number & 3, number >> 2
        first, second = pair // (CELLS - 1), pair % (CELLS - 1)
        second = second + (second >= first)
        empty = Board(jnp.uint32(0), jnp.uint32(0))
        return _with_tile(_with_tile(empty, first, (fours & 1) + 1), second, (fours >> 1) + 1)

    def step(self, state: Board, action: Array, key: Key) -> Step[Board]:
        after = self.afterstate(state, action)
        empty = _empty_cells(after.board)
        number = keys.below(key[0], bits.popcount(empty).astype(jnp.uint32))
        outcome = 2 * bits.nth_set((empty,), number) + _is_four(key[1])
        return self.apply_chance(after, outcome)

    def afterstate(self, state: Board, action: Array) -> Slid:
        """The slide, before the new tile."""
        sideways, backwards = (action & 1) == 1, (action == RIGHT) | (action == DOWN)
        turned = _where(sideways, _transpose(state), state)
        ordered = _where(backwards, _reverse_layers(turned), turned)
        slid, gain = _slide(ordered)
        turned = _where(backwards, _reverse_layers(slid), slid)
        return Slid(_where(sideways, _transpose(turned), turned), gain)

    def chance_outcomes(self, after: Slid) -> Array:
        """Outcome 2 * cell puts a two on an empty cell, 2 * cell + 1 a four."""
        cell, four = jnp.arange(2 * CELLS, dtype=jnp.uint32) >> 1, jnp.arange(2 * CELLS) & 1
        empty = _empty_cells(after.board)
        share = jnp.where(four == 1, 1 / _FOUR_IN, 1 - 1 / _FOUR_IN) / bits.popcount(empty).astype(jnp.float32)
        return jnp.where((empty >> cell) & 1 == 1, share, 0.0)

    def apply_chance(self, after: Slid, outcome: Array) -> Step[Board]:
        number = outcome.astype(jnp.uint32)
        board = _with_tile(after.board, number >> 1, (number & 1) + 1)
        return Step(board, jnp.stack([after.gain]), self.legal_words(board)[0] == 0)

    def observe(self, state: Board, player: Array) -> Array:
        """f32[4, 4, 16]: plane p is 1 on the cells that hold 2 to the power of p, plane 0 on the empty ones."""
        del player
        shift = 4 * (jnp.arange(CELLS, dtype=jnp.uint32) % 8)
        word = jnp.where(jnp.arange(CELLS) < CELLS // 2, state.low, state.high)
        power = (word >> shift) & 0xF  # [16]
        planes = power[:, None] == jnp.arange(_LARGEST + 1, dtype=jnp.uint32)[None]
        return planes.astype(jnp.float32).reshape(self.spec.observation_shape)

    def legal_words(self, state: Board) -> bits.Words:
        up, down = _can_slide(state)
        left, right = _can_slide(_transpose(state))
        return ((up << UP) | (right << RIGHT) | (down << DOWN) | (left << LEFT),)

    def player(self, state: Board) -> Array:
        return (state.low & 0).astype(jnp.int32)

    def invariants(self, state: Board) -> Mapping[str, Array]:
        """A state without a move can only be over, which the engine asks of every game."""
        new = [(layer ^ (layer >> 1)) & ~(layer >> 2) & ~(layer >> 3) & _ONES for layer in _layers(state)]
        return {
            "low, high: fewer than two tiles": bits.popcount(_empty_cells(state)) <= CELLS - 2,
            "low, high: no two or four, and so no new tile": new[0] | new[1] | new[2] | new[3] != 0,
        }

    def symmetries(self) -> Sequence[Symmetry[Board]]:
        """The seven turns and mirrors of the square other than the identity; chance has the same symmetries."""
        flips = (_same, _reverse_layers, _reverse_lanes, lambda board: _reverse_lanes(_reverse_layers(board)))
        actions = ((UP, RIGHT, DOWN, LEFT), (DOWN, RIGHT, UP, LEFT), (UP, LEFT, DOWN, RIGHT), (DOWN, LEFT, UP, RIGHT))
        plain = [Symmetry(flip, image) for flip, image in zip(flips, actions, strict=True)]
        turned = [_transposed_first(symmetry) for symmetry in plain]
        return [*plain[1:], *turned]

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text, "direction")

    def draw(self, state: Board) -> str:
        return _picture(_powers(state))

    def text(self, state: Board) -> str:
        return "\n".join(" ".join(f"{1 << power if power else '.':>5}" for power in row) for row in _powers(state))


def _is_four(word: Array) -> Array:
    """bool[], drawn from the upper half of a random word."""
    return keys.below(word, _FOUR_IN) == 0


def _with_tile(board: Board, cell: Array, power: Array) -> Board:
    """`power` (u32[]) on an empty `cell` (u32[])."""
    tile = power << (4 * (cell & 7))
    return Board(board.low | jnp.where(cell < 8, tile, 0), board.high | jnp.where(cell < 8, 0, tile))


def _slide(board: Board) -> tuple[Board, Array]:
    """The board slid towards layer 0, and the sum of the tiles made by merging, f32[]."""
    layers = list(_layers(board))
    for near in (0, 1, 2, 0, 1, 0):  # three, two and one exchanges gather four layers at the wall
        _close_gap(layers, near)
    gain = jnp.zeros((), jnp.uint32)
    for near in range(SIDE - 1):
        gain = gain + _merge(layers, near)
    for near in (1, 2):  # a merge leaves one gap, and two merges leave two that are apart
        _close_gap(layers, near)
    return Board(layers[0] | (layers[1] << 16), layers[2] | (layers[3] << 16)), gain.astype(jnp.float32)


def _close_gap(layers: list[Array], near: int) -> None:
    """Moves the tiles of the next layer onto empty cells of layer `near`."""
    free = ~_filled(layers[near])
    layers[near] = layers[near] | (layers[near + 1] & free)
    layers[near + 1] = layers[near + 1] & ~free


def _merge(layers: list[Array], near: int) -> Array:
    """Merges equal tiles of layer `near` and the next; returns the sum of the new tiles, u32[]."""
    a, b = layers[near], layers[near + 1]
    largest = _filled(~a & 0xFFFF) ^ 0xFFFF  # all four bits set
    equal = _filled(a) & ~_filled(a ^ b) & ~largest
    layers[near], layers[near + 1] = a + (equal & _ONES), b & ~equal
    total = jnp.zeros((), jnp.uint32)
    for lane in range(SIDE):
        made = (jnp.uint32(2) << ((a >> (4 * lane)) & 0xF)) & -((equal >> (4 * lane)) & 1)
        total = total + made
    return total


def _can_slide(board: Board) -> tuple[Array, Array]:
    """(u32[], u32[]): 1 where a slide towards layer 0, and away from it, changes the board."""
    layers = _layers(board)
    filled = [_filled(layer) for layer in layers]
    towards, away = jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32)
    for near in range(SIDE - 1):
        a, b = filled[near], filled[near + 1]
        largest = _filled(~layers[near] & 0xFFFF) ^ 0xFFFF
        equal = a & ~_filled(layers[near] ^ layers[near + 1]) & ~largest
        towards, away = towards | equal | (b & ~a), away | equal | (a & ~b)
    return (towards != 0).astype(jnp.uint32), (away != 0).astype(jnp.uint32)


def _layers(board: Board) -> tuple[Array, Array, Array, Array]:
    """Four layers of four nibbles in the lower half of a word, the one next to the wall first."""
    return board.low & 0xFFFF, board.low >> 16, board.high & 0xFFFF, board.high >> 16


def _filled(layer: Array) -> Array:
    """All four bits of each nibble that is not zero."""
    folded = layer | (layer >> 1)
    return ((folded | (folded >> 2)) & _ONES) * 15


def _empty_cells(board: Board) -> Array:
    """u32[], bit c for each empty cell c."""
    empty = jnp.zeros((), jnp.uint32)
    for row, layer in enumerate(_layers(board)):
        ones = ~_filled(layer) & _ONES  # bits 0, 4, 8 and 12
        gathered = ones | (ones >> 3)
        empty = empty | (((gathered | (gathered >> 6)) & 0xF) << (SIDE * row))
    return empty


def _transpose(board: Board) -> Board:
    """Rows become columns: nibbles change places within 2 x 2 blocks, then the blocks do."""
    low, high = _transpose_blocks(board.low), _transpose_blocks(board.high)
    changed = ((low >> 8) ^ high) & 0x00FF00FF
    return Board(low ^ (changed << 8), high ^ changed)


def _transpose_blocks(word: Array) -> Array:
    changed = (word ^ (word >> 12)) & 0xF0F0
    return word ^ changed ^ (changed << 12)


def _reverse_layers(board: Board) -> Board:
    """The last row first."""
    return Board(board.high << 16 | board.high >> 16, board.low << 16 | board.low >> 16)


def _reverse_lanes(board: Board) -> Board:
    """The last column first."""
    return Board(_reverse_nibbles(board.low), _reverse_nibbles(board.high))


def _reverse_nibbles(word: Array) -> Array:
    pairs = ((word & 0x0F0F0F0F) << 4) | ((word >> 4) & 0x0F0F0F0F)
    return ((pairs & 0x00FF00FF) << 8) | ((pairs >> 8) & 0x00FF00FF)


def _same(board: Board) -> Board:
    return board


def _transposed_first(symmetry: Symmetry[Board]) -> Symmetry[Board]:
    """The symmetry after a transposition, which makes up left and right down."""
    image = tuple(symmetry.actions[action] for action in (LEFT, DOWN, RIGHT, UP))
    return Symmetry(lambda board: symmetry.state(_transpose(board)), image)


def _where(chosen: Array, new: Board, old: Board) -> Board:
    return Board(jnp.where(chosen, new.low, old.low), jnp.where(chosen, new.high, old.high))


def _powers(board: Board) -> list[list[int]]:
    """The nibbles as rows of numbers."""
    value = int(board.low) | int(board.high) << 32
    return [[(value >> (4 * (SIDE * row + column))) & 0xF for column in range(SIDE)] for row in range(SIDE)]


_TILE, _MARGIN = 72, 24
_STYLE = (
    "<style>.board{fill:#eef1f5}.cell{fill:#fff;stroke:#c5ccd6}.tile{fill:#d55e00}.arrow{fill:#8a94a3;cursor:pointer}"
    "text{font:bold 22px system-ui,sans-serif;text-anchor:middle;fill:#222}"
    "@media(prefers-color-scheme:dark){.board{fill:#262b33}.cell{fill:#12151a;stroke:#444c58}text{fill:#eee}}</style>"
)


def _picture(powers: list[list[int]]) -> str:
    """An SVG: the tiles, the darker the larger, and an arrow on each side to click."""
    size = SIDE * _TILE + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
        f'role="img">{_STYLE}<rect class="board" width="{size}" height="{size}" rx="8"/>'
    ]
    for row, line in enumerate(powers):
        for column, power in enumerate(line):
            x, y = _MARGIN + column * _TILE + 3, _MARGIN + row * _TILE + 3
            place = f'x="{x}" y="{y}" width="{_TILE - 6}" height="{_TILE - 6}" rx="5"'
            parts.append(f'<rect class="cell" {place}/>')
            if power:
                strength = min(0.85, 0.08 * power)
                parts.append(f'<rect class="tile" fill-opacity="{strength:.2f}" {place}/>')
                parts.append(f'<text x="{x + _TILE // 2 - 3}" y="{y + _TILE // 2 + 5}">{1 << power}</text>')
    middle, far = size // 2, size - _MARGIN // 2
    centres = {UP: (middle, _MARGIN // 2), RIGHT: (far, middle), DOWN: (middle, far), LEFT: (_MARGIN // 2, middle)}
    for action, (x, y) in centres.items():
        turn, shape = f"rotate({90 * action} {x} {y})", f"M{x - 12} {y + 6}H{x + 12}L{x} {y - 8}Z"
        parts.append(f'<path class="arrow" data-action="{action}" transform="{turn}" d="{shape}"/>')
    return "".join(parts) + "</svg>"
