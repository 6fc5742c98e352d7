"""Who signs the answers of a CA: its delegated OCSP signer, issued by the one issuance path and rotated in time.

A signer is an end-entity certificate of the edition's OCSP role, issued by the CA whose certificates it answers for,
its key in the vault, never one that has ended or was revoked. A CA that can have none (no such role in its edition,
or it is retired or revoked and issues nothing) signs its answers with its own key, which RFC 6960 allows; unless it was
revoked because others may have that key: then only the signers that it has go on, to say revoked, until they end.
Without a key nobody signs, and the responder says tryLater. Sources: RFC 6960 2.7, 4.2.2.2; profiles ``ocsp``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeAlias

from v2gpki.certs.ocsp_answer import AnswerTemplate
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.profile.load import Catalogue
from v2gpki.services.compromise import compromise
from v2gpki.services.issuance import Issuance, Order
from v2gpki.services.routing import Routing
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord

#: After so long the store is asked again which signer is the newest; after a failure, whether there is one now.
_LOOK_AGAIN = timedelta(minutes=10)
_RETRY = timedelta(seconds=30)
_LEASE_SECONDS = 60


class Keys(Protocol):
    """Where the signers' private keys are."""

    def signer(self, key_id: str) -> Signer:
        """The signer of one key; V2GPKIError when it is not there."""
        ...


#: Issues the next OCSP signer of an authority.
Issue: TypeAlias = Callable[[AuthorityRecord], CertificateRecord]


class OcspSigner(NamedTuple):
    """What signs the answers of one CA up to ``not_after``; ``serial`` 0 when the CA does so itself."""

    template: AnswerTemplate
    not_after: datetime
    serial: int = 0


class _Known(NamedTuple):
    signer: OcspSigner | None
    until: datetime


