"""The client of the weights service for programs with threads; `aio` has its twin."""

import dataclasses
import json
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import grpc

from ..engine.spec import WeightsManifest
from ..proto.weights.v1 import weights_pb2 as pb
from ..proto.weights.v1 import weights_pb2_grpc
from .channel import CallError, Credentials, Patience, told
from .connection import Connection

NOTHING = pb.Announcement(version=-1, highest=-1)  # has been published yet
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Published:
    """A version that can be fetched.

    Attributes:
      run: what the run's run.json says, settings among it, where it was asked for; else empty.
      highest: version there ever was, damaged ones among them; the next must be above it.
    """

    manifest: WeightsManifest
    num_bytes: int
    run: Mapping[str, Any]
    highest: int

    @property
    def version(self) -> int:
        """Its number."""
        return self.manifest.version


class Weights(Connection):
    """The weights of one run."""

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        super().__init__(address, credentials, patience)
        self._stub: Any = weights_pb2_grpc.WeightsStub(self.channel)

    def newest(self) -> Published | None:
        """The newest version with its run, None where there is none yet."""
        said = self._announced(with_run=True)
        return published(said) if said.manifest else None

    def highest(self) -> int:
        """The highest version there ever was, damaged ones among them; -1 for none. The next must be above it."""
        return self._announced(with_run=False).highest

    def watch(self, after: int = -1) -> Generator[Published, None, None]:
        """The newest version above `after`, and then each that is published, without end; slow readers skip some."""
        pauses = self.patience.pauses()
        while True:
            stream = self._stub.Watch(pb.WatchRequest(after=after), metadata=self.metadata)
            lost = CallError(grpc.StatusCode.UNAVAILABLE, "the server ended the stream")
            try:
                for said in stream:
                    after, pauses = said.version, self.patience.pauses()
                    yield published(said)
            except grpc.RpcError as error:
                lost = told(error)
            finally:
                stream.cancel()
            time.sleep(self.patience.go_on(lost, pauses))

    def fetch(self, version: Published) -> bytes:
        """The bytes of a version, undamaged; a transfer that broke off goes on where it was.

        Raises:
          CallError: NOT_FOUND where it is not kept any longer: take the newest.
          SpecError: they are damaged.
        """
        data = bytearray()

        def rest() -> None:
            asked = pb.FetchRequest(version=version.version, offset=len(data))
            for chunk in self._stub.Fetch(asked, metadata=self.metadata):
                data.extend(chunk.data)

        self.patiently(rest)
        whole = bytes(data)
        version.manifest.check_whole(whole)
        return whole

    def publish(self, data: bytes, manifest: WeightsManifest, run: Mapping[str, Any]) -> None:
        """Publishes the next version.

        Args:
          run: what the run's run.json says.

        Raises:
          CallError: the server refuses; FAILED_PRECONDITION where the version is not above the newest.
        """
        self.patiently(lambda: self._stub.Publish(iter(upload(data, manifest, run)), metadata=self.metadata))

    def _announced(self, *, with_run: bool) -> pb.Announcement:
        try:
            return self.call(self._stub.GetNewest, pb.GetNewestRequest(with_run=with_run))
        except CallError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return NOTHING
            raise


def published(said: pb.Announcement) -> Published:
    """What an announcement says."""
    run = json.loads(said.run or "{}")
    return Published(WeightsManifest.from_json(said.manifest), said.num_bytes, run, said.highest)


def upload(data: bytes, manifest: WeightsManifest, run: Mapping[str, Any]) -> Iterator[pb.PublishRequest]:
    """The messages of an upload."""
    head = pb.Head(manifest=manifest.to_json(), run=json.dumps(dict(run)), num_bytes=len(data))
    yield pb.PublishRequest(head=head)
    for start in range(0, len(data), _CHUNK_BYTES):
        yield pb.PublishRequest(chunk=data[start : start + _CHUNK_BYTES])
    yield pb.PublishRequest(end=pb.End())
