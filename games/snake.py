"""Snake in nine words: the joints between its cells, and where head, tail and food are.

The snake is a path, so two boards say all about its body: which cells are joined to the right neighbour, and which to
the lower one. A cell is the snake's if it has a joint. The tail has but one, which leads to the new tail: it is cut as
the tail moves on, and no list of cells is kept. The rules are written out in docs/rules/snake.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits, keys
from ..engine.bits import Words
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import arcade
from .arcade import SIDE, Thing
from .labels import parse_label

UP, RIGHT, DOWN, LEFT = range(4)
CELLS = SIDE * SIDE
_LABELS = ("up", "right", "down", "left")
_WORDS = 4  # of a board: cell c = 10 * row + column is bit c % 32 of word c // 32
_ALL = bits.full(CELLS)
_TAIL, _HEAD = 5 * SIDE + 2, 5 * SIDE + 4  # at the start, in a straight line
_NO_FOOD = 127
# Where no joint begins, bits beyond the board among them
_NOT_TO_RIGHT, _NOT_DOWN = (
    tuple(np.uint32(sum(1 << bit for bit in range(32) if none(32 * word + bit))) for word in range(_WORDS))
    for none in (lambda cell: cell >= CELLS or cell % SIDE == SIDE - 1, lambda cell: cell >= CELLS - SIDE)
)
_PLACE = 127  # mask of a cell's number


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SnakeState:
    """The path of the snake, and the food."""

    right: Words  # 4 of u32[], the cells joined to their right neighbours
    down: Words  # 4 of u32[], the cells joined to their lower neighbours
    places: Array  # u32[], from bit 0: head (7 bits), tail (7), food (7, or `_NO_FOOD`), direction of the head (2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moved:
    """A snake that has moved, before new food."""

    state: SnakeState
    empty: Words  # the cells that are not the snake's
    hungry: Array  # bool[], new food is to be placed
    gain: Array  # f32[]
    over: Array  # bool[]


class Snake:
    """One player. Food earns 1; walls and the own body kill. To step back onto the neck is not legal."""

    spec = GameSpec(
        env_id="snake",
        version="1.0.0",
        num_players=1,
        num_actions=4,
        observation_shape=(SIDE, SIDE, 6),
        max_steps=4000,
        state_bytes=48,
        num_chance_outcomes=CELLS,
        preferred_batch=16384,
        stochastic=True,
    )

    def init(self, key: Key) -> SnakeState:
        free = keys.below(key[0], CELLS - (_HEAD - _TAIL + 1))
        return self.start((free + jnp.where(free < _TAIL, 0, _HEAD - _TAIL + 1)).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        free = np.ones(CELLS, np.float32)
        free[_TAIL : _HEAD + 1] = 0
        return jnp.asarray(free / free.sum())

    def start(self, outcome: Array) -> SnakeState:
        """Start c has the food on cell c."""
        none = jnp.zeros((), jnp.uint32)
        joints = jnp.uint32(0b11 << (_TAIL - 32))
        return SnakeState(
            (none, joints, none, none), (none,) * _WORDS, _places(_HEAD, _TAIL, outcome.astype(jnp.uint32), RIGHT)
        )

    def step(self, state: SnakeState, action: Array, key: Key) -> Step[SnakeState]:
        after = self.afterstate(state, action)
        number = keys.below(key[0], bits.count(after.empty).astype(jnp.uint32))
        return self.apply_chance(after, bits.nth_set(after.empty, number))

    def afterstate(self, state: SnakeState, action: Array) -> Moved:
        """The move, with the old food."""
        head, tail, food = _head(state), _tail(state), _food(state)
        direction = action.astype(jnp.uint32)
        target, inside = _neighbour(head, direction)
        ate = inside & (target == food)
        tail_board, target_board = _board(tail), _board(target)
        given_up = [jnp.where(ate, 0, word) for word in tail_board]  # the cell of a tail that moves on

        body = [word & ~gone for word, gone in zip(_body(state), given_up, strict=True)]
        lives = inside & ~_overlap(body, target_board)
        new_tail = jnp.where(ate, tail, _after_tail(state, tail, tail_board))
        right, down = _cut(state.right, given_up, 1), _cut(state.down, given_up, SIDE)
        sideways, forwards = (direction & 1) == 1, (direction == RIGHT) | (direction == DOWN)
        joint = _board(jnp.where(forwards, head, target))
        right = tuple(word | jnp.where(sideways, bit, 0) for word, bit in zip(right, joint, strict=True))
        down = tuple(word | jnp.where(sideways, 0, bit) for word, bit in zip(down, joint, strict=True))

        empty = tuple(full & ~(a | b) for full, a, b in zip(_ALL, body, target_board, strict=True))
        won = ate & (empty[0] | empty[1] | empty[2] | empty[3] == 0)
        left_over = jnp.where(won, jnp.uint32(_NO_FOOD), food)
        after = SnakeState(right, down, _places(target, new_tail, left_over, direction))
        after = jax.tree.map(lambda new, old: jnp.where(lives, new, old), after, state)
        return Moved(after, empty, ate & ~won, ate.astype(jnp.float32), ~lives | won)

    def chance_outcomes(self, after: Moved) -> Array:
        """Outcome c puts the food on cell c, an empty one."""
        share = 1 / bits.count(after.empty).astype(jnp.float32)
        placed = jnp.where(bits.unpack(after.empty, CELLS), share, 0.0)
        return jnp.where(after.hungry, placed, (jnp.arange(CELLS) == 0).astype(jnp.float32))

    def apply_chance(self, after: Moved, outcome: Array) -> Step[SnakeState]:
        old = after.state.places
        placed = (old & ~jnp.uint32(_PLACE << 14)) | (outcome.astype(jnp.uint32) << 14)
        state = dataclasses.replace(after.state, places=jnp.where(after.hungry, placed, old))
        return Step(state, jnp.stack([after.gain]), after.over)

    def observe(self, state: SnakeState, player: Array) -> Array:
        """f32[10, 10, 6]: head, tail, the whole snake, food, cells joined to the right, cells joined downwards."""
        del player
        head, tail, food = (_board(place(state)) for place in (_head, _tail, _food))
        boards = (head, tail, _body(state), food, state.right, state.down)
        parts = []
        for index, word in enumerate(_ALL):
            cells = int(word).bit_count()
            places = [(plane, cell) for cell in range(cells) for plane in range(len(boards))]
            parts.append(bits.to_planes([board[index] for board in boards], places))
        return jnp.concatenate(parts).reshape(self.spec.observation_shape)

    def legal_words(self, state: SnakeState) -> Words:
        back = (state.places >> 21) ^ 2
        return (jnp.uint32(0b1111) & ~(jnp.uint32(1) << back),)

    def player(self, state: SnakeState) -> Array:
        return (state.places & 0).astype(jnp.int32)

    def invariants(self, state: SnakeState) -> Mapping[str, Array]:
        head, tail, food, body = _head(state), _tail(state), _food(state), _body(state)
        ends, forks = _ends_and_forks(state)
        length, none_left = bits.count(body), food == _NO_FOOD
        neck = _after_tail(state, head, _board(head))  # the head is an end too
        ahead, inside = _neighbour(neck, (state.places >> 21) & 3)
        return {
            "right: bits beyond the board, or in the last column": ~_overlap(state.right, _NOT_TO_RIGHT),
            "down: bits beyond the board, or in the last row": ~_overlap(state.down, _NOT_DOWN),
            "right, down: a cell joined to more than two others": ~_overlap(forks, forks),
            "right, down: a ring apart from the snake": _same(_path_from(state, _board(tail)), body),
            "right, down: fewer than three cells": length > _HEAD - _TAIL,
            "places: unused bits": state.places >> 23 == 0,
            "places: head and tail are not the ends of the snake": (head != tail)
            & _same(ends, tuple(a | b for a, b in zip(_board(head), _board(tail), strict=True))),
            "places: the head does not go the way it has come": inside & (ahead == head),
            "places: food beyond the board, or on the snake": none_left
            | ((food < CELLS) & ~_overlap(body, _board(food))),
            "places: no food though there is room": ~none_left | (length == CELLS),
            "meta: the game goes on though nothing is left to eat": ~none_left,
        }

    def symmetries(self) -> Sequence[Symmetry[SnakeState]]:
        """The seven turns and mirrors of the square other than the identity; chance has the same symmetries."""
        return _SYMMETRIES

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text)

    def draw(self, state: SnakeState) -> str:
        return arcade.picture(self._cells(state), _LABELS, self._caption(state))

    def text(self, state: SnakeState) -> str:
        return arcade.characters(self._cells(state), self._caption(state))

    def _cells(self, state: SnakeState) -> arcade.Cells:
        return arcade.cells_of(self.observe(state, jnp.int32(0)), _THINGS)

    def _caption(self, state: SnakeState) -> str:
        return f"length {sum(int(word).bit_count() for word in _body(state))}"


_THINGS = {
    0: Thing("head", "@", arcade.VERMILION),
    3: Thing("food", "*", arcade.GREEN),
    1: Thing("tail", "+", arcade.ORANGE),
    2: Thing("body", "#", arcade.ORANGE),
}


def _places(head: Array | int, tail: Array | int, food: Array, direction: Array | int) -> Array:
    return jnp.uint32(head) | (jnp.uint32(tail) << 7) | (food << 14) | (jnp.uint32(direction) << 21)


def _head(state: SnakeState) -> Array:
    return state.places & _PLACE


def _tail(state: SnakeState) -> Array:
    return (state.places >> 7) & _PLACE


def _food(state: SnakeState) -> Array:
    return (state.places >> 14) & _PLACE


def _neighbour(cell: Array, direction: Array) -> tuple[Array, Array]:
    """(u32[], bool[]): the next cell in a direction, and whether there is one on the board."""
    column = cell - SIDE * ((cell * 205) >> 11)  # cell % 10, for numbers below 1,029
    moves = (
        (direction == UP, cell - SIDE, cell >= SIDE),
        (direction == RIGHT, cell + 1, column < SIDE - 1),
        (direction == DOWN, cell + SIDE, cell < CELLS - SIDE),
    )
    target, inside = cell - 1, column > 0
    for chosen, there, exists in moves:
        target, inside = jnp.where(chosen, there, target), jnp.where(chosen, exists, inside)
    return target, inside


def _board(cell: Array) -> Words:
    """The board on which this cell (u32[]) alone is set, none if it is beyond all four words."""
    bit, index = jnp.uint32(1) << (cell & 31), cell >> 5
    return tuple(jnp.where(index == word, bit, 0) for word in range(_WORDS))


def _up_by(board: Sequence[Array], by: int) -> Words:
    """Every cell's number plus `by` (1 to 31)."""
    below = (jnp.zeros_like(board[0]), *board[:-1])
    return tuple((word << by) | (before >> (32 - by)) for word, before in zip(board, below, strict=True))


