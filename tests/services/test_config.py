"""Settings come from five sources in a fixed order, and nothing wrong gets through."""

import pytest
from cartridge.services import config
from cartridge.services.config import ConfigError
from cartridge.services.presets import preset


def test_later_sources_win() -> None:
    built = config.build(
        "connect4",
        "alphazero",
        {"learner": {"batch_size": 64, "learning_rate": 0.1}},
        {"learner": {"batch_size": "128"}},
    )
    assert built.learner.batch_size == 128
    assert built.learner.learning_rate == 0.1


def test_environment_names_sections_and_keys() -> None:
    found = config.from_environment({"CARTRIDGE_SEARCH_NUM_SIMULATIONS": "7", "CARTRIDGE_OTHER": "x", "HOME": "/"})
    assert config.build("connect4", "alphazero", found).search.num_simulations == 7


def test_toml_file(tmp_path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[network]\nkind = "conv"\n[run]\nupdates = 5\n')
    built = config.build("connect4", "alphazero", config.from_toml(file))
    assert (built.network.kind, built.run.updates) == ("conv", 5)
    file.write_text("[network\n")
    with pytest.raises(ConfigError, match="not TOML"):
        config.from_toml(file)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"serch": {}}, "did you mean search"),
        ({"search": {"num_simulation": 3}}, "did you mean num_simulations"),
        ({"search": {"num_simulations": 0}}, "search.num_simulations is 0, expected 1 to 10000"),
        ({"search": {"num_simulations": "many"}}, "expected a whole number"),
        ({"search": {"num_simulations": 1.5}}, "expected a whole number"),
        ({"learner": {"learning_rate": float("nan")}}, "learner.learning_rate is nan"),
        ({"learner": {"precision": "half"}}, "expected one of auto, float32, bfloat16"),
        ({"network": {"kind": "rnn"}}, "expected one of mlp, conv"),
        ({"network": {"width": 0}}, "network.width is 0, expected 1 to 8192"),
        ({"replay": {"capacity": 10, "min_rows": 20}}, "more than replay.capacity"),
        ({"run": {"minutes": 0}}, "one of them must say when to stop"),
    ],
)
def test_refuses_what_does_not_fit(overrides, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("connect4", "alphazero", overrides)


def test_refuses_unknown_algorithm() -> None:
    with pytest.raises(ConfigError, match="did you mean alphazero"):
        config.build("connect4", "alfazero")


def test_json_round_trip_keeps_the_hash() -> None:
    built = config.build("connect4", "alphazero", preset("connect4", accelerator=False))
    again = config.from_json(built.to_json())
    assert again == built
    assert again.hash() == built.hash()


def test_hash_ignores_how_long_but_not_how() -> None:
    base = config.build("connect4", "alphazero")
    longer = config.build("connect4", "alphazero", {"run": {"minutes": 99}})
    other = config.build("connect4", "alphazero", {"run": {"seed": 1}})
    assert base.hash() == longer.hash() != other.hash()


def test_presets_are_valid() -> None:
    for game in ("connect4", "tictactoe", "no_such_game"):
        for accelerator in (False, True):
            config.build(game, "alphazero", preset(game, accelerator=accelerator))
