"""Versions are kept whole, never repeat and never fall; what cannot be taken is refused, and the one before stays."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cartridge import client
from cartridge.client import CallError, Credentials, Patience
from cartridge.engine.spec import WeightsManifest
from cartridge.games.tictactoe import TicTacToe
from cartridge.services.run_directory import RunDirectory

Serve = Callable[..., subprocess.Popen[str]]
Weigh = Callable[..., tuple[bytes, WeightsManifest]]
Run = dict[str, Any]


def restarted(serve: Serve, process: subprocess.Popen[str], *words: str) -> subprocess.Popen[str]:
    """Another server, once this one has gone in peace."""
    process.terminate()
    assert process.wait(60) == 0
    return serve(*words)


def newest(store: client.Weights) -> client.Published:
    found = store.newest()
    assert found is not None
    return found


def test_what_was_published_is_fetched(store: client.Weights, weigh: Weigh, run: Run, folder: Path) -> None:
    assert store.newest() is None
    data, manifest = weigh(0, kib=3000)  # 3 chunks, the last not full
    store.publish(data, manifest, run)
    there = newest(store)
    assert (there.version, there.manifest, there.num_bytes, there.highest) == (0, manifest, len(data), 0)
    assert there.run == run == json.loads((folder / "run.json").read_text())
    fetched = store.fetch(there)
    assert fetched == data
    assert hashlib.sha256(fetched).hexdigest() == manifest.sha256
    assert RunDirectory.open(folder).load_weights(TicTacToe.spec) == (data, manifest)  # as `cartridge eval` would
    assert json.loads((folder / "weights" / "latest.json").read_text()) == {"version": 0, "sha256": manifest.sha256}


def test_a_version_that_is_not_above_the_highest_is_refused(store: client.Weights, weigh: Weigh, run: Run) -> None:
    store.publish(*weigh(5), run)
    store.publish(*weigh(5), run)  # the same once more, as after an answer that was lost
    for late in (weigh(5, seed=1), weigh(4)):
        expected = f"FAILED_PRECONDITION: version is {late[1].version}, expected more than 5"
        with pytest.raises(CallError, match=expected):
            store.publish(*late, run)
    there = newest(store)
    assert (there.version, store.fetch(there)) == (5, weigh(5)[0])
    store.publish(*weigh(9), run)  # they may leave numbers out
    assert newest(store).version == 9


@pytest.mark.parametrize("hurt", ["weights", "manifest", "no text", "another's manifest", "gone"])
def test_versions_never_fall_though_the_newest_is_damaged(
    serve: Serve, address: str, weigh: Weigh, run: Run, folder: Path, log: Callable[[], str], hurt: str
) -> None:
    process = serve()
    with client.Weights(address, patience=Patience(60.0)) as store:
        for version in (3, 4, 7):
            store.publish(*weigh(version), run)
        kept, damaged = newest(store), folder / "weights" / "7"
        process.kill()
        process.wait()
        if hurt == "weights":
            (damaged / "weights.safetensors").write_bytes(weigh(7)[0][:-1] + b"!")
        elif hurt == "manifest":
            (damaged / "MANIFEST.json").write_text("{")
        elif hurt == "no text":
            (damaged / "MANIFEST.json").write_bytes(b"\xff\xfe")
        elif hurt == "another's manifest":
            for name in ("MANIFEST.json", "weights.safetensors"):
                (damaged / name).write_bytes((folder / "weights" / "3" / name).read_bytes())
        else:
            (damaged / "MANIFEST.json").unlink()
        serve()
        there = newest(store)
        assert (there.version, there.highest) == (4, 7)
        assert store.fetch(there) == weigh(4)[0]
        with pytest.raises(CallError, match=r"NOT_FOUND: version 7 is not kept: there are 3, 4; fetch the newest"):
            store.fetch(kept)
        with pytest.raises(CallError, match="version is 7, expected more than 7"):
            store.publish(*weigh(7, seed=1), run)
        store.publish(*weigh(8), run)
        assert newest(store).version == 8
    assert hurt == "gone" or "weights version 7 cannot be served" in log()


def test_a_learner_hears_of_the_highest_where_no_version_is_whole(
    serve: Serve, address: str, weigh: Weigh, run: Run, folder: Path
) -> None:
    process = serve()
    with client.Weights(address, patience=Patience(60.0)) as store:
        assert store.highest() == -1
        store.publish(*weigh(2), run)
        process.kill()
        process.wait()
        (folder / "weights" / "2" / "weights.safetensors").write_bytes(b"")
        serve()
        assert store.newest() is None
        assert store.highest() == 2
        store.publish(*weigh(3), run)
        assert (newest(store).version, store.highest()) == (3, 3)


def test_so_many_versions_are_kept_as_was_said(
    serve: Serve, address: str, weigh: Weigh, run: Run, folder: Path
) -> None:
    process = serve("--keep", "3")
    with client.Weights(address, patience=Patience(60.0)) as store:
        first = None
        for version in range(1, 6):
            store.publish(*weigh(version), run)
            first = first or newest(store)
        assert sorted(path.name for path in (folder / "weights").iterdir()) == ["3", "4", "5", "latest.json"]
        assert first is not None
        with pytest.raises(CallError, match=r"NOT_FOUND: version 1 is not kept: there are 3, 4, 5; fetch the newest"):
            store.fetch(first)
        older = client.Published(weigh(4)[1], 0, {}, 0)
        assert store.fetch(older) == weigh(4)[0]
        restarted(serve, process, "--keep", "1")
        assert newest(store).version == 5
        store.publish(*weigh(6), run)
        assert RunDirectory(folder).versions() == [6]


def test_weights_of_another_run_or_game_are_refused(store: client.Weights, weigh: Weigh, run: Run) -> None:
    store.publish(*weigh(1), run)
    for name, value in (("created_at", "later"), ("config", {"game": "hex"})):
        with pytest.raises(CallError, match=f"FAILED_PRECONDITION: .* holds a run whose {name} is .*another folder"):
            store.publish(*weigh(2), run | {name: value})
    store.publish(*weigh(2), run | {"host": "elsewhere"})  # a run may go on on another machine
    other = weigh(3, env_id="hex", spec_fingerprint="0" * 64)
    with pytest.raises(CallError, match="FAILED_PRECONDITION: these weights are for hex with rules 000000000000, this"):
        store.publish(*other, run)
    assert newest(store).version == 2


def test_a_folder_has_one_server(serve: Serve, cartridge: Callable[..., Any], folder: Path, short_folder: Path) -> None:
    first = serve()
    second = cartridge("serve", "weights", folder, "--address", f"unix:{short_folder}/second")
    assert second.returncode == 2
    assert f"another process serves the weights in {folder}; stop it first" in second.stderr
    first.kill()
    first.wait()
    serve()


def test_a_folder_that_cannot_be_written_to_is_refused(cartridge: Callable[..., Any], short_folder: Path) -> None:
    (short_folder / "file").write_text("")
    found = cartridge("serve", "weights", short_folder / "file" / "run", "--address", f"unix:{short_folder}/second")
    assert found.returncode == 2
    assert found.stderr.startswith(f"cartridge serve: cannot keep weights in {short_folder}/file/run: Not a directory")


def test_callers_without_the_token_are_refused(
    serve: Serve, address: str, weigh: Weigh, run: Run, short_folder: Path
) -> None:
    secret = short_folder / "token"
    secret.touch(0o600)
    secret.write_text("open-sesame\n")
    serve("--token-file", secret)
    with client.Weights(address, Credentials("open-sesame"), Patience(60.0)) as store:
        store.publish(*weigh(1), run)
        assert newest(store).version == 1
    for wrong in (None, Credentials("sesame")):
        with client.Weights(address, wrong, Patience(60.0)) as store:
            calls = (
                store.newest,
                lambda store=store: store.publish(*weigh(2), run),
                lambda store=store: next(store.watch()),
                lambda store=store: store.fetch(client.Published(weigh(1)[1], 0, {}, 1)),
            )
            for call in calls:
                with pytest.raises(CallError, match="UNAUTHENTICATED"):
                    call()


def test_a_second_upload_waits_for_the_first(serve: Serve, address: str, link: Any, weigh: Weigh, run: Run) -> None:
    """It is refused with ABORTED, and tried again until it passes."""
    serve()
    told = threading.Event()
    patience = Patience(60.0, longest=0.1, notice=lambda error: told.set() if "ABORTED" in str(error) else None)
    one, two = client.Weights(link.address, patience=Patience(60.0)), client.Weights(address, None, patience)
    with one as slow, two as store:
        link.up.hold_after(2 << 20)
        first = threading.Thread(target=slow.publish, args=(*weigh(1, kib=8192), run))
        first.start()
        link.up.wait_until_held()
        second = threading.Thread(target=store.publish, args=(*weigh(2), run))
        second.start()
        assert told.wait(60)
        assert store.newest() is None
        link.up.go_on()
        for thread in (first, second):
            thread.join(60)
        assert newest(store).version == 2
        held = client.Published(weigh(1, kib=8192)[1], 0, {}, 1)
        assert store.fetch(held) == weigh(1, kib=8192)[0]
