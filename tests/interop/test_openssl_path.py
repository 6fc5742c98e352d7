"""The chain corpus judged by OpenSSL: what it accepts and refuses must be what the corpus says of it, and our lists
and verdicts on revocation must be its own too."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.certs.test_crl import NEXT, Key, T
from tests.chains.mint import Case, cases, certificate, revocation_list
from v2gpki.certs.chain import pem
from v2gpki.certs.crl import RevokedEntry, build_crl
from v2gpki.certs.path import validate
from v2gpki.errors import V2GPKIError

pytestmark = pytest.mark.interop("openssl")
AT = datetime(2026, 6, 15, 12, tzinfo=UTC)


def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)


def verify(folder: Path, chain: list[bytes], anchors: list[bytes], at: datetime, *more: str) -> tuple[bool, str]:
    """``openssl verify`` of the leaf, which comes first."""
    files = {"leaf": chain[:1], "others": chain[1:], "anchors": anchors}
    for name, ders in files.items():
        (folder / f"{name}.pem").write_bytes(pem(ders))
    arguments = ["verify", "-x509_strict", "-attime", str(int(at.timestamp())), *more]
    arguments += ["-trusted", str(folder / "anchors.pem")] if anchors else ["-no-CAfile", "-no-CApath", "-no-CAstore"]
    arguments += ["-untrusted", str(folder / "others.pem")] if chain[1:] else []
    done = openssl(*arguments, str(folder / "leaf.pem"))
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", [case for case in cases() if case.openssl], ids=lambda case: case.name)
def test_openssl_agrees(case: Case, tmp_path: Path) -> None:
    names = case.chain if case.name != "shuffled" else ("secc", "cpo2", "cpo1")
    good, output = verify(
        tmp_path, [certificate(name) for name in names], [certificate(name) for name in case.anchors], case.at
    )
    assert good == (case.openssl == "good"), output
    assert good == (case.path == "")


@pytest.mark.parametrize(
    ("crl", "words", "code"),
    [
        ("cpo2-empty", "OK", ""),
        ("cpo2-secc", "certificate revoked", "path.revoked"),
        ("cpo2-stale", "CRL has expired", "path.status_unknown"),
        ("cpo2-future", "CRL is not yet valid", "path.status_unknown"),
        ("forged", "CRL signature failure", "path.status_unknown"),
        ("cpo1-empty", "unable to get certificate CRL", "path.status_unknown"),
    ],
)
def test_a_list_says_the_same_to_openssl(crl: str, words: str, code: str, tmp_path: Path) -> None:
    chain = [certificate(name) for name in ("secc", "cpo2", "cpo1")]
    (tmp_path / "list.crl").write_bytes(revocation_list(crl))
    openssl("crl", "-inform", "DER", "-in", str(tmp_path / "list.crl"), "-out", str(tmp_path / "list.pem"))
    more = ("-crl_check", "-CRLfile", str(tmp_path / "list.pem"))
    good, output = verify(tmp_path, chain, [certificate("v2g")], AT, *more)
    assert good == (code == "")
    assert words in output
    # OpenSSL asks for the leaf's status only; the two CAs above are given good ones.
    crls = [revocation_list(name) for name in dict.fromkeys((crl, "cpo1-empty", "v2g-empty"))]
    if not code:
        validate(chain, [certificate("v2g")], at=AT, crls=crls, require_evidence=True)
        return
    with pytest.raises(V2GPKIError) as caught:
        validate(chain, [certificate("v2g")], at=AT, crls=crls, require_evidence=True)
    assert caught.value.code == code


@pytest.mark.parametrize(("issuer", "suite"), [("cpo2", "p256"), ("cpo2-p521", "p521"), ("cpo2-ed448", "ed448")])
def test_openssl_reads_our_list(issuer: str, suite: str, tmp_path: Path) -> None:
    der = build_crl(
        issuer=certificate(issuer),
        signer=Key(issuer, suite),
        number=255,
        this_update=T,
        next_update=NEXT,
        entries=[RevokedEntry(0xABCDEF, T, "keyCompromise"), RevokedEntry(0x80, T)],
    )
    (tmp_path / "list.crl").write_bytes(der)
    (tmp_path / "ca.pem").write_bytes(pem([certificate(issuer)]))
    shown = openssl(
        *("crl", "-inform", "DER", "-in", str(tmp_path / "list.crl")),
        *("-CAfile", str(tmp_path / "ca.pem"), "-noout", "-text"),
    )
    assert shown.returncode == 0
    assert "verify OK" in shown.stderr
    text = " ".join(shown.stdout.split())
    assert "Version 2 (0x1)" in text
    assert "X509v3 CRL Number: 255" in text
    # By serial, and the reason only where there is one.
    assert text.index("Serial Number: 80 ") < text.index("Serial Number: ABCDEF")
    assert text.count("CRL entry extensions") == 1
    assert "X509v3 CRL Reason Code: Key Compromise" in text
    assert "Last Update: Jun 10 08:30:59 2026 GMT" in text
