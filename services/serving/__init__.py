"""The manners that every gRPC server of ours has: where it listens, whom it lets in, how it says no and how it goes."""

from .arguments import add_arguments, from_args
from .errors import Refusal, ServingError
from .settings import Serving

__all__ = ["Refusal", "Serving", "ServingError", "add_arguments", "from_args"]
