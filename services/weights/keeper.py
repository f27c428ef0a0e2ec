"""The versions of one run in its folder, which never repeat and never fall, and the newest of them in memory."""

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.spec import SpecError, WeightsManifest
from ...proto.weights.v1 import weights_pb2 as pb
from .. import store
from ..run_directory import RunDirectory, RunError


@dataclasses.dataclass(frozen=True)
class Version:
    """Weights that are whole."""

    manifest: WeightsManifest
    data: bytes

    @property
    def number(self) -> int:
        """The version."""
        return self.manifest.version

    def announcement(self, highest: int, run: str = "") -> pb.Announcement:
        """What watchers are told."""
        return pb.Announcement(
            version=self.number,
            manifest=self.manifest.to_json(),
            num_bytes=len(self.data),
            run=run,
            highest=highest,
        )


class Keeper:
    """What is on the disk; one process at a time has a folder. Blocking; one thread at a time.

    Args:
      root: the run's folder; it need not be there.
      keep: versions that stay.

    Attributes:
      newest: the newest version that is whole.
      highest: version there ever was as far as the folder tells, damaged and lost ones too; -1 for none.

    Raises:
      RunError: another process keeps the weights of this folder, or it cannot be written to.
    """

    def __init__(self, root: Path, keep: int) -> None:
        self._directory, self._keep = RunDirectory(root), keep
        try:
            root.mkdir(parents=True, exist_ok=True)
            lock = store.locked(root / ".weights.lock")
        except OSError as error:
            raise RunError(f"cannot keep weights in {root}: {error.strerror or error}") from error
        if lock is None:
            raise RunError(f"another process serves the weights in {root}; stop it first")
        self._lock = lock
        self._damaged: set[int] = set()
        self.newest: Version | None = None
        self.highest = self._directory.highest_version()
        self.newest = self._newest_whole()

    def versions(self) -> list[int]:
        """Those that are kept and not known to be damaged, the oldest first."""
        return [number for number in self._directory.versions() if number not in self._damaged]

    def run(self) -> str:
        """What run.json says; empty where there is none."""
        path = self._directory.root / "run.json"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def require_run(self, run: Mapping[str, Any]) -> None:
        """`RunError` where the folder is another run's."""
        self._directory.require_run(run)

    def publish(self, version: Version, run: Mapping[str, Any]) -> bool:
        """Keeps a version, and lets the oldest go; False where it is the newest already, with the same bytes.

        Raises:
          RunError: it is not above all that there were.
          OSError: the disk is full, say; what was there before stays.
        """
        if self._is_newest(version):
            return False
        if version.number <= self.highest:
            raise RunError(f"version is {version.number}, expected more than {self.highest}, the highest here")
        if not self.run():
            store.write_json(self._directory.root / "run.json", dict(run))
        self._directory.drop_version(version.number)  # what a crash may have left of it
        try:
            self._directory.publish(version.data, version.manifest)
        except OSError:
            self._directory.drop_version(version.number)  # it may be given again
            raise
        self.newest, self.highest = version, version.number
        try:
            self._directory.keep_newest_versions(self._keep)
        except OSError as error:  # this one is kept all the same
            warnings.warn(f"old versions of weights cannot be dropped: {error}", stacklevel=2)
        return True

    def read(self, number: int) -> Version | None:
        """A version that is kept and whole."""
        newest = self.newest
        if newest is not None and newest.number == number:
            return newest
        if number not in self.versions():
            return None
        try:
            data, manifest = self._directory.read_version(number)
        except (OSError, SpecError) as error:
            self._damaged.add(number)
            warnings.warn(f"weights version {number} cannot be served: {error}", stacklevel=2)
            return None
        return Version(manifest, data)

    def close(self) -> None:
        """Lets another process have the folder."""
        self._lock.close()

    def _newest_whole(self) -> Version | None:
        whole = (self.read(number) for number in reversed(self._directory.versions()))
        return next((version for version in whole if version is not None), None)

    def _is_newest(self, version: Version) -> bool:
        newest = self.newest
        if newest is None or newest.number != version.number:
            return False
        return newest.manifest.sha256 == version.manifest.sha256
