"""`cartridge replay` with real runs and real files: out, looked at by pyarrow alone, damaged, and back in."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cartridge.registry import UnknownGameError
from cartridge.services import checkpoint, replay_command
from cartridge.services.checkpoint import CheckpointError
from cartridge.services.config import ConfigError
from cartridge.services.replay_folder import ReplayDataError
from cartridge.services.run_directory import RunError

GAMES, BLOCK, ROWS = 16, 128, 1024  # of the tiny settings
SHARD_ROWS = 300
Table = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def trained(cartridge, tiny_flags, tmp_path_factory) -> Path:
    """A run whose ring came round, drawn by priority."""
    run = tmp_path_factory.mktemp("trained") / "run"
    words = ("--replay.sampler=prioritised", "--updates", 30, "--run.evaluate-minutes=1000")
    done = cartridge("train", "tictactoe", *tiny_flags, *words, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "data"
    assert replay("export", trained, "--out", out, "--shard-rows", SHARD_ROWS) == 0
    return out


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "data"))


def replay(*words: Any) -> int:
    """The command within this process, whose errors are raised."""
    parser = argparse.ArgumentParser()
    replay_command.add_arguments(parser)
    return replay_command.run(parser.parse_args([str(word) for word in words]))


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def change_manifest(folder: Path, **fields: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | fields))


def change_shard(folder: Path, number: int, change: Callable[[pa.Table], pa.Table]) -> None:
    """Rewrites a shard and makes its hash right, as somebody would who means harm."""
    path = folder / f"transitions-{number:05d}.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    shards = manifest_of(folder)["shards"]
    shards[number]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    change_manifest(folder, shards=shards)


def with_row(column: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        index = table.schema.get_field_index(column)
        return table.set_column(index, column, pa.array(values, table.schema.field(column).type))

    return change


def table_of(folder: Path) -> Table:
    """All rows, read by pyarrow and NumPy alone."""
    table = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("transitions-*.parquet")))
    found = {name: table[name].to_numpy() for name in ("step", "group", "column", "episode", "move", "value")}
    found["state"] = np.frombuffer(b"".join(table["state"].to_pylist()), "<u4").reshape(len(table), -1)
    found["policy"] = np.array(table["policy"].to_pylist(), np.float32)
    found["priority"] = table["priority"].to_numpy()
    return found


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def ring_of(run: Path) -> dict[str, np.ndarray]:
    """What the newest checkpoint's ring holds, oldest first, straight from its arrays."""
    saved = checkpoint.load_newest(run / "checkpoints")
    assert saved is not None
    storage = {name.removeprefix("[1].ring."): array for name, array in saved.arrays.items() if "[1].ring" in name}
    order = (int(storage["head"][0]) - int(storage["size"][0]) + np.arange(storage["size"][0])) % len(
        storage["storage.value"]
    )
    return {name: array[order] for name, array in storage.items() if name.startswith("storage")}


def test_the_files_hold_the_ring_and_say_what_it_is(trained: Path, exported: Path) -> None:
    manifest, table, ring = manifest_of(exported), table_of(exported), ring_of(trained)
    assert [shard["rows"] for shard in manifest["shards"]] == [300, 300, 300, 124]
    assert manifest["num_rows"] == len(table["move"]) == ROWS
    for entry in [*manifest["shards"], manifest["episodes"]]:
        assert hashlib.sha256((exported / entry["name"]).read_bytes()).hexdigest() == entry["sha256"]
    assert (manifest["env_id"], manifest["columns"], manifest["rows_by_group"]) == ("tictactoe", GAMES, [ROWS])
    assert manifest["source"] == {
        "run": "run",
        "step": checkpoint.steps(trained / "checkpoints")[-1],
        "config_hash": json.loads((trained / "run.json").read_text())["config_hash"],
        "seed": 0,
    }
    np.testing.assert_array_equal(table["value"], ring["storage.value"])
    np.testing.assert_array_equal(table["policy"], ring["storage.policy"])
    np.testing.assert_array_equal(table["state"][:, -1], ring["storage.state.meta"])
    np.testing.assert_array_equal(table["move"], table["state"][:, -1] & (1 << 30) - 1)
    assert sorted(os.listdir(exported)) == [
        "episodes.parquet",
        "manifest.json",
        *(f"transitions-{number:05d}.parquet" for number in range(4)),
    ]


