"""All checks of engine.v1, in the order in which they are made: what is simple first."""

from . import descriptions, leases, standard, stateless, steps
from .subject import Check


def checks() -> list[Check]:
    """Each with the name that it is told by."""
    return [*standard.CHECKS, *descriptions.CHECKS, *stateless.CHECKS, *steps.CHECKS, *leases.CHECKS]
