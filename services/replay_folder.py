"""A folder of exported replay rows: shards, the table of episodes and, written last, the manifest.

    transitions-00000.parquet ...  episodes.parquet  manifest.json

The folder is built under a temporary name and renamed, so it is whole or not there. Reading trusts nothing: a shard is
hashed before it is opened, and its rows must stand where the manifest and their own order say.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..engine.game import Game
from ..engine.spec import GameSpec
from ..registry import make_game
from ..replay import export
from ..replay.export import PLACES, Columns, Episodes, Numbering
from . import replay_setup, store
from .saved_replay import SavedReplay

MANIFEST = "manifest.json"
EPISODES = "episodes.parquet"
SCHEMA_VERSION = 1
SHARD_ROWS = 1_000_000
_GROUP_ROWS = 1 << 16  # rows of a row group in a file: all that is held at a time
_MOST_COLUMNS = 1_000_000  # as many as selfplay.num_games may be
_SHARD = re.compile(r"transitions-\d+\.parquet")


class ReplayDataError(ValueError):
    """Exported replay data that cannot be written or read; the message names the file, and the row if it is one."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says."""

    schema_version: int
    game: str  # the id, options included, by which `make_game` finds it
    env_id: str
    options: Mapping[str, str]
    build_id: str
    spec_fingerprint: str
    state_encoding: str
    num_rows: int
    num_episodes: int
    columns: int  # M, games in lock step
    rows_by_group: list[int]
    capacity: int  # of the ring, rows
    sampler: str
    totals: Mapping[str, int]  # rows inserted and sampled by then
    source: Mapping[str, Any]  # run, step, config_hash, seed
    shards: list[Mapping[str, Any]]  # name, rows, sha256
    episodes: Mapping[str, Any]  # name, rows, sha256

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Reads the file; `ReplayDataError` says what does not fit."""
        try:
            fields = json.loads(data)
        except ValueError as error:
            raise ReplayDataError(f"{MANIFEST} is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise ReplayDataError(f"{MANIFEST} is no JSON object")
        version = fields.get("schema_version")
        if not (isinstance(version, int) and 1 <= version <= SCHEMA_VERSION):
            raise ReplayDataError(
                f"{MANIFEST} is of schema version {version!r}, this version of cartridge reads up to {SCHEMA_VERSION}"
            )
        missing = [field.name for field in dataclasses.fields(cls) if field.name not in fields]
        if missing:
            raise ReplayDataError(f"{MANIFEST} lacks {', '.join(missing)}")
        manifest = cls(**{field.name: fields[field.name] for field in dataclasses.fields(cls)})
        manifest._check()
        return manifest

    def _check(self) -> None:
        """What reading relies on."""
        texts = (self.game, self.env_id, self.build_id, self.spec_fingerprint, self.state_encoding)
        kept = _is_count(self.columns) and 0 < self.columns <= _MOST_COLUMNS
        kept = kept and all(isinstance(text, str) for text in texts)
        kept = kept and _is_count(self.capacity) and isinstance(self.totals, dict) and isinstance(self.source, dict)
        kept = kept and all(_is_count(self.totals.get(name)) for name in ("inserted", "sampled"))
        kept = kept and isinstance(self.rows_by_group, list) and all(map(_is_count, self.rows_by_group))
        kept = kept and isinstance(self.shards, list) and all(map(_is_shard, self.shards))
        if not kept:
            raise ReplayDataError(f"{MANIFEST} has a field of another kind than its schema says")
        if not self.num_rows == sum(self.rows_by_group) == sum(shard["rows"] for shard in self.shards):
            raise ReplayDataError(f"{MANIFEST} contradicts itself: its shards or groups do not have num_rows rows")


@dataclasses.dataclass(frozen=True)
class ReplayFolder:
    """An exported folder, opened; its shards are looked at as they are read."""

    root: Path
    manifest: Manifest
    manifest_sha256: str
    game: Game[Any]

    @classmethod
    def open(cls, root: Path) -> "ReplayFolder":
        """Reads the manifest and finds the game.

        Raises:
          ReplayDataError: there is no manifest, it cannot be read, or it is of other rules than the installed game's.
        """
        if not (root / MANIFEST).is_file():
            raise ReplayDataError(f"{root} holds no exported replay data (there is no {MANIFEST} in it)")
        try:
            manifest = Manifest.from_json((root / MANIFEST).read_bytes())
        except ReplayDataError as error:
            raise ReplayDataError(f"{root}: {error}") from error
        game = make_game(manifest.game)
        _require_same_game(manifest, game.spec)
        return cls(root, manifest, store.sha256(root / MANIFEST), game)

    def pieces(self, max_rows: int) -> Iterator[tuple[str, int, Columns]]:
        """(shard, number in it of the piece's first row, piece) for all rows in order, at most `max_rows` at a time.

        Raises:
          ReplayDataError: a shard is missing, damaged or of other columns, or a row is out of order.
        """
        if self.manifest.state_encoding != parquet().STATE_ENCODING:
            raise ReplayDataError(f"states are encoded as {self.manifest.state_encoding}, which nothing here reads")
        order = _Order(self.manifest)
        for shard in self.manifest.shards:
            name, row = shard["name"], 0
            self._verify(name, shard["sha256"])
            for piece in self._read(name, max_rows):
                wrong = order.first_wrong(piece)
                if wrong is not None:
                    at, column = wrong
                    raise ReplayDataError(f"{name} row {row + at}: {column} does not follow from the rows before it")
                yield name, row, piece
                row += len(piece["move"])
            if row != shard["rows"]:
                raise ReplayDataError(f"{name} has {row:,} rows, {MANIFEST} says {shard['rows']:,}")

    @property
    def num_bytes(self) -> int:
        """Size of all shards on the disk."""
        return sum((self.root / shard["name"]).stat().st_size for shard in self.manifest.shards)

    def _verify(self, name: str, expected: str) -> None:
        path = self.root / name
        if not path.is_file():
            raise ReplayDataError(f"shard {name} is missing in {self.root}")
        found = store.sha256(path)
        if found != expected:
            raise ReplayDataError(f"shard {name} is damaged: sha256 is {found[:12]}…, expected {expected[:12]}…")

    def _read(self, name: str, max_rows: int) -> Iterator[Columns]:
        shapes = export.shapes(replay_setup.row(self.game), self.game.spec.state_bytes)
        try:
            yield from parquet().read(self.root / name, self.game.spec, shapes, max_rows)
        except ReplayDataError:
            raise
        except ValueError as error:
            raise ReplayDataError(f"shard {name}: {error}") from error


def write(saved: SavedReplay, out: Path, shard_rows: int, progress: Callable[[int], None]) -> Manifest:
    """Exports all rows; `progress` is told how many were written so far.

    Raises:
      ReplayDataError: there are no rows, or `out` is in use or cannot be written to.
    """
    parquet()  # before anything is written
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReplayDataError(f"{out} is not empty; choose another --out")
    if not saved.num_rows:
        raise ReplayDataError(f"the replay of {saved.run} at step {saved.step} has no rows yet; train it for longer")
    try:
        with store.building(out) as folder:
            episodes = Episodes()
            shards = _write_shards(saved, folder, shard_rows, episodes, progress)
            manifest = _manifest(saved, shards, _write_episodes(folder, episodes))
            store.write_json(folder / MANIFEST, dataclasses.asdict(manifest))
    except OSError as error:
        raise ReplayDataError(f"cannot write to {out}: {error.strerror or error}") from error
    return manifest


def parquet() -> ModuleType:
    """The module of that name; `ReplayDataError` where pyarrow is not installed."""
    try:
        from . import parquet
    except ImportError as error:
        raise ReplayDataError('Parquet files need pyarrow: pip install "cartridge-rl[export]"') from error
    return parquet


class _Order:
    """Says whether rows stand where they belong: the same numbering that the export made, made again."""

    def __init__(self, manifest: Manifest) -> None:
        self._numbering = Numbering(manifest.columns)
        self._ends = np.cumsum(manifest.rows_by_group)
        self._row = 0

    def first_wrong(self, piece: Columns) -> tuple[int, str] | None:
        """(row, column) of the first place in the next piece that is not as expected."""
        number, done = len(piece["move"]), 0
        parts = []
        while done < number:
            group = int(np.searchsorted(self._ends, self._row, side="right"))
            if group == len(self._ends):
                return done, "row"  # beyond the last one
            size = min(number - done, int(self._ends[group]) - self._row)
            parts.append(self._numbering.take(group, piece["move"][done : done + size]))
            self._row, done = self._row + size, done + size
        expected = {name: np.concatenate([part[name] for part in parts]) for name in PLACES}
        wrong = {name: np.flatnonzero(expected[name] != piece[name]) for name in PLACES}
        first = [(int(rows[0]), name) for name, rows in wrong.items() if rows.size]
        return min(first) if first else None


def _write_shards(
    saved: SavedReplay, folder: Path, shard_rows: int, episodes: Episodes, progress: Callable[[int], None]
) -> list[dict[str, Any]]:
    """The shards, each of `shard_rows` rows but the last; they are described as the manifest has them."""
    shards: list[dict[str, Any]] = []
    done, size = 0, min(shard_rows, _GROUP_ROWS)
    source = _cut(export.pieces(saved.state, size), shard_rows)
    shapes = export.shapes(replay_setup.row(saved.game), saved.game.spec.state_bytes)
    spec, layout = saved.game.spec, parquet().schema(saved.game.spec, shapes)
    while done < saved.num_rows:
        path, first = folder / f"transitions-{len(shards):05d}.parquet", done
        with store.replacing(path) as file:
            writer = parquet().Writer(file, spec, layout)
            while done < min(first + shard_rows, saved.num_rows):
                piece = next(source)
                writer.write(piece)
                episodes.add(piece)
                done += len(piece["move"])
                progress(done)
            writer.close()
        shards.append({"name": path.name, "rows": done - first, "sha256": store.sha256(path)})
    return shards


def _cut(source: Iterator[Columns], shard_rows: int) -> Iterator[Columns]:
    """The same pieces, cut wherever a shard ends."""
    room = shard_rows
    for piece in source:
        start, number = 0, len(piece["move"])
        while start < number:
            size = min(number - start, room)
            yield export.part(piece, start, start + size)
            start, room = start + size, room - size or shard_rows


def _write_episodes(folder: Path, episodes: Episodes) -> dict[str, Any]:
    with store.replacing(folder / EPISODES) as file:
        parquet().write_episodes(file, episodes.columns())
    return {"name": EPISODES, "rows": len(episodes.num_moves), "sha256": store.sha256(folder / EPISODES)}


def _manifest(saved: SavedReplay, shards: list[dict[str, Any]], episodes: dict[str, Any]) -> Manifest:
    spec, settings, ring = saved.game.spec, saved.config, saved.state.ring
    return Manifest(
        schema_version=SCHEMA_VERSION,
        game=settings.game,
        env_id=spec.env_id,
        options=dict(spec.options),
        build_id=spec.build_id,
        spec_fingerprint=spec.fingerprint(),
        state_encoding=parquet().STATE_ENCODING,
        num_rows=saved.num_rows,
        num_episodes=episodes["rows"],
        columns=ring.columns,
        rows_by_group=np.asarray(ring.size).tolist(),
        capacity=ring.capacity,
        sampler=settings.replay.sampler,
        totals=dataclasses.asdict(saved.totals),
        source={
            "run": saved.run,
            "step": saved.step,
            "config_hash": settings.hash(),
            "seed": settings.run.seed,
        },
        shards=list(shards),
        episodes=episodes,
    )


def _require_same_game(manifest: Manifest, spec: GameSpec) -> None:
    said = f"{manifest.build_id} (fingerprint {manifest.spec_fingerprint[:12]})"
    here = f"{spec.build_id} (fingerprint {spec.fingerprint()[:12]})"
    same = manifest.build_id == spec.build_id and manifest.spec_fingerprint == spec.fingerprint()
    if not same or manifest.env_id != spec.env_id:
        raise ReplayDataError(f"the rows are of {manifest.env_id} {said}, installed is {spec.env_id} {here}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_shard(value: Any) -> bool:
    """Whether it describes a shard, and one that lies in the folder."""
    described = isinstance(value, dict) and _is_count(value.get("rows")) and isinstance(value.get("sha256"), str)
    return described and isinstance(value.get("name"), str) and _SHARD.fullmatch(value["name"]) is not None
