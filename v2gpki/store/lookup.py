"""Finding certificates and authorities in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2gpki.store import rows
from v2gpki.store.canonical import seconds
from v2gpki.store.records import AuthorityRecord, CertificateRecord, CertificateState

#: A prefix of so many hex digits matches a thousandth of the certificates or less.
SELECTIVE = 3
#: So many values are looked up in one statement.
_LARGEST_GROUP = 256
_OF_C = ", ".join(f"c.{column}" for column in rows.CERTIFICATE.split(", "))
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """What ``find_certificates`` and ``count_certificates`` ask for; "" and None mean any."""

    prefix: str = ""
    issuer_id: str = ""
    edition: str = ""
    role: str = ""
    identifier: str = ""
    state: CertificateState | None = None
    expiring_before: datetime | None = None

    def where(self) -> tuple[str, list[rows.Value]]:
        """The WHERE clause (never empty) and its values."""
        terms, values = ["1"], list[rows.Value]()
        for column, wanted in (
            ("issuer_id", self.issuer_id),
            ("edition", self.edition),
            ("role", self.role),
            ("identifier", self.identifier),
        ):
            if wanted:
                terms.append(f"{column} = ?")
                values.append(wanted)
        if self.identifier:
            terms.append("identifier <> ''")
        if self.state is not None:
            # Written out, so that the index of the revoked ones serves.
            terms.append({"valid": "state = 'valid'", "revoked": "state = 'revoked'"}.get(self.state, "0"))
        if self.expiring_before is not None:
            terms.append("not_after < ?")
            values.append(seconds(self.expiring_before))
        if self.prefix:
            terms.append(_prefix_term(self.prefix.lower(), values))
        return " AND ".join(terms), values


def page(
    connection: sqlite3.Connection, wanted: CertificateFilter, after: int, size: int
) -> tuple[int, list[CertificateRecord]]:
    """Up to ``size`` certificates issued after row number ``after``, and the number to go on from (0: no more)."""
    where, values = wanted.where()
    # The plus keeps SQLite from walking the table in order when an index finds few rows at once.
    number = "+number" if len(wanted.prefix) >= SELECTIVE or wanted.identifier else "number"
    found = _query(
        connection,
        f"SELECT {rows.CERTIFICATE}, number FROM certificates WHERE {where} AND {number} > ? ORDER BY {number} LIMIT ?",
        (*values, after, size),
    )
    last = found[-1][-1] if len(found) == size else 0
    return int(last or 0), [rows.certificate_of(row) for row in found]


def newest(
    connection: sqlite3.Connection, wanted: CertificateFilter, before: int, size: int
) -> tuple[int, list[CertificateRecord]]:
    """Up to ``size`` certificates issued before row number ``before`` (0: all), the newest first, and the number to
    go on from (0: no more)."""
    where, values = wanted.where()
    if before:
        where, values = f"{where} AND number < ?", [*values, before]
    found = connection.execute(
        f"SELECT {rows.CERTIFICATE}, number FROM certificates WHERE {where} ORDER BY number DESC LIMIT ?",
        (*values, size + 1),
    ).fetchall()
    last = found[size - 1][-1] if len(found) > size else 0
    return int(last), [rows.certificate_of(row) for row in found[:size]]


def _query(connection: sqlite3.Connection, sql: str, values: Sequence[rows.Value]) -> list[tuple[rows.Value, ...]]:
    """A searching query, by sqlite-utils; what is looked up by identity on the hot path asks the connection itself."""
    # Only searches pay for this import: it takes 40 ms.
    from sqlite_utils import Database  # noqa: PLC0415

    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    return [tuple(row.values()) for row in database.query(sql, values)]


def count(connection: sqlite3.Connection, wanted: CertificateFilter) -> int:
    """How many certificates match."""
    where, values = wanted.where()
    return int(connection.execute(f"SELECT count(*) FROM certificates WHERE {where}", values).fetchone()[0])


def issued_tally(connection: sqlite3.Connection, after: int) -> tuple[int, dict[tuple[str, str], int]]:
    """(newest row number, certificates by edition and role) of what was issued after row number ``after``."""
    newest = connection.execute("SELECT max(number) FROM certificates").fetchone()[0] or 0
    found = connection.execute(
        "SELECT edition, role, count(*) FROM certificates WHERE number > ? AND number <= ? GROUP BY edition, role",
        (after, newest),
    )
    return newest, {(edition, role): count for edition, role, count in found}


def revoked_tally(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Revoked certificates by edition and role."""
    found = connection.execute(
        "SELECT edition, role, count(*) FROM certificates WHERE state = 'revoked' GROUP BY edition, role"
    )
    return {(edition, role): count for edition, role, count in found}


def one(connection: sqlite3.Connection, issuer_id: str, serial: int) -> CertificateRecord | None:
    """One certificate by its identity."""
    row = connection.execute(
        f"SELECT {rows.CERTIFICATE} FROM certificates WHERE serial = ? AND issuer_id = ?", (f"{serial:x}", issuer_id)
    ).fetchone()
    return None if row is None else rows.certificate_of(row)


