"""Records of the pools to rows of SQLite and back, as ``rows`` does for the others."""

from __future__ import annotations

import json

from v2gpki.store.canonical import details_text, moment, seconds, unreadable
from v2gpki.store.pool_records import Answered, Bundle, Contract, PooledRoot, PooledVehicle, Prefix
from v2gpki.store.rows import Row, Value, packed, serial_of, unpacked

ROOT = "fingerprint, der, role, decision, decided_at, decided_by, comment"
PREFIX = "kind, prefix, owner, bound_at, bound_by"
VEHICLE = (
    "pcid, edition, suite, chain, fingerprint, receiver, not_after, owner, registered_at, registered_by, v2g_roots, "
    "previous_pcid"
)
CONTRACT = (
    "id, emaid, pcid, begins, ends, created_at, created_by, issuer, is_default, state, ended_at, reason"
)
BUNDLE = (
    "id, contract_id, emaid, pcid, edition, suite, receiver, v2g_root, issuer_id, serial, exi, made_at, not_after, "
    "state, replaces, aad, cps_issuer_id, cps_serial, registered"
)
ANSWER = "digest, bundles, answered_at, details"


def root_row(root: PooledRoot) -> tuple[Value, ...]:
    """In the order of ``ROOT``."""
    return (
        root.fingerprint,
        root.der,
        root.role,
        root.decision,
        seconds(root.decided_at),
        root.decided_by,
        root.comment,
    )


def prefix_row(prefix: Prefix) -> tuple[Value, ...]:
    """In the order of ``PREFIX``."""
    return (prefix.kind, prefix.prefix, prefix.owner, seconds(prefix.bound_at), prefix.bound_by)


def vehicle_row(vehicle: PooledVehicle) -> tuple[Value, ...]:
    """In the order of ``VEHICLE``."""
    return (
        vehicle.pcid,
        vehicle.edition,
        vehicle.suite,
        packed(vehicle.chain),
        vehicle.fingerprint,
        vehicle.receiver,
        seconds(vehicle.not_after),
        vehicle.owner,
        seconds(vehicle.registered_at),
        vehicle.registered_by,
        packed(vehicle.v2g_roots),
        vehicle.previous_pcid,
    )


def contract_row(contract: Contract) -> tuple[Value, ...]:
    """In the order of ``CONTRACT``."""
    return (
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
        None if contract.ended_at is None else seconds(contract.ended_at),
        contract.reason,
    )


def bundle_row(bundle: Bundle) -> tuple[Value, ...]:
    """In the order of ``BUNDLE``."""
    return (
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
    )


def answer_row(answer: Answered) -> tuple[Value, ...]:
    """In the order of ``ANSWER``."""
    return (answer.digest, ",".join(answer.bundles), seconds(answer.answered_at), details_text(answer.details))


def root_of(row: Row) -> PooledRoot:
    """From the columns of ``ROOT``."""
    fingerprint, der, role, decision, decided_at, decided_by, comment = row
    return PooledRoot(fingerprint, der, role, decision, moment(decided_at), decided_by, comment)


def prefix_of(row: Row) -> Prefix:
    """From the columns of ``PREFIX``."""
    kind, prefix, owner, bound_at, bound_by = row
    return Prefix(kind, prefix, owner, moment(bound_at), bound_by)


def vehicle_of(row: Row) -> PooledVehicle:
    """From the columns of ``VEHICLE``."""
    pcid, edition, suite, chain, fingerprint, receiver, not_after, owner, at, caller, roots, previous = row[:12]
    return PooledVehicle(
        pcid,
        edition,
        suite,
        unpacked(chain),
        fingerprint,
        receiver,
        moment(not_after),
        owner,
        moment(at),
        caller,
        unpacked(roots),
        previous,
    )


def contract_of(row: Row) -> Contract:
    """From the columns of ``CONTRACT``."""
    contract_id, emaid, pcid, begins, ends, created_at, created_by, issuer, default, state, ended_at, reason = row[:12]
    return Contract(
        contract_id,
        emaid,
        pcid,
        moment(begins),
        moment(ends),
        moment(created_at),
        created_by,
        issuer,
        bool(default),
        state,
        None if ended_at is None else moment(ended_at),
        reason,
    )


def bundle_of(row: Row) -> Bundle:
    """From the columns of ``BUNDLE``."""
    (bundle_id, contract_id, emaid, pcid, edition, suite, receiver, v2g_root, issuer_id, serial) = row[:10]
    (exi, made_at, not_after, state, replaces, aad, cps_issuer_id, cps_serial, registered) = row[10:19]
    return Bundle(
        bundle_id,
        contract_id,
        emaid,
        pcid,
        edition,
        suite,
        receiver,
        v2g_root,
        issuer_id,
        serial_of(serial),
        exi,
        moment(made_at),
        moment(not_after),
        state,
        replaces,
        aad,
        cps_issuer_id,
        serial_of(cps_serial),
        bool(registered),
    )


def answer_of(row: Row) -> Answered:
    """From the columns of ``ANSWER``."""
    digest, bundles, answered_at, details = row[:4]
    try:
        said = json.loads(details)
    except ValueError as error:
        raise unreadable(f"the details {details!r} of an answer are not JSON") from error
    return Answered(digest, tuple(bundles.split(",")) if bundles else (), moment(answered_at), said)
