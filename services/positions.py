"""Positions whose every move has a known exact score: the yardstick that says how far an agent is from perfect play.

A file has one position a line, three columns separated by tabs; lines that start with `#` are comments:

    set name    moves so far (1-based actions, digits without a gap)    score of each action ('.' = illegal)

A score is 0 for a draw, +k if the player to move wins and -k if it loses by best play from there; the larger k, the
sooner. Where a game has more than nine actions, the moves are separated by spaces.
"""

import dataclasses
import hashlib
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Generic

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .. import games as games_room
from ..engine.game import Game, State
from ..engine.transition import EngineState, legal_actions, start, transition

ILLEGAL = np.iinfo(np.int32).min  # the score of an illegal action
_NO_MOVE = -1


class PositionsError(ValueError):
    """A positions file that does not fit; the message names the file and the line."""


@dataclasses.dataclass(frozen=True)
class Positions(Generic[State]):
    """N positions in the order of their file."""

    path: Path
    sha256: str  # of the file
    states: EngineState[State]  # [N], live
    scores: np.ndarray  # i32[N, A], `ILLEGAL` where the action is
    set_names: tuple[str, ...]  # in order of appearance
    set_index: np.ndarray  # i32[N], into `set_names`

    def __len__(self) -> int:
        return len(self.set_index)


@dataclasses.dataclass(frozen=True)
class _Line:
    number: int
    set_name: str
    moves: list[int]
    scores: list[int]


def builtin_positions(env_id: str) -> Path | None:
    """The solved positions that come with the package for a game, if there are any."""
    path = Path(str(resources.files(games_room) / "data" / f"{env_id}_positions.tsv"))
    return path if path.is_file() else None


def read_positions(path: Path, game: Game[State]) -> Positions[State]:
    """Reads `path` and plays every position's moves by the rules of `game`; `PositionsError` where they do not fit."""
    try:
        data = path.read_bytes()
        text = data.decode()
    except OSError as error:
        raise PositionsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PositionsError(f"{path} is no text file: {error}") from error
    lines = [
        _parse(f"{path}, line {number}", number, line, game.spec.num_actions)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise PositionsError(f"{path} holds no position; expected lines of: set name, tab, moves, tab, scores")
    states = _replay(game, path, lines)
    scores = np.array([line.scores for line in lines], np.int32)
    _check_legal(game, path, lines, states, scores)
    names = tuple(dict.fromkeys(line.set_name for line in lines))
    index = np.array([names.index(line.set_name) for line in lines], np.int32)
    return Positions(path, hashlib.sha256(data).hexdigest(), states, scores, names, index)


def _parse(where: str, number: int, line: str, num_actions: int) -> _Line:
    columns = line.split("\t")
    if len(columns) != 3 or not columns[0].strip():
        raise PositionsError(f"{where}: expected set name, moves and scores separated by tabs, found {line[:60]!r}")
    set_name, moves, scores = (column.strip() for column in columns)
    actions = [_action(where, move, num_actions) for move in (moves if num_actions <= 9 else moves.split())]
    words = scores.split(",")
    if len(words) != num_actions:
        raise PositionsError(f"{where}: {len(words)} scores, expected {num_actions}, one for each action")
    try:
        values = [ILLEGAL if word.strip() == "." else int(word) for word in words]
    except ValueError as error:
        raise PositionsError(f"{where}: the scores {scores!r} are not whole numbers or '.'") from error
    if all(value == ILLEGAL for value in values):
        raise PositionsError(f"{where}: no action has a score")
    return _Line(number, set_name, actions, values)


def _action(where: str, move: str, num_actions: int) -> int:
    if not (move.isascii() and move.isdigit() and 1 <= int(move) <= num_actions):
        raise PositionsError(f"{where}: {move!r} is no move; expected a number from 1 to {num_actions}")
    return int(move) - 1


def _replay(game: Game[State], path: Path, lines: list[_Line]) -> EngineState[State]:
    """[N] states, all lines played at once."""
    longest = max(len(line.moves) for line in lines)
    moves = np.full((longest, len(lines)), _NO_MOVE, np.int32)
    for column, line in enumerate(lines):
        moves[: len(line.moves), column] = line.moves
    states, illegal, late = jax.jit(partial(_play, game))(jnp.asarray(moves))
    for flags, problem in ((illegal, "is illegal"), (late, "comes after the end of the game")):
        rows, plies = np.nonzero(np.asarray(flags).T)
        if rows.size:
            line, ply = lines[rows[0]], plies[0]
            move = line.moves[ply] + 1
            raise PositionsError(f"{path}, line {line.number}: move number {ply + 1} ({move}) {problem}")
    over = np.flatnonzero(states.over)
    if over.size:
        raise PositionsError(f"{path}, line {lines[over[0]].number}: the game is over in this position already")
    return states


def _play(game: Game[Any], moves: Array) -> tuple[EngineState[Any], Array, Array]:
    """(states [N], illegal bool[T, N], after the end bool[T, N]) of moves i32[T, N], padded with `_NO_MOVE`."""
    keys = jnp.zeros((moves.shape[1], 2), jnp.uint32)
    first = jax.vmap(lambda key: start(game, key))(keys)

    def ply(states: EngineState[Any], action: Array) -> tuple[EngineState[Any], tuple[Array, Array]]:
        def one(state: EngineState[Any], action: Array) -> tuple[EngineState[Any], tuple[Array, Array]]:
            real = action != _NO_MOVE
            moved = transition(game, state, action)
            after = jax.tree.map(lambda new, old: jnp.where(real, new, old), moved.state, state)
            return after, (real & moved.illegal, real & state.over)

        return jax.vmap(one)(states, action)

    states, (illegal, late) = jax.lax.scan(ply, first, moves)
    return states, illegal, late & ~states.over_by_illegal[None]


def _check_legal(
    game: Game[State], path: Path, lines: list[_Line], states: EngineState[State], scores: np.ndarray
) -> None:
    """Exactly the legal actions have a score."""
    legal = np.asarray(jax.jit(jax.vmap(lambda state: legal_actions(game, state)))(states))
    rows, actions = np.nonzero(legal != (scores != ILLEGAL))
    if rows.size:
        row, action = rows[0], actions[0]
        problem = "is legal but has no score" if legal[row, action] else "is illegal but has a score"
        raise PositionsError(f"{path}, line {lines[row].number}: action {action + 1} {problem}")