def by_fingerprint(connection: sqlite3.Connection, fingerprint: bytes) -> CertificateRecord | None:
    """One certificate by the SHA-256 of its DER."""
    row = connection.execute(
        f"SELECT {rows.CERTIFICATE} FROM certificates WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return None if row is None else rows.certificate_of(row)


def completed(connection: sqlite3.Connection, caller: str, idempotence_key: str) -> CertificateRecord | None:
    """The certificate behind an idempotence key, None while its intent is pending."""
    row = connection.execute(
        "SELECT issuer_id, serial FROM idempotence WHERE idempotence_key = ? AND caller = ?", (idempotence_key, caller)
    ).fetchone()
    return None if row is None else one(connection, row[0], int(row[1], 16))


def completed_many(
    connection: sqlite3.Connection, claims: Collection[tuple[str, str]]
) -> dict[tuple[str, str], CertificateRecord]:
    """The certificates behind (caller, idempotence key), by that."""
    wanted = set(claims)
    found: dict[tuple[str, str], CertificateRecord] = {}
    for marks, keys in _groups({key for _, key in wanted}):
        sql = (
            f"SELECT {_OF_C}, i.caller, i.idempotence_key FROM idempotence AS i "
            "CROSS JOIN certificates AS c ON c.serial = i.serial AND c.issuer_id = i.issuer_id "
            f"WHERE i.idempotence_key IN ({marks})"
        )
        for row in connection.execute(sql, keys):
            if (claim := (row[-2], row[-1])) in wanted:
                found[claim] = rows.certificate_of(row)
    return found


def revoked_identifiers(connection: sqlite3.Connection, identifiers: Collection[str]) -> frozenset[str]:
    """Those of them for which a certificate was revoked."""
    found: set[str] = set()
    for marks, wanted in _groups(identifiers):
        sql = (
            f"SELECT DISTINCT identifier FROM certificates WHERE identifier IN ({marks}) "
            "AND identifier <> '' AND state = 'revoked'"
        )
        found.update(row[0] for row in connection.execute(sql, wanted))
    return frozenset(found)


def _groups(values: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Placeholders and values of a few look-ups with IN; the last one is repeated up to a power of two, so that there
    are few statements to prepare."""
    given = list(values)
    for start in range(0, len(given), _LARGEST_GROUP):
        group = given[start : start + _LARGEST_GROUP]
        size = 1 << (len(group) - 1).bit_length()
        group += group[-1:] * (size - len(group))
        yield ", ".join("?" * size), group


def serials(
    connection: sqlite3.Connection, issuer_id: str, valid_at: datetime, after: int, size: int
) -> list[tuple[int, str]]:
    """(row number, serial) of up to ``size`` valid certificates of an issuer after row number ``after``."""
    found = connection.execute(
        "SELECT number, serial FROM certificates INDEXED BY certificates_of_issuer "
        "WHERE issuer_id = ? AND number > ? AND state = 'valid' AND not_after > ? ORDER BY number LIMIT ?",
        (issuer_id, after, seconds(valid_at), size),
    )
    return [(row[0], row[1]) for row in found]


def held(connection: sqlite3.Connection, role: str, issuer_id: str) -> list[CertificateRecord]:
    """End-entity certificates with a key in the vault, not revoked, newest first."""
    terms, values = _equal((("role", role), ("issuer_id", issuer_id)))
    found = connection.execute(
        f"SELECT {rows.CERTIFICATE} FROM certificates AS c WHERE key_id <> '' AND state = 'valid'{terms} "
        "AND NOT EXISTS (SELECT 1 FROM authorities AS a WHERE a.serial = c.serial AND a.issuer_id = c.issuer_id) "
        "ORDER BY number DESC",
        values,
    )
    return [rows.certificate_of(row) for row in found]


def authority(connection: sqlite3.Connection, authority_id: str) -> AuthorityRecord | None:
    """``slug@n``, or the newest active generation of a slug."""
    where = "id = ?" if "@" in authority_id else "slug = ? AND state = 'active' ORDER BY generation DESC LIMIT 1"
    row = connection.execute(f"SELECT {rows.AUTHORITY} FROM authorities WHERE {where}", (authority_id,)).fetchone()
    return None if row is None else rows.authority_of(row)


def authorities(connection: sqlite3.Connection, edition: str, role: str, suite: str) -> list[AuthorityRecord]:
    """All generations that match, in the order of creation."""
    terms, values = _equal((("edition", edition), ("role", role), ("suite", suite)))
    found = connection.execute(f"SELECT {rows.AUTHORITY} FROM authorities WHERE 1{terms} ORDER BY number", values)
    return [rows.authority_of(row) for row in found]


def _equal(wanted: Sequence[tuple[str, str]]) -> tuple[str, list[rows.Value]]:
    given = [(column, value) for column, value in wanted if value]
    return "".join(f" AND {column} = ?" for column, _ in given), [value for _, value in given]


def _prefix_term(prefix: str, values: list[rows.Value]) -> str:
    if not _HEX.issuperset(prefix) or len(prefix) > 64:
        return "0"
    values += [prefix, prefix + "g", bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))]
    return "((serial >= ? AND serial < ?) OR fingerprint BETWEEN ? AND ?)"
