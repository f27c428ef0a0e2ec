"""The append log: whole after any crash, its owner's alone, and no longer than it must be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cartridge.proto.replay.v1 import replay_pb2 as pb
from cartridge.services.replay import append_log
from cartridge.services.replay.append_log import AppendLog, LogError
from cartridge.services.replay.ledger import Ledger

ROWS = 4  # of a chunk


def chunk(actor: int, sequence: int, size: int = 20) -> pb.AppendRequest:
    """A chunk that differs from all others."""
    played = pb.Played(episodes=1, episode_moves=7, first_wins=sequence % 2, weights_version=sequence)
    data = bytes((actor + sequence + place) % 256 for place in range(size))
    return pb.AppendRequest(actor=actor, sequence=sequence, tensors=[data], played=played)


def opened(folder: Path, capacity: int = 1000, **more: int) -> tuple[AppendLog, list[pb.AppendRequest], str]:
    """(log, its chunks, what was cut off)."""
    log, found = AppendLog(folder, "rules", ROWS, capacity, **more), list[pb.AppendRequest]()
    return log, found, log.open(found.append)


def written(folder: Path, chunks: list[pb.AppendRequest], **more: int) -> None:
    log, _, _ = opened(folder, **more)
    for one in chunks:
        log.write([one])
    log.close()


def test_what_was_written_is_there_again_in_its_order(tmp_path: Path) -> None:
    chunks = [chunk(actor, sequence) for sequence in (1, 2, 3) for actor in (8, 9)]
    written(tmp_path / "log", chunks[:4])
    log, found, cut = opened(tmp_path / "log")
    assert (found, cut) == (chunks[:4], "")
    log.write(chunks[4:])  # two with one write
    log.close()
    log, found, _ = opened(tmp_path / "log")
    assert found == chunks
    assert list(append_log.chunks(tmp_path / "log")) == chunks
    assert (log.ledger.chunks, log.ledger.inserted, log.ledger.num_actors) == (6, 6 * ROWS, 2)
    assert (log.ledger.played.episodes, log.ledger.played.episode_moves) == (6, 42)
    assert log.ledger.played.first_wins == 4
    assert log.ledger.has(chunk(8, 3))
    assert not log.ledger.has(chunk(8, 4))
    assert log.num_bytes == sum(path.stat().st_size for path in (tmp_path / "log").glob("*.log"))
    log.close()


def test_a_last_chunk_that_is_cut_anywhere_goes_and_all_before_it_stay(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    written(folder, [chunk(1, 1), chunk(1, 2)])
    path = folder / "00000001.log"
    end = path.stat().st_size
    written(folder, [chunk(1, 3)])
    whole = path.read_bytes()
    for length in range(end, len(whole)):
        path.write_bytes(whole[:length])
        log, found, cut = opened(folder)
        assert found == [chunk(1, 1), chunk(1, 2)]
        assert bool(cut) == (length > end)
        log.write([chunk(1, 3)])
        log.close()
        assert path.read_bytes() == whole


def test_a_last_chunk_whose_bytes_never_came_to_the_disk_is_cut(tmp_path: Path) -> None:
    """A file may have its new length and not its bytes."""
    folder = tmp_path / "log"
    path = folder / "00000001.log"
    written(folder, [chunk(1, 1)])
    first = path.stat().st_size
    written(folder, [chunk(1, 2)])
    whole = path.read_bytes()
    for missing in (20, len(whole) - first - 3, len(whole) - first):
        path.write_bytes(whole[: len(whole) - missing] + bytes(missing))
        log, found, cut = opened(folder)
        log.close()
        assert found == [chunk(1, 1)]
        assert "of an unfinished chunk at the end of 00000001.log" in cut


def test_damage_before_the_end_is_told_and_nothing_is_touched(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    written(folder, [chunk(1, number, 200) for number in range(1, 7)], segment_bytes=500)
    first, *_, last = sorted(folder.glob("*.log"))
    assert first != last
    whole = first.read_bytes()
    for damaged in (whole[:-3], whole[:-40] + b"!" + whole[-39:], b"", b"\0" * len(whole)):
        first.write_bytes(damaged)
        with pytest.raises(LogError, match=f"{first} is damaged at .*move it away"):
            opened(folder)
        assert first.read_bytes() == damaged
    first.unlink()
    log, found, _ = opened(folder)
    assert found[-1] == chunk(1, 6, 200)
    assert log.ledger.chunks == 6  # counted in the headers of later segments
    log.close()


def test_old_segments_go_and_what_was_in_them_stays_counted(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    chunks = [chunk(1 + number % 3, 1 + number // 3, 200) for number in range(30)]
    written(folder, chunks, segment_bytes=500, capacity=5 * ROWS)
    assert not (folder / "00000001.log").exists()
    kept = list(append_log.chunks(folder))
    assert 5 <= len(kept) < 15
    assert kept == chunks[-len(kept) :]
    log, found, _ = opened(folder, capacity=5 * ROWS, segment_bytes=500)
    assert found == kept
    assert (log.ledger.chunks, log.ledger.played.episodes, log.ledger.num_actors) == (30, 30, 3)
    assert log.ledger.has(chunk(1, 1))  # though its segment is gone
    log.close()


def test_cleared_it_remembers_who_there_was(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log, _, _ = opened(folder)
    log.write([chunk(1, 1), chunk(2, 1)])
    log.clear()
    log.write([chunk(1, 2)])
    log.close()
    log, found, _ = opened(folder)
    assert found == [chunk(1, 2)]
    assert log.ledger.has(chunk(2, 1))
    assert log.ledger.chunks == 3
    log.close()


@pytest.mark.parametrize(
    ("fingerprint", "rows", "told"),
    [("others", ROWS, "its rules are rules, not others"), ("rules", 8, "its rows a chunk are 4, not 8")],
)
def test_the_log_of_another_run_is_refused(tmp_path: Path, fingerprint: str, rows: int, told: str) -> None:
    written(tmp_path / "log", [chunk(1, 1)])
    with pytest.raises(LogError, match=told):
        AppendLog(tmp_path / "log", fingerprint, rows, 1000).open(lambda _: None)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    log, _, _ = opened(tmp_path / "log")
    with pytest.raises(LogError, match="another process has the append log"):
        opened(tmp_path / "log")
    log.close()
    opened(tmp_path / "log")[0].close()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LogError, match="for the append log: Not a directory"):
        opened(tmp_path / "file" / "log")


FULL = """
import resource, signal, sys
from pathlib import Path
from cartridge.proto.replay.v1 import replay_pb2 as pb
from cartridge.services.replay.append_log import AppendLog

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = AppendLog(Path(sys.argv[1]), "rules", 4, 1000)
log.open(lambda chunk: None)
chunk = lambda sequence: pb.AppendRequest(actor=1, sequence=sequence, tensors=[bytes(3000)])
log.write([chunk(1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
try:
    log.write([chunk(2)])
    sys.exit("the disk was not full")
except OSError as error:
    print(error.strerror)
assert not log.ledger.has(chunk(2))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write([chunk(3)])
"""


def test_a_full_disk_takes_none_of_a_chunk_and_there_is_more_once_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "log"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "File too large"
    log, found, cut = opened(tmp_path / "log")
    log.close()
    assert [one.sequence for one in found] == [1, 3]
    assert not cut


KILLED = """
import sys
from pathlib import Path
from cartridge.proto.replay.v1 import replay_pb2 as pb
from cartridge.services.replay.append_log import AppendLog

log = AppendLog(Path(sys.argv[1]), "rules", 4, 1_000_000, segment_bytes=20_000)
log.open(lambda chunk: None)
for sequence in range(1, 1_000_000):
    log.write([pb.AppendRequest(actor=1, sequence=sequence, tensors=[bytes(3000)])])
    print(sequence, flush=True)
"""


def test_what_was_told_to_be_on_the_disk_is_there_after_a_kill(tmp_path: Path) -> None:
    for tried in range(5):
        folder = tmp_path / str(tried)
        process = subprocess.Popen([sys.executable, "-c", KILLED, folder], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 40 + 7 * tried:
                os.kill(process.pid, signal.SIGKILL)
                break
        told = [40 + 7 * tried, *map(int, process.communicate(timeout=60)[0].split())][-1]
        log, found, _ = opened(folder, capacity=1_000_000)
        log.close()
        numbers = [one.sequence for one in found]
        assert numbers == list(range(1, len(numbers) + 1))
        assert told <= len(numbers) <= told + 1


def test_a_ledger_forgets_the_actor_that_was_not_heard_of_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cartridge.services.replay.ledger._MOST_ACTORS", 2)
    ledger = Ledger()
    for actor, sequence in ((1, 1), (2, 1), (1, 2), (3, 1)):
        ledger.enter(chunk(actor, sequence), ROWS)
    assert ledger.num_actors == 2
    assert ledger.has(chunk(1, 2))
    assert ledger.has(chunk(3, 1))
    assert not ledger.has(chunk(2, 1))
    again = Ledger()
    again.read(ledger.header("rules", ROWS))
    assert again.header("rules", ROWS) == ledger.header("rules", ROWS)
