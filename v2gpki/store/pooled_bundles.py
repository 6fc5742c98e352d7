"""Signed contract data and what requests were answered with, in SQLite, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.store import auditlog, pool_rows, rows
from v2gpki.store.canonical import seconds
from v2gpki.store.pool_canonical import answer_details, bundle_details
from v2gpki.store.pool_records import Answered, Bundle
from v2gpki.store.pooled_contracts import active
from v2gpki.store.records import CertificateRecord

_SAME = (
    "contract_id = ? AND receiver = ? AND v2g_root = ? AND edition = ? AND suite = ? AND aad = ? AND state = 'ready'"
)


def add(connection: sqlite3.Connection, bundle: Bundle, caller: str) -> None:
    """Write a bundle in place of the one that it replaces; ``store.conflict`` when another one is ready."""
    _write(connection, [bundle], [caller])


def deliver(
    connection: sqlite3.Connection,
    certificates: Sequence[CertificateRecord],
    bundles: Sequence[Bundle],
    answers: Sequence[Answered],
) -> None:
    """Write bundles that deliver certificates of the same commit, and answers with them; whoever asked for those made
    these."""
    issued = {(certificate.issuer_id, certificate.serial): certificate.caller for certificate in certificates}
    callers = {bundle.id: issued.get((bundle.issuer_id, bundle.serial)) for bundle in bundles}
    known = [caller for caller in callers.values() if caller is not None]
    if len(known) != len(bundles):
        raise ValueError("a bundle that is committed delivers a certificate that is committed with it")
    _write(connection, bundles, known)
    for answer in answers:
        caller = next((callers[bundle_id] for bundle_id in answer.bundles if bundle_id in callers), None)
        if caller is None:
            raise ValueError("an answer that is committed has a bundle that is committed with it")
        if record(connection, answer, caller) is not answer:
            raise _answered_before(answer)


def _answered_before(answer: Answered) -> V2GPKIError:
    return V2GPKIError(
        "store.conflict",
        "somebody else has answered the same request meanwhile, with other signed contract data",
        hint="ask for the request's answer again",
        facts={"which": "answer", "request": answer.digest.hex()},
    )


def _write(connection: sqlite3.Connection, bundles: Sequence[Bundle], callers: Sequence[str]) -> None:
    """Compare and swap, for all of them: few statements, because a factory writes a hundred at once."""
    contracts = active(connection, (bundle.contract_id for bundle in bundles))
    entries: list[auditlog.Entry] = []
    for bundle, caller in zip(bundles, callers, strict=True):
        if bundle.state != "ready":
            raise ValueError("a new bundle is ready")
        if contracts[bundle.contract_id] != (bundle.emaid, bundle.pcid):
            raise ValueError("EMAID and PCID of a bundle are those of its contract")
        if bundle.registered:
            _require_vehicle(connection, bundle)
        if bundle.replaces:
            if _present(connection, bundle) != bundle.replaces:
                raise _faster(connection, bundle)
            withdraw(connection, [bundle.replaces], bundle.made_at, caller)
        entries.append((seconds(bundle.made_at), "bundle.made", caller, bundle.id, bundle_details(bundle)))
    try:
        # Where nothing is replaced, the index of what is ready is what compares.
        connection.executemany(
            rows.insertion("bundles", pool_rows.BUNDLE), [pool_rows.bundle_row(bundle) for bundle in bundles]
        )
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise _collision(connection, bundles) from error
    auditlog.append(connection, entries)


def _require_vehicle(connection: sqlite3.Connection, bundle: Bundle) -> None:
    """A vehicle that was deleted or renewed while its bundle was made gets nothing for the key that it had."""
    found = connection.execute(
        "SELECT 1 FROM vehicles WHERE pcid = ? AND edition = ? AND receiver = ?",
        (bundle.pcid, bundle.edition, bundle.receiver),
    ).fetchone()
    if found is None:
        raise V2GPKIError(
            "store.conflict",
            f"the provisioning certificate of {bundle.pcid} was deleted or renewed meanwhile",
            hint="ask for the vehicle again",
            facts={"which": "vehicle", "pcid": bundle.pcid, "edition": bundle.edition},
        )


def _present(connection: sqlite3.Connection, bundle: Bundle) -> str:
    """The id of what is ready in the bundle's place, "" when nothing is."""
    row = connection.execute(
        f"SELECT id FROM bundles WHERE {_SAME}",
        (bundle.contract_id, bundle.receiver, bundle.v2g_root, bundle.edition, bundle.suite, bundle.aad),
    ).fetchone()
    return "" if row is None else str(row[0])


def _faster(connection: sqlite3.Connection, bundle: Bundle) -> V2GPKIError:
    return V2GPKIError(
        "store.conflict",
        f"somebody else has made signed contract data for {bundle.emaid} meanwhile",
        hint="use what is ready now",
        facts={
            "which": "bundle",
            "contract_id": bundle.contract_id,
            "ready": _present(connection, bundle),
            "replaces": bundle.replaces,
        },
    )


def _collision(connection: sqlite3.Connection, bundles: Sequence[Bundle]) -> V2GPKIError:
    """Which of them the table stands against; those before it are in the table by now."""
    for bundle in bundles:
        if _present(connection, bundle) not in ("", bundle.id):
            return _faster(connection, bundle)
    taken = next((bundle.id for bundle in bundles if not _present(connection, bundle)), bundles[0].id)
    return V2GPKIError(
        "store.conflict",
        f"there is a bundle with the id {taken} already",
        hint="draw another id",
        facts={"which": "bundle_id", "bundle_id": taken},
    )


def one(connection: sqlite3.Connection, bundle_id: str) -> Bundle | None:
    """One bundle by its id."""
    row = connection.execute(f"SELECT {pool_rows.BUNDLE} FROM bundles WHERE id = ?", (bundle_id,)).fetchone()
    return None if row is None else pool_rows.bundle_of(row)


