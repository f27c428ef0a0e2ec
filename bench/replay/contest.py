"""`cartridge bench replay`: milliseconds a call, ours beside the peers', on this machine, in one run.

For each size and kind of buffer every implementation fills its own in a process of its own; then all are called in
turns, one short stretch each, as often as there are repeats. Where the buffers of all do not fit in memory together,
one implementation is filled and measured after another.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import c_library, rows
from ..progress import Progress, Report
from ..worker import Worker, WorkerError, running
from . import work
from .rows import ReplayRow

ITEMS = (100_000, 1_000_000, 10_000_000)
MIN_REPEATS = 5
_TOGETHER = 4 << 30  # bytes of items that lie in memory at once, which all machines we measure on have and more
_VARIANTS = {  # of each implementation, by kind
    rows.OURS: dict.fromkeys(work.OPERATIONS, (rows.OURS,)),
    "flashbax": {
        work.UNIFORM: ("flashbax", "flashbax+flat"),
        work.PRIORITISED: ("flashbax", "flashbax+flat"),
        work.SEQUENCES: ("flashbax",),
    },
    "torchrl": {
        work.UNIFORM: ("torchrl", "torchrl+one-thread", "torchrl+tensordict"),
        work.PRIORITISED: ("torchrl", "torchrl+one-thread", "torchrl+tensordict"),
        work.SEQUENCES: ("torchrl", "torchrl+one-thread"),
    },
    "cpprb": {work.UNIFORM: ("cpprb",), work.PRIORITISED: ("cpprb",)},
    rows.FLOOR: dict.fromkeys(work.OPERATIONS, (rows.FLOOR,)),
}
_MODULES = {
    rows.OURS: "replay.ours",
    "flashbax": "replay.flashbax_buffers",
    "torchrl": "replay.torchrl_buffers",
    "cpprb": "replay.cpprb_buffers",
    rows.FLOOR: "replay.c_buffers",
}
_CANNOT = {("cpprb", work.SEQUENCES): "cpprb draws single items only: of steps that follow it keeps sums of rewards"}
TORCHRL_PYTHON = Path(__file__).resolve().parents[2] / ".venv-torchrl" / "bin" / "python"


@dataclasses.dataclass
class Entrant:
    """One implementation with a full buffer in its process, and the times measured so far by operation."""

    implementation: str
    worker: Worker
    described: dict[str, Any]
    ms: dict[str, list[float]]

    def play(self, seconds: float) -> None:
        """A stretch of each operation."""
        for operation, times in self.ms.items():
            times.append(self.worker.ask(do="play", name="buffer", operation=operation, seconds=seconds)["ms"])


def run_replay(
    items: Sequence[int] = ITEMS,
    *,
    with_peers: bool = False,
    repeats: int = 7,
    seconds: float = 0.5,
    report: Report = lambda progress: None,
) -> Iterator[ReplayRow]:
    """Yields a row for each size, mode and implementation, as soon as a size and kind of buffer is measured.

    Args:
      items: sizes of the buffers, each made up to whole blocks of 1,024.
      with_peers: measure the peers too; what is missing, or cannot do something, is reported as skipped.
      repeats: stretches of about `seconds` of each operation after a warm-up, at least 5.
      report: called with each `Progress`.

    Raises:
      ValueError: fewer than 5 repeats, or no items.
    """
    if repeats < MIN_REPEATS:
        raise ValueError(f"repeats is {repeats}, expected at least {MIN_REPEATS}: a median of fewer says little")
    if min(items, default=0) < 1:
        raise ValueError(f"items are {list(items)}, expected sizes of at least 1")
    contests = [(-(-size // work.BATCH) * work.BATCH, kind) for size in items for kind in work.OPERATIONS]
    for index, (size, kind) in enumerate(contests):
        contest = _Contest(size, kind, repeats, seconds, report, index / len(contests))
        yield from contest.run(with_peers)


class _Contest:
    """One size and kind of buffer."""

    def __init__(self, items: int, kind: str, repeats: int, seconds: float, report: Report, done: float) -> None:
        self._items, self._kind, self._repeats, self._seconds = items, kind, repeats, seconds
        self._report, self._done = report, done

    def run(self, with_peers: bool) -> Iterator[ReplayRow]:
        implementations = self._implementations(with_peers)
        in_turns = len(implementations) * self._items * work.ITEM_BYTES <= _TOGETHER
        for group in [implementations] if in_turns else [[each] for each in implementations]:
            for entrant in self._measured(group):
                yield from self._rows(entrant, in_turns)

    def _say(self, text: str, skipped: bool = False) -> None:
        self._report(Progress(self._done, f"{self._kind}, {self._items:,} items: {text}", skipped))

    def _implementations(self, with_peers: bool) -> list[str]:
        """Ours and the peers that are here and can; the others are named."""
        chosen: list[str] = []
        for package, variants in _VARIANTS.items():
            if package != rows.OURS and not with_peers:
                continue
            reason = _CANNOT.get((package, self._kind)) or _missing(package)
            if reason:
                self._say(reason, skipped=True)
            else:
                chosen += variants[self._kind]
        return chosen

    def _measured(self, implementations: Sequence[str]) -> list[Entrant]:
        """All of them filled, then all called in turns; whoever fails is named and left out."""
        entrants: list[Entrant] = []
        with contextlib.ExitStack() as processes:
            for implementation in implementations:
                self._say(f"filling {implementation}")
                with self._saying_what_fails(implementation):
                    entrants.append(self._enter(implementation, processes))
            for repeat in range(self._repeats + 1):  # the first is the warm-up
                self._say(f"repeat {repeat} of {self._repeats}")
                for entrant in entrants:
                    with self._saying_what_fails(entrant.implementation):
                        entrant.play(self._seconds)
        return [entrant for entrant in entrants if all(len(ms) > self._repeats for ms in entrant.ms.values())]

    def _enter(self, implementation: str, processes: contextlib.ExitStack) -> Entrant:
        package = implementation.partition("+")[0]
        python = str(TORCHRL_PYTHON) if package == "torchrl" else None
        worker = processes.enter_context(running(_MODULES[package], python=python))
        settings = {"implementation": implementation, "kind": self._kind, "items": self._items}
        described = worker.ask(do="build", name="buffer", **settings)
        return Entrant(implementation, worker, described, {name: [] for name in work.OPERATIONS[self._kind]})

    @contextlib.contextmanager
    def _saying_what_fails(self, implementation: str) -> Iterator[None]:
        try:
            yield
        except WorkerError as error:
            self._say(f"{implementation}: {error}", skipped=True)

    def _rows(self, entrant: Entrant, in_turns: bool) -> Iterator[ReplayRow]:
        described = entrant.described
        for operation, times in entrant.ms.items():
            ms, spread = rows.median_and_spread(times[1:])
            yield ReplayRow(
                bench="replay",
                implementation=entrant.implementation,
                device=rows.device_name(*described["device"]),
                items=self._items,
                batch=work.NUM_SEQUENCES if self._kind == work.SEQUENCES else work.BATCH,
                mode=_mode(self._kind, operation),
                ms=ms,
                compile_s=described["compile_s"][operation],
                peak_bytes=described["peak_bytes"],
                bytes_per_item=described["fill_bytes"] and described["fill_bytes"] / self._items,
                in_turns=in_turns,
                repeats=self._repeats,
                spread=spread,
                versions=described["versions"],
                host=rows.host(),
            )


def _mode(kind: str, operation: str) -> str:
    return {work.UNIFORM: operation, work.PRIORITISED: f"prioritised {operation}"}.get(kind, kind)


def _missing(package: str) -> str | None:
    """Why a peer or the floor cannot be measured at all, if it cannot."""
    if package == rows.FLOOR:
        return None if c_library.compiler() else "the loop in C needs a C compiler, `cc`"
    here = TORCHRL_PYTHON.exists() if package == "torchrl" else package == rows.OURS or find_spec(package)
    return None if here else f"{package} is not installed: run `make peers`"
