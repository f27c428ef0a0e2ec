"""`import cartridge` is instant: it loads neither JAX nor torch, and every name it offers is there when asked for."""

import subprocess
import sys

import cartridge
import pytest
from cartridge import engine


def heavy_modules_after(code: str) -> list[str]:
    """Which of the slow packages a fresh process has loaded after `code`."""
    show = "\nimport sys\nprint(*sorted({'jax', 'torch', 'numpy', 'flax'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + show], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_front_door_loads_nothing_slow() -> None:
    assert heavy_modules_after("import cartridge; cartridge.list_games(); cartridge.__version__") == []
    assert heavy_modules_after("import cartridge.engine, cartridge.games, cartridge.registry") == []


def test_every_name_is_there() -> None:
    for module in (cartridge, engine):
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(AttributeError, match="cartridge has no 'mke'; it offers VectorEnv"):
        _ = cartridge.mke
    with pytest.raises(AttributeError, match=r"cartridge\.engine has no 'stp'; it offers EngineState"):
        _ = engine.stp
