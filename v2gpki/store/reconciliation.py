"""Does the audit log say what the tables say: certificates, revocations, authorities, CRLs, abandoned serials,
settings, pools, access.

Certificates and their rows of the log were written in the same order by the same transactions, so both are
read side by side in constant memory; only from the first difference on they are compared by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from v2gpki.errors import Finding
from v2gpki.store.access_reconciliation import AccessReconciliation
from v2gpki.store.canonical import certificate_target
from v2gpki.store.details import (
    created_details,
    crl_target,
    issued_details,
    published_details,
    put_details,
    revoked_details,
)
from v2gpki.store.pool_reconciliation import PoolReconciliation, contract_of
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditRow, CertificateRecord

_KINDS = ("revocation", "authority", "CRL", "intent", "setting")
_STATES = {"authority.retired": "retired", "authority.revoked": "revoked", "authority.activated": "active"}


class Reconciliation:
    """Give it every row of the log in order (``take``), then ask for the ``findings``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._certificates = store.find_certificates()
        self._findings: list[Finding] = []
        # From the first difference on: what is left to be matched by name.
        self._apart = False
        self._rows: dict[str, AuditRow] = {}
        self._records: dict[str, CertificateRecord] = {}
        # What the log says and what the tables say, by target: the fields that must agree.
        self._logged: dict[str, dict[str, object]] = {kind: {} for kind in _KINDS}
        self._stored: dict[str, dict[str, object]] = {kind: {} for kind in self._logged}
        self._states: dict[str, str] = {}
        self._pools = PoolReconciliation(store.pools)
        self._access = AccessReconciliation(store.access, store.webhooks)

    def take(self, row: AuditRow) -> None:
        """The next row of the log."""
        if row.action == "certificate.issued":
            self._issued(row)
        elif row.action == "certificate.revoked":
            self._log("revocation", row, (row.at, row.details))
        elif row.action == "authority.created":
            self._log("authority", row, row.details)
            self._states[row.target] = "active"
        elif row.action in _STATES:
            self._states[row.target] = _STATES[row.action]
        elif row.action == "crl.published":
            self._log("CRL", row, (row.at, row.details))
        elif row.action == "intent.abandoned":
            self._log("intent", row, row.at)
        elif row.action == "setting.put":
            self._log("setting", row, row.details)
        else:
            self._pools.take(row)
            self._access.take(row)

    def findings(self) -> list[Finding]:
        """Every difference, when the log was read to its end."""
        for certificate in self._certificates:
            self._keep(certificate)
        for target, certificate in self._records.items():
            row = self._rows.pop(target, None)
            if row is None:
                self._report("audit.unlogged", "certificate", target)
            else:
                self._compare(row, certificate)
        for target in self._rows:
            self._report("audit.missing", "certificate", target)
        self._read_tables()
        for kind, logged in self._logged.items():
            self._differences(kind, logged, self._stored[kind])
        for code, kind, target in (*self._pools.differences(), *self._access.differences()):
            self._report(code, kind, target)
        return self._findings

    # -- certificates ------------------------------------------------------------------------
    def _issued(self, row: AuditRow) -> None:
        self._pools.issued(row)
        certificate = next(self._certificates, None)
        if certificate is not None and not self._apart:
            if _name(certificate) == row.target:
                self._note_revocation(certificate)
                self._compare(row, certificate)
                return
            self._apart = True
        if certificate is not None:
            self._keep(certificate)
        if row.target in self._rows:
            self._report("audit.duplicate", "certificate", row.target)
        self._rows[row.target] = row

    def _keep(self, certificate: CertificateRecord) -> None:
        self._note_revocation(certificate)
        self._records[_name(certificate)] = certificate

    def _compare(self, row: AuditRow, certificate: CertificateRecord) -> None:
        contract = contract_of(row)
        same = (
            sha256(certificate.der).digest() == certificate.fingerprint
            and issued_details(certificate, contract) == row.details
            and certificate.caller == row.caller
            and certificate.issued_at == row.at
        )
        if not same:
            self._report("audit.changed", "certificate", row.target)

    def _note_revocation(self, certificate: CertificateRecord) -> None:
        if certificate.state == "revoked":
            said = (certificate.revoked_at, revoked_details(certificate, certificate.reason))
            self._stored["revocation"][_name(certificate)] = said

    # -- the other tables --------------------------------------------------------------------
    def _read_tables(self) -> None:
        issuers = {target.rpartition("/")[0] for target in self._logged["intent"]}
        for authority in self._store.authorities():
            issuers.add(authority.id)
            self._stored["authority"][authority.id] = created_details(authority)
            if self._states.get(authority.id, authority.state) != authority.state:
                self._report("audit.changed", "authority", authority.id, "its state is not the one that the log says")
        for crl in self._store.crls():
            self._stored["CRL"][crl_target(crl)] = (crl.this_update, published_details(crl))
        # Older homes have settings without a row, so only those are asked for that the log knows.
        for name in self._logged["setting"]:
            if (value := self._store.setting(name)) is not None:
                self._stored["setting"][name] = put_details(value)
        for issuer_id in issuers:
            for entry in self._store.revoked_serials(issuer_id):
                target = certificate_target(issuer_id, entry.serial)
                if target not in self._stored["revocation"]:
                    self._stored["intent"][target] = entry.revoked_at

    def _log(self, kind: str, row: AuditRow, said: object) -> None:
        if row.target in self._logged[kind]:
            self._report("audit.duplicate", kind, row.target)
        self._logged[kind][row.target] = said

    def _differences(self, kind: str, logged: Mapping[str, object], stored: Mapping[str, object]) -> None:
        for target, said in logged.items():
            if target not in stored:
                self._report("audit.missing", kind, target)
            elif stored[target] != said:
                self._report("audit.changed", kind, target)
        for target in stored.keys() - logged.keys():
            self._report("audit.unlogged", kind, target)

    def _report(self, code: str, kind: str, target: str, detail: str = "") -> None:
        message = _WORDS[code].format(kind, target) + (f": {detail}" if detail else "")
        self._findings.append(Finding(code, "error", message, where=kind, subject=target))


_WORDS = {
    "audit.unlogged": "the {} {} is in the store, but the log does not know it",
    "audit.missing": "the log knows the {} {}, but it is not in the store any more",
    "audit.changed": "the {} {} is not as the log says",
    "audit.duplicate": "the log has the {} {} twice",
}


def _name(certificate: CertificateRecord) -> str:
    return certificate_target(certificate.issuer_id, certificate.serial)
