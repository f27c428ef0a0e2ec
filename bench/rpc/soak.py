"""Hours in minutes: clients come, play, vanish and come back, and the server's memory and leases are watched meanwhile.

Usage: python -m cartridge.bench.rpc.soak --minutes 30 [--json FILE] [--svg FILE]. It ends with 1 where games stay taken
after all clients have gone, or where a client met an error that nobody had asked for.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from ...client import CallError, Engine, Lease, Patience, slices
from ...proto.engine.v1 import engine_pb2 as pb
from ...proto.engine.v1 import engine_pb2_grpc
from ..rows import host
from .soak_plot import soak_svg

GAMES, GRACE = 4096, 2  # of each game's batch; seconds for which a lease whose stream broke off is kept
_TTL = 3.0  # seconds, of every lease
_PLAYED = ("connect4", "tictactoe", "kuhn_poker")
_SIZES = (1, 16, 100, 500)
_MOST_STEPS, _PAUSE = 200, 0.02  # of one visit; seconds between two steps, for a machine shared with others
_SETTLED = 0.25  # the share of the run after which all is compiled
_FREE = re.compile(r"are not free: (\d+) of (\d+)")


class Visitor(threading.Thread):
    """One client after another: each acquires, steps and leaves, in good order or without a word."""

    def __init__(self, address: str, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._address, self._chance, self._stop_asked = address, np.random.default_rng(seed), stop
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.held = 0  # leases in use just now

    def run(self) -> None:
        """Visits until it is told to stop."""
        while not self._stop_asked.is_set():
            try:
                self._visit()
            except CallError as error:
                self._note(error)
            self.held = 0

    def _note(self, error: CallError) -> None:
        if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:  # those who vanished still hold what it asked for
            self.counts["refused for want of games"] += 1
            self._stop_asked.wait(0.2)
        else:
            self.errors.append(str(error))

    def _visit(self) -> None:
        game, size = str(self._chance.choice(_PLAYED)), int(self._chance.choice(_SIZES))
        with Engine(self._address, patience=Patience(30.0)) as engine:
            lease = engine.acquire(game, size, seed=int(self._chance.integers(1 << 32)), outputs=("mask",), ttl=_TTL)
            self.held = 1
            self.counts["leases"] += 1
            steps = self._play(lease, lease.first)
            leaving = str(self._chance.choice(["released", "vanished", "came back"]))
            self.counts[leaving] += 1
            if leaving == "released":
                lease.release()
        if leaving == "came back":
            self._come_back(lease.lease, size, steps)

    def _play(self, lease: Lease, shown: Any) -> int:
        steps = int(self._chance.integers(1, _MOST_STEPS))
        for number in range(steps):
            shown = lease.step(self._actions(shown.legal_actions))
            self.counts["steps"] += 1
            if self._stop_asked.wait(_PAUSE):
                return number + 1
        return steps

    def _actions(self, legal: np.ndarray) -> np.ndarray:
        return np.where(legal, self._chance.random(legal.shape), -1).argmax(axis=1)

    def _come_back(self, lease: pb.Lease, size: int, sequence: int) -> None:
        """By another connection, within the grace: the last step once more, then a new one."""
        with Engine(self._address, patience=Patience(30.0)) as engine:
            stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
            for number in (sequence, sequence + 1):
                asked = slices.request(lease, size, number, np.zeros(size, np.int64))
                engine.call(stub.StepSlice, asked)
            engine.call(stub.Release, pb.ReleaseRequest(lease_id=lease.lease_id))


def watch(address: str, pid: int, seconds: float, every: float, visitors: Sequence[Visitor]) -> list[dict[str, Any]]:
    """Samples of the server: seconds since the start, MiB of memory, leases in use, games that are not free."""
    samples, begun = [], time.monotonic()
    with Engine(address, patience=Patience(30.0)) as engine:
        # One game of each is the watcher's, so that its asking for all of them never succeeds.
        kept = [engine.acquire(game, 1, outputs=("mask",)) for game in _PLAYED]
        while (now := time.monotonic() - begun) < seconds:
            for lease in kept:
                lease.renew()
            sample = {"seconds": round(now, 1), "rss_mib": round(rss_mib(pid), 1)}
            sample["leases_in_use"] = sum(one.held for one in visitors)
            samples.append(sample | {"games_taken": sum(taken(engine, game) - 1 for game in _PLAYED)})
            time.sleep(every)
        for lease in kept:
            lease.release()
    return samples


def taken(engine: Engine, game: str) -> int:
    """Games of a batch that are not free, read from the refusal of a lease of them all."""
    try:
        engine.acquire(game, GAMES, outputs=("mask",), ttl=1.0).release()
    except CallError as error:
        found = _FREE.search(str(error))
        if found is None:
            raise
        return int(found[2]) - int(found[1])
    return 0


def rss_mib(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextlib.contextmanager
def serving() -> Iterator[tuple[int, str]]:
    """A server of its own: (process id, address)."""
    words = ["serve", "engine", "--address", "127.0.0.1:0", "--games", str(GAMES), "--grace", str(GRACE)]
    house = (__package__ or "cartridge").partition(".")[0]
    line = [sys.executable, "-W", "ignore", "-m", f"{house}.services.cli", *words]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip().rpartition(" on ")[2]
    finally:
        process.terminate()
        process.communicate()


def soak(minutes: float, clients: int, every: float) -> dict[str, Any]:
    """The whole run: what was sampled, and what it comes to."""
    stop = threading.Event()
    with serving() as (pid, address):
        visitors = [Visitor(address, seed, stop) for seed in range(clients)]
        for one in visitors:
            one.start()
        samples = watch(address, pid, 60 * minutes, every, visitors)
        stop.set()
        for one in visitors:
            one.join(60)
        time.sleep(_TTL + GRACE + 1)
        with Engine(address) as engine:
            left = sum(taken(engine, game) for game in _PLAYED)
        counts = sum((one.counts for one in visitors), Counter())
        errors = [error for one in visitors for error in one.errors]
        found = {"host": host(), "minutes": minutes, "clients": clients, "counts": dict(counts), "errors": errors}
        return found | {"games_taken_at_end": left, "memory": memory(samples), "samples": samples}


def memory(samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    """MiB once all is compiled and at the end (medians of ten samples), and the growth between by a straight line."""
    settled = samples[int(len(samples) * _SETTLED) :]
    ends = [statistics.median(one["rss_mib"] for one in part) for part in (settled[:10], settled[-10:])]
    hours = [one["seconds"] / 3600 for one in settled]
    slope = statistics.linear_regression(hours, [one["rss_mib"] for one in settled]).slope if len(settled) > 1 else 0.0
    return {"settled_mib": ends[0], "last_mib": ends[1], "growth_mib_per_hour": round(slope, 1)}


def main() -> int:
    """Runs, writes and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between samples")
    parser.add_argument("--json", type=Path, default=Path("bench/results/soak-cpu.json"))
    parser.add_argument("--svg", type=Path, default=Path("docs/images/soak.svg"))
    args = parser.parse_args()
    found = soak(args.minutes, args.clients, args.every)
    args.json.write_text(json.dumps(found, indent=1) + "\n")
    args.svg.write_text(soak_svg(found["samples"]))
    print(json.dumps({name: value for name, value in found.items() if name not in ("samples", "host")}, indent=1))
    return 1 if found["errors"] or found["games_taken_at_end"] else 0


if __name__ == "__main__":
    sys.exit(main())
