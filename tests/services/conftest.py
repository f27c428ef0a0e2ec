"""Small runs of the real thing, shared by the tests of the services."""

import asyncio
import datetime
import importlib.util
import ipaddress
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import pytest
from cartridge.games.tictactoe import TicTacToe
from cartridge.learner import publish
from cartridge.learner.learner import Learner
from cartridge.services import config, new_run, store
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TINY = {
    "network": {"width": 16, "blocks": 1},
    "search": {"num_simulations": 4, "lookahead": 0},
    "selfplay": {"num_games": 16, "unroll_length": 8},
    "replay": {"capacity": 1024, "min_rows": 128, "samples_per_move": 2.0},
    "learner": {"batch_size": 64},
    "run": {"minutes": 0.0, "updates": 12},
}


@pytest.fixture(scope="session")
def tiny_settings() -> dict[str, dict[str, object]]:
    """Overrides under which an iteration takes milliseconds."""
    return TINY


@pytest.fixture(scope="session")
def tiny_flags() -> list[str]:
    """The same as flags of `cartridge train`."""
    return [
        f"--{section}.{key.replace('_', '-')}={value}"
        for section, settings in TINY.items()
        for key, value in settings.items()
    ]


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How to call the real command in a process of its own."""
    return [sys.executable, "-W", "ignore", "-m", "cartridge.services.cli"]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of such a process, with a compile cache that the whole test session shares."""
    cache = str(tmp_path_factory.mktemp("cache"))
    # One thread: tiny matrices only lose by more, and tests may share the machine.
    return {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def cartridge(command: list[str], environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `cartridge WORDS...` to its end."""

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *map(str, words)], env=environment, capture_output=True, text=True, timeout=300
        )

    return run


@pytest.fixture(scope="session")
def started(command: list[str], environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts `cartridge train WORDS...` and does not wait; more variables may be given as `variables`."""

    def start(*words: str | int | Path, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, "train", *map(str, words)],
            env={**environment, **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Path, subprocess.Popen[str], Callable[[list[dict[str, Any]]], bool]], None]:
    """Waits until the metrics that a running process writes to a run's folder are as told."""

    def wait(run: Path, process: subprocess.Popen[str], holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        deadline = time.monotonic() + 180
        while not holds(store.read_json_lines(run / "metrics.jsonl")):
            assert time.monotonic() < deadline, "it did not come to that within three minutes"
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def echo() -> ModuleType:
    """The module `echo_for_tests.py`."""
    return _loaded("echo_for_tests")


@pytest.fixture(scope="session")
def fuzz() -> ModuleType:
    """The module `fuzz_for_tests.py`."""
    return _loaded("fuzz_for_tests")


@pytest.fixture(scope="session")
def run_async() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Runs a coroutine, all in one event loop: gRPC would hand what is left of a closed loop's calls to the next."""
    with asyncio.Runner() as runner:
        yield lambda scenario: runner.run(asyncio.wait_for(scenario, 120))


@pytest.fixture
def echo_process() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts a server of that module with the given flags; returns the process and its address."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str | Path) -> tuple[subprocess.Popen[str], str]:
        words = [sys.executable, "-W", "error", Path(__file__).parent / "echo_for_tests.py", *flags]
        pipe = subprocess.PIPE
        process = subprocess.Popen([str(word) for word in words], stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        assert process.stdout is not None
        name, _, address = process.stdout.readline().strip().rpartition(" on ")
        assert name == "test.v1.Echo", process.communicate()
        return process, address

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for that of a socket file, of which the kernel takes 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a server and a client that it signed, and a stranger: NAME.pem and NAME.key each."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = _certificate(folder, "authority", None)
    for name in ("server", "client"):
        _certificate(folder, name, authority)
    _certificate(folder, "stranger", None)
    return folder


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trainers of one shape share their compiled programs, as two runs of the real command do."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    yield
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of tictactoe that was never trained, with weights versions 0 and 3. Tests copy it before they change it."""
    settings = config.build("tictactoe", "alphazero", TINY)
    root = tmp_path_factory.mktemp("runs") / "small"
    run = new_run.create(root, settings)
    for version in (0, 3):
        tensors = Learner(TicTacToe.spec, settings.network, settings.learner, seed=version, device="cpu").published()
        run.publish(
            *publish.export(
                tensors,
                version=version,
                learner_step=10 * version,
                game=TicTacToe.spec,
                network=settings.network,
                seed=version,
                config_hash=settings.hash(),
                created_at="2026-01-01T00:00:00+00:00",
            )
        )
    for iteration in range(1, 6):
        record = {
            "iteration": iteration,
            "seconds": 2.0 * iteration,
            "moves": 100 * iteration,
            "updates": 10 * iteration,
        }
        store.append_json_line(run.metrics, record)
    return root


def _loaded(name: str) -> ModuleType:
    """A module beside this one, loaded by its path since tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _certificate(
    folder: Path, name: str, authority: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    """Writes NAME.pem and NAME.key, signed by the authority or by themselves, good for this machine's own names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signing = authority or (subject, key)
    now, loopback = datetime.datetime.now(datetime.UTC), ipaddress.ip_address("127.0.0.1")
    certificate = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(loopback)]), False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), True)
        .sign(signing, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / f"{name}.key").chmod(0o600)
    return subject, key
