"""Every ten seconds, for five minutes, a process of a run is killed: nothing is lost, and it learns all the same."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cartridge.client import Patience, Replay, Weights
from cartridge.services import store
from cartridge.services.remote import StoppedError, Waiting
from cartridge.services.remote_actor import RemoteActor
from cartridge.services.replay import append_log
from cartridge.services.stopping import Stop

UPDATES = 14_000
KILL_EVERY, KILL_FOR = 10.0, 300.0  # seconds


def children_of(number: int) -> dict[int, list[str]]:
    """The words of each process that a process has started."""
    numbers = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text().split("\0") for child in numbers}


def addresses(words: list[list[str]]) -> tuple[str, str]:
    """Of replay and of weights."""
    learner = next(one for one in words if "learner" in one)
    return learner[learner.index("--replay") + 1], learner[learner.index("--weights") + 1]


class Witness:
    """An actor as the run's own are, in a process that is never killed: it knows what it was told is stored."""

    def __init__(self, replay: str, weights: str) -> None:
        self._stop = Stop()
        waiting, patience = Waiting(self._stop, print), Patience(seconds=120)
        self._replay, self._weights = Replay(replay, patience=patience), Weights(weights, patience=patience)
        self.actor = RemoteActor(self._replay, self._weights, 1, self._stop, waiting)
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        with contextlib.suppress(StoppedError):
            self.actor.run()

    def leave(self) -> None:
        self._stop.asked = True
        self._thread.join(timeout=120)
        assert not self._thread.is_alive()
        self._replay.close()
        self._weights.close()


def kill_now_and_then(process: Any, seed: int) -> dict[str, int]:
    """How often each was killed."""
    chance, killed = random.Random(seed), dict[str, int]()
    until = time.monotonic() + KILL_FOR
    while time.monotonic() < until:
        time.sleep(KILL_EVERY)
        assert process.poll() is None, process.communicate()
        number, words = chance.choice(sorted(children_of(process.pid).items()))
        name = next(word for word in ("actor", "learner", "weights", "replay") if word in words)
        killed[name] = killed.get(name, 0) + 1
        os.kill(number, signal.SIGKILL)
    return killed


def finished(process: Any) -> str:
    """What a process that ends well has said."""
    try:
        _, errors = process.communicate(timeout=3600)
        assert process.returncode == 0, errors
        return errors
    finally:
        process.terminate()


def error_of(run: Path) -> dict[str, float]:
    result = json.loads((run / "report.json").read_text())["result"]
    return {name: result[name]["mean"]["error"] for name in ("raw", "search")}


@pytest.mark.long
def test_no_game_is_lost_or_doubled_and_no_strength(started, wait_for, tmp_path) -> None:
    run, local = tmp_path / "run", tmp_path / "local"
    process = started("tictactoe", "--actors", 2, "--updates", UPDATES, "--run-dir", run)
    wait_for(run, process, lambda records: len(records) >= 1)
    witness = Witness(*addresses(list(children_of(process.pid).values())))
    killed = kill_now_and_then(process, seed=0)
    assert process.poll() is None, "it was over too soon to show anything"
    witness.leave()
    told = {witness.actor.number: witness.actor.chunks}
    errors = finished(process)

    stored: dict[int, list[int]] = {}
    for chunk in append_log.chunks(run / "replay"):
        stored.setdefault(chunk.actor, []).append(chunk.sequence)
    for numbers in stored.values():
        assert numbers == sorted(set(numbers))  # none twice; a number whose chunk was refused is not used again
    assert 0 <= len(stored[witness.actor.number]) - told[witness.actor.number] <= 1
    records = store.read_json_lines(run / "metrics.jsonl")
    versions = [record["version"] for record in records]
    assert versions == sorted(set(versions))

    finished(started("tictactoe", "--updates", UPDATES, "--run-dir", local))
    spread_error, local_error = error_of(run), error_of(local)
    print(f"killed {killed}; {sum(map(len, stored.values()))} chunks of {len(stored)} actors; witness {told}")
    restarts = errors.replace("\n", " ").count("started again")
    print(f"errors: spread {spread_error} %, local {local_error} %; restarts {restarts}")
    assert spread_error["search"] <= local_error["search"] + 0.1
    assert spread_error["raw"] <= local_error["raw"] + 1.0
