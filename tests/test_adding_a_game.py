"""The guide to adding a game is true: its listings are the example, and the example, installed, does what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDE = (DOCS / "adding-a-game.md").read_text()
EXAMPLE = DOCS / "examples" / "cartridge-nim"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed example."""
    source, target = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("target")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *offline, "--target", target, source], check=True, timeout=300)
    return target


def python(installed: Path, *words: str) -> str:
    """What Python prints when it knows the installed example and stands elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "JAX_PLATFORMS": "cpu"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(installed / "cache")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words], cwd=installed, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def command(installed: Path, line: str) -> str:
    """What a command of the guide prints; flags may follow what the guide says."""
    assert any(line.startswith(one) for one in re.findall(r"^cartridge .*$", GUIDE, re.MULTILINE)), line
    return python(installed, "-m", "cartridge.services.cli", *line.split()[1:])


def lines(text: str) -> list[str]:
    """All but the empty ones."""
    return [line for line in text.splitlines() if line.strip()]


def test_the_listings_of_the_guide_are_the_whole_example() -> None:
    listings: dict[str, str] = {}
    for name, text in re.findall(r"^```\w+ title=(\S+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL):
        listings[name] = listings.get(name, "") + text
    files = {path.name: path.read_text() for path in EXAMPLE.iterdir() if path.suffix in (".py", ".toml")}
    assert listings.keys() == files.keys()
    for name, text in files.items():
        assert lines(listings[name]) == lines(text), name


def test_the_game_is_listed(installed: Path) -> None:
    rows = {row["env_id"]: row for row in json.loads(command(installed, "cartridge games --json -"))}
    assert rows["nim"]["state_bytes"] == 8
    assert not [row for row in rows.values() if "broken" in row]


def test_the_game_keeps_the_laws_that_the_guide_names(installed: Path) -> None:
    shown = command(installed, "cartridge games --check nim --games 8")
    held = re.findall(r"^  ✓ (.+?) +\d+\.\d s$", shown, re.MULTILINE)
    rows = re.findall(r"^\| (.+?) \|", GUIDE.split("| law |")[1].split("\n\n")[0], re.MULTILINE)
    assert sorted(held) == sorted(", ".join(row for row in rows if row != "---").split(", "))
    assert shown.endswith("nim keeps every law\n")


def test_the_game_is_played(installed: Path) -> None:
    code = """
import cartridge
for env_id in ("nim", "nim:misere=1"):
    env, game = cartridge.make(env_id, 2, output="numpy"), cartridge.make_game(env_id)
    env.reset()
    for pair in ("a1 d7", "b3 c5", "c5 b3", "d7 a1"):
        step = env.step([game.parse_action(move) for move in pair.split()])
    print(step.reward.tolist(), step.terminated.tolist())
"""
    won, lost = python(installed, "-c", code).splitlines()
    assert won == "[[-1.0, 1.0], [-1.0, 1.0]] [True, True]"  # player 1 took the last counter
    assert lost == "[[1.0, -1.0], [1.0, -1.0]] [True, True]"


def test_the_facts_from_outside_hold(installed: Path) -> None:
    shutil.copy(EXAMPLE / "test_cartridge_nim.py", installed)
    shown = python(installed, "-m", "pytest", "-q", "-k", "not laws", "test_cartridge_nim.py")
    assert "3 passed, 1 deselected" in shown


@pytest.mark.long
def test_the_game_is_measured(installed: Path) -> None:
    shown = command(installed, "cartridge bench engine --game nim --mode random --batch 256 --repeats 5")
    assert re.search(r"nim .* random .* cartridge .* 256 ", shown), shown
