"""The door that every call goes through: who may come in, how large a request may be, and how a no is said.

A call is looked at before its request is read, so that strangers cannot make the server hold what they send. Handlers
are wrapped once, on their first call, to raise what they like: `RefusalError` is told to the caller, anything else is
logged and told as INTERNAL without a word of what it was.

The size of a request is looked at here, up to twice the limit, so that the answer names the setting. Beyond that gRPC
itself refuses the frame unread, with RESOURCE_EXHAUSTED and its own words ("Received message larger than max").
"""

import asyncio
import contextlib
import hmac
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from .errors import RefusalError

log = logging.getLogger(__name__)

Call = Callable[[Any, Any], Awaitable[Any]]  # (request or requests, context) -> response, or None where it was written
Parse = Callable[[bytes], Any]

_HEALTH = "/grpc.health.v1.Health/"  # asked by probes, which have no token and ask on while the server drains
_STANDING = (_HEALTH, "/grpc.reflection.")  # calls that may stand forever, and for which no server waits
_MIB = 2**20
_LARGEST_FRAME = 2**31 - 1  # gRPC keeps sizes in 32 bits
_NO_TOKEN = "a token is missing: send the metadata `authorization: Bearer TOKEN` with the token this server was given"
_WRONG_TOKEN = "the token is not that of this server: ask whoever runs it, or read the file given to --token-file"
_DRAINING = "this server is about to stop and takes no more calls: try again, there or at another"
_CUT = "this server stopped before the call was finished: try again, there or at another"


