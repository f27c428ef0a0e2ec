"""The gRPC service of the engine: what each call takes, refuses and gives. See proto/engine/v1/engine.proto."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from ...engine import codec, slices
from ...engine.game import Game
from ...proto.engine.v1 import engine_pb2 as pb
from ..serving import RefusalError
from . import catalogue, stateless, stepping
from .device import Device
from .device_batch import DeviceBatch
from .lease import Lease
from .leases import Leases, cost_of, gone, new_id
from .ticker import Ticker, WindowSettings, reply_to
from .windows import Range

log = logging.getLogger(__name__)

CONTRACT = pb.DESCRIPTOR.services_by_name["Engine"]

_MODES = {
    pb.AUTO_RESET_UNSPECIFIED: slices.SAME_STEP,
    pb.AUTO_RESET_SAME_STEP: slices.SAME_STEP,
    pb.AUTO_RESET_NEXT_STEP: slices.NEXT_STEP,
    pb.AUTO_RESET_DISABLED: slices.DISABLED,
}
_REAP_EVERY = 0.5  # seconds
LONGEST_TTL = 3600.0
_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class EngineSettings:
    """What a server gives to its clients."""

    games_per_batch: int = 65536  # of one kind, for all clients together
    memory_mib: int = 1024  # for batches and replies
    max_message_mib: int = 64  # the largest reply
    ttl: float = 60.0  # seconds for which a lease is kept that nobody steps, unless its client asks otherwise
    grace: float = 5.0  # and one whose stream broke off
    window: WindowSettings = dataclasses.field(default_factory=WindowSettings)


class EngineService:
    """Plays games; make it in a running event loop.

    Args:
      make_batch: makes the batch of a game from the game and how many.
    """

    def __init__(self, settings: EngineSettings, make_batch: type[DeviceBatch[Any]] = DeviceBatch) -> None:
        self._settings, self._make_batch = settings, make_batch
        self._leases = Leases(settings.memory_mib)
        self._tickers: dict[str, Ticker] = {}  # by the fingerprint of their game
        self._acquiring = asyncio.Lock()
        self._device = Device()
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")
        self._epoch = new_id()
        self._conversations: set[stepping.Conversation] = set()
        self._reaper = asyncio.create_task(self._reap())

    async def drain(self) -> None:
        """Ends the streams, which would go on forever, once what they were asked is answered."""
        for conversation in tuple(self._conversations):
            conversation.leave()

    async def close(self) -> None:
        """Ends all leases and threads."""
        self._reaper.cancel()
        for lease in self._leases:
            self._leases.remove(lease, gone(lease.lease_id))
        for ticker in self._tickers.values():
            await ticker.close()
        self._device.close()
        self._compiler.shutdown(wait=True, cancel_futures=True)

    # Games whose state the client keeps

    async def list_games(self, request: pb.ListGamesRequest, context: Any) -> pb.ListGamesResponse:
        del request, context
        games = await self._off_loop(catalogue.installed, self._settings.games_per_batch)
        return pb.ListGamesResponse(games=games)

    async def get_capabilities(self, request: pb.EngineId, context: Any) -> pb.Capabilities:
        del context
        game = await self._off_loop(catalogue.find, request)
        return self._capabilities(game, request.env_id)

    async def reset(self, request: pb.ResetRequest, context: Any) -> pb.ResetResponse:
        del context
        game = await self._stateless(request, "Reset", request.hint)
        begun = await self._device.call(stateless.reset, game, [request.seed], kind=("reset", game))
        return pb.ResetResponse(state=begun.states, obs=begun.observations)

    async def step(self, request: pb.StepRequest, context: Any) -> pb.StepResponse:
        del context
        game = await self._stateless(request, "Step")
        return await self._device.call(stateless.step_one, game, request.state, request.action, kind=("step", game))

    async def reset_batch(self, request: pb.ResetBatchRequest, context: Any) -> pb.ResetBatchResponse:
        del context
        game = await self._stateless(request, "ResetBatch")
        return await self._device.call(stateless.reset, game, request.seeds)

    async def step_batch(self, request: pb.StepBatchRequest, context: Any) -> pb.StepBatchResponse:
        del context
        game = await self._stateless(request, "StepBatch")
        return await self._device.call(stateless.step, game, request.states, request.actions)

    # Games that stay on the device

    async def acquire(self, request: pb.AcquireRequest, context: Any) -> pb.Lease:
        del context
        game = await self._off_loop(catalogue.find, request.id)
        outputs = self._checked(game, request)
        specs = tensor_specs(game, outputs, request.num_games)
        cost = self._cost(game, request, specs)
        ticker = await self._ticker(game)
        where = self._room(ticker, request.num_games)
        try:
            self._leases.reserve(cost, f"a lease of {request.num_games} games with these outputs")
        except RefusalError:
            ticker.room.give_back(where)
            raise
        try:
            await ticker.prepare(where.size, outputs)
            begun = await ticker.call(ticker.batch.begin, where, request.seed, outputs)
        except BaseException:
            ticker.room.give_back(where)
            self._leases.free(cost)
            raise
        ttl = min(request.ttl_ms / 1000, LONGEST_TTL) or self._settings.ttl
        mode = _MODES[request.auto_reset]
        lease = Lease(new_id(), ticker, where, outputs, mode, request.trusted, ttl, self._now(), cost)
        lease.kept = reply_to(lease, 0, begun)
        self._leases.add(lease)
        return pb.Lease(
            lease_id=lease.lease_id,
            epoch=self._epoch,
            capabilities=self._capabilities(game, request.id.env_id),
            tensors=specs,
            ttl_ms=round(1000 * ttl),
            first=pb.SliceReply.FromString(lease.kept),
        )

    async def step_slice(self, request: pb.SliceRequest, context: Any) -> bytes:
        return await stepping.answer(self._leases, request, context.time_remaining())

    async def step_stream(self, requests: Any, context: Any) -> None:
        conversation = stepping.Conversation(self._leases, requests, context)
        self._conversations.add(conversation)
        try:
            await conversation.run()
        finally:
            self._conversations.discard(conversation)

    async def renew(self, request: pb.RenewRequest, context: Any) -> pb.RenewResponse:
        del context
        lease = self._leases.find(request.lease_id)
        lease.hear(self._now())
        return pb.RenewResponse(ttl_ms=round(1000 * lease.ttl))

    async def release(self, request: pb.ReleaseRequest, context: Any) -> pb.ReleaseResponse:
        del context
        self._leases.remove(self._leases.find(request.lease_id), gone(request.lease_id))
        return pb.ReleaseResponse()

    async def snapshot(self, request: pb.SnapshotRequest, context: Any) -> pb.SliceSnapshot:
        del context
        lease = self._at_rest(request.lease_id, "Snapshot")
        spec = lease.ticker.batch.game.spec
        sequence, states = lease.sequence, await lease.ticker.call(lease.ticker.batch.states, lease.where)
        return pb.SliceSnapshot(
            id=pb.EngineId(env_id=spec.env_id, build_id=spec.build_id), sequence=sequence, states=states
        )

    async def restore(self, request: pb.RestoreRequest, context: Any) -> bytes:
        del context
        lease = self._at_rest(request.lease_id, "Restore")
        game = lease.ticker.batch.game
        build, expected = request.snapshot.id.build_id, game.spec.build_id
        if build != expected:
            raise _refusal("FAILED_PRECONDITION", f"snapshot.id.build_id is {build!r}, this lease plays {expected}")
        try:
            words = codec.decode(game.spec, "state:packed_u32:v1", request.snapshot.states, lease.where.size)
            states = await self._device.call(codec.unpack_state, game, words)
        except codec.CodecError as error:
            raise _refusal("INVALID_ARGUMENT", str(error)) from error
        self._at_rest(request.lease_id, "Restore")  # still
        outcome = await lease.ticker.call(lease.ticker.batch.restore, lease.where, states, lease.outputs)
        lease.kept = reply_to(lease, lease.sequence, outcome)
        return lease.kept

    def _checked(self, game: Game[Any], request: pb.AcquireRequest) -> tuple[str, ...]:
        """The outputs that are asked for, once nothing is wrong with the request."""
        spec, outputs = game.spec, tuple(request.outputs)
        fingerprint = spec.fingerprint()
        if request.spec_fingerprint not in ("", fingerprint):
            said = f"spec_fingerprint is {request.spec_fingerprint[:80]!r}, but {spec.env_id} here is {fingerprint}"
            raise _refusal("FAILED_PRECONDITION", f"{said}: the rules or layouts differ")
        if not 1 <= request.num_games <= self._settings.games_per_batch:
            limit = f"1 to {self._settings.games_per_batch} (set by --games)"
            raise _refusal("INVALID_ARGUMENT", f"num_games is {request.num_games}, expected {limit}")
        if request.auto_reset not in _MODES:
            raise _refusal("INVALID_ARGUMENT", f"auto_reset is {request.auto_reset}, expected 0 to {max(_MODES)}")
        for name in outputs:
            if name not in spec.outputs:
                there = ", ".join(spec.outputs)
                raise _refusal("INVALID_ARGUMENT", f"{spec.env_id} has no output {name[:80]!r}: there are {there}")
        if len(set(outputs)) != len(outputs):
            raise _refusal("INVALID_ARGUMENT", f"outputs name {', '.join(outputs)}, expected each once")
        if any(name.startswith("state:") for name in outputs):
            catalogue.require_trust(spec, request.trusted, "the output state:packed_u32:v1")
        return outputs

    def _cost(self, game: Game[Any], request: pb.AcquireRequest, specs: Sequence[pb.TensorSpec]) -> int:
        """The memory of a lease, whose replies must not be larger than a message may be."""
        tensors = sum(one.num_bytes for one in specs)
        largest = 2 * tensors + request.num_games * (4 * game.spec.num_players + 5)  # where every episode ends at once
        limit = self._settings.max_message_mib
        if largest > limit * _MIB:
            raise _refusal(
                "RESOURCE_EXHAUSTED",
                f"a reply for {request.num_games} games with these outputs takes up to {largest / _MIB:.1f} MiB, more "
                f"than the {limit} MiB that the server sends at most: ask for fewer games or smaller outputs, or start "
                "the server with a larger --max-message-mib",
            )
        return cost_of(largest, request.num_games * game.spec.state_bytes)

    def _room(self, ticker: Ticker, num_games: int) -> Range:
        where = ticker.room.take(num_games)
        if where is None:
            room, env_id = ticker.room, ticker.batch.game.spec.env_id
            raise _refusal(
                "RESOURCE_EXHAUSTED",
                f"{num_games} games of {env_id} are not free: {room.free} of {room.capacity} are, at most "
                f"{room.largest} of them in one lease; try again later, or start the server with more --games",
            )
        return where

    async def _ticker(self, game: Game[Any]) -> Ticker:
        """The batch of a game, made where there is none."""
        key, games = game.spec.fingerprint(), self._settings.games_per_batch
        async with self._acquiring:
            if key not in self._tickers:
                cost = games * game.spec.state_bytes
                await self._drop_idle()
                self._leases.reserve(cost, f"a batch of {games} games of {game.spec.env_id}")
                try:
                    batch = await self._off_loop(self._make_batch, game, games)
                except BaseException:
                    self._leases.free(cost)
                    raise
                window = self._settings.window
                self._tickers[key] = Ticker(batch, self._device, self._compiler, window, self._failed)
            return self._tickers[key]

    async def _drop_idle(self) -> None:
        """Lets batches go in which nobody plays, so that a server of many games does not fill up."""
        for key, ticker in tuple(self._tickers.items()):
            if ticker.room.free == ticker.room.capacity:
                del self._tickers[key]
                self._leases.free(ticker.batch.capacity * ticker.batch.game.spec.state_bytes)
                await ticker.close()

    def _failed(self, ticker: Ticker) -> None:
        """A step has failed: the states are lost, and with them the leases."""
        why = _refusal("INTERNAL", "a step failed and the games of this lease are lost, see the server's log")
        for lease in self._leases:
            if lease.ticker is ticker:
                self._leases.remove(lease, why)
        spec = ticker.batch.game.spec
        if self._tickers.get(spec.fingerprint()) is ticker:
            del self._tickers[spec.fingerprint()]
            self._leases.free(ticker.batch.capacity * spec.state_bytes)

    def _at_rest(self, lease_id: int, what: str) -> Lease:
        """A lease of which no step is on the way, and whose client may see its states."""
        lease = self._leases.find(lease_id)
        lease.hear(self._now())
        catalogue.require_trust(lease.ticker.batch.game.spec, lease.trusted, what)
        if lease.asks:
            raise _refusal("FAILED_PRECONDITION", f"{len(lease.asks)} steps are on the way: {what} between steps")
        return lease

    async def _stateless(self, request: Any, what: str, hint: bytes = b"") -> Game[Any]:
        game = await self._off_loop(catalogue.find, request.id, hint)
        catalogue.require_trust(game.spec, request.trusted, what)
        return game

    def _capabilities(self, game: Game[Any], env_id: str) -> pb.Capabilities:
        return catalogue.capabilities(game, env_id, self._settings.games_per_batch)

    async def _off_loop(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs what may import or compile beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._compiler, function, *arguments)

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(_REAP_EVERY)
            ended = self._leases.reap(self._now(), self._settings.grace)
            if ended:
                log.info("%d leases expired", ended)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def tensor_specs(game: Game[Any], outputs: tuple[str, ...], num_games: int) -> list[pb.TensorSpec]:
    """How the tensors of a reply for so many games are laid out."""
    spec = game.spec
    return [
        pb.TensorSpec(
            encoding=name,
            shape=(num_games, *codec.row_shape(spec, name)),
            num_bytes=num_games * codec.row_bytes(spec, name),
        )
        for name in outputs
    ]


def _refusal(code: str, message: str) -> RefusalError:
    return RefusalError(grpc.StatusCode[code], message)
