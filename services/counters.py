"""What has happened in a run so far; saved with every checkpoint."""

import dataclasses


@dataclasses.dataclass
class Counters:
    """Sums over all sessions of the run."""

    iteration: int = 0
    moves: int = 0
    episodes: int = 0
    samples: int = 0
    updates: int = 0
    seconds: float = 0.0  # of training
