"""A killed run goes on exactly: the same weights, ring, priorities and records as one that was never disturbed."""

import json
import random
import signal
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cartridge.services import checkpoint, store

FLAGS = ("--replay.sampler=prioritised", "--run.checkpoint-minutes=0.0005", "--run.evaluate-minutes=1000")
UPDATES = 200


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


@pytest.mark.parametrize("iterations", [19, *(pytest.param(other, marks=pytest.mark.long) for other in (7, 41))])
def test_a_kill_changes_nothing(
    undisturbed: Path, cartridge, started, wait_for, tiny_flags, tmp_path: Path, iterations: int
) -> None:
    """With search, lookahead, symmetric views and priorities; the kill falls wherever the run happens to be."""
    run = tmp_path / "run"
    process = started("tictactoe", *tiny_flags, *FLAGS, "--updates", UPDATES, "--run-dir", run)
    wait_for(run, process, lambda records: len(records) >= iterations)
    process.kill()
    process.communicate(timeout=60)
    assert not (run / "report.json").exists(), "the run ended before the kill"
    done = cartridge("train", "--resume", run)
    assert done.returncode == 0, done.stderr
    assert records(run) == records(undisturbed)
    assert hashes(run) == hashes(undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("chain", range(4))
def test_fifty_kills_in_a_row_lose_nothing(started, wait_for, tiny_flags, tmp_path: Path, chain: int) -> None:
    """A checkpoint is under way nearly all the time; kills fall at random, in the start of the process too."""
    run, chance = tmp_path / "run", random.Random(chain)
    newest = -1
    for kill in range(50):
        if (run / "run.json").exists():
            process = started("--resume", run)
        else:
            words = ("tictactoe", *tiny_flags, *FLAGS, "--run.checkpoint-minutes=0", "--updates", 10**6)
            process = started(*words, "--run-dir", run)
        begun = time.time()
        if chance.random() < 0.9:
            wait_for(run, process, partial(gone_on, run, begun, newest))
        time.sleep(chance.random())
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what was committed is whole, always
            saved = checkpoint.load_newest(run / "checkpoints")
        found = saved.step if saved else -1
        assert found >= newest, f"kill {kill}: checkpoint {newest} was there and {found} is the newest now"
        newest = found
        numbers = [record["iteration"] for record in store.read_json_lines(run / "metrics.jsonl")]
        assert numbers == list(range(1, len(numbers) + 1)), f"kill {kill}"
    assert newest > 50, "the run hardly got on between the kills"


def gone_on(run: Path, begun: float, step: int, records: list[dict[str, Any]]) -> bool:
    """Whether the process begun then is beyond the checkpoint of `step`; what others wrote it cuts off first."""
    return bool(records) and (run / "metrics.jsonl").stat().st_mtime >= begun and records[-1]["iteration"] > step
