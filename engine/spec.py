"""What a game and a network look like from outside: plain frozen values that load no JAX.

`GameSpec` and `NetworkSpec` are the only vocabulary the JAX side and the torch side share. They are hashable, so they
can be static arguments of a jitted function, and their JSON is stable, so its hash can travel in manifests.
"""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

ENV_ID = re.compile("[A-Za-z0-9][A-Za-z0-9_]*")  # a colon begins the options of an id
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_LOWEST = {
    "num_players": 1,
    "num_actions": 1,
    "max_steps": 0,
    "state_bytes": 4,
    "num_chance_outcomes": 0,
    "preferred_batch": 1,
    "observation_limit": 0,
}
_MANIFEST_TEXTS = ("env_id", "spec_fingerprint", "sha256", "created_at", "config_hash")
_LAST_VERSION = 2**63 - 1  # an int64 on the wire


class SpecError(ValueError):
    """A spec that contradicts itself, or weights that belong to another game."""


@dataclasses.dataclass(frozen=True)
class GameSpec:
    """The contract of one game, one set of rules, one layout of its state.

    Shapes: `observation_shape` is what one player sees of one game; P = `num_players`, A = `num_actions`.
    `state_bytes` counts the packed words of the engine's whole state, the meta word included.
    `max_steps` is the length at which an episode is truncated, 0 for never. `observation_limit` is the largest number
    in an observation of whole numbers from 0 up, and 0 where it holds others: it says in how few bytes one can travel.

    Raises:
      SpecError: a field that no game can have.
    """

    env_id: str
    version: str
    num_players: int
    num_actions: int
    observation_shape: tuple[int, ...]
    max_steps: int
    state_bytes: int
    options: tuple[tuple[str, str], ...] = ()
    observation_dtype: str = "float32"
    observation_limit: int = 1
    num_chance_outcomes: int = 0
    preferred_batch: int = 4096
    stochastic: bool = False
    hidden_information: bool = False
    alternating: bool = True

    def __post_init__(self) -> None:
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            self._require(_is_whole(value) and value >= lowest, name, f"a whole number of at least {lowest}")
        for name in ("stochastic", "hidden_information", "alternating"):
            self._require(isinstance(getattr(self, name), bool), name, "True or False")
        self._require(_matches(ENV_ID, self.env_id), "env_id", "letters, digits and underscores")
        self._require(_matches(_VERSION, self.version), "version", "three numbers such as '1.0.0'")
        self._require(self.max_steps < 1 << 30, "max_steps", "less than 2**30: the meta word counts no further")
        self._require(self.state_bytes % 4 == 0, "state_bytes", "a multiple of 4: the state is made of words")
        self._require(_is_shape(self.observation_shape), "observation_shape", "a tuple of whole numbers of at least 1")
        self._require(_are_options(self.options), "options", "a tuple of pairs of strings such as (('swap', '1'),)")
        self._require(self.observation_dtype == "float32", "observation_dtype", "'float32'")
        listed = self.num_chance_outcomes
        self._require(self.stochastic or not listed, "num_chance_outcomes", "0 where stochastic is False")

    def to_json(self) -> str:
        """The fields as a JSON object, for those who have no such game at hand."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "GameSpec":
        """Rebuilds a spec from `to_json`; `SpecError` if it does not fit."""
        try:
            fields = json.loads(text)
            options = tuple((str(name), str(value)) for name, value in fields["options"])
            return cls(**fields | {"options": options, "observation_shape": tuple(fields["observation_shape"])})
        except (TypeError, KeyError, ValueError) as error:
            raise SpecError(f"this describes no game: {error}") from error

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise SpecError(f"spec.{name} is {getattr(self, name)!r}, expected {expected}")

    @property
    def observation_size(self) -> int:
        """Number of scalars in one observation."""
        return math.prod(self.observation_shape)

    @property
    def encodings(self) -> tuple[str, ...]:
        """Names of the byte layouts `engine.codec` speaks for this game."""
        return ("state:packed_u32:v1", "action:discrete_i32:v1", *self._observation_encodings)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the byte layouts in which a service shows a batch of games; `engine.codec` reads them."""
        seen = (f"mask:bits{self.num_actions}:v1", "player:u8:v1", "state:packed_u32:v1")
        return (*self._observation_encodings, *seen)

    @property
    def _observation_encodings(self) -> tuple[str, ...]:
        size, limit = self.observation_size, self.observation_limit
        fitting = {f"obs:f32x{size}:v1": True, f"obs:u8x{size}:v1": 0 < limit < 256, f"obs:bits{size}:v1": limit == 1}
        return tuple(name for name, fits in fitting.items() if fits)

    def fingerprint(self) -> str:
        """The sha256 of the spec's JSON, in hex: equal exactly where states and weights are interchangeable."""
        fields = dataclasses.asdict(self) | {"encodings": self.encodings}
        del fields["observation_limit"]  # the encodings say it
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def build_id(self) -> str:
        """A short name for these rules: the version and the first twelve digits of the fingerprint."""
        return f"{self.version}+{self.fingerprint()[:12]}"


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """The shape of a policy-value network, built alike by the Flax actor and by the torch learner.

    `kind` "mlp" flattens the planes; "conv" keeps them and suits accelerators. `stem` is the side of the square
    window of a first, position-sharing layer in front of an MLP (0 for none), `stem_channels` its width: for board
    games it sees every short line with the same weights. `value_bins` values are spread evenly over [-1, 1]; the value
    is the mean of a categorical distribution over them.
    """

    kind: Literal["mlp", "conv"] = "mlp"
    width: int = 256
    blocks: int = 3
    stem: int = 0
    stem_channels: int = 64
    value_bins: int = 3

    def __post_init__(self) -> None:
        if self.kind not in ("mlp", "conv"):
            raise SpecError(f"network.kind is {self.kind!r}, expected 'mlp' or 'conv'")
        for name, low, high in (
            ("width", 1, 8192),
            ("blocks", 0, 64),
            ("stem", 0, 16),
            ("stem_channels", 1, 1024),
            ("value_bins", 2, 255),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SpecError(f"network.{name} is {value}, expected {low} to {high}")

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "NetworkSpec":
        """Rebuilds a spec from the `network` object of a manifest or of run.json; `SpecError` if it does not fit."""
        try:
            return cls(**fields)
        except TypeError as error:
            raise SpecError(f"network description {dict(fields)} does not fit: {error}") from error


@dataclasses.dataclass(frozen=True)
class WeightsManifest:
    """What travels beside published weights, as `MANIFEST.json`: who may load them, and how to know they are whole."""

    version: int
    learner_step: int
    env_id: str
    spec_fingerprint: str
    network: NetworkSpec
    tensors: Mapping[str, Mapping[str, Any]]  # name -> {"shape": [...], "dtype": "float32"}
    sha256: str
    created_at: str
    config_hash: str
    seed: int

    def to_json(self) -> str:
        """The manifest file's text."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "WeightsManifest":
        """Reads a manifest file's text; `SpecError` says what does not fit."""
        try:
            fields = json.loads(text)
            manifest = cls(**fields | {"network": NetworkSpec.from_json(fields["network"])})
            manifest._require_kinds()
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise SpecError(f"this is no weights manifest: {error}") from error
        return manifest

    def _require_kinds(self) -> None:
        """Raises `SpecError` where a field is of another kind than it is declared, as only JSON can make it."""
        counted = f"a whole number from 0 to {_LAST_VERSION}"
        fits = {"version": (_is_whole(self.version) and 0 <= self.version <= _LAST_VERSION, counted)}
        fits |= {name: (_is_whole(getattr(self, name)), "a whole number") for name in ("learner_step", "seed")}
        fits |= {name: (isinstance(getattr(self, name), str), "text") for name in _MANIFEST_TEXTS}
        fits["tensors"] = (isinstance(self.tensors, Mapping), "an object")
        for name, (fit, expected) in fits.items():
            if not fit:
                raise SpecError(f"{name} is {getattr(self, name)!r}, expected {expected}")

    def check(self, data: bytes, game: GameSpec) -> None:
        """Raises `SpecError` unless `data` are these weights, whole, and for this game."""
        if self.spec_fingerprint != game.fingerprint():
            raise SpecError(
                f"weights version {self.version} are for {self.env_id} with rules {self.spec_fingerprint[:12]}, "
                f"but this is {game.env_id} with rules {game.fingerprint()[:12]}"
            )
        self.check_whole(data)

    def check_whole(self, data: bytes) -> None:
        """Raises `SpecError` unless `data` are these weights, undamaged."""
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise SpecError(
                f"weights version {self.version} are damaged: sha256 is {found[:12]}…, "
                f"the manifest says {self.sha256[:12]}…"
            )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(_is_whole(size) and size > 0 for size in value)


def _are_options(value: Any) -> bool:
    """Whether it is a tuple of pairs of strings."""
    pairs = isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
    return pairs and all(isinstance(word, str) for pair in value for word in pair)
