"""`cartridge bench rpc` measures real servers, writes its rows and shows what they come to."""

import argparse
import dataclasses
from functools import partial
from pathlib import Path

import pytest
from cartridge.bench import readme
from cartridge.bench.rows import rows_from_json
from cartridge.bench.rpc import table
from cartridge.bench.rpc.contest import STATE, run_rpc
from cartridge.bench.rpc.rows import ECHO, NULL, RpcRow, Setting, goals, shares
from cartridge.services import bench_command, rpc_bench

LEASE = Setting("stream", "threads", 2, 2, 64, "bits")
KEPT = Setting("unary", "asyncio", 1, 1, 1, STATE)
MERE = Setting("unary", "threads", 1, 1, 0, "", 1000)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.long
def test_rows_are_written_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lease, states that the client keeps and a mere echo, for a moment each."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(rpc_bench, "run_rpc", partial(run_rpc, seconds=0.02))
    monkeypatch.setattr(rpc_bench, "settings", lambda: [LEASE, KEPT, MERE])
    file = tmp_path / "rows.json"
    assert bench_command.run(arguments("rpc", "--repeats", "5", "--json", str(file))) == 0
    rows = rows_from_json(file.read_text(), RpcRow)
    assert [(row.implementation, row.games) for row in rows] == [
        *(("cartridge", 64), (NULL, 64), (ECHO, 64), ("cartridge", 1), (ECHO, 1), (ECHO, 0))
    ]
    for row in rows:
        assert row.repeats == 5
        assert 0 < row.p50_ms <= row.p99_ms
        assert row.steps_per_s == row.games * row.rpc_per_s
        assert row.mb_per_s == pytest.approx(row.rpc_per_s * (row.request_bytes + row.response_bytes) / 1e6)
        assert 0 <= row.policy_share < 1
        assert set(row.versions) == {"grpcio", "protobuf", "jax", "numpy"}
    lease, null, echo, kept, _, mere = rows
    assert lease.setting == null.setting == echo.setting == LEASE
    assert kept.setting == KEPT
    assert mere.setting == MERE
    # Connect Four: an action is 4 bytes, an observation of 84 bits 11, a mask 1, two rewards 8, an end 1.
    assert 4 * 64 < lease.request_bytes < 4 * 64 + 40
    assert lease.response_bytes > (11 + 1 + 8 + 1) * 64
    assert mere.request_bytes == mere.response_bytes == 1000
    shown = capsys.readouterr().out
    assert "64 games, bits; stream, 2 on the way; 2 clients with threads" in shown
    assert "of the echo's rate, policy apart" in shown
    assert "at least 5 M connect4 steps/s" in shown


def test_a_setting_that_is_not_there_is_refused() -> None:
    with pytest.raises(rpc_bench.NoSettingError, match="no setting has a pigeon in its name, such as '64 games"):
        bench_command.run(arguments("rpc", "--only", "a pigeon"))


def test_too_few_repeats_are_refused() -> None:
    with pytest.raises(ValueError, match="repeats is 4, expected at least 5"):
        list(run_rpc([MERE], repeats=4, report=print))


def row(implementation: str, rate: float, setting: Setting = LEASE, policy: float = 0.0, p99: float = 1.0) -> RpcRow:
    ways = {key: value for key, value in dataclasses.asdict(setting).items() if key != "echo_bytes"}
    return RpcRow(
        bench="rpc", game="connect4", implementation=implementation, device="cpu", request_bytes=1, response_bytes=1,
        rpc_per_s=rate, steps_per_s=rate * setting.games, mb_per_s=0.0, p50_ms=1.0, p99_ms=p99, policy_share=policy,
        client_cpu=1.0, server_cpu=1.0, repeats=5, spread=0.0, versions={}, host={}, **ways,
    )  # fmt: skip


MERE_ROW = dataclasses.replace(row(ECHO, 7, MERE), request_bytes=1000)


def test_a_share_is_of_the_echo_of_the_same_setting_and_leaves_the_policy_out() -> None:
    """100 calls a second of which half the time went into choosing moves: 200 without, of an echo's 400."""
    apart = dataclasses.replace(LEASE, games=128)
    rows = [row("cartridge", 100, policy=0.5), row(ECHO, 400), row(ECHO, 50, apart), row(NULL, 300)]
    assert shares(rows) == [(rows[0], 0.5)]


def test_goals_are_met_by_what_was_measured() -> None:
    alone = dataclasses.replace(LEASE, clients=1)
    floats = dataclasses.replace(LEASE, outputs="f32", games=16384)
    slow = row("cartridge", 10, alone, p99=7.0)
    rows = [slow, row(ECHO, 100, alone), row("cartridge", 80, floats), row(ECHO, 100, floats)]
    found = {goal.text: (goal.measured, goal.met) for goal in goals(rows)}
    assert found == {
        "at least 0.7 of an echo of the same bytes": (0.8, True),
        "at least 5 M connect4 steps/s with bits observations and masks": (640, False),
        "at least 1 M connect4 steps/s with f32 observations and masks": (80 * 16384, True),
        "p99 of a step of 64 games under 5 ms": (7.0, False),
    }
    assert not goals([])


def test_tables_show_our_rate_beside_the_echo_and_the_null_engine() -> None:
    slower = dataclasses.replace(LEASE, clients=1)
    rows = [row("cartridge", 50, slower), row("cartridge", 100, policy=0.5), row(ECHO, 400), row(NULL, 300), MERE_ROW]
    head, _, *lines = table.steps_table(rows).splitlines()
    assert head.startswith("| games | shown | way | client | clients | on the way | device | steps/s | calls/s |")
    assert lines[0].startswith("| 64 | bits | stream | threads | 1 | 2 | cpu | 3.2 k | 50 |")
    assert "|  |  |" in lines[0]  # nothing to compare it with
    assert "| stream | threads | 2 | 2 | cpu | 6.4 k | 100 | 0% | 0 | 1.00 | 1.00 | 0.50 | 0.75 | 50% |" in lines[1]
    assert table.summary_table(rows).splitlines()[2:] == ["| 64 | bits | cpu | 6.4 k | 100 | 1.00 | 1.00 | 0.50 |"]
    assert table.echo_table(rows).splitlines()[2].startswith("| 1,000 | unary | threads | 1 | 1 | cpu | 7 |")


def test_pages_say_nothing_of_serving_without_rows_and_all_with_them() -> None:
    assert readme.rpc_section([]) == readme.rpc_summary([]) == []
    section = "\n".join(readme.rpc_section([row("cartridge", 100), row(ECHO, 400), MERE_ROW]))
    assert "| at least 0.7 of an echo of the same bytes | 0.25 | 64 games, bits; stream, 2 on the way" in section
    assert "at least 1 M connect4 steps/s with f32" not in section
