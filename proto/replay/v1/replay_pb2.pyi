from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AckLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACK_LEVEL_UNSPECIFIED: _ClassVar[AckLevel]
    ACK_LEVEL_MEMORY: _ClassVar[AckLevel]
    ACK_LEVEL_DISK: _ClassVar[AckLevel]
ACK_LEVEL_UNSPECIFIED: AckLevel
ACK_LEVEL_MEMORY: AckLevel
ACK_LEVEL_DISK: AckLevel

class Column(_message.Message):
    __slots__ = ("encoding", "shape", "row_bytes")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    ROW_BYTES_FIELD_NUMBER: _ClassVar[int]
    encoding: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    row_bytes: int
    def __init__(self, encoding: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., row_bytes: _Optional[int] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("env_id", "spec", "spec_fingerprint", "run", "chunk_rows", "columns", "appended", "outputs", "capacity", "prioritised", "levels", "max_batch")
    ENV_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SPEC_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    APPENDED_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITISED_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    env_id: str
    spec: str
    spec_fingerprint: str
    run: str
    chunk_rows: int
    columns: int
    appended: _containers.RepeatedCompositeFieldContainer[Column]
    outputs: _containers.RepeatedCompositeFieldContainer[Column]
    capacity: int
    prioritised: bool
    levels: _containers.RepeatedScalarFieldContainer[AckLevel]
    max_batch: int
    def __init__(self, env_id: _Optional[str] = ..., spec: _Optional[str] = ..., spec_fingerprint: _Optional[str] = ..., run: _Optional[str] = ..., chunk_rows: _Optional[int] = ..., columns: _Optional[int] = ..., appended: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., capacity: _Optional[int] = ..., prioritised: _Optional[bool] = ..., levels: _Optional[_Iterable[_Union[AckLevel, str]]] = ..., max_batch: _Optional[int] = ...) -> None: ...

class Played(_message.Message):
    __slots__ = ("weights_version", "episodes", "episode_moves", "first_wins", "second_wins", "policy_entropy", "distinct_openings")
    WEIGHTS_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPISODES_FIELD_NUMBER: _ClassVar[int]
    EPISODE_MOVES_FIELD_NUMBER: _ClassVar[int]
    FIRST_WINS_FIELD_NUMBER: _ClassVar[int]
    SECOND_WINS_FIELD_NUMBER: _ClassVar[int]
    POLICY_ENTROPY_FIELD_NUMBER: _ClassVar[int]
    DISTINCT_OPENINGS_FIELD_NUMBER: _ClassVar[int]
    weights_version: int
    episodes: int
    episode_moves: int
    first_wins: int
    second_wins: int
    policy_entropy: float
    distinct_openings: float
    def __init__(self, weights_version: _Optional[int] = ..., episodes: _Optional[int] = ..., episode_moves: _Optional[int] = ..., first_wins: _Optional[int] = ..., second_wins: _Optional[int] = ..., policy_entropy: _Optional[float] = ..., distinct_openings: _Optional[float] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("actor", "sequence", "level", "timeout_ms", "spec_fingerprint", "tensors", "played")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    actor: int
    sequence: int
    level: AckLevel
    timeout_ms: int
    spec_fingerprint: str
    tensors: _containers.RepeatedScalarFieldContainer[bytes]
    played: Played
    def __init__(self, actor: _Optional[int] = ..., sequence: _Optional[int] = ..., level: _Optional[_Union[AckLevel, str]] = ..., timeout_ms: _Optional[int] = ..., spec_fingerprint: _Optional[str] = ..., tensors: _Optional[_Iterable[bytes]] = ..., played: _Optional[_Union[Played, _Mapping]] = ...) -> None: ...

class AppendReply(_message.Message):
    __slots__ = ("sequence", "again", "newest_version", "error")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    NEWEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    again: bool
    newest_version: int
    error: Error
    def __init__(self, sequence: _Optional[int] = ..., again: _Optional[bool] = ..., newest_version: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class SampleRequest(_message.Message):
    __slots__ = ("num_rows", "outputs", "timeout_ms", "weights_version")
    NUM_ROWS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_VERSION_FIELD_NUMBER: _ClassVar[int]
    num_rows: int
    outputs: _containers.RepeatedScalarFieldContainer[str]
    timeout_ms: int
    weights_version: int
    def __init__(self, num_rows: _Optional[int] = ..., outputs: _Optional[_Iterable[str]] = ..., timeout_ms: _Optional[int] = ..., weights_version: _Optional[int] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("tensors", "rows", "probabilities", "filled", "epoch", "error")
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    FILLED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tensors: _containers.RepeatedScalarFieldContainer[bytes]
    rows: bytes
    probabilities: bytes
    filled: int
    epoch: int
    error: Error
    def __init__(self, tensors: _Optional[_Iterable[bytes]] = ..., rows: _Optional[bytes] = ..., probabilities: _Optional[bytes] = ..., filled: _Optional[int] = ..., epoch: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class UpdatePrioritiesRequest(_message.Message):
    __slots__ = ("rows", "priorities", "epoch")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    rows: bytes
    priorities: bytes
    epoch: int
    def __init__(self, rows: _Optional[bytes] = ..., priorities: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...

class UpdatePrioritiesResponse(_message.Message):
    __slots__ = ("forgotten",)
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    forgotten: bool
    def __init__(self, forgotten: _Optional[bool] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatsReply(_message.Message):
    __slots__ = ("rows", "inserted", "sampled", "chunks", "chunks_again", "played", "newest_version", "limit", "waiting_appends", "waiting_samples", "log_bytes", "num_actors", "seconds_waited")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    INSERTED_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_AGAIN_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    NEWEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAITING_APPENDS_FIELD_NUMBER: _ClassVar[int]
    WAITING_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    NUM_ACTORS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_WAITED_FIELD_NUMBER: _ClassVar[int]
    rows: int
    inserted: int
    sampled: int
    chunks: int
    chunks_again: int
    played: Played
    newest_version: int
    limit: str
    waiting_appends: int
    waiting_samples: int
    log_bytes: int
    num_actors: int
    seconds_waited: float
    def __init__(self, rows: _Optional[int] = ..., inserted: _Optional[int] = ..., sampled: _Optional[int] = ..., chunks: _Optional[int] = ..., chunks_again: _Optional[int] = ..., played: _Optional[_Union[Played, _Mapping]] = ..., newest_version: _Optional[int] = ..., limit: _Optional[str] = ..., waiting_appends: _Optional[int] = ..., waiting_samples: _Optional[int] = ..., log_bytes: _Optional[int] = ..., num_actors: _Optional[int] = ..., seconds_waited: _Optional[float] = ...) -> None: ...

class ClearRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClearResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: int
    def __init__(self, rows: _Optional[int] = ...) -> None: ...

class SegmentHeader(_message.Message):
    __slots__ = ("format", "spec_fingerprint", "chunk_rows", "inserted", "chunks", "played", "last")
    class LastEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SPEC_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ROWS_FIELD_NUMBER: _ClassVar[int]
    INSERTED_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    format: int
    spec_fingerprint: str
    chunk_rows: int
    inserted: int
    chunks: int
    played: Played
    last: _containers.ScalarMap[int, int]
    def __init__(self, format: _Optional[int] = ..., spec_fingerprint: _Optional[str] = ..., chunk_rows: _Optional[int] = ..., inserted: _Optional[int] = ..., chunks: _Optional[int] = ..., played: _Optional[_Union[Played, _Mapping]] = ..., last: _Optional[_Mapping[int, int]] = ...) -> None: ...
