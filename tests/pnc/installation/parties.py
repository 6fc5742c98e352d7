"""Who takes part in an installation: a vehicle, a mobility operator, a CPS, each with chain and key.

Those of ISO 15118-2 come from the chain corpus (tests/chains), those of -20 from a home; a few certificates that the
corpus has not are made here, always the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import v2gpki
from tests.chains import mint
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import PrivateKey, PublicKey, spki_of
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import TrustAnchor, judge

#: When everything in the corpus that is not meant to be over is valid.
NOW = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
SESSION = bytes.fromhex("a1b2c3d4e5f60718")
CATALOGUE = Catalogue()


@dataclass(frozen=True)
class Holder:
    """A chain (leaf, Sub-CA 2, Sub-CA 1), the leaf's key, and the root."""

    chain: tuple[bytes, ...]
    key: PrivateKey
    root: bytes = b""

    @property
    def signer(self) -> SoftwareSigner:
        return SoftwareSigner(self.key)

    @property
    def spki(self) -> bytes:
        return spki_of(self.key.public_key())


class Recorder:
    """A vehicle's key that tells whether it was used."""

    def __init__(self, key: PrivateKey) -> None:
        self._agreement = SoftwareAgreement(key)
        self.suite, self.spki = self._agreement.suite, self._agreement.spki
        self.used = 0

    def agree(self, peer: PublicKey) -> bytes:
        self.used += 1
        return self._agreement.agree(peer)


@dataclass(frozen=True)
class Parties:
    """Everybody of one edition, and how they judge each other at `at`."""

    edition: Edition
    oem: Holder
    contract: Holder
    cps: Holder
    v2g: bytes
    emaid: str
    pcid: str
    at: datetime
    crls: tuple[bytes, ...] = field(default=())

    def data(self, *, update: bool = False) -> installation.ContractData:
        receiver = self.contract.spki if update else self.oem.spki
        return installation.contract_data(
            edition=self.edition,
            chain=self.contract.chain,
            contract_key=self.contract.key,
            receiver=receiver,
            emaid=self.emaid,
            pcid=self.pcid,
        )

    def signed(self, *, update: bool = False) -> installation.SignedContract:
        return installation.sign_contract(self.data(update=update), cps_chain=self.cps.chain, signer=self.cps.signer)

    def trust(self, chain: tuple[bytes, ...]) -> object:
        """As a vehicle judges the CPS."""
        anchors = [TrustAnchor(self.v2g, "v2g-root")]
        return judge(chain, anchors, catalogue=CATALOGUE, role="cps", edition=self.edition, at=self.at, ordered=True)

    def judge_vehicle(self, request: installation.Request) -> object:
        """As a provisioning service judges whoever asks: the chain that was sent, completed from the pool."""
        chain, role, root = request.chain, "oem", TrustAnchor(self.oem.root, "oem-root")
        if request.action == "update":
            role, root = "contract", TrustAnchor(self.contract.root, "mo-root")
        elif len(chain) == 1:
            chain += self.oem.chain[1:]
        return judge(
            chain,
            [root],
            catalogue=CATALOGUE,
            role=role,
            edition=request.edition,
            at=self.at,
            ordered=True,
            crls=self.crls,
        )


def corpus(leaf: str, *above: str, root: str, key: str = "") -> Holder:
    """A holder from the chain corpus."""
    chain = tuple(mint.certificate(name) for name in (leaf, *above))
    return Holder(chain, mint.private_key(key or leaf, "p256"), mint.certificate(root))


@cache
def parties_2() -> Parties:
    """ISO 15118-2, from the corpus."""
    return Parties(
        "iso15118-2",
        corpus("oem", "oem2", "oem1", root="oemroot"),
        corpus("contract", "mo2", "mo1", root="mo"),
        corpus("cps", "cps2", "cps1", root="v2g"),
        mint.certificate("v2g"),
        "DEABCC123ABC56",
        "WMIV1234567890ABCX",
        NOW,
    )


def parties_of(ca: v2gpki.CertificateAuthority, edition: Edition, suite: str = "") -> Parties:
    """The parties of a home."""
    emaid, pcid = "DEACMC123ABC56", "WVWABCDEF12345678"

    def issued(role: str, identifier: str | None) -> Holder:
        one = ca.issue(role, id=identifier, edition=edition, suite=suite or None)
        assert one.private_key is not None
        issuer = ca.store.authority(one.record.issuer_id)
        assert issuer is not None
        return Holder(one.chain, one.private_key, (issuer.der, *issuer.chain)[-1])

    oem, contract, cps = issued("oem", pcid), issued("contract", emaid), issued("cps", None)
    return Parties(edition, oem, contract, cps, cps.root, emaid, pcid, ca.clock.now())


# --- certificates that the corpus has not ---------------------------------------------------------------------------


@cache
def made(name: str, common_name: str, issuer: str, *, organisation: str = "Corpus", filler: int = 0) -> bytes:
    """A P-256 leaf under an authority of the corpus; `filler` octets make it larger."""
    key, above = mint.private_key(name, "p256"), mint.private_key(issuer, "p256")
    assert isinstance(above, ec.EllipticCurvePrivateKey)
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    if common_name:
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    issuer_certificate = x509.load_der_x509_certificate(mint.certificate(issuer))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(issuer_certificate.subject)
        .serial_number(int.from_bytes(b"\x40" + name.encode()[:15], "big"))
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 6, 1, tzinfo=UTC))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
    )
    if filler:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), bytes(filler))
        builder = builder.add_extension(unknown, critical=False)
    return builder.sign(above, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def revoked(certificate: bytes, issuer: str) -> bytes:
    """A CRL of an authority of the corpus that lists this certificate."""
    above = mint.private_key(issuer, "p256")
    assert isinstance(above, ec.EllipticCurvePrivateKey)
    issuer_certificate = x509.load_der_x509_certificate(mint.certificate(issuer))
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(x509.load_der_x509_certificate(certificate).serial_number)
        .revocation_date(datetime(2026, 6, 1, tzinfo=UTC))
        .build()
    )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_certificate.subject)
        .last_update(datetime(2026, 6, 1, tzinfo=UTC))
        .next_update(datetime(2026, 7, 1, tzinfo=UTC))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
        .add_revoked_certificate(entry)
    )
    return builder.sign(above, hashes.SHA256()).public_bytes(Encoding.DER)


def after(*steps: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Changes of octets, one after the other."""

    def changed(octets: bytes) -> bytes:
        for step in steps:
            octets = step(octets)
        return octets

    return changed


def names(values: Sequence[object]) -> list[str]:
    """Names of test rows."""
    return [str(getattr(value, "name", value)) for value in values]
