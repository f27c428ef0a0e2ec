"""What lies in the folder: whole versions, and never for long what a crash left beside them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cartridge.engine.spec import WeightsManifest
from cartridge.services.run_directory import RunDirectory, RunError
from cartridge.services.weights.keeper import Keeper, Version

Weigh = Callable[..., tuple[bytes, WeightsManifest]]
Run = dict[str, Any]


@pytest.fixture
def keeper(folder: Path) -> Iterator[Keeper]:
    one = Keeper(folder, keep=2)
    yield one
    one.close()


@pytest.fixture
def publish(keeper: Keeper, weigh: Weigh, run: Run) -> Callable[[int], bool]:
    def publish(version: int) -> bool:
        data, manifest = weigh(version)
        return keeper.publish(Version(manifest, data), run)

    return publish


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "weights").iterdir())


def test_a_version_is_kept_once(keeper: Keeper, publish: Callable[[int], bool]) -> None:
    assert [publish(1), publish(1), publish(2), publish(2)] == [True, False, True, False]
    with pytest.raises(RunError, match="version is 1, expected more than 2"):
        publish(1)
    assert (keeper.versions(), keeper.highest) == ([1, 2], 2)


def test_what_a_crash_left_goes_with_the_old_versions(
    publish: Callable[[int], bool], weigh: Weigh, folder: Path
) -> None:
    for half in ("1", "4"):
        (folder / "weights" / half).mkdir(parents=True)
        (folder / "weights" / half / ".weights.safetensors.7.tmp").write_bytes(b"half")
    publish(2)
    publish(3)
    assert names(folder) == ["2", "3", "4", "latest.json"]
    assert RunDirectory(folder).versions() == [2, 3]
    publish(4)
    there = sorted(path.name for path in (folder / "weights" / "4").iterdir())
    assert there == ["MANIFEST.json", "weights.safetensors"]
    assert RunDirectory(folder).read_version(4) == weigh(4)


def test_old_versions_that_cannot_be_dropped_hold_up_no_new_one(
    keeper: Keeper, publish: Callable[[int], bool], folder: Path
) -> None:
    (folder / "weights" / "0" / "MANIFEST.json").mkdir(parents=True)  # which no unlink removes
    for version in (1, 2):
        with pytest.warns(UserWarning, match="old versions of weights cannot be dropped"):
            assert publish(version)
        assert keeper.newest is not None
        assert keeper.newest.number == keeper.highest == version


def test_a_version_that_turns_out_to_be_damaged_is_not_kept_any_longer(
    keeper: Keeper, publish: Callable[[int], bool], weigh: Weigh, folder: Path
) -> None:
    publish(1)
    publish(2)
    assert keeper.read(1) == Version(weigh(1)[1], weigh(1)[0])
    (folder / "weights" / "1" / "weights.safetensors").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="weights version 1 cannot be served: .* are damaged: sha256 is"):
        assert keeper.read(1) is None
    assert keeper.read(1) is None  # and it is told once
    assert keeper.versions() == [2]
    assert keeper.highest == 2


def test_a_folder_goes_from_keeper_to_keeper(keeper: Keeper, publish: Callable[[int], bool], folder: Path) -> None:
    publish(3)
    with pytest.raises(RunError, match="another process serves the weights"):
        Keeper(folder, keep=2)
    keeper.close()
    other = Keeper(folder, keep=2)
    assert other.newest == keeper.newest
    assert other.highest == 3
    other.close()


@pytest.mark.parametrize("pointer", ["", "[]", "{}", '{"version": null}', '{"version": "x"}', None])
def test_a_pointer_that_says_nothing_is_no_matter(
    keeper: Keeper, publish: Callable[[int], bool], folder: Path, pointer: str | None
) -> None:
    publish(3)
    keeper.close()
    path = folder / "weights" / "latest.json"
    path.unlink() if pointer is None else path.write_text(pointer)
    other = Keeper(folder, keep=2)
    assert other.highest == 3
    other.close()