class OcspSigners:
    """The OCSP signers of a home. ``keys`` None: it is locked. ``issue`` None: missing signers stay missing."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        keys: Keys | None,
        *,
        issue: Issue | None = None,
        leased: bool = True,
    ) -> None:
        """``leased`` False leaves it to ``issue`` that one process issues at a time."""
        self._store = store
        self._catalogue = catalogue
        self._keys = keys
        self._issue = issue
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._leased = leased
        self._holder = os.urandom(8).hex()

    @property
    def locked(self) -> bool:
        """Whether nothing can be signed because no passphrase was given."""
        return self._keys is None

    def current(self, authority: AuthorityRecord, now: datetime) -> OcspSigner | None:
        """The signer to use at ``now``; one that is missing is issued if that is possible, else None."""
        known = self._known.get(authority.id)
        if known is not None and now < known.until and (known.signer is None or now < known.signer.not_after):
            return known.signer
        with self._lock:
            signer = self._find(authority, now)
            if signer is None and self._issued(authority, now) is not None:
                signer = self._find(authority, now)
            self._known[authority.id] = _Known(signer, now + (_RETRY if signer is None else _LOOK_AGAIN))
        return signer

    def renew(self, now: datetime) -> list[CertificateRecord]:
        """Issue the signers that are missing or will soon end; the new ones. To be called daily or more often.

        "Soon" is a quarter of the signer's validity, and never less than twice what an answer holds.
        """
        renewed = []
        for authority in self._store.authorities():
            role = self.role(authority)
            if not role or authority.state != "active" or not authority.not_before <= now < authority.not_after:
                continue
            if self._ends_soon(authority, role, now):
                issued = self.renew_one(authority, now)
                if issued is not None:
                    renewed.append(issued)
        return renewed

    def renew_one(self, authority: AuthorityRecord, now: datetime) -> CertificateRecord | None:
        """Issue the next signer of one authority, if that is due and possible."""
        with self._lock:
            issued = self._issued(authority, now)
            self._known.pop(authority.id, None)
        return issued

    def ends(self, now: datetime) -> dict[str, datetime | None]:
        """For each authority that is active and within its validity, when its signer ends; None when there is none."""
        found: dict[str, datetime | None] = {}
        for authority in self._store.authorities():
            role = self.role(authority)
            if authority.state != "active" or not authority.not_before <= now < authority.not_after:
                continue
            held = self._held(authority, role, now) if role else []
            own = authority.not_after if not role and authority.key_id else None
            found[authority.id] = max((record.not_after for record in held), default=own)
        return found

    def signs_itself(self, authority: AuthorityRecord) -> bool:
        """Whether an authority's own key may speak for it: it can have no new signer, and nobody else has its key."""
        if not authority.key_id or (authority.state == "active" and self.role(authority)):
            return False
        return compromise(self._store, authority) is None

    def forget(self) -> None:
        """Ask the store anew: certificates were revoked, or authorities changed."""
        self._known.clear()

    # -- helpers -------------------------------------------------------------------------------

    def role(self, authority: AuthorityRecord) -> str:
        """The OCSP role that this authority may issue, "" for none."""
        role = self._catalogue.edition(authority.edition).ocsp_role
        if not role:
            return ""
        profile = self._catalogue.profile(authority.edition, role, authority.suite)
        return role if authority.role in profile.issuers else ""

    def _held(self, authority: AuthorityRecord, role: str, now: datetime) -> list[CertificateRecord]:
        """The delegated signers that are valid at ``now``, newest first."""
        held = self._store.held_certificates(role, authority.id)
        return [record for record in held if record.not_before <= now < record.not_after]

    def _find(self, authority: AuthorityRecord, now: datetime) -> OcspSigner | None:
        keys = self._keys
        if keys is None:
            return None
        role = self.role(authority)
        for record in self._held(authority, role, now) if role else ():
            signer = _signer(keys, record.key_id)
            if signer is not None:
                return OcspSigner(AnswerTemplate(signer, record.der), record.not_after, record.serial)
        if not self.signs_itself(authority):
            return None
        own = _signer(keys, authority.key_id)
        return None if own is None else OcspSigner(AnswerTemplate(own), authority.not_after)

    def _ends_soon(self, authority: AuthorityRecord, role: str, now: datetime) -> bool:
        keys = self._keys
        # One whose key was lost does not sign, however long it would be valid.
        held = [record for record in self._held(authority, role, now) if keys and _signer(keys, record.key_id)]
        if not held:
            return True
        last = max(held, key=lambda record: record.not_after)
        lifetime = last.not_after - last.not_before
        margin = max(lifetime / 4, 2 * self._catalogue.edition(authority.edition).ocsp_answers.validity)
        # One that ends with its CA is not followed by another that would end then too.
        return last.not_after - now < margin and authority.not_after - last.not_after > timedelta(days=1)

    def _issued(self, authority: AuthorityRecord, now: datetime) -> CertificateRecord | None:
        """A new signer, unless that is impossible, or another process is issuing one right now."""
        if self._issue is None or self._keys is None or not self.role(authority) or authority.state != "active":
            return None
        name = f"ocsp-signer {authority.id}"
        lease = self._store.lease(name, self._holder, now, _LEASE_SECONDS) if self._leased else nullcontext(True)
        with lease as mine:
            if not mine or not self._ends_soon(authority, self.role(authority), now):
                return None
            try:
                return self._issue(authority)
            except V2GPKIError:
                # Whatever stands in the way (an issuer above is revoked, it has ended, a full disk): no signer.
                return None


class SignerIssuance:
    """Issues OCSP signers through the one issuance path."""

    def __init__(self, issuance: Issuance, routing: Routing, catalogue: Catalogue, *, caller: str) -> None:
        self._issuance = issuance
        self._routing = routing
        self._catalogue = catalogue
        self._caller = caller

    def __call__(self, authority: AuthorityRecord) -> CertificateRecord:
        """The next OCSP signer of an authority, its key kept in the vault. Raises what issuance raises."""
        role = self._catalogue.edition(authority.edition).ocsp_role
        route = self._routing.route(role, edition=authority.edition, suite=authority.suite, issuer=authority.id)
        # The name says whose it is; the random part lets several processes and generations have theirs.
        key_id = f"{authority.slug}-{role}@{authority.generation}-{os.urandom(4).hex()}"
        order = Order(route.profile, route.issuer_id, route.constants, key_id=key_id)
        return self._issuance.issue([order], caller=self._caller)[0].record


def _signer(keys: Keys, key_id: str) -> Signer | None:
    try:
        return keys.signer(key_id)
    except V2GPKIError as problem:
        if problem.code == "signing.unavailable":
            # That passes: nothing is to be remembered of it.
            raise
        # Missing or damaged: perhaps another one is there.
        return None
