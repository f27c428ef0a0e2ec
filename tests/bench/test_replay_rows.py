"""Replay's rows are compared with each peer's fastest variant, and the goals are judged where we are worst."""

import dataclasses
from pathlib import Path

import pytest
from cartridge.bench import readme
from cartridge.bench import rows as bench_rows
from cartridge.bench.plot import replay_svg
from cartridge.bench.replay import rows, table
from cartridge.bench.replay.rows import ReplayRow
from cartridge.bench.table import goals_table


def row(implementation: str, items: int, ms: float, mode: str = "sample") -> ReplayRow:
    return ReplayRow(
        bench="replay",
        implementation=implementation,
        device="cpu (Test, 2 cores)",
        items=items,
        batch=1024,
        mode=mode,
        ms=ms,
        compile_s=0.25,
        peak_bytes=512 << 20,
        bytes_per_item=345.6,
        in_turns=items < 10_000_000,
        repeats=7,
        spread=0.08,
        versions={implementation.partition("+")[0]: "1.2.3"},
        host={"cpu": "Test"},
    )


RESULTS = [
    row("cartridge", 1_000_448, 0.1),
    row("cartridge", 10_000_384, 0.25),
    row("flashbax", 1_000_448, 0.4),
    row("flashbax+flat", 1_000_448, 0.3),
    row("cpprb", 1_000_448, 0.09),
    row("cpprb", 10_000_384, 0.5),
    row("cartridge", 1_000_448, 0.2, "prioritised add"),
    row("flashbax", 1_000_448, 4.0, "prioritised add"),
]


def test_rows_are_read_from_their_own_files(tmp_path: Path) -> None:
    (tmp_path / "replay-cpu.json").write_text(bench_rows.rows_to_json(RESULTS))
    (tmp_path / "engine-cpu.json").write_text("rows of another kind")
    assert rows.read_results(tmp_path) == RESULTS


def test_each_peer_is_compared_by_its_fastest_variant() -> None:
    pairs = [(pair.ours.mode, pair.ours.items, pair.peer.implementation, pair.ratio) for pair in rows.compare(RESULTS)]
    assert pairs == [
        ("sample", 1_000_448, "flashbax+flat", pytest.approx(3.0)),
        ("sample", 1_000_448, "cpprb", pytest.approx(0.9)),
        ("sample", 10_000_384, "cpprb", pytest.approx(2.0)),
        ("prioritised add", 1_000_448, "flashbax", pytest.approx(20.0)),
    ]


def test_other_devices_are_not_compared() -> None:
    elsewhere = dataclasses.replace(row("cpprb", 1_000_448, 9.0), device="gpu (Other)")
    assert not rows.compare([RESULTS[0], elsewhere])


def test_goals_are_judged_where_we_are_worst() -> None:
    judged = {goal.text: (round(goal.measured, 3), goal.met) for goal in rows.goals(RESULTS)}
    assert judged == {
        "uniform sample at least 2 times flashbax": (3.0, True),
        "prioritised add at least 10 times flashbax": (20.0, True),
        "nothing slower than cpprb": (0.9, False),
        "less than 3 times the time from 1 M to 10 M items": (2.5, True),
    }
    assert not rows.goals([])


def test_the_summary_shows_the_fastest_peer() -> None:
    head, _, sample, added = table.summary_table(RESULTS).splitlines()
    assert head == "| call | device | 1.0 M items | 10.0 M items |"
    assert sample == "| sample | cpu (Test, 2 cores) | 0.100 ms, 0.9x cpprb | 0.250 ms, 2.0x cpprb |"
    assert added == "| prioritised add | cpu (Test, 2 cores) | 0.200 ms, 20.0x flashbax |  |"


def test_tables_have_a_column_for_each_implementation() -> None:
    head, _, million, ten, added = table.time_table(RESULTS).splitlines()
    assert head == "| call | device | items | cartridge | cpprb | flashbax | flashbax+flat |"
    assert million.endswith("| 1,000,448 | 0.100 (8%) | 0.090 (8%) 0.9x | 0.400 (8%) 4.0x | 0.300 (8%) 3.0x |")
    assert ten.endswith("| 10,000,384 | 0.250 (8%) | 0.500 (8%) 2.0x |  |  |")
    assert added.startswith("| prioritised add |")
    assert "| uniform | cpu (Test, 2 cores) | 1,000,448 | 346 (512) |" in table.memory_table(RESULTS)
    assert "| sample | cpu (Test, 2 cores) | 1,000,448 | 0.25 |" in table.compile_table(RESULTS)
    goals = goals_table(rows.goals(RESULTS), "where it is hardest")
    assert "| nothing slower than cpprb | 0.9 | sample of 1,000,448 items against cpprb | no |" in goals


def test_pages_say_nothing_without_rows_and_all_with_them() -> None:
    assert readme.replay_section([]) == readme.replay_summary([]) == []
    section = "\n".join(readme.replay_section(RESULTS))
    assert "at 10,000,384 items one after another" in section
    assert 'src="images/replay-prioritised-add.svg"' in section
    assert "flashbax 1.2.3, cpprb 1.2.3" in section
    assert "0.9x cpprb" in readme.replay_summary(RESULTS)[0]


def test_plot_has_a_line_for_each_implementation() -> None:
    svg = replay_svg(RESULTS, "sample")
    assert svg.count("<polyline") == 4
    assert svg.count("<circle") == 6
    assert "cartridge 0.25 ms" in svg
    assert ">1.0 M<" in svg
    assert ">0.01<" in svg
    with pytest.raises(ValueError, match="no row is of mode sequences"):
        replay_svg(RESULTS, "sequences")
