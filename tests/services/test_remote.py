"""What actors and learners know of the services: how they are let in, and what they say as they wait."""

import argparse
import math
from pathlib import Path

import grpc
import pytest
from cartridge import client
from cartridge.client import CallError, Credentials
from cartridge.services import remote
from cartridge.services.remote import StoppedError, Waiting
from cartridge.services.serving import ServingError
from cartridge.services.stopping import Stop

UNAVAILABLE = CallError(grpc.StatusCode.UNAVAILABLE, "not there")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


def credentials(*words: str | Path) -> Credentials:
    parser = argparse.ArgumentParser()
    remote.add_arguments(parser)
    return remote.credentials(parser.parse_args([str(word) for word in words]))


def test_the_services_are_on_this_machine_unless_flags_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARTRIDGE_TOKEN", raising=False)
    parser = argparse.ArgumentParser()
    remote.add_arguments(parser)
    args = parser.parse_args([])
    assert (args.replay, args.weights) == ("127.0.0.1:50052", "127.0.0.1:50053")
    assert remote.credentials(args) == Credentials()


def test_credentials_are_what_the_flags_say(
    certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARTRIDGE_TOKEN", "of-the-environment")
    token = tmp_path / "token"
    token.write_text("of-the-file\n")
    authority, own, key = (certificates / name for name in ("authority.pem", "client.pem", "client.key"))
    assert credentials() == Credentials("of-the-environment")
    assert credentials("--token-file", token) == Credentials("of-the-file")
    flags = ("--tls-authority", authority, "--tls-certificate", own, "--tls-key", key)
    assert credentials(*flags) == Credentials("of-the-environment", authority, own, key)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--token-file", "nowhere"), "cannot read nowhere: No such file"),
        (("--token-file", "blank"), "the token has blanks"),
        (("--token-file", "empty"), "the token is empty"),
        (("--tls-authority", "nowhere"), "cannot read nowhere: No such file"),
        (("--tls-authority", "blank", "--tls-certificate", "blank"), "give --tls-key too"),
        (("--tls-authority", "blank", "--tls-key", "blank"), "give --tls-certificate too"),
        (("--tls-certificate", "blank", "--tls-key", "blank"), "give --tls-authority too"),
    ],
)
def test_what_cannot_be_is_said(
    flags: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blank").write_text("of two words")
    Path("empty").touch()
    with pytest.raises(ServingError, match=expected):
        credentials(*flags)


def test_what_is_waited_for_is_told_once_and_again_after_a_while(clock: Clock, said: list[str]) -> None:
    waiting = Waiting(Stop(), said.append, clock)
    for seconds in (0, 15, 15, 1, 29):  # at 0, 15, 30, 31 and 60
        clock.now += seconds
        waiting.on("replay", "not there")
    assert said == ["waiting for replay: not there"] * 2
    waiting.on("moves", "none yet")
    assert said[2:] == ["waiting for moves: none yet"]


def test_that_it_has_come_is_told_if_it_was_waited_for(clock: Clock, said: list[str]) -> None:
    waiting = Waiting(Stop(), said.append, clock)
    waiting.over("replay")
    waiting.on("replay", "not there")
    waiting.over("replay")
    waiting.over("replay")
    waiting.on("replay", "gone again")
    assert said == ["waiting for replay: not there", "replay: going on", "waiting for replay: gone again"]


def test_nothing_is_waited_for_any_more_once_it_is_to_stop(clock: Clock, said: list[str]) -> None:
    stop = Stop()
    waiting = Waiting(stop, said.append, clock)
    patience = waiting.patience("weights")
    assert patience.seconds == math.inf
    assert patience.go_on(UNAVAILABLE, patience.pauses()) > 0
    assert said == ["waiting for weights: UNAVAILABLE: not there"]
    stop.asked = True
    with pytest.raises(StoppedError):
        patience.go_on(UNAVAILABLE, patience.pauses())
    with pytest.raises(StoppedError):
        waiting.on("moves", "none yet")
    assert len(said) == 1


def test_a_call_to_a_server_that_is_not_there_ends_when_it_is_to_stop(short_folder: Path) -> None:
    stop = Stop()

    def say(line: str) -> None:
        assert line.startswith("waiting for weights: UNAVAILABLE")
        stop.asked = True

    waiting = Waiting(stop, say)
    with (
        client.Weights(f"unix:{short_folder}/nobody", patience=waiting.patience("weights")) as store,
        pytest.raises(StoppedError),
    ):
        store.newest()


@pytest.mark.parametrize(("code", "expected"), [("DEADLINE_EXCEEDED", True), ("UNAVAILABLE", False)])
def test_a_server_with_nothing_to_do_yet_is_waited_for(code: str, expected: bool) -> None:
    assert remote.is_wait(CallError(grpc.StatusCode[code], "")) is expected
