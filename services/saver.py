"""Saves a run while it goes on: one thread writes what the trainer has copied for it, and nobody waits.

A disk that is full, or an object store that is away, costs nothing but the newest snapshot: the run goes on, marked as
stalled, and a later snapshot is tried after a pause that doubles each time.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0  # seconds after a failure


class Saver:
    """One job at a time.

    Args:
      say: told of trouble, and of its end.
      clock: seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._thread = ThreadPoolExecutor(1, "saver")
        self._job: Future[Any] | None = None
        self._failures, self._not_before = 0, 0.0
        self.seconds = 0.0  # the last job took

    @property
    def stalled(self) -> bool:
        """Whether the last job failed."""
        self._settle()
        return self._failures > 0

    @property
    def ready(self) -> bool:
        """Whether a job may begin: none is under way, and a failed one lies far enough back."""
        self._settle()
        return self._job is None and self._clock() >= self._not_before

    def begin(self, job: Callable[[], None]) -> None:
        """Starts a job, after the one under way."""
        self.finish()
        self._job = self._thread.submit(self._timed, job)

    def finish(self) -> bool:
        """Waits for the job under way; whether the last one succeeded."""
        if self._job is not None:
            self._job.exception()
        self._settle()
        return self._failures == 0

    def close(self) -> None:
        """Waits, and lets the thread go."""
        self.finish()
        self._thread.shutdown()

    def _timed(self, job: Callable[[], None]) -> None:
        begun = time.monotonic()
        job()
        self.seconds = time.monotonic() - begun

    def _settle(self) -> None:
        """Looks at a job that has ended; anything but trouble with files is a mistake of ours and raised."""
        if self._job is None or not self._job.done():
            return
        error, self._job = self._job.exception(), None
        if error is None:
            if self._failures:
                self._say("saved again")
            self._failures = 0
            return
        if not isinstance(error, OSError):
            raise error
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        self._failures, self._not_before = self._failures + 1, self._clock() + pause
        self._say(f"cannot save: {error}; training goes on, the next try is in {pause:.0f} s")
