"""Rows survive JSON, refuse nonsense, and are compared each at its own best batch size."""

import dataclasses
import json
import platform
from pathlib import Path

import pytest
from cartridge.bench import rows
from cartridge.bench.plot import throughput_svg
from cartridge.bench.table import drawing_shares, engine_table, short, summary_table

FIELDS = {
    "bench", "game", "implementation", "device", "batch", "mode", "steps_per_s", "compile_s", "bytes_per_game",
    "repeats", "spread", "versions", "host",
}  # fmt: skip


def row(implementation: str, batch: int, rate: float, game: str = "connect4") -> rows.Row:
    return rows.Row(
        bench="engine",
        game=game,
        implementation=implementation,
        device="cpu (Test, 2 cores)",
        batch=batch,
        mode="random",
        steps_per_s=rate,
        compile_s=0.5,
        bytes_per_game=20 if implementation == rows.OURS else 285,
        repeats=5,
        spread=0.1,
        versions={"cartridge": "1.0.0", "pgx": "2.6.0"},
        host=rows.host(),
    )


RESULTS = [
    row("cartridge", 1024, 40e6),
    row("cartridge", 4096, 100e6),
    row("pgx", 1024, 2e6),
    row("pgx+our-sampler", 1024, 4e6),
    row("pgx+our-sampler", 4096, 3e6),
    row("cartridge", 4096, 50e6, game="snake"),
]


def test_json_has_the_fields_and_comes_back_whole() -> None:
    text = rows.rows_to_json(RESULTS)
    assert all(set(entry) == FIELDS for entry in json.loads(text))
    assert rows.rows_from_json(text) == RESULTS


def test_a_row_has_exactly_one_rate() -> None:
    fields = json.loads(rows.rows_to_json(RESULTS[:1]))[0]
    with pytest.raises(ValueError, match="expected one of"):
        rows.Row(**{**fields, "ms": 2.0})
    del fields["steps_per_s"]
    with pytest.raises(ValueError, match="no rate"):
        rows.Row(**fields)


def test_an_entry_that_is_no_row_is_named() -> None:
    with pytest.raises(ValueError, match="entry 0 is no benchmark row"):
        rows.rows_from_json('[{"colour": "red"}]')


def test_comparison_takes_the_best_batch_of_each_and_the_fastest_variant() -> None:
    (comparison,) = rows.compare(RESULTS)  # snake has no peer
    assert (comparison.ours.batch, comparison.peer.implementation, comparison.peer.batch) == (
        4096,
        "pgx+our-sampler",
        1024,
    )
    assert comparison.ratio == pytest.approx(25.0)


def test_median_and_spread() -> None:
    assert rows.median_and_spread([1.0, 3.0, 2.0]) == (2.0, 1.0)


def test_host_names_no_machine() -> None:
    described = rows.host()
    assert set(described) == {"cpu", "cores", "memory", "platform", "python"}
    assert platform.node() not in " ".join(described.values())
    assert str(Path.home()) not in " ".join(described.values())


def test_results_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "engine-b.json").write_text(rows.rows_to_json(RESULTS[2:]))
    (tmp_path / "engine-a.json").write_text(rows.rows_to_json(RESULTS[:2]))
    (tmp_path / "replay-a.json").write_text("rows of another kind")
    assert rows.read_results(tmp_path) == RESULTS


def test_table_has_a_line_for_each_game_with_the_ratio_where_there_is_a_peer() -> None:
    head, rule, connect4, snake = engine_table(RESULTS).splitlines()
    assert head.count("|") == rule.count("|") == connect4.count("|") == snake.count("|")
    assert "100 M (4,096 games)" in connect4
    assert "pgx+our-sampler 2.6.0" in connect4
    assert "25.0x" in connect4
    assert "20 against 285" in connect4
    assert "50.0 M (4,096 games)" in snake


def test_summary_has_a_line_for_each_game_and_a_cell_for_each_mode() -> None:
    called = dataclasses.replace(row("cartridge", 256, 5e6), mode="api")
    floor = row(rows.FLOOR, 4096, 900e6)  # no peer
    head, _, connect4, snake = summary_table([*RESULTS, called, floor]).splitlines()
    assert head == "| game | device | bytes per game | random | observe | api |"
    assert connect4 == "| connect4 | cpu (Test, 2 cores) | 20 | 100 M, 25.0x pgx |  | 5.0 M |"
    assert snake == "| snake | cpu (Test, 2 cores) | 20 | 50.0 M |  |  |"


def test_drawing_takes_what_a_step_gains_without_it() -> None:
    pairs = [(256, 75e6, 100e6), (1024, 80e6, 100e6), (4096, 30e6, 100e6)]
    results = [row("cartridge", batch, rate) for batch, rate, _ in pairs]
    results += [row(rows.WITHOUT_DRAWS, batch, rate) for batch, _, rate in [*pairs, (16384, 0.0, 100e6)]]
    assert drawing_shares(results) == {("cpu (Test, 2 cores)", "connect4"): pytest.approx(0.25)}
    assert not rows.compare(results), "a yardstick is no peer"


@pytest.mark.parametrize(("rate", "text"), [(950.0, "950"), (5.71e3, "5.7 k"), (118e6, "118 M"), (1.24e9, "1.2 G")])
def test_rates_are_short(rate: float, text: str) -> None:
    assert short(rate) == text


def test_plot_has_a_line_for_each_implementation() -> None:
    svg = throughput_svg(RESULTS, "connect4", "random")
    assert svg.count("<polyline") == 3
    assert svg.count("<circle") == 5
    assert "pgx+our-sampler 4.0 M" in svg
    with pytest.raises(ValueError, match="no row is of chess"):
        throughput_svg(RESULTS, "chess", "random")
