"""Where a server listens: a host and a port, or a socket file. Says whether strangers could call there."""

import errno
import ipaddress
import os
import socket
import stat
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from .errors import ServingError

_EXPECTED = "expected HOST:PORT, such as 127.0.0.1:50051 or [::1]:50051, or unix:PATH"
_LONGEST_PATH = 107  # bytes; the kernel's structure holds 108 with the zero at the end


@dataclass(frozen=True)
class Address:
    """Either `path`, that of a socket file, or `host` and `port`. Port 0 lets the system choose."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def for_grpc(self) -> str:
        """The same in gRPC's spelling, which decodes the paths of socket files as it does those of URLs."""
        return f"unix:{urllib.parse.quote(self.path)}" if self.path else str(self)

    @property
    def local(self) -> bool:
        """Whether only this machine can call. A name other than localhost is not looked up and counts as no."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(text: str) -> Address:
    """Reads an address.

    Raises:
      ServingError: it is none, or the path is too long for a socket file.
    """
    scheme, _, path = text.partition(":")
    if scheme == "unix":
        path = path.removeprefix("//")
        if not path or len(os.fsencode(path)) > _LONGEST_PATH:
            raise ServingError(f"{text!r} names no socket file: expected unix:PATH of 1 to {_LONGEST_PATH} bytes")
        return Address(path=path)
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise ServingError(f"{text!r} has no port from 0 to 65535: {_EXPECTED}")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    if not name or bracketed != (":" in name) or any(character in name for character in "[]/ "):
        raise ServingError(f"{text!r} has no host: {_EXPECTED}")
    return Address(host=name, port=int(port))


def check_free(address: Address) -> None:
    """Looks whether a server could listen there, since gRPC does not say why it could not.

    A socket file is replaced by gRPC, be its server dead or alive: the one that lives is found here.

    Raises:
      ServingError: another server listens there, or the system does not permit it.
    """
    if address.path:
        _check_path(address)
    else:
        _check_port(address)


def _check_port(address: Address) -> None:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServingError(f"cannot listen on {address}: {error.strerror}; {_EXPECTED}") from error
    problems = [problem for family, _, _, _, where in found if (problem := _bind(family, where))]
    taken = [problem for problem in problems if problem.errno in (errno.EADDRINUSE, errno.EACCES)]
    if taken or len(problems) == len(found):  # a machine without IPv6 has a localhost all the same
        problem = (taken or problems)[0]
        raise ServingError(f"cannot listen on {address}: {problem.strerror}; {_remedy(problem)}") from problem


def _bind(family: int, where: tuple[object, ...]) -> OSError | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC: connections may still be closing
            probe.bind(where)
    except OSError as error:
        return error
    return None


def _remedy(problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return "stop the server that is there, or choose another port with --address (port 0 takes a free one)"
    if problem.errno == errno.EACCES:
        return "choose a port above 1023 with --address"
    return "choose an address of this machine with --address"


def _check_path(address: Address) -> None:
    path = Path(address.path)
    if not path.parent.is_dir():
        raise ServingError(f"cannot listen on {address}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ServingError(f"cannot listen on {address}: no permission to write to {path.parent}; choose another")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ServingError(f"cannot listen on {address}: it is there and is no socket; remove it or choose another")
    problem = _connect(address.path)
    if problem is None or problem.errno != errno.ECONNREFUSED:
        said = "another server listens there" if problem is None else problem.strerror
        raise ServingError(f"cannot listen on {address}: {said}; stop that server or choose another path")


def _connect(path: str) -> OSError | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a server that is too busy to answer is alive all the same
        try:
            probe.connect(path)
        except OSError as error:
            return error
    return None
