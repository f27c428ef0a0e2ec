"""Games are found by id, with options, and from other packages by their entry point."""

import pathlib
import sys
from collections.abc import Callable, Iterator

import cartridge
import pytest
from cartridge.games import BUILT_IN
from cartridge.games.tictactoe import TicTacToe
from cartridge.registry import (
    BrokenGameError,
    OptionError,
    UnknownGameError,
    parse_env_id,
    unreachable_games,
)


def test_built_in_games_are_listed_and_made() -> None:
    assert {"connect4", "tictactoe"} <= set(cartridge.list_games())
    assert isinstance(cartridge.make_game("tictactoe"), TicTacToe)


def test_a_wrong_name_brings_the_nearest() -> None:
    with pytest.raises(UnknownGameError, match="no game 'conect4': did you mean connect4"):
        cartridge.make_game("conect4")
    with pytest.raises(UnknownGameError, match=r"there are .*connect4, .*tictactoe"):
        cartridge.make_game("qqq")


def test_options_are_read_and_wrong_ones_named() -> None:
    assert parse_env_id("hex:swap=1,size=7") == ("hex", {"swap": "1", "size": "7"})
    assert parse_env_id("hex") == ("hex", {})
    for text in ("hex:swap", "hex:=1", "hex:a b=1"):
        with pytest.raises(OptionError, match=r"is no option; write it as key=value"):
            parse_env_id(text)
    with pytest.raises(OptionError, match=r"'tictactoe:swap=1': tictactoe does not take the options \['swap'\]"):
        cartridge.make_game("tictactoe:swap=1")
    with pytest.raises(OptionError, match="'hex:swap=2': swap is '2', expected 0 or 1"):
        cartridge.make_game("hex:swap=2")


GAME = """
import dataclasses
from cartridge.games.tictactoe import TicTacToe

class Ours(TicTacToe):
    spec = dataclasses.replace(TicTacToe.spec, env_id="ours")

    def __init__(self, size="3"):
        self.size = int(size)
"""


@pytest.fixture
def install(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`install(entry points, source, name)` puts another package and its module, `name`_game, where Python finds it."""
    modules = set(sys.modules)

    def put(entry_points: str, source: str = GAME, name: str = "outside") -> None:
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[cartridge.games]\n{entry_points}\n")
        (tmp_path / f"{name}_game.py").write_text(source)

    monkeypatch.syspath_prepend(tmp_path)
    yield put
    for module in set(sys.modules) - modules:
        if module.endswith("_game"):
            del sys.modules[module]


def test_a_package_outside_adds_a_game(install: Callable[..., None]) -> None:
    install("ours = outside_game:Ours")
    assert cartridge.list_games()[-1] == "ours"
    assert "outside_game" not in sys.modules  # listing loads no game
    assert vars(cartridge.make_game("ours:size=4")) == {"size": 4}
    assert cartridge.make("ours", 2, output="numpy").step([0, 1]).reward.shape == (2, 2)
    for wrong in ("ours:size=four", "ours:colour=red"):
        with pytest.raises(OptionError, match=f"'{wrong}': "):
            cartridge.make_game(wrong)


def test_a_built_in_id_cannot_be_taken_over(install: Callable[..., None]) -> None:
    install("tictactoe = outside_game:Ours\nno:id = outside_game:Ours")
    assert cartridge.list_games() == list(BUILT_IN)
    assert type(cartridge.make_game("tictactoe")) is TicTacToe
    names, reasons = zip(*unreachable_games(), strict=True)
    assert names == ("tictactoe", "no:id")
    assert reasons[0].endswith(
        "(outside_game:Ours of outside 1.0) is hidden by the built-in game of that name: rename it"
    )
    assert reasons[1].endswith("has a name that is no id, expected letters, digits and underscores")


def test_two_packages_cannot_offer_one_id(install: Callable[..., None]) -> None:
    for name in ("first", "second"):
        install(f"ours = {name}_game:Ours", name=name)
    assert cartridge.list_games().count("ours") == 1
    with pytest.raises(BrokenGameError, match=r"of first 1\.0\) and .* of second 1\.0\) have one id: uninstall all"):
        cartridge.make_game("ours")


BROKEN = [
    ("nowhere_game:Ours", "", "cannot be imported: ModuleNotFoundError: No module named 'nowhere_game'"),
    ("outside_game:Hours", "", "cannot be imported: AttributeError: .* has no attribute 'Hours'"),
    ("outside_game:Ours", "1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    ("outside_game:Ours", "import pgxx", "cannot be imported: ModuleNotFoundError: No module named 'pgxx'"),
    ("outside_game:GAME", "GAME = Ours()", "is <.*Ours object.*>, expected a class, or a function that makes a game"),
    ("outside_game:make", "def make(size): ...", r"cannot be made: TypeError: make\(\) missing 1 required"),
    ("outside_game:make", "def make(): ...", "is malformed: its spec is None, expected a cartridge.*GameSpec"),
    ("outside_game:Ours", "Ours.spec = dataclasses.asdict(Ours.spec)", "its spec is {'env_id': 'ours', .*}, expected"),
    ("outside_game:TicTacToe", "", "spec.env_id is 'tictactoe', expected 'ours', the name of the entry point"),
    ("outside_game:Ours", "Ours.step = Ours.draw = None", "is malformed: it has no step, draw; see cartridge.*Game"),
    (
        "outside_game:Ours",
        "Ours.spec = dataclasses.replace(Ours.spec, observation_shape=(3, 0))",
        r"cannot be imported: SpecError: spec.observation_shape is \(3, 0\), expected a tuple",
    ),
]


@pytest.mark.parametrize(("value", "line", "message"), BROKEN)
def test_a_broken_plug_in_says_what_is_wrong(install: Callable[..., None], value: str, line: str, message: str) -> None:
    install(f"ours = {value}", f"{GAME}\n{line}\n")
    with pytest.raises(BrokenGameError, match=message) as caught:
        cartridge.make_game("ours")
    assert str(caught.value).startswith(f"game 'ours' ({value} of outside 1.0) ")
