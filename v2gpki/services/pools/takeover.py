"""Whether a certificate would take a registered PCID over: its chain ends at another root than what is registered.

Two manufacturers whose roots are both trusted could else take each other's vehicles, and the contracts with them. For
the same edition and key family the root is the same when its name and key are. Editions and families have roots of
their own: there the organisation tells whose they are.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from v2gpki.certs.view import flaw_of_signature, view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.store.pool_records import PooledVehicle
from v2gpki.store.protocol import Store

_CLAUSE = "VDE-AR-E 2802-100-1; OPCP provisioning pool"


def other_root(
    store: Store, pcid: str, edition: str, suite: str, root: bytes, *, accepted: bool
) -> tuple[Finding, ...]:
    """What is to be noted when this PCID is registered under ``root`` (DER) in this edition and key family.

    Raises ``pool.other_root`` when what is registered for it stands under another root and that is not ``accepted``.
    """
    rows = tuple(store.pools.vehicles(pcid=pcid))
    present = tuple(row for row in rows if (row.edition, row.suite) == (edition, suite))
    strange = [row for row in present or rows if not _same(row, root, exact=bool(present))]
    if not strange:
        return ()
    row, seen = strange[0], view(root)
    message = (
        f"{pcid} is registered for {row.edition} under {view(row.chain[-1]).x509.issuer.rfc4514_string()}, "
        f"not under {seen.subject_text}"
    )
    if accepted:
        return (Finding("pool.other_root", "warning", message, _CLAUSE, "issuer", seen.subject_text),)
    raise V2GPKIError(
        "pool.other_root",
        message,
        hint="--other-root registers it all the same, when the manufacturer did change its root; ask it before",
        clause=_CLAUSE,
        facts={
            "pcid": pcid,
            "edition": row.edition,
            "registered": row.fingerprint.hex(),
            "root": seen.fingerprint.hex(),
        },
    )


def _same(row: PooledVehicle, root: bytes, *, exact: bool) -> bool:
    if not flaw_of_signature(row.chain[-1], root):
        return True
    organisation = _organisation(view(root).x509.subject)
    return not exact and bool(organisation) and organisation == _organisation(view(row.chain[-1]).x509.issuer)


def _organisation(name: x509.Name) -> list[str]:
    return [str(one.value) for one in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
