"""A run's copy in an object store: written here first, then uploaded, and fetched on whichever machine goes on.

    run.json  metrics.jsonl  eval.jsonl  checkpoints/<step>/  weights/<version>/

Like here, a checkpoint is there once its manifest is, which is uploaded last and deleted first.
"""

import datetime
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import checkpoint, store
from .run_directory import RunDirectory, RunError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CLIENT: Any = {"timeout": "300s", "connect_timeout": "10s"}
_RETRIES: Any = {"max_retries": 3, "retry_timeout": datetime.timedelta(seconds=60)}
_LOGS = ("run.json", "metrics.jsonl", "eval.jsonl")
_WEIGHTS = re.compile(r"weights/(\d+/)?[A-Za-z.]+")  # names from elsewhere never become paths of their own choice


class MirrorError(OSError):
    """The object store is away, or refuses; its own words are in the message."""


def is_url(text: str) -> bool:
    """Whether `text` names an object store and not a folder."""
    return "://" in text


class Mirror:
    """One run in an object store.

    Args:
      url: such as s3://bucket/path or gs://bucket/path. Credentials and endpoint come from the usual environment
        variables (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, ...); an endpoint without TLS
        needs AWS_ALLOW_HTTP=true.

    Raises:
      RunError: the URL is of no known kind, or obstore is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.exceptions import BaseError
        except ModuleNotFoundError as error:
            raise RunError(f'{url} needs obstore: pip install "cartridge-rl[cloud]"') from error
        self.url = url
        client = _CLIENT | {"allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"}
        try:
            self._store: ObjectStore = obstore.store.from_url(url, client_options=client, retry_config=_RETRIES)
        except BaseError as error:
            raise RunError(f"cannot use {url}: {_first_line(error)}; expected such as s3://bucket/path") from error

    def upload(self, directory: RunDirectory, step: int, version: int, kept: int) -> None:
        """Uploads the checkpoint of `step`, the weights and the logs; then removes all but the newest `kept`.

        Raises:
          MirrorError: it did not work; what was there before is as it was.
        """
        root = directory.root
        weights = sorted(directory.weights.joinpath(str(version)).iterdir())
        folder = directory.checkpoints / str(step)
        logs = [root / name for name in _LOGS if (root / name).exists()]
        self._put(root, [*weights, *logs, *(folder / name for name in (*checkpoint.FILES, checkpoint.MANIFEST))])
        for old in self._steps()[:-kept]:
            self._delete([f"checkpoints/{old}/{name}" for name in (checkpoint.MANIFEST, *checkpoint.FILES)])

    def fetch(self, root: Path) -> RunDirectory:
        """Downloads the run into the new folder `root`: its newest whole checkpoint, its logs and its weights.

        Raises:
          RunError: there is no such run, or a run in `root` already.
          MirrorError: the object store is away.
        """
        if (root / "run.json").exists():
            raise RunError(f"{root} holds a run already; continue it with: cartridge train --resume {root}")
        names = set(self._list())
        if "run.json" not in names:
            raise RunError(f"{self.url} holds no run (there is no run.json in it)")
        for step in reversed(self._steps()):
            for name in (*checkpoint.FILES, checkpoint.MANIFEST):
                self._get(f"checkpoints/{step}/{name}", root)
            if checkpoint.load_newest(root / "checkpoints", mapped=True) is not None:
                break
        for name in sorted(names):
            if _WEIGHTS.fullmatch(name) or name in _LOGS[1:]:
                self._get(name, root)
        self._get("run.json", root)  # last: it makes the folder a run
        return RunDirectory.open(root)

    def _put(self, root: Path, paths: Iterable[Path]) -> None:
        import obstore

        for path in paths:
            self._try(lambda p=path: obstore.put(self._store, p.relative_to(root).as_posix(), p))

    def _get(self, name: str, root: Path) -> None:
        import obstore

        found = self._try(lambda: obstore.get(self._store, name))
        with store.replacing(root / name) as file:
            for piece in found.stream():
                file.write(piece)

    def _list(self) -> list[str]:
        import obstore

        return self._try(lambda: [entry["path"] for page in obstore.list(self._store) for entry in page])

    def _delete(self, names: list[str]) -> None:
        import obstore

        for name in names:  # one by one, in this order
            self._try(lambda n=name: obstore.delete(self._store, n))

    def _steps(self) -> list[int]:
        """The steps whose manifest is there, oldest first."""
        parts = [name.split("/") for name in self._list()]
        return sorted(
            int(part[1])
            for part in parts
            if len(part) == 3 and part[0] == "checkpoints" and part[1].isdigit() and part[2] == checkpoint.MANIFEST
        )

    def _try(self, call: Any) -> Any:
        from obstore.exceptions import BaseError

        try:
            return call()
        except (BaseError, OSError) as error:
            raise MirrorError(f"{self.url}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()
