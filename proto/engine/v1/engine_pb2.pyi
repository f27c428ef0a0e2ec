from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AutoReset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTO_RESET_UNSPECIFIED: _ClassVar[AutoReset]
    AUTO_RESET_SAME_STEP: _ClassVar[AutoReset]
    AUTO_RESET_NEXT_STEP: _ClassVar[AutoReset]
    AUTO_RESET_DISABLED: _ClassVar[AutoReset]
AUTO_RESET_UNSPECIFIED: AutoReset
AUTO_RESET_SAME_STEP: AutoReset
AUTO_RESET_NEXT_STEP: AutoReset
AUTO_RESET_DISABLED: AutoReset

class EngineId(_message.Message):
    __slots__ = ("env_id", "build_id")
    ENV_ID_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    env_id: str
    build_id: str
    def __init__(self, env_id: _Optional[str] = ..., build_id: _Optional[str] = ...) -> None: ...

class Encoding(_message.Message):
    __slots__ = ("state", "action", "obs", "schema_version")
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    state: str
    action: str
    obs: str
    schema_version: int
    def __init__(self, state: _Optional[str] = ..., action: _Optional[str] = ..., obs: _Optional[str] = ..., schema_version: _Optional[int] = ...) -> None: ...

class MultiDiscrete(_message.Message):
    __slots__ = ("nvec",)
    NVEC_FIELD_NUMBER: _ClassVar[int]
    nvec: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, nvec: _Optional[_Iterable[int]] = ...) -> None: ...

class BoxSpec(_message.Message):
    __slots__ = ("low", "high", "shape")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    low: _containers.RepeatedScalarFieldContainer[float]
    high: _containers.RepeatedScalarFieldContainer[float]
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, low: _Optional[_Iterable[float]] = ..., high: _Optional[_Iterable[float]] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class Capabilities(_message.Message):
    __slots__ = ("id", "enc", "max_horizon", "discrete_n", "multi", "continuous", "preferred_batch", "num_players", "observation_shape", "state_bytes", "stochastic", "hidden_information", "outputs", "max_batch", "max_lease", "spec_fingerprint")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENC_FIELD_NUMBER: _ClassVar[int]
    MAX_HORIZON_FIELD_NUMBER: _ClassVar[int]
    DISCRETE_N_FIELD_NUMBER: _ClassVar[int]
    MULTI_FIELD_NUMBER: _ClassVar[int]
    CONTINUOUS_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_BATCH_FIELD_NUMBER: _ClassVar[int]
    NUM_PLAYERS_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_SHAPE_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STOCHASTIC_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_INFORMATION_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    MAX_LEASE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    enc: Encoding
    max_horizon: int
    discrete_n: int
    multi: MultiDiscrete
    continuous: BoxSpec
    preferred_batch: int
    num_players: int
    observation_shape: _containers.RepeatedScalarFieldContainer[int]
    state_bytes: int
    stochastic: bool
    hidden_information: bool
    outputs: _containers.RepeatedScalarFieldContainer[str]
    max_batch: int
    max_lease: int
    spec_fingerprint: str
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., enc: _Optional[_Union[Encoding, _Mapping]] = ..., max_horizon: _Optional[int] = ..., discrete_n: _Optional[int] = ..., multi: _Optional[_Union[MultiDiscrete, _Mapping]] = ..., continuous: _Optional[_Union[BoxSpec, _Mapping]] = ..., preferred_batch: _Optional[int] = ..., num_players: _Optional[int] = ..., observation_shape: _Optional[_Iterable[int]] = ..., state_bytes: _Optional[int] = ..., stochastic: _Optional[bool] = ..., hidden_information: _Optional[bool] = ..., outputs: _Optional[_Iterable[str]] = ..., max_batch: _Optional[int] = ..., max_lease: _Optional[int] = ..., spec_fingerprint: _Optional[str] = ...) -> None: ...

class ListGamesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGamesResponse(_message.Message):
    __slots__ = ("games",)
    GAMES_FIELD_NUMBER: _ClassVar[int]
    games: _containers.RepeatedCompositeFieldContainer[Capabilities]
    def __init__(self, games: _Optional[_Iterable[_Union[Capabilities, _Mapping]]] = ...) -> None: ...

class ResetRequest(_message.Message):
    __slots__ = ("id", "seed", "hint", "trusted")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    seed: int
    hint: bytes
    trusted: bool
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., seed: _Optional[int] = ..., hint: _Optional[bytes] = ..., trusted: _Optional[bool] = ...) -> None: ...

class ResetResponse(_message.Message):
    __slots__ = ("state", "obs")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    obs: bytes
    def __init__(self, state: _Optional[bytes] = ..., obs: _Optional[bytes] = ...) -> None: ...

class StepRequest(_message.Message):
    __slots__ = ("id", "state", "action", "trusted")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    state: bytes
    action: bytes
    trusted: bool
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., state: _Optional[bytes] = ..., action: _Optional[bytes] = ..., trusted: _Optional[bool] = ...) -> None: ...

class StepResponse(_message.Message):
    __slots__ = ("state", "obs", "reward", "done", "info")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    obs: bytes
    reward: float
    done: bool
    info: int
    def __init__(self, state: _Optional[bytes] = ..., obs: _Optional[bytes] = ..., reward: _Optional[float] = ..., done: _Optional[bool] = ..., info: _Optional[int] = ...) -> None: ...

