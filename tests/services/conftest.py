"""Small runs of the real thing, shared by the tests of the services."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import pytest
from cartridge.games.tictactoe import TicTacToe
from cartridge.learner import publish
from cartridge.learner.learner import Learner
from cartridge.services import config, store, training

TINY = {
    "network": {"width": 16, "blocks": 1},
    "search": {"num_simulations": 4, "lookahead": 0},
    "selfplay": {"num_games": 16, "unroll_length": 8},
    "replay": {"capacity": 1024, "min_rows": 128, "samples_per_move": 2.0},
    "learner": {"batch_size": 64},
    "run": {"minutes": 0.0, "updates": 12},
}


@pytest.fixture(scope="session")
def tiny_settings() -> dict[str, dict[str, object]]:
    """Overrides under which an iteration takes milliseconds."""
    return TINY


@pytest.fixture(scope="session")
def tiny_flags() -> list[str]:
    """The same as flags of `cartridge train`."""
    return [
        f"--{section}.{key.replace('_', '-')}={value}"
        for section, settings in TINY.items()
        for key, value in settings.items()
    ]


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How to call the real command in a process of its own."""
    return [sys.executable, "-W", "ignore", "-m", "cartridge.services.cli"]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of such a process, with a compile cache that the whole test session shares."""
    cache = str(tmp_path_factory.mktemp("cache"))
    # One thread: tiny matrices only lose by more, and tests may share the machine.
    return {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def cartridge(command: list[str], environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `cartridge WORDS...` to its end."""

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *map(str, words)], env=environment, capture_output=True, text=True, timeout=300
        )

    return run


@pytest.fixture(scope="session")
def started(command: list[str], environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts `cartridge train WORDS...` and does not wait; more variables may be given as `variables`."""

    def start(*words: str | int | Path, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, "train", *map(str, words)],
            env={**environment, **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Path, subprocess.Popen[str], Callable[[list[dict[str, Any]]], bool]], None]:
    """Waits until the metrics that a running process writes to a run's folder are as told."""

    def wait(run: Path, process: subprocess.Popen[str], holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        deadline = time.monotonic() + 180
        while not holds(store.read_json_lines(run / "metrics.jsonl")):
            assert time.monotonic() < deadline, "it did not come to that within three minutes"
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trainers of one shape share their compiled programs, as two runs of the real command do."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    yield
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of tictactoe that was never trained, with weights versions 0 and 3. Tests copy it before they change it."""
    settings = config.build("tictactoe", "alphazero", TINY)
    root = tmp_path_factory.mktemp("runs") / "small"
    run = training.create(root, settings)
    for version in (0, 3):
        tensors = Learner(TicTacToe.spec, settings.network, settings.learner, seed=version, device="cpu").published()
        run.publish(
            *publish.export(
                tensors,
                version=version,
                learner_step=10 * version,
                game=TicTacToe.spec,
                network=settings.network,
                seed=version,
                config_hash=settings.hash(),
                created_at="2026-01-01T00:00:00+00:00",
            )
        )
    for iteration in range(1, 6):
        record = {
            "iteration": iteration,
            "seconds": 2.0 * iteration,
            "moves": 100 * iteration,
            "updates": 10 * iteration,
        }
        store.append_json_line(run.metrics, record)
    return root
