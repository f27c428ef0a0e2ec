"""The front of the command line: quick to answer, and it loads no more than it needs."""

import subprocess
import sys


def modules_after(code: str) -> set[str]:
    """The modules loaded once `code` has run in a fresh process."""
    tail = "; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_help_loads_nothing_heavy() -> None:
    loaded = modules_after("from cartridge.services import cli; cli.main(['--help'])")
    assert "cartridge.services.cli" in loaded
    assert not loaded & {"jax", "torch", "numpy", "rich", "flax", "tensorboard"}


def test_help_lists_the_commands(cartridge) -> None:
    done = cartridge("--help")
    assert done.returncode == 0
    for name in ("games", "train", "eval", "play", "bench", "replay", "doctor"):
        assert f"  {name} " in done.stdout


def test_version(cartridge) -> None:
    assert cartridge("--version").stdout.startswith("cartridge 0.")


def test_no_command_is_an_error(cartridge) -> None:
    assert cartridge().returncode == 2


def test_every_setting_has_a_flag(cartridge) -> None:
    from cartridge.services import config

    text = cartridge("train", "--help").stdout
    for section, settings in config.sections().items():
        for key in settings:
            assert f"--{section}.{key.replace('_', '-')}" in text.replace("\n", " ")
