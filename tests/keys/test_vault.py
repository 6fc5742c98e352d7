"""The vault on a real folder: what it keeps, refuses, and leaves behind when something fails."""

from __future__ import annotations

import base64
import contextlib
import copy
import os
import pickle
import resource
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.keys.published import KEYS, octets, point
from v2gpki.errors import V2GPKIError
from v2gpki.keys import files, pkcs8
from v2gpki.keys.suites import PrivateKey
from v2gpki.keys.vault import Vault

CANARY = "canary-passphrase"
NOBODY = 65534


def raw(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def password(vault: Vault) -> bytes:
    """The one place where a test looks behind the door: what protects the key files."""
    return vault._secret.octets.hex().encode("ascii")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A vault with one key of each kind; copied for each test, since making one takes a tenth of a second."""
    vault = Vault.create(tmp_path_factory.mktemp("home") / "keys", CANARY)
    vault.add_many({f"{name}@1": key for name, key in KEYS.items()})
    return vault


@pytest.fixture
def vault(made: Vault, tmp_path: Path) -> Vault:
    """The same vault on a copy of its folder."""
    folder = tmp_path / "keys"
    shutil.copytree(made.folder, folder)
    return Vault(folder, made._secret)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """No right to write: root loses its privilege for the while."""
    privileged = os.geteuid() == 0
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o500)
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)
        folder.chmod(mode)


@contextlib.contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond ``room`` octets: write fails as on a full disk (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def refused(code: str, error: pytest.ExceptionInfo[V2GPKIError], *, exit_code: int = 3) -> V2GPKIError:
    value = error.value
    assert value.code == code
    assert value.outcome.exit_code == exit_code
    assert CANARY not in f"{value} {value.hint} {dict(value.facts)}"
    return value


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- what it keeps -------------------------------------------------------------------------------


def test_create_unlock_and_sign(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert not Vault.exists(folder)
    first = Vault.create(folder, CANARY)
    assert Vault.exists(folder)
    first.add("audit", KEYS["ed448"])
    assert first.key_ids() == {"audit"}
    again = Vault.unlock(folder, CANARY)
    assert again.key_ids() == {"audit"}
    assert again.signer("audit").sign(b"") == octets("ed448", "signature")
    assert again.signer("audit") is again.signer("audit")
    assert raw(again.private_key("audit")) == raw(KEYS["ed448"])


def test_only_the_owner_may_open_anything(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        vault = Vault.create(tmp_path / "keys", CANARY)
        vault.add("a", KEYS["p256"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in vault.folder.iterdir()} == {
        "secret.json": 0o600,
        "a.pem": 0o600,
    }


@pytest.mark.parametrize("name", KEYS)
def test_key_files_are_standard_encrypted_keys(vault: Vault, name: str) -> None:
    content = (vault.folder / f"{name}@1.pem").read_bytes()
    theirs = serialization.load_pem_private_key(content, password(vault))
    assert isinstance(theirs, type(KEYS[name]))
    assert raw(theirs) == raw(KEYS[name])
    assert raw(vault.private_key(f"{name}@1")) == raw(KEYS[name])
    with pytest.raises(ValueError):
        serialization.load_pem_private_key(content, CANARY.encode())


def test_signers_have_the_public_half(vault: Vault) -> None:
    for name in ("p256", "p521", "ed448"):
        assert vault.signer(f"{name}@1").spki.endswith(point(name))
    with pytest.raises(V2GPKIError) as error:
        vault.signer("x448@1")
    refused("key.cannot_sign", error, exit_code=1)


def test_export_is_for_another_passphrase(vault: Vault) -> None:
    exported = vault.export("p521@1", b"another")
    assert raw(pkcs8.load(exported, b"another")) == raw(KEYS["p521"])
    for wrong in (password(vault), CANARY.encode()):
        with pytest.raises(V2GPKIError):
            pkcs8.load(exported, wrong)
    with pytest.raises(V2GPKIError) as error:
        vault.export("p521@1", b"")
    refused("passphrase.empty", error)
    # 600,000 is 0x0927c0, an INTEGER of three octets
    body = b"".join(exported.splitlines()[1:-1])
    assert bytes.fromhex("02030927c0") in base64.b64decode(body)


def test_remove(vault: Vault) -> None:
    vault.signer("p256@1")
    vault.remove("p256@1")
    assert vault.key_ids() == {"p521@1", "ed448@1", "x448@1"}
    for call in (vault.signer, vault.private_key, vault.remove):
        with pytest.raises(V2GPKIError) as error:
            call("p256@1")
        refused("key.missing", error)


def test_another_process_adds_a_key(vault: Vault) -> None:
    other = Vault(vault.folder, vault._secret)
    other.add("late@1", KEYS["p256"])
    assert "late@1" in vault.key_ids()
    assert vault.signer("late@1").spki.endswith(point("p256"))


def test_many_threads(vault: Vault) -> None:
    names = [f"key-{number}@1" for number in range(24)]
    signers: list[int] = []

    def work(mine: list[str]) -> None:
        for name in mine:
            vault.add(name, KEYS["p256"])
        signers.append(id(vault.signer("p521@1")))

    threads = [threading.Thread(target=work, args=(names[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vault.key_ids() >= set(names)
    assert len(signers) == 4
    assert len(set(signers)) == 1
    assert not [name for name in os.listdir(vault.folder) if name.startswith(".")]


def test_shows_and_gives_away_nothing(vault: Vault) -> None:
    secret = password(vault).decode()
    assert secret not in repr(vault)
    assert CANARY not in repr(vault)
    with pytest.raises(TypeError):
        pickle.dumps(vault)
    with pytest.raises(TypeError):
        copy.copy(vault)
    for path in vault.folder.iterdir():
        content = path.read_bytes()
        assert secret.encode() not in content
        assert bytes.fromhex(secret) not in content
        assert CANARY.encode() not in content


# -- what it refuses ------------------------------------------------------------------------------


def test_wrong_passphrase(vault: Vault) -> None:
    with pytest.raises(V2GPKIError) as error:
        Vault.unlock(vault.folder, CANARY + "x")
    assert str(vault.folder) in refused("key.wrong_passphrase", error).message


def test_never_created_twice(vault: Vault) -> None:
    before = contents(vault.folder)
    with pytest.raises(V2GPKIError) as error:
        Vault.create(vault.folder, "another")
    refused("key.exists", error, exit_code=1)
    assert contents(vault.folder) == before


def test_keys_without_their_secret_are_not_given_a_new_one(vault: Vault) -> None:
    (vault.folder / "secret.json").unlink()
    before = contents(vault.folder)
    with pytest.raises(V2GPKIError) as error:
        Vault.create(vault.folder, CANARY)
    assert "4 keys" in refused("key.damaged", error).message
    assert contents(vault.folder) == before
    with pytest.raises(V2GPKIError) as error:
        Vault.unlock(vault.folder, CANARY)
    refused("key.missing", error)


def test_weak_rounds_and_empty_passphrase_make_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with pytest.raises(V2GPKIError) as error:
        Vault.create(folder, CANARY, rounds=2048)
    refused("key.weak_rounds", error, exit_code=1)
    with pytest.raises(V2GPKIError) as error:
        Vault.create(folder, "")
    refused("passphrase.empty", error)
    assert not folder.exists()


def test_nothing_is_overwritten(vault: Vault) -> None:
    before = contents(vault.folder)
    with pytest.raises(V2GPKIError) as error:
        vault.add("p256@1", KEYS["p521"])
    refused("key.exists", error, exit_code=1)
    with pytest.raises(V2GPKIError) as error:
        vault.add_many({"new@1": KEYS["p256"], "p521@1": KEYS["p256"], "more@1": KEYS["p256"]})
    assert "p521@1.pem" in refused("key.exists", error, exit_code=1).message
    assert contents(vault.folder) == before


@pytest.mark.parametrize(
    "key_id",
    ["", ".", "..", "a/b", "../a", "/a", ".hidden", "a\0b", "a\nb", "a b", "-rf", "@1", "ä", "a..b", "a" * 201, "a\\b"],
)
def test_key_ids_that_are_no_plain_names(vault: Vault, key_id: str) -> None:
    for call in (vault.signer, vault.private_key, vault.remove, lambda name: vault.add(name, KEYS["p256"])):
        with pytest.raises(V2GPKIError) as error:
            call(key_id)
        refused("key.bad_id", error, exit_code=1)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
@pytest.mark.parametrize("name", ["secret.json", "p256@1.pem"])
def test_a_file_that_others_may_open(vault: Vault, name: str, mode: int) -> None:
    (vault.folder / name).chmod(mode)
    with pytest.raises(V2GPKIError) as error:
        Vault.unlock(vault.folder, CANARY).signer("p256@1")
    assert "chmod 0600" in refused("key.exposed", error).hint


@pytest.mark.parametrize("mode", [0o755, 0o711, 0o770])
def test_a_folder_that_others_may_enter(vault: Vault, mode: int) -> None:
    vault.folder.chmod(mode)
    with pytest.raises(V2GPKIError) as error:
        Vault.unlock(vault.folder, CANARY)
    assert "chmod 0700" in refused("key.exposed", error).hint


def test_an_open_folder_is_not_made_a_vault(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(V2GPKIError) as error:
        Vault.create(folder, CANARY)
    refused("key.exposed", error)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", KEYS)
def test_no_changed_octet_goes_unnoticed(vault: Vault, name: str) -> None:
    """Ed448 and X448 keys have no redundancy: without the seal a changed octet would be another key."""
    path = vault.folder / f"{name}@1.pem"
    good = path.read_bytes()
    for position in range(len(good)):
        for change in (0x01, 0x20):
            path.write_bytes(good[:position] + bytes((good[position] ^ change,)) + good[position + 1 :])
            with pytest.raises(V2GPKIError) as error:
                vault.private_key(f"{name}@1")
            assert error.value.code in {"key.damaged", "key.foreign", "key.newer_format"}
            assert error.value.outcome.exit_code == 3


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 500, b"v2gpki key file 1\n"])
def test_a_file_that_is_no_key_file(vault: Vault, damage: bytes) -> None:
    (vault.folder / "p256@1.pem").write_bytes(damage)
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    refused("key.damaged", error)


def test_a_file_that_is_far_too_large(vault: Vault) -> None:
    with (vault.folder / "p256@1.pem").open("ab") as stream:
        stream.write(bytes(files.LARGEST))
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    refused("key.damaged", error)


def test_a_plain_key_put_there_by_hand(vault: Vault) -> None:
    (vault.folder / "p256@1.pem").write_bytes(pkcs8.plain(KEYS["p256"]))
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    refused("key.damaged", error)


def test_a_newer_key_file(vault: Vault) -> None:
    path = vault.folder / "p256@1.pem"
    path.write_bytes(path.read_bytes().replace(b"key file 1", b"key file 2", 1))
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    refused("key.newer_format", error)


def test_two_keys_swapped(vault: Vault) -> None:
    one, other = vault.folder / "p256@1.pem", vault.folder / "p521@1.pem"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    assert "p521@1" in refused("key.damaged", error).message
    # and when somebody edits the name as well
    one.write_bytes(one.read_bytes().replace(b"key: p521@1", b"key: p256@1"))
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    assert "seal" in refused("key.damaged", error).message


def test_a_key_file_of_another_home(vault: Vault, tmp_path: Path) -> None:
    other = Vault.create(tmp_path / "other", CANARY)
    other.add("p256@1", KEYS["p256"])
    shutil.copy(other.folder / "p256@1.pem", vault.folder / "p256@1.pem")
    with pytest.raises(V2GPKIError) as error:
        vault.signer("p256@1")
    assert "another home" in refused("key.foreign", error).message


# -- what it leaves behind ------------------------------------------------------------------------


def test_read_only_folder(vault: Vault) -> None:
    before = contents(vault.folder)
    with read_only(vault.folder):
        with pytest.raises(V2GPKIError) as error:
            vault.add_many({"new@1": KEYS["p256"]})
        refused("file.unwritable", error)
        with pytest.raises(V2GPKIError) as error:
            vault.remove("p256@1")
        refused("file.unwritable", error)
    assert contents(vault.folder) == before


def test_read_only_place(tmp_path: Path) -> None:
    with read_only(tmp_path), pytest.raises(V2GPKIError) as error:
        Vault.create(tmp_path / "keys", CANARY)
    refused("file.unwritable", error)
    assert not list(tmp_path.iterdir())


def test_full_disk(vault: Vault, tmp_path: Path) -> None:
    before = contents(vault.folder)
    with full_disk(200), pytest.raises(V2GPKIError) as error:
        vault.add_many({"new@1": KEYS["p256"], "newer@1": KEYS["p521"]})
    refused("file.unwritable", error)
    assert contents(vault.folder) == before
    # room for the smaller key only: the larger one takes it down with it
    small = len((vault.folder / "ed448@1.pem").read_bytes()) + 20
    with full_disk(small), pytest.raises(V2GPKIError) as error:
        vault.add_many({"new@1": KEYS["ed448"], "newer@1": KEYS["p521"]})
    refused("file.unwritable", error)
    assert contents(vault.folder) == before
    with full_disk(100), pytest.raises(V2GPKIError) as error:
        Vault.create(tmp_path / "another", CANARY)
    refused("file.unwritable", error)
    assert not Vault.exists(tmp_path / "another")
    assert not list((tmp_path / "another").iterdir())


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(V2GPKIError) as error:
        Vault.create(tmp_path / "keys", CANARY)
    refused("file.unwritable", error)
    with pytest.raises(V2GPKIError) as error:
        Vault.unlock(tmp_path / "keys", CANARY)
    refused("file.unreadable", error)


def test_leftovers_of_a_killed_process_are_no_keys(vault: Vault) -> None:
    (vault.folder / ".new@1.pem.0123456789ab.tmp").write_bytes(b"half")
    (vault.folder / "notes.txt").write_bytes(b"")
    assert vault.key_ids() == {f"{name}@1" for name in KEYS}
    assert Vault.unlock(vault.folder, CANARY).key_ids() == vault.key_ids()


def test_discard_takes_a_key_and_its_leftovers(vault: Vault) -> None:
    (vault.folder / ".p256@1.pem.0123456789ab.tmp").write_bytes(b"half")
    vault.discard("p256@1")
    vault.discard("never@1")
    vault.discard("../never")
    assert sorted(os.listdir(vault.folder)) == ["ed448@1.pem", "p521@1.pem", "secret.json", "x448@1.pem"]
    with read_only(vault.folder), pytest.raises(V2GPKIError) as error:
        vault.discard("p521@1")
    refused("file.unwritable", error)
