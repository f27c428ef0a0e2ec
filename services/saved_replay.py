"""The replay of a saved run, read from its checkpoint without a trainer. Nothing in the run changes."""

import dataclasses
from pathlib import Path
from typing import Any

from ..engine.game import Game
from ..registry import make_game
from ..replay.limiter import Totals
from ..replay.owner import ReplayState
from . import checkpoint, config, replay_setup
from .checkpoint import Checkpoint, CheckpointError
from .config import TrainConfig
from .run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class SavedReplay:
    """What a checkpoint tells of its replay."""

    run: str  # the folder's name
    step: int
    game: Game[Any]
    config: TrainConfig
    state: ReplayState[Any]  # NumPy leaves that stay on the disk until read
    totals: Totals

    @classmethod
    def load(cls, root: Path, step: int | None = None) -> "SavedReplay":
        """From the newest whole checkpoint of a run, or that of `step`.

        Raises:
          RunError: there is no run.
          CheckpointError: there is no such checkpoint, or it is damaged or of other rules than the installed game's.
        """
        directory = RunDirectory.open(root)
        settings = config.from_json(directory.describe()["config"])
        game = make_game(settings.game)
        saved = _checkpoint(directory.checkpoints, step)
        build = saved.state["identity"]["game build"]
        if build != game.spec.build_id:
            raise CheckpointError(
                f"checkpoint {saved.step} of {root} is of {settings.game} {build}, installed is {game.spec.build_id}"
            )
        layout = replay_setup.layout(game, settings, saved.state["capacity"])
        _, state = checkpoint.matched((None, layout), saved.arrays)
        return cls(root.resolve().name, saved.step, game, settings, state, Totals(**saved.state["replay"]))

    @property
    def num_rows(self) -> int:
        """Rows that are filled."""
        return int(self.state.ring.size.sum())


def _checkpoint(folder: Path, step: int | None) -> Checkpoint:
    if step is None:
        saved = checkpoint.load_newest(folder, mapped=True)
        if saved is None:
            raise CheckpointError(f"{folder} has no whole checkpoint; train the run for longer")
        return saved
    if step not in checkpoint.steps(folder):
        there = ", ".join(map(str, checkpoint.steps(folder))) or "none"
        raise CheckpointError(f"{folder} has no checkpoint of step {step}; there are: {there}")
    try:
        return checkpoint.load(folder / str(step), mapped=True)
    except (OSError, ValueError, KeyError, CheckpointError) as error:
        raise CheckpointError(f"checkpoint {folder / str(step)} is damaged: {error}") from error
