"""Whether a server, be it ours or another's, keeps a contract: checks that know it by its messages alone."""

from .engine_v1 import checks
from .subject import Check, Result, Subject, examine

__all__ = ["Check", "Result", "Subject", "checks", "examine"]
