"""What is true of every chess position that play can reach, as far as it can be seen from the board."""

import dataclasses

import jax.numpy as jnp
from jax import Array

from . import chess_moves as moves
from .chess_moves import Position
from .chess_squares import Squares, neighbours

_PAWNS = 8
_AT_HOME = {"n": 2, "b": 2, "r": 2, "q": 1}  # of the pieces a pawn can become
_KING_FILE = 0x10 | 0x10 << 56


def claims_of(position: Position) -> dict[str, Array]:
    """bool[] each, under the field and what is wrong where it is False."""
    each, occupied = moves.pieces(position), position.straight | position.diagonal | position.leaper
    white, black = occupied & ~position.black, position.black
    kings = each["k"] & white, each["k"] & black
    number = position.status >> moves.MOVE_NUMBER_AT
    idle = dataclasses.replace(position, status=position.status ^ (1 << moves.BLACK_TO_MOVE_AT))
    return {
        "black: bits on empty squares": ~(black & ~occupied).any(),
        "straight, diagonal, leaper: a piece that does not exist": ~(each["k"] & position.straight).any(),
        "leaper: not one king of each colour": (kings[0].count() == 1) & (kings[1].count() == 1),
        "leaper: the kings stand side by side": ~(neighbours(kings[0]) & kings[1]).any(),
        "leaper: a pawn on the first rank or the last": ~each["p"].within(moves.LAST_RANKS).any(),
        "black: more White pieces than promotions make": _can_have_been_made(each, white),
        "black: more Black pieces than promotions make": _can_have_been_made(each, black),
        "status: the player who is not to move is in check": ~moves.look(idle).checked,
        "status: a right to castle without king and rook at home": _rights_are_good(position, each),
        "status: en passant where no pawn can be taken so": _passant_is_good(position, each["p"]),
        "status: the number of the move is 0": number > 0,
    }


def _can_have_been_made(each: dict[str, Squares], side: Squares) -> Array:
    """bool[]: no more pieces than at the start, but for one in place of each pawn that is gone."""
    promoted = [jnp.maximum((each[piece] & side).count() - size, 0) for piece, size in _AT_HOME.items()]
    return (each["p"] & side).count() + sum(promoted) <= _PAWNS


def _rights_are_good(position: Position, each: dict[str, Squares]) -> Array:
    good = jnp.ones((), bool)
    for right, squares in enumerate(moves.CASTLING_SQUARES):
        side = ~position.black if right < 2 else position.black
        king = (each["k"] & side).within(squares & _KING_FILE).any()
        rook = (each["r"] & side).within(squares & ~_KING_FILE).any()
        good = good & ((position.status >> (moves.RIGHTS_AT + right) & 1 == 0) | (king & rook))
    return good


def _passant_is_good(position: Position, pawns: Squares) -> Array:
    """bool[]: none, or one that the mover may capture, and the pawn could have made the double step."""
    view, target = moves.look(position), moves.passant_target(position)
    pawn, home = moves.behind(target), Squares(target.low >> 8, target.high << 8)
    stepped = ~((target | home) & ~view.empty).any() & (pawn & view.other & pawns).any()
    none = position.status & moves.PASSANT == 0
    return none | (stepped & moves.legal_passant(position, view).any())
