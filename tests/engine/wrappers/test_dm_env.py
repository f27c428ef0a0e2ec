"""dm_env's own tests pass for one player and for two, and the games are those of the Gymnasium environment."""

from types import ModuleType
from typing import Any

import cartridge
import dm_env
import numpy as np
import pytest
from absl.testing import absltest
from cartridge.engine.wrappers.dm_env_wrapper import DmEnv
from cartridge.engine.wrappers.gymnasium_env import GymnasiumEnv
from dm_env import test_utils

GAMES: dict[str, Any] = {name: cartridge.make_game(name) for name in ("tictactoe", "cartpole")}


class TestTwoPlayers(test_utils.EnvironmentTestMixin, absltest.TestCase):
    def make_object_under_test(self, **settings: Any) -> dm_env.Environment:
        return DmEnv(GAMES["tictactoe"], seat=1, **settings)

    def make_action_sequence(self) -> Any:
        """Some of them illegal, so that games end."""
        return iter([0, 1, 2, 3, 4, 5, 6, 7, 8] * 3)


class TestOnePlayer(test_utils.EnvironmentTestMixin, absltest.TestCase):
    def make_object_under_test(self, **settings: Any) -> dm_env.Environment:
        return DmEnv(GAMES["cartpole"], **settings)


def test_the_games_are_those_of_gymnasium() -> None:
    env, other = DmEnv(GAMES["tictactoe"], seat=1, seed=5), GymnasiumEnv(GAMES["tictactoe"], seat=1)
    random = np.random.default_rng(0)
    for episode in range(10):
        seen = env.reset() if episode == 0 else env.step(0)  # which starts anew after the end
        observation, info = other.reset(seed=5 if episode == 0 else None)
        assert seen.first()
        while not seen.last():
            np.testing.assert_array_equal(seen.observation["observation"], observation)
            np.testing.assert_array_equal(seen.observation["legal_actions"], info["legal_actions"])
            action = random.choice(np.flatnonzero(info["legal_actions"]))
            seen = env.step(action)
            observation, reward, terminated, _, info = other.step(action)
            assert seen.reward == reward
            assert (seen.discount == 0) == seen.last() == terminated


def test_a_cut_keeps_its_discount(small_games: ModuleType) -> None:
    env = DmEnv(small_games.Counting(max_steps=2))
    env.reset()
    assert env.step(0).mid()
    last = env.step(0)
    assert last.last()
    assert last.discount == 1.0
    assert not last.observation["legal_actions"].any()


def test_a_wrong_seed_is_named() -> None:
    with pytest.raises(ValueError, match=r"seed is -1, expected 0 to 2\*\*64 - 1"):
        DmEnv(GAMES["tictactoe"], seed=-1)
