"""A TLS server certificate that the home issues for itself, and whose client certificates it knows.

For the lab, and where every client trusts the home's roots anyway: a certificate of the role that OCPP has for servers,
its key kept in the vault, used again until a month before it ends. Source: OCPP 2.0.1 A00.FR.50x (profile ``csms``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from v2gpki.certs.chain import pem
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import recognise
from v2gpki.identifiers.named import address_octets
from v2gpki.keys import pkcs8

if TYPE_CHECKING:
    from v2gpki.store.records import CertificateRecord
    from v2gpki.wiring.authority import CertificateAuthority

EDITION, ROLE = "ocpp", "csms"
#: A certificate of the home is renewed when it has no more time left than this.
LEFT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Chain (leaf first, without root) and private key, both PEM."""

    record: CertificateRecord
    chain: bytes
    private_key: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return f"ServerCertificate(serial={self.record.serial:x})"


def normal_name(name: str) -> str:
    """A host name or address as certificates have it. Raises ``identifier.invalid``."""
    return recognise(("hostname", "address"), name).normal


def server_certificate(ca: CertificateAuthority, name: str) -> ServerCertificate:
    """A certificate of the home for the host or address ``name``: the one that there is, or a new one; always a new
    one where another process has the keys of the home.

    Raises ``serving.no_certificate`` when the home has no authority for servers, ``home.locked``, and what issuing
    raises.
    """
    if not ca.store.authorities(edition=EDITION, role="csms-root"):
        raise V2GPKIError(
            "serving.no_certificate",
            f"this home has no authority that issues certificates for servers ({ROLE} of {EDITION})",
            hint="v2gpki init --edition ocpp makes one; or give --tls-cert and --tls-key",
            facts={"edition": EDITION, "role": ROLE},
        )
    normal = normal_name(name)
    if ca.signing is not None:
        # The keys of the home are in another process: this one is made here, and is kept nowhere.
        issued = ca.issue(ROLE, id=normal, edition=EDITION)
        assert issued.private_key is not None
        return ServerCertificate(issued.record, pem(issued.chain), pkcs8.plain(issued.private_key))
    vault = ca._unlocked()
    soon = ca.clock.now() + LEFT
    known = vault.key_ids()
    found = [
        held
        for held in ca.store.held_certificates(ROLE)
        if held.identifier == normal and held.not_after > soon and held.key_id in known and _names(held.der, normal)
    ]
    record = found[0] if found else ca.issue(ROLE, id=normal, edition=EDITION, escrow=True).record
    key = vault.private_key(record.key_id)
    return ServerCertificate(record, pem(ca.chain(record)), pkcs8.plain(key))


def _names(der: bytes, normal: str) -> bool:
    """Whether TLS clients find the name in the certificate: earlier versions wrote addresses as host names."""
    address = address_octets(normal)
    return address is None or bytes((0x87, len(address))) + address in der


def client_authorities(ca: CertificateAuthority, files: Sequence[bytes] = ()) -> list[str]:
    """The CAs whose client certificates are accepted, as PEM: every authority of the home that is not revoked, and
    the certificates of ``files`` (PEM, DER or PKCS#7). Raises ``chain.malformed``."""
    from v2gpki.certs.chain import load_certificates  # noqa: PLC0415  # only with files

    own = [authority.der for authority in ca.store.authorities() if authority.state != "revoked"]
    given = [der for data in files for der in load_certificates(data)]
    return [pem([der]).decode("ascii") for der in dict.fromkeys((*own, *given))]
