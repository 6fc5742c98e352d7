"""A role and an edition by TOML alone: issued, linted and verified without a line of Python."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.certs.lint import lint_certificate
from v2gpki.services.trust import TrustAnchor, judge

PROFILES = Path(__file__).resolve().parents[1] / "profile" / "data"


@pytest.fixture
def kiosk_home(tmp_path: Path) -> v2gpki.CertificateAuthority:
    ca = v2gpki.open_authority(
        tmp_path / "home",
        passphrase=PASSPHRASE,
        profiles=[PROFILES],
        create=True,
        clock=v2gpki.FixedClock(BIRTH),
        caller="test",
    )
    ca.create_authority("kiosk-root", edition="lab-demo", name="Kiosk Root", org="Acme")
    return ca


def test_issue_lint_and_verify(kiosk_home: v2gpki.CertificateAuthority) -> None:
    with kiosk_home as ca:
        profile = ca.catalogue.profile("lab-demo", "kiosk")
        issued = ca.issue("kiosk", id=kiosk_identifier(profile.identifier.kinds[0]), edition="lab-demo")
        root = ca.authority(issued.record.issuer_id)
        assert lint_certificate(issued.record.der, profile, issuer=root.der) == issued.findings
        certificate = x509.load_der_x509_certificate(issued.record.der)
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(root.der))
        # The edition's serial rule is kept: so many octets, the first within its bounds.
        rule = ca.catalogue.edition("lab-demo").serial
        octets = certificate.serial_number.to_bytes(rule.octets, "big")
        assert rule.first_minimum <= octets[0] <= rule.first_maximum
        judge(
            [issued.record.der],
            [TrustAnchor(root.der, "kiosk-root")],
            catalogue=ca.catalogue,
            role="kiosk",
            edition="lab-demo",
            at=BIRTH,
        )
        with pytest.raises(v2gpki.V2GPKIError) as refused:
            judge(
                [issued.record.der],
                [TrustAnchor(root.der, "kiosk-root")],
                catalogue=ca.catalogue,
                role="kiosk",
                edition="lab-demo",
                at=issued.record.not_after.replace(year=issued.record.not_after.year + 1),
            )
        assert refused.value.code == "path.expired"


def test_nothing_outlives_the_root_of_three_years(kiosk_home: v2gpki.CertificateAuthority) -> None:
    with kiosk_home as ca:
        profile = ca.catalogue.profile("lab-demo", "kiosk")
        with pytest.raises(v2gpki.V2GPKIError) as refused:
            ca.issue(
                "kiosk",
                id=kiosk_identifier(profile.identifier.kinds[0]),
                edition="lab-demo",
                not_after=BIRTH + timedelta(days=4 * 365),
            )
        errors = [finding.code for finding in refused.value.findings if finding.severity == "error"]
        assert errors == ["lint.validity.outlives_issuer"]


def kiosk_identifier(kind: str) -> str:
    """A lawful identifier of the kind that the role's TOML names."""
    return {"text": "Kiosk 7", "cpid": "KIOSK-7", "evseid": "DE*ACM*E0007", "emaid": "DEACMC12345678"}[kind]
