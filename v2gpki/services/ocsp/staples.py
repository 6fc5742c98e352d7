"""The staple set of a chain: an OCSP answer for each certificate but the root.

An SECC staples leaf, Sub-CA 2 and Sub-CA 1 ([V2G2-649], [V2G20-2388]); a leaf that becomes valid later gets its staple
now as well. The hash data goes with each staple, because caches of stations are searched by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2gpki.certs.ocsp_request import write_request
from v2gpki.certs.view import CertificateView
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import HashData, entries, pairs
from v2gpki.services.ocsp.presigned import OcspAnswer


@dataclass(frozen=True, slots=True)
class Staple:
    """One answer with the certificate that it is about and its hash data."""

    certificate: CertificateView
    hash_data: HashData
    der: bytes
    status: str
    this_update: datetime
    next_update: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """What a staple is asked for: the certificate, its issuer, and the DER request."""

    certificate: CertificateView
    issuer: CertificateView
    request: bytes


def staples(
    chain: Sequence[bytes],
    ask: Callable[[Asked], OcspAnswer],
    *,
    anchors: Sequence[bytes] = (),
    algorithm: str = "SHA256",
) -> list[Staple]:
    """The staples of a chain, leaves first.

    ``ask`` gives the answer, from a responder of ours or a foreign one; ``chain``, ``anchors`` and ``algorithm`` as in
    ``ocpp.hash_data``. Raises ``ocsp.no_staple`` when a certificate has no good or revoked answer.
    """
    found = []
    issuers = {one.fingerprint: issuer for one, issuer in pairs(chain, anchors)}
    for certificate, entry in entries(chain, anchors=anchors, algorithm=algorithm):
        if certificate.self_issued:
            continue
        given = ask(Asked(certificate, issuers[certificate.fingerprint], write_request(entry.cert_id)))
        if given.status not in ("good", "revoked") or given.this_update is None or given.next_update is None:
            raise V2GPKIError(
                "ocsp.no_staple",
                f"{certificate.subject_text} has no staple: the responder says {given.status}",
                hint="unknown and unauthorized: another home issued it; tryLater: unlock the home",
                clause="RFC 6960 2.2, 2.3",
                facts={"subject": certificate.subject_text, "status": given.status},
            )
        found.append(Staple(certificate, entry, given.der, given.status, given.this_update, given.next_update))
    return found


def cache_entry(staple: Staple, number: int) -> tuple[str, bytes]:
    """How EVerest's OCSP cache keeps a staple: the stem of its ``.der`` and ``.hash``, and the four lines of the latter
    (without the last line's end), by which the cache is searched. ``number`` counts from 1."""
    values = staple.hash_data.written()
    lines = [values[key] for key in ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")]
    # EVerest draws a random number here; one that follows from the answer serves as well and can be repeated.
    draw = int.from_bytes(hashlib.sha256(staple.der).digest()[:4], "big") & 0x7FFFFFFF
    stem = f"{staple.this_update:M%m_D%d_Y%Y_H%H_M%M_S%S}_i{number}_r{draw}_ocsp"
    return stem, "\n".join(lines).encode("ascii")
