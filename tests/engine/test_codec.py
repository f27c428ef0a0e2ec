"""Bytes: each declared layout gives back what went in, and says what is wrong with anything else."""

import dataclasses
import subprocess
import sys
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import batch, codec
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe

NUM_ENVS = 5


@pytest.fixture(params=[TicTacToe(), Connect4()], ids=["tictactoe", "connect4"], scope="module")
def game(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def played(game: Any) -> tuple[Any, Any]:
    """(states, time step) after a few moves that differ from game to game."""

    @jax.jit
    def play() -> tuple[Any, Any]:
        states, seen = batch.init(game, 0, NUM_ENVS)
        for move in range(3):
            states, seen = batch.step(game, states, (jnp.arange(NUM_ENVS) + 2 * move) % 7)
        return states, seen

    return play()


def test_state_bytes_is_what_is_packed(game: Any, played: Any) -> None:
    words = codec.pack_state(played[0])
    assert words.dtype == np.uint32
    assert words.shape == (NUM_ENVS, game.spec.state_bytes // 4)
    assert len(codec.encode(game.spec, "state:packed_u32:v1", words)) == NUM_ENVS * game.spec.state_bytes


def test_states_come_back(game: Any, played: Any) -> None:
    data = codec.encode(game.spec, "state:packed_u32:v1", codec.pack_state(played[0]))
    back = codec.unpack_state(game, codec.decode(game.spec, "state:packed_u32:v1", data, NUM_ENVS))
    jax.tree.map(np.testing.assert_array_equal, back, played[0])
    assert jax.tree.structure(back) == jax.tree.structure(played[0])


def test_words_are_little_endian_in_the_order_of_the_fields() -> None:
    """Worked out by hand: a mark of the opponent on cell 0 is bit 9; one move made is meta word 1."""
    game = TicTacToe()
    states, _ = batch.init(game, 0, 1)
    states, _ = batch.step(game, states, jnp.zeros((1,), jnp.int32))
    data = codec.encode(game.spec, "state:packed_u32:v1", codec.pack_state(states))
    assert data == bytes([0x00, 0x02, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00])


def test_observations_come_back_in_every_layout(game: Any, played: Any) -> None:
    size = game.spec.observation_size
    observation = np.asarray(played[1].observation)
    row_bytes = {f"obs:f32x{size}:v1": 4 * size, f"obs:u8x{size}:v1": size, f"obs:bits{size}:v1": (size + 7) // 8}
    assert game.spec.encodings[2:] == tuple(row_bytes)
    for name in row_bytes:
        data = codec.encode(game.spec, name, observation)
        assert len(data) == NUM_ENVS * row_bytes[name]
        np.testing.assert_array_equal(codec.decode(game.spec, name, data, NUM_ENVS), observation)


def test_bits_are_numbered_from_the_low_end() -> None:
    observation = np.zeros((1, 3, 3, 2), np.float32)
    observation.reshape(-1)[[0, 9, 17]] = 1
    assert codec.encode(TicTacToe.spec, "obs:bits18:v1", observation) == bytes([0b1, 0b10, 0b10])


def test_masks_and_players_come_back(game: Any, played: Any) -> None:
    mask, player = np.asarray(played[1].legal_actions), np.asarray(played[1].player)
    name = f"mask:bits{game.spec.num_actions}:v1"
    data = codec.encode(game.spec, name, mask)
    assert len(data) == NUM_ENVS * codec.row_bytes(game.spec, name) == NUM_ENVS * -(-game.spec.num_actions // 8)
    np.testing.assert_array_equal(codec.decode(game.spec, name, data, NUM_ENVS), mask)
    np.testing.assert_array_equal(codec.decode_rows(name, data, (game.spec.num_actions,)), mask)
    assert codec.encode(game.spec, "player:u8:v1", player) == bytes(player.tolist())


def test_a_game_declares_only_layouts_that_hold_its_observations() -> None:
    reals = dataclasses.replace(TicTacToe.spec, observation_limit=0)
    small = dataclasses.replace(TicTacToe.spec, observation_limit=5)
    assert reals.outputs == ("obs:f32x18:v1", "mask:bits9:v1", "player:u8:v1", "state:packed_u32:v1")
    assert small.encodings[2:] == ("obs:f32x18:v1", "obs:u8x18:v1")
    with pytest.raises(codec.CodecError, match="no encoding 'obs:bits18:v1'"):
        codec.row_bytes(small, "obs:bits18:v1")


def test_rows_are_read_by_the_name_of_their_layout_alone() -> None:
    np.testing.assert_array_equal(codec.decode_rows("obs:u8x2:v1", b"1234", (2,)), [[49, 50], [51, 52]])
    for name, data, message in [
        ("obs:u8x2:v1", b"123", "takes 2 bytes a game, got 3"),
        ("obs:u16x2:v1", b"", "'obs:u16x2:v1' is no layout"),
        ("obs", b"", "'obs' is no layout"),
    ]:
        with pytest.raises(codec.CodecError, match=message):
            codec.decode_rows(name, data, (2,))


def test_actions_come_back() -> None:
    spec = TicTacToe.spec
    assert codec.encode(spec, "action:discrete_i32:v1", np.array([-1, 258])) == b"\xff\xff\xff\xff\x02\x01\x00\x00"
    assert codec.decode(spec, "action:discrete_i32:v1", b"\xff\xff\xff\xff\x02\x01\x00\x00", 2).tolist() == [-1, 258]


def test_what_does_not_fit_is_said() -> None:
    spec = TicTacToe.spec
    cases: list[tuple[str, Any, str]] = [
        ("obs:f32x84:v1", np.zeros(1), "no encoding 'obs:f32x84:v1': did you mean obs:f32x18:v1"),
        ("xyz", np.zeros(1), "it has state:packed_u32:v1, action"),
        ("state:packed_u32:v1", np.zeros((3, 5), np.uint32), r"shape \(games, 2\), got \(3, 5\)"),
        ("action:discrete_i32:v1", np.array(3), r"shape \(games\), got \(\)"),
        ("action:discrete_i32:v1", np.array([2**31]), "numbers up to 2147483647, got 2147483648"),
        ("obs:u8x18:v1", np.full((1, 3, 3, 2), 0.5), "whole numbers, got 0.5"),
        ("obs:u8x18:v1", np.full((1, 3, 3, 2), -1.0), "numbers up to 255, got -1.0"),
        ("obs:bits18:v1", np.full((1, 3, 3, 2), 2), "numbers up to 1, got 2"),
        ("obs:u8x18:v1", np.full((1, 3, 3, 2), np.nan), "got nan"),
    ]
    for name, array, message in cases:
        with pytest.raises(codec.CodecError, match=message):
            codec.encode(spec, name, array)
    for name, data, message in [
        ("state:packed_u32:v1", b"1234567", "of 1 games of tictactoe takes 8 bytes, got 7"),
        ("obs:bits18:v1", b"12", "takes 3 bytes, got 2"),
        ("state:packed_u64:v1", b"", "did you mean state:packed_u32:v1"),
    ]:
        with pytest.raises(codec.CodecError, match=message):
            codec.decode(spec, name, data, 1)
    with pytest.raises(codec.CodecError, match=r"uint32 of shape \(games, 2\), got uint32 of \(1, 3\)"):
        codec.unpack_state(TicTacToe(), np.zeros((1, 3), np.uint32))


def test_states_made_of_other_than_words_are_refused(small_games: ModuleType) -> None:
    states, _ = batch.init(small_games.Counting(), 0, 2)
    wrong = dataclasses.replace(states, game=dataclasses.replace(states.game, total=jnp.zeros(2)))
    with pytest.raises(codec.CodecError, match=r"state\.game\.total is float32, expected uint32"):
        codec.pack_state(wrong)


def test_a_client_encodes_without_jax() -> None:
    code = (
        "import sys; from cartridge.engine import codec; from cartridge.engine.spec import GameSpec\n"
        "spec = GameSpec('x', '1.0.0', 2, 3, (4,), 0, 8)\n"
        "codec.decode(spec, 'obs:bits4:v1', codec.encode(spec, 'obs:bits4:v1', [[0, 1, 1, 0]]), 1)\n"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
