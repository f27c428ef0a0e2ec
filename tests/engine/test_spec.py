"""A spec is a value: hashable, stable in its JSON, JAX-free, and it refuses nonsense."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from cartridge.engine.spec import GameSpec, NetworkSpec, SpecError

SPEC = GameSpec("hex", "1.0.0", 2, 121, (11, 11, 4), 0, 68, options=(("swap", "1"),))


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
