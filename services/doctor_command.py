"""`cartridge doctor`: would training work on this machine, on what, and what is missing."""

import argparse
import ctypes.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from ..bench.rows import cpu_model
from . import launch, store
from .versions import CORE, installed, package_versions

Status = Literal["ok", "note", "warning", "failure"]

_OLDEST_PYTHON = (3, 11)
_LEAST_MEMORY, _LEAST_DISK = 3 * 2**30, 2**30  # bytes that a first run needs
_CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
_CUDA_LIBRARIES = ("libcudnn", "libcublas", "libcudart")
_TORCH_CUDA = "pip install torch --index-url https://download.pytorch.org/whl/cu130"
_EXTRAS = {  # extra -> the distributions it brings
    "peers": ("pgx", "open_spiel"),
    "dev": ("pytest", "hypothesis", "ruff", "pyright"),
}
_COLOURS: Mapping[Status, str] = {"ok": "green", "note": "cyan", "warning": "yellow", "failure": "red"}


@dataclass(frozen=True)
class Check:
    """One finding. A failure keeps training from working; a warning makes it slower or smaller than it could be."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the findings to FILE, or print them"
    )


def run(args: argparse.Namespace) -> int:
    """Examines and reports; 0 if training would work, 1 if not."""
    checks = examine(os.environ, Path("runs"))
    ready = is_ready(checks)
    result = {"schema": "cartridge.doctor/1", "ready": ready, "versions": package_versions(), **_as_json(checks)}
    if args.json == "-":
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
        return 0 if ready else 1
    if args.json:
        store.write_json(Path(args.json), result)
    console = Console(highlight=False)
    console.print(_table(checks))
    console.print("ready to train" if ready else "training would not work here: see the failures above")
    return 0 if ready else 1


def examine(environment: Mapping[str, str], runs: Path) -> list[Check]:
    """All findings; a check that itself breaks is a failure and stops none of the others."""
    examinations: list[tuple[str, Callable[[], list[Check]]]] = [
        ("python", lambda: [check_python(sys.version_info[:3])]),
        ("packages", lambda: [check_package(name) for name in CORE]),
        ("processor", lambda: [check_processor(_read(Path("/proc/cpuinfo")))]),
        ("memory", lambda: [check_memory(_read(Path("/proc/meminfo")))]),
        ("devices", lambda: check_devices(nvidia_present())),
        ("border", lambda: [check_border()]),
        ("environment", lambda: check_environment(environment)),
        ("runs", lambda: [check_folder("runs", runs, "failure", "train with --run-dir DIR on a disk that has room")]),
        ("compile cache", lambda: [check_cache(environment)]),
        ("extras", lambda: [check_extra(extra, names) for extra, names in _EXTRAS.items()]),
    ]
    checks = []
    for name, examination in examinations:
        try:
            checks += examination()
        except Exception as error:  # whatever is wrong here is what the doctor is asked for
            checks.append(Check(name, "failure", f"{type(error).__name__}: {error}", "see the message"))
    return checks


def is_ready(checks: list[Check]) -> bool:
    """Whether training would work."""
    return all(check.status != "failure" for check in checks)


def check_python(version: tuple[int, ...]) -> Check:
    """Old versions of Python are refused."""
    text = ".".join(map(str, version))
    if version[:2] >= _OLDEST_PYTHON:
        return Check("python", "ok", text)
    return Check("python", "failure", text, "install Python {}.{} or newer".format(*_OLDEST_PYTHON))


def check_package(name: str) -> Check:
    """A package nothing works without."""
    number = installed(name)
    if number is None:
        return Check(name, "failure", "not installed", "pip install cartridge-rl")
    return Check(name, "ok", number)


def check_processor(cpuinfo: str) -> Check:
    """Cores this process may use, and the vector and matrix units that make self-play and learning fast."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    flags = next((line.split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    present = [feature for feature in _CPU_FEATURES if feature in flags]
    return Check(
        "processor", "ok", f"{cpu_model()}, {cores} cores, {' '.join(present) or 'no wide vector units known'}"
    )


def check_memory(meminfo: str) -> Check:
    """Free memory, where the system says."""
    sizes = {line.partition(":")[0]: line.split()[1] for line in meminfo.splitlines() if line.endswith("kB")}
    if "MemAvailable" not in sizes:
        return Check("memory", "note", "unknown on this system")
    free, total = int(sizes["MemAvailable"]) * 1024, int(sizes["MemTotal"]) * 1024
    found = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if free < _LEAST_MEMORY:
        return Check("memory", "warning", found, "lower --replay.capacity and --selfplay.num-games")
    return Check("memory", "ok", found)


