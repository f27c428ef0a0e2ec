"""How clients reach a server: channels with TLS and tokens, and how long a client tries before it gives up."""

import dataclasses
import random
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import grpc.aio

from ..proto.channel import client_options

# What another try may mend; each call of ours is safe to send again.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallError(RuntimeError):
    """A server refused a call, or could not be reached.

    Attributes:
      code: the gRPC status.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code


class LeaseLostError(CallError):
    """The lease has expired or was given back, or the server was started anew: acquire another."""


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What a server may ask of its clients. Without any the channel is plain.

    Attributes:
      token: a bearer token.
      authority: a PEM file with the certificate to check the server's by; it turns TLS on.
      certificate, key: PEM files of the client's own, where the server wants one.
    """

    token: str | None = dataclasses.field(default=None, repr=False)
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)

    def open(self, address: str) -> grpc.Channel:
        """A channel to `HOST:PORT` or `unix:PATH`."""
        secret, target = self._secret(), _target(address)
        if secret is None:
            return grpc.insecure_channel(target, options=client_options())
        return grpc.secure_channel(target, secret, options=client_options())

    def open_aio(self, address: str) -> grpc.aio.Channel:
        """The same for asyncio; call it in a running loop."""
        secret, target = self._secret(), _target(address)
        if secret is None:
            return grpc.aio.insecure_channel(target, options=client_options())
        return grpc.aio.secure_channel(target, secret, options=client_options())

    def _secret(self) -> grpc.ChannelCredentials | None:
        if self.authority is None:
            return None
        own = [None if path is None else path.read_bytes() for path in (self.key, self.certificate)]
        return grpc.ssl_channel_credentials(self.authority.read_bytes(), *own)


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a client tries again while a server cannot be reached.

    Attributes:
      seconds: in all, for one call; infinity for a program that has nothing else to do.
      first, longest: seconds of the first pause between tries and of the longest; each is about twice the one before.
      notice: told of each try that failed and will be made again; what it raises ends the call.
    """

    seconds: float = 30.0
    first: float = 0.05
    longest: float = 2.0
    notice: Callable[[CallError], None] | None = None

    def go_on(self, lost: CallError, pauses: Iterator[float]) -> float:
        """Seconds to wait before the next try; raises `lost` where there is none."""
        pause = next(pauses, None) if passing(lost) else None
        if pause is None:
            raise lost
        if self.notice is not None:
            self.notice(lost)
        return pause

    def pauses(self) -> Iterator[float]:
        """Seconds to wait before each further try, of random length so that clients do not come back all at once."""
        spent, pause = 0.0, self.first
        while spent < self.seconds:
            wait = min(pause * random.uniform(0.5, 1.0), self.seconds - spent)
            yield wait
            spent += wait
            pause = min(2 * pause, self.longest)


def passing(error: CallError) -> bool:
    """Whether another try may succeed."""
    return error.code in _PASSING


def told(error: grpc.RpcError) -> CallError:
    """The same in our words."""
    details = error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else ""
    return call_error(_code(error), details or "")


def refused(number: int, message: str, *, of_lease: bool = False) -> CallError:
    """A server's no to one request of a stream, whose status came as a number."""
    return call_error(_CODES.get(number, grpc.StatusCode.UNKNOWN), message, of_lease=of_lease)


def call_error(code: grpc.StatusCode, message: str, *, of_lease: bool = False) -> CallError:
    """A server's no."""
    return (LeaseLostError if of_lease and code is grpc.StatusCode.NOT_FOUND else CallError)(code, message)


def full_names(there: Sequence[str], wanted: Sequence[str], whose: str) -> list[str]:
    """Full names of outputs: `obs` is the smallest layout that holds an observation, `obs:f32` the one in floats.

    Raises:
      ValueError: one that is not `there`.
    """
    found = []
    for name in wanted:
        fitting = [full for full in there if full == name or _is_short_for(name, full)]
        if not fitting:
            raise ValueError(f"{whose} has no output {name!r}: there are {', '.join(there)}")
        found.append(fitting[-1])  # layouts of an observation go from large to small
    return found


def _is_short_for(name: str, full: str) -> bool:
    """`obs`, `obs:bits` and `obs:bits84` are short for `obs:bits84:v1`."""
    return bool(name) and full.startswith(name) and full[len(name) : len(name) + 1] in ":x0123456789"


def _target(address: str) -> str:
    """The address in gRPC's spelling, which decodes the paths of socket files as it does those of URLs."""
    scheme, _, path = address.partition(":")
    return f"unix:{urllib.parse.quote(path)}" if scheme == "unix" else address


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    return error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN
