"""What is timed as replay does the work it claims, and a buffer that does not is found out.

No assertion is about time.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from cartridge.bench import c_library, rows
from cartridge.bench.progress import Progress
from cartridge.bench.replay import check, contest, work
from cartridge.bench.replay.contest import run_replay
from cartridge.bench.replay.rows import MODES, ReplayRow
from cartridge.bench.worker import Worker, running

KINDS = list(work.OPERATIONS)


class Plain:
    """An honest buffer in few lines, slow and sure. What it gets wrong on request is its `lie`."""

    packages = ("numpy",)
    device = ("cpu", "")

    def __init__(self, kind: str, lie: str = "") -> None:
        self._kind, self._lie, self._rng = kind, lie, np.random.default_rng(1)
        self._rows = np.zeros((check.ITEMS, work.ROW), np.float32)
        self._weights = np.ones(check.ITEMS)
        self._written = 0

    def block(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(work.BATCH, work.ROW)

    def priorities(self, values: np.ndarray) -> np.ndarray:
        return values

    def add(self, block: np.ndarray) -> None:
        if self._lie == "keeps the old" and self._written >= check.ITEMS:
            return
        self._rows[self._written % check.ITEMS :][: work.BATCH] = block
        self._written += work.BATCH

    def sample(self) -> np.ndarray:
        """The slots drawn."""
        size = (work.NUM_SEQUENCES, work.STEPS) if self._kind == work.SEQUENCES else (work.BATCH,)
        if self._lie == "draws few":
            return np.full(size, 5)
        if self._kind != work.SEQUENCES or self._lie == "shuffles":
            return self._rng.choice(check.ITEMS, size, p=self._weights / self._weights.sum())
        starts = self._rng.integers(check.ITEMS - (work.STEPS - 1) * work.GAMES, size=work.NUM_SEQUENCES)
        head = self._written % check.ITEMS  # the oldest row
        return (head + starts[:, None] + work.GAMES * np.arange(work.STEPS)) % check.ITEMS

    def update(self, drawn: np.ndarray, priorities: np.ndarray) -> None:
        if self._lie != "ignores updates":
            self._weights[drawn] = priorities ** (1.0 if self._lie == "forgets the exponent" else work.EXPONENT)

    def rows(self, drawn: np.ndarray) -> np.ndarray:
        return self._rows[drawn] + (0.5 if self._lie == "makes rows up" else 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_buffer_passes(kind: str) -> None:
    check.check(Plain(kind), kind)


@pytest.mark.parametrize(
    ("kind", "lie", "found"),
    [
        (work.UNIFORM, "makes rows up", "never written"),
        (work.UNIFORM, "keeps the old", "written over"),
        (work.UNIFORM, "draws few", "met 1 of 8192"),
        (work.SEQUENCES, "shuffles", "not the steps of one game"),
        (work.PRIORITISED, "ignores updates", "ask for 86%"),
        (work.PRIORITISED, "forgets the exponent", "ask for 86%"),
    ],
)
def test_a_buffer_that_does_other_work_is_found_out(kind: str, lie: str, found: str) -> None:
    buffer = Plain(kind, lie)
    if lie == "makes rows up":
        buffer._rows += 1
    with pytest.raises(check.CheckError, match=found):
        check.check(buffer, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("package", "module", "variant"),
    [
        ("", "ours", "cartridge"),
        ("flashbax", "flashbax_buffers", "flashbax"),
        ("flashbax", "flashbax_buffers", "flashbax+flat"),
        ("cpprb", "cpprb_buffers", "cpprb"),
        ("", "c_buffers", rows.FLOOR),
    ],
)
def test_what_is_timed_does_the_work(package: str, module: str, variant: str, kind: str) -> None:
    if package:
        pytest.importorskip(package, reason=f"{package} is a peer, which `make peers` installs")
    if variant == rows.FLOOR and not c_library.compiler():
        pytest.skip("no C compiler")
    if (package, kind) == ("cpprb", work.SEQUENCES):
        pytest.skip("cpprb draws no sequences")
    with jax.numpy_rank_promotion("raise" if not package else "allow"):  # flashbax cannot do without
        loop = import_module(f"cartridge.bench.replay.{module}").build(variant, kind, check.ITEMS)
        assert all(loop.play(operation, 0.0)["calls"] >= 5 for operation in work.OPERATIONS[kind])
    assert set(loop.describe()["compile_s"]) >= set(work.OPERATIONS[kind])


@pytest.fixture(scope="module")
def torchrl() -> Iterator[Worker]:
    if not contest.TORCHRL_PYTHON.exists():
        pytest.skip("torchrl is a peer, which `make peers` installs")
    with running("replay.torchrl_buffers", python=str(contest.TORCHRL_PYTHON)) as worker:
        yield worker


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", ["torchrl", "torchrl+tensordict"])
def test_torchrl_does_the_work_in_its_own_interpreter(torchrl: Worker, variant: str, kind: str) -> None:
    described = torchrl.ask(do="build", name="it", implementation=variant, kind=kind, items=check.ITEMS)
    assert described["versions"]["torchrl"]
    for operation in work.OPERATIONS[kind]:
        assert torchrl.ask(do="play", name="it", operation=operation, seconds=0.0)["calls"] >= 5


@pytest.mark.long
def test_a_run_yields_a_row_for_each_call_and_says_who_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "find_spec", lambda name: None)
    monkeypatch.setattr(contest, "TORCHRL_PYTHON", Path("/nowhere/python"))
    monkeypatch.setattr(c_library, "compiler", lambda: None)
    heard: list[Progress] = []
    results = list(run_replay([9000], with_peers=True, repeats=5, seconds=0.002, report=heard.append))
    assert [row.mode for row in results] == list(MODES)
    assert {(row.items, row.implementation, row.repeats, row.in_turns) for row in results} == {
        (9216, "cartridge", 5, True)
    }
    assert all(row.ms > 0 and row.compile_s > 0 for row in results)
    assert rows.rows_from_json(rows.rows_to_json(results), ReplayRow) == results
    skipped = [progress.text for progress in heard if progress.skipped]
    assert sum("run `make peers`" in text for text in skipped) == 8
    assert sum("needs a C compiler" in text for text in skipped) == 3
    assert sum("single items only" in text for text in skipped) == 1
    assert [progress.done for progress in heard] == sorted(progress.done for progress in heard)


def test_what_does_not_fit_together_is_measured_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "_TOGETHER", 1)
    monkeypatch.setattr(work, "OPERATIONS", {work.UNIFORM: ("add", "sample")})
    assert [(row.mode, row.in_turns) for row in run_replay([1], repeats=5, seconds=0.0)] == [
        ("add", False),
        ("sample", False),
    ]


def test_a_run_refuses_what_it_cannot_do() -> None:
    for settings in ({"repeats": 3}, {"items": []}, {"items": [0]}):
        arguments: dict[str, Any] = settings
        with pytest.raises(ValueError, match="expected"):
            next(run_replay(**arguments))
