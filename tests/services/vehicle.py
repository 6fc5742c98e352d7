"""A vehicle for tests: its provisioning key and chain, what it asks, and how it opens what it gets.

The vehicle's side is our own code; whether that agrees with others is judged in tests/interop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from v2gpki import CertificateAuthority
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import PrivateKey
from v2gpki.messages import encode
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import OpenedContract
from v2gpki.services.trust import TrustAnchor, judge

PCID = "WVWABCDEF12345678"
SESSION = bytes.fromhex("0102030405060708")


@dataclass
class Vehicle:
    """A vehicle of one home: registered or not."""

    ca: CertificateAuthority
    edition: Edition
    pcid: str
    chain: tuple[bytes, ...]
    key: PrivateKey

    @classmethod
    def made(
        cls,
        ca: CertificateAuthority,
        edition: Edition = "iso15118-2",
        pcid: str = PCID,
        *,
        registered: bool = True,
        not_after: datetime | None = None,
    ) -> Vehicle:
        """A vehicle with a fresh certificate of this home's OEM."""
        issued = ca.issue("oem", id=pcid, edition=edition, not_after=not_after)
        assert issued.private_key is not None
        vehicle = cls(ca, edition, pcid, issued.chain, issued.private_key)
        if registered:
            ca.plug_and_charge.vehicles.register(issued.chain, at=ca.clock.now(), caller="test")
        return vehicle

    def roots(self, *, role: str = "v2g-root") -> list[bytes]:
        """The V2G roots that it holds."""
        return [authority.der for authority in self.ca.store.authorities(edition=self.edition, role=role)
                if authority.suite in ("p256", "p521")]

    def request(
        self,
        *,
        chain: tuple[bytes, ...] | None = None,
        key: PrivateKey | None = None,
        roots: list[bytes] | None = None,
        maximum: int = 1,
        emaids: tuple[str, ...] = (),
        session: bytes = SESSION,
    ) -> bytes:
        """The EXI of a signed CertificateInstallationReq."""
        message = installation.build_request(
            edition=self.edition,
            chain=chain or self.chain,
            signer=SoftwareSigner(key or self.key),
            roots=roots or self.roots(),
            session_id=session,
            timestamp=self.ca.clock.now(),
            maximum_contracts=maximum,
            prioritised_emaids=emaids,
        )
        return encode(message)

    def update_request(self, contract: OpenedContract, *, emaid: str = "", key: PrivateKey | None = None) -> bytes:
        """The EXI of a signed CertificateUpdateReq of -2."""
        message = installation.build_update_request(
            chain=contract.chain,
            emaid=emaid or contract.emaid,
            signer=SoftwareSigner(key or contract.private_key),
            roots=self.roots(),
            session_id=SESSION,
        )
        return encode(message)

    def open(self, exi: bytes, *, key: PrivateKey | None = None, at: datetime | None = None) -> OpenedContract:
        """Verify an answer as a vehicle must, and take the contract out."""
        moment = at or self.ca.clock.now()

        def trust(chain: tuple[bytes, ...]) -> object:
            return judge(
                chain,
                [TrustAnchor(root, "v2g-root") for root in self.roots()],
                catalogue=self.ca.catalogue,
                role="cps",
                edition=self.edition,
                at=moment,
                ordered=True,
            )

        return installation.open_response(
            installation.read_response(exi), SoftwareAgreement(key or self.key), trust=trust, pcid=self.pcid
        )
