"""Processes of ours that are kept alive: started, started again when they die, and ended together.

A process that somebody killed is started again at once. One that fails by itself is tried again after a pause that
doubles each time, and given up after a few quick failures, with the end of its log. Whoever is started here ends by
itself when the supervisor is gone; see `follow`.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_VARIABLE = "CARTRIDGE_SUPERVISOR"  # the supervisor's process id
_QUICK = 60.0  # seconds; who lived for longer has not failed at once
_MOST_FAILURES = 5  # quick ones in a row
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0  # seconds before another start
_PATIENCE = 30.0  # seconds from SIGTERM to SIGKILL
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TAIL = 15  # lines of a log


class SupervisorError(RuntimeError):
    """A process fails whenever it is started; the message holds the end of its log."""


@dataclasses.dataclass(frozen=True)
class Role:
    """A process to keep alive.

    Attributes:
      name: which names its log.
      words: of the command `cartridge`.
      serves: others need it, so it is ended after them.
      ends: exit code 0 says that its work is done.
    """

    name: str
    words: Sequence[str]
    serves: bool = False
    ends: bool = False


class Supervisor:
    """Keeps processes alive. Use as a context manager: on leaving all of them are ended.

    Args:
      logs: the folder where each process's words go, NAME.log, after those of earlier starts.
      environment: of the processes.
      say: told of every process that died.
    """

    def __init__(
        self, roles: Sequence[Role], logs: Path, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._environment = {**environment, _VARIABLE: str(os.getpid())}
        self._children = [_Child(role, logs / f"{role.name}.log") for role in roles]
        self._say = say
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):  # a second Ctrl-C does not wait
            for child in self._children:
                child.signal(signal.SIGKILL)
        self.stop()

    def look(self) -> bool:
        """Starts whoever is not there; whether one whose work ends has done it.

        Raises:
          SupervisorError: one fails again and again.
        """
        for child in self._children:
            code = child.ended()
            if code == 0 and child.role.ends:
                return True
            if code is not None:
                self._say(f"{child.role.name} {child.fallen(code)}; it is started again")
            child.start_if_due(self._environment)
        return False

    def stop(self) -> None:
        """Ends all in peace, servers last; whoever does not listen is killed."""
        for serves in (False, True):
            group = [child for child in self._children if child.role.serves is serves]
            for child in group:
                child.signal(signal.SIGTERM)
            deadline = time.monotonic() + _PATIENCE
            for child in group:
                child.wait(deadline)

    def process_ids(self) -> dict[str, int]:
        """Of those that are alive, by name."""
        found = {child.role.name: child.process_id for child in self._children}
        return {name: number for name, number in found.items() if number is not None}


class _Child:
    """One role's process, of which there may be none at the moment."""

    def __init__(self, role: Role, log: Path) -> None:
        self.role, self._log = role, log
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._not_before = 0.0
        self._failures = 0  # quick ones in a row

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start_if_due(self, environment: Mapping[str, str]) -> None:
        if self._process is not None or time.monotonic() < self._not_before:
            return
        self._started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.cli", *self.role.words],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, who ends them in their order
            )

    def ended(self) -> int | None:
        """The exit code of a process that has ended since the last look."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            self._process = None
        return code

    def fallen(self, code: int) -> str:
        """What became of it, in words; says when the next start is due.

        Raises:
          SupervisorError: it has failed too often.
        """
        if -code in _FROM_OUTSIDE:
            self._failures = 0
            self._not_before = time.monotonic() + _FIRST_PAUSE
            return f"was killed by {signal.Signals(-code).name}"
        quick = time.monotonic() - self._started < _QUICK
        self._failures = self._failures + 1 if quick else 1
        what = f"ended with exit code {code}" if code >= 0 else f"crashed by {signal.Signals(-code).name}"
        if self._failures >= _MOST_FAILURES:
            raise SupervisorError(
                f"{self.role.name} {what} {self._failures} times soon after its start; the end of {self._log}:\n"
                f"{self._tail()}"
            )
        self._not_before = time.monotonic() + min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        return what

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_TAIL:])


def follow(environment: Mapping[str, str] = os.environ) -> None:
    """Ends this process, as SIGTERM does, once the supervisor that started it is gone; nothing where none did."""
    if _VARIABLE not in environment:
        return
    supervisor = int(environment[_VARIABLE])

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()
