"""The wheel holds all that a user needs: it is built, installed in an empty folder and used from elsewhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel."""
    source, target = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("target")
    unwanted = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = source / "dist"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source], check=True, timeout=300)
    subprocess.run([*pip, "install", "--no-deps", "--target", target, next(wheels.glob("*.whl"))], check=True)
    return target


def python(installed: Path, *words: str) -> str:
    """What Python prints when it knows the installed wheel and stands elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words], cwd=installed, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_the_wheel_that_runs(installed: Path) -> None:
    assert python(installed, "-c", "import cartridge; print(cartridge.__file__)").startswith(str(installed))


def test_games_are_listed(installed: Path) -> None:
    assert "connect4" in python(installed, "-m", "cartridge.services.cli", "games")


def test_package_data_is_there(installed: Path) -> None:
    code = "from cartridge.services.positions import builtin_positions as b; print(b('connect4').stat().st_size)"
    assert int(python(installed, "-c", code)) > 100_000
    assert (installed / "cartridge" / "py.typed").exists()


def test_no_tests_and_no_generic_names_are_installed(installed: Path) -> None:
    names = {entry.name for entry in installed.iterdir() if not entry.name.endswith(".dist-info")}
    assert names <= {"cartridge", "bin", "__pycache__"}
    assert not (installed / "cartridge" / "tests").exists()


def test_every_room_is_packaged(installed: Path) -> None:
    code = (
        "import json, pkgutil, cartridge; "
        "print(json.dumps([m.name for m in pkgutil.walk_packages(cartridge.__path__, 'cartridge.') if m.ispkg]))"
    )
    found = set(json.loads(python(installed, "-c", code)))
    rooms = {f"cartridge.{folder.parent.name}" for folder in ROOT.glob("*/__init__.py")}
    assert rooms <= found
