"""Everything a run can be told, as frozen values, from five sources.

Strongest last: the defaults in the code, the preset for the game and device, a TOML file, environment variables
`CARTRIDGE_<SECTION>_<KEY>`, flags. Unknown names are refused with the nearest match, values out of range with
the range.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..actor.settings import SearchConfig, SelfPlayConfig
from ..engine.spec import NetworkSpec, SpecError
from ..learner.settings import LearnerConfig

Overrides = Mapping[str, Mapping[str, Any]]  # section -> key -> value


class ConfigError(ValueError):
    """A setting that does not exist or does not fit; the message says which, its value and what is allowed."""


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """`capacity` rows at least (rounded up to whole unrolls) are kept; learning starts once `min_rows` are there.

    `samples_per_move` is the replay ratio: how often a move is drawn for training on average. The `prioritised` sampler
    draws in proportion to priority ** `priority_exponent`, where the priority is how far the value was off; what that
    does to the mean is undone by weights of exponent `importance_exponent`, which rises to 1 over the run.
    """

    capacity: int = 400_000
    min_rows: int = 20_000
    samples_per_move: float = 4.0
    sampler: Literal["uniform", "prioritised"] = "uniform"
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """When to stop and what to do on the way. Exactly one of `minutes` and `updates` ends the run; 0 means unset.

    The newest `checkpoints_kept` checkpoints stay; `mirror`, a URL such as s3://bucket/path, gets a copy of each, from
    which any machine can go on. With `actors` the run is spread over so many processes that play and others that serve
    and learn; 0 does all in one. `overlap` lets the learner work while the next games are played, on the same fixed
    schedule. `check_border` makes sure, at some cost, that the learner never writes into a batch that JAX lent it.
    """

    seed: int = 0
    minutes: float = 20.0
    updates: int = 0
    evaluate_minutes: float = 4.0
    checkpoint_minutes: float = 2.0
    checkpoints_kept: int = 3
    mirror: str = ""
    eval_simulations: int = 64
    actors: int = 0
    overlap: Literal["auto", "on", "off"] = "auto"
    check_border: Literal["off", "on"] = "off"

    def progress(self, updates: int, seconds: float) -> float:
        """How much of the run is done, in [0, 1], after so much of it."""
        by_updates = updates / self.updates if self.updates else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes and not self.updates else 0.0
        return min(1.0, max(by_updates, by_time))


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    game: str
    algo: Literal["alphazero"] = "alphazero"
    network: NetworkSpec = dataclasses.field(default_factory=NetworkSpec)
    search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
    selfplay: SelfPlayConfig = dataclasses.field(default_factory=SelfPlayConfig)
    replay: ReplayConfig = dataclasses.field(default_factory=ReplayConfig)
    learner: LearnerConfig = dataclasses.field(default_factory=LearnerConfig)
    run: RunConfig = dataclasses.field(default_factory=RunConfig)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as run.json holds them."""
        return dataclasses.asdict(self)

    def hash(self) -> str:
        """The first sixteen digits of the sha256 of the settings that shape the result (how long to run is not one)."""
        fields = self.to_json() | {"run": {"seed": self.run.seed}}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


_RANGES: Mapping[str, tuple[float, float]] = {
    "search.num_simulations": (1, 10_000),
    "search.num_considered": (1, 10_000),
    "search.gumbel_scale": (0, 100),
    "search.lookahead": (0, 4),
    "search.value_scale": (0, 100),
    "selfplay.num_games": (1, 1_000_000),
    "selfplay.unroll_length": (2, 10_000),
    "selfplay.opening_fraction": (0, 1),
    "selfplay.opening_plies": (0, 10_000),
    "selfplay.trace_decay": (0, 1),
    "replay.capacity": (1, 1_000_000_000),
    "replay.min_rows": (1, 1_000_000_000),
    "replay.samples_per_move": (0.01, 1000),
    "replay.priority_exponent": (0, 1),
    "replay.importance_exponent": (0, 1),
    "learner.batch_size": (1, 1_000_000),
    "learner.learning_rate": (0, 10),
    "learner.final_learning_rate": (0, 10),
    "learner.warmup_updates": (0, 1_000_000),
    "learner.weight_decay": (0, 10),
    "learner.max_gradient_norm": (1e-6, 1e9),
    "learner.value_weight": (0, 1000),
    "learner.average_decay": (0, 0.999999),
    "run.seed": (0, 2**31 - 1),
    "run.minutes": (0, 1e6),
    "run.updates": (0, 2**31 - 1),
    "run.evaluate_minutes": (0, 1e6),
    "run.checkpoint_minutes": (0, 1e6),
    "run.checkpoints_kept": (1, 1000),
    "run.eval_simulations": (1, 10_000),
    "run.actors": (0, 1000),
}


