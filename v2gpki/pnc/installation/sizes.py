"""How large an exchange is, beside every limit on its way: the schemas' for certificates, OCPP's for base64.

OCPP 2.0.1 carries 5,600 characters (its field `exiResponse`; 7,500 in the Python package `ocpp`), OCPP 2.1 17,000; for
requests 5,600 and 11,000. A -2 answer stays below 5,600 when its six certificates have 3,400 octets together.
"""

from __future__ import annotations

from dataclasses import dataclass

from v2gpki.messages import iso2, iso20_common
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.model import CERTIFICATE_LIMIT
from v2gpki.pnc.installation.requests import chain_of, decoded, opened, wrong_message

#: Characters of base64 that a transport carries: name, answer, request.
TRANSPORTS: tuple[tuple[str, int, int], ...] = (
    ("OCPP 2.0.1", 5600, 5600),
    ("OCPP 2.0.1, Python package ocpp", 7500, 7500),
    ("OCPP 2.1", 17000, 11000),
)
#: What the certificates of a -2 answer may have together, so that the answer stays within 4,200 octets.
SIX_CERTIFICATES = 3400


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what was found beside what may be, in `unit` ("octets", "characters of base64")."""

    name: str
    found: int
    limit: int
    unit: str = "octets"

    @property
    def fits(self) -> bool:
        """Whether it is kept."""
        return self.found <= self.limit


@dataclass(frozen=True, slots=True)
class Sizes:
    """Octets and base64 characters of an exchange, each certificate by chain, place and octets, and the limits."""

    edition: Edition
    octets: int
    base64: int
    certificates: tuple[tuple[str, int, int], ...]
    limits: tuple[Limit, ...]

    @property
    def exceeded(self) -> tuple[Limit, ...]:
        """The limits that are not kept."""
        return tuple(limit for limit in self.limits if not limit.fits)


def sizes(octets: bytes, *, schema: str = "") -> Sizes:
    """Sizes of a request or an answer. Raises `installation.wrong_message`, `installation.wrong_schema`, `exi.*`."""
    edition, message = decoded(octets, schema)
    body, _ = opened(message)
    request = True
    chains: list[tuple[str, tuple[bytes, ...]]]
    if isinstance(body, iso2.CertificateInstallationReq):
        chains = [("OEM provisioning", (body.OEMProvisioningCert,))]
    elif isinstance(body, iso2.CertificateUpdateReq):
        chains = [("contract", chain_of(body.ContractSignatureCertChain))]
    elif isinstance(body, iso20_common.CertificateInstallationReq):
        chains = [("OEM provisioning", chain_of(body.OEMProvisioningCertificateChain))]
    elif isinstance(body, iso2.CertificateInstallationRes | iso2.CertificateUpdateRes):
        request = False
        chains = [
            ("CPS", chain_of(body.SAProvisioningCertificateChain)),
            ("contract", chain_of(body.ContractSignatureCertChain)),
        ]
    elif isinstance(body, iso20_common.CertificateInstallationRes):
        request = False
        chains = [
            ("CPS", chain_of(body.CPSCertificateChain)),
            ("contract", chain_of(body.SignedInstallationData.ContractCertificateChain)),
        ]
    else:
        raise wrong_message(message, "a message of an installation or an update")
    return _sizes(edition, len(octets), chains, request=request)


def base64_length(octets: int) -> int:
    """Characters of base64 with padding, without line breaks."""
    return (octets + 2) // 3 * 4


def _sizes(edition: Edition, octets: int, chains: list[tuple[str, tuple[bytes, ...]]], *, request: bool) -> Sizes:
    certificates = tuple((name, place, len(der)) for name, chain in chains for place, der in enumerate(chain, 1))
    text = base64_length(octets)
    limits = [
        Limit(name, text, most_request if request else most_answer, "characters of base64")
        for name, most_answer, most_request in TRANSPORTS
    ]
    limits += [
        Limit(f"{name} certificate {place}", size, CERTIFICATE_LIMIT[edition]) for name, place, size in certificates
    ]
    if edition == "iso15118-2" and not request:
        limits.append(Limit("all certificates", sum(size for *_, size in certificates), SIX_CERTIFICATES))
    return Sizes(edition, octets, text, certificates, tuple(limits))
