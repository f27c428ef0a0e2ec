"""What comes out of the service is what went in, in the layouts that were asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartridge import client
from cartridge.client import CallError, Patience
from cartridge.games.tictactoe import TicTacToe
from cartridge.proto.replay.v1 import replay_pb2 as pb

Arrays = dict[str, np.ndarray]
Play = Callable[[int], Arrays]
ALL = ("obs", "mask", "policy", "value", "age", "player", "state")


def views(observation: np.ndarray, policy: np.ndarray) -> set[bytes]:
    """A position of tic-tac-toe and its policy, turned and mirrored in all eight ways."""
    both = np.concatenate([observation.astype(np.float32), policy.reshape(3, 3, 1)], axis=2)
    mirrored = (both, both[:, ::-1])
    return {np.ascontiguousarray(np.rot90(one, turns)).tobytes() for one in mirrored for turns in range(4)}


def fed(replay: client.Replay, *chunks: Arrays) -> None:
    appender = replay.appender()
    for chunk in chunks:
        appender.append(chunk)
    appender.close()


def test_rows_come_out_as_they_went_in_up_to_the_symmetries_of_the_game(replay: client.Replay, play: Play) -> None:
    chunks = [play(1), play(2)]
    fed(replay, *chunks)
    known: dict[bytes, set[float]] = {}
    for chunk in chunks:
        for row in range(len(chunk["value"])):
            for view in views(chunk["observation"][row], chunk["policy"][row]):
                known.setdefault(view, set()).add(float(chunk["value"][row]))
    seen: set[float] = set()
    for _ in range(4):
        arrays = replay.sample(64, ALL, timeout=30).arrays
        assert arrays["observation"].shape == (64, *TicTacToe.spec.observation_shape)
        for row in range(64):
            policy = arrays["policy"][row].reshape(3, 3, 1)
            shown = np.concatenate([arrays["observation"][row], policy], axis=2).astype(np.float32)
            assert float(arrays["value"][row]) in known[shown.tobytes()]
            taken = arrays["observation"][row].any(axis=2).reshape(9)
            assert (arrays["legal_actions"][row] == ~taken).all()
        assert (arrays["player"] == arrays["observation"].sum((1, 2, 3)) % 2).all()
        assert ((arrays["age"] >= 0) & (arrays["age"] < 256)).all()
        seen |= set(arrays["value"].tolist())
    assert len(seen) > 64  # not the same rows over and over


def test_bits_and_floats_say_the_same(replay: client.Replay, play: Play) -> None:
    fed(replay, play(3))
    names = replay.info().outputs(("obs:f32", "obs:bits"))
    sample = replay.channel.unary_unary(
        "/replay.v1.Replay/Sample", pb.SampleRequest.SerializeToString, pb.Batch.FromString
    )
    floats, bits = sample(pb.SampleRequest(num_rows=32, outputs=names)).tensors
    size = int(np.prod(TicTacToe.spec.observation_shape))
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8).reshape(32, -1), axis=1, count=size, bitorder="little")
    assert (np.frombuffer(floats, "<f4").reshape(32, size) == unpacked).all()
    assert unpacked.any()


def test_priorities_decide_what_is_drawn(start_replay: Any, short_folder: Path, play: Play) -> None:
    """All rows of one chunk are given nothing; from then on the other's are drawn."""
    run = short_folder / "run"
    _, address = start_replay(run, "--replay.sampler=prioritised", "--replay.samples-per-move=20")
    liked, disliked = play(1), play(2)
    liked["value"], disliked["value"] = abs(liked["value"]), -abs(disliked["value"])
    with client.Replay(address, patience=Patience(60.0)) as replay:
        assert replay.info().description.prioritised
        fed(replay, liked, disliked)
        given: set[int] = set()
        while len(given) < 256:
            batch = replay.sample(64, ("value",), timeout=30)
            assert replay.update_priorities(batch, np.where(batch.arrays["value"] > 0, 1.0, 1e-6))
            given |= set(batch.rows.tolist())
            if replay.stats().sampled > 40 * 64:
                break
        batch = replay.sample(64, ("value",), timeout=30)
        assert np.mean(batch.arrays["value"] > 0) > 0.95
        assert batch.filled == 256
        liked_rows = batch.probability[batch.arrays["value"] > 0]
        assert liked_rows == pytest.approx(1 / 128, rel=0.05)  # they share all there is
        with pytest.raises(CallError, match="INVALID_ARGUMENT"):
            replay.update_priorities(batch, np.full(64, np.nan))
