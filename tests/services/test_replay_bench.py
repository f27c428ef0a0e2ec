"""`cartridge bench replay` measures, writes its rows and shows the figures."""

import argparse
from functools import partial
from pathlib import Path

import pytest
from cartridge.bench.replay import work
from cartridge.bench.replay.contest import run_replay
from cartridge.bench.replay.rows import ReplayRow
from cartridge.bench.rows import rows_from_json
from cartridge.services import bench_command, replay_bench


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_command.add_arguments(parser)
    return parser.parse_args(words)


def test_rows_are_written_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay_bench, "run_replay", partial(run_replay, seconds=0.0))
    monkeypatch.setattr(work, "OPERATIONS", {work.UNIFORM: ("add", "sample")})
    file = tmp_path / "rows.json"
    assert bench_command.run(arguments("replay", "--items", "2048", "--repeats", "5", "--json", str(file))) == 0
    assert [row.mode for row in rows_from_json(file.read_text(), ReplayRow)] == ["add", "sample"]
    shown = capsys.readouterr().out
    assert "cartridge" in shown
    assert "2,048" in shown


@pytest.mark.parametrize("words", [("replay", "--game", "hex"), ("engine", "--items", "1000")])
def test_a_flag_of_the_other_benchmark_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(bench_command.BenchmarkFlagError, match=f"{words[1]} is no flag of `bench {words[0]}`"):
        bench_command.run(arguments(*words))
