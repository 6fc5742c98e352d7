"""Does the audit log say what the tables of the pools say? Of each record the last row of the log that speaks of it
holds the digest, or says that the record is gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from v2gpki.store import pool_canonical as canonical
from v2gpki.store.canonical import certificate_target
from v2gpki.store.last_said import LastSaid, Says, field_of
from v2gpki.store.pool_protocol import PoolStore
from v2gpki.store.records import AuditRow

_SAYS: Says = {
    "root.decided": ("root", "changed"),
    "prefix.bound": ("prefix", "changed"),
    "prefix.released": ("prefix", "gone"),
    "vehicle.registered": ("vehicle", "changed"),
    "vehicle.deleted": ("vehicle", "gone"),
    "contract.created": ("contract", "new"),
    "contract.defaulted": ("contract", "changed"),
    "contract.ended": ("contract", "changed"),
    "contract.purged": ("contract", "changed"),
    "bundle.made": ("bundle", "new"),
    "bundle.withdrawn": ("bundle", "changed"),
    "request.answered": ("answer", "changed"),
}
_LINK = "certificate of a contract"


class PoolReconciliation:
    """Give it every row of the log in order (``take``), then ask for the ``differences``."""

    def __init__(self, pools: PoolStore) -> None:
        self._pools = pools
        self._said = LastSaid(_SAYS)

    def take(self, row: AuditRow) -> None:
        """The next row of the log, whatever it speaks of."""
        self._said.take(row)

    def issued(self, row: AuditRow) -> None:
        """A certificate's row of the log."""
        if contract := contract_of(row):
            self._said.put(_LINK, row.target, contract)

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """(code, kind, target) of each difference, when the log was read to its end."""
        return self._said.differences(self._stored())

    def _stored(self) -> Iterator[tuple[str, str, str]]:
        """(kind, target, digest) of every record of the pools."""
        for root in self._pools.roots():
            yield "root", root.fingerprint.hex(), canonical.root_digest(root)
        for prefix in self._pools.prefixes():
            yield "prefix", canonical.prefix_target(prefix.kind, prefix.prefix), canonical.prefix_digest(prefix)
        for vehicle in self._pools.vehicles():
            target = canonical.vehicle_target(vehicle.pcid, vehicle.edition, vehicle.suite)
            yield "vehicle", target, canonical.vehicle_digest(vehicle)
        for contract in self._pools.contracts():
            yield "contract", contract.id, canonical.contract_digest(contract)
        for bundle in self._pools.bundles():
            yield "bundle", bundle.id, canonical.bundle_digest(bundle)
        for answer in self._pools.answers():
            yield "answer", answer.digest.hex(), canonical.answer_digest(answer)
        for contract_id, issuer_id, serial in self._pools.contract_certificates():
            yield _LINK, certificate_target(issuer_id, serial), contract_id


def contract_of(row: AuditRow) -> str:
    """The contract that a certificate was issued for, as its row of the log says; "" for none."""
    # Of the sorted keys this is the first one; most certificates have none.
    return field_of(row.details, "contract") if row.details.startswith('{"contract":') else ""
