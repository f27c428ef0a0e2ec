"""Real servers of replay for their tests, each in a process of its own, and moves to append."""

import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from cartridge import client, engine
from cartridge.client import Patience
from cartridge.engine import codec
from cartridge.games.tictactoe import TicTacToe

GAMES, MOVES = 16, 8  # of a chunk, as the tiny settings have it
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def play() -> Callable[[int], Arrays]:
    """A chunk of random play, another for every seed; `observation` and `legal_actions` are what its moves showed."""

    game = TicTacToe()
    step = jax.jit(functools.partial(engine.step, game, autoreset="same_step"))

    def chunk(seed: int) -> Arrays:
        chance = np.random.default_rng(seed)
        states, shown = engine.init(game, seed=seed, num_envs=GAMES)
        rows: dict[str, list[np.ndarray]] = {"state": [], "observation": [], "legal_actions": [], "policy": []}
        for _ in range(MOVES):
            legal = np.asarray(shown.legal_actions)
            weights = np.where(legal, chance.random(legal.shape), 0)
            policy = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
            rows["state"].append(codec.pack_state(jax.device_get(states)))
            rows["observation"].append(np.asarray(shown.observation))
            rows["legal_actions"].append(legal)
            rows["policy"].append(policy)
            states, shown = step(states, policy.argmax(1).astype(np.int32))
        arrays = {name: np.concatenate(steps) for name, steps in rows.items()}
        return arrays | {"value": chance.uniform(-1, 1, GAMES * MOVES).astype(np.float32)}

    return chunk


@pytest.fixture(scope="session")
def start_replay(
    command: list[str], environment: dict[str, str], tiny_flags: list[str]
) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts `cartridge serve replay` on a run's folder, made with the tiny settings; returns process and address."""
    processes: list[subprocess.Popen[str]] = []

    def start(run: Path, *words: str | Path, socket: str = "r") -> tuple[subprocess.Popen[str], str]:
        address = f"unix:{run.parent}/{socket}"
        new = [] if (run / "run.json").exists() else ["tictactoe", *tiny_flags, "--replay.min-rows=1"]
        line = [*command, "serve", "replay", *new, "--run-dir", run, "--address", address, *words]
        with (run.parent / "log").open("a") as log:
            pipe = subprocess.PIPE
            process = subprocess.Popen([*map(str, line)], env=environment, stdout=pipe, stderr=log, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("replay.v1.Replay on "), (run.parent / "log").read_text()
        return process, address

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def shared(start_replay: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a server that a module's tests share, each of which clears it first."""
    return start_replay(tmp_path_factory.mktemp("r") / "run")[1]


@pytest.fixture
def replay(shared: str) -> Iterator[client.Replay]:
    """A client of it, with nothing in the replay."""
    with client.Replay(shared, patience=Patience(60.0)) as one:
        one.clear()
        yield one
