"""The object over the batch: the same numbers in JAX, NumPy and PyTorch, checked actions, states that stay good."""

import subprocess
import sys
from typing import Any

import cartridge
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from cartridge.engine import batch, codec, vector_env
from cartridge.engine.vector_env import IllegalActionError, Output, VectorEnv
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe

NUM_ENVS = 8
TICTACTOE = TicTacToe()  # one, so that tests share what is compiled


def legal_moves(legal: Any, seed: int) -> np.ndarray:
    """i32[B], a random legal action in each game; 0 where there is none."""
    noise = np.random.default_rng(seed).random(legal.shape)
    return (np.asarray(legal) * noise).argmax(axis=1)


@pytest.mark.parametrize("autoreset", batch.AUTORESET_MODES)
def test_all_outputs_show_the_same_and_only_their_own_type(autoreset: batch.Autoreset) -> None:
    outputs: list[Output] = ["jax", "numpy", "torch"]
    kinds = {"jax": jax.Array, "numpy": np.ndarray, "torch": torch.Tensor}
    envs = {output: VectorEnv(TICTACTOE, NUM_ENVS, autoreset=autoreset, output=output) for output in outputs}
    seen = {output: env.reset() for output, env in envs.items()}
    for move in range(14):
        for output in outputs:
            for field, value in vars(seen[output]).items():
                if value is None:
                    assert (field, autoreset == "same_step") == ("final_observation", False)
                    continue
                assert isinstance(value, kinds[output]), field
                expected = np.asarray(vars(seen["jax"])[field])
                np.testing.assert_array_equal(np.asarray(value), expected)
                assert np.asarray(value).dtype == expected.dtype
        actions = legal_moves(seen["numpy"].legal_actions, move)
        seen = {
            "jax": envs["jax"].step(jnp.asarray(actions, jnp.int32)),
            "numpy": envs["numpy"].step(actions),
            "torch": envs["torch"].step(torch.from_numpy(actions)),
        }
    assert seen["numpy"].observation.shape == (NUM_ENVS, 3, 3, 2)
    assert seen["numpy"].reward.shape == (NUM_ENVS, 2)


def test_over_games_offer_no_action_until_reset() -> None:
    env = VectorEnv(TICTACTOE, 3, autoreset="disabled", output="numpy")
    env.reset()
    for actions in ([0, 0, 0], [3, 3, 0], [1, 1, 0], [4, 4, 0], [2, 8, 0]):
        seen = env.step(actions)
    assert seen.terminated.tolist() == [True, False, False]
    assert seen.legal_actions.any(axis=1).tolist() == [False, True, False]
    seen = env.reset(mask=np.array([True, False, False]))
    assert seen.legal_actions.sum(axis=1).tolist() == [9, 4, 0]
    assert not seen.terminated.any()
    assert env.reset().legal_actions.all()


def test_what_was_handed_out_stays_good() -> None:
    env = VectorEnv(TICTACTOE, NUM_ENVS, output="numpy")
    before = env.reset()
    observation, start = before.observation.copy(), env.state
    actions = np.zeros(NUM_ENVS, np.int32)
    first = env.step(actions)
    reward = first.observation.copy()
    actions[:] = 5  # a caller may fill the same memory with the next actions
    env.step(actions)
    np.testing.assert_array_equal(before.observation, observation)
    np.testing.assert_array_equal(first.observation, reward)
    np.testing.assert_array_equal(env.set_state(start).observation, observation)
    np.testing.assert_array_equal(env.step(np.zeros(NUM_ENVS, np.int32)).observation, first.observation)
    with pytest.raises(ValueError, match="read-only"):
        first.reward[0] = 1.0


def test_actions_may_be_overwritten_while_the_step_runs() -> None:
    """JAX borrows aligned NumPy memory for a call it has not finished when it returns."""
    num_envs = 1 << 15
    memory = np.zeros(num_envs + 16, np.int32)
    begin = -memory.ctypes.data % 64 // 4
    actions = memory[begin : begin + num_envs]
    env = VectorEnv(TICTACTOE, num_envs, output="jax")
    seen = []
    for move in range(7):  # the first win of this order of cells is move 7
        actions[:] = move
        seen.append(env.step(actions))
        actions[:] = -1
    assert not any(np.asarray(step.illegal).any() for step in seen)
    assert np.asarray(seen[-1].terminated).all()


