"""No secret is anywhere but where it was asked for: commands run with known secrets, then everything is searched.

Searched are stdout and stderr of every command, the whole home, the scratch folder and all written files, for each
secret as octets, hex, decimal, base64 (in its three alignments) and UTF-16. The secrets are the passphrases, the home's
256-bit secret, the private keys that the home keeps, and those that it handed out; of installations the vehicle's key,
the contract's, and what opens the envelope: Z, the derived key, and the octets that it is derived from. That the search
finds what it should is shown on files and on output that must contain a secret.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keys.published import KEYS
from v2gpki.certs.chain import pem
from v2gpki.certs.csr import build_csr
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import PrivateKey
from v2gpki.keys.vault import Vault
from v2gpki.pnc.installation import read_response
from v2gpki.wiring import open_authority

PASSPHRASE = "canary-of-the-home-8c1f"
KEY_PASSPHRASE = "canary-of-a-key-77aa"
WRONG = "canary-that-is-wrong-51d0"


@dataclass
class Scene:
    """A home after a day's work: what was printed, and where everything lies."""

    home: Path
    out: Path
    scratch: Path
    printed: dict[str, bytes] = field(default_factory=dict)
    #: The output of the commands that were asked for the steps of an envelope, by installation.
    asked: dict[str, bytes] = field(default_factory=dict)

    def run(self, *arguments: str, code: int = 0, passphrase: str | None = PASSPHRASE) -> bytes:
        """One command as its own process; its exit code must be as expected."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI_")}
        environment |= {"V2GPKI_HOME": str(self.home), "TMPDIR": str(self.scratch), "HOME": str(self.scratch)}
        if passphrase is not None:
            environment["V2GPKI_PASSPHRASE"] = passphrase
        done = subprocess.run(
            [sys.executable, "-m", "v2gpki", *arguments],
            env=environment,
            cwd=self.out,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        self.printed[f"{len(self.printed)} v2gpki {' '.join(arguments)}"] = done.stdout + b"\n" + done.stderr
        assert done.returncode == code, (arguments, done.stderr.decode(errors="replace"))
        return done.stdout

    def files(self, *folders: Path) -> dict[str, bytes]:
        """Every file below the folders: its name and its content."""
        found = {}
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    found[str(path)] = path.name.encode() + b"\n" + path.read_bytes()
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Every command that touches a secret, the good way and some bad ones."""
    base = tmp_path_factory.mktemp("canary")
    scene = Scene(base / "home", base / "out", base / "scratch")
    for folder in (scene.out, scene.scratch):
        folder.mkdir()
    secret_file = base / "key-passphrase"
    secret_file.write_text(KEY_PASSPHRASE + "\n")
    secret_file.chmod(0o600)
    (scene.out / "request.pem").write_bytes(build_csr(KEYS["p256"], "DEAABC123456789"))
    encrypted = ("--key-passphrase-file", str(secret_file))
    run = scene.run
    run("init-root", "--edition", "iso15118-2", "--name", "Acme V2G Root")
    run("init-root", "--edition", "iso15118-2", "--name", "Acme V2G Root", code=1)
    run("init", "--edition", "both", "--org", "Acme")
    run("cert", "issue", "secc", "--edition", "iso15118-2", "--id", "DE*ACM*E0001", "--plain-key", "--out", "plain")
    run("cert", "issue", "secc", "--edition", "iso15118-2", "--id", "DE*ACM*E0002", *encrypted, "--p12",
        "--out", "sealed")  # fmt: skip
    run("cert", "issue", "oem", "--edition", "iso15118-2", "--id", "WP012345678901234", *encrypted, "--escrow",
        "--json", "--out", "escrowed")  # fmt: skip
    run("cert", "issue", "secc", "--edition", "iso15118-20", "--id", "DE*ACM*E0003", "--suite", "ed448", *encrypted,
        "--out", "ed448")  # fmt: skip
    run("cert", "issue", "secc", "--edition", "iso15118-2", "--id", "DE*ACM*E0004", "--csr", "request.pem",
        "--out", "asked")  # fmt: skip
    run("cert", "issue", "secc", "--edition", "iso15118-2", "--id", "not an id", "--plain-key", "--out", "no", code=1)
    for edition in INSTALLED:
        install(scene, edition, str(secret_file))
    run("key", "export", "iso2-mo-root", *encrypted, "--out", "exported.pem")
    run("crl", "issue", "iso2-cpo-sub-ca-2", "--out", "cpo.crl")
    run("ca", "list", "--json", passphrase=None)
    run("ca", "show", "iso2-v2g-root", passphrase=None)
    run("cert", "list", "--json", passphrase=None)
    run("tree", passphrase=None)
    run("audit", "show", "--json", passphrase=None)
    run("audit", "verify", passphrase=None)
    run("export", "--layout", "josev", "--out", "josev")
    # refusals, also with everything that --debug adds
    for more in ((), ("--json",), ("--debug",)):
        run(*more, "crl", "issue", "iso2-cpo-sub-ca-2", "--out", "x.crl", passphrase=WRONG, code=3)
    secret_json = scene.home / "keys" / "secret.json"
    good = secret_json.read_bytes()
    secret_json.write_bytes(good[:-30])
    run("--debug", "crl", "issue", "iso2-cpo-sub-ca-2", "--out", "x.crl", code=3)
    secret_json.write_bytes(good)
    key_file = scene.home / "keys" / "iso2-cpo-sub-ca-2@1.pem"
    good = key_file.read_bytes()
    key_file.write_bytes(good[:-60])
    run("--debug", "crl", "issue", "iso2-cpo-sub-ca-2", "--out", "x.crl", code=3)
    key_file.write_bytes(good)
    return scene