def ready(connection: sqlite3.Connection, place: tuple[str, bytes, bytes, str, str, str]) -> Bundle | None:
    """The bundle that is ready for (contract id, receiver, V2G root, edition, suite, aad); there is one at most."""
    row = connection.execute(f"SELECT {pool_rows.BUNDLE} FROM bundles WHERE {_SAME}", place).fetchone()
    return None if row is None else pool_rows.bundle_of(row)


def with_ready(connection: sqlite3.Connection, contract_ids: Sequence[str]) -> list[str]:
    """Those of these contracts that have a bundle that is ready."""
    marks = ", ".join("?" * len(contract_ids))
    found = connection.execute(
        f"SELECT DISTINCT contract_id FROM bundles WHERE contract_id IN ({marks}) AND state = 'ready'", contract_ids
    )
    return [row[0] for row in found]


def page(
    connection: sqlite3.Connection, contract_id: str, pcid: str, after: int, size: int
) -> tuple[int, list[Bundle]]:
    """Up to ``size`` bundles made after row number ``after``, and the number to go on from (0: no more)."""
    given = [(column, value) for column, value in (("contract_id", contract_id), ("pcid", pcid)) if value]
    terms = "".join(f"{column} = ? AND " for column, _ in given)
    found = connection.execute(
        f"SELECT {pool_rows.BUNDLE}, number FROM bundles WHERE {terms}number > ? ORDER BY number LIMIT ?",
        (*(value for _, value in given), after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [pool_rows.bundle_of(row) for row in found]


def withdraw(connection: sqlite3.Connection, bundle_ids: Iterable[str], at: datetime, caller: str) -> None:
    """Never send these again; those that are withdrawn already stay as they are."""
    leaving = []
    for bundle_id in dict.fromkeys(bundle_ids):
        bundle = one(connection, bundle_id)
        if bundle is None:
            raise _unknown(bundle_id)
        if bundle.state == "ready":
            leaving.append(replace(bundle, state="withdrawn"))
    if leaving:
        connection.executemany(
            "UPDATE bundles SET state = 'withdrawn' WHERE id = ?", [(bundle.id,) for bundle in leaving]
        )
        when = seconds(at)
        auditlog.append(
            connection,
            [(when, "bundle.withdrawn", caller, bundle.id, bundle_details(bundle)) for bundle in leaving],
        )


def _unknown(bundle_id: str) -> V2GPKIError:
    return V2GPKIError(
        "store.unknown_bundle",
        f"there is no signed contract data with the id {bundle_id}",
        hint="`v2gpki contract show` lists what was made for a contract",
        facts={"bundle_id": bundle_id},
    )


# -- answers -------------------------------------------------------------------------------------
def answered(connection: sqlite3.Connection, digest: bytes) -> Answered | None:
    """What a request was last answered with."""
    row = connection.execute(f"SELECT {pool_rows.ANSWER} FROM answers WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else pool_rows.answer_of(row)


def standing(connection: sqlite3.Connection, digest: bytes) -> Answered | None:
    """The answer that was given, if it has bundles and all of them are still ready."""
    present = answered(connection, digest)
    if present is None or not present.bundles or _not_ready(connection, present.bundles):
        return None
    return present


def record(connection: sqlite3.Connection, answer: Answered, caller: str) -> Answered:
    """Keep the answer that stands, else write this one in its place."""
    if present := standing(connection, answer.digest):
        return present
    if gone := _not_ready(connection, answer.bundles):
        raise V2GPKIError(
            "store.conflict",
            f"signed contract data of this answer was withdrawn meanwhile: {', '.join(gone)}",
            hint="select again what is ready now",
            facts={"which": "withdrawn", "bundles": list(gone)},
        )
    row = pool_rows.answer_row(answer)
    connection.execute(
        rows.insertion("answers", pool_rows.ANSWER) + " ON CONFLICT (digest) DO UPDATE SET "
        "bundles = excluded.bundles, answered_at = excluded.answered_at, details = excluded.details",
        row,
    )
    target = answer.digest.hex()
    entry = (seconds(answer.answered_at), "request.answered", caller, target, answer_details(answer))
    auditlog.append(connection, [entry])
    return answer


def answers(connection: sqlite3.Connection, after: int, size: int) -> tuple[int, list[Answered]]:
    """A page of all answers, as ``page``."""
    found = connection.execute(
        f"SELECT {pool_rows.ANSWER}, number FROM answers WHERE number > ? ORDER BY number LIMIT ?", (after, size)
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [pool_rows.answer_of(row) for row in found]


def take_position(connection: sqlite3.Connection, station: str, digest: bytes, count: int, at: datetime) -> int:
    """0, 1, .. count - 1, then 0 again."""
    row = connection.execute(
        "SELECT position FROM positions WHERE digest = ? AND station = ?", (digest, station)
    ).fetchone()
    position = 0 if row is None or row[0] + 1 >= count else row[0] + 1
    connection.execute(
        "INSERT INTO positions (station, digest, position, at) VALUES (?, ?, ?, ?) ON CONFLICT (digest, station) "
        "DO UPDATE SET position = excluded.position, at = excluded.at",
        (station, digest, position, seconds(at)),
    )
    return int(position)


def _not_ready(connection: sqlite3.Connection, bundle_ids: Sequence[str]) -> list[str]:
    gone = []
    for bundle_id in bundle_ids:
        row = connection.execute("SELECT state FROM bundles WHERE id = ?", (bundle_id,)).fetchone()
        if row is None:
            raise _unknown(bundle_id)
        if row[0] != "ready":
            gone.append(bundle_id)
    return gone
