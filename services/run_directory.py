"""The folder of one run: where everything lies, and what is true of it at any moment.

    run.json  metrics.jsonl  eval.jsonl  tensorboard/  weights/<version>/  weights/latest.json
    checkpoints/<iteration>/  games/<version>.json
"""

import dataclasses
import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..engine.spec import GameSpec, SpecError, WeightsManifest
from . import store

_WEIGHTS_FILE = "weights.safetensors"
_MANIFEST_FILE = "MANIFEST.json"
_IDENTITY = ("config", "created_at")  # what tells runs apart
_LOCKS: dict[Path, BinaryIO] = {}  # of this process; closing one would let it go


class RunError(RuntimeError):
    """A run directory that cannot be used as asked; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """Paths within one run's folder."""

    root: Path

    @classmethod
    def create(cls, root: Path, description: dict[str, Any]) -> "RunDirectory":
        """A new folder with its run.json; `RunError` if there is a run already."""
        cls.require_free(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            store.write_json(root / "run.json", description)
        except OSError as error:
            raise RunError(f"cannot write to {root}: {error.strerror}; choose another --run-dir") from error
        return cls(root)

    @staticmethod
    def require_free(root: Path) -> None:
        """`RunError` unless a new run can have the folder."""
        if (root / "run.json").exists():
            raise RunError(f"{root} holds a run already; continue it with: cartridge train --resume {root}")
        if root.exists() and any(not entry.name.startswith(".") for entry in root.iterdir()):  # locks are
            raise RunError(f"{root} is not empty and holds no run; choose another --run-dir")

    @classmethod
    def open(cls, root: Path) -> "RunDirectory":
        """The folder of an existing run; `RunError` if it holds none."""
        if not (root / "run.json").is_file():
            raise RunError(f"{root} holds no run (there is no run.json in it)")
        return cls(root)

    def lock(self, role: str = "") -> None:
        """Keeps other processes from training this run as long as this one lives; `RunError` if one does already.

        `role` is for a process that starts another which trains, and wants no second of its kind.
        """
        path = self.root.resolve() / f".{role}{'.' if role else ''}lock"
        if path in _LOCKS:
            return
        file = store.locked(path)
        if file is None:
            raise RunError(f"another process is training {self.root}; stop it first, or watch it instead")
        _LOCKS[path] = file

    def release(self) -> None:
        """Lets another process train this run: one that this one is about to start."""
        _LOCKS.pop(self.root.resolve() / ".lock").close()

    def describe(self) -> dict[str, Any]:
        """What run.json says."""
        try:
            return json.loads((self.root / "run.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{self.root / 'run.json'} is not JSON: {error}") from error

    def require_run(self, run: Mapping[str, Any]) -> None:
        """`RunError` where the folder holds another run than the one whose run.json says `run`."""
        if not (self.root / "run.json").exists():
            return
        held = self.describe()
        for name in _IDENTITY:
            if held.get(name) != run.get(name):
                found, mine = (json.dumps(one.get(name), sort_keys=True)[:200] for one in (held, run))
                raise RunError(
                    f"{self.root} holds a run whose {name} is {found}, and that of this one is {mine}: give another "
                    "folder"
                )

    @property
    def metrics(self) -> Path:
        """One JSON record per iteration."""
        return self.root / "metrics.jsonl"

    @property
    def evaluations(self) -> Path:
        """One JSON record per evaluation."""
        return self.root / "eval.jsonl"

    @property
    def games(self) -> Path:
        """One episode per evaluation, named by the weights version that played it; see `episodes`."""
        return self.root / "games"

    @property
    def tensorboard(self) -> Path:
        """Event files for `tensorboard --logdir`."""
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """One folder per kept checkpoint, named by iteration."""
        return self.root / "checkpoints"

    @property
    def weights(self) -> Path:
        """One folder per kept version, and latest.json."""
        return self.root / "weights"

    def publish(self, data: bytes, manifest: WeightsManifest) -> None:
        """Writes weights, then their manifest, then the pointer: a reader never meets half a version."""
        folder = self.weights / str(manifest.version)
        store.write_bytes(folder / _WEIGHTS_FILE, data)
        store.write_bytes(folder / _MANIFEST_FILE, manifest.to_json().encode())
        self._point_to(manifest)

    def versions(self) -> list[int]:
        """Versions whose manifest is in place, oldest first."""
        return [number for number in self._numbers() if (self.weights / str(number) / _MANIFEST_FILE).is_file()]

    def highest_version(self) -> int:
        """The highest version there ever was as far as the folder tells, damaged and lost ones too; -1 for none."""
        try:
            pointed = int(json.loads((self.weights / "latest.json").read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, KeyError, TypeError):
            pointed = -1
        return max([pointed, *self.versions()])

    def load_weights(self, game: GameSpec, version: int | None = None) -> tuple[bytes, WeightsManifest]:
        """Verified weights: those of `version`, or the newest that are whole.

        Raises:
          SpecError: the weights asked for are damaged or belong to another game.
          RunError: there are none.
        """
        wanted = [version] if version is not None else list(reversed(self.versions()))
        for number in wanted:
            try:
                return self._read_version(number, game)
            except (OSError, SpecError) as error:
                if version is not None:
                    raise
                warnings.warn(f"skipped damaged weights version {number} in {self.root}: {error}", stacklevel=2)
        raise RunError(f"{self.root} has no usable weights yet; train it longer: cartridge train --resume {self.root}")

    def read_version(self, version: int) -> tuple[bytes, WeightsManifest]:
        """Weights of whatever game, undamaged.

        Raises:
          OSError: they are not there.
          SpecError: they are damaged.
        """
        folder = self.weights / str(version)
        try:
            manifest = WeightsManifest.from_json((folder / _MANIFEST_FILE).read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise SpecError(f"weights version {version} are damaged: their manifest is no text") from error
        if manifest.version != version:
            raise SpecError(f"weights version {version} are damaged: their manifest is that of {manifest.version}")
        data = (folder / _WEIGHTS_FILE).read_bytes()
        manifest.check_whole(data)
        return data, manifest

    def keep_newest_versions(self, count: int) -> None:
        """Drops all versions but the newest `count`, and what a crash may have left of older ones."""
        oldest = min(self.versions()[-count:], default=0)
        for number in self._numbers():
            if number < oldest:
                self.drop_version(number)

    def drop_version(self, version: int) -> None:
        """Drops a version, whole or not."""
        folder = self.weights / str(version)
        (folder / _MANIFEST_FILE).unlink(missing_ok=True)  # first: without it there is no such version
        shutil.rmtree(folder, ignore_errors=True)

    def forget_versions_after(self, last: int) -> None:
        """Drops versions newer than `last` and their games, which a resumed run will make again.

        The pointer never leads nowhere.
        """
        for episode in self.games.glob("*.json"):
            if episode.stem.isdigit() and int(episode.stem) > last:
                episode.unlink()
        newer = [version for version in self.versions() if version > last]
        if not newer:
            return
        kept = [version for version in self.versions() if version <= last]
        if kept:
            manifest = WeightsManifest.from_json((self.weights / str(kept[-1]) / _MANIFEST_FILE).read_text())
            self._point_to(manifest)
        else:
            (self.weights / "latest.json").unlink(missing_ok=True)
        for version in newer:
            self.drop_version(version)

    def _numbers(self) -> list[int]:
        """Those of the folders of versions, whole or not, in their order."""
        if not self.weights.is_dir():
            return []
        return sorted(int(entry.name) for entry in self.weights.iterdir() if entry.name.isdigit())

    def _point_to(self, manifest: WeightsManifest) -> None:
        store.write_json(self.weights / "latest.json", {"version": manifest.version, "sha256": manifest.sha256})

    def _read_version(self, version: int, game: GameSpec) -> tuple[bytes, WeightsManifest]:
        data, manifest = self.read_version(version)
        manifest.check(data, game)
        return data, manifest
