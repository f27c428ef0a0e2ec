"""A spec is a value: hashable, stable in its JSON, JAX-free, and it refuses nonsense."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from cartridge import make_game
from cartridge.engine.spec import GameSpec, NetworkSpec, SpecError

SPEC = GameSpec("hex", "1.0.0", 2, 121, (11, 11, 4), 0, 68, options=(("swap", "1"),))


@pytest.mark.parametrize("env_id", ["tictactoe", "hex:swap=1", "go9x9:komi=5.5", "backgammon", "2048", "cartpole"])
def test_a_spec_comes_back_from_its_json(env_id: str) -> None:
    spec = make_game(env_id).spec
    again = GameSpec.from_json(spec.to_json())
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"env_id": "hex"}', SPEC.to_json().replace("num_players", "people")])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        GameSpec.from_json(text)


def test_every_field_is_in_the_fingerprint() -> None:
    assert len(SPEC.fingerprint()) == 64
    assert SPEC.build_id == f"1.0.0+{SPEC.fingerprint()[:12]}"
    changed: dict[str, Any] = {"options": (), "max_steps": 5, "state_bytes": 64, "version": "1.0.1", "stochastic": True}
    others = {dataclasses.replace(SPEC, **{name: value}).fingerprint() for name, value in changed.items()}
    assert len(others | {SPEC.fingerprint()}) == len(changed) + 1


def test_specs_are_values() -> None:
    assert hash(SPEC) == hash(dataclasses.replace(SPEC))
    assert SPEC.observation_size == 484
    assert SPEC.encodings[-1] == "obs:bits484:v1"


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"env_id": "hex:swap=1"}, "spec.env_id is 'hex:swap=1', expected letters, digits and underscores"),
    ({"env_id": ""}, "spec.env_id is '', expected letters"),
    ({"version": "1.0"}, "spec.version is '1.0', expected three numbers such as '1.0.0'"),
    ({"version": 1}, "spec.version is 1, expected three numbers"),
    ({"num_players": 0}, "spec.num_players is 0, expected a whole number of at least 1"),
    ({"num_actions": 9.0}, "spec.num_actions is 9.0, expected a whole number"),
    ({"num_actions": True}, "spec.num_actions is True, expected a whole number"),
    ({"preferred_batch": -1}, "spec.preferred_batch is -1, expected a whole number of at least 1"),
    ({"max_steps": -1}, "spec.max_steps is -1, expected a whole number of at least 0"),
    ({"max_steps": 1 << 30}, r"spec.max_steps is 1073741824, expected less than 2\*\*30"),
    ({"state_bytes": 0}, "spec.state_bytes is 0, expected a whole number of at least 4"),
    ({"state_bytes": 10}, "spec.state_bytes is 10, expected a multiple of 4"),
    ({"observation_shape": [11, 11, 4]}, r"spec.observation_shape is \[11, 11, 4\], expected a tuple"),
    ({"observation_shape": (11, 0)}, r"spec.observation_shape is \(11, 0\), expected a tuple of whole numbers"),
    ({"observation_shape": ()}, r"spec.observation_shape is \(\), expected a tuple"),
    ({"observation_dtype": "uint8"}, "spec.observation_dtype is 'uint8', expected 'float32'"),
    ({"options": {"swap": "1"}}, "spec.options is {'swap': '1'}, expected a tuple of pairs of strings"),
    ({"options": (("swap", 1),)}, "spec.options is .*, expected a tuple of pairs of strings"),
    ({"stochastic": 1}, "spec.stochastic is 1, expected True or False"),
    ({"num_chance_outcomes": 6}, "spec.num_chance_outcomes is 6, expected 0 where stochastic is False"),
]


@pytest.mark.parametrize(("change", "message"), MALFORMED)
def test_a_malformed_spec_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        dataclasses.replace(SPEC, **change)


def test_a_network_outside_its_bounds_is_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kind": "rnn"}, "expected 'mlp' or 'conv'"),
        ({"width": 0}, "network.width is 0, expected 1 to 8192"),
        ({"value_bins": 1}, "expected 2 to 255"),
        ({"depth": 3}, "does not fit"),
    ]
    for fields, message in wrong:
        with pytest.raises(SpecError, match=message):
            NetworkSpec.from_json(fields)
    assert NetworkSpec.from_json(dataclasses.asdict(NetworkSpec(blocks=2))) == NetworkSpec(blocks=2)


def test_the_spec_loads_no_jax() -> None:
    code = "import sys, cartridge.engine.spec; print(sorted({'jax', 'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
