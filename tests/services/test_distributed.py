"""Training in many processes, as a user meets it: to the end, stopped, killed, resumed; and what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cartridge.services import checkpoint, store
from cartridge.services.replay import append_log

ENDLESS = ("--updates", 1_000_000)  # more than any test waits for


def log_sums(run: Path) -> dict[int, list[int]]:
    """The numbers of the chunks that each actor stored, in the order of the log."""
    found: dict[int, list[int]] = {}
    for chunk in append_log.chunks(run / "replay"):
        found.setdefault(chunk.actor, []).append(chunk.sequence)
    return found


def actors_of(run: Path) -> set[int]:
    """The numbers of the actors that have begun to play."""
    told = "".join(path.read_text() for path in (run / "logs").glob("actor-*.log"))
    return {int(number, 16) for number in re.findall(r"actor ([0-9a-f]{16}) plays", told)}


def children_of(number: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(number)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def wait_until_gone(numbers: list[int]) -> None:
    deadline = time.monotonic() + 90
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        assert time.monotonic() < deadline, "some outlived the supervisor"
        time.sleep(0.1)


def iterations_of(run: Path) -> list[int]:
    return [record["iteration"] for record in store.read_json_lines(run / "metrics.jsonl")]


def test_a_run_in_many_processes_ends_with_a_report(cartridge, tiny_flags, tmp_path) -> None:
    run = tmp_path / "run"
    trained = cartridge("train", "tictactoe", *tiny_flags, "--actors", 2, "--updates", 40, "--run-dir", run)
    assert trained.returncode == 0, trained.stderr + "".join(p.read_text() for p in (run / "logs").iterdir())
    assert "perfect solver" in trained.stdout
    report = json.loads((run / "report.json").read_text())
    assert report["result"]["search"]["mean"]["positions"] == 4520
    assert report["result"]["updates"] == 40
    records = store.read_json_lines(run / "metrics.jsonl")
    assert iterations_of(run) == list(range(1, len(records) + 1))
    last = records[-1]
    assert last["progress"] == 1.0
    assert last["samples"] == 40 * 64
    chunks = log_sums(run)
    assert chunks.keys() <= actors_of(run)
    assert chunks  # of one, or of both: the other may have come too late
    for numbers in chunks.values():
        assert numbers == sorted(set(numbers))
    assert last["moves"] <= 128 * sum(map(len, chunks.values()))
    names = {path.stem for path in (run / "logs").iterdir()}
    assert names == {"weights", "replay", "learner", "actor-1", "actor-2"}
    assert cartridge("eval", run, "--simulations", 2).returncode == 0

    again = cartridge("train", "--resume", run)  # there is nothing left to do
    assert again.returncode == 0, again.stderr
    assert "perfect solver" in again.stdout
    assert store.read_json_lines(run / "metrics.jsonl") == records


@pytest.mark.long
def test_a_signal_ends_all_and_says_how_to_resume(started, wait_for, cartridge, tiny_flags, tmp_path) -> None:
    run = tmp_path / "run"
    process = started("tictactoe", *tiny_flags, *ENDLESS, "--actors", 1, "--run-dir", run)
    wait_for(run, process, lambda records: len(records) >= 2)
    children = children_of(process.pid)
    assert len(children) == 4
    second = cartridge("train", "--resume", run)
    assert second.returncode == 2
    assert "another process is training" in second.stderr
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert f"cartridge train --resume {run}" in errors.replace("\n", "")
    assert not any(Path(f"/proc/{number}").exists() for number in children)
    saved = checkpoint.load_newest(run / "checkpoints")
    assert saved is not None
    assert saved.state["counters"]["updates"] > 0

    local = cartridge("train", "--resume", run, "--actors", 0)
    assert local.returncode == 2
    assert "--actors N" in local.stderr


@pytest.mark.long
def test_nothing_outlives_a_killed_supervisor_and_the_run_goes_on(
    started, wait_for, cartridge, tiny_flags, tmp_path
) -> None:
    run = tmp_path / "run"
    process = started("tictactoe", *tiny_flags, *ENDLESS, "--actors", 1, "--run-dir", run)
    wait_for(run, process, lambda records: len(records) >= 3)
    children = children_of(process.pid)
    process.kill()
    process.communicate(timeout=60)
    wait_until_gone(children)
    before = store.read_json_lines(run / "metrics.jsonl")[-1]
    resumed = cartridge("train", "--resume", run, "--updates", before["updates"] + 20)
    assert resumed.returncode == 0, resumed.stderr
    after = store.read_json_lines(run / "metrics.jsonl")[-1]
    assert after["iteration"] > before["iteration"]
    assert after["moves"] > before["moves"]  # counted on, from the log
    for numbers in log_sums(run).values():
        assert numbers == sorted(set(numbers))


@pytest.mark.long
def test_a_run_that_was_local_can_be_spread_later(cartridge, tiny_flags, tmp_path) -> None:
    run = tmp_path / "run"
    assert cartridge("train", "tictactoe", *tiny_flags, "--updates", 8, "--run-dir", run).returncode == 0
    spread = cartridge("train", "--resume", run, "--actors", 1, "--updates", 24)
    assert spread.returncode == 0, spread.stderr
    assert store.read_json_lines(run / "metrics.jsonl")[-1]["updates"] == 24
    assert iterations_of(run) == sorted(set(iterations_of(run)))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--actors", "-1"), "run.actors is -1, expected 0 to 1000"),
        (("--actors", "some"), "run.actors is 'some', expected a whole number"),
        (("--actors", "2", "--run.mirror", "s3://bucket/run"), "run.mirror does not go with run.actors"),
    ],
)
def test_wrong_words_are_refused(cartridge, tmp_path, words: tuple[str, ...], told: str) -> None:
    refused = cartridge("train", "tictactoe", *words, "--run-dir", tmp_path / "run")
    assert refused.returncode == 2
    assert told in refused.stderr
    assert not (tmp_path / "run").exists()


def test_a_learner_loads_no_jax() -> None:
    program = (
        "import sys\n"
        "from cartridge.services import learner_command, learning\n"
        "found = [name for name in sys.modules if name.partition('.')[0] in ('jax', 'jaxlib', 'flax')]\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ["actor", "learner"])
def test_a_role_waits_for_its_services_and_stops_when_told(
    command: list[str], environment: dict[str, str], tmp_path: Path, role: str
) -> None:
    words: list[Any] = [*command, role, "--replay", f"unix:{tmp_path}/r", "--weights", f"unix:{tmp_path}/w"]
    words += ["--run-dir", tmp_path / "run"] if role == "learner" else []
    pipe = subprocess.PIPE
    process = subprocess.Popen([str(word) for word in words], env=environment, stderr=pipe, text=True)
    assert process.stderr is not None
    try:
        assert "waiting for replay: UNAVAILABLE" in process.stderr.readline()
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert "stopped" in errors
        assert process.returncode == (0 if role == "actor" else 130)
    finally:
        process.kill()
        process.communicate()
