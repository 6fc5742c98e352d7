"""One home with everything in it: each edition, each key family, each role; what the foreign judges look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import BIRTH, PASSPHRASE
from v2gpki import FixedClock, wiring
from v2gpki.profile.model import Profile

SAMPLES = {
    "evseid": "DE*ABC*E45B*78C",
    "seccid": "DE-ABC-S-00003C4D557878675645330967543476-2",
    "cpid": "DE*ABC*E00001",
    "emaid": "DE-ABC-C12345678",
    "pcid": "WAB12345678901234",
    "evccid": "WABV1234567890ABCDEX",
    "hostname": "csms.example.com",
    "text": "csms.example.org",
}
#: Longest services' addresses are not short ones: AIA and CRL distribution points stand in every certificate.
SETTINGS = 'ocsp_url = "http://127.0.0.1:8080/ocsp"\ncrl_base = "http://127.0.0.1:8080/crl"\n'


@dataclass(frozen=True, slots=True)
class Minted:
    """One certificate, the certificates between it and the root, and the root; a root has itself alone."""

    edition: str
    suite: str
    role: str
    der: bytes
    above: tuple[bytes, ...]
    root: bytes

    @property
    def name(self) -> str:
        """Edition, family and role, as a test's name."""
        return f"{self.edition}-{self.suite}-{self.role}"


def mint(home: Path) -> list[Minted]:
    """Create a home with every edition, issue every end-entity role in every family, and list all certificates."""
    home.mkdir(mode=0o700, parents=True)
    (home / "v2gpki.toml").write_text(SETTINGS, "utf-8")
    with wiring.open_authority(home, passphrase=PASSPHRASE, create=True, clock=FixedClock(BIRTH)) as authority:
        authority.initialise(authority.plan(authority.catalogue.editions()), org="Acme", country="DE")
        for profile in end_entity_profiles(authority):
            authority.issue(
                profile.role,
                edition=profile.edition,
                suite=profile.suite,
                id=next((SAMPLES[kind] for kind in profile.identifier.kinds), None),
            )
        return list(_certificates(authority))


def end_entity_profiles(authority: wiring.CertificateAuthority) -> Iterator[Profile]:
    """The profile of every end-entity role, in each of its families, with its default options."""
    catalogue = authority.catalogue
    for edition in catalogue.editions():
        for role in catalogue.roles(edition):
            for suite in catalogue.suites(edition, role):
                profile = catalogue.profile(edition, role, suite)
                if profile.kind == "leaf":
                    yield profile


def _certificates(authority: wiring.CertificateAuthority) -> Iterator[Minted]:
    issuers = {record.id: record for record in authority.store.authorities()}
    for record in authority.store.find_certificates():
        issuer = issuers[record.issuer_id]
        chain = (issuer.der, *issuer.chain) if issuer.der != record.der else (record.der,)
        yield Minted(record.edition, record.suite, record.role, record.der, chain[:-1], chain[-1])
