"""The append log: every chunk on the disk before its actor hears of it, and all of them again after a crash.

    replay/00000001.log  replay/00000002.log ...

A segment is a row of records: the length of a message and its CRC-32, both u32, and the message. The first is a
`SegmentHeader`, with all that is to be known of earlier segments, so that these can go once their rows are older than
the ring is long; the others are the `AppendRequest`s as they came. Only the last record of the last segment can be torn
by a crash; it was never acknowledged and is cut off.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from google.protobuf.message import DecodeError

from ...proto.replay.v1 import replay_pb2 as pb
from .. import store
from .ledger import FORMAT, Ledger

_FRAME = struct.Struct("<II")
_SEGMENT_BYTES = 64 << 20
_SUFFIX = ".log"

Kind = TypeVar("Kind", pb.AppendRequest, pb.SegmentHeader)


class LogError(RuntimeError):
    """A log that cannot be used; the message says which file and what to do."""


class AppendLog:
    """One run's log; one process at a time has it. `open` it first; then `write`, from one thread at a time.

    Args:
      folder: where the segments lie.
      spec_fingerprint, chunk_rows: of the chunks; a log of others is refused.
      capacity: rows to keep at least; what is older goes, a segment at a time.
      segment_bytes: how long a segment is before the next begins.
    """

    def __init__(
        self,
        folder: Path,
        spec_fingerprint: str,
        chunk_rows: int,
        capacity: int,
        segment_bytes: int = _SEGMENT_BYTES,
    ) -> None:
        self._folder, self._fingerprint, self._chunk_rows = folder, spec_fingerprint, chunk_rows
        self._capacity, self._segment_bytes = capacity, segment_bytes
        self.ledger = Ledger()
        self._file: BinaryIO | None = None
        self._lock: BinaryIO | None = None
        self._good = 0  # bytes of the segment that hold whole records
        self._sizes: dict[int, int] = {}  # segment -> bytes
        self._rows: dict[int, int] = {}  # segment -> rows
        self._broken = ""

    @property
    def num_bytes(self) -> int:
        """Of all segments."""
        return sum(self._sizes.values())

    def open(self, take: Callable[[pb.AppendRequest], None]) -> str:
        """Gives every chunk of the log to `take`, the oldest first, and makes ready to write.

        Returns:
          What was cut off the end, in words; empty for nothing.

        Raises:
          LogError: another process has the log, or it is damaged or of another run; or the folder cannot be written to.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            return self._recover(take)
        except LogError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise LogError(f"cannot use {self._folder} for the append log: {error.strerror or error}") from error

    def write(self, chunks: Sequence[pb.AppendRequest]) -> None:
        """Writes chunks and waits until they are on the disk. They are entered into the ledger.

        Raises:
          OSError: the disk is full, say; none of them is in the log.
          LogError: the log can be written to no more, since it is not known what the disk holds.
        """
        if self._broken:
            raise LogError(self._broken)
        assert self._file is not None
        if self._good >= self._segment_bytes:
            self._begin_segment()
        written = b"".join(_record(chunk) for chunk in chunks)
        try:
            _write_all(self._file, written)
            os.fsync(self._file.fileno())
        except OSError:
            self._cut()
            raise
        self._good += len(written)
        newest = max(self._sizes)
        self._sizes[newest] = self._good
        self._rows[newest] += len(chunks) * self._chunk_rows
        for chunk in chunks:
            self.ledger.enter(chunk, self._chunk_rows)

    def clear(self) -> None:
        """Forgets all chunks, though not that they were there."""
        self._begin_segment()
        for number in sorted(self._sizes)[:-1]:
            self._remove(number)

    def close(self) -> None:
        """Lets another process have the log."""
        for file in (self._file, self._lock):
            if file is not None:
                file.close()
        self._file = self._lock = None

    def _take_lock(self) -> None:
        self._lock = store.locked(self._folder / ".lock")
        if self._lock is None:
            raise LogError(f"another process has the append log in {self._folder}; stop it first")

    def _recover(self, take: Callable[[pb.AppendRequest], None]) -> str:
        cut = ""
        numbers = sorted(int(path.stem) for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())
        for number in numbers:
            path, rows = self._path(number), 0
            header, requests, end = _read(path)
            if end < path.stat().st_size:
                if number != numbers[-1]:
                    raise LogError(
                        f"{path} is damaged at byte {end}, and not by a crash, which tears the last segment only: "
                        "move it away to go on without its rows"
                    )
                cut = f"{path.stat().st_size - end} bytes of an unfinished chunk at the end of {path.name}"
                os.truncate(path, end)
            self._require_ours(path, header)
            self.ledger.read(header)
            for request in requests:
                take(request)
                self.ledger.enter(request, self._chunk_rows)
                rows += self._chunk_rows
            self._sizes[number], self._rows[number] = end, rows
        if self._sizes:
            self._open_segment(max(self._sizes))
        else:
            self._begin_segment()
        self._forget_old()
        return cut

    def _require_ours(self, path: Path, header: pb.SegmentHeader) -> None:
        ours = (FORMAT, self._fingerprint, self._chunk_rows)
        theirs = (header.format, header.spec_fingerprint, header.chunk_rows)
        for name, mine, found in zip(("format", "rules", "rows a chunk"), ours, theirs, strict=True):
            if mine != found:
                raise LogError(f"{path} is of another run: its {name} are {found}, not {mine}; give another folder")

    def _begin_segment(self) -> None:
        """The next one. It has its name only once its header is on the disk."""
        number = max(self._sizes, default=0) + 1
        header = _record(self.ledger.header(self._fingerprint, self._chunk_rows))
        with store.replacing(self._path(number)) as file:
            file.write(header)
        self._sizes[number], self._rows[number] = len(header), 0
        self._open_segment(number)
        self._forget_old()

    def _open_segment(self, number: int) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._path(number).open("ab", buffering=0)
        self._good = self._sizes[number]

    def _forget_old(self) -> None:
        kept = 0
        for number in sorted(self._sizes, reverse=True):
            if kept >= self._capacity:
                self._remove(number)
            else:
                kept += self._rows[number]

    def _remove(self, number: int) -> None:
        self._path(number).unlink()
        del self._sizes[number], self._rows[number]

    def _cut(self) -> None:
        """Takes back what a failed write has left. A disk that fails to sync may hold anything: then it is over."""
        assert self._file is not None
        try:
            os.ftruncate(self._file.fileno(), self._good)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._broken = (
                f"the append log in {self._folder} failed and could not be mended ({error.strerror}): look at the disk "
                "and start the server anew"
            )

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08}{_SUFFIX}"


