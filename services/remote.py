"""What actors and learners have in common that run as processes of their own: how they reach the services and wait."""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from ..client import CallError, Credentials, Patience
from .serving import ServingError, tls
from .serving.arguments import TOKEN_VARIABLE, read_token
from .serving.settings import check_token
from .stopping import Stop

WAIT_SECONDS = 2.0  # that a server may hold a call up: for so long a signal is not heard
_SAY_AGAIN = 30.0  # seconds


class StoppedError(Exception):
    """Asked to stop while a server could not be reached."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say where the services are and how they let callers in."""
    add = parser.add_argument_group("the services").add_argument
    where = "HOST:PORT or unix:PATH (default: %(default)s)"
    add("--replay", default="127.0.0.1:50052", metavar="ADDRESS", help=f"replay: {where}")
    add("--weights", default="127.0.0.1:50053", metavar="ADDRESS", help=f"weights: {where}")
    add_credentials(add)


def add_credentials(add: Callable[..., Any]) -> None:
    """The flags that `credentials` reads; `add` is the `add_argument` of a parser or a group of its."""
    token = f"a file with the token that they ask for (or in {TOKEN_VARIABLE})"
    add("--token-file", type=Path, metavar="FILE", help=token)
    authority = "speak TLS, and know them by the certificate of this authority, in PEM"
    add("--tls-authority", type=Path, metavar="FILE", help=authority)
    add("--tls-certificate", type=Path, metavar="FILE", help="a certificate of one's own in PEM, where they want one")
    add("--tls-key", type=Path, metavar="FILE", help="its key in PEM")


def credentials(args: argparse.Namespace) -> Credentials:
    """What the flags say.

    Raises:
      ServingError: a file cannot be read, or a flag lacks another.
    """
    token = read_token(args.token_file, os.environ)
    if token is not None:
        check_token(token)
    authority, certificate, key = args.tls_authority, args.tls_certificate, args.tls_key
    if (certificate is None) != (key is None):
        lacking = "--tls-key" if key is None else "--tls-certificate"
        raise ServingError(f"a certificate of one's own goes with its key: give {lacking} too")
    if certificate is not None and authority is None:
        raise ServingError("a certificate of one's own is for TLS: give --tls-authority too, to know the servers by")
    for path in (authority, certificate, key):
        if path is not None:
            tls.read(path)
    return Credentials(token, authority, certificate, key)


class Waiting:
    """Tells of what is waited for, once and then now and again, and ends the waiting when it is told to stop.

    Args:
      clock: seconds.
    """

    def __init__(self, stop: Stop, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._stop, self._say, self._clock = stop, say, clock
        self._said: dict[str, float] = {}  # what is waited for -> when it was last told

    def patience(self, what: str) -> Patience:
        """For a client of `what` that is tried as long as it takes."""
        return Patience(math.inf, notice=lambda error: self.on(what, str(error)))

    def on(self, what: str, why: str) -> None:
        """Something did not come yet.

        Raises:
          StoppedError: nothing is to be waited for any more.
        """
        if self._stop.asked:
            raise StoppedError
        now = self._clock()
        if now - self._said.get(what, -math.inf) > _SAY_AGAIN:
            self._say(f"waiting for {what}: {why}")
            self._said[what] = now

    def over(self, what: str) -> None:
        """It has come."""
        if self._said.pop(what, None) is not None:
            self._say(f"{what}: going on")


def is_wait(error: CallError) -> bool:
    """Whether a server has only said that there is nothing to do yet, or no room."""
    return error.code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
