"""The comparisons of `bench rpc` in Markdown, made from committed rows alone."""

from collections.abc import Iterable, Sequence

from ..rows import OURS
from ..table import markdown, short
from . import rows
from .rows import ECHO, NULL, RpcRow


def summary_table(results: Sequence[RpcRow]) -> str:
    """A line for each device, outputs and number of games: our fastest way of calling, and its share of the echo."""
    shares = _by_setting(rows.shares(results))
    fastest: dict[tuple[str, str, int], RpcRow] = {}
    for row in _ours(results):
        place = row.device, row.outputs, row.games
        if place not in fastest or row.steps_per_s > fastest[place].steps_per_s:
            fastest[place] = row
    lines = []
    for (device, outputs, games), row in fastest.items():
        share = shares.get((device, row.setting))
        times = (f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", "" if share is None else f"{share:.2f}")
        lines.append([f"{games:,}", outputs, device, short(row.steps_per_s), short(row.rpc_per_s), *times])
    head = ("games a call", "shown", "device", "steps/s", "calls/s", "p50, ms", "p99, ms", "of the echo's rate")
    return markdown(head, lines)


def steps_table(results: Sequence[RpcRow]) -> str:
    """A line for each way in which games were stepped: our rate, and the shares of the echo that we and NULL reach."""
    shares, nulls = _by_setting(rows.shares(results)), _by_setting(rows.shares(results, NULL))
    lines = []
    for row in _ours(results):
        place = row.device, row.setting
        of_echo = [f"{found[place]:.2f}" if place in found else "" for found in (shares, nulls)]
        what = (f"{row.games:,}", row.outputs, *_way(row))
        lines.append([*what, short(row.steps_per_s), *_pace(row), *of_echo, *_cost(row)])
    head = ("games", "shown", *_WAY, "device", "steps/s", *_PACE, "of the echo", "null engine", *_COST)
    return markdown(head, lines)


def echo_table(results: Sequence[RpcRow]) -> str:
    """A line for each way in which mere bytes were echoed."""
    lines = [
        [f"{row.request_bytes:,}", *_way(row), *_pace(row), f"{row.client_cpu:.2f}", f"{row.server_cpu:.2f}"]
        for row in results
        if row.implementation == ECHO and not row.games
    ]
    return markdown(("bytes each way", *_WAY, "device", *_PACE, "client cores", "server cores"), lines)


_WAY = ("way", "client", "clients", "on the way")
_PACE = ("calls/s", "spread", "MB/s", "p50, ms", "p99, ms")
_COST = ("policy", "client cores", "server cores")


def _way(row: RpcRow) -> tuple[str, ...]:
    return row.mode, row.client, str(row.clients), str(row.in_flight), row.device


def _pace(row: RpcRow) -> tuple[str, ...]:
    times = (f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}")
    return short(row.rpc_per_s), f"{row.spread:.0%}", f"{row.mb_per_s:,.0f}", *times


def _cost(row: RpcRow) -> tuple[str, ...]:
    return f"{row.policy_share:.0%}", f"{row.client_cpu:.2f}", f"{row.server_cpu:.2f}"


def _ours(results: Iterable[RpcRow]) -> list[RpcRow]:
    """In order of outputs and games, one game a call last."""
    found = [row for row in results if row.implementation == OURS]
    return sorted(found, key=lambda row: (row.games == 1, row.outputs, row.games))


def _by_setting(shares: Iterable[tuple[RpcRow, float]]) -> dict[tuple[str, rows.Setting], float]:
    return {(row.device, row.setting): share for row, share in shares}
