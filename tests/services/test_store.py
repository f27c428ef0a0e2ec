"""Files are whole or not there."""

import pytest
from cartridge.services import store


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path) -> None:
    path = tmp_path / "file"
    store.write_bytes(path, b"old")

    def fail() -> None:
        with store.replacing(path) as file:
            file.write(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_lines_survive_a_cut_last_line(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    for iteration in range(3):
        store.append_json_line(path, {"iteration": iteration})
    with path.open("a") as file:
        file.write('{"iteration": 3, "lo')
    assert [record["iteration"] for record in store.read_json_lines(path)] == [0, 1, 2]


def test_cut_drops_what_lies_beyond(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    store.cut_json_lines(path, "iteration", 1)  # a missing file is no error
    for iteration in range(5):
        store.append_json_line(path, {"iteration": iteration})
    store.cut_json_lines(path, "iteration", 2)
    assert [record["iteration"] for record in store.read_json_lines(path)] == [0, 1, 2]