def test_facts_can_be_recomputed_without_cartridge(exported: Path) -> None:
    """Episodes by a plain loop, marks on the board by counting bits, policies by adding up."""
    table, episodes = table_of(exported), pq.read_table(exported / "episodes.parquet").to_pylist()
    found: list[dict[str, int]] = []
    playing: dict[int, tuple[int, int]] = {}
    for row in range(ROWS):
        step, column = divmod(row, GAMES)
        assert (table["step"][row], table["column"][row], table["group"][row]) == (step, column, 0)
        move = int(table["move"][row])
        if column not in playing or playing[column][1] + 1 != move:
            playing[column] = len(found), move
            new = {"episode": len(found), "group": 0, "column": column, "first_step": step, "num_moves": 0}
            found.append(new)
        number = playing[column][0]
        playing[column] = number, move
        found[number]["num_moves"] += 1
        assert table["episode"][row] == number
    assert episodes == found
    marks = [sum(int(word).bit_count() for word in words) for words in table["state"][:, :-1]]
    np.testing.assert_array_equal(marks, table["move"])
    np.testing.assert_allclose(table["policy"].sum(1), 1, atol=1e-5)
    assert np.all(np.abs(table["value"]) <= 1)
    assert np.all(table["priority"] > 0)


def test_columns_say_what_they_mean(exported: Path) -> None:
    schema = pq.read_schema(exported / "transitions-00000.parquet")
    assert schema.metadata[b"state_encoding"] == b"state:packed_u32:v1"
    for field in schema:
        assert field.metadata[b"meaning"]
        assert field.metadata[b"unit"]
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds["state"] == "fixed_size_binary[8]"
    assert kinds["policy"] == str(pa.list_(pa.float32(), 9)).replace("item", "element")
    assert pq.ParquetFile(exported / "transitions-00000.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_export_leaves_the_run_as_it_was(trained: Path, exported: Path, tmp_path: Path) -> None:
    before = files_of(trained)
    steps = checkpoint.steps(trained / "checkpoints")
    assert replay("export", trained, "--out", tmp_path / "old", "--step", steps[0]) == 0
    assert manifest_of(tmp_path / "old")["source"]["step"] == steps[0]
    assert files_of(trained) == before
    assert not [path for path in (*tmp_path.iterdir(), *exported.parent.iterdir()) if path.name.endswith(".tmp")]


def test_what_cannot_be_exported_is_said(trained: Path, exported: Path, small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ReplayDataError, match="is not empty; choose another --out"):
        replay("export", trained, "--out", exported)
    with pytest.raises(CheckpointError, match="has no checkpoint of step 77; there are: "):
        replay("export", trained, "--out", tmp_path / "x", "--step", 77)
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        replay("export", small_run, "--out", tmp_path / "x")
    with pytest.raises(RunError, match="holds no run"):
        replay("export", exported, "--out", tmp_path / "x")
    with pytest.raises(ReplayDataError, match="cannot write to"):
        replay("export", trained, "--out", trained / "run.json" / "x")


def test_stats_of_a_run_and_of_its_export_are_the_same(trained, exported, tmp_path) -> None:
    for source, name in ((trained, "a.json"), (exported, "b.json")):
        assert replay("stats", source, "--json", tmp_path / name) == 0
    texts = ((tmp_path / name).read_text() for name in ("a.json", "b.json"))
    run, folder = (json.loads(text, parse_float=lambda number: round(float(number), 9)) for text in texts)
    assert folder.pop("file_bytes") > 0
    assert {**run, "source": ""} == {**folder, "source": ""}
    table = table_of(exported)
    assert (run["rows"], run["capacity"], run["fill"]) == (ROWS, ROWS, 1.0)
    assert run["inserted"] == 128 * (checkpoint.steps(trained / "checkpoints")[-1] - 1)
    assert run["samples_per_insert"] == pytest.approx(run["sampled"] / run["inserted"])
    assert run["bytes_per_row"] == 8 + 4 * 9 + 4
    assert run["episodes"] == table["episode"].max() + 1
    assert run["player_to_move_share"][0] == pytest.approx(np.mean(table["move"] % 2 == 0))
    assert run["value"]["mean"] == pytest.approx(table["value"].astype(float).mean())
    distinct = len(set(map(tuple, table["state"][:, :-1].tolist())))
    assert run["distinct_positions_share"] == pytest.approx(distinct / ROWS)
    priority = table["priority"].astype(float)
    assert run["priority"]["effective_rows"] == pytest.approx(priority.sum() ** 2 / (priority**2).sum())


@pytest.mark.long
def test_out_and_in_again_and_trained_on(cartridge, tiny_flags, trained, tmp_path) -> None:
    """The whole way as a user goes it."""
    data, run = tmp_path / "data", tmp_path / "next"
    done = cartridge("replay", "export", trained, "--out", data)
    assert done.returncode == 0, done.stderr
    assert f"written to {data} in 1 file" in done.stderr
    done = cartridge("replay", "import", data, "--run-dir", run, *tiny_flags, "--updates", 14, "--seed", 5)
    assert done.returncode == 0, done.stderr
    assert f"cartridge train --resume {run}" in done.stderr

    described = json.loads((run / "run.json").read_text())
    assert described["import"] == {
        "rows": ROWS,
        "dropped": 0,
        "left_out": 0,
        "manifest_sha256": hashlib.sha256((data / "manifest.json").read_bytes()).hexdigest(),
    }
    assert (described["config"]["run"]["updates"], described["seed"]) == (14, 5)
    assert checkpoint.steps(run / "checkpoints") == [0]
    for name, array in ring_of(trained).items():
        np.testing.assert_array_equal(ring_of(run)[name], array)

    shown = cartridge("replay", "stats", run)
    assert shown.returncode == 0, shown.stderr
    assert "1,024 of 1,024 (100.0%)" in shown.stdout

    done = cartridge("train", "--resume", run)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in records] == list(range(1, len(records) + 1))
    assert records[0]["updates"] > 0  # there was something to learn from at once
    assert records[0]["replay_fill"] == 1.0
    assert records[-1]["updates"] >= 14


