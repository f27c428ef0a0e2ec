"""Every implementation is timed in a process of its own, over a pipe that carries lines of JSON both ways.

So each has its own compiler flags, interpreter and memory, a crash of one harms no other, and the repeats of all can be
interleaved. Both ends of the pipe are here. A peer's own interpreter, which has no Cartridge, runs this file as a
script and finds `envpool_calls.py` and `replay/torchrl_buffers.py` beside it, so these load nothing else from here but
what lies in their own folder.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

_ERROR_TAIL = 800  # characters of a dead process's last words that an error repeats


class Loop(Protocol):
    """A batch of B games that plays by itself, or another thing whose use is timed."""

    def describe(self) -> dict[str, Any]:
        """Of games `compile_s`, `bytes_per_game` (int or None), `device` and `versions`."""
        ...

    def play(self, *args: Any, **settings: Any) -> dict[str, float]:
        """Plays by what the request says: `num_steps` steps in each of its games; see also `replay.loop`.

        Games return `seconds`, `moves` (steps made in all games), `episodes` ended, and `checksum`, the sum of the
        rewards. In `observe` also what was `shown`, its bits summed.
        """
        ...


class WorkerError(RuntimeError):
    """An implementation that could not be built or run."""


class Worker:
    """The asking end: a process that builds loops and plays them, one request at a time; see `running`."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process, self._errors = process, errors

    def ask(self, **request: Any) -> Any:
        """Sends a request and waits for its answer; `WorkerError` if it fails there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"the process ended with status {self._process.wait()}: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-_ERROR_TAIL:].strip()


@contextlib.contextmanager
def running(module: str, python: str | None = None, flags: str = "") -> Iterator[Worker]:
    """A process for the time of a `with` block; `module` offers `build(**settings) -> Loop`.

    Without `python` the process runs this interpreter and `module` lies in this package; with it, `module` is a file
    beside this one. `flags` are added to XLA's, which are read once, as JAX starts.
    """
    own = [sys.executable, "-m", __name__, f"{__package__}.{module}"]
    command = [python, str(Path(__file__).resolve()), module] if python else own
    environment = {**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()}
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as errors,  # a pipe that nobody reads would fill and stop the process
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=environment) as process,
    ):
        try:
            yield Worker(process, errors)
        finally:
            process.communicate()  # closes the pipes, also those that its death has broken


def main(arguments: Sequence[str]) -> None:
    """The answering end: `build` makes a loop under a name, `play` plays it, the end of the input ends the process."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    build = importlib.import_module(arguments[0]).build
    loops: dict[str, Loop] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request.pop("name")
        try:
            if request.pop("do") == "build":
                loops[name] = build(**request)
                answer = loops[name].describe()
            else:
                answer = loops[name].play(**request)
        except Exception as error:  # whatever a peer raises becomes its answer, and the process lives on
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
