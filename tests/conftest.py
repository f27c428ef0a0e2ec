"""Every test runs strictly: rank promotion raises, warnings are errors (see pyproject.toml)."""

import importlib.util
import os
import pathlib
import signal
import sys
from types import ModuleType

import jax
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores, on which torch's threads would wait busily
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell without job control starts what it puts in the background with Ctrl-C ignored, and children inherit that:
# a command whose test presses Ctrl-C would never hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def small_games() -> ModuleType:
    """The module `games_for_tests.py`, loaded by its path since tests are no package."""
    path = pathlib.Path(__file__).parent / "games_for_tests.py"
    spec = importlib.util.spec_from_file_location("games_for_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
