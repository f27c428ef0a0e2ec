"""Whatever bytes come, the replay's server answers with a status, lives on, and takes and gives rows afterwards."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cartridge import client
from cartridge.client import Patience, batches
from cartridge.proto.replay.v1 import replay_pb2 as pb

GROWTH_MIB = 64  # most that the server may grow after the first fifth
WAITING = frozenset({"Append", "Sample", "SampleStream"})  # where the other side is behind


def valid(replay: client.Replay, play: Callable[[int], Any]) -> dict[str, list[bytes]]:
    """Messages that the server takes."""
    info = replay.info()
    chunk = batches.Numbers().chunk(info, play(1), None, "memory", 0.2)
    sample = batches.sample_request(info.outputs(["obs", "policy"]), 8, 0.2, None)
    replay.appender("memory", timeout=30.0).append(play(0))
    priorities = batches.priorities(replay.sample(4, ["obs"], timeout=30.0), np.ones(4))
    examples: dict[str, Any] = {"Describe": pb.DescribeRequest(), "Stats": pb.StatsRequest(), "Append": chunk}
    examples |= {"Sample": sample, "SampleStream": sample, "UpdatePriorities": priorities}
    return {name: [one.SerializeToString()] for name, one in examples.items()}


@pytest.fixture
def fuzzed(
    fuzz: ModuleType,
    environment: dict[str, str],
    tiny_flags: list[str],
    play: Callable[[int], Any],
    short_folder: Path,
) -> Callable[[int], None]:
    """Fuzzes a server of its own with so many messages, and looks at it afterwards."""

    def run(messages: int) -> None:
        line = [sys.executable, "-W", "ignore", "-m", "cartridge.services.cli", "serve", "replay", "tictactoe"]
        line += [*tiny_flags, "--replay.min-rows=1", "--run-dir", str(short_folder / "run"), "--no-log"]
        line += ["--address", f"unix:{short_folder}/r"]
        with fuzz.serving(line, environment, short_folder / "log") as (pid, address):
            with client.Replay(address, patience=Patience(60.0)) as replay:
                maker = fuzz.Maker(2, valid(replay, play))
                fuzzer = fuzz.Fuzzer(pb.DESCRIPTOR.services_by_name["Replay"], maker, waiting=WAITING)
                grown = fuzz.fuzz(fuzzer, address, pid, messages)
                replay.clear()
                assert not replay.appender(timeout=30.0).append(play(3)).again
                assert len(replay.sample(4, ["obs"], timeout=30.0).rows) == 4
            assert not fuzzer.report.faults, "\n".join(fuzzer.report.faults[:20])
            assert grown < GROWTH_MIB

    return run


@pytest.mark.long
def test_three_thousand_messages_do_no_harm(fuzzed: Any) -> None:
    fuzzed(3_000)
