"""What is said when something is not done: to whoever starts a server, and to whoever calls it."""

import grpc


class ServingError(ValueError):
    """A server cannot be started as it was asked for."""


class RefusalError(Exception):
    """A handler's no, which is no error of the server: the caller gets this status and message, and nothing is logged.

    Attributes:
      code: the gRPC status.
      message: what was wrong, what was expected and what to do; the caller reads it.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
