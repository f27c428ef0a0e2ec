"""What to say where a library is missing."""


def missing(package: str) -> ModuleNotFoundError:
    """The error that names the extra."""
    message = f"this wrapper needs the package {package}; install it by: pip install 'cartridge-rl[wrappers]'"
    return ModuleNotFoundError(message, name=package)
