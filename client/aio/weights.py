"""The weights client for asyncio: the twin of `client/weights.py`, with the same names and the same rules."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import grpc

from ...engine.spec import WeightsManifest
from ...proto.weights.v1 import weights_pb2 as pb
from ...proto.weights.v1 import weights_pb2_grpc
from ..channel import CallError, Credentials, Patience, told
from ..weights import NOTHING, Published, published, upload
from .connection import Connection


class Weights(Connection):
    """The weights of one run."""

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        super().__init__(address, credentials, patience)
        self._stub: Any = weights_pb2_grpc.WeightsStub(self.channel)

    async def newest(self) -> Published | None:
        """The newest version with its run, None where there is none yet."""
        said = await self._announced(with_run=True)
        return published(said) if said.manifest else None

    async def highest(self) -> int:
        """The highest version there ever was, damaged ones among them; -1 for none. The next must be above it."""
        return (await self._announced(with_run=False)).highest

    async def watch(self, after: int = -1) -> AsyncGenerator[Published, None]:
        """The newest version above `after`, and then each that is published, without end; slow readers skip some."""
        pauses = self.patience.pauses()
        while True:
            stream = self._stub.Watch(pb.WatchRequest(after=after), metadata=self.metadata)
            lost = CallError(grpc.StatusCode.UNAVAILABLE, "the server ended the stream")
            try:
                async for said in stream:
                    after, pauses = said.version, self.patience.pauses()
                    yield published(said)
            except grpc.RpcError as error:
                lost = told(error)
            finally:
                stream.cancel()
            await asyncio.sleep(self.patience.go_on(lost, pauses))

    async def fetch(self, version: Published) -> bytes:
        """The bytes of a version, undamaged; a transfer that broke off goes on where it was.

        Raises:
          CallError: NOT_FOUND where it is not kept any longer: take the newest.
          SpecError: they are damaged.
        """
        data = bytearray()

        async def rest() -> None:
            asked = pb.FetchRequest(version=version.version, offset=len(data))
            async for chunk in self._stub.Fetch(asked, metadata=self.metadata):
                data.extend(chunk.data)

        await self.patiently(rest)
        whole = bytes(data)
        version.manifest.check_whole(whole)
        return whole

    async def publish(self, data: bytes, manifest: WeightsManifest, run: Mapping[str, Any]) -> None:
        """Publishes the next version.

        Args:
          run: what the run's run.json says.

        Raises:
          CallError: the server refuses; FAILED_PRECONDITION where the version is not above the newest.
        """
        await self.patiently(lambda: self._stub.Publish(iter(upload(data, manifest, run)), metadata=self.metadata))

    async def _announced(self, *, with_run: bool) -> pb.Announcement:
        try:
            return await self.call(self._stub.GetNewest, pb.GetNewestRequest(with_run=with_run))
        except CallError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return NOTHING
            raise
