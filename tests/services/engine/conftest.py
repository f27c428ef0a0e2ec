"""Real servers of the engine for its tests, each in a process of its own."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from cartridge.client import Engine, Patience

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture(scope="session")
def start_engine(command: list[str], environment: dict[str, str]) -> Iterator[Start]:
    """Starts `cartridge serve engine WORDS...`; returns the process and its address."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str, address: str = "127.0.0.1:0") -> tuple[subprocess.Popen[str], str]:
        pipe = subprocess.PIPE
        line = [*command, "serve", "engine", "--address", address, *words]
        process = subprocess.Popen(line, env=environment, stdout=pipe, stderr=pipe, text=True)
        processes.append(process)
        assert process.stdout is not None
        name, _, bound = process.stdout.readline().strip().rpartition(" on ")
        assert name == "engine.v1.Engine", process.communicate()
        return process, bound

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server(start_engine: Start) -> str:
    """The address of a server that all tests share."""
    return start_engine("--games", "4096", "--grace", "1")[1]


@pytest.fixture
def engine(server: str) -> Iterator[Engine]:
    """A client of it."""
    with Engine(server, patience=Patience(5.0)) as client:
        yield client
