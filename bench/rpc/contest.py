"""`cartridge bench rpc`: our service beside an echo of the same bytes, on this machine, in one run.

Every server and client is a process. For each setting the same clients call the echo, our service with a device that
answers at once, and the real one, in turns, one short stretch each, as often as there are repeats.
"""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from ..progress import Progress, Report
from ..rows import OURS, device_name, host, median_and_spread
from ..worker import Worker, WorkerError, running
from .rows import ECHO, NULL, RpcRow, Setting
from .servers import MEMORY_MIB, MESSAGE_MIB, MOST_GAMES

_PACKAGE = __name__.removesuffix(".bench.rpc.contest")
MIN_REPEATS = 5
GAME = "connect4"
OUTPUTS = {"bits": ("obs:bits84:v1", "mask:bits7:v1"), "f32": ("obs:f32x84:v1", "mask:bits7:v1")}
STATE = "state"  # in place of outputs: one game a call, whose state the client keeps
_SERVERS = {ECHO: ("bench.rpc.servers", "echo"), NULL: ("bench.rpc.servers", "null")}
_OURS = ("services.cli", "serve", "engine", "--address", "127.0.0.1:0", "--games", str(MOST_GAMES))
_LIMITS = ("--memory-mib", str(MEMORY_MIB), "--max-message-mib", str(MESSAGE_MIB))
_WAYS = (("unary", "threads", 1), ("stream", "threads", 1), ("stream", "threads", 2), ("unary", "asyncio", 1))


def settings() -> list[Setting]:
    """All that is measured, the headline first."""
    found = []
    for outputs, sizes in (("bits", (64, 1024, 16384, 65536)), ("f32", (64, 1024, 16384))):
        for games in sizes:
            for mode, client, in_flight in (*_WAYS, ("stream", "asyncio", 2)):
                found.append(Setting(mode, client, 1, in_flight, games, outputs))
        found += [Setting("stream", "threads", clients, 1, 4096, outputs) for clients in (1, 2, 4)]
    found += [Setting("unary", client, 1, 1, 1, STATE) for client in ("threads", "asyncio")]
    for size in (64, 1024, 16384, 262144, 4194304):
        for mode, client, in_flight in (*_WAYS, ("stream", "asyncio", 4)):
            found.append(Setting(mode, client, 1, in_flight, 0, "", size))
    return found


def run_rpc(chosen: Sequence[Setting], *, repeats: int, seconds: float = 1.0, report: Report) -> Iterator[RpcRow]:
    """Measures setting after setting.

    Args:
      repeats: stretches of about `seconds` of each implementation after a warm-up, at least 5.
      report: called with each `Progress`.

    Raises:
      ValueError: fewer than 5 repeats.
    """
    if repeats < MIN_REPEATS:
        raise ValueError(f"repeats is {repeats}, expected at least {MIN_REPEATS}: a median of fewer says little")
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(_beside(words)) for name, words in _SERVERS.items()}
        servers[OURS] = stack.enter_context(_ours(servers[NULL].device))
        for index, setting in enumerate(chosen):
            report(Progress(index / len(chosen), setting.name))
            try:
                yield from _measure(setting, servers, repeats, seconds)
            except WorkerError as error:
                report(Progress(index / len(chosen), f"{setting.name}: {error}", skipped=True))