def test_whole_blocks_are_taken_and_the_rest_is_named(exported, tiny_flags, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    words = ("--selfplay.unroll-length=10", "--selfplay.num-games=15", "--replay.capacity=1050")
    assert replay("import", exported, "--run-dir", run, *tiny_flags, *words) == 0
    said = capsys.readouterr().err.replace("\n", "")
    assert "the last 124 rows were left out: replay takes blocks of 150" in said
    assert "the rows are of 16 games in lock step, this run plays 15" in said
    np.testing.assert_array_equal(ring_of(run)["storage.value"], table_of(exported)["value"][:900])
    with pytest.raises(ReplayDataError, match="1,024 rows are fewer than one block of 2,048"):
        replay("import", exported, "--run-dir", tmp_path / "b", *tiny_flags, "--selfplay.num-games=256")


def test_too_many_rows_are_refused_or_the_newest_kept(exported, tiny_flags, tmp_path, capsys) -> None:
    small = (*tiny_flags, "--replay.capacity=512")
    with pytest.raises(ReplayDataError, match=r"1,024 rows and replay.capacity is 512: .*--truncate"):
        replay("import", exported, "--run-dir", tmp_path / "run", *small)
    assert not (tmp_path / "run").exists()
    assert replay("import", exported, "--run-dir", tmp_path / "run", *small, "--truncate") == 0
    assert "the oldest 512 rows were dropped" in capsys.readouterr().err.replace("\n", "")
    np.testing.assert_array_equal(ring_of(tmp_path / "run")["storage.value"], table_of(exported)["value"][-512:])


def refused(folder: Path, flags: list[str], tmp_path: Path, kind: type[Exception] = ReplayDataError) -> str:
    """What an import of the folder says; it leaves nothing behind."""
    with pytest.raises(kind) as raised:
        replay("import", folder, "--run-dir", tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("state", 17, b"\xff" * 8, "transitions-00001.parquet row 17: its state cannot be: "),
        ("policy", 3, [0.5] + [0.0] * 8, "transitions-00001.parquet row 3: its policy sums to 0.5, expected 1"),
        ("policy", 299, [float("nan")] * 9, "transitions-00001.parquet row 299: its policy has a number that is not"),
        ("value", 4, 1.01, "transitions-00001.parquet row 4: its value is 1.01, expected -1 to 1"),
        ("value", 4, None, "shard transitions-00001.parquet: column value has empty places"),
        ("column", 5, 5, "transitions-00001.parquet row 5: column does not follow from the rows before it"),
        ("episode", 6, 0, "transitions-00001.parquet row 6: episode does not follow from the rows before it"),
    ],
)
def test_a_row_that_cannot_be_is_named(copied, tiny_flags, tmp_path, column, row, value, message) -> None:
    change_shard(copied, 1, with_row(column, row, value))
    assert message in refused(copied, tiny_flags, tmp_path)