def check_devices(nvidia: bool) -> list[Check]:
    """What JAX and torch compute on, after a sum on each; and whether an NVIDIA card lies idle."""
    import jax
    import jax.numpy as jnp
    import torch

    total = float(jnp.sum(jnp.ones(8)))
    devices = ", ".join(f"{device.device_kind} ({device.platform})" for device in jax.local_devices())
    on_cpu = jax.default_backend() == "cpu"
    cuda = torch.cuda.is_available()
    total += float(torch.ones(8, device="cuda" if cuda else "cpu").sum())
    if total != 16.0:
        return [Check("devices", "failure", f"sums of 16 ones give {total}", "the device or its driver is broken")]
    torch_devices = torch.cuda.get_device_name(0) if cuda else "cpu"
    jax_check, torch_check = Check("jax devices", "ok", devices), Check("torch devices", "ok", torch_devices)
    if nvidia and on_cpu:
        jax_check = Check(
            "jax devices", "warning", f"{devices}, though there is an NVIDIA card", 'pip install "cartridge-rl[cuda]"'
        )
    if nvidia and not cuda:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        remedy = "update the NVIDIA driver" if torch.version.cuda else _TORCH_CUDA
        torch_check = Check("torch devices", "warning", f"cpu ({built}), though there is an NVIDIA card", remedy)
    return [jax_check, torch_check]


def check_border() -> Check:
    """A batch crosses from JAX to torch, as every learner step needs."""
    import jax.numpy as jnp

    from ..engine import border

    (tensor,) = border.to_torch((jnp.arange(6, dtype=jnp.float32),))
    if tensor.tolist() != [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]:
        return Check("jax to torch", "failure", f"0..5 arrive as {tensor.tolist()}", "report this, with --json")
    return Check("jax to torch", "ok", f"a batch arrives whole on {tensor.device}")


def check_environment(environment: Mapping[str, str]) -> list[Check]:
    """Variables that change how JAX finds and shares its device."""
    checks = [check_library_path(environment.get("LD_LIBRARY_PATH", ""))]
    shared = {name: environment[name] for name in sorted(environment) if name.startswith("XLA_PYTHON_CLIENT_")}
    fraction = shared.get("XLA_PYTHON_CLIENT_MEM_FRACTION", ".5")
    found = ", ".join(f"{name.removeprefix('XLA_PYTHON_CLIENT_')}={value}" for name, value in shared.items())
    greedy = _is_number(fraction) and float(fraction) > 0.8
    checks.append(
        Check("jax's share of memory", "warning", found, "set XLA_PYTHON_CLIENT_MEM_FRACTION to 0.5: torch needs room")
        if greedy
        else Check("jax's share of memory", "ok", found or "default")
    )
    if environment.get("JAX_ENABLE_X64", "").lower() in ("1", "true"):
        checks.append(Check("JAX_ENABLE_X64", "failure", "on", "unset it: games are written for 32-bit integers"))
    others = [name for name in ("JAX_PLATFORMS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES") if name in environment]
    return checks + [Check(name, "note", environment[name] or "(empty)") for name in others]


def check_library_path(paths: str) -> Check:
    """CUDA libraries in LD_LIBRARY_PATH hide those that came with JAX and torch, often with a wrong version."""
    wrong = [
        folder
        for folder in filter(None, paths.split(os.pathsep))
        if any(file for name in _CUDA_LIBRARIES for file in Path(folder).glob(f"{name}*"))
    ]
    if wrong:
        remedy = "unset LD_LIBRARY_PATH: JAX and torch bring their own CUDA libraries"
        return Check("LD_LIBRARY_PATH", "warning", f"offers CUDA libraries in {', '.join(wrong)}", remedy)
    return Check("LD_LIBRARY_PATH", "ok", "no CUDA libraries in it" if paths else "not set")


def check_cache(environment: Mapping[str, str]) -> Check:
    """Where compiled programs are kept; without it every start compiles anew."""
    folder = environment.get("JAX_COMPILATION_CACHE_DIR") or str(launch.compile_cache(dict(environment)))
    return check_folder("compile cache", Path(folder), "warning", "set JAX_COMPILATION_CACHE_DIR to a writable folder")


def check_folder(name: str, folder: Path, status: Status, remedy: str) -> Check:
    """Whether `folder`, or the nearest folder above it that exists, can be written to and has room."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check(name, status, f"cannot write to {place}: {error.strerror}", remedy)
    found = f"{folder}, {free / 2**30:.1f} GiB free"
    return Check(name, "ok", found) if free >= _LEAST_DISK else Check(name, "warning", found, remedy)


def check_extra(extra: str, names: tuple[str, ...]) -> Check:
    """An optional group of packages."""
    missing = [name for name in names if installed(name) is None]
    if missing:
        return Check(f"extra {extra}", "note", f"without {', '.join(missing)}", f'pip install "cartridge-rl[{extra}]"')
    return Check(f"extra {extra}", "ok", "complete")


def nvidia_present() -> bool:
    """Whether the system has an NVIDIA card with a driver, whatever JAX and torch make of it."""
    return Path("/proc/driver/nvidia/version").exists() or ctypes.util.find_library("cuda") is not None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _as_json(checks: list[Check]) -> dict[str, Any]:
    return {"checks": [asdict(check) for check in checks]}


def _table(checks: list[Check]) -> Table:
    table = Table()
    for heading in ("what", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        status = f"[{_COLOURS[check.status]}]{check.status}[/]"
        table.add_row(check.name, status, check.found, check.remedy)
    return table
