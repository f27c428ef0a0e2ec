"""The gRPC service of weights: who may publish, and who hears of it. See proto/weights/v1/weights.proto.

The newest version lies in memory as the messages that carry it, so that any number of readers cost no more than the
sending.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

from ...engine.spec import SpecError, WeightsManifest
from ...proto.weights.v1 import weights_pb2 as pb
from ..run_directory import RunError
from ..serving import Dialogues, RefusalError, leaving
from .keeper import Keeper, Version

log = logging.getLogger(__name__)

CONTRACT = pb.DESCRIPTOR.services_by_name["Weights"]
_MIB = 1 << 20
CHUNK_BYTES = _MIB
_IDLE_SECONDS = 60.0

Given = TypeVar("Given")


class WeightsService:
    """Keeps the weights of one run; make it in a running event loop.

    Args:
      max_weights_mib: the largest version.
      idle_seconds: for which an upload may say nothing; then it makes room for others.
    """

    def __init__(self, keeper: Keeper, max_weights_mib: int, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._keeper, self._max_mib, self._idle_seconds = keeper, max_weights_mib, idle_seconds
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._dialogues = Dialogues()
        self._published = asyncio.Condition()
        self._uploading = False
        self._messages: tuple[int, list[bytes]] | None = None  # the newest version, ready to be sent

    async def drain(self) -> None:
        """Ends the streams of watchers."""
        self._dialogues.leave()

    async def close(self) -> None:
        """Ends all threads; what is being written is written."""
        self._disk.shutdown(wait=True)
        self._keeper.close()

    async def publish(self, requests: AsyncIterator[pb.PublishRequest], context: Any) -> pb.PublishResponse:
        del context
        if self._uploading:
            raise _refusal("ABORTED", "another upload is under way: try again when it is over")
        self._uploading = True
        try:
            version, run = await self._receive(requests)
            # Written to the end, whether the learner stays to hear of it or not.
            is_new = await asyncio.shield(asyncio.create_task(self._keep(version, run)))
            return pb.PublishResponse(again=not is_new)
        finally:
            self._uploading = False

    async def get_newest(self, request: pb.GetNewestRequest, context: Any) -> pb.Announcement:
        del context
        newest, highest = self._keeper.newest, self._keeper.highest
        if newest is None and highest < 0:
            raise _refusal("NOT_FOUND", "no weights have been published yet: start the learner, or wait for it")
        run = await self._off_loop(self._keeper.run) if request.with_run else ""
        if newest is None:
            return pb.Announcement(version=-1, highest=highest, run=run)
        return newest.announcement(highest, run)

    async def watch(self, request: pb.WatchRequest, context: Any) -> None:
        known = request.after

        async def news() -> Version:
            async with self._published:
                await self._published.wait_for(
                    lambda: self._keeper.newest is not None and self._keeper.newest.number > known
                )
            assert self._keeper.newest is not None
            return self._keeper.newest

        while True:
            waiting = asyncio.create_task(news())
            if not await self._dialogues.either(waiting):
                raise leaving()
            version = waiting.result()
            known = version.number
            await context.write(version.announcement(self._keeper.highest))

    async def fetch(self, request: pb.FetchRequest, context: Any) -> None:
        version = self._keeper.newest
        if version is None or version.number != request.version:
            version = await self._off_loop(self._keeper.read, request.version)
        if version is None:
            kept = ", ".join(map(str, await self._off_loop(self._keeper.versions))) or "none"
            raise _refusal("NOT_FOUND", f"version {request.version} is not kept: there are {kept}; fetch the newest")
        if request.offset > len(version.data):
            size = len(version.data)
            raise _refusal("OUT_OF_RANGE", f"offset is {request.offset}, and version {version.number} has {size} bytes")
        first, rest = divmod(request.offset, CHUNK_BYTES)
        for message in self._cut(version, first, rest):
            await context.write(message)

    async def _receive(self, requests: AsyncIterator[pb.PublishRequest]) -> tuple[Version, Mapping[str, Any]]:
        """A whole upload.

        Raises:
          RefusalError: it is not one, or cannot be kept.
        """
        parts = self._parts(requests)
        first = await anext(parts, None)
        if first is None or first.WhichOneof("part") != "head":
            raise _refusal("INVALID_ARGUMENT", "an upload begins with a head")
        manifest, run = await self._checked(first.head)
        data = bytearray()
        async for request in parts:
            part = request.WhichOneof("part")
            if part == "end":
                break
            data += request.chunk
            if part != "chunk" or len(data) > first.head.num_bytes:
                raise _refusal(
                    "INVALID_ARGUMENT", f"expected chunks of {first.head.num_bytes} bytes in all, and then an end"
                )
        else:  # a caller that died looks as if it had finished
            raise _refusal("INVALID_ARGUMENT", "the upload has no end: nothing is kept")
        if len(data) != first.head.num_bytes:
            said = f"the head says {first.head.num_bytes}"
            raise _refusal("INVALID_ARGUMENT", f"the upload has {len(data)} bytes, and {said}")
        whole = bytes(data)
        try:
            await self._off_loop(manifest.check_whole, whole)
        except SpecError as error:
            raise _refusal("INVALID_ARGUMENT", str(error)) from error
        return Version(manifest, whole), run

    async def _parts(self, requests: AsyncIterator[pb.PublishRequest]) -> AsyncIterator[pb.PublishRequest]:
        """The same, but for a caller that lives and says nothing: it would keep all others from publishing."""
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    request = await anext(requests, None)
            except TimeoutError as error:
                text = f"nothing was sent for {self._idle_seconds:g} s: begin the upload again"
                raise _refusal("ABORTED", text) from error
            if request is None:
                return
            yield request

    async def _checked(self, head: pb.Head) -> tuple[WeightsManifest, Mapping[str, Any]]:
        if head.num_bytes > self._max_mib * _MIB:
            raise _refusal(
                "RESOURCE_EXHAUSTED",
                f"these weights are {head.num_bytes / _MIB:.1f} MiB, more than the {self._max_mib} MiB that the server "
                "takes: start it with a larger --max-weights-mib",
            )
        try:
            manifest, run = WeightsManifest.from_json(head.manifest), json.loads(head.run)
            if not isinstance(run, dict):
                raise SpecError("run is no JSON object")
        except (ValueError, RecursionError) as error:
            raise _refusal("INVALID_ARGUMENT", f"the head does not fit: {error}") from error
        try:
            await self._off_loop(self._keeper.require_run, run)
        except RunError as error:
            raise _refusal("FAILED_PRECONDITION", str(error)) from error
        newest = self._keeper.newest
        if newest is not None and newest.manifest.spec_fingerprint != manifest.spec_fingerprint:
            raise _refusal(
                "FAILED_PRECONDITION",
                f"these weights are for {manifest.env_id} with rules {manifest.spec_fingerprint[:12]}, this run plays "
                f"{newest.manifest.env_id} with rules {newest.manifest.spec_fingerprint[:12]}",
            )
        return manifest, run

    async def _keep(self, version: Version, run: Mapping[str, Any]) -> bool:
        """Whether it had not been kept before; raises `RefusalError` where it cannot be."""
        try:
            is_new = await self._off_loop(self._keeper.publish, version, run)
        except RunError as error:
            raise _refusal("FAILED_PRECONDITION", str(error)) from error
        except OSError as error:
            log.warning("cannot keep version %d: %s", version.number, error)
            text = f"version {version.number} cannot be written ({error.strerror}): the one before is served on"
            raise _refusal("RESOURCE_EXHAUSTED", text) from error
        if is_new:
            log.info("version %d, %.1f MiB", version.number, len(version.data) / _MIB)
            async with self._published:
                self._published.notify_all()
        return is_new

    def _cut(self, version: Version, first: int, rest: int) -> list[bytes]:
        """The messages from chunk `first` on, without its first `rest` bytes."""
        if self._messages is not None and self._messages[0] == version.number:
            messages = self._messages[1]
        else:
            starts = range(0, len(version.data), CHUNK_BYTES)
            messages = [_chunk(version.data[start : start + CHUNK_BYTES]) for start in starts]
            if version is self._keeper.newest:
                self._messages = (version.number, messages)
        if not rest:
            return messages[first:]
        start = first * CHUNK_BYTES
        return [_chunk(version.data[start + rest : start + CHUNK_BYTES]), *messages[first + 1 :]]

    async def _off_loop(self, function: Callable[..., Given], *arguments: Any) -> Given:
        return await asyncio.get_running_loop().run_in_executor(self._disk, function, *arguments)


def _chunk(data: bytes) -> bytes:
    return pb.Chunk(data=data).SerializeToString()


def _refusal(code: str, message: str) -> RefusalError:
    return RefusalError(grpc.StatusCode[code], message)
