"""Real servers of weights for their tests, each in a process of its own, and weights to publish."""

import hashlib
import importlib.util
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from cartridge import client
from cartridge.client import Patience
from cartridge.engine.spec import NetworkSpec, WeightsManifest
from cartridge.games.tictactoe import TicTacToe

RUN = {"config": {"game": "tictactoe"}, "created_at": "2026-01-01T00:00:00+00:00", "host": "here"}
Weighed = tuple[bytes, WeightsManifest]


@pytest.fixture(scope="session")
def run() -> dict[str, Any]:
    """What the run.json of the tests' run says."""
    return RUN


@pytest.fixture(scope="session")
def weigh() -> Callable[..., Weighed]:
    """Makes weights of a version, all of them different, and their manifest."""

    def make(version: int, kib: int = 16, **changed: Any) -> Weighed:
        seed = changed.pop("seed", version)
        numbers = np.random.default_rng(seed).random(kib * 256, np.float32)
        data = safetensors.numpy.save({"policy.kernel": numbers})
        fields = {
            "version": version,
            "learner_step": 10 * version,
            "env_id": "tictactoe",
            "spec_fingerprint": TicTacToe.spec.fingerprint(),
            "network": NetworkSpec(),
            "tensors": {"policy.kernel": {"shape": list(numbers.shape), "dtype": "float32"}},
            "sha256": hashlib.sha256(data).hexdigest(),
            "created_at": "2026-01-01T00:00:00+00:00",
            "config_hash": "",
            "seed": seed,
        }
        return data, WeightsManifest(**fields | changed)

    return make


@pytest.fixture
def folder(short_folder: Path) -> Path:
    """Where the server keeps its run; the log of all servers of a test lies beside it."""
    return short_folder / "run"


@pytest.fixture
def log(short_folder: Path) -> Callable[[], str]:
    """What the servers of a test have logged."""
    return (short_folder / "log").read_text


@pytest.fixture
def serve(
    command: list[str], environment: dict[str, str], short_folder: Path, folder: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `cartridge serve weights` on the address of the test and waits until it listens."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str | Path, root: Path = folder, socket: str = "weights") -> subprocess.Popen[str]:
        line = [*command, "serve", "weights", root, "--address", f"unix:{short_folder}/{socket}", *words]
        with (short_folder / "log").open("a") as log:
            pipe = subprocess.PIPE
            process = subprocess.Popen([*map(str, line)], env=environment, stdout=pipe, stderr=log, text=True)
        processes.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("weights.v1.Weights on "), (short_folder / "log").read_text()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def address(short_folder: Path) -> str:
    """Where the servers of a test listen, one after the other."""
    return f"unix:{short_folder}/weights"


@pytest.fixture
def store(serve: Callable[..., subprocess.Popen[str]], address: str) -> Iterator[client.Weights]:
    """A client of a server that has just been started on an empty folder."""
    serve()
    with client.Weights(address, patience=Patience(60.0)) as weights:
        yield weights


@pytest.fixture
def link(short_folder: Path) -> Iterator[Any]:
    """A network in front of the server that can be held up in the midst of a transfer; see `link_for_tests.py`."""
    with _link_module().Link(short_folder / "link", short_folder / "weights") as one:
        yield one


def _link_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("link_for_tests", Path(__file__).parent / "link_for_tests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
