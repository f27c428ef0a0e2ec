"""The root makes every wrapper from an id, and a missing library gives an error that names the extra."""

import importlib
import sys

import cartridge
import numpy as np
import pytest
from gymnasium import spaces


def test_every_wrapper_is_made_from_an_id() -> None:
    assert cartridge.to_gymnasium("tictactoe", seat=1, render_mode="ansi").action_space == spaces.Discrete(9)
    assert cartridge.to_gymnasium_vector("tictactoe", 4, autoreset_mode="SameStep").num_envs == 4
    assert cartridge.to_pettingzoo("tictactoe").possible_agents == ["player_0", "player_1"]
    assert cartridge.to_dm_env("tictactoe", seed=3).action_spec().num_values == 9
    assert cartridge.to_openspiel("tictactoe").new_initial_state().legal_actions() == list(range(9))


def test_environments_of_one_id_share_what_is_compiled() -> None:
    one, other = cartridge.to_gymnasium("tictactoe"), cartridge.to_gymnasium("tictactoe")
    assert one.game is other.game
    np.testing.assert_array_equal(one.reset(seed=1)[0], other.reset(seed=1)[0])


@pytest.mark.parametrize(
    ("wrapper", "library", "package"),
    [
        ("gymnasium_env", "gymnasium", "gymnasium"),
        ("gymnasium_vector", "gymnasium.vector", "gymnasium"),
        ("pettingzoo_aec", "pettingzoo", "pettingzoo"),
        ("dm_env_wrapper", "dm_env", "dm-env"),
        ("openspiel_state", "pyspiel", "open_spiel"),
    ],
)
def test_a_missing_library_names_the_extra(
    wrapper: str, library: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"cartridge.engine.wrappers.{wrapper}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, library, None)  # what Python takes for not installed
    with pytest.raises(ModuleNotFoundError, match=rf"needs the package {package}; .*'cartridge-rl\[wrappers\]'"):
        importlib.import_module(name)