def test_a_state_survives_as_words_and_moves_to_another_environment() -> None:
    env = VectorEnv(TICTACTOE, NUM_ENVS, output="numpy")
    seen = env.reset()
    for move in range(3):
        seen = env.step(legal_moves(seen.legal_actions, move))
    other = VectorEnv(TICTACTOE, NUM_ENVS, output="numpy")
    words = codec.pack_state(env.state)
    shown = other.set_state(codec.unpack_state(TICTACTOE, words))
    words[:] = 0  # the environment keeps its own
    np.testing.assert_array_equal(shown.observation, seen.observation)
    np.testing.assert_array_equal(other.step(np.full(NUM_ENVS, 4)).reward, env.step(np.full(NUM_ENVS, 4)).reward)
    with pytest.raises(ValueError, match="does not fit 9 games of tictactoe"):
        VectorEnv(TICTACTOE, 9).set_state(env.state)


def test_check_actions_names_rows_actions_and_the_legal_ones() -> None:
    env = VectorEnv(TICTACTOE, 4, output="numpy", check_actions=True)
    env.reset()
    env.step([0, 1, 2, 3])
    state = env.state
    with pytest.raises(IllegalActionError, match="illegal actions in 2 of 4 games of tictactoe") as caught:
        env.step([4, 1, 4, 9])
    assert "row 1: action 1, legal 0, 2, 3, 4, 5, 6, 7, 8;" in str(caught.value)
    assert "row 3: action 9, legal 0, 1, 2, 4" in str(caught.value)
    assert env.state is state  # no game has moved
    assert not env.step([4, 4, 4, 4]).illegal.any()


def test_check_actions_leaves_over_games_alone() -> None:
    env = VectorEnv(TICTACTOE, 1, autoreset="next_step", output="numpy", check_actions=True)
    env.reset()
    for action in (0, 3, 1, 4, 2):
        seen = env.step([action])
    assert seen.terminated.all()
    assert env.step([-1]).legal_actions.all()


@pytest.mark.parametrize("action", [2**32 + 4, -(2**32) + 4])
def test_a_number_beyond_32_bits_does_not_wrap_to_a_legal_action(action: int) -> None:
    env = VectorEnv(TICTACTOE, 1, output="numpy")
    assert env.step(np.array([action])).illegal.all()
    env.reset()
    assert env.step(torch.tensor([action])).illegal.all()


@pytest.mark.parametrize(
    "actions", [np.zeros(3), np.zeros((4, 1), int), np.zeros(3, int), [0.5] * 4, 0, torch.zeros(4), jnp.zeros(4)]
)
def test_actions_of_another_kind_are_refused(actions: Any) -> None:
    with pytest.raises(ValueError, match=r"expected integers of shape \(4,\)"):
        VectorEnv(TICTACTOE, 4).step(actions)


def test_wrong_settings_say_what_is_accepted() -> None:
    wrong: list[tuple[str, Any, str]] = [
        ("num_envs", 0, "at least 1"),
        ("autoreset", "same", "same_step, next_step, disabled"),
        ("output", "tensor", "jax, numpy, torch"),
        ("device", "abacus", "here: cpu:0"),
        ("device", "cpu:99", "one device such as 'gpu:1'"),
    ]
    for setting, value, message in wrong:
        with pytest.raises(ValueError, match=message):
            VectorEnv(TICTACTOE, **{setting: value})
    with pytest.raises(ValueError, match=r"mask is int64 of shape \(2,\), expected bool of \(1,\)"):
        VectorEnv(TICTACTOE).reset(mask=np.array([0, 1]))


def test_a_device_may_be_named() -> None:
    for device in ("cpu", "cpu:0", jax.devices()[0]):
        env = VectorEnv(TICTACTOE, 2, device=device)
        assert env.step(jnp.zeros((2,), jnp.int32)).reward.devices() == {jax.devices()[0]}


def test_make_and_render() -> None:
    env = cartridge.make("connect4", 2, output="numpy")
    assert (env.spec.env_id, env.num_envs) == ("connect4", 2)
    env.step([0, 3])
    first, second = env.render(0), env.render(1)
    assert first.startswith("<svg")
    assert first != second


def test_the_step_is_traced_once() -> None:
    class Traced(Connect4):
        traces = 0

        def step(self, state: Any, action: Any, key: Any) -> Any:
            Traced.traces += 1
            return super().step(state, action, key)

    game = Traced()
    env = VectorEnv(game, 4, output="numpy")
    env.reset()
    for actions in ([0, 1, 2, 3], np.zeros(4, np.int64), np.zeros(4, np.int32), torch.zeros(4, dtype=torch.int64)):
        env.step(actions)
    env.reset(seed=3)
    env.step(jnp.zeros((4,), jnp.int32))
    env.set_state(env.state)
    env.step([1, 1, 1, 1])
    VectorEnv(game, 4, output="torch").step(torch.zeros(4, dtype=torch.int32))
    assert Traced.traces == 1
    assert vector_env.OUTPUTS == ("jax", "numpy", "torch")


def test_torch_loads_only_when_asked_for() -> None:
    code = "import sys, cartridge; cartridge.make('tictactoe', output='numpy').step([0]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
