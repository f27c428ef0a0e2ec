"""Saving goes on beside training, and comes back by itself after trouble."""

import threading
from collections.abc import Iterator

import pytest
from cartridge.services.saver import Saver


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def saver(clock: Clock, said: list[str]) -> Iterator[Saver]:
    saver = Saver(said.append, clock)
    yield saver
    saver._thread.shutdown()


def full() -> None:
    raise OSError(28, "No space left on device")


def test_the_caller_does_not_wait(saver: Saver) -> None:
    go_on = threading.Event()
    saver.begin(lambda: print(go_on.wait()))
    assert not saver.ready
    go_on.set()
    assert saver.finish()
    assert saver.ready


def test_a_failed_save_is_tried_again_later_and_later(saver: Saver, clock: Clock, said: list[str]) -> None:
    for pause in (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0):
        saver.begin(full)
        assert not saver.finish()
        assert saver.stalled
        assert not saver.ready
        clock.now += pause - 0.1
        assert not saver.ready
        clock.now += 0.2
        assert saver.ready
    assert said[0].startswith("cannot save: [Errno 28] No space left on device; training goes on, the next try is in 5")
    saver.begin(lambda: None)
    assert saver.finish()
    assert not saver.stalled
    assert said[-1] == "saved again"


def test_a_mistake_of_ours_is_not_hidden(saver: Saver) -> None:
    saver.begin(lambda: {}["missing"])
    with pytest.raises(KeyError, match="missing"):
        saver.finish()
