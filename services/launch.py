"""What must be in the environment before JAX starts. The command line calls it first; nothing else sets variables."""

import os
from collections.abc import MutableMapping
from pathlib import Path

_DEFAULTS = {
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5",  # torch's allocator needs the rest of the accelerator's memory
    "TF_CPP_MIN_LOG_LEVEL": "2",  # tensorboard and XLA otherwise greet every start with notices
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1.0",
}


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets JAX's share of memory and its compile cache, where the user has not."""
    for name, value in _DEFAULTS.items():
        environment.setdefault(name, value)
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(compile_cache(environment)))


def share_accelerator(environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets JAX, here and in processes that are started here, take no more of an accelerator's memory than it uses."""
    environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def use_threads(num_threads: int, environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets JAX compute on a CPU with so many threads of its own.

    For a server, whose other threads want cores too: with two on two cores, a step of 16,384 games of Connect Four
    waits for the one that has lost its core, and takes twice the processor time.
    """
    environment["NPROC"] = str(num_threads)  # which PJRT's CPU client takes for the number of cores


def compile_cache(environment: MutableMapping[str, str] = os.environ) -> Path:
    """Where compiled programs are kept between runs."""
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "cartridge" / "jax"
