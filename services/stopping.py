"""Asked to stop: SIGINT and SIGTERM alike, heard at the next moment at which there is nothing half done."""

import dataclasses
import signal
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager

_EAR = 0.1  # seconds


@dataclasses.dataclass
class Stop:
    """Whether a signal has come."""

    asked: bool = False

    def wait(self, seconds: float) -> None:
        """Lets time pass, unless a signal comes: Python's own sleep goes on after one."""
        until = time.monotonic() + seconds
        while not self.asked and time.monotonic() < until:
            time.sleep(min(_EAR, seconds))


@contextmanager
def on_signals() -> Iterator[Stop]:
    """The first signal asks; a second one stops at once, unsaved."""
    stop = Stop()

    def ask(number: int, frame: types.FrameType | None) -> None:
        del number, frame
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
