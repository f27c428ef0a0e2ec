"""`cartridge bench engine`: environment steps a second, ours beside the peers', on this machine, in one run.

For each game and mode every implementation is built at every batch size, in a process of its own; then all play in
turns, one short stretch each, as often as there are repeats: whatever the machine does meanwhile hits all alike.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

from ..registry import make_game
from . import c_library, c_loop, peers, rows
from .bandwidth import copy_bytes_per_second
from .calls import OURS_TORCH
from .compiled import SHARED_WORK
from .progress import Progress, Report
from .worker import Worker, WorkerError, running

Mode = Literal["random", "observe", "api"]
MODES: tuple[Mode, ...] = get_args(Mode)
BATCHES = {
    "random": (1024, 4096, 16384, 65536, 262144),
    "observe": (1024, 4096, 16384, 65536),
    "api": (256, 1024, 4096, 16384),
}
MIN_REPEATS = 5
_MAX_BYTES = 1 << 30  # of one batch's states
_SLOW_STEP = 2.0  # seconds; a batch that takes longer for one step is left out
_TRIAL = 1  # the batch, from the smallest, on which compiler flags are tried
_TRIAL_STRETCHES = 3  # under each flags; the best counts, which whatever else the machine did disturbed least
_MODULES = {peers.ENVPOOL: "envpool_calls", peers.OPEN_SPIEL: "open_spiel_calls", rows.FLOOR: "c_loop"}


@dataclasses.dataclass
class Entrant:
    """One implementation at one batch size, built in its process, with the rates measured so far."""

    implementation: str
    batch: int
    flags: str
    worker: Worker
    name: str  # of the loop, in its process
    described: dict[str, Any]
    num_steps: int = 1  # of one stretch
    rates: list[float] = dataclasses.field(default_factory=list)

    def play(self) -> None:
        """One stretch, its rate kept."""
        tally = self.worker.ask(do="play", name=self.name, num_steps=self.num_steps)
        self.rates.append(tally["moves"] / tally["seconds"])


def run_engine(
    games: Sequence[str],
    modes: Sequence[Mode] = MODES,
    *,
    with_peers: bool = False,
    batches: Sequence[int] | None = None,
    repeats: int = 7,
    seconds: float = 0.5,
    envpool_python: str | None = None,
    report: Report = lambda progress: None,
) -> Iterator[rows.Row]:
    """Yields a row for each game, mode, implementation and batch size, as soon as a game and mode is measured.

    Args:
      games: ids; see `cartridge.list_games`.
      modes: of `MODES`.
      with_peers: measure the peers too; what is missing is reported as skipped.
      batches: numbers of games in lock step; None for each mode's own.
      repeats: stretches of about `seconds` of each entrant after a warm-up, at least 5.
      envpool_python: an interpreter that has EnvPool; None for that of `make peers`.
      report: called with each `Progress`.

    Raises:
      ValueError: fewer than 5 repeats, or an unknown mode.
    """
    if repeats < MIN_REPEATS:
        raise ValueError(f"repeats is {repeats}, expected at least {MIN_REPEATS}: a median of fewer says little")
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown:
        raise ValueError(f"mode is {unknown[0]!r}, expected one of {', '.join(MODES)}")
    bandwidth = copy_bytes_per_second()
    for mode in modes:
        for game in games:
            contest = _Contest(game, mode, batches or BATCHES[mode], seconds, bandwidth, envpool_python, report)
            yield from contest.run(_implementations(contest, with_peers), repeats)


class _Contest:
    """One game in one mode: the processes, and those who take part."""

    def __init__(
        self,
        game: str,
        mode: Mode,
        batches: Sequence[int],
        seconds: float,
        bandwidth: float,
        envpool_python: str | None,
        report: Report,
    ) -> None:
        self.game, self.envpool_python, self._bandwidth = game, envpool_python, bandwidth
        self.mode: Mode = mode
        self._batches, self._seconds, self._report = sorted(batches), seconds, report
        self._workers = contextlib.ExitStack()
        self._flags_of_ours = ""  # a yardstick differs from us in nothing but what it measures

    def run(self, implementations: Sequence[str], repeats: int) -> Iterator[rows.Row]:
        """Builds all, plays all in turns, yields a row each."""
        with self._workers:
            entrants: list[Entrant] = []
            for index, implementation in enumerate(implementations):
                entrants += self._enter(implementation, 0.5 * index / len(implementations))
            for repeat in range(repeats):
                self.say(0.5 + 0.5 * repeat / repeats, f"repeat {repeat + 1} of {repeats}")
                for entrant in entrants:
                    self._play(entrant)
            yield from [self._row(entrant) for entrant in entrants if len(entrant.rates) > repeats]

    def say(self, done: float, text: str, skipped: bool = False) -> None:
        self._report(Progress(done, f"{self.game} {self.mode}: {text}", skipped))

    def _play(self, entrant: Entrant) -> None:
        try:
            entrant.play()
        except WorkerError as error:
            self.say(0.5, f"{entrant.name} games: {error}", skipped=True)

    def _enter(self, implementation: str, done: float) -> list[Entrant]:
        """The implementation at each batch size that fits, under the compiler flags that suit it better."""
        flags = self._better_flags(implementation, done)
        if implementation == rows.OURS:
            self._flags_of_ours = flags
        worker = self._start(implementation, flags)
        entrants: list[Entrant] = []
        for batch in self._batches:
            self.say(done, f"building {implementation} for {batch} games")
            try:
                entrants.append(self._build(worker, implementation, batch, flags))
            except WorkerError as error:
                self.say(done, f"{implementation} at {batch} games: {error}", skipped=True)
                break  # a larger batch would meet the same
            if self._is_enough(entrants[-1]):
                break
        return entrants

    def _better_flags(self, implementation: str, done: float) -> str:
        """The settings that are faster at one of the smaller batches. On accelerators they change nothing."""
        if implementation in _MODULES or self.mode == "api":
            return ""
        if implementation == rows.WITHOUT_DRAWS:
            return self._flags_of_ours
        batch = self._batches[min(_TRIAL, len(self._batches) - 1)]
        fastest: dict[str, float] = {}
        for flags in ("", SHARED_WORK):  # one after the other: two at a time may not fit in memory
            self.say(done, f"trying compiler flags for {implementation}")
            with self._process(implementation, flags) as worker, contextlib.suppress(WorkerError):
                entrant = self._build(worker, implementation, batch, flags)
                for _ in range(_TRIAL_STRETCHES):
                    entrant.play()
                fastest[flags] = max(entrant.rates)
        return max(fastest, key=lambda flags: fastest[flags], default="")

    def _start(self, implementation: str, flags: str) -> Worker:
        return self._workers.enter_context(self._process(implementation, flags))

    def _process(self, implementation: str, flags: str) -> contextlib.AbstractContextManager[Worker]:
        module = _MODULES.get(implementation, "calls" if self.mode == "api" else "compiled")
        python = peers.envpool_python(self.game, self.envpool_python) if implementation == peers.ENVPOOL else None
        return running(module, python=python, flags=flags)

    def _build(self, worker: Worker, implementation: str, batch: int, flags: str) -> Entrant:
        """Compiled, warmed up, and the length of a stretch found."""
        game = peers.ENVPOOL_IDS[self.game] if implementation == peers.ENVPOOL else self.game
        name = f"{implementation} {batch}"
        settings = {"implementation": implementation, "game": game, "mode": self.mode, "batch": batch}
        entrant = Entrant(implementation, batch, flags, worker, name, worker.ask(do="build", name=name, **settings))
        spent = 0.0
        while spent < self._seconds / 4:
            spent = worker.ask(do="play", name=name, num_steps=entrant.num_steps)["seconds"]
            # Far too short a stretch says little of the length needed, so the length at most grows eightfold.
            growth = min(8.0, self._seconds / max(spent, 1e-9))
            entrant.num_steps = max(1, math.ceil(entrant.num_steps * growth))
        entrant.play()
        return entrant

    def _is_enough(self, entrant: Entrant) -> bool:
        """Whether four times as many games would be too slow or too large to try."""
        step_seconds = entrant.batch / entrant.rates[-1]
        state_bytes = entrant.batch * (entrant.described["bytes_per_game"] or 0)
        return 4 * step_seconds > _SLOW_STEP or 4 * state_bytes > _MAX_BYTES

    def _row(self, entrant: Entrant) -> rows.Row:
        described = entrant.described
        rate, spread = rows.median_and_spread(entrant.rates[1:])  # the first was the warm-up
        device = described["device"] if entrant.implementation != peers.ENVPOOL else rows.device_name("cpu", "")
        flags = {"xla_flags": entrant.flags} if entrant.flags else {}
        size = described["bytes_per_game"]
        return rows.Row(
            bench="engine",
            game=self.game,
            implementation=entrant.implementation,
            device=device,
            batch=entrant.batch,
            mode=self.mode,
            steps_per_s=rate,
            compile_s=described["compile_s"],
            bytes_per_game=size,
            memory_share=None if size is None else 2 * size * rate / self._bandwidth,  # each state is read and written
            repeats=len(entrant.rates) - 1,
            spread=spread,
            versions={**described["versions"], **flags},
            host=rows.host(),
        )


def _implementations(contest: _Contest, with_peers: bool) -> list[str]:
    """Ours and the peers that are here; the missing are named."""
    game, mode = contest.game, contest.mode
    chosen = [rows.OURS, OURS_TORCH] if mode == "api" else [rows.OURS]
    if not with_peers:
        return chosen
    for variants in (peers.pgx_variants, peers.gymnax_variants, peers.open_spiel_variants):
        with _saying_what_is_missing(contest):
            chosen += variants(game, mode)
    if mode == "api":
        with _saying_what_is_missing(contest):
            peers.envpool_python(game, contest.envpool_python)
            chosen.append(peers.ENVPOOL)
    if (game, mode) == (c_loop.GAME, "random") and c_library.compiler():
        chosen.append(rows.FLOOR)
    if make_game(game).spec.stochastic and mode == "random":
        chosen.append(rows.WITHOUT_DRAWS)
    return chosen


@contextlib.contextmanager
def _saying_what_is_missing(contest: _Contest) -> Iterator[None]:
    try:
        yield
    except peers.MissingPeerError as missing:
        contest.say(0.0, str(missing), skipped=True)
