"""The examples of the documents play on a real server, each built as it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLES, PROTO = ROOT / "docs/examples", ROOT / "proto"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree with the contract where the examples look for it, to build in."""
    contract = "engine/v1/engine.proto"
    (tmp_path / "proto/engine/v1").mkdir(parents=True)
    shutil.copy(PROTO / contract, tmp_path / "proto" / contract)
    return tmp_path / "docs/examples"


def copied(folder: Path, name: str) -> Path:
    """An example without what somebody may have built in it."""
    ignored = shutil.ignore_patterns("node_modules", "engine", "__pycache__")
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=ignored))


def played(line: list[str], where: Path) -> None:
    """Runs a client, which plays 200 steps of 256 games with legal actions alone."""
    found = subprocess.run(line, cwd=where, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    told = re.fullmatch(r"51200 moves, (\d+) games over, 0 illegal, [\d,]+ moves/s\n", found.stdout)
    assert told, found.stdout
    assert 51200 / 42 < int(told[1]) < 51200 / 7  # a game takes 7 to 42 moves


def test_a_client_with_plain_grpcio_plays(server: str, folder: Path) -> None:
    where = copied(folder, "plain-client")
    made = "-m grpc_tools.protoc -I../../../proto --python_out=. --grpc_python_out=. engine/v1/engine.proto"
    assert made in (where / "play.py").read_text()  # as its users are told
    subprocess.run([sys.executable, *made.split()], cwd=where, check=True, timeout=60)
    played([sys.executable, "play.py", server], where)


@pytest.mark.long
def test_a_client_in_nodejs_plays(server: str, folder: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node.js here")
    where = copied(folder, "node-client")
    words = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000"]
    try:
        got = subprocess.run(words, cwd=where, capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip("npm took too long to get the modules")
    if got.returncode != 0:
        pytest.skip(f"npm cannot get the modules: {got.stderr.strip()[-200:]}")
    played([node, "play.mjs", server], where)
