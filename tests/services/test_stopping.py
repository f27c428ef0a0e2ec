"""A first signal asks, a second one stops at once, and what waits hears of the first."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from cartridge.services import stopping

LONG = 600.0  # seconds; longer than any test may take


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_asks_and_a_second_one_stops(number: signal.Signals) -> None:
    with stopping.on_signals() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_signals_mean_afterwards_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError, match="in between"), stopping.on_signals():
        raise RuntimeError("in between")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_wait_ends_when_a_signal_comes() -> None:
    with stopping.on_signals() as stop:
        later = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
        later.start()
        stop.wait(LONG)
        assert stop.asked
        stop.wait(LONG)  # it has come already
        later.join()


def test_a_wait_without_a_signal_lasts_as_long_as_was_said() -> None:
    begun = time.monotonic()
    stopping.Stop().wait(0.25)
    assert time.monotonic() - begun >= 0.25


_SLEEPER = """
from cartridge.services import stopping
with stopping.on_signals() as stop:
    print("ready", flush=True)
    stop.wait(600.0)
    print("asked" if stop.asked else "nothing", flush=True)
    while True:
        stop.asked = True
"""


def test_a_program_that_does_not_listen_is_ended_by_the_second_signal() -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", _SLEEPER], stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "asked\n"
        process.terminate()
        _, errors = process.communicate(timeout=60)
        assert "KeyboardInterrupt" in errors
    finally:
        process.kill()
        process.communicate()
