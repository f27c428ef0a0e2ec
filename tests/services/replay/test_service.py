"""The replay service between its actors and its learners: once, in turn, and not without one another."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartridge import client
from cartridge.client import CallError, Patience, aio
from cartridge.proto.replay.v1 import replay_pb2 as pb
from cartridge.services.replay import append_log

Arrays = dict[str, np.ndarray]
Play = Callable[[int], Arrays]
ROWS = 128  # of a chunk
APPEND, SAMPLE = "/replay.v1.Replay/Append", "/replay.v1.Replay/Sample"


def request_of(replay: client.Replay, chunk: Arrays, actor: int, sequence: int, **more: Any) -> pb.AppendRequest:
    tensors = [chunk["state"].tobytes(), chunk["policy"].tobytes(), chunk["value"].tobytes()]
    fingerprint = replay.info().spec.fingerprint()
    return pb.AppendRequest(actor=actor, sequence=sequence, spec_fingerprint=fingerprint, tensors=tensors, **more)


def told(replay: client.Replay, *requests: pb.AppendRequest) -> list[pb.AppendReply]:
    """What a stream of its own answers."""
    stream: Any = replay.channel.stream_stream(APPEND, pb.AppendRequest.SerializeToString, pb.AppendReply.FromString)
    return list(stream(iter(requests)))


def room(replay: client.Replay) -> None:
    """Draws until another chunk may come in, as a learner would."""
    drawn = replay.stats().sampled
    while replay.stats().sampled < drawn + 128:
        replay.sample(64, ("value",), timeout=30)


def test_a_chunk_sent_again_is_stored_once(replay: client.Replay, play: Play) -> None:
    before = replay.stats()
    one, two = (request_of(replay, play(number), 77, number) for number in (1, 2))
    first = told(replay, one, one, two)
    assert [(reply.sequence, reply.again) for reply in first] == [(1, False), (1, True), (2, False)]
    later = told(replay, one, two)  # on another stream
    assert [reply.again for reply in later] == [True, True]
    stats = replay.stats()
    assert stats.rows == 2 * ROWS
    assert stats.chunks - before.chunks == 2
    assert stats.chunks_again - before.chunks_again == 3


def test_a_chunk_sent_by_many_streams_at_once_is_stored_once(replay: client.Replay, play: Play) -> None:
    request, replies = request_of(replay, play(5), 78, 1), list[pb.AppendReply]()
    threads = [threading.Thread(target=lambda: replies.extend(told(replay, request))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(reply.again for reply in replies) == [False] + 7 * [True]
    assert replay.stats().rows == ROWS


def test_actors_wait_for_learners_and_learners_for_actors(replay: client.Replay, play: Play) -> None:
    with pytest.raises(CallError, match="DEADLINE_EXCEEDED: the actors are behind: 0 of the first"):
        replay.sample(64, ("value",), timeout=0.2)
    appender = replay.appender(timeout=0.2)
    appender.append(play(0))
    appender.append(play(1))  # the writers are let ahead by two unrolls' worth
    with pytest.raises(CallError, match=r"DEADLINE_EXCEEDED: the learners are behind: error .*; send it again"):
        appender.append(play(2))
    waiting = replay.appender()
    done = threading.Thread(target=lambda: waiting.append(play(11)))
    done.start()
    room(replay)
    done.join(60)
    assert not done.is_alive()
    assert replay.stats().rows == 3 * ROWS
    waiting.close()


def test_a_chunk_refused_by_the_clock_is_taken_when_it_comes_again(replay: client.Replay, play: Play) -> None:
    chunks = [request_of(replay, play(number), 79, number, timeout_ms=100) for number in range(1, 9)]
    replies = told(replay, *chunks)
    refused = [reply for reply in replies if reply.HasField("error")]
    assert refused
    assert {reply.error.code for reply in refused} == {4}
    first = refused[0].sequence
    room(replay)
    (again,) = told(replay, chunks[first - 1])
    assert not again.HasField("error")
    assert not again.again


def test_batches_asked_for_ahead_come_in_their_order(replay: client.Replay, play: Play) -> None:
    sampler = replay.sampler(64, ("value",), ahead=3, timeout=60)
    appender = replay.appender()
    appender.append(play(1))
    appender.append(play(2))
    drawn = [sampler.sample(weights_version=number) for number in range(4)]
    assert [len(batch.rows) for batch in drawn] == [64] * 4
    reply = appender.append(play(3))
    assert 1 <= reply.newest_version <= 3  # an actor hears of the version that the learner has told
    assert replay.stats().newest_version >= reply.newest_version
    sampler.close()


def test_stats_add_up_what_was_played(replay: client.Replay, play: Play) -> None:
    before = replay.stats()
    appender = replay.appender()
    for number in (1, 2):
        appender.append(play(number), pb.Played(weights_version=number, episodes=3, episode_moves=21, first_wins=2))
    now = replay.stats()
    assert now.inserted - before.inserted == 2 * ROWS
    assert now.played.episodes - before.played.episodes == 6
    assert now.played.episode_moves - before.played.episode_moves == 42
    assert now.played.weights_version == 2
    assert now.log_bytes > before.log_bytes
    assert "samples an insert asked for" in now.limit


def test_cleared_there_is_nothing_and_stored_chunks_stay_known(replay: client.Replay, play: Play) -> None:
    request = request_of(replay, play(1), 80, 1)
    told(replay, request)
    assert replay.clear() == ROWS
    assert replay.stats().rows == 0
    assert told(replay, request)[0].again
    assert replay.stats().rows == 0


def test_cleared_it_takes_no_priorities_for_rows_that_were(replay: client.Replay, play: Play) -> None:
    told(replay, request_of(replay, play(1), 82, 1))
    batch = replay.sample(64, ("value",), timeout=30)
    assert replay.update_priorities(batch, np.ones(64))
    replay.clear()
    told(replay, request_of(replay, play(2), 82, 2))  # in the same places
    assert not replay.update_priorities(batch, np.zeros(64))


@pytest.mark.parametrize(
    ("change", "code", "expected"),
    [
        ({"tensors": [b"", b"", b""]}, 3, "is 0 bytes, expected"),
        ({"tensors": [b""]}, 3, "a chunk has 1 tensors, expected 3: state:packed_u32:v1, policy:f32x9:v1"),
        ({"sequence": 0}, 3, "sequence is 0, expected 1"),
        ({"spec_fingerprint": "other"}, 9, "the rules or layouts differ"),
        ({"level": 7}, 9, "level is 7"),
    ],
)
def test_what_is_no_chunk_is_refused(
    replay: client.Replay, play: Play, change: dict[str, Any], code: int, expected: str
) -> None:
    request = request_of(replay, play(1), 81, 1)
    for name, value in change.items():
        request.ClearField(name)
        request.MergeFrom(pb.AppendRequest(**{name: value}))
    (reply,) = told(replay, request)
    assert (reply.error.code, replay.stats().rows) == (code, 0)
    assert expected in reply.error.message


@pytest.mark.parametrize(
    ("name", "place", "number", "expected"),
    [
        ("policy", (17, 2), np.nan, "row 17 of the chunk cannot be: its policy has a number that is not finite"),
        ("policy", (9, 0), 5.0, "row 9 of the chunk cannot be: its policy sums to"),
        ("value", (127,), 1.5, "row 127 of the chunk cannot be: its value is 1.5, expected -1 to 1"),
        ("state", (3, 0), 0xFFFF_FFFF, "row 3 of the chunk cannot be: its state cannot be"),
    ],
)
def test_a_row_that_cannot_be_is_named(
    replay: client.Replay, play: Play, name: str, place: tuple[int, ...], number: float, expected: str
) -> None:
    chunk = play(1)
    chunk[name] = chunk[name].copy()
    chunk[name][place] = number
    with pytest.raises(CallError, match="INVALID_ARGUMENT") as raised:
        replay.appender().append(chunk)
    assert expected in str(raised.value)
    assert replay.stats().rows == 0


@pytest.mark.parametrize(
    ("num_rows", "outputs", "expected"),
    [
        (0, [], "INVALID_ARGUMENT: num_rows is 0, expected 1 to 65536"),
        (70_000, [], "INVALID_ARGUMENT: num_rows is 70000"),
        (64, ["obs:f64x18:v1"], "INVALID_ARGUMENT: there is no output 'obs:f64x18:v1': there are obs:f32x18:v1"),
        (64, ["value:f32:v1", "value:f32:v1"], "INVALID_ARGUMENT: outputs are named twice"),
    ],
)
def test_what_is_no_batch_is_refused(replay: client.Replay, num_rows: int, outputs: list[str], expected: str) -> None:
    sample = replay.channel.unary_unary(SAMPLE, pb.SampleRequest.SerializeToString, pb.Batch.FromString)
    with pytest.raises(CallError) as raised:
        replay.call(sample, pb.SampleRequest(num_rows=num_rows, outputs=outputs, timeout_ms=100))
    assert expected in str(raised.value)
    with pytest.raises(ValueError, match="has no output 'nonsense': there are"):
        replay.sample(64, ("nonsense",))


def test_priorities_of_the_wrong_size_are_refused(replay: client.Replay, play: Play) -> None:
    replay.appender().append(play(1))
    batch = replay.sample(64, ("value",), timeout=30)
    update = replay.channel.unary_unary(
        "/replay.v1.Replay/UpdatePriorities",
        pb.UpdatePrioritiesRequest.SerializeToString,
        pb.UpdatePrioritiesResponse.FromString,
    )
    for rows, numbers in ((b"", b""), (batch.rows.tobytes(), b"1234"), (bytes(7), bytes(4))):
        with pytest.raises(CallError, match=r"INVALID_ARGUMENT: rows are \d+ bytes and priorities"):
            replay.call(update, pb.UpdatePrioritiesRequest(rows=rows, priorities=numbers, epoch=batch.epoch))
    with pytest.raises(ValueError, match="priorities are of shape"):
        replay.update_priorities(batch, np.ones(3))


def test_the_client_for_asyncio_does_the_same(shared: str, replay: client.Replay, play: Play, run_async: Any) -> None:
    async def scenario() -> None:
        async with aio.Replay(shared, patience=Patience(60.0)) as other:
            assert (await other.info()).spec == replay.info().spec
            appender = other.appender()
            assert not (await appender.append(play(1))).again
            batch = await other.sample(64, ("obs", "value"), timeout=30)
            assert batch.arrays["observation"].shape == (64, 3, 3, 2)
            assert await other.update_priorities(batch, np.ones(64))
            sampler = other.sampler(64, ("value",), timeout=30)
            assert len((await sampler.sample(5)).rows) == 64
            assert (await other.stats()).rows == ROWS
            with pytest.raises(CallError, match="DEADLINE_EXCEEDED: the actors are behind"):
                await other.sample(1024, ("value",), timeout=0.1)
            assert await other.clear() == ROWS

    run_async(scenario())


def test_a_killed_server_has_all_that_it_said_was_stored(start_replay: Any, short_folder: Path, play: Play) -> None:
    run = short_folder / "run"
    flags = ("--replay.samples-per-move=0.01", "--learner.batch-size=1000", "--replay.capacity=100000")
    process, address = start_replay(run, *flags)
    acknowledged: dict[int, int] = {}
    threads: list[threading.Thread] = []

    def append(number: int) -> None:
        with client.Replay(address, patience=Patience(120.0)) as replay:
            appender = replay.appender("disk", timeout=60)
            for turn in range(40):
                assert not appender.append(play(100 * number + turn)).HasField("error")
                acknowledged[appender.actor] = turn + 1
            appender.close()

    for number in range(3):
        threads.append(threading.Thread(target=append, args=(number,)))
        threads[-1].start()
    for kills in (1, 2):
        while sum(acknowledged.values()) < 25 * kills:
            threads[0].join(0.01)
        process.kill()
        process.wait()
        before = dict(acknowledged)
        process, _ = start_replay(run)
        with client.Replay(address, patience=Patience(60.0)) as replay:
            assert replay.stats().chunks >= sum(before.values())
            assert replay.stats().rows >= ROWS * sum(before.values())
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    stored: dict[int, list[int]] = {}
    for chunk in append_log.chunks(run / "replay"):
        stored.setdefault(chunk.actor, []).append(chunk.sequence)
    assert stored == {actor: list(range(1, 41)) for actor in acknowledged}

    with client.Replay(address, patience=Patience(60.0)) as replay:
        batch = replay.sample(64, ("value",), timeout=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        start_replay(run)
        assert not replay.update_priorities(batch, np.ones(64))  # they are of another start
        assert replay.stats().chunks == 120


def test_without_a_log_chunks_are_in_memory_alone(start_replay: Any, short_folder: Path, play: Play) -> None:
    process, address = start_replay(short_folder / "run", "--no-log")
    with client.Replay(address, patience=Patience(60.0)) as replay:
        assert list(replay.info().description.levels) == [pb.ACK_LEVEL_MEMORY]
        with pytest.raises(CallError, match="FAILED_PRECONDITION: level is ACK_LEVEL_DISK, which needs an append log"):
            replay.appender("disk").append(play(1))
        replay.appender().append(play(1))
        process.kill()
        process.wait()
        start_replay(short_folder / "run", "--no-log")
        assert replay.stats().rows == 0
    assert not list((short_folder / "run").glob("replay/*.log"))


def test_streams_end_in_peace_when_the_server_stops(start_replay: Any, short_folder: Path, play: Play) -> None:
    process, address = start_replay(short_folder / "run")
    with client.Replay(address, patience=Patience(0.0)) as replay:
        appender = replay.appender()
        appender.append(play(1))
        waiting, errors = replay.sampler(64, ("value",)), list[CallError]()

        def draw() -> None:
            try:
                while True:
                    waiting.sample()
            except CallError as error:
                errors.append(error)

        thread = threading.Thread(target=draw)
        thread.start()
        while replay.stats().waiting_samples == 0:
            thread.join(0.01)
        process.send_signal(signal.SIGTERM)
        thread.join(60)
        assert process.wait(60) == 0
    assert [error.code.name for error in errors] == ["UNAVAILABLE"]
    assert "about to stop" in str(errors[0])
    assert len(list(append_log.chunks(short_folder / "run" / "replay"))) == 1


def test_a_run_is_served_with_its_own_settings_or_not_at_all(cartridge: Any, small_run: Path, tmp_path: Path) -> None:
    nothing = cartridge("serve", "replay", "--run-dir", tmp_path / "none")
    assert nothing.returncode == 2
    assert "holds no run yet: name its game" in nothing.stderr
    other = cartridge("serve", "replay", "--run-dir", small_run, "--replay.capacity", "200000")
    assert other.returncode == 2
    assert f"{small_run} holds a run whose" in other.stderr
    assert "give no settings to go on with it" in other.stderr
    game = cartridge("serve", "replay", "connect4", "--run-dir", small_run)
    assert game.returncode == 2
    assert "whose game is tictactoe, not connect4" in game.stderr
