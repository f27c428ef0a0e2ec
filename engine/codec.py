"""Bytes on the wire: batches of states, actions and observations in the layouts a spec declares.

All of it is NumPy on the host, so a client needs nothing else. Layouts (little-endian, game after game, B games):
  state:packed_u32:v1     B x W words, the engine's whole state in the order of its fields; 4 W = `state_bytes`
  action:discrete_i32:v1  B numbers
  obs:f32xN:v1            B x N numbers
  obs:u8xN:v1             B x N bytes, for observations made of whole numbers from 0 to 255
  obs:bitsN:v1            B x ceil(N / 8) bytes, for observations of 0 and 1; element i is bit i % 8 of byte i // 8
  mask:bitsA:v1           B x ceil(A / 8) bytes in the same order, whether action i is legal
  player:u8:v1            B bytes, whose turn it is
"""

import difflib
import functools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .spec import GameSpec

if TYPE_CHECKING:
    from .game import Game
    from .transition import EngineState

State = TypeVar("State")

_WORD = np.dtype("<u4")
_NAME = re.compile("[a-z]+:(packed|discrete|f32|u8|bits)[a-z0-9_]*:v1")
_LAYOUTS = {"packed": _WORD, "discrete": np.dtype("<i4"), "f32": np.dtype("<f4"), "u8": np.dtype("u1"), "bits": None}


class CodecError(ValueError):
    """Bytes or arrays that do not fit the encoding they are said to have."""


def encode(spec: GameSpec, encoding: str, array: Any) -> bytes:
    """The bytes of a batch.

    Args:
      array: u32[B, W] for states, i32[B] for actions, [B, *observation_shape] for observations, bool[B, A] for masks,
        whole numbers [B] for players.

    Raises:
      CodecError: an encoding the spec does not declare, a wrong shape, or a value the layout cannot hold.
    """
    layout, row = _layout(spec, encoding)
    array = np.asarray(array)
    if array.shape[1:] != row or array.ndim == 0:
        raise CodecError(f"{encoding} takes an array of shape {_shape_text(row)}, got {array.shape}")
    if layout is None:
        bits = _exact(array, np.dtype("u1"), 1, encoding).reshape(len(array), -1)
        return np.packbits(bits, axis=1, bitorder="little").tobytes()
    if layout.kind == "f":
        return array.astype(layout, copy=False).tobytes()
    return _exact(array, layout, np.iinfo(layout).max, encoding).tobytes()


def decode(spec: GameSpec, encoding: str, data: bytes | bytearray | memoryview, num_envs: int) -> np.ndarray:
    """The batch behind `data`, in the shape `encode` took: u32, i32, f32, or u8 for the u8 and bits layouts.

    Without a copy where the layout allows, and then read-only.

    Raises:
      CodecError: an encoding the spec does not declare, or another number of bytes than `num_envs` games take.
    """
    layout, row = _layout(spec, encoding)
    expected = num_envs * _row_bytes(layout, row)
    if len(data) != expected:
        raise CodecError(f"{encoding} of {num_envs} games of {spec.env_id} takes {expected} bytes, got {len(data)}")
    return _rows(layout, data, num_envs, row)


def row_bytes(spec: GameSpec, encoding: str) -> int:
    """How many bytes one game takes; `CodecError` where the spec does not declare the encoding."""
    return _row_bytes(*_layout(spec, encoding))


def row_shape(spec: GameSpec, encoding: str) -> tuple[int, ...]:
    """The shape of one game's array; `CodecError` where the spec does not declare the encoding."""
    return _layout(spec, encoding)[1]