def _down_by(board: Sequence[Array], by: int) -> Words:
    """Every cell's number less `by` (1 to 31)."""
    above = (*board[1:], jnp.zeros_like(board[0]))
    return tuple((word >> by) | (after << (32 - by)) for word, after in zip(board, above, strict=True))


def _body(state: SnakeState) -> Words:
    """The cells at either end of a joint."""
    ends = zip(state.right, _up_by(state.right, 1), state.down, _up_by(state.down, SIDE), strict=True)
    return tuple(a | b | c | d for a, b, c, d in ends)


def _overlap(a: Sequence[Array], b: Sequence[Array | np.uint32]) -> Array:
    """bool[], whether a cell is on both boards."""
    common = [x & y for x, y in zip(a, b, strict=True)]
    return common[0] | common[1] | common[2] | common[3] != 0


def _after_tail(state: SnakeState, tail: Array, board: Words) -> Array:
    """The cell that the tail's one joint leads to, u32[]; `board` is the tail's."""
    to_right, to_left = _overlap(state.right, board), _overlap(state.right, _down_by(board, 1))
    to_down = _overlap(state.down, board)
    sideways = jnp.where(to_right, tail + 1, tail - 1)
    upright = jnp.where(to_down, tail + SIDE, tail - SIDE)
    return jnp.where(to_right | to_left, sideways, upright)


