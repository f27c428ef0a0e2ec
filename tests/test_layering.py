"""Who may import whom, read from the source: the rooms of the house stay apart.

Inside the package a room reaches another by a relative import; an absolute one would load a second copy of every class.
"""

import ast
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]

ROOMS = ("engine", "games", "actor", "replay", "learner", "services", "bench", "proto", "client")
ROOT_NAMES = (
    "VectorEnv",
    "__version__",
    "list_games",
    "make",
    "make_game",
    "registry",
    "to_dm_env",
    "to_gymnasium",
    "to_gymnasium_vector",
    "to_openspiel",
    "to_pettingzoo",
)

# What a file in each room may import from the rest of the package, by the path's beginning. Its own room always.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "engine": (),
    "games": ("engine",),
    "actor": ("engine",),
    "replay": ("engine",),
    "learner": ("engine.spec", "engine.border"),
    "proto": (),
    "bench": (*ROOMS, *ROOT_NAMES),
    "services": (*ROOMS, *ROOT_NAMES),
    "": ("engine", "games"),  # registry.py and the front door
    "client": ("engine.spec", "engine.codec", "proto"),
}
LOADS_JAX = ("jax", "jaxlib", "flax", "optax", "mctx", "chex", "orbax")
ONLY_IN: dict[str, tuple[str, ...]] = {  # outside packages that belong to some rooms alone
    "torch": ("learner", "engine/border.py", "engine/vector_env.py", "services", "bench"),
    "grpc": ("services", "proto", "client", "bench"),
    "sqlalchemy": ("services",),
    "fastapi": ("services",),
    "tensorboard": ("services",),
    "threading": ("services", "bench", "replay/owner.py"),
    "time": ("services", "bench", "client"),
    "datetime": ("services", "bench"),
    "pyarrow": ("services/parquet.py",),
    "pgx": ("bench",),
    "pyspiel": ("bench", "engine/wrappers"),
    "gymnasium": ("engine/wrappers",),
    "pettingzoo": ("engine/wrappers",),
    "dm_env": ("engine/wrappers",),
}
NAMELESS = ("utils.py", "common.py", "helpers.py", "misc.py")


def imports(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """(line, module with dots, whether inside `cartridge`) of every import; `package` is where the file lies."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, False
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or "", False
        elif isinstance(node, ast.ImportFrom):
            home = package[: len(package) - (node.level - 1)]
            base = ".".join([*home, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}" if base else alias.name, True


def violations(path: str, source: str) -> list[str]:
    """What is wrong with the imports of the file at `path`, relative to the repository."""
    *package, name = path.split("/")
    room = package[0] if package else ""
    allowed = MAY_IMPORT[room]
    found = [f"{path}: name the thing, {name} says nothing"] if name in NAMELESS else []
    for line, module, inside in imports(source, tuple(package)):
        where, top = f"{path}:{line}", module.split(".")[0]
        if not inside:
            is_proto = module == "cartridge.proto" or module.startswith("cartridge.proto.")
            if (top in ROOMS or top == "cartridge") and not is_proto:
                found.append(f"{where}: {module} is absolute; write a relative import")
            if room == "learner" and top in LOADS_JAX:
                found.append(f"{where}: {module} loads JAX, which the learner reaches by engine.border alone")
            homes = ONLY_IN.get(top)
            if homes is not None and not any(path == home or path.startswith(home + "/") for home in homes):
                found.append(f"{where}: {module} belongs to {', '.join(homes)}")
        elif (top if top in ROOMS else "") != room and not any(f"{module}.".startswith(f"{one}.") for one in allowed):
            found.append(f"{where}: {room or 'the root'} may not import {module}")
    if room not in ("services", "bench") and path != "engine/border.py":
        found += [f"{path}:{line}: the environment belongs to services" for line in environment_reads(source)]
    return found


def environment_reads(source: str) -> list[int]:
    """Lines that name `environ` or `getenv`."""
    names = ((node.lineno, node.attr) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return [line for line, name in names if name in ("environ", "getenv")]


def source_files() -> list[pathlib.Path]:
    files = [path for room in ROOMS if room != "proto" for path in (ROOT / room).rglob("*.py")]
    return sorted([*files, *ROOT.glob("*.py")])


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_every_room_imports_only_what_it_may(room: str) -> None:
    files = [path for path in source_files() if path.relative_to(ROOT).parts[:-1][:1] == ((room,) if room else ())]
    assert files or room == "proto"
    found = [line for path in files for line in violations(path.relative_to(ROOT).as_posix(), path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("engine/x.py", "from ..games import tictactoe", "engine may not import games.tictactoe"),
        ("engine/x.py", "def f():\n    from ..games.tictactoe import TicTacToe", "engine/x.py:2: engine may not"),
        ("engine/wrappers/x.py", "from ...actor import search", "engine may not import actor.search"),
        ("engine/x.py", "import gymnasium", "gymnasium belongs to engine/wrappers"),
        ("services/x.py", "from pettingzoo import AECEnv", "pettingzoo belongs to engine/wrappers"),
        ("games/x.py", "from engine import bits", "engine is absolute"),
        ("games/x.py", "import cartridge.engine.bits", "cartridge.engine.bits is absolute"),
        ("games/x.py", "from ..actor.network import Network", "games may not import actor.network.Network"),
        ("actor/x.py", "from ..replay import ring", "actor may not import replay.ring"),
        ("replay/x.py", "from .. import learner", "replay may not import learner"),
        ("learner/x.py", "from ..engine import batch", "learner may not import engine.batch"),
        ("learner/x.py", "from ..engine.transition import start", "learner may not import engine.transition.start"),
        ("learner/x.py", "import jax.numpy as jnp", "jax.numpy loads JAX"),
        ("learner/x.py", "from flax import linen", "flax loads JAX"),
        ("actor/x.py", "import torch", "torch belongs to"),
        ("actor/x.py", "from ..bench import rows", "actor may not import bench.rows"),
        ("replay/x.py", "import threading", "threading belongs to services"),
        ("registry.py", "from .services import cli", "the root may not import services.cli"),
        ("client/x.py", "from ..engine import batch", "may not import engine.batch"),
        ("engine/x.py", "from ..registry import make", "engine may not import registry.make"),
        ("actor/x.py", "from .. import make", "actor may not import make"),
        ("actor/x.py", "import time", "time belongs to services"),
        ("games/x.py", "import os\nsize = os.environ['SIZE']", "games/x.py:2: the environment belongs to services"),
        ("games/utils.py", "", "name the thing"),
    ],
)
def test_a_breach_is_found(path: str, source: str, message: str) -> None:
    assert any(message in line for line in violations(path, source)), violations(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("games/x.py", "from ..engine.game import Game\nfrom . import drawing\nfrom .drawing import board_svg"),
        ("learner/x.py", "import torch\nfrom ..engine.spec import GameSpec\nfrom ..engine import border"),
        ("services/x.py", "import grpc\nfrom ..learner import losses\nfrom ..bench import rows\nfrom .. import make"),
        ("services/x.py", "from cartridge.proto.engine.v1 import engine_pb2"),
        ("services/deep/x.py", "from ..store import Store\nfrom ...engine import codec"),
        ("engine/wrappers/x.py", "import gymnasium\nimport pyspiel\nfrom ..batch import init\nfrom .seat import Seat"),
        ("engine/border.py", "import os\nos.environ['X'] = '1'"),
        ("registry.py", "from .games import BUILT_IN\nfrom .engine.vector_env import VectorEnv"),
        ("client/x.py", "import grpc\nfrom ..engine import codec"),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(path, source) == []
