"""Whether whoever a worker recorded as the caller may have the certificate: asked where the keys are.

The registration table decides, as it does in EST; for contracts a contract that runs decides too, for renewals by
certificate alone the certificate. It refuses what nobody may have, whatever a worker says. Who really called it cannot
know: a worker names the caller, and one that was broken into may name any (SECURITY.md).
Sources: VDE-AR-E 2802-100-1 (ids are registered before anybody enrols); RFC 7030 3.3.2, 4.2.2.
"""

from __future__ import annotations

from datetime import datetime

from v2gpki.services.est import refusals
from v2gpki.services.est.holders import CERTIFICATE, Holders
from v2gpki.services.est.registry import EnrolmentRegistry
from v2gpki.services.pools import ELSEWHERE
from v2gpki.store.protocol import Store

CONTRACT = "contract"


class Entitled:
    """Who may have which certificate, in one home."""

    def __init__(self, store: Store, registry: EnrolmentRegistry, *, contracts: bool) -> None:
        """``contracts``: whether the contract pool is served, and its contracts give certificates."""
        self._store = store
        self._registry = registry
        self._holders = Holders(store, registry)
        self._contracts = contracts

    def require(self, caller: str, role: str, edition: str, identifier: str, now: datetime) -> None:
        """Raise ``est.not_registered`` unless ``caller`` may have this role for this id (normal form, "" for none)."""
        if self._contracts and role == CONTRACT and self._runs(identifier, now):
            return
        if caller.startswith(CERTIFICATE):
            self._require_holder(caller, role, edition, identifier)
        elif not caller or not self._registry.allowed(caller, role, edition, identifier):
            raise refusals.not_registered(caller, role, edition, identifier)

    def _runs(self, emaid: str, now: datetime) -> bool:
        """Whether this home has a contract of the EMAID that has not ended, and makes its certificates."""
        found = self._store.pools.contract_of(emaid)
        return found is not None and found.state == "active" and found.issuer != ELSEWHERE and now < found.ends

    def _require_holder(self, caller: str, role: str, edition: str, identifier: str) -> None:
        """The certificate that was shown is one of this home and valid, and says what is asked for."""
        serial = caller.removeprefix(CERTIFICATE)
        # Whoever gives half a serial, or none, does not have all certificates looked through.
        named = self._store.find_certificates(prefix=serial, role=role, edition=edition, state="valid", limit=2)
        shown = (record for record in named if record.identifier == identifier)
        if not any(self._holders.of("", record, identifier, renamed=False) == caller for record in shown):
            raise refusals.not_registered(caller, role, edition, identifier)
