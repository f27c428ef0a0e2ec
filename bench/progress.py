"""Where a benchmark stands, for whoever shows it."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Progress:
    """`done` goes from 0 to 1. With `skipped`, `text` names what was left out and why."""

    done: float
    text: str
    skipped: bool = False


Report = Callable[[Progress], None]