class ResetBatchRequest(_message.Message):
    __slots__ = ("id", "seeds", "trusted")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    seeds: _containers.RepeatedScalarFieldContainer[int]
    trusted: bool
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., seeds: _Optional[_Iterable[int]] = ..., trusted: _Optional[bool] = ...) -> None: ...

class ResetBatchResponse(_message.Message):
    __slots__ = ("states", "observations", "masks")
    STATES_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    states: bytes
    observations: bytes
    masks: bytes
    def __init__(self, states: _Optional[bytes] = ..., observations: _Optional[bytes] = ..., masks: _Optional[bytes] = ...) -> None: ...

class StepBatchRequest(_message.Message):
    __slots__ = ("id", "states", "actions", "trusted")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    states: bytes
    actions: bytes
    trusted: bool
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., states: _Optional[bytes] = ..., actions: _Optional[bytes] = ..., trusted: _Optional[bool] = ...) -> None: ...

class StepBatchResponse(_message.Message):
    __slots__ = ("states", "observations", "masks", "rewards", "ends")
    STATES_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    states: bytes
    observations: bytes
    masks: bytes
    rewards: bytes
    ends: bytes
    def __init__(self, states: _Optional[bytes] = ..., observations: _Optional[bytes] = ..., masks: _Optional[bytes] = ..., rewards: _Optional[bytes] = ..., ends: _Optional[bytes] = ...) -> None: ...

class AcquireRequest(_message.Message):
    __slots__ = ("id", "num_games", "seed", "auto_reset", "outputs", "ttl_ms", "trusted", "spec_fingerprint")
    ID_FIELD_NUMBER: _ClassVar[int]
    NUM_GAMES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    AUTO_RESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    SPEC_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    num_games: int
    seed: int
    auto_reset: AutoReset
    outputs: _containers.RepeatedScalarFieldContainer[str]
    ttl_ms: int
    trusted: bool
    spec_fingerprint: str
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., num_games: _Optional[int] = ..., seed: _Optional[int] = ..., auto_reset: _Optional[_Union[AutoReset, str]] = ..., outputs: _Optional[_Iterable[str]] = ..., ttl_ms: _Optional[int] = ..., trusted: _Optional[bool] = ..., spec_fingerprint: _Optional[str] = ...) -> None: ...

class TensorSpec(_message.Message):
    __slots__ = ("encoding", "shape", "num_bytes")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    NUM_BYTES_FIELD_NUMBER: _ClassVar[int]
    encoding: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    num_bytes: int
    def __init__(self, encoding: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., num_bytes: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("lease_id", "epoch", "capabilities", "tensors", "ttl_ms", "first")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    epoch: int
    capabilities: Capabilities
    tensors: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    ttl_ms: int
    first: SliceReply
    def __init__(self, lease_id: _Optional[int] = ..., epoch: _Optional[int] = ..., capabilities: _Optional[_Union[Capabilities, _Mapping]] = ..., tensors: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., ttl_ms: _Optional[int] = ..., first: _Optional[_Union[SliceReply, _Mapping]] = ...) -> None: ...

class SliceRequest(_message.Message):
    __slots__ = ("lease_id", "sequence", "actions", "begin_again")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    BEGIN_AGAIN_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    sequence: int
    actions: bytes
    begin_again: bytes
    def __init__(self, lease_id: _Optional[int] = ..., sequence: _Optional[int] = ..., actions: _Optional[bytes] = ..., begin_again: _Optional[bytes] = ...) -> None: ...

class SliceReply(_message.Message):
    __slots__ = ("lease_id", "sequence", "credits", "error", "rewards", "ends", "tensors", "final_rows", "finals")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    FINAL_ROWS_FIELD_NUMBER: _ClassVar[int]
    FINALS_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    sequence: int
    credits: int
    error: Error
    rewards: bytes
    ends: bytes
    tensors: _containers.RepeatedScalarFieldContainer[bytes]
    final_rows: bytes
    finals: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, lease_id: _Optional[int] = ..., sequence: _Optional[int] = ..., credits: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., rewards: _Optional[bytes] = ..., ends: _Optional[bytes] = ..., tensors: _Optional[_Iterable[bytes]] = ..., final_rows: _Optional[bytes] = ..., finals: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    def __init__(self, lease_id: _Optional[int] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("ttl_ms",)
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    ttl_ms: int
    def __init__(self, ttl_ms: _Optional[int] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    def __init__(self, lease_id: _Optional[int] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    def __init__(self, lease_id: _Optional[int] = ...) -> None: ...

class SliceSnapshot(_message.Message):
    __slots__ = ("id", "sequence", "states")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    sequence: int
    states: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., sequence: _Optional[int] = ..., states: _Optional[bytes] = ...) -> None: ...

class RestoreRequest(_message.Message):
    __slots__ = ("lease_id", "snapshot")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    snapshot: SliceSnapshot
    def __init__(self, lease_id: _Optional[int] = ..., snapshot: _Optional[_Union[SliceSnapshot, _Mapping]] = ...) -> None: ...
