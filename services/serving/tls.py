"""Certificate and key of a server, read and held against one another before gRPC gets them, whose errors say little."""

import os
import ssl
from pathlib import Path

import grpc

from .errors import ServingError

_MAKE_ONE = "expected a certificate and its key in PEM, the key without a passphrase"


def check(certificate: Path | None, key: Path | None, client_ca: Path | None) -> None:
    """Looks whether TLS could be spoken with these files.

    Raises:
      ServingError: a file is missing, unreadable or of another kind, or the key is not that of the certificate.
    """
    if (certificate is None) != (key is None):
        lacking = "--tls-key" if key is None else "--tls-certificate"
        raise ServingError(f"TLS needs a certificate and its key: give {lacking} too")
    if client_ca is not None and certificate is None:
        raise ServingError("--tls-client-ca asks clients for certificates, which needs TLS: give --tls-certificate too")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (certificate, key, client_ca):
        if path is not None:
            read(path)
    if certificate is not None and key is not None:
        try:
            context.load_cert_chain(certificate, key, password="")  # else OpenSSL asks the terminal for a passphrase
        except ssl.SSLError as error:
            raise ServingError(f"{certificate} and {key} do not go together ({_reason(error)}): {_MAKE_ONE}") from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise ServingError(f"{client_ca} holds no certificate in PEM ({_reason(error)})") from error


def credentials(certificate: Path, key: Path, client_ca: Path | None) -> grpc.ServerCredentials:
    """The same for gRPC; with `client_ca` only clients whose certificate it signed may connect."""
    authority = read(client_ca) if client_ca is not None else None
    pair = (read(key), read(certificate))
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def read(path: Path) -> bytes:
    """The bytes of a file that the user named.

    Raises:
      ServingError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServingError(f"cannot read {os.fspath(path)}: {error.strerror}") from error


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