def chunks(folder: Path) -> Iterator[pb.AppendRequest]:
    """The chunks in a folder's segments, the oldest first, as far as they are whole; for whoever wants to look."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        yield from _read(path)[1]


def _record(message: pb.AppendRequest | pb.SegmentHeader) -> bytes:
    data = message.SerializeToString()
    return _FRAME.pack(len(data), zlib.crc32(data)) + data


def _write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file may take a part, and says no only to the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _read(path: Path) -> tuple[pb.SegmentHeader, Iterator[pb.AppendRequest], int]:
    """(header, chunks, bytes that are whole records) of a segment."""
    with path.open("rb") as file:
        records = list(_whole_records(file))
    if not records:
        raise LogError(f"{path} is damaged at its beginning: move it away to go on without its rows")
    header = _message(path, *records[0], pb.SegmentHeader)
    return header, (_message(path, *one, pb.AppendRequest) for one in records[1:]), sum(records[-1])


def _whole_records(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(place, bytes) of each message, up to the first that is not what its CRC says."""
    place, end = 0, os.fstat(file.fileno()).st_size
    while len(frame := file.read(_FRAME.size)) == _FRAME.size:
        size, crc = _FRAME.unpack(frame)
        place += _FRAME.size
        if size == 0 or size > end - place or zlib.crc32(file.read(size)) != crc:  # zeros are no record
            return
        yield place, size
        place += size


def _message(path: Path, place: int, size: int, kind: type[Kind]) -> Kind:
    with path.open("rb") as file:
        file.seek(place)
        try:
            return kind.FromString(file.read(size))
        except DecodeError as error:
            raise LogError(f"{path} holds at byte {place} what is no {kind.__name__}: {error}") from error
