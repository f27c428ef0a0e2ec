"""What is said when something is not done: to whoever starts a server, and to whoever calls it."""

import grpc


class ServingError(ValueError):
    """A server cannot be started as it was asked for."""


class Refusal(Exception):  # noqa: N818 (it is no error of the server)
    """A handler's no: the caller gets this status and this message, and nothing is logged.

    Attributes:
      code: the gRPC status.
      message: what was wrong, what was expected and what to do; the caller reads it.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