#: Folder prefix, edition and key family of the vehicles that install a contract.
INSTALLED = {"iso2": ("iso15118-2", "p256", "iso2"), "iso20": ("iso15118-20", "p521", "iso20-p521")}
PCID = "WACME0000000000012"


def install(scene: Scene, name: str, secret_file: str) -> None:
    """A vehicle is registered, has a contract, asks, is answered and opens; everybody looks on. Bad ones too."""
    edition, suite, slug = INSTALLED[name]
    emaid = f"DEACMC1234567{8 if name == 'iso2' else 9}"
    run, car = scene.run, f"{name}-car"
    encrypted = ("--key-passphrase-file", secret_file)
    key = ("--oem-key", f"{car}/key.pem", "--oem-key-passphrase-file", secret_file)
    chain = ("--oem-chain", f"{car}/chain.pem")
    root = f"{name}-root.pem"
    with open_authority(scene.home) as ca:
        (scene.out / root).write_bytes(pem([ca.authority(f"{slug}-v2g-root").der]))
    run("cert", "issue", "oem", "--edition", edition, "--suite", suite, "--id", PCID, *encrypted, "--out", car)
    run("contract", "create", "--emaid", emaid, "--pcid", PCID)
    run("installation", "request", *key, *chain, "--root", root, "--out", f"{name}.req", passphrase=None)
    run("--debug", "installation", "answer", "--request", f"{name}.req", "--out", f"{name}.res")
    run("--debug", "installation", "answer", "--request", f"{name}.req", "--out", f"{name}.wrong", passphrase=WRONG,
        code=3)  # fmt: skip
    run("contract", "prepare", emaid)
    judged = (f"{name}.res", "--anchor", root)
    run("--json", "installation", "verify", *judged, passphrase=None)
    for more in ((), ("--json",)):
        run(*more, "installation", "explain", *judged, *chain, "--request", f"{name}.req", passphrase=None)
        # No anchor: the key is there, and is not used.
        run(*more, "installation", "explain", f"{name}.res", *key, *chain, passphrase=None)
    run("--debug", "installation", "open", *judged, *key, *chain, *encrypted, "--out", f"{name}-opened",
        passphrase=None)  # fmt: skip
    # Refused late: by the envelope of -20, and by the EMAID.
    run("--debug", "installation", "open", *judged, *key, *chain, *encrypted, "--emaid", "DEACMC00000000", "--out",
        f"{name}-no", passphrase=None, code=1)  # fmt: skip
    if edition == "iso15118-20":
        run("--debug", "installation", "open", *judged, *key, "--pcid", "WACME0000000000013", *encrypted, "--out",
            f"{name}-no", passphrase=None, code=1)  # fmt: skip
    run("pcp", "list", "--json", passphrase=None)
    run("contract", "show", emaid, "--json", passphrase=None)
    # Asked for: printed, and kept apart.
    asked = scene.run("--json", "installation", "explain", *judged, *key, *chain, passphrase=None)
    scene.asked[name] = scene.printed.popitem()[1]
    assert asked