def decode_rows(encoding: str, data: bytes | bytearray | memoryview, row: tuple[int, ...]) -> np.ndarray:
    """[B, *row] behind bytes of a layout, for those who have no spec: clients, which are told names and shapes.

    Without a copy where the layout allows, and then read-only.

    Raises:
      CodecError: a layout that is not one of those above, or bytes that are no whole number of rows.
    """
    layout = _element(encoding)
    one = _row_bytes(layout, row)
    if len(data) % one:
        raise CodecError(f"{encoding} takes {one} bytes a game, got {len(data)}, which is no whole number of games")
    return _rows(layout, data, len(data) // one, row)


def _rows(layout: np.dtype | None, data: Any, num_envs: int, row: tuple[int, ...]) -> np.ndarray:
    if layout is None:
        size = math.prod(row)
        packed = np.frombuffer(data, np.uint8).reshape(num_envs, -1)
        return np.unpackbits(packed, axis=1, count=size, bitorder="little").reshape(num_envs, *row)
    return np.frombuffer(data, layout).reshape(num_envs, *row)


def pack_state(states: "EngineState[Any]") -> np.ndarray:
    """u32[B, W], a batch of states in one array: the words of the game in the order of its fields, then the meta word.

    Raises:
      CodecError: a leaf that is not uint32.
    """
    import jax  # only here and below, so that a client can encode and decode without it

    columns = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(states):
        words = np.asarray(leaf)
        if words.dtype != np.uint32:
            raise CodecError(f"state{jax.tree_util.keystr(path)} is {words.dtype}, expected uint32 words")
        columns.append(words.reshape(len(words), -1))
    return np.concatenate(columns, axis=1)


def unpack_state(game: "Game[State]", words: np.ndarray) -> "EngineState[State]":
    """The states behind u32[B, W], as NumPy arrays in the structure of `game`: what `VectorEnv.set_state` takes.

    Raises:
      CodecError: words of another shape or type than the game's states have, or a state that no play leads to; the
        message names the field.
    """
    from .validation import first_flaw

    states = split_words(game, words)
    flaw = first_flaw(game, states)
    if flaw:
        raise CodecError(flaw)
    return states


def split_words(game: "Game[State]", words: np.ndarray) -> "EngineState[State]":
    """`unpack_state` without its look at what the words say, for those that passed it before or are about to.

    Raises:
      CodecError: words of another shape or type than the game's states have.
    """
    import jax

    words = np.asarray(words)
    width = game.spec.state_bytes // _WORD.itemsize
    if words.dtype != np.uint32 or words.ndim != 2 or words.shape[1] != width:
        raise CodecError(
            f"states of {game.spec.env_id} are uint32 of shape (games, {width}), got {words.dtype} of {words.shape}"
        )
    leaves, structure = _one_state(game)
    ends = np.cumsum([leaf.size for leaf in leaves])
    columns = [words[:, end - leaf.size : end] for leaf, end in zip(leaves, ends, strict=True)]
    shaped = [
        np.ascontiguousarray(column).reshape(len(words), *leaf.shape)
        for column, leaf in zip(columns, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, shaped)


@functools.cache
def _one_state(game: "Game[Any]") -> tuple[Sequence[Any], Any]:
    """Shapes and structure of one state. Finding them takes longer than a step."""
    import jax

    from .transition import start

    return jax.tree.flatten(jax.eval_shape(lambda: start(game, jax.numpy.zeros((2,), jax.numpy.uint32))))


def _layout(spec: GameSpec, encoding: str) -> tuple[np.dtype | None, tuple[int, ...]]:
    """(element, shape of one game) of a declared encoding; the element is None for single bits."""
    known = tuple(dict.fromkeys((*spec.encodings, *spec.outputs)))
    if encoding not in known:
        near = difflib.get_close_matches(encoding, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
        raise CodecError(f"{spec.env_id} has no encoding {encoding!r}: {hint}")
    shapes = {
        "state": (spec.state_bytes // _WORD.itemsize,),
        "action": (),
        "obs": spec.observation_shape,
        "mask": (spec.num_actions,),
        "player": (),
    }
    return _element(encoding), shapes[encoding.partition(":")[0]]


def _element(encoding: str) -> np.dtype | None:
    """What the layout of that name is made of; None for single bits."""
    layout = _NAME.fullmatch(encoding)
    if layout is None or layout[1] not in _LAYOUTS:
        raise CodecError(f"{encoding!r} is no layout; they are named as obs:bits84:v1 is")
    return _LAYOUTS[layout[1]]


def _row_bytes(layout: np.dtype | None, row: tuple[int, ...]) -> int:
    size = math.prod(row)
    return -(-size // 8) if layout is None else size * layout.itemsize


def _exact(array: np.ndarray, layout: np.dtype, largest: int, encoding: str) -> np.ndarray:
    """`array` as whole numbers of the layout, refused where that would change a value."""
    if array.dtype == layout and largest == np.iinfo(layout).max:
        return array
    if array.size and not (array.min() >= np.iinfo(layout).min and array.max() <= largest):
        raise CodecError(f"{encoding} holds numbers up to {largest}, got {array.min()} to {array.max()}")
    whole = array.astype(layout)
    if not np.array_equal(whole, array):
        raise CodecError(f"{encoding} holds whole numbers, got {array.ravel()[(whole != array).ravel()][0]}")
    return whole


def _shape_text(row: tuple[int, ...]) -> str:
    return "(" + ", ".join(["games", *map(str, row)]) + ")"
