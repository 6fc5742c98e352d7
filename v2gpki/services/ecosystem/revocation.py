"""Revocation for parties: who holds a certificate of this home asks for its end.

A party may end what bears an identifier of a prefix that is bound to it, in the role that the prefix belongs to. Who
asked for such a certificate does not matter: a charge point operator brings every vehicle's requests. Where there is
no prefix, it may end what it was given. The operator of the pools may end everything but authorities.
Sources: OPNC pki.api.v1 revokeCertificate; RFC 5280 5.3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from v2gpki.certs.chain import load_certificates
from v2gpki.errors import V2GPKIError
from v2gpki.services.ecosystem.parties import Party, Role
from v2gpki.services.pools import Ownership
from v2gpki.services.pools.ownership import PREFIXES
from v2gpki.store.pool_records import PrefixKind
from v2gpki.store.protocol import Store
from v2gpki.store.records import CertificateRecord

#: Reasons that parties may give (OPNC); a hold can be lifted, so it is none.
REASONS = (
    "privilegeWithdrawn",
    "affiliationChanged",
    "superseded",
    "unspecified",
    "keyCompromise",
    "aACompromise",
    "cessationOfOperation",
)
#: The prefix that says whose a profile's certificates are, and in which role its owner acts.
_PREFIX_OF: dict[str, PrefixKind] = {"contract": "mo", "oem": "wmi", "oem-x448": "wmi", "vehicle": "wmi", "secc": "cpo"}
_PLAYED: dict[PrefixKind, Role] = {"mo": "mo", "wmi": "oem", "cpo": "cpo"}
#: Profiles without a prefix: in which role who asked for the certificate acts. Of others nobody but the operator may.
_ASKED_AS: dict[str, Role] = {"cps": "cps", "csms": "cpo", "station": "cpo", "manufacturer": "cpo"}
#: (issuer id, serial, reason, caller): revokes and seals.
Revoke = Callable[[str, int, str, str], CertificateRecord]


class RevocationDesk:
    """Revocation of one home's end-entity certificates, for whoever may ask."""

    def __init__(self, store: Store, owners: Ownership, revoke: Revoke) -> None:
        self._store = store
        self._owners = owners
        self._revoke = revoke

    def revoke(self, party: Party, certificate: bytes, reason: str) -> None:
        """Revoke a certificate (DER or PEM) that this home issued; again for the same reason changes nothing.

        Raises ``store.unknown_certificate``, ``store.already_revoked``, ``ecosystem.foreign_certificate``,
        ``chain.malformed``.
        """
        party.require("mo", "oem", "cpo", "cps")
        (der, *more) = load_certificates(certificate)
        record = self._store.certificate_by_fingerprint(sha256(der).digest())
        if record is None or more:
            raise V2GPKIError(
                "store.unknown_certificate",
                "this home did not issue this certificate" if not more else "one certificate is revoked at a time",
                hint="a certificate is revoked by the authority that issued it",
                clause="OPNC pki.api.v1",
            )
        if not self._may(party, record):
            raise V2GPKIError(
                "ecosystem.foreign_certificate",
                f"the certificate {record.serial:x} is not this party's",
                hint="a subscriber ends its own certificates only",
                clause="OPNC pki.api.v1",
                facts={"serial": f"{record.serial:x}", "party": party.name},
            )
        self._revoke(record.issuer_id, record.serial, reason, party.by)

    def _may(self, party: Party, record: CertificateRecord) -> bool:
        if any(authority.der == record.der for authority in self._store.authorities()):
            return False
        if party.operator:
            return True
        kind = _PREFIX_OF.get(record.role)
        if kind is None:
            role = _ASKED_AS.get(record.role)
            return role is not None and party.plays(role) and record.caller in (party.by, party.name)
        if not party.plays(_PLAYED[kind]):
            return False
        length, _ = PREFIXES[kind]
        plain = "".join(character for character in record.identifier if character.isalnum())
        bound = self._owners.of(kind, plain[:length])
        return bound is not None and bound.owner == party.name