def numbers(key: PrivateKey) -> Iterable[bytes]:
    """The private value: octets, and for an EC key the decimal number too."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        value = key.private_numbers().private_value
        yield value.to_bytes((key.curve.key_size + 7) // 8, "big").lstrip(b"\x00")
        yield str(value).encode()
    else:
        yield key.private_bytes_raw()


def appearances(secret: bytes) -> set[bytes]:
    """The forms in which a secret might slip out."""
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), secret.hex(":").encode()}
    forms |= {repr(secret)[2:-1].encode(), ", ".join(str(octet) for octet in secret).encode()}
    for shift in range(3):
        # the characters that depend on the secret alone, whatever stands around it
        text = base64.b64encode(bytes(shift) + secret)[4 if shift else 0 : -4]
        forms |= {text, text.translate(bytes.maketrans(b"+/", b"-_"))}
    if secret.isascii():
        forms |= {secret.decode().encode("utf-16-le"), secret.decode().encode("utf-16-be")}
    return forms


def leaks(secrets: Mapping[str, Iterable[bytes]], places: Mapping[str, bytes]) -> list[str]:
    """Which secret is in which place; line ends are also searched over, as PEM would break a secret."""
    found = []
    for name, values in secrets.items():
        forms = set().union(*(appearances(value) for value in values))
        for place, content in places.items():
            joined = content.replace(b"\r", b"").replace(b"\n", b"")
            if any(form in content or form in joined for form in forms):
                found.append(f"{name} in {place}")
    return found


def home_secrets(scene: Scene) -> dict[str, list[bytes]]:
    """What nobody may ever see: by looking behind the doors of the vault."""
    vault = Vault.unlock(scene.home / "keys", PASSPHRASE)
    secrets = {
        "the home's passphrase": [PASSPHRASE.encode()],
        "the wrong passphrase": [WRONG.encode()],
        "the home's secret": [vault._secret.octets, vault._secret.octets.hex().encode()],
    }
    for key_id in sorted(vault.key_ids()):
        secrets[f"the private key {key_id}"] = list(numbers(vault.private_key(key_id)))
    assert len(secrets) > 40
    return secrets


def handed_out(scene: Scene) -> dict[str, list[bytes]]:
    """The keys that were handed out under a passphrase."""
    keys = {}
    folders = [f"{name}-{what}" for name in INSTALLED for what in ("car", "opened")]
    for folder in ("sealed", "escrowed", "ed448", *folders):
        keys[f"the key of {folder}"] = list(numbers(kept_key(scene, folder)))
    return keys


def kept_key(scene: Scene, folder: str) -> PrivateKey:
    return pkcs8.load((scene.out / folder / "key.pem").read_bytes(), KEY_PASSPHRASE.encode())


def of_envelopes(scene: Scene) -> dict[str, list[bytes]]:
    """What opens the envelopes of the two installations, computed here from the vehicle's key: Z = the x-coordinate,
    key = hash(00000001, Z, 01 55 56) cut to 16 octets of SHA-256 (-2) or 32 of SHA-512 (-20)."""
    secrets: dict[str, list[bytes]] = {}
    for name, (_, suite, _) in INSTALLED.items():
        key = kept_key(scene, f"{name}-car")
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        sealed = read_response((scene.out / f"{name}.res").read_bytes()).data.sealed
        z = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, sealed.dh_public_key))
        digest = hashlib.sha256 if suite == "p256" else hashlib.sha512
        output = digest(b"\0\0\0\1" + z + b"\x01\x55\x56").digest()
        derived = output[: 16 if suite == "p256" else 32]
        secrets |= {f"Z of {name}": [z, str(int.from_bytes(z, "big")).encode()], f"the AES key of {name}": [derived],
                    f"the KDF's output of {name}": [output]}  # fmt: skip
    return secrets


def everything_secret(scene: Scene) -> dict[str, list[bytes]]:
    return home_secrets(scene) | handed_out(scene) | of_envelopes(scene) | {
        "a key's passphrase": [KEY_PASSPHRASE.encode()]
    }


def test_the_search_finds_what_is_there(scene: Scene) -> None:
    """Controls: a key written plain on request, a passphrase in its own file, and each form on its own."""
    plain = pkcs8.load((scene.out / "plain" / "key.pem").read_bytes())
    found = leaks({"plain": numbers(plain)}, scene.files(scene.out))
    assert found == [f"plain in {scene.out / 'plain' / 'key.pem'}"]
    assert leaks({"file": [KEY_PASSPHRASE.encode()]}, scene.files(scene.out.parent)) == [
        f"file in {scene.out.parent / 'key-passphrase'}"
    ]
    secret = bytes(range(200, 232))
    for form in (
        b"x" + secret + b"x",
        secret.hex().upper().encode(),
        base64.encodebytes(b"before" + secret + b"behind"),
        base64.b64encode(b"1" + secret),
        base64.urlsafe_b64encode(b"12" + secret + b"3"),
        repr(secret).encode(),
        repr(list(secret)).encode(),
        "\n".join(secret.hex()[start : start + 16] for start in range(0, 64, 16)).encode(),
    ):
        assert leaks({"secret": [secret]}, {"place": form}) == ["secret in place"]
    assert not leaks({"secret": [secret]}, {"place": os.urandom(4096)})


def test_the_steps_of_an_envelope_are_where_they_were_asked_for_and_nowhere_else(scene: Scene) -> None:
    """`explain` with the vehicle's key and an anchor prints Z and the derived key; never the keys of vehicle and
    contract, which are what the steps lead to and come from."""
    for name in INSTALLED:
        steps = {what: value for what, value in of_envelopes(scene).items() if what.endswith(f" of {name}")}
        assert len(steps) == 3
        assert leaks(steps, {"asked": scene.asked[name]}) == [f"{what} in asked" for what in steps]
        others = {what: value for what, value in everything_secret(scene).items() if what not in steps}
        assert leaks(others, {"asked": scene.asked[name]}) == []
    explained = [content for command, content in scene.printed.items() if " installation explain " in command]
    assert len(explained) == 8
    assert sum(b"it stays closed" in content for content in explained) == 4


def test_nothing_secret_is_printed(scene: Scene) -> None:
    secrets = everything_secret(scene)
    plain = pkcs8.load((scene.out / "plain" / "key.pem").read_bytes())
    assert len(scene.printed) > 20
    assert leaks(secrets | {"the plain key": list(numbers(plain))}, scene.printed) == []


def test_nothing_secret_lies_in_the_home(scene: Scene) -> None:
    secrets = everything_secret(scene)
    plain = pkcs8.load((scene.out / "plain" / "key.pem").read_bytes())
    files = scene.files(scene.home)
    assert any(name.endswith("store.db") for name in files)
    assert leaks(secrets | {"the plain key": list(numbers(plain))}, files) == []


def test_nothing_secret_lies_in_what_was_handed_out(scene: Scene) -> None:
    files = scene.files(scene.out)
    secrets = everything_secret(scene)
    assert leaks(secrets, files) == []


def test_nothing_is_left_in_the_scratch_folder(scene: Scene) -> None:
    assert scene.files(scene.scratch) == {}


def test_only_the_escrowed_key_is_kept(scene: Scene) -> None:
    vault = Vault.unlock(scene.home / "keys", PASSPHRASE)
    kept = {value for key_id in vault.key_ids() for value in numbers(vault.private_key(key_id))}
    for name, values in handed_out(scene).items():
        assert (values[0] in kept) == (name == "the key of escrowed")


def test_secret_files_are_closed_to_others(scene: Scene) -> None:
    assert scene.home.stat().st_mode & 0o077 == 0
    for path in (scene.home / "keys").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    for name in ("plain/key.pem", "sealed/key.pem", "sealed/cert.p12", "exported.pem"):
        assert (scene.out / name).stat().st_mode & 0o777 == 0o600, name


def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The library with every logger open wide; objects shown as a debugger would."""
    with caplog.at_level(logging.DEBUG):
        authority = open_authority(tmp_path / "home", passphrase=PASSPHRASE, create=True)
        try:
            authority.create_authority("v2g-root", edition="iso15118-2", name="Acme V2G Root")
            vault = authority.vault
            assert vault is not None
            signers = [vault.signer(key_id) for key_id in sorted(vault.key_ids())]
            shown = "\n".join(repr(thing) for thing in (authority, vars(authority), vault, signers))
        finally:
            authority.close()
    secrets = {
        "the passphrase": [PASSPHRASE.encode()],
        "the secret": [vault._secret.octets, vault._secret.octets.hex().encode()],
    } | {key_id: list(numbers(vault.private_key(key_id))) for key_id in vault.key_ids()}
    assert leaks(secrets, {"log": caplog.text.encode(), "repr": shown.encode()}) == []
