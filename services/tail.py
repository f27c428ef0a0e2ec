"""The end of a JSON-lines file that another process writes."""

import contextlib
import json
from pathlib import Path
from typing import Any


class JsonTail:
    """Reads on from where it was. A file that was written anew is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0

    def new(self) -> list[dict[str, Any]]:
        """The records since the last call; a line that is not yet whole is left for the next."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            if file.seek(0, 2) < self._place:
                self._place = 0
            file.seek(self._place)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._place += len(whole) + len(newline)
        records = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        return records