def _cut(joints: Words, cell: Sequence[Array], by: int) -> Words:
    """Joints that neither begin on the cell (a board) nor end there, `by` cells after their beginning."""
    return tuple(word & ~(a | b) for word, a, b in zip(joints, cell, _down_by(cell, by), strict=True))


def _ends_and_forks(state: SnakeState) -> tuple[Words, Words]:
    """The cells with one joint, and those with more than two: their numbers are added up for all cells at once."""
    ends, forks = [], []
    for a, b, c, d in zip(state.right, _up_by(state.right, 1), state.down, _up_by(state.down, SIDE), strict=True):
        ones, carried = a ^ b ^ c ^ d, (a & b) ^ (c & d) ^ ((a ^ b) & (c ^ d))
        four = a & b & c & d
        ends.append(ones & ~carried)
        forks.append((ones & carried) | four)
    return tuple(ends), tuple(forks)


def _path_from(state: SnakeState, board: Words) -> Words:
    """All cells that joints lead to from those of `board`."""

    def grow(_: Array, found: Words) -> Words:
        parts = [found]
        for joints, by in ((state.right, 1), (state.down, SIDE)):
            forwards = [word & joint for word, joint in zip(found, joints, strict=True)]
            backwards = [word & joint for word, joint in zip(_down_by(found, by), joints, strict=True)]
            parts += [_up_by(forwards, by), tuple(backwards)]
        return tuple(a | b | c | d | e for a, b, c, d, e in zip(*parts, strict=True))

    return jax.lax.fori_loop(0, CELLS - 1, grow, board)


