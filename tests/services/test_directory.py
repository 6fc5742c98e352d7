"""Finding authorities by what people call them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[v2gpki.CertificateAuthority]:
    """A home with nothing but a root."""
    clock = v2gpki.FixedClock(BIRTH)
    with v2gpki.open_authority(tmp_path / "home", passphrase=PASSPHRASE, create=True, clock=clock) as ca:
        ca.create_authority("v2g-root", edition="iso15118-2")
        yield ca


def test_serial_and_fingerprint_name_an_authority(iso2: v2gpki.CertificateAuthority) -> None:
    root = iso2.authority("iso2-v2g-root")
    for name in (f"{root.serial:x}"[:16], hashlib.sha256(root.der).hexdigest()[:16], "iso2-v2g"):
        assert iso2.authority(name) == root


def test_no_name_is_the_name_of_nothing(lonely: v2gpki.CertificateAuthority) -> None:
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        lonely.authority("")
    assert refused.value.code == "store.unknown_authority"
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        lonely.revoke("")
    assert refused.value.code == "store.unknown_certificate"
    assert lonely.authority("iso2-v2g-root").state == "active"