def test_damaged_files_are_named(copied, tiny_flags, tmp_path) -> None:
    shard = copied / "transitions-00002.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert "shard transitions-00002.parquet is damaged: sha256 is " in refused(copied, tiny_flags, tmp_path)
    shard.unlink()
    assert f"shard transitions-00002.parquet is missing in {copied}" in refused(copied, tiny_flags, tmp_path)


def test_a_shard_of_other_columns_is_named(copied, tiny_flags, tmp_path) -> None:
    change_shard(copied, 0, lambda table: table.drop_columns(["policy"]))
    assert "transitions-00000.parquet: it has no column policy" in refused(copied, tiny_flags, tmp_path)
    narrow = pa.array([b"abcd"] * SHARD_ROWS, pa.binary(4))
    change_shard(copied, 0, lambda table: table.append_column("policy", narrow))
    assert "column policy is fixed_size_binary[4], expected fixed_size_list" in refused(copied, tiny_flags, tmp_path)
    change_shard(copied, 1, lambda table: table.slice(0, 10))
    assert "contradicts" not in refused(copied, tiny_flags, tmp_path)


def test_what_is_no_parquet_file_is_named(copied, tiny_flags, tmp_path) -> None:
    path = copied / "transitions-00000.parquet"
    path.write_bytes(b"PAR1 and no more")
    shards = manifest_of(copied)["shards"]
    shards[0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    change_manifest(copied, shards=shards)
    assert "shard transitions-00000.parquet: it cannot be read" in refused(copied, tiny_flags, tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_version": 2}, "manifest.json is of schema version 2, this version of cartridge reads up to 1"),
        ({"build_id": "0.9.0+abc"}, "the rows are of tictactoe 0.9.0+abc (fingerprint ad502a323ef5), installed is"),
        ({"spec_fingerprint": "f" * 64}, "(fingerprint ffffffffffff), installed is tictactoe 1.0.0+ad502a323ef5"),
        ({"game": "connect4"}, "the rows are of tictactoe 1.0.0+ad502a323ef5"),
        ({"num_rows": 1000}, "contradicts itself"),
        ({"columns": 0}, "a field of another kind"),
        ({"shards": [{"name": "../x.parquet", "rows": 1024, "sha256": ""}]}, "a field of another kind"),
        ({"rows_by_group": [1000, 24]}, "transitions-00003.parquet row 100: column does not follow"),
        ({"state_encoding": "state:packed_u64:v2"}, "states are encoded as state:packed_u64:v2"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(copied, tiny_flags, tmp_path, fields, message) -> None:
    change_manifest(copied, **fields)
    assert message in refused(copied, tiny_flags, tmp_path)


def test_a_manifest_that_cannot_be_read_is_refused(copied, tiny_flags, tmp_path) -> None:
    fields = manifest_of(copied)
    del fields["columns"]
    (copied / "manifest.json").write_text(json.dumps(fields))
    assert "manifest.json lacks columns" in refused(copied, tiny_flags, tmp_path)
    (copied / "manifest.json").write_text("{")
    assert "manifest.json is not JSON" in refused(copied, tiny_flags, tmp_path)
    with pytest.raises(ReplayDataError, match="neither a run"):
        replay("stats", tmp_path)


def test_settings_are_those_of_train(exported, copied, tiny_flags, tmp_path, trained) -> None:
    wrong = [*tiny_flags, "--search.num-simulations=0"]
    assert "search.num_simulations is 0" in refused(exported, wrong, tmp_path, ConfigError)
    with pytest.raises(RunError, match="holds a run already"):
        replay("import", exported, "--run-dir", trained, *tiny_flags)
    change_manifest(copied, game="tictactow")
    assert "did you mean tictactoe" in refused(copied, tiny_flags, tmp_path, UnknownGameError)


def test_errors_take_one_line_and_exit_2(cartridge, command, environment, exported, tmp_path) -> None:
    done = cartridge("replay", "import", tmp_path, "--run-dir", tmp_path / "run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "holds no exported replay data" in done.stderr

    (tmp_path / "pyarrow.py").write_text("raise ImportError('not installed')")
    without = {**environment, "PYTHONPATH": os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])}
    words = [*command, "replay", "import", str(exported), "--run-dir", str(tmp_path / "run")]
    done = subprocess.run(words, env=without, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert 'pip install "cartridge-rl[export]"' in done.stderr