def _same(a: Words, b: Words) -> Array:
    """bool[], whether two boards are equal."""
    differ = [x ^ y for x, y in zip(a, b, strict=True)]
    return differ[0] | differ[1] | differ[2] | differ[3] == 0


def _symmetry(turned: bool, upside_down: bool, mirrored: bool) -> Symmetry[SnakeState]:
    """The map that exchanges rows and columns if `turned`, then reverses rows and columns as told."""

    def image(row: int, column: int) -> tuple[int, int]:
        row, column = (column, row) if turned else (row, column)
        return (SIDE - 1 - row if upside_down else row), (SIDE - 1 - column if mirrored else column)

    squares = [(row, column) for row in range(SIDE) for column in range(SIDE)]
    cells = [SIDE * row + column for row, column in (image(row, column) for row, column in squares)]
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1))
    ahead = [image(row + 5, column + 5) for row, column in steps]
    centre = image(5, 5)
    actions = tuple(steps.index((row - centre[0], column - centre[1])) for row, column in ahead)
    joints = _joint_sources(cells)  # i32[200]
    where = jnp.asarray([*cells, *range(CELLS, _PLACE + 1)], jnp.uint32)

    def apply(state: SnakeState) -> SnakeState:
        flags = jnp.concatenate([bits.unpack(state.right, CELLS), bits.unpack(state.down, CELLS), jnp.zeros(1, bool)])
        moved = flags[joints]
        direction = jnp.asarray(actions, jnp.uint32)[state.places >> 21]
        places = _places(where[_head(state)], where[_tail(state)], where[_food(state)], direction)
        return SnakeState(bits.pack(moved[:CELLS]), bits.pack(moved[CELLS:]), places)

    return Symmetry(apply, actions)


def _joint_sources(cells: Sequence[int]) -> np.ndarray:
    """i32[200]: where each joint of the mapped board, to the right and then downwards, comes from; 200 for nowhere.

    `cells[c]` is the cell that c becomes.
    """
    sources = np.full(2 * CELLS, 2 * CELLS)
    for downwards, by in ((0, 1), (1, SIDE)):
        for cell in range(CELLS - by):
            if downwards or cell % SIDE < SIDE - 1:
                ends = sorted((cells[cell], cells[cell + by]))
                sources[ends[0] + CELLS * (ends[1] - ends[0] == SIDE)] = cell + CELLS * downwards
    return sources


_SYMMETRIES = [_symmetry(*(bool(number & bit) for bit in (4, 2, 1))) for number in range(1, 8)]
