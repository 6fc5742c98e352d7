"""The octets of the pools' records, as ``canonical`` describes them; and how the audit log names and words them.

Each row of the log that speaks of a pool record holds the SHA-256 over the whole record as it is from then on, state
included: the last such row is what the table must say.
"""

from __future__ import annotations

from hashlib import sha256

from v2gpki.store.canonical import details_text, record_digest, seconds
from v2gpki.store.pool_records import Answered, Bundle, Contract, PooledRoot, PooledVehicle, Prefix

# -- names ---------------------------------------------------------------------------------------


def vehicle_target(pcid: str, edition: str, suite: str) -> str:
    """How the log names a vehicle: ``pcid/edition/suite``."""
    return f"{pcid}/{edition}/{suite}"


def prefix_target(kind: str, prefix: str) -> str:
    """How the log names a prefix: ``kind:prefix``."""
    return f"{kind}:{prefix}"


# -- digests -------------------------------------------------------------------------------------
def root_digest(root: PooledRoot) -> str:
    """SHA-256 over every field of a root, in hex."""
    return record_digest(
        "root",
        root.fingerprint,
        root.der,
        root.role,
        root.decision,
        seconds(root.decided_at),
        root.decided_by,
        root.comment,
    ).hex()


def prefix_digest(prefix: Prefix) -> str:
    """SHA-256 over every field of a prefix, in hex."""
    return record_digest(
        "prefix", prefix.kind, prefix.prefix, prefix.owner, seconds(prefix.bound_at), prefix.bound_by
    ).hex()


def vehicle_digest(vehicle: PooledVehicle) -> str:
    """SHA-256 over every field of a vehicle, in hex; a chain enters by the SHA-256 of each certificate."""
    return record_digest(
        "vehicle",
        vehicle.pcid,
        vehicle.edition,
        vehicle.suite,
        b"".join(sha256(der).digest() for der in vehicle.chain),
        vehicle.fingerprint,
        vehicle.receiver,
        seconds(vehicle.not_after),
        vehicle.owner,
        seconds(vehicle.registered_at),
        vehicle.registered_by,
        b"".join(sha256(root).digest() for root in vehicle.v2g_roots),
        vehicle.previous_pcid,
    ).hex()


def contract_digest(contract: Contract) -> str:
    """SHA-256 over every field of a contract, in hex; a missing time is empty."""
    return record_digest(
        "contract",
        contract.id,
        contract.emaid,
        contract.pcid,
        seconds(contract.begins),
        seconds(contract.ends),
        seconds(contract.created_at),
        contract.created_by,
        contract.issuer,
        int(contract.default),
        contract.state,
        "" if contract.ended_at is None else seconds(contract.ended_at),
        contract.reason,
    ).hex()


def bundle_digest(bundle: Bundle) -> str:
    """SHA-256 over every field of a bundle, in hex."""
    return record_digest(
        "bundle",
        bundle.id,
        bundle.contract_id,
        bundle.emaid,
        bundle.pcid,
        bundle.edition,
        bundle.suite,
        bundle.receiver,
        bundle.v2g_root,
        bundle.issuer_id,
        f"{bundle.serial:x}",
        bundle.exi,
        seconds(bundle.made_at),
        seconds(bundle.not_after),
        bundle.state,
        bundle.replaces,
        bundle.aad,
        bundle.cps_issuer_id,
        f"{bundle.cps_serial:x}",
        int(bundle.registered),
    ).hex()


def answer_digest(answer: Answered) -> str:
    """SHA-256 over every field of an answer, in hex."""
    return record_digest(
        "answer",
        answer.digest,
        ",".join(answer.bundles),
        seconds(answer.answered_at),
        details_text(answer.details),
    ).hex()


# -- details -------------------------------------------------------------------------------------
def decided_details(root: PooledRoot) -> str:
    """The details of ``root.decided``."""
    return details_text({"decision": root.decision, "record": root_digest(root), "role": root.role})


def prefix_details(prefix: Prefix) -> str:
    """The details of ``prefix.bound`` and ``prefix.released``."""
    return details_text({"owner": prefix.owner, "record": prefix_digest(prefix)})


def vehicle_details(vehicle: PooledVehicle, replaced: PooledVehicle | None = None) -> str:
    """The details of ``vehicle.registered`` and ``vehicle.deleted``, with the leaf that was there before."""
    details = {
        "fingerprint": vehicle.fingerprint.hex(),
        "owner": vehicle.owner,
        "record": vehicle_digest(vehicle),
    }
    if replaced is not None:
        details["replaces"] = replaced.fingerprint.hex()
    return details_text(details)


def contract_details(contract: Contract) -> str:
    """The details of everything that happens to a contract."""
    details: dict[str, str | int] = {
        "default": int(contract.default),
        "emaid": contract.emaid,
        "pcid": contract.pcid,
        "record": contract_digest(contract),
    }
    if contract.reason:
        details["reason"] = contract.reason
    return details_text(details)


def bundle_details(bundle: Bundle) -> str:
    """The details of ``bundle.made`` and ``bundle.withdrawn``."""
    certificate = f"{bundle.issuer_id}/{bundle.serial:x}"
    return details_text(
        {"certificate": certificate, "contract": bundle.contract_id, "record": bundle_digest(bundle)}
    )


def answer_details(answer: Answered) -> str:
    """The details of ``request.answered``."""
    return details_text({"bundles": ",".join(answer.bundles), "record": answer_digest(answer)})
