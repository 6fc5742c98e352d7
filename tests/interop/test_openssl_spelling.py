"""What is no DER but says one thing, judged by OpenSSL: it reads the same from it, and verifies the same octets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certs.lint.foundry import assemble, leaf, root, sub
from tests.certs.test_spelling import AT, LIBERTIES, signature, signature_algorithm, signed_part, written
from tests.interop.test_openssl_path import openssl, verify
from v2gpki.certs.path import examine
from v2gpki.certs.view import view

pytestmark = pytest.mark.interop("openssl")


def chain_with(name: str, der: bytes) -> list[bytes]:
    return [der, sub().der] if LIBERTIES[name][1] is leaf else [leaf().der, der]


@pytest.mark.parametrize("name", LIBERTIES)
def test_openssl_accepts_what_we_accept(name: str, tmp_path: Path) -> None:
    chain = chain_with(name, written(name))
    good, output = verify(tmp_path, chain, [root().der], AT)
    assert good, output
    assert not examine(chain, [root().der], at=AT, cache=None).findings


@pytest.mark.parametrize("name", LIBERTIES)
def test_openssl_refuses_what_was_spelled_otherwise_after_signing(name: str, tmp_path: Path) -> None:
    der = written(name)
    altered = assemble(signed_part(der), signature_algorithm(der), signature(LIBERTIES[name][1]().der))
    chain = chain_with(name, altered)
    good, output = verify(tmp_path, chain, [root().der], AT)
    assert not good
    assert "certificate signature failure" in output
    (finding,) = examine(chain, [root().der], at=AT, cache=None).findings
    assert finding.code == "path.bad_signature"


@pytest.mark.parametrize("name", LIBERTIES)
def test_openssl_reads_the_same_extensions(name: str, tmp_path: Path) -> None:
    der = written(name)
    (tmp_path / "it.der").write_bytes(der)
    done = openssl("x509", "-inform", "DER", "-in", str(tmp_path / "it.der"), "-noout", "-text")
    seen = view(der)
    assert ("CA:TRUE" in done.stdout) == seen.ca
    assert done.stdout.count(": critical") == sum(one.critical for one in seen.extensions)
    words = {"digitalSignature": "Digital Signature", "keyCertSign": "Certificate Sign", "cRLSign": "CRL Sign"}
    assert seen.key_usage is not None
    assert {bit for bit, word in words.items() if word in done.stdout} == seen.key_usage
