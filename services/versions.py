"""Which packages a result was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

CORE = ("jax", "jaxlib", "flax", "mctx", "torch", "numpy", "safetensors")


def package_versions(names: tuple[str, ...] = CORE) -> dict[str, str]:
    """Python's version and those of `names`; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in names:
        if (number := installed(name)) is not None:
            found[name] = number
    return found


def installed(name: str) -> str | None:
    """The version of a distribution, None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
