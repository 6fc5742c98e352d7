"""An authority that is made while a server runs: its certificates are enrolled, and renewed by themselves over TLS."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

import v2gpki
from tests.conftest import PASSPHRASE
from tests.e2e.site import prepare, site
from v2gpki.wiring.access import registrations_of

NAME = "DE-ICE-S-1001"
PATH = "/.well-known/est/cpo/{}/ISO15118-20"
PKCS10 = {"content-type": "application/pkcs10"}


def request(private: ec.EllipticCurvePrivateKey, name: x509.Name) -> bytes:
    """A request as clients make it; a renewal has the subject of the certificate before (RFC 7030 4.2.2)."""
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA512())
    return base64.encodebytes(made.public_bytes(serialization.Encoding.DER))


def certificate(answer: httpx.Response) -> x509.Certificate:
    assert answer.status_code == 200, answer.text
    [found] = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))
    return found


def test_its_certificates_renew_themselves_at_once(tmp_path: Path) -> None:
    """Two workers with the keys in another process; each new connection may meet either of them."""
    prepared = prepare(tmp_path)
    with site(prepared, V2GPKI_SERVE_WORKERS="2") as server:
        with v2gpki.open_authority(prepared.home, passphrase=PASSPHRASE, caller="test") as ca:
            ca.initialise(ca.plan(["iso15118-20"]), org="Acme")
            registrations_of(ca).register("station", "secc", identifiers=[NAME], caller="test")
        asked = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
        private = ec.generate_private_key(ec.SECP521R1())
        with server.client("station") as client:
            enrolled = certificate(
                client.post(PATH.format("simpleenroll"), content=request(private, asked), headers=PKCS10)
            )
        shown = tmp_path / "shown.pem"
        shown.write_bytes(
            enrolled.public_bytes(serialization.Encoding.PEM)
            + private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.create_default_context(cafile=str(prepared.root))
        context.load_cert_chain(shown)
        serials = {enrolled.serial_number}
        for _ in range(8):
            renewed = certificate(
                httpx.post(
                    server.urls[1] + PATH.format("simplereenroll"),
                    content=request(ec.generate_private_key(ec.SECP521R1()), enrolled.subject),
                    headers=PKCS10,
                    verify=context,
                    timeout=30,
                )
            )
            assert renewed.subject == enrolled.subject
            serials.add(renewed.serial_number)
        assert len(serials) == 9
        server.check_alive()
