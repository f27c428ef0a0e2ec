"""Kinds of flag values that several commands read."""

import argparse
from collections.abc import Callable


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Reads the value of a flag that is a number from `low` to `high`, both included."""

    def read(text: str) -> int:
        if not (text.isdecimal() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} given, expected a whole number from {low} to {high}")
        return int(text)

    return read
