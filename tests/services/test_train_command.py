"""`cartridge train` as a user meets it: real processes, wrong input, signals, a kill, a full disk."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cartridge.games.tictactoe import TicTacToe
from cartridge.services.episodes import replay

ENDLESS = ("--updates", 100_000)  # more than any test waits for


def hash_of(run: Path) -> str:
    return json.loads((run / "weights" / "latest.json").read_text())["sha256"]


def test_trains_reports_and_reproduces(cartridge, tiny_flags, tmp_path) -> None:
    first = cartridge("train", "tictactoe", *tiny_flags, "--seed", 3, "--run-dir", tmp_path / "a")
    assert first.returncode == 0, first.stderr
    assert "perfect solver" in first.stdout
    for name in ("run.json", "metrics.jsonl", "eval.jsonl", "report.json", "curve.svg", "weights/latest.json"):
        assert (tmp_path / "a" / name).stat().st_size > 0
    assert any((tmp_path / "a" / "tensorboard").iterdir())
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert report["result"]["search"]["mean"]["positions"] == 4520

    version = report["result"]["version"]
    game = json.loads((tmp_path / "a" / "games" / f"{version}.json").read_text())
    assert replay(TicTacToe(), game)[-1].over

    second = cartridge("train", "tictactoe", *tiny_flags, "--seed", 3, "--run-dir", tmp_path / "b")
    assert second.returncode == 0, second.stderr
    assert hash_of(tmp_path / "a") == hash_of(tmp_path / "b")

    again = cartridge("train", "tictactoe", *tiny_flags, "--run-dir", tmp_path / "a")
    assert again.returncode == 2
    assert f"--resume {tmp_path / 'a'}" in again.stderr

    longer = cartridge("train", "--resume", tmp_path / "a", "--updates", 20)
    assert longer.returncode == 0, longer.stderr
    assert len(list((tmp_path / "a" / "games").iterdir())) == 2
    iterations = iterations_of(tmp_path / "a")
    assert iterations == sorted(set(iterations))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_resume(started, wait_for, tiny_flags, tmp_path, number) -> None:
    run = tmp_path / "run"
    process = started("tictactoe", *tiny_flags, *ENDLESS, "--run-dir", run)
    wait_for(run, process, lambda records: len(records) >= 4)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert f"cartridge train --resume {run}" in errors.replace("\n", "")
    assert any((run / "checkpoints").iterdir())


def test_kill_at_any_moment_resumes_from_the_last_checkpoint(
    started, wait_for, cartridge, tiny_flags, tmp_path
) -> None:
    run = tmp_path / "run"
    flags = [*tiny_flags, "--run.checkpoint-minutes=0.001", *ENDLESS]
    process = started("tictactoe", *flags, "--run-dir", run)
    wait_for(run, process, lambda records: len(records) >= 6)
    process.kill()
    process.communicate(timeout=60)
    resumed = cartridge("train", "--resume", run, "--updates", 40)
    assert resumed.returncode == 0, resumed.stderr
    iterations = iterations_of(run)
    assert iterations == list(range(1, len(iterations) + 1))


@pytest.mark.long
def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_again(cartridge, tiny_flags, tmp_path) -> None:
    run = tmp_path / "run"
    first = cartridge("train", "tictactoe", *tiny_flags, "--updates", 8, "--run.checkpoints-kept=1", "--run-dir", run)
    assert first.returncode == 0, first.stderr
    logs = (run / "metrics.jsonl").read_text()
    (damaged,) = (run / "checkpoints").glob("*/jax.safetensors")
    damaged.write_bytes(b"damaged")
    refused = cartridge("train", "--resume", run, "--updates", 16)
    assert refused.returncode == 2
    assert "is whole; to begin again would undo" in refused.stderr
    assert (run / "metrics.jsonl").read_text() == logs


@pytest.mark.long
def test_a_run_goes_on_with_other_devices_and_another_capacity(
    command, environment, cartridge, tiny_flags, tmp_path
) -> None:
    run = tmp_path / "run"
    first = cartridge("train", "tictactoe", *tiny_flags, "--updates", 40, "--run-dir", run)
    assert first.returncode == 0, first.stderr
    refused = cartridge("train", "--resume", run, "--updates", 44, "--replay.capacity", 512)
    assert refused.returncode == 2
    assert "holds 1,024 rows and replay.capacity is 512" in refused.stderr
    assert "give --truncate to drop the oldest 512" in refused.stderr
    four = {**environment, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    words = ["train", "--resume", str(run), "--truncate"]
    done = subprocess.run([*command, *words], env=four, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "the oldest 512 rows were dropped: replay.capacity is 512" in done.stderr
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["updates"] >= 44
    assert last["replay_fill"] == 1.0


def test_two_processes_cannot_train_one_run(started, wait_for, cartridge, tiny_flags, tmp_path) -> None:
    run = tmp_path / "run"
    process = started("tictactoe", *tiny_flags, *ENDLESS, "--run-dir", run)
    try:
        wait_for(run, process, lambda records: len(records) >= 2)
        second = cartridge("train", "--resume", run)
        assert second.returncode == 2
        assert f"another process is training {run}" in second.stderr.replace("\n", "")
    finally:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.long
def test_a_checkpoint_of_another_run_is_refused(cartridge, tiny_flags, tmp_path) -> None:
    for name, width in (("one", 16), ("other", 24)):
        flags = [*tiny_flags, f"--network.width={width}", "--run-dir", tmp_path / name]
        assert cartridge("train", "tictactoe", *flags).returncode == 0
    shutil.rmtree(tmp_path / "one" / "checkpoints")
    shutil.copytree(tmp_path / "other" / "checkpoints", tmp_path / "one" / "checkpoints")
    done = cartridge("train", "--resume", tmp_path / "one", "--updates", 20)
    assert done.returncode == 2
    assert "the checkpoint is of another run: network.width is 24, expected 16" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_full_disk_keeps_the_run_going(command, environment, tiny_flags, tmp_path) -> None:
    """No file may grow beyond 24 KiB: logs still fit, checkpoints and weights do not."""
    run = tmp_path / "run"
    limited = ["bash", "-c", 'ulimit -f 24; exec "$@"', "limited"]  # KiB; Python turns the signal into an OSError
    done = subprocess.run(
        [*limited, *command, "train", "tictactoe", *tiny_flags, "--run-dir", str(run)],
        env={**environment, "JAX_COMPILATION_CACHE_DIR": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot save" in done.stderr
    assert not [entry for entry in run.rglob("*") if entry.name.endswith(".tmp")]
    assert not list((run / "checkpoints").glob("[0-9]*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "conect4"], "did you mean connect4"),
        (["train"], "which game?"),
        (["train", "kuhn_poker"], "alphazero does not fit: kuhn_poker hides information from its players"),
        (["train", "2048"], "alphazero does not fit: 2048 is played alone, for points"),
        (["play", "leduc_poker"], "leduc_poker hides information from its players"),
        (["train", "connect4", "--algo", "alphazeo"], "did you mean alphazero"),
        (["train", "connect4", "--minuts", "3"], "did you mean --minutes"),
        (["train", "connect4", "--search.num-simulations", "0"], "search.num_simulations is 0, expected 1 to 10000"),
        (["train", "connect4", "--minutes", "soon"], "expected a number"),
        (["train", "--resume", "nowhere"], "holds no run"),
        (["train", "connect4", "--resume", "nowhere"], "--resume takes the run's own settings"),
        (["trian"], "did you mean train"),
        (["games", "--jsn"], "did you mean --json"),
    ],
)
def test_wrong_input_exits_2_and_names_the_nearest(cartridge, words: list[str], message: str) -> None:
    done = cartridge(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(cartridge, tiny_flags, tmp_path) -> None:
    tmp_path.chmod(0o500)
    done = cartridge("train", "tictactoe", *tiny_flags, "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def iterations_of(run: Path) -> list[int]:
    return [json.loads(line)["iteration"] for line in (run / "metrics.jsonl").read_text().splitlines()]
