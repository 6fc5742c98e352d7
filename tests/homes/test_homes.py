"""Homes that older code made, opened with ours: see README.md for where each comes from."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import v2gpki
from v2gpki.store import audit, schema
from v2gpki.store.anchor import load_anchor
from v2gpki.store.sqlite import SqliteStore

HERE = Path(__file__).parent
LAYOUTS = range(1, schema.LAYOUT)
#: Within the validity of every certificate in them.
CLOCK = v2gpki.FixedClock(datetime(2026, 12, 1, 12, tzinfo=UTC))


def unpack(layout: int, folder: Path) -> Path:
    with tarfile.open(HERE / f"layout-{layout}.tar.xz") as archive:
        for member in archive:
            target = folder / member.name
            if member.isdir():
                target.mkdir(mode=0o700)
            elif content := archive.extractfile(member):
                target.touch(mode=0o600)
                target.write_bytes(content.read())
    return folder / f"layout-{layout}"


def schema_of(path: Path) -> dict[str, str]:
    """Every table, index and trigger as SQL; white space apart."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in found}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_older_home_is_migrated_and_holds(layout: int, tmp_path: Path) -> None:
    home = unpack(layout, tmp_path)
    expected = json.loads((HERE / f"layout-{layout}.json").read_text())
    old = schema_of(home / "store.db")
    store = SqliteStore(home / "store.db")
    assert {
        one.fingerprint.hex(): f"{one.role} {one.issuer_id} {one.state}" for one in store.find_certificates()
    } == expected["certificates"]
    key = serialization.load_der_public_key(bytes.fromhex(store.setting("audit_key") or ""))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    verdict = audit.verify(
        store,
        verifier=lambda signature, message: key.verify(signature, message, ec.ECDSA(hashes.SHA256())),
        anchor=load_anchor(json.dumps(expected["anchor"]).encode()),
    )
    assert verdict.findings == ()
    assert verdict.rows == verdict.anchored_up_to == expected["audit_rows"]
    assert store.integrity() == []
    store.close()
    # A home that was migrated and a new one have the same shape.
    SqliteStore(tmp_path / "new.db", create=True).close()
    assert schema_of(home / "store.db") == schema_of(tmp_path / "new.db")
    assert schema_of(home / f"store.db.layout-{layout}.backup") == old


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_older_home_goes_on(layout: int, tmp_path: Path) -> None:
    home = unpack(layout, tmp_path)
    expected = json.loads((HERE / f"layout-{layout}.json").read_text())
    with v2gpki.open_authority(home, passphrase=f"home of layout {layout}", clock=CLOCK) as authority:
        before = authority.store.pools.trust_revision()
        issued = authority.issue("secc", edition="iso15118-2", id="DE*ACM*E004")
        assert authority.store.certificate(issued.record.issuer_id, issued.record.serial) == issued.record
        pools = authority.store.pools
        assert [one.emaid for one in pools.contracts()] == expected.get("contracts", [])
        assert [one.pcid for one in pools.vehicles()] == expected.get("vehicles", [])
        assert (authority.store.access.tokens(), authority.store.webhooks.endpoints()) == ([], [])
        assert authority.store.pools.trust_revision() == before
        authority.create_authority("v2g-root", edition="iso15118-20")
        assert authority.store.pools.trust_revision() != before
