"""The manners that every gRPC server of ours has: where it listens, whom it lets in, how it says no and how it goes.

A server is `serve(serving, services, say)`: settings, what to serve, and where to print the line with the address.
"""

from .arguments import add_arguments, from_args
from .dialogue import Dialogues, leaving
from .errors import RefusalError, ServingError
from .server import Service, serve
from .settings import Serving

__all__ = [
    "Dialogues",
    "RefusalError",
    "Service",
    "Serving",
    "ServingError",
    "add_arguments",
    "from_args",
    "leaving",
    "serve",
]
