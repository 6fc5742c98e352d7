"""GnuTLS's ocsptool verifies our answers over HTTP; pkilint finds no error in them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from tests.servers.http.serving import serving
from v2gpki import CertificateAuthority, open_authority
from v2gpki.certs.chain import pem
from v2gpki.services.ocsp import OcspResponder
from v2gpki.wiring.ocsp import ocsp_responder

FAMILIES = [("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateAuthority]:
    """A home of today: GnuTLS reads the machine's clock."""
    home = tmp_path_factory.mktemp("ocsp") / "home"
    with open_authority(home, passphrase=PASSPHRASE, create=True) as authority:
        authority.initialise(authority.plan(["iso15118-2", "iso15118-20"]), org="Acme")
        yield authority


@pytest.fixture(scope="module")
def url(ca: CertificateAuthority) -> Iterator[str]:
    with serving(ca.home) as (address,):
        yield address


@pytest.mark.interop("ocsptool")
@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
def test_gnutls_asks_and_verifies(
    ca: CertificateAuthority, url: str, edition: str, suite: str, tmp_path: Path
) -> None:
    secc = ca.issue("secc", id="DE*ABC*E1", edition=edition, suite=suite)
    (tmp_path / "leaf.pem").write_bytes(pem(secc.chain[:1]))
    (tmp_path / "issuer.pem").write_bytes(pem(secc.chain[1:2]))
    command = ["ocsptool", f"--ask={url}", "--nonce", "--load-cert=leaf.pem", "--load-issuer=issuer.pem"]

    def say() -> str:
        # GnuTLS trusts the signers that the CA in this file certified.
        ran = subprocess.run(
            [*command, "--load-trust=issuer.pem"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
        return ran.stdout + ran.stderr

    said = say()
    assert "Certificate Status: good" in said
    assert "Verifying OCSP Response: Success" in said
    assert "Nonce: " in said
    ca.revoke(f"{secc.record.serial:x}", "keyCompromise")
    begin = time.monotonic()
    while "Certificate Status: revoked" not in (revoked := say()):
        assert time.monotonic() - begin < 1
    assert "Verifying OCSP Response: Success" in revoked


#: pkilint's finding -> why we keep it.
TOLERATED: dict[str, str] = {}


def lint(der: bytes) -> set[str]:
    """The codes of pkilint's errors and worse, with all of its OCSP rules."""
    from pkilint import loader, pkix
    from pkilint.pkix import extension, name, ocsp
    from pkilint.validation import ValidationFindingSeverity

    container = ocsp.create_pkix_ocsp_response_validator_container(
        [
            ocsp.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )
    loaded = loader.RFC6960OCSPResponseDocumentLoader().load_der_document(der, "answer")
    return {
        found.finding.code
        for result in container.validate(loaded.root)
        for found in result.finding_descriptions
        if found.finding.severity <= ValidationFindingSeverity.WARNING
    }


@pytest.mark.interop("pkilint")
@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
def test_pkilint_finds_no_error(ca: CertificateAuthority, edition: str, suite: str) -> None:
    from tests.services.ocsp.asking import request, request_for_serial

    responder: OcspResponder = ocsp_responder(ca)
    secc = ca.issue("secc", id="DE*ABC*E1", edition=edition, suite=suite)
    leaf, issuer = secc.chain[:2]
    questions = [request(leaf, issuer, name, nonce) for name in ("sha1", "sha256") for nonce in (None, b"n" * 32)]
    questions.append(request_for_serial(0x55, issuer))
    found = {code for question in questions for code in lint(responder.answer(question).der)}
    ca.revoke(f"{secc.record.serial:x}", "superseded")
    found |= {code for question in questions for code in lint(responder.answer(question).der)}
    found |= lint(responder.answer(b"junk").der) | lint(responder.answer(questions[0] + b"\x00").der)
    assert found == set(TOLERATED)


@pytest.mark.interop("pkilint")
def test_pkilint_sees_a_defect(ca: CertificateAuthority) -> None:
    from tests.services.ocsp.asking import request

    secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    der = ocsp_responder(ca).answer(request(*secc.chain[:2])).der
    # thisUpdate and nextUpdate in UTC but without the Z that DER demands: 20261129153258Z -> 202611291532580
    at = der.index(b"\xa0\x11\x18\x0f") + 4
    assert lint(der) == set()
    assert lint(der[: at + 14] + b"0" + der[at + 15 :]) != set()
