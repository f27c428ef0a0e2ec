"""Every built-in game keeps every law of the contract."""

import cartridge
import pytest
from cartridge.engine.conformance import check_game
from cartridge.games import BUILT_IN

_SLOW = {"chess", "go19x19", "seaquest"}  # to compile


@pytest.mark.parametrize(
    "env_id", [pytest.param(name, marks=pytest.mark.long) if name in _SLOW else name for name in BUILT_IN]
)
def test_the_game_keeps_the_laws(env_id: str) -> None:
    game = cartridge.make_game(env_id)
    assert game.spec.env_id == env_id
    check_game(game)