@dataclasses.dataclass(frozen=True)
class _Server:
    process: subprocess.Popen[str]
    address: str
    device: str

    def cpu(self) -> float:
        """Seconds of all cores it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _beside(words: Sequence[str]) -> Iterator[_Server]:
    with _process(words) as (process, line):
        kind, model, address = json.loads(line)
        yield _Server(process, address, device_name(kind, model))


@contextlib.contextmanager
def _ours(device: str) -> Iterator[_Server]:
    """The very command that users run; it takes the device that the null engine has told."""
    with _process([*_OURS, *_LIMITS]) as (process, line):
        yield _Server(process, line.rpartition(" on ")[2], device)


@contextlib.contextmanager
def _process(words: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A module of ours as a process, and the first line it printed."""
    command = [sys.executable, "-m", f"{_PACKAGE}.{words[0]}", *words[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()
            process.communicate()  # what it says as it stops


def _measure(setting: Setting, servers: Mapping[str, _Server], repeats: int, seconds: float) -> Iterator[RpcRow]:
    """The echo's row, and for games ours with and without a device's work before it."""
    names = [ECHO] if not setting.games else [OURS, ECHO] if setting.outputs == STATE else [OURS, NULL, ECHO]
    sizes = (setting.echo_bytes, setting.echo_bytes)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(setting.clients))
        teams: dict[str, list[Worker]] = {}
        for name in names:  # ours first: an echo has the bytes of our messages, as they are on average
            teams[name] = _team(stack, setting, name, servers[name].address, sizes)
            warm = _play(pool, teams[name], servers[name], seconds)
            if name == OURS:
                sizes = (round(warm["request_bytes"]), round(warm["response_bytes"]))
        stretches = [
            {name: _play(pool, teams[name], servers[name], seconds) for name in names} for _ in range(repeats)
        ]
    for name in names:
        yield _row(setting, name, servers[OURS].device, sizes, [turn[name] for turn in stretches])


def _team(
    stack: contextlib.ExitStack, setting: Setting, name: str, address: str, sizes: tuple[int, int]
) -> list[Worker]:
    """The clients of one implementation, built."""
    ways = {"kind": setting.client, "mode": setting.mode, "in_flight": setting.in_flight, "address": address}
    if name == ECHO:
        what = {"target": "echo", "request_bytes": sizes[0], "response_bytes": sizes[1]}
    elif setting.outputs == STATE:
        what = {"target": "state", "game": GAME}
    else:
        what = {"target": "lease", "game": GAME, "games": setting.games, "outputs": OUTPUTS[setting.outputs]}
    team = [stack.enter_context(running("rpc.clients")) for _ in range(setting.clients)]
    for worker in team:
        worker.ask(do="build", name="client", **ways, **what)
    return team


def _play(pool: ThreadPoolExecutor, team: Sequence[Worker], server: _Server, seconds: float) -> dict[str, float]:
    """One stretch of all clients at once."""
    before = server.cpu()
    found = list(pool.map(lambda worker: worker.ask(do="play", name="client", seconds=seconds), team))
    took = max(one["seconds"] for one in found)
    return {
        "rate": sum(one["calls"] / one["seconds"] for one in found),
        "server_cpu": (server.cpu() - before) / took,
        "client_cpu": sum(one["cpu"] for one in found),
        "policy_share": sum(one["policy"] for one in found) / len(found),
        **{key: max(one[key] for one in found) for key in ("p50_ms", "p99_ms", "request_bytes", "response_bytes")},
    }


def _row(
    setting: Setting, name: str, device: str, sizes: tuple[int, int], stretches: Sequence[Mapping[str, float]]
) -> RpcRow:
    rate, spread = median_and_spread([one["rate"] for one in stretches])
    medians = ("p50_ms", "p99_ms", "policy_share", "client_cpu", "server_cpu")
    return RpcRow(
        bench="rpc",
        game=GAME if setting.games else "",
        implementation=name,
        device=device,
        mode=setting.mode,
        client=setting.client,
        clients=setting.clients,
        in_flight=setting.in_flight,
        games=setting.games,
        outputs=setting.outputs,
        request_bytes=sizes[0],
        response_bytes=sizes[1],
        rpc_per_s=rate,
        steps_per_s=rate * setting.games,
        mb_per_s=rate * sum(sizes) / 1e6,
        repeats=len(stretches),
        spread=spread,
        versions={package: version(package) for package in ("grpcio", "protobuf", "jax", "numpy")},
        host=host(),
        **{key: statistics.median(one[key] for one in stretches) for key in medians},
    )
