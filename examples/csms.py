"""What a CSMS asks a PKI for: a contract for a vehicle, a certificate for a station, the status of a certificate.

Two ways with the same results: `Local` opens a home in this program, `Remote` calls `v2gpki serve` (or any other
provider with OPCP, EST and OCSP) over HTTP. Arguments and results are what OCPP's messages carry.

    of a station                        answered with the result of
    Get15118EVCertificateRequest        contract
    SignCertificateRequest              sign      (goes back in a CertificateSignedRequest)
    GetCertificateStatusRequest         status

What is refused raises `v2gpki.V2GPKIError`; a vehicle that is refused is told so by the EXI response.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import v2gpki
from v2gpki.certs.chain import issues, pem
from v2gpki.certs.view import view
from v2gpki.clients.est import EstClient
from v2gpki.clients.ocsp import OcspClient
from v2gpki.clients.opcp import OpcpClient


@dataclass(frozen=True)
class Local:
    """A home, opened once: `Local(v2gpki.open_authority("acme", passphrase=..))`. Safe from threads."""

    ca: v2gpki.CertificateAuthority

    def contract(self, exi_request: str, schema: str, action: str = "Install") -> tuple[str, str]:
        """(status, exiResponse) of Get15118EVCertificateResponse."""
        answer = self.ca.plug_and_charge.provisioning.answer(exi_request, schema=schema, action=action)
        return answer.status, answer.exi_response

    def sign(self, csr: str, evse_id: str) -> str:
        """The certificateChain of CertificateSignedRequest: leaf, Sub-CA 2, Sub-CA 1."""
        issued = self.ca.issue("secc", id=evse_id, edition="iso15118-2", csr=csr.encode("ascii"))
        return pem(issued.chain).decode("ascii")

    def status(self, hash_data: Mapping[str, object]) -> str:
        """The ocspResult of GetCertificateStatusResponse."""
        return self.ca.certificate_status(hash_data)


@dataclass(frozen=True)
class Remote:
    """The same from a server; the clients hold address, credentials and time-outs. Safe from threads."""

    pools: OpcpClient
    est: EstClient
    ocsp: OcspClient

    def contract(self, exi_request: str, schema: str, action: str = "Install") -> tuple[str, str]:  # noqa: ARG002 - OPCP has no place for it
        """As `Local.contract`; the vehicle's chain must be known to the provider."""
        edition = "iso15118-2" if schema.endswith(":2:2013:MsgDef") else "iso15118-20"
        answer = self.pools.answer(base64.b64decode(exi_request), edition=edition)
        exi = answer.deliveries[0].exi if answer.deliveries else answer.exi
        return "Accepted" if answer.deliveries else "Failed", base64.b64encode(exi).decode("ascii")

    def sign(self, csr: str, evse_id: str) -> str:  # noqa: ARG002 - EST has no place for it
        """As `Local.sign`; the id is the one in the request, and the server's registration table must grant it."""
        leaf = self.est.enrol(csr.encode("ascii")).certificate
        return pem(chain_of(leaf, self.est.cacerts())).decode("ascii")

    def status(self, hash_data: Mapping[str, object]) -> str:
        """As `Local.status`, from the responder that the station names."""
        return self.ocsp.certificate_status(hash_data)


def chain_of(leaf: bytes, authorities: Sequence[bytes]) -> list[bytes]:
    """Leaf, Sub-CA 2, Sub-CA 1, chosen from the CA certificates that an EST server gives."""
    chain, known = [view(leaf)], [view(der) for der in authorities]
    while above := [ca for ca in known if not ca.self_issued and issues(ca, chain[-1])]:
        chain.append(above[0])
    return [certificate.der for certificate in chain]
