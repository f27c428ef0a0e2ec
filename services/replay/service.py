"""The gRPC service of replay: who waits for whom, and when a chunk counts as stored. See proto/replay/v1/replay.proto.

A chunk is read and looked at, waits until the limit lets it in, goes to the log and then into the ring, and only then
its actor hears of it. Chunks that come at the same time share one write to the disk.
"""

import asyncio
import functools
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

from ...proto.channel import MESSAGE_MIB
from ...proto.replay.v1 import replay_pb2 as pb
from ..serving import Dialogues, RefusalError, leaving
from .append_log import AppendLog, LogError
from .ledger import Ledger
from .rows import Rows

log = logging.getLogger(__name__)

CONTRACT = pb.DESCRIPTOR.services_by_name["Replay"]
MAX_BATCH = 65536  # rows
_MOST_SIZES = 16  # of batches, each of which is compiled
_LAST_WORDS = 0.05  # seconds before a caller's deadline at which a wait ends, so that its reason still arrives

Given = TypeVar("Given")


class ReplayService:
    """Keeps the replay of one run; make it in a running event loop.

    Args:
      rows: the ring.
      run: what the run's run.json says.
      append_log: opened; None where nothing is kept on the disk.
      max_message_mib: the largest batch.
    """

    def __init__(
        self, rows: Rows, run: Mapping[str, Any], append_log: AppendLog | None, max_message_mib: int = MESSAGE_MIB
    ) -> None:
        self._rows, self._log, self._max_mib = rows, append_log, max_message_mib
        self._ledger = append_log.ledger if append_log else Ledger()
        self._description = _description(rows, run, append_log is not None)
        self._outputs = {column.encoding: column for column in rows.outputs}
        self._device = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._dialogues = Dialogues()
        self._changed = asyncio.Condition()
        self._entrance, self._exit, self._writing = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        self._entering = self._leaving = 0  # rows that the limit has let pass and that are still on their way
        self._clearing = False
        self._storing: dict[tuple[int, int], asyncio.Task[None]] = {}  # by actor and sequence
        self._unwritten: list[tuple[pb.AppendRequest, asyncio.Future[None]]] = []
        self._sizes: set[int] = set()
        self._newest: int | None = None
        self._sampled = self._again = self._waiting_appends = self._waiting_samples = 0
        self._seconds_waited = 0.0

    async def drain(self) -> None:
        """Ends the streams once what they were asked is answered."""
        self._dialogues.leave()

    async def close(self) -> None:
        """Ends all threads; what is being stored is stored."""
        if self._storing:
            await asyncio.wait(self._storing.values())
        self._device.shutdown(wait=True)
        self._disk.shutdown(wait=True)
        if self._log:
            self._log.close()

    async def describe(self, request: pb.DescribeRequest, context: Any) -> pb.Description:
        del request, context
        return self._description

    async def append(self, requests: Any, context: Any) -> None:
        await self._dialogues.hold(requests, context, self._answer_chunk)

    async def sample(self, request: pb.SampleRequest, context: Any) -> pb.Batch:
        return await self._sample(request, context.time_remaining())

    async def sample_stream(self, requests: Any, context: Any) -> None:
        await self._dialogues.hold(requests, context, self._answer_batch)

    async def update_priorities(self, request: pb.UpdatePrioritiesRequest, context: Any) -> pb.UpdatePrioritiesResponse:
        del context
        num_rows = len(request.priorities) // 4
        if not 1 <= num_rows <= MAX_BATCH or len(request.priorities) % 4 or len(request.rows) != 8 * num_rows:
            raise _refusal(
                "INVALID_ARGUMENT",
                f"rows are {len(request.rows)} bytes and priorities {len(request.priorities)}, expected 8 and 4 for "
                f"each of 1 to {MAX_BATCH} rows",
            )
        taken = await self._on_device(self._rows.update, request.epoch, request.rows, request.priorities)
        return pb.UpdatePrioritiesResponse(forgotten=not taken)

    async def stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsReply:
        del request, context
        return pb.StatsReply(
            rows=await self._on_device(self._rows.size),
            inserted=self._ledger.inserted,
            sampled=self._sampled,
            chunks=self._ledger.chunks,
            chunks_again=self._again,
            played=self._ledger.played,
            newest_version=self._newest,
            limit=self._rows.why_not(),
            waiting_appends=self._waiting_appends,
            waiting_samples=self._waiting_samples,
            log_bytes=self._log.num_bytes if self._log else 0,
            num_actors=self._ledger.num_actors,
            seconds_waited=self._seconds_waited,
        )

    async def clear(self, request: pb.ClearRequest, context: Any) -> pb.ClearResponse:
        del request, context
        while self._clearing or self._storing:
            await asyncio.wait([*self._storing.values(), asyncio.ensure_future(asyncio.sleep(0.01))])
        self._clearing = True  # from here on nothing is let in
        try:
            rows = await self._on_device(self._rows.size)
            if self._log:
                await self._on_disk(self._log.clear)
            await self._on_device(self._rows.clear)
        finally:
            self._clearing = False
            await self._tell()
        return pb.ClearResponse(rows=rows)

    # Chunks

    async def _answer_chunk(self, request: pb.AppendRequest) -> pb.AppendReply:
        try:
            again = await self._store_once(request)
        except RefusalError as refusal:
            if refusal.code is grpc.StatusCode.UNAVAILABLE:
                raise
            return pb.AppendReply(sequence=request.sequence, newest_version=self._newest, error=_told(refusal))
        return pb.AppendReply(sequence=request.sequence, newest_version=self._newest, again=again)

    async def _store_once(self, request: pb.AppendRequest) -> bool:
        """Stores a chunk, unless it has been or is being stored: then it waits for that, and is True."""
        self._require_ours(request)
        if await self._joined(request):
            return True
        block = await self._on_device(self._rows.read, request)
        await self._let_in(request.timeout_ms / 1000 or None)
        key = (request.actor, request.sequence)
        if key in self._storing or self._ledger.has(request):  # by another stream, meanwhile
            self._entering -= self._rows.chunk_rows
            return await self._joined(request)
        # What was let in is stored to the end, whether its actor stays to hear of it or not.
        task = self._storing[key] = asyncio.create_task(self._store(request, block))
        task.add_done_callback(functools.partial(self._stored, key))
        await asyncio.shield(task)
        return False

    def _stored(self, key: tuple[int, int], task: asyncio.Task[None]) -> None:
        del self._storing[key]
        task.exception()  # told to the actor, if it is still there

    async def _joined(self, request: pb.AppendRequest) -> bool:
        task = self._storing.get((request.actor, request.sequence))
        if task is not None:
            await asyncio.shield(task)
        elif not self._ledger.has(request):
            return False
        self._again += 1
        return True

    async def _store(self, request: pb.AppendRequest, block: Any) -> None:
        try:
            if self._log:
                await self._write(request)
            else:
                self._ledger.enter(request, self._rows.chunk_rows)
            await self._on_device(self._rows.add, block)
        finally:
            self._entering -= self._rows.chunk_rows
            await self._tell()

    async def _write(self, request: pb.AppendRequest) -> None:
        """Puts a chunk into the log, together with all that have come since the last write began."""
        assert self._log is not None
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unwritten.append((request, written))
        async with self._writing:
            if not written.done():
                together, self._unwritten = self._unwritten, []
                failure = await self._written([chunk for chunk, _ in together])
                for _, one in together:
                    one.set_result(None) if failure is None else one.set_exception(failure)
        await written

    async def _written(self, chunks: Sequence[pb.AppendRequest]) -> RefusalError | None:
        assert self._log is not None
        try:
            await self._on_disk(self._log.write, chunks)
        except OSError as error:
            log.warning("cannot write to the append log: %s", error)
            text = f"the append log cannot be written to ({error.strerror}): the chunk is not stored, send it later"
            return _refusal("RESOURCE_EXHAUSTED", text)
        except Exception as error:
            log.exception("the append log is lost")
            return _refusal("INTERNAL", str(error) if isinstance(error, LogError) else "see the server's log")
        return None

    async def _let_in(self, seconds: float | None) -> None:
        """Waits until the learners have caught up far enough for one more chunk; callers come in in turn."""
        size = self._rows.chunk_rows

        async def turn() -> None:
            async with self._entrance, self._changed:
                await self._changed.wait_for(lambda: not self._clearing and self._rows.may_add(self._entering + size))
                self._entering += size

        begun = time.monotonic()
        self._waiting_appends += 1
        try:
            passed = await self._turn(turn(), seconds, lambda: setattr(self, "_entering", self._entering - size))
        finally:
            self._waiting_appends -= 1
            self._seconds_waited += time.monotonic() - begun
        if not passed:
            raise _refusal("DEADLINE_EXCEEDED", f"the learners are behind: {self._rows.why_not()}; send it again")

    # Batches

    async def _answer_batch(self, request: pb.SampleRequest) -> pb.Batch:
        try:
            return await self._sample(request, None)
        except RefusalError as refusal:
            if refusal.code is grpc.StatusCode.UNAVAILABLE:
                raise
            return pb.Batch(error=_told(refusal))

    async def _sample(self, request: pb.SampleRequest, remaining: float | None) -> pb.Batch:
        self._require_possible(request)
        if request.HasField("weights_version"):
            self._newest = max(request.weights_version, -1 if self._newest is None else self._newest)
        seconds = request.timeout_ms / 1000 or None
        if remaining is not None:
            seconds = min(seconds or remaining, remaining) - _LAST_WORDS
        await self._let_out(request.num_rows, seconds)
        try:
            batch = await self._on_device(self._rows.sample, request.num_rows, request.outputs)
        finally:
            self._leaving -= request.num_rows
            await self._tell()
        self._sampled += request.num_rows
        return batch

    async def _let_out(self, size: int, seconds: float | None) -> None:
        """Waits until the actors have written enough for a batch; callers get theirs in turn."""

        async def turn() -> None:
            async with self._exit, self._changed:
                await self._changed.wait_for(lambda: not self._clearing and self._rows.may_sample(self._leaving + size))
                self._leaving += size

        self._waiting_samples += 1
        try:
            passed = await self._turn(turn(), seconds, lambda: setattr(self, "_leaving", self._leaving - size))
        finally:
            self._waiting_samples -= 1
        if not passed:
            raise _refusal("DEADLINE_EXCEEDED", f"the actors are behind: {self._rows.why_not()}; ask again")

    async def _turn(self, turn: Coroutine[Any, Any, None], seconds: float | None, undo: Callable[[], None]) -> bool:
        """Whether a turn came within the time. One that came as its caller left is given back by `undo`.

        Raises:
          RefusalError: the server stops.
        """
        if seconds is not None and seconds <= 0:
            turn.close()
            return False
        task = asyncio.create_task(turn)
        try:
            came = await self._dialogues.either(task, seconds)
        except asyncio.CancelledError:
            if task.done() and not task.cancelled():
                undo()
            raise
        if not came and self._dialogues.left.is_set():
            raise leaving()
        return came

    def _require_ours(self, request: pb.AppendRequest) -> None:
        expected = self._description.spec_fingerprint
        if request.spec_fingerprint != expected:
            raise _refusal(
                "FAILED_PRECONDITION",
                f"spec_fingerprint is {request.spec_fingerprint[:80]!r}, but {self._description.env_id} here is "
                f"{expected}: the rules or layouts differ",
            )
        if request.level not in (pb.ACK_LEVEL_UNSPECIFIED, *self._description.levels):
            known = request.level in pb.AckLevel.values()
            name = pb.AckLevel.Name(pb.AckLevel.ValueType(request.level)) if known else request.level
            raise _refusal(
                "FAILED_PRECONDITION", f"level is {name}, which needs an append log: start the server with one"
            )
        if request.sequence < 1:
            raise _refusal("INVALID_ARGUMENT", "sequence is 0, expected 1 for an actor's first chunk")

    def _require_possible(self, request: pb.SampleRequest) -> None:
        num_rows, wanted = request.num_rows, request.outputs
        if not 1 <= num_rows <= MAX_BATCH:
            raise _refusal("INVALID_ARGUMENT", f"num_rows is {num_rows}, expected 1 to {MAX_BATCH}")
        unknown = [name for name in wanted if name not in self._outputs]
        if unknown or len(set(wanted)) != len(wanted):
            problem = f"there is no output {unknown[0][:80]!r}" if unknown else "outputs are named twice"
            raise _refusal("INVALID_ARGUMENT", f"{problem}: there are {', '.join(self._outputs)}")
        size = num_rows * (16 + sum(self._outputs[name].row_bytes for name in wanted)) / (1 << 20)
        if size > self._max_mib:
            raise _refusal(
                "RESOURCE_EXHAUSTED",
                f"a batch of {num_rows} rows with these outputs takes {size:.1f} MiB, more than the {self._max_mib} "
                "MiB that the server sends at most: ask for fewer rows or smaller outputs, or start the server with a "
                "larger --max-message-mib",
            )
        if num_rows not in self._sizes and len(self._sizes) >= _MOST_SIZES:
            sizes = ", ".join(map(str, sorted(self._sizes)))
            text = f"num_rows is {num_rows}, and batches of as many sizes as one server makes were asked for: {sizes}"
            raise _refusal("RESOURCE_EXHAUSTED", text)
        self._sizes.add(num_rows)

    async def _tell(self) -> None:
        """Lets those who wait look again."""
        async with self._changed:
            self._changed.notify_all()

    async def _on_device(self, function: Callable[..., Given], *arguments: Any) -> Given:
        return await asyncio.get_running_loop().run_in_executor(self._device, function, *arguments)

    async def _on_disk(self, function: Callable[..., Given], *arguments: Any) -> Given:
        return await asyncio.get_running_loop().run_in_executor(self._disk, function, *arguments)


def _description(rows: Rows, run: Mapping[str, Any], on_disk: bool) -> pb.Description:
    spec, ring = rows.game.spec, rows.replay
    return pb.Description(
        env_id=run["config"]["game"],
        spec=spec.to_json(),
        spec_fingerprint=spec.fingerprint(),
        run=json.dumps(run),
        chunk_rows=rows.chunk_rows,
        columns=run["config"]["selfplay"]["num_games"],
        appended=rows.appended,
        outputs=rows.outputs,
        capacity=ring.capacity,
        prioritised=run["config"]["replay"]["sampler"] == "prioritised",
        levels=[pb.ACK_LEVEL_MEMORY, *([pb.ACK_LEVEL_DISK] if on_disk else [])],
        max_batch=MAX_BATCH,
    )


def _told(refusal: RefusalError) -> pb.Error:
    return pb.Error(code=refusal.code.value[0], message=refusal.message)


def _refusal(code: str, message: str) -> RefusalError:
    return RefusalError(grpc.StatusCode[code], message)
