"""What a server of ours may be asked to be, and what it refuses to be; no socket is opened that others could reach."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cartridge.services.serving import Serving, ServingError, add_arguments, from_args
from cryptography.hazmat.primitives import serialization


def settings(words: list[str], environ: Mapping[str, str] | None = None) -> Serving:
    parser = argparse.ArgumentParser(allow_abbrev=False)  # as `cartridge` does
    add_arguments(parser, default_port=50051)
    return from_args(parser.parse_args(words), environ or {})


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_without_flags_it_is_reached_from_this_machine_alone() -> None:
    plain = settings([])
    assert plain == Serving("127.0.0.1:50051")
    assert (plain.max_message_mib, plain.reflection, plain.drain_seconds) == (64, True, 10.0)
    assert plain.place.local


def test_every_flag_is_heard(certificates: Path, tmp_path: Path) -> None:
    token = secret(tmp_path / "token", "abc\n")
    words = ["--address", "0.0.0.0:1", "--token-file", token, "--max-message-mib", "3", "--no-reflection"]
    words += ["--drain-seconds", "4", "--tls-certificate", certificates / "server.pem"]
    words += ["--tls-key", certificates / "server.key", "--tls-client-ca", certificates / "authority.pem"]
    assert settings([str(word) for word in words]) == Serving(
        address="0.0.0.0:1",
        tls_certificate=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_client_ca=certificates / "authority.pem",
        token="abc",
        max_message_mib=3,
        reflection=False,
        drain_seconds=4,
    )


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.1.2.3:50051", "localhost:65535", "[::1]:50051", "unix:/run/x", "unix:x"]
)
def test_local_addresses_need_nothing(address: str) -> None:
    assert Serving(address).place.local
    assert Serving(address).cautions() == []
    assert Serving(address, token="abc").cautions() == []


@pytest.mark.parametrize(
    "address", ["0.0.0.0:1", "[::]:1", "10.1.2.3:1", "example.org:1", "[fe80::1%eth0]:1", "127.example.org:1"]
)
def test_others_need_a_token_or_tls(address: str, certificates: Path) -> None:
    with pytest.raises(ServingError, match=r"reached from other machines, and anyone there could call: give --token-"):
        Serving(address)
    pair: dict[str, Any] = {"tls_certificate": certificates / "server.pem", "tls_key": certificates / "server.key"}
    [unencrypted] = Serving(address, token="abc").cautions()
    assert "without TLS" in unencrypted
    assert "abc" not in unencrypted
    [open_to_all] = Serving(address, **pair).cautions()
    assert "lets anyone call" in open_to_all
    assert Serving(address, token="abc", **pair).cautions() == []
    assert Serving(address, tls_client_ca=certificates / "authority.pem", **pair).cautions() == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "has no port"),
        ("127.0.0.1", "has no port from 0 to 65535: expected HOST:PORT, such as 127.0.0.1:50051"),
        ("127.0.0.1:65536", "has no port"),
        ("127.0.0.1:-1", "has no port"),
        ("127.0.0.1:http", "has no port"),
        (":50051", "has no host"),
        ("::1:50051", "has no host"),
        ("[localhost]:50051", "has no host"),
        ("[::1:50051", "has no host"),
        ("http://127.0.0.1:50051", "has no host"),
        ("unix:", "names no socket file"),
        ("unix:/" + "x" * 107, "names no socket file: expected unix:PATH of 1 to 107 bytes"),
    ],
)
def test_what_is_no_address_is_said(address: str, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        Serving(address)


@pytest.mark.parametrize(
    ("certificate", "key", "authority", "message"),
    [
        ("server.pem", None, None, "give --tls-key too"),
        (None, "server.key", None, "give --tls-certificate too"),
        (None, None, "authority.pem", "--tls-client-ca asks clients for certificates, which needs TLS"),
        ("nothing.pem", "server.key", None, "cannot read .*nothing.pem: No such file"),
        ("server.pem", "nothing.key", None, "cannot read .*nothing.key: No such file"),
        ("server.pem", "client.key", None, r"do not go together \(key values mismatch\)"),
        ("server.key", "server.key", None, "do not go together"),
        ("server.pem", "sealed.key", None, "the key without a passphrase"),
        ("server.pem", "server.key", "server.key", "server.key holds no certificate in PEM"),
        ("server.pem", "server.key", ".", "cannot read .*: Is a directory"),
    ],
)
def test_wrong_files_of_tls_are_named(
    certificate: str | None, key: str | None, authority: str | None, message: str, certificates: Path
) -> None:
    seal = serialization.BestAvailableEncryption(b"passphrase")
    loaded = serialization.load_pem_private_key((certificates / "server.key").read_bytes(), None)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (certificates / "sealed.key").write_bytes(loaded.private_bytes(pem, pkcs8, seal))
    files: list[Any] = [None if name is None else certificates / name for name in (certificate, key, authority)]
    with pytest.raises(ServingError, match=message):
        Serving("127.0.0.1:0", files[0], files[1], files[2])


@pytest.mark.parametrize("token", ["", "two words", "zwölf", "tab\there", "line\nline"])
def test_what_cannot_be_a_token_is_refused(token: str) -> None:
    with pytest.raises(ServingError, match=r"the token (is empty|has blanks or letters beyond ASCII)") as caught:
        Serving("127.0.0.1:0", token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("changed", [{"max_message_mib": 0}, {"drain_seconds": -1.0}, {"drain_seconds": float("nan")}])
def test_numbers_have_bounds(changed: dict[str, Any]) -> None:
    with pytest.raises(ServingError, match=next(iter(changed))):
        Serving(**{"address": "127.0.0.1:0", **changed})


def test_a_token_comes_by_file_or_by_variable_and_is_never_shown(tmp_path: Path) -> None:
    variables = {"CARTRIDGE_TOKEN": "from-the-variable"}
    file = secret(tmp_path / "token", " from-the-file\n")
    assert settings([]).token is None
    assert settings([], variables).token == "from-the-variable"
    both = settings(["--token-file", str(file)], variables)
    assert both.token == "from-the-file"
    assert "from-the-file" not in f"{both} {both!r}"
    with pytest.raises(SystemExit):
        settings(["--token", "abc"])


def test_a_token_that_is_not_there_is_no_open_door(tmp_path: Path) -> None:
    empty = secret(tmp_path / "empty", "\n")
    picture = tmp_path / "picture"
    picture.write_bytes(b"\xff\xd8\xff")
    picture.chmod(0o600)
    with pytest.raises(ServingError, match="the token is empty"):
        settings([], {"CARTRIDGE_TOKEN": ""})
    with pytest.raises(ServingError, match="the token is empty"):
        settings(["--token-file", str(empty)])
    with pytest.raises(ServingError, match="picture holds no token: expected one line of text"):
        settings(["--token-file", str(picture)])
    with pytest.raises(ServingError, match=r"cannot read .*nothing: No such file"):
        settings(["--token-file", str(tmp_path / "nothing")])


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_can_read_is_warned_of(mode: int, certificates: Path, tmp_path: Path) -> None:
    shared = secret(tmp_path / "token", "abc", mode)
    with pytest.warns(UserWarning, match=rf"can read .*token \(mode {mode:o}\): make it yours alone with chmod 600"):
        assert settings(["--token-file", str(shared)]).token == "abc"
    key = secret(tmp_path / "key", (certificates / "server.key").read_text(), mode)
    with pytest.warns(UserWarning, match=r"can read .*key \(mode"):
        settings(["--tls-certificate", str(certificates / "server.pem"), "--tls-key", str(key)])