def sections() -> dict[str, dict[str, Any]]:
    """Every setting with its type: section -> key -> type, for flags, help and checks."""
    kinds = get_type_hints(TrainConfig)
    return {name: get_type_hints(kind) for name, kind in kinds.items() if dataclasses.is_dataclass(kind)}


def build(game: str, algo: str, *sources: Overrides) -> TrainConfig:
    """A checked configuration from overrides, the strongest last."""
    merged: dict[str, dict[str, Any]] = {}
    for source in sources:
        for section, settings in source.items():
            known = sections()
            if section not in known:
                raise ConfigError(f"no section {section!r} in the configuration{near(section, known)}")
            for key, value in settings.items():
                if key not in known[section]:
                    raise ConfigError(f"no setting {section}.{key}{near(key, known[section])}")
                merged.setdefault(section, {})[key] = convert(f"{section}.{key}", value, known[section][key])
    base = TrainConfig(game=game, algo=_algorithm(algo))
    try:
        parts = {name: dataclasses.replace(getattr(base, name), **settings) for name, settings in merged.items()}
    except SpecError as error:
        raise ConfigError(str(error)) from error
    config = dataclasses.replace(base, **parts)
    _check(config)
    return config


def from_json(fields: Mapping[str, Any]) -> TrainConfig:
    """Rebuilds the configuration a run.json holds."""
    settings = {name: fields[name] for name in sections()}
    return build(fields["game"], fields["algo"], settings)


def from_toml(path: Path) -> Overrides:
    """The overrides of a TOML file: one table per section."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def from_environment(environment: Mapping[str, str]) -> Overrides:
    """The overrides in `CARTRIDGE_<SECTION>_<KEY>` variables; other variables of that prefix are refused by `build`."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in environment.items():
        section, _, key = name.removeprefix("CARTRIDGE_").lower().partition("_")
        if name.startswith("CARTRIDGE_") and section in sections():
            found.setdefault(section, {})[key] = value
    return found


def convert(name: str, value: Any, kind: Any) -> Any:
    """`value` (text or a TOML value) as the type of setting `name`."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{name} is {value!r}, expected one of {', '.join(map(str, get_args(kind)))}")
        return value
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else convert(name, value, get_args(kind)[0])
    try:
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return kind(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is {value!r}, expected {'a whole number' if kind is int else 'a number'}") from error


def near(word: str, known: Mapping[str, Any]) -> str:
    """The tail of an error message about an unknown word."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f": did you mean {matches[0]}?" if matches else f"; there are {', '.join(known)}"


def _algorithm(algo: str) -> Literal["alphazero"]:
    if algo != "alphazero":
        raise ConfigError(f"no algorithm {algo!r}{near(algo, {'alphazero': None})}")
    return "alphazero"


def _check(config: TrainConfig) -> None:
    for name, (low, high) in _RANGES.items():
        section, _, key = name.partition(".")
        value = getattr(getattr(config, section), key)
        if not (math.isfinite(value) and low <= value <= high):
            raise ConfigError(f"{name} is {value}, expected {low:g} to {high:g}")
    if not (config.run.minutes or config.run.updates):
        raise ConfigError("run.minutes and run.updates are both 0; one of them must say when to stop")
    if config.replay.min_rows > config.replay.capacity:
        raise ConfigError(f"replay.min_rows is {config.replay.min_rows}, more than replay.capacity")
