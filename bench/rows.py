"""A benchmark's result is a list of rows: what ran, where, how fast, and how sure we are of it.

Rows are what `--json` writes, what `bench/results/` keeps and what the README's table is made of, so a row says by
itself all that is needed to judge it: the peer's version, the batch, the compile time, the spread of the repeats.
"""

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

OURS = "cartridge"
FLOOR = "c-loop"  # no peer: see `bench.c_loop` and `bench.replay.c_buffers`
WITHOUT_DRAWS = "cartridge-without-draws"  # no peer: see `bench.compiled.words_for_nothing`
_YARDSTICKS = (FLOOR, WITHOUT_DRAWS)
RATES = ("steps_per_s", "items_per_s", "rpc_per_s", "ms")
_OPTIONAL = (*RATES, "memory_share")
_GIB = 1 << 30
AnyRow = TypeVar("AnyRow")


@dataclasses.dataclass(frozen=True)
class Row:
    """One implementation at one setting; exactly one of the `RATES` is given.

    `implementation` is `cartridge` or the peer's package with the variant after a plus sign. The rate is the median of
    `repeats` measurements after a warm-up, `spread` their (max - min) / median. `bytes_per_game` is what a game's state
    takes in memory, None where the peer does not show it. `memory_share` is the traffic of the states alone, read and
    written at every step, as a share of what a copy of large arrays reaches on the device: small shares say that
    arithmetic or overhead is the limit; a batch that stays in a cache may exceed 1.
    """

    bench: str
    game: str
    implementation: str
    device: str
    batch: int
    mode: str
    compile_s: float
    bytes_per_game: int | None
    repeats: int
    spread: float
    versions: Mapping[str, str]
    host: Mapping[str, str]
    steps_per_s: float | None = None
    items_per_s: float | None = None
    rpc_per_s: float | None = None
    ms: float | None = None
    memory_share: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in RATES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a row of {self.implementation} gives {given or 'no rate'}, expected one of {RATES}")

    @property
    def rate(self) -> float:
        """The figure measured, whatever its unit."""
        return next(value for name in RATES if (value := getattr(self, name)) is not None)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Our best row beside the best row of the fastest peer variant, in one game, mode and device."""

    ours: Row
    peer: Row

    @property
    def ratio(self) -> float:
        """How many times as fast we are."""
        return self.ours.rate / self.peer.rate


@dataclasses.dataclass(frozen=True)
class Goal:
    """What was aimed at, the figure that decides and where it was measured."""

    text: str
    measured: float
    where: str
    met: bool


def rows_to_json(rows: "Iterable[DataclassInstance]") -> str:
    """The rows of any benchmark as a JSON list, rates that were not measured left out."""
    fields = [
        {name: value for name, value in dataclasses.asdict(row).items() if name not in _OPTIONAL or value is not None}
        for row in rows
    ]
    return json.dumps(fields, indent=1) + "\n"


def rows_from_json(text: str, kind: type[AnyRow] = Row) -> list[AnyRow]:
    """The inverse of `rows_to_json` for rows of one kind; `ValueError` where an entry is none."""
    rows = []
    for index, fields in enumerate(json.loads(text)):
        try:
            rows.append(kind(**fields))
        except TypeError as error:
            raise ValueError(f"entry {index} is no benchmark row: {error}") from error
    return rows


def read_results(folder: Path) -> list[Row]:
    """Every row of the files `engine-*.json` in `folder`, files in order of name."""
    return [row for path in sorted(folder.glob("engine-*.json")) for row in rows_from_json(path.read_text())]


def best(rows: Iterable[Row]) -> dict[tuple[str, str, str, str], Row]:
    """The fastest row of each (game, mode, device, implementation): every one at its own best batch size."""
    fastest: dict[tuple[str, str, str, str], Row] = {}
    for row in rows:
        key = (row.game, row.mode, row.device, row.implementation)
        if key not in fastest or row.rate > fastest[key].rate:
            fastest[key] = row
    return fastest


def compare(rows: Iterable[Row]) -> list[Comparison]:
    """Our best against the fastest peer variant, for each game, mode and device that has both."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for key, row in best(rows).items():
        groups.setdefault(key[:3], []).append(row)
    comparisons = []
    for group in groups.values():
        ours = [row for row in group if is_ours(row)]
        peers = [row for row in group if not is_ours(row) and row.implementation not in _YARDSTICKS]
        if ours and peers:
            comparisons.append(Comparison(max(ours, key=_rate), max(peers, key=_rate)))
    return comparisons


def is_ours(row: Row) -> bool:
    """Whether the row measures Cartridge, in whatever variant."""
    return row.implementation.partition("+")[0] == OURS


def median_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """(median, (max - min) / median) of the repeats."""
    middle = statistics.median(values)
    return middle, (max(values) - min(values)) / middle


def host() -> dict[str, str]:
    """The machine in general words: nothing that tells whose it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return {
        "cpu": cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def device_name(kind: str, model: str) -> str:
    """`cpu (AMD EPYC, 2 cores)` or `gpu (NVIDIA H200)`."""
    return f"cpu ({cpu_model()}, {os.cpu_count()} cores)" if kind == "cpu" else f"{kind} ({model})"


def versions_text(versions: Mapping[str, Any]) -> str:
    """`jax 0.10.2, pgx 2.6.0`."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _rate(row: Row) -> float:
    return row.rate
