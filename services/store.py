"""Files that are whole or not there: temporary name, fsync, rename, fsync of the folder."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of `path` on leaving, and vanishes if the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def building(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, which may be empty, that takes its place on leaving and vanishes if the block raises.

    Its name begins with a dot and ends with `.tmp`.
    """
    folder = folder.resolve()
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync_folder(temporary)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def locked(path: Path) -> BinaryIO | None:
    """A file that one process at a time has, until it is closed; None where another has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces `path` by `data`, atomically."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` by indented JSON, atomically."""
    write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON-lines file; a last line cut short by a crash is left out, a missing file is empty."""
    if not path.exists():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records


def append_json_line(path: Path, record: dict[str, Any]) -> None:
    """Adds one record at the end of a JSON-lines file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def cut_json_lines(path: Path, key: str, last: int) -> None:
    """Drops the records whose `key` is beyond `last`: what a run wrote after the checkpoint it resumes from."""
    if not path.exists():
        return
    kept = [record for record in read_json_lines(path) if record.get(key, 0) <= last]
    data = "".join(json.dumps(record) + "\n" for record in kept).encode()
    if data != path.read_bytes():  # another process may be adding to it
        write_bytes(path, data)


def sync_folder(folder: Path) -> None:
    """Makes renames within `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
