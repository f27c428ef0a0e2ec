"""A run's copy in an object store, over real HTTP: it comes back on another machine, and trouble only stalls it."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cartridge.services import checkpoint
from cartridge.services.mirror import Mirror, MirrorError
from cartridge.services.run_directory import RunDirectory, RunError

moto_server = pytest.importorskip("moto.server")
obstore = pytest.importorskip("obstore")


@pytest.fixture(scope="module")
def service() -> Iterator[Any]:
    """An S3 service on loopback, with a bucket named `runs`."""
    with socket.socket() as probe:  # a port that stays the same when the service comes back
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    server = moto_server.ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    server.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    os.environ.update(settings)
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/runs", method="PUT")).close()
    yield server
    server.stop()
    for name in settings:
        del os.environ[name]


@pytest.fixture
def aws(service: object, environment: dict[str, str]) -> dict[str, str]:
    return {**environment, **{name: value for name, value in os.environ.items() if name.startswith("AWS_")}}


@pytest.fixture
def run(command: list[str], aws: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str | int | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "train", *map(str, words)], env=aws, capture_output=True, text=True, timeout=300
        )

    return run


def weights_of(folder: Path) -> str:
    return json.loads((folder / "weights" / "latest.json").read_text())["sha256"]


@pytest.mark.long
def test_a_run_goes_on_elsewhere_exactly(run, aws, started, wait_for, tiny_flags, tmp_path: Path) -> None:
    """Stopped here, resumed there from the URL alone, and compared with a run that was never stopped."""
    whole, here, there = (tmp_path / name for name in ("whole", "here", "there"))
    url, flags = "s3://runs/some/where", [*tiny_flags, "--updates", "120"]
    assert run("tictactoe", *flags, "--run-dir", whole).returncode == 0
    process = started("tictactoe", *flags, "--run-dir", here, "--run.mirror", url, variables=aws)
    wait_for(here, process, lambda records: len(records) >= 5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    gone_on = run("--resume", url, "--run-dir", there)
    assert gone_on.returncode == 0, gone_on.stderr
    assert weights_of(there) == weights_of(whole)
    again = run("--resume", url, "--run-dir", there)
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
    lines = [json.loads(line)["iteration"] for line in (there / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, len(lines) + 1))


@pytest.mark.usefixtures("service")
def test_only_whole_checkpoints_come_back(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run", {"seed": 0})
    mirror = Mirror("s3://runs/whole")
    for step in (1, 2, 3, 4):
        checkpoint.save(directory.checkpoints, checkpoint.Checkpoint(step, {}, {}, {"step": step}))
        (directory.weights / str(step)).mkdir(parents=True)
        mirror.upload(directory, step, step, kept=3)
    obstore.put(mirror._store, "checkpoints/4/state.json", b"{}")  # damaged
    obstore.put(mirror._store, "checkpoints/5/state.json", b"{}")  # never finished
    obstore.put(mirror._store, "weights/3/elsewhere/file", b"")  # of no name that we write
    with pytest.warns(UserWarning, match="skipped damaged checkpoint"):
        fetched = mirror.fetch(tmp_path / "fetched")
    assert checkpoint.steps(fetched.checkpoints) == [3, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        newest = checkpoint.load_newest(fetched.checkpoints)
    assert newest is not None
    assert newest.state == {"step": 3}
    assert mirror._steps() == [2, 3, 4]
    assert not (tmp_path / "fetched" / "weights" / "3" / "elsewhere").exists()


@pytest.mark.usefixtures("service")
def test_what_is_not_there_is_said() -> None:
    with pytest.raises(RunError, match="s3://runs/nothing holds no run"):
        Mirror("s3://runs/nothing").fetch(Path("never"))
    with pytest.raises(MirrorError, match="s3://no-such-bucket/run: "):
        Mirror("s3://no-such-bucket/run").fetch(Path("never"))
    with pytest.raises(RunError, match=r"cannot use s4://runs: .*; expected such as s3://bucket/path"):
        Mirror("s4://runs")


def test_a_store_that_goes_away_stalls_saving_and_nothing_else(
    service, aws, started, wait_for, tiny_flags, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    flags = [*tiny_flags, "--updates", "1000000", "--run.checkpoint-minutes=0.001", "--run.mirror=s3://runs/away"]
    process = started("tictactoe", *flags, "--run-dir", run, variables=aws)
    try:
        wait_for(run, process, lambda records: len(records) > 3)
        service.stop()
        wait_for(run, process, lambda records: bool(records) and records[-1]["checkpoint_stalled"] == 1)
        service.start()
        wait_for(run, process, lambda records: bool(records) and records[-1]["checkpoint_stalled"] == 0)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "cannot save: s3://runs/away" in errors
    assert "saved again" in errors
