"""The flags that every `cartridge serve` command has. The token is never one: command lines can be read by others."""

import argparse
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path

from ...proto.channel import MESSAGE_MIB
from ..flags import whole_number
from . import tls
from .errors import ServingError
from .settings import MOST_MIB, Serving

TOKEN_VARIABLE = "CARTRIDGE_TOKEN"
_LONGEST_DRAIN = 3600  # seconds


def add_arguments(parser: argparse.ArgumentParser, default_port: int) -> None:
    """Adds the flags; without any, the server listens on `default_port` of the loopback interface."""
    add = parser.add_argument_group("how it is reached").add_argument
    where = "HOST:PORT, [::1]:PORT or unix:PATH; port 0 takes a free one (default: %(default)s)"
    add("--address", default=f"127.0.0.1:{default_port}", help=where)
    add("--tls-certificate", type=Path, metavar="FILE", help="speak TLS, with this certificate chain in PEM")
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's key in PEM")
    authority = "let in only clients with a certificate that this authority, in PEM, has signed"
    add("--tls-client-ca", type=Path, metavar="FILE", help=authority)
    token = f"let in only callers that send the token in this file (or in {TOKEN_VARIABLE}) as a bearer token"
    add("--token-file", type=Path, metavar="FILE", help=token)
    size = whole_number(1, MOST_MIB)
    add("--max-message-mib", type=size, metavar="N", default=MESSAGE_MIB, help="largest request (default: %(default)s)")
    add("--no-reflection", action="store_true", help="do not tell tools such as grpcurl what can be called")
    drain = "how long calls in progress may take once the server is told to stop (default: %(default)s)"
    add("--drain-seconds", type=whole_number(0, _LONGEST_DRAIN), metavar="S", default=10, help=drain)


def from_args(args: argparse.Namespace, environ: Mapping[str, str]) -> Serving:
    """The settings that the flags and the variable give; the flag is the stronger.

    Warns of a secret's file that others on the machine can read. That is no refusal, since the secrets that
    Kubernetes and Compose mount are such files.

    Raises:
      ServingError: as `Serving`, or the token's file cannot be read.
    """
    for secret in (args.token_file, args.tls_key):
        if secret is not None:
            _warn_if_shared(secret)
    return Serving(
        address=args.address,
        tls_certificate=args.tls_certificate,
        tls_key=args.tls_key,
        tls_client_ca=args.tls_client_ca,
        token=read_token(args.token_file, environ),
        max_message_mib=args.max_message_mib,
        reflection=not args.no_reflection,
        drain_seconds=args.drain_seconds,
    )


def read_token(path: Path | None, environ: Mapping[str, str]) -> str | None:
    """The token in a file, or in the variable where no file is given.

    Raises:
      ServingError: the file cannot be read.
    """
    if path is None:
        return environ.get(TOKEN_VARIABLE)
    try:
        return tls.read(path).decode().strip()
    except UnicodeDecodeError as error:
        raise ServingError(f"{path} holds no token: expected one line of text") from error


def _warn_if_shared(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # said where it is read
    if mode & 0o077:
        advice = f"others on this machine can read {path} (mode {mode:o}): make it yours alone with chmod 600"
        warnings.warn(advice, stacklevel=3)