class Door(grpc.aio.ServerInterceptor):
    """What stands before all services of a server; knows the calls in progress and can end them."""

    def __init__(self, token: str | None, max_message_mib: int) -> None:
        self._token = None if token is None else token.encode()
        self._max_mib = max_message_mib
        self._wrapped: dict[str, grpc.RpcMethodHandler] = {}
        self._calls: set[asyncio.Task[Any]] = set()
        self._standing: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._draining = self._closed = False

    @property
    def largest_frame(self) -> int:
        """The bytes of a request beyond which gRPC itself is to refuse."""
        return min(2 * self._max_mib * _MIB, _LARGEST_FRAME)

    @property
    def num_calls(self) -> int:
        """The calls in progress, health and reflection apart."""
        return len(self._calls)

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Finds who answers a call: its handler, wrapped, or one that refuses."""
        method = handler_call_details.method
        if not method.startswith(_HEALTH):
            if self._token is not None:
                problem = _problem(handler_call_details.invocation_metadata, self._token)
                if problem is not None:
                    return _refusing(grpc.StatusCode.UNAUTHENTICATED, problem)
            if self._draining:
                return _refusing(grpc.StatusCode.UNAVAILABLE, _DRAINING)
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:  # gRPC says that there is no such method
                return None
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    async def drain(self) -> None:
        """Takes no more calls, health checks apart, and waits until those in progress are finished."""
        self._draining = True
        if self._calls:
            await self._idle.wait()

    def close(self) -> int:
        """Ends all calls with UNAVAILABLE; returns how many were cut short, health and reflection apart."""
        self._draining = self._closed = True
        for task in self._calls | self._standing:
            task.cancel()
        return len(self._calls)

    def _wrap(self, method: str, handler: Any) -> grpc.RpcMethodHandler:
        """The same handler behind the limits of this door. Requests of a stream are parsed as it is read."""
        parse = self._parser(method, handler.request_deserializer)
        if handler.request_streaming and handler.response_streaming:
            call = self._guard(method, _writing(handler.stream_stream))
            return grpc.stream_stream_rpc_method_handler(call, parse, handler.response_serializer)
        if handler.request_streaming:
            call = self._guard(method, _serialized(handler.stream_unary, handler.response_serializer))
            return grpc.stream_unary_rpc_method_handler(call, parse)
        if handler.response_streaming:
            call = self._guard(method, _parsed(_writing(handler.unary_stream), parse))
            return grpc.unary_stream_rpc_method_handler(call, None, handler.response_serializer)
        call = self._guard(method, _parsed(_serialized(handler.unary_unary, handler.response_serializer), parse))
        return grpc.unary_unary_rpc_method_handler(call)

    def _parser(self, method: str, deserialize: Parse | None) -> Parse:
        limit = self._max_mib * _MIB

        def parse(request: bytes) -> Any:
            if len(request) > limit:
                size = f"{len(request) / _MIB:.1f} MiB, more than the {self._max_mib} MiB that this server takes"
                remedy = "send less at a time, or start the server with a larger --max-message-mib"
                raise RefusalError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the request has {size}: {remedy}")
            if deserialize is None:
                return request
            try:
                return deserialize(request)
            except Exception as error:
                expected = f"the request is no message that {method} takes: use the .proto of this server's version"
                raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, expected) from error

        return parse

    def _guard(self, method: str, call: Call) -> Call:
        calls = self._standing if method.startswith(_STANDING) else self._calls

        async def guarded(request: Any, context: Any) -> Any:
            task = asyncio.current_task()
            assert task is not None
            calls.add(task)
            try:
                if self._closed:  # its request came late
                    raise RefusalError(grpc.StatusCode.UNAVAILABLE, _DRAINING)
                return await call(request, context)
            except grpc.aio.BaseError:  # the handler has said its own no, or its caller has gone in the midst
                raise
            except RefusalError as refusal:
                await context.abort(refusal.code, refusal.message)
            except asyncio.CancelledError:
                if not self._closed:  # the caller has gone
                    raise
                await context.abort(grpc.StatusCode.UNAVAILABLE, _CUT)
            except Exception:
                log.exception("%s failed", method)
                await context.abort(grpc.StatusCode.INTERNAL, "internal error, see the server's log")
            finally:
                calls.discard(task)
                if self._draining and not self._calls:
                    self._idle.set()

        return guarded


def _problem(metadata: Sequence[tuple[str, str | bytes]], token: bytes) -> str | None:
    """What is wrong with the token that a caller sent, if anything; takes as long for any token of the right length."""
    for key, value in metadata:
        if key == "authorization":
            scheme, _, sent = (value.encode() if isinstance(value, str) else value).partition(b" ")
            if scheme.lower() == b"bearer":
                return None if hmac.compare_digest(sent.strip(), token) else _WRONG_TOKEN
    return _NO_TOKEN


def _refusing(code: grpc.StatusCode, message: str) -> grpc.RpcMethodHandler:
    """A handler that reads nothing and says no; on the wire a unary call is a stream too."""

    async def refuse(_requests: Any, context: Any) -> None:
        await context.abort(code, message)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _parsed(call: Call, parse: Parse) -> Call:
    async def parsed(request: bytes, context: Any) -> Any:
        return await call(parse(request), context)

    return parsed


def _serialized(behaviour: Any, serialize: Callable[[Any], bytes] | None) -> Call:
    """A handler's one response as bytes; one that set a code of its own may return None, as gRPC allows."""
    if not inspect.iscoroutinefunction(behaviour):
        raise TypeError(f"{behaviour} is no handler of an asyncio server: expected `async def`")
    if serialize is None:
        return behaviour

    async def serialized(request: Any, context: Any) -> bytes:
        response = await behaviour(request, context)
        return b"" if response is None and context.code() is not None else serialize(response)

    return serialized


def _writing(behaviour: Any) -> Call:
    """A handler of several responses, be it a generator or one that writes; a generator is closed when a call ends."""
    if not inspect.isasyncgenfunction(behaviour):
        if not inspect.iscoroutinefunction(behaviour):
            raise TypeError(f"{behaviour} is no handler of an asyncio server: expected `async def`")
        return behaviour

    async def writing(request: Any, context: Any) -> None:
        async with contextlib.aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return writing
