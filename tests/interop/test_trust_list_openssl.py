"""OpenSSL opens signed trust lists, and what it signs is opened here."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import BIRTH
from v2gpki import CertificateAuthority
from v2gpki.certs import signed_data, trust_list
from v2gpki.certs.chain import pem
from v2gpki.certs.trust_list import ListedRoot, TrustList
from v2gpki.keys import pkcs8


def openssl(*arguments: str | Path) -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.mark.interop("openssl")
@pytest.mark.parametrize("slug", ["iso2-v2g-root", "iso20-p521-v2g-root", "iso2-cpo-sub-ca-2"])
def test_openssl_verifies_a_signed_list(everything: CertificateAuthority, tmp_path: Path, slug: str) -> None:
    authority = everything.authority(slug)
    root = everything.authority("iso2-mo-root").der
    content = TrustList("Acme", 1, BIRTH, BIRTH + timedelta(days=30), (ListedRoot(root, "mo-root"),))
    assert everything.vault is not None
    key = everything.vault.signer(authority.key_id)
    data = trust_list.sign(content, signer=key, certificate=authority.der, chain=authority.chain, at=BIRTH)
    (tmp_path / "list.ctl").write_bytes(data)
    (tmp_path / "root.pem").write_bytes(pem([(authority.der, *authority.chain)[-1]]))
    text = openssl(
        "cms", "-verify", "-inform", "DER", "-in", tmp_path / "list.ctl", "-CAfile", tmp_path / "root.pem",
        "-purpose", "any", "-attime", str(int(BIRTH.timestamp())), "-binary",
    )  # fmt: skip
    assert text == trust_list.write(content)


@pytest.mark.interop("openssl")
@pytest.mark.parametrize("form", [[], ["-keyid"], ["-md", "sha512"], ["-stream"]])
def test_what_openssl_signs_is_opened(iso2: CertificateAuthority, tmp_path: Path, form: list[str]) -> None:
    issued = iso2.issue("secc", id="DE*ICE*E1", edition="iso15118-2")
    assert issued.private_key is not None
    (tmp_path / "cert.pem").write_bytes(pem([issued.record.der]))
    (tmp_path / "key.pem").write_bytes(pkcs8.plain(issued.private_key))
    (tmp_path / "content").write_bytes(b"some content\n" * 1000)
    data = openssl(
        "cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-in", tmp_path / "content",
        "-signer", tmp_path / "cert.pem", "-inkey", tmp_path / "key.pem", *form,
    )  # fmt: skip
    opened = signed_data.open_signed(data)
    assert (opened.content, opened.signer) == (b"some content\n" * 1000, issued.record.der)
    assert opened.signed_at is not None
