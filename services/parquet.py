"""Tables of replay rows as Parquet files. The only file that loads pyarrow.

A column of one number per row is a column of that type; one of several is a fixed-size list, and the state a fixed
number of bytes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..engine import codec
from ..engine.spec import GameSpec
from ..replay.export import Columns

STATE_ENCODING = "state:packed_u32:v1"
Shapes = Mapping[str, tuple[np.dtype, tuple[int, ...]]]  # see `replay.export.shapes`
_OPTIONS: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["group", "column", "move"]}  # of few values
_MEANINGS = {
    "step": ("how many exported steps of the row's group come before it", "steps of all its games at once"),
    "group": ("which of the parts of the ring that are written side by side", "number"),
    "column": ("which of the games played in lock step", "number"),
    "episode": ("which episode; a new one begins where move does not go up by one", "number"),
    "move": ("moves made in the game before this position, random openings included", "moves"),
    "state": ("the position and its clock, in the encoding named by the table's metadata", "little-endian u32 words"),
    "policy": ("what the search would play, by action", "probability"),
    "value": ("the return for the player to move", "-1 lost to 1 won"),
    "priority": ("the weight with which a row is drawn; null where all are drawn alike", "priority ** exponent"),
    "first_step": ("step of the episode's first row", "steps"),
    "num_moves": ("rows of the episode; the ends of the table may have cut it short", "rows"),
}


def schema(spec: GameSpec, shapes: Shapes) -> pa.Schema:
    """The table of rows, in which every column says what it means."""
    fields = [_field(name, _kind(spec, name, *kind)) for name, kind in shapes.items()]
    described = {"env_id": spec.env_id, "build_id": spec.build_id, "state_encoding": STATE_ENCODING}
    return pa.schema(fields, metadata=described)


class Writer:
    """One file, compressed by zstd; every piece becomes a row group."""

    def __init__(self, file: BinaryIO, spec: GameSpec, layout: pa.Schema) -> None:
        self._spec, self._layout = spec, layout
        self._writer = pq.ParquetWriter(file, layout, **_OPTIONS)

    def write(self, columns: Columns) -> None:
        """Adds rows; `priority` may be missing."""
        number = len(columns["move"])
        arrays = [self._array(field, columns.get(field.name), number) for field in self._layout]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._layout))

    def close(self) -> None:
        """Writes the end; what the file lies in is the caller's."""
        self._writer.close()

    def _array(self, field: pa.Field, values: np.ndarray | None, number: int) -> pa.Array:
        if values is None:
            return pa.nulls(number, field.type)
        if field.name == "state":
            data = pa.py_buffer(codec.encode(self._spec, STATE_ENCODING, values))
            return pa.Array.from_buffers(field.type, number, [None, data])
        if pa.types.is_fixed_size_list(field.type):
            return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), field.type.list_size)
        return pa.array(values, type=field.type)


def write_episodes(file: BinaryIO, columns: Columns) -> None:
    """The whole table of episodes."""
    fields = [_field(name, pa.from_numpy_dtype(values.dtype)) for name, values in columns.items()]
    arrays = [pa.array(values) for values in columns.values()]
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), file, compression="zstd")


def read(path: Path, spec: GameSpec, shapes: Shapes, max_rows: int) -> Iterator[Columns]:
    """The rows of one file in order, at most `max_rows` at a time; `priority` only where no row lacks it.

    Raises:
      ValueError: this is no Parquet file, it lacks a column, or a column is of another type or has empty places.
    """
    try:
        with pq.ParquetFile(path) as file:
            _require_columns(file.schema_arrow, schema(spec, shapes))
            for batch in file.iter_batches(max_rows, columns=list(shapes)):
                yield _columns(batch, spec, shapes)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it cannot be read: {str(error).splitlines()[0]}") from error


def _columns(batch: pa.RecordBatch, spec: GameSpec, shapes: Shapes) -> Columns:
    found = {}
    for name, (dtype, shape) in shapes.items():
        column = batch.column(name)
        if name == "priority" and column.null_count:
            continue
        inner = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        if column.null_count or inner.null_count:
            raise ValueError(f"column {name} has empty places")
        found[name] = _numbers(inner, spec, name).astype(dtype, copy=False).reshape(len(column), *shape)
    return found


def _numbers(column: pa.Array, spec: GameSpec, name: str) -> np.ndarray:
    if name != "state":
        return column.to_numpy(zero_copy_only=False)
    start = column.offset * spec.state_bytes
    data = memoryview(column.buffers()[1])[start : start + len(column) * spec.state_bytes]
    return codec.decode(spec, STATE_ENCODING, data, len(column))


def _require_columns(found: pa.Schema, expected: pa.Schema) -> None:
    for field in expected:
        if field.name not in found.names:
            raise ValueError(f"it has no column {field.name}")
        kind = found.field(field.name).type
        if not kind.equals(field.type):
            raise ValueError(f"column {field.name} is {kind}, expected {field.type}")


def _kind(spec: GameSpec, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> pa.DataType:
    if name == "state":
        return pa.binary(spec.state_bytes)
    one = pa.from_numpy_dtype(dtype)
    return pa.list_(one, shape[0]) if shape else one


def _field(name: str, kind: Any) -> pa.Field:
    meaning, unit = _MEANINGS.get(name, ("as the row has it", "as the row has it"))
    return pa.field(name, kind, nullable=name == "priority", metadata={"meaning": meaning, "unit": unit})
