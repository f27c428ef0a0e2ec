"""How a server is to be reached, checked as it is put together: what is dangerous is refused or warned of here."""

import math
import string
from dataclasses import dataclass, field
from pathlib import Path

from ...proto.channel import MESSAGE_MIB
from . import tls
from .address import Address, parse
from .errors import ServingError

MOST_MIB = 1024  # protobuf itself ends at 2 GiB
_TOKEN_LETTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


@dataclass(frozen=True)
class Serving:
    """The settings of a server.

    Beyond loopback an address needs TLS or a token. Certificates are read as the server starts and not again.

    Attributes:
      address: `host:port`, `[::1]:port` or `unix:/path`; port 0 lets the system choose.
      tls_certificate, tls_key: files in PEM; both or none.
      tls_client_ca: where given, only clients with a certificate of this authority may connect.
      token: where given, what callers send as `authorization: Bearer TOKEN`; health checks alone need none.
      max_message_mib: the largest request.
      reflection: whether tools such as grpcurl may ask for the services and messages.
      drain_seconds: how long calls in progress may take as the server stops.

    Raises:
      ServingError: a setting is wrong, or the server would be open to strangers.
    """

    address: str
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    token: str | None = field(default=None, repr=False)
    max_message_mib: int = MESSAGE_MIB
    reflection: bool = True
    drain_seconds: float = 10.0

    def __post_init__(self) -> None:
        place = self.place
        tls.check(self.tls_certificate, self.tls_key, self.tls_client_ca)
        if self.token is not None:
            check_token(self.token)
        if not 1 <= self.max_message_mib <= MOST_MIB:
            raise ServingError(f"max_message_mib is {self.max_message_mib}, expected 1 to {MOST_MIB}")
        if not (math.isfinite(self.drain_seconds) and self.drain_seconds >= 0):
            raise ServingError(f"drain_seconds is {self.drain_seconds}, expected 0 or more")
        if not place.local and self.tls_certificate is None and self.token is None:
            raise ServingError(
                f"{place} can be reached from other machines, and anyone there could call: give --token-file, "
                "best with --tls-certificate and --tls-key, or listen on 127.0.0.1 or unix:PATH"
            )

    @property
    def place(self) -> Address:
        """The address, read."""
        return parse(self.address)

    def cautions(self) -> list[str]:
        """What is permitted and yet not safe on every network, a sentence each."""
        if self.place.local:
            return []
        if self.tls_certificate is None:
            return [
                f"{self.place} is reached without TLS: whoever can listen on the network between can read the token "
                "and all else; give --tls-certificate and --tls-key unless that network is your own"
            ]
        if self.token is None and self.tls_client_ca is None:
            return [f"{self.place} lets anyone call: give --token-file or --tls-client-ca unless that is meant"]
        return []


def check_token(token: str) -> None:
    """Raises `ServingError` for a token with blanks or other letters, which a header does not carry as they are."""
    if not token:
        raise ServingError("the token is empty: expected one line of letters, digits and signs, such as a random one")
    if not _TOKEN_LETTERS.issuperset(token):
        raise ServingError("the token has blanks or letters beyond ASCII: expected one line of letters, digits, signs")
