"""Contract stores: what is saved is found again, by the right edition and operator; files are secret and whole."""

from __future__ import annotations

import asyncio
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from v2gpki import CertificateAuthority
from v2gpki.certs.chain import load_certificates
from v2gpki.clock import FixedClock
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import PrivateKey, spki_of
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.evcc.contracts import FolderContracts, MemoryContracts, held, write
from v2gpki.servers.evcc.plugins import ContractStore, HeldContract, Installed

ONE, OTHER = "DEABCC12345678", "DE8AAC12345678"


@pytest.fixture
def clock(iso2: CertificateAuthority) -> FixedClock:
    return FixedClock(iso2.clock.now())


def installed(ca: CertificateAuthority, emaid: str, edition: Edition = "iso15118-2") -> Installed:
    issued = ca.issue("contract", id=emaid, edition="iso15118-2")
    assert issued.private_key is not None
    return Installed(emaid, edition, issued.chain, der(issued.private_key))


def der(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def chosen(store: ContractStore, *providers: str, edition: Edition = "iso15118-2") -> str:
    contract = asyncio.run(store.contract(edition, providers))
    return contract.emaid if contract else ""


def save(store: ContractStore, *contracts: Installed) -> None:
    for contract in contracts:
        asyncio.run(store.save(contract))


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_the_newest_contract_of_an_operator(
    iso2: CertificateAuthority, clock: FixedClock, tmp_path: Path, kind: str
) -> None:
    store = MemoryContracts(clock) if kind == "memory" else FolderContracts(tmp_path, clock)
    assert chosen(store) == ""
    save(store, installed(iso2, ONE), installed(iso2, OTHER))
    assert chosen(store) == OTHER
    assert chosen(store, "DEABC") == ONE
    assert chosen(store, "DE-ABC", "DE8AA") == OTHER
    assert chosen(store, "FRXYZ") == ""
    assert chosen(store, edition="iso15118-20") == ""
    save(store, installed(iso2, ONE))
    assert chosen(store) == ONE


def test_a_preferred_contract_comes_first(iso2: CertificateAuthority, clock: FixedClock) -> None:
    store = MemoryContracts(clock, preferred="de-abc-C12345678")
    save(store, installed(iso2, ONE), installed(iso2, OTHER))
    assert chosen(store) == ONE
    assert chosen(store, "DE8AA") == OTHER


def test_a_contract_that_has_ended_is_left_out(iso2: CertificateAuthority, clock: FixedClock) -> None:
    store = MemoryContracts(clock)
    save(store, installed(iso2, ONE))
    clock.moment += timedelta(days=4_000)
    assert chosen(store) == ""
    clock.moment = datetime(2000, 1, 1, tzinfo=UTC)
    assert chosen(store) == ""


def test_roots_and_provisioning(iso2: CertificateAuthority, clock: FixedClock) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    oem = held("WVWABCDEF12345678", "iso15118-2", (b"leaf",), key)
    roots = tuple(b"%d" % number for number in range(25))
    store = MemoryContracts(clock, roots={"iso15118-2": roots}, provisioning={"iso15118-2": oem})
    assert asyncio.run(store.roots("iso15118-2")) == roots[:20]
    assert asyncio.run(store.roots("iso15118-20")) == ()
    assert asyncio.run(store.provisioning("iso15118-2")) is oem
    assert asyncio.run(store.provisioning("iso15118-20")) is None
    # the same key signs and opens envelopes
    assert oem.agreement is not None
    assert oem.agreement.spki == oem.signer.spki == spki_of(key.public_key())


def test_a_folder_outlives_the_process(iso2: CertificateAuthority, clock: FixedClock, tmp_path: Path) -> None:
    contract, edition20 = installed(iso2, ONE), installed(iso2, OTHER, "iso15118-20")
    folder = tmp_path / "vehicle" / "contracts"
    save(FolderContracts(folder, clock), contract, edition20)
    again = FolderContracts(folder, clock)
    found = asyncio.run(again.contract("iso15118-2", ()))
    assert found is not None
    assert (found.emaid, found.chain) == (ONE, contract.chain)
    assert found.signer.spki in contract.chain[0]
    assert found.agreement is not None
    assert chosen(again, edition="iso15118-20") == OTHER


def test_files_are_secret_and_readable_by_others_tools(
    iso2: CertificateAuthority, clock: FixedClock, tmp_path: Path
) -> None:
    folder = tmp_path / "contracts"
    contract = installed(iso2, ONE)
    before = os.umask(0)
    try:
        save(FolderContracts(folder, clock), contract)
    finally:
        os.umask(before)
    path = folder / "iso15118-2" / f"{ONE}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(part.stat().st_mode) for part in (folder, path.parent)} == {0o700}
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert der(key) == der(pkcs8.load(contract.private_key))
    assert tuple(load_certificates(path.read_bytes())) == contract.chain
    path.chmod(0o640)
    with pytest.raises(V2GPKIError) as refused:
        FolderContracts(folder, clock)
    assert refused.value.code == "key.exposed"


def test_a_contract_is_replaced_whole_or_not_at_all(
    iso2: CertificateAuthority, clock: FixedClock, tmp_path: Path
) -> None:
    """A folder that does not take the new file keeps the old one, in the store too, and nothing is left beside it."""
    first, second = installed(iso2, ONE), installed(iso2, ONE)
    store = FolderContracts(tmp_path, clock)
    save(store, first)
    place = tmp_path / "iso15118-2"
    place.rename(tmp_path / "aside")
    place.write_bytes(b"no folder")
    with pytest.raises(V2GPKIError) as refused:
        save(store, second)
    assert refused.value.code == "file.unwritable"
    kept = asyncio.run(store.contract("iso15118-2", ()))
    assert kept is not None
    assert kept.chain == first.chain
    place.unlink()
    (tmp_path / "aside").rename(place)
    assert [path.name for path in place.iterdir()] == [f"{ONE}.pem"]
    write(tmp_path, second)
    assert [path.name for path in place.iterdir()] == [f"{ONE}.pem"]
    loaded = asyncio.run(FolderContracts(tmp_path, clock).contract("iso15118-2", ()))
    assert loaded is not None
    assert loaded.chain == second.chain
    assert loaded.signer.spki in second.chain[0]


def test_what_is_half_written_is_no_contract(iso2: CertificateAuthority, clock: FixedClock, tmp_path: Path) -> None:
    save(FolderContracts(tmp_path, clock), installed(iso2, ONE))
    (tmp_path / "iso15118-2" / f".{OTHER}.pem.0123").write_bytes(b"-----BEGIN")
    assert chosen(FolderContracts(tmp_path, clock)) == ONE


@pytest.mark.parametrize(
    ("emaid", "key", "code"), [("no emaid", None, "identifier.invalid"), (ONE, b"no key", "key.malformed")]
)
def test_what_is_no_contract_is_refused(
    iso2: CertificateAuthority, clock: FixedClock, tmp_path: Path, emaid: str, key: bytes | None, code: str
) -> None:
    good = installed(iso2, ONE)
    wrong = Installed(emaid, "iso15118-2", good.chain, key or good.private_key)
    folder = tmp_path / "contracts"
    for store in (MemoryContracts(clock), FolderContracts(folder, clock)):
        with pytest.raises(V2GPKIError) as refused:
            save(store, wrong)
        assert refused.value.code == code
    assert not list(folder.rglob("*.pem*"))


def test_a_contract_shows_no_key(iso2: CertificateAuthority) -> None:
    contract = installed(iso2, ONE)
    assert "private_key" not in repr(contract)
    assert isinstance(held(ONE, "iso15118-2", contract.chain, pkcs8.load(contract.private_key)), HeldContract)
