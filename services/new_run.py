"""How a run comes to be, and what may be changed of it later: its folder with its run.json."""

import datetime
from pathlib import Path
from typing import Any

import jax

from ..bench.rows import host
from ..registry import make_game
from . import checkout, config, store
from .config import Overrides, TrainConfig
from .run_directory import RunDirectory
from .versions import package_versions


def create(root: Path, settings: TrainConfig, torch_device: str | None = None) -> RunDirectory:
    """A new run's folder; see `description`."""
    return RunDirectory.create(root, description(settings, torch_device))


def description(settings: TrainConfig, torch_device: str | None = None) -> dict[str, Any]:
    """What run.json says of a new run: everything that is needed to reproduce its numbers.

    Args:
      torch_device: where this process learns, if it does.
    """
    return {
        "config": settings.to_json(),
        "config_hash": settings.hash(),
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "game_build": make_game(settings.game).spec.build_id,
        "versions": package_versions(),
        "host": host(),
        "device": {"jax": str(jax.devices()[0])} | ({"torch": torch_device} if torch_device else {}),
        "seed": settings.run.seed,
        "git": checkout.commit(),
    }


def change(directory: RunDirectory, overrides: Overrides) -> None:
    """Lets a resumed run go on longer than it was first told to, or with more or less room for replay.

    Time given now ends the run by time, and updates by updates, whichever it was before.
    """
    directory.lock()
    described = directory.describe()
    settings = described["config"]
    run = overrides.get("run", {})
    if "minutes" in run and "updates" not in run:
        settings["run"]["updates"] = 0
    sections = {name: settings[name] for name in config.sections()}
    changed = config.build(settings["game"], settings["algo"], sections, overrides)
    store.write_json(directory.root / "run.json", described | {"config": changed.to_json()})
