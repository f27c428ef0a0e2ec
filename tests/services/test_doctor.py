"""`cartridge doctor` and `cartridge games`: what they find on machines that are fine and on machines that are not."""

import json
from pathlib import Path
from typing import Any

import jax
import pytest
import torch
from cartridge.services import doctor_command as doctor
from cartridge.services.doctor_command import Check


def test_a_real_process_finds_this_machine_ready(cartridge: Any, tmp_path: Path) -> None:
    out = tmp_path / "doctor.json"
    done = cartridge("doctor", "--json", out)
    assert done.returncode == 0, done.stdout
    assert "ready to train" in done.stdout
    result = json.loads(out.read_text())
    assert (result["schema"], result["ready"]) == ("cartridge.doctor/1", True)
    found = {check["name"]: check for check in result["checks"]}
    assert found["jax"]["found"] == jax.__version__
    assert found["jax to torch"]["status"] == "ok"
    assert found["JAX_PLATFORMS"]["found"] == "cpu"


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checks = doctor.examine({}, tmp_path / "file" / "runs")
    (wrong,) = [check for check in checks if check.status == "failure"]
    assert wrong.name == "runs"
    assert "cannot write to" in wrong.found
    assert "--run-dir" in wrong.remedy
    assert not doctor.is_ready(checks)


def test_a_cache_that_cannot_be_written_to_is_only_slow(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = doctor.check_cache({"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "file")})
    assert check.status == "warning"
    assert doctor.is_ready([check])


def test_cuda_libraries_in_the_library_path_are_a_trap(tmp_path: Path) -> None:
    assert doctor.check_library_path("").status == "ok"
    assert doctor.check_library_path(f"{tmp_path}:/nowhere").status == "ok"
    (tmp_path / "libcudnn.so.8").write_text("")
    check = doctor.check_library_path(f"/nowhere:{tmp_path}")
    assert check.status == "warning"
    assert str(tmp_path) in check.found
    assert "unset LD_LIBRARY_PATH" in check.remedy


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine uses its NVIDIA card")
def test_an_idle_nvidia_card_is_told_with_the_way_to_use_it() -> None:
    jax_check, torch_check = doctor.check_devices(nvidia=True)
    assert jax_check.status == torch_check.status == "warning"
    assert "cartridge-rl[cuda]" in jax_check.remedy
    assert "download.pytorch.org" in torch_check.remedy or "driver" in torch_check.remedy
    assert {check.status for check in doctor.check_devices(nvidia=False)} == {"ok"}


@pytest.mark.parametrize(
    ("environment", "name", "status"),
    [
        ({"XLA_PYTHON_CLIENT_MEM_FRACTION": ".95"}, "jax's share of memory", "warning"),
        ({"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5"}, "jax's share of memory", "ok"),
        ({"JAX_ENABLE_X64": "True"}, "JAX_ENABLE_X64", "failure"),
        ({"XLA_FLAGS": "--xla_dump_to=x"}, "XLA_FLAGS", "note"),
    ],
)
def test_variables_that_matter(environment: dict[str, str], name: str, status: str) -> None:
    found = {check.name: check for check in doctor.check_environment(environment)}
    assert found[name].status == status


def test_old_python_and_missing_packages_fail() -> None:
    assert doctor.check_python((3, 10, 2)).status == "failure"
    assert doctor.check_python((3, 13, 0)).status == "ok"
    missing = doctor.check_package("no-such-distribution")
    assert (missing.status, missing.remedy) == ("failure", "pip install cartridge-rl")
    extra = doctor.check_extra("peers", ("numpy", "no-such-distribution"))
    assert (extra.status, extra.found) == ("note", "without no-such-distribution")


def test_memory_and_processor_are_read() -> None:
    meminfo = "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    2097152 kB\nHugePages_Total: 0\n"
    assert doctor.check_memory(meminfo) == Check(
        "memory", "warning", "2.0 of 16.0 GiB free", "lower --replay.capacity and --selfplay.num-games"
    )
    assert doctor.check_memory("").status == "note"
    cpu = doctor.check_processor("processor: 0\nflags\t\t: fpu avx2 avx512f amx_tile amx_bf16\n")
    assert cpu.found.endswith("avx2 avx512f amx_tile amx_bf16")


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> Check:
        raise RuntimeError("no such driver")

    monkeypatch.setattr(doctor, "check_border", broken)
    checks = doctor.examine({}, tmp_path)
    assert Check("border", "failure", "RuntimeError: no such driver", "see the message") in checks
    assert len(checks) > 10


def test_games_are_listed(cartridge: Any) -> None:
    table = cartridge("games")
    assert table.returncode == 0, table.stderr
    for word in ("connect4", "tictactoe", "6 x 7 x 2", "1.0.0+"):
        assert word in table.stdout
    rows = {row["env_id"]: row for row in json.loads(cartridge("games", "--json").stdout)}
    assert rows["connect4"]["state_bytes"] == 20
    assert rows["connect4"]["observation"] == [6, 7, 2]
    assert rows["tictactoe"]["solved_positions"] is True
