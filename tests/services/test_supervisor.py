"""Processes that are kept alive: killed, failing, finished, and left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cartridge.client import CallError, Patience, Weights
from cartridge.services.supervisor import Role, Supervisor, SupervisorError

PATIENT = 60.0  # seconds


def serving(folder: Path, number: int = 1) -> Role:
    """A process that goes on until it is told to stop, and starts quickly."""
    address = f"unix:{folder}/{number}.sock"
    return Role(f"weights-{number}", ("serve", "weights", str(folder / str(number)), "--address", address), serves=True)


def until(holds: Callable[[], object], supervisor: Supervisor | None = None) -> None:
    deadline = time.monotonic() + PATIENT
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        if supervisor is not None:
            supervisor.look()
        time.sleep(0.05)


def answers(folder: Path, number: int = 1) -> bool:
    with Weights(f"unix:{folder}/{number}.sock", patience=Patience(seconds=0)) as weights:
        try:
            return weights.newest() is None
        except CallError:
            return False


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_who_is_killed_is_started_again_and_all_are_ended_in_the_end(short_folder: Path) -> None:
    said: list[str] = []
    logs = short_folder / "logs"
    with Supervisor([serving(short_folder)], logs, os.environ, said.append) as supervisor:
        until(lambda: answers(short_folder), supervisor)
        first = supervisor.process_ids()["weights-1"]
        os.kill(first, signal.SIGKILL)
        until(lambda: supervisor.process_ids().get("weights-1", first) != first, supervisor)
        until(lambda: answers(short_folder), supervisor)
        second = supervisor.process_ids()["weights-1"]
    assert said == ["weights-1 was killed by SIGKILL; it is started again"]
    assert not alive(first)
    assert not alive(second)
    assert (logs / "weights-1.log").read_text().count("weights.v1.Weights on") == 2
    assert "stopped" in (logs / "weights-1.log").read_text()


def test_who_fails_again_and_again_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    said: list[str] = []
    failing = Role("mistaken", ("games", "--no-such-flag"))
    supervisor = Supervisor([failing], tmp_path / "logs", os.environ, said.append)
    with supervisor, pytest.raises(SupervisorError, match="no flag --no-such-flag") as raised:
        until(lambda: False, supervisor)
    assert "mistaken ended with exit code 2 5 times" in str(raised.value)
    assert len(said) == 4


def test_work_that_is_done_is_told_and_not_begun_again(tmp_path: Path) -> None:
    done = Role("list", ("games",), ends=True)
    said: list[str] = []
    with Supervisor([done], tmp_path / "logs", os.environ, said.append) as supervisor:
        until(supervisor.look)
    assert not said
    assert "connect4" in (tmp_path / "logs" / "list.log").read_text()


def test_nobody_outlives_a_supervisor_that_was_killed(short_folder: Path) -> None:
    program = (
        "import os, sys, time, pathlib\n"
        "from cartridge.services.supervisor import Role, Supervisor\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "words = ('serve', 'weights', str(folder / '1'), '--address', f'unix:{folder}/1.sock')\n"
        "supervisor = Supervisor([Role('weights-1', words)], folder / 'logs', os.environ, print)\n"
        "while True:\n"
        "    supervisor.look()\n"
        "    print(*supervisor.process_ids().values(), flush=True)\n"
        "    time.sleep(0.1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(short_folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        until(lambda: answers(short_folder))
        process.kill()
        process.wait()
        until(lambda: not alive(child))
    finally:
        process.kill()
        process.communicate()
    assert "stopped" in (short_folder / "logs" / "weights-1.log").read_text()
