"""A killed run goes on exactly: the same weights, ring, priorities and records as one that was never disturbed."""

import json
import random
import signal
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from cartridge.services import checkpoint

FLAGS = ("--replay.sampler=prioritised", "--run.checkpoint-minutes=0.0005", "--run.evaluate-minutes=1000")
UPDATES = 200


def start(command: list[str], environment: dict[str, str], *words: str | int | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, "train", *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def records(run: Path) -> list[dict[str, Any]]:
    """The metrics, timing columns aside."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith("seconds") and k != "moves_per_s"} for line in lines]


def hashes(run: Path) -> dict[str, str]:
    """Of the last checkpoint: all of JAX's and torch's state; and of the weights."""
    newest = checkpoint.steps(run / "checkpoints")[-1]
    manifest = json.loads((run / "checkpoints" / str(newest) / checkpoint.MANIFEST).read_text())
    found = {name: manifest["sha256"][name] for name in ("jax.safetensors", "torch.safetensors")}
    return found | json.loads((run / "weights" / "latest.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(cartridge, tiny_flags, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    done = cartridge("train", "tictactoe", *tiny_flags, *FLAGS, "--updates", UPDATES, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    return run


@pytest.mark.parametrize("iterations", [7, 19, 41])
def test_a_kill_changes_nothing(
    undisturbed: Path, cartridge, command, environment, tiny_flags, tmp_path: Path, iterations: int
) -> None:
    """With search, lookahead, symmetric views and priorities; the kill falls wherever the run happens to be."""
    run = tmp_path / "run"
    process = start(command, environment, "tictactoe", *tiny_flags, *FLAGS, "--updates", UPDATES, "--run-dir", run)
    wait_for_records(run, iterations, process)
    process.kill()
    process.communicate(timeout=60)
    assert not (run / "report.json").exists(), "the run ended before the kill"
    done = cartridge("train", "--resume", run)
    assert done.returncode == 0, done.stderr
    assert records(run) == records(undisturbed)
    assert hashes(run) == hashes(undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("chain", range(4))
def test_fifty_kills_in_a_row_lose_nothing(command, environment, tiny_flags, tmp_path: Path, chain: int) -> None:
    """A checkpoint is under way nearly all the time; kills fall at random, in the start of the process too."""
    run, chance = tmp_path / "run", random.Random(chain)
    newest = -1
    for kill in range(50):
        if (run / "run.json").exists():
            process = start(command, environment, "--resume", run)
        else:
            words = ("tictactoe", *tiny_flags, *FLAGS, "--run.checkpoint-minutes=0", "--updates", 10**6)
            process = start(command, environment, *map(str, words), "--run-dir", run)
        if chance.random() < 0.9:
            wait_for_progress(run, newest, process)
        time.sleep(chance.random())
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what was committed is whole, always
            saved = checkpoint.load_newest(run / "checkpoints")
        found = saved.step if saved else -1
        assert found >= newest, f"kill {kill}: checkpoint {newest} was there and {found} is the newest now"
        newest = found
        numbers = [record["iteration"] for record in records_of_whole_lines(run)]
        assert numbers == list(range(1, len(numbers) + 1)), f"kill {kill}"
    assert newest > 50, "the run hardly got on between the kills"


def records_of_whole_lines(run: Path) -> list[dict[str, Any]]:
    """The last line may be cut by the kill."""
    if not (run / "metrics.jsonl").exists():
        return []
    lines = (run / "metrics.jsonl").read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def wait_for_progress(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Until this process has gone beyond the checkpoint of `step`; what others wrote it cuts off first."""
    begun, deadline = time.time(), time.monotonic() + 120
    path = run / "metrics.jsonl"
    while not path.exists() or path.stat().st_mtime < begun or last_iteration(run) <= max(step, 0):
        assert time.monotonic() < deadline, "no record within two minutes"
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def last_iteration(run: Path) -> int:
    records = records_of_whole_lines(run)
    return records[-1]["iteration"] if records else 0


def wait_for_records(run: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"no {count} records within two minutes")
