"""C sources of the benchmark, compiled for the processor at hand when they are called."""

import ctypes
import subprocess
import tempfile
from pathlib import Path
from shutil import which

import numpy as np

_FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC", "-pthread")


def compiler() -> str | None:
    """The C compiler, if this machine has one."""
    return which("cc")


def load(source: Path) -> ctypes.CDLL:
    """Compiles and loads a library of functions that return int, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / f"{source.stem}.so"
        command = [compiler() or "cc", *_FLAGS, "-o", str(library), str(source), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(library))  # stays loaded when the file is gone


def address(array: np.ndarray) -> ctypes.c_void_p:
    """Where the numbers of an array lie, for a function that takes a pointer."""
    return array.ctypes.data_as(ctypes.c_void_p)


def compiler_version() -> str:
    """As the compiler tells it."""
    told = subprocess.run([compiler() or "cc", "-dumpfullversion"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"
