"""The command starts quickly, since it loads neither JAX nor torch; and says what it was given wrongly."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cartridge import client
from cartridge.client import Patience
from cartridge.engine.spec import WeightsManifest

Weigh = Callable[..., tuple[bytes, WeightsManifest]]

_SERVE = """
import sys
from cartridge.services import cli
code = cli.main(sys.argv[1:])
print("loaded", sorted({"jax", "jaxlib", "flax", "torch", "numpy"} & sys.modules.keys()))
sys.exit(code)
"""


def test_it_loads_neither_jax_nor_torch(
    address: str, folder: Path, environment: dict[str, str], weigh: Weigh, run: dict[str, Any]
) -> None:
    """While it serves all that it has."""
    words = [sys.executable, "-c", _SERVE, "serve", "weights", str(folder), "--address", address]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"weights.v1.Weights on {address}\n"
        with client.Weights(address, patience=Patience(60.0)) as store:
            store.publish(*weigh(1), run)
            there = next(store.watch())
            assert store.fetch(there) == weigh(1)[0]
            assert store.newest() is not None
        process.terminate()
        said, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert said.splitlines()[-2:] == ["stopped", "loaded []"]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--keep", "0"), "expected a whole number from 1 to 1000000"),
        (("--max-weights-mib", "0"), "expected a whole number from 1 to"),
        (("--address", "nowhere"), "'nowhere' has no port"),
        (("--address", "0.0.0.0:0"), "can be reached from other machines"),
        (("--kep", "1"), "no flag --kep: did you mean --keep?"),
    ],
)
def test_a_wrong_flag_is_named(
    cartridge: Callable[..., Any], folder: Path, flags: tuple[str, ...], expected: str
) -> None:
    found = cartridge("serve", "weights", folder, *flags)
    assert found.returncode == 2
    assert expected in found.stderr
    assert not folder.exists()
