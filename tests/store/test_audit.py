"""Everything that can be done to a database behind the store's back, and what the verdict says of it.

Each case changes the file with SQLite alone, triggers off, as somebody with the file could.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.store.samples import (
    AUDIT_KEY,
    ISSUER,
    LATER,
    NOW,
    authority,
    certificate,
    changed,
    crl,
    intent,
    issue,
    serial_of,
    sign_head,
    verifier,
)
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit, rows
from v2gpki.store.anchor import AuditAnchor, anchor, load_anchor
from v2gpki.store.canonical import head_message, row_digest
from v2gpki.store.records import AuditEvent
from v2gpki.store.sqlite import SqliteStore

Change = Callable[[sqlite3.Connection], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Rows 1-2 an authority, 3-8 six certificates, 9 revoked, 10 abandoned, 11 CRL, 12 retired; a head at 8 and 12."""
    made = SqliteStore(path, create=True)
    first = authority(made)
    issue(made, range(6))
    sign_head(made)
    made.revoke(ISSUER, serial_of(2), NOW, "keyCompromise", "me")
    made.record_intents([intent(50)])
    made.abandon([intent(50).reference], NOW, "interrupted")
    made.append_crl(crl(first.id, 1), "me")
    made.set_authority_state(first.id, "retired", AuditEvent("", "me", ""), NOW)
    sign_head(made)
    yield made
    made.close()


def behind(path: Path, change: Change | str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        if isinstance(change, str):
            connection.execute(change)
        else:
            change(connection)
    connection.close()


def rechain(connection: sqlite3.Connection) -> None:
    """What a careful forger does: make the whole chain fit again."""
    previous = bytes(32)
    for row in connection.execute(f"SELECT {rows.AUDIT} FROM audit ORDER BY sequence").fetchall():
        digest = row_digest(previous, row[0], row[1], row[2:6])
        connection.execute("UPDATE audit SET previous = ?, digest = ? WHERE sequence = ?", (previous, digest, row[0]))
        previous = digest


def codes(store: SqliteStore, known: AuditAnchor | None = None) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for finding in audit.verify(store, verifier=verifier, anchor=known).findings:
        found.setdefault(finding.code, []).append(finding.facts.get("sequence", finding.subject))
    return found


def name_of(number: int) -> str:
    return f"{ISSUER}/{serial_of(number):x}"


def test_a_sound_log(store: SqliteStore) -> None:
    verdict = audit.verify(store, verifier=verifier, anchor=anchor(store))
    verdict.require_sound()
    assert verdict.findings == ()
    assert (verdict.rows, verdict.heads, verdict.signed_up_to, verdict.anchored_up_to) == (12, 2, 12, 12)
    assert verdict.unprovable == ()
    assert audit.verify(store, verifier=verifier).unprovable != ()


def test_an_empty_log(tmp_path: Path) -> None:
    empty = SqliteStore(tmp_path / "empty.db", create=True)
    verdict = audit.verify(empty, verifier=verifier)
    assert (verdict.rows, verdict.findings) == (0, ())
    with pytest.raises(V2GPKIError, match=r"audit\.no_head"):
        anchor(empty)
    empty.close()


# -- the log itself ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [
        "caller = 'nobody'",
        "action = 'certificate.Issued'",
        "target = target || '0'",
        "at = at + 1",
        "details = replace(details, 'secc', 'cps')",
        "digest = zeroblob(32)",
    ],
)
def test_a_changed_row(store: SqliteStore, path: Path, change: str) -> None:
    behind(path, f"UPDATE audit SET {change} WHERE sequence = 5")
    verdict = audit.verify(store, verifier=verifier)
    assert verdict.first_broken == 5
    assert "audit.row_changed" in codes(store)
    with pytest.raises(V2GPKIError) as caught:
        verdict.require_sound()
    assert caught.value.code == "audit.broken"
    assert caught.value.facts["first_broken"] == 5
    assert caught.value.findings == verdict.findings


def test_a_changed_previous_value(store: SqliteStore, path: Path) -> None:
    behind(path, "UPDATE audit SET previous = zeroblob(32) WHERE sequence = 5")
    assert codes(store) == {"audit.chain_broken": [5], "audit.row_changed": [5]}


def test_a_missing_row(store: SqliteStore, path: Path) -> None:
    behind(path, "DELETE FROM audit WHERE sequence = 6")
    assert codes(store) == {"audit.row_missing": [7], "audit.unlogged": [name_of(3)]}


def test_two_rows_exchanged(store: SqliteStore, path: Path) -> None:
    def exchange(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for old, new in ((4, -4), (5, 4), (-4, 5)):
            connection.execute("UPDATE audit SET sequence = ? WHERE sequence = ?", (new, old))

    behind(path, exchange)
    assert {"audit.row_changed", "audit.chain_broken"} <= codes(store).keys()


def test_a_rewritten_chain_meets_the_signatures(store: SqliteStore, path: Path) -> None:
    def forge(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE audit SET caller = 'nobody' WHERE sequence = 10")
        rechain(connection)

    behind(path, forge)
    assert codes(store) == {"audit.rewritten": [12], "audit.unsigned": [""]}


def test_a_forged_signature(store: SqliteStore, path: Path) -> None:
    behind(path, "UPDATE audit_heads SET signature = zeroblob(64) WHERE sequence = 12")
    assert codes(store) == {"audit.signature_wrong": [12], "audit.unsigned": [""]}


def test_a_head_with_another_time(store: SqliteStore, path: Path) -> None:
    behind(path, "UPDATE audit_heads SET at = at + 1 WHERE sequence = 8")
    assert codes(store) == {"audit.signature_wrong": [8]}


def test_another_home_id(store: SqliteStore, path: Path) -> None:
    known = anchor(store)
    behind(path, "UPDATE settings SET value = 'other' WHERE name = 'home_id'")
    assert codes(store, known) == {
        "audit.signature_wrong": [8, 12],
        "audit.anchor_foreign": [12],
        "audit.unsigned": [""],
    }


def test_rows_after_the_last_signature_are_told(store: SqliteStore) -> None:
    issue(store, [20, 21])
    verdict = audit.verify(store, verifier=verifier)
    verdict.require_sound()
    assert [(finding.code, finding.severity, dict(finding.facts)) for finding in verdict.findings] == [
        ("audit.unsigned", "warning", {"first": 13, "last": 14})
    ]
    assert any("13 to 14" in sentence for sentence in verdict.unprovable)


# -- the end of the log --------------------------------------------------------------------------
def cut(connection: sqlite3.Connection) -> None:
    """Take the last deeds away with everything that they left."""
    connection.execute("DELETE FROM audit_heads WHERE sequence > 8")
    connection.execute("DELETE FROM audit WHERE sequence > 8")
    connection.execute("UPDATE certificates SET state = 'valid', revoked_at = NULL, reason = ''")
    connection.execute("UPDATE authorities SET state = 'active'")
    connection.execute("DELETE FROM abandoned_intents")
    connection.execute("DELETE FROM crls")


def test_a_cut_log_is_seen_with_an_anchor_only(store: SqliteStore, path: Path) -> None:
    known = anchor(store)
    behind(path, cut)
    blind = audit.verify(store, verifier=verifier)
    assert blind.findings == ()
    assert any("off the end" in sentence for sentence in blind.unprovable)
    assert codes(store, known) == {"audit.truncated": [12]}


def test_a_cut_log_with_its_signature_left(store: SqliteStore, path: Path) -> None:
    behind(path, lambda connection: connection.execute("DELETE FROM audit WHERE sequence = 12"))
    assert codes(store)["audit.truncated"] == [12]


def test_an_anchor_knows_a_rewritten_log(store: SqliteStore, path: Path) -> None:
    """The forger holds even the audit key."""
    known = anchor(store)

    def forge(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit_heads")
        connection.execute("UPDATE audit SET caller = 'nobody' WHERE sequence = 10")
        rechain(connection)

    behind(path, forge)
    sign_head(store)
    assert codes(store) == {}
    assert codes(store, known) == {"audit.rewritten": [12]}


def test_an_anchor_with_another_key(store: SqliteStore) -> None:
    known = anchor(store)
    assert codes(store, changed(known, signature=bytes(64))) == {"audit.anchor_forged": [12]}
    assert codes(store, changed(known, at=LATER)) == {"audit.anchor_forged": [12]}


def test_an_old_anchor_proves_what_it_covers(store: SqliteStore) -> None:
    known = anchor(store)
    issue(store, [20])
    sign_head(store)
    verdict = audit.verify(store, verifier=verifier, anchor=known)
    assert (verdict.findings, verdict.anchored_up_to) == ((), 12)
    assert any("after row 12" in sentence for sentence in verdict.unprovable)


def test_an_anchor_file(store: SqliteStore) -> None:
    known = anchor(store)
    view = json.loads(known.text())
    assert view["schema"] == "v2gpki/audit-anchor/1"
    assert next(iter(view)) == "schema"
    assert view["sequence"] == 12
    assert load_anchor(known.text().encode()) == known
    message = head_message(view["home_id"], 12, bytes.fromhex(view["digest"]), known.at)
    AUDIT_KEY.public_key().verify(bytes.fromhex(view["signature"]), message)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda view: b"{",
        lambda view: b"[]",
        lambda view: json.dumps({**view, "schema": "v2gpki/cert/1"}).encode(),
        lambda view: json.dumps({key: value for key, value in view.items() if key != "digest"}).encode(),
        lambda view: json.dumps({**view, "digest": "00"}).encode(),
        lambda view: json.dumps({**view, "digest": 5}).encode(),
        lambda view: json.dumps({**view, "sequence": "x"}).encode(),
        lambda view: json.dumps({**view, "sequence": 0}).encode(),
        lambda view: json.dumps({**view, "at": "yesterday"}).encode(),
        lambda view: json.dumps({**view, "home_id": None}).encode(),
        lambda view: b"\xff\xfe\x00",
    ],
)
def test_what_is_no_anchor(store: SqliteStore, spoil: Callable[[dict[str, str | int]], bytes]) -> None:
    with pytest.raises(V2GPKIError) as caught:
        load_anchor(spoil(anchor(store).view()), "anchor.json")
    assert caught.value.code == "audit.anchor_invalid"
    assert "anchor.json" in caught.value.message


# -- the tables ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [
        "der = x'3000'",
        "fingerprint = randomblob(32)",
        "issuer_id = 'other@1'",
        "role = 'cps'",
        "edition = 'iso15118-20'",
        "suite = 'p521'",
        "identifier = 'DEOTHER'",
        "subject = 'CN=x'",
        "not_before = not_before + 1",
        "not_after = not_after + 1",
        "profile = ''",
        "caller = 'x'",
        "issued_at = 0",
        "key_id = 'k'",
        "serial = '1'",
    ],
)
@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_changed_certificate(store: SqliteStore, path: Path, change: str, number: int) -> None:
    behind(path, f"UPDATE certificates SET {change} WHERE serial = '{serial_of(number):x}'")
    found = codes(store)
    if change.startswith(("issuer_id", "serial")):
        assert found["audit.missing"] == [name_of(number)]
        assert len(found["audit.unlogged"]) == 1
    else:
        assert found == {"audit.changed": [name_of(number)]}


@pytest.mark.parametrize("number", range(6))
def test_a_removed_certificate(store: SqliteStore, path: Path, number: int) -> None:
    behind(path, f"DELETE FROM certificates WHERE serial = '{serial_of(number):x}'")
    assert name_of(number) in codes(store)["audit.missing"]


@pytest.mark.parametrize("place", [1, 4, 100])
def test_an_added_certificate(store: SqliteStore, path: Path, place: int) -> None:
    row = rows.certificate_row(certificate(intent(80)))

    def add(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE certificates SET number = -number WHERE number >= ?", (place,))
        connection.execute("UPDATE certificates SET number = 1 - number WHERE number < 0")
        connection.execute(rows.insertion("certificates", "number, " + rows.CERTIFICATE), (place, *row))

    behind(path, add)
    assert codes(store) == {"audit.unlogged": [name_of(80)]}


def test_an_exchanged_certificate(store: SqliteStore, path: Path) -> None:
    row = rows.certificate_row(certificate(intent(80)))

    def exchange(connection: sqlite3.Connection) -> None:
        connection.execute(f"DELETE FROM certificates WHERE serial = '{serial_of(3):x}'")
        connection.execute(rows.insertion("certificates", "number, " + rows.CERTIFICATE), (5, *row))

    behind(path, exchange)
    assert codes(store) == {"audit.unlogged": [name_of(80)], "audit.missing": [name_of(3)]}


def test_a_certificate_logged_twice(store: SqliteStore, path: Path) -> None:
    def double(connection: sqlite3.Connection) -> None:
        fields = "action, caller, target, details"
        connection.execute(
            f"INSERT INTO audit SELECT 13, at, {fields}, zeroblob(32), zeroblob(32) FROM audit WHERE sequence = 5"
        )
        rechain(connection)

    behind(path, double)
    assert codes(store) == {"audit.missing": [name_of(2)], "audit.unsigned": [""]}


def test_certificates_in_another_order(store: SqliteStore, path: Path) -> None:
    """No change of any certificate, so nothing to report."""
    behind(path, "UPDATE certificates SET number = 100 - number WHERE number > 2")
    assert codes(store) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("state = 'valid', revoked_at = NULL, reason = ''", "audit.missing"),
        ("reason = 'superseded'", "audit.changed"),
        ("revoked_at = revoked_at + 1", "audit.changed"),
    ],
)
def test_a_changed_revocation(store: SqliteStore, path: Path, change: str, expected: str) -> None:
    behind(path, f"UPDATE certificates SET {change} WHERE state = 'revoked'")
    found = codes(store)
    assert found[expected] == [name_of(2)]


def test_an_added_revocation(store: SqliteStore, path: Path) -> None:
    change = f"state = 'revoked', revoked_at = 0, reason = 'superseded' WHERE serial = '{serial_of(4):x}'"
    behind(path, f"UPDATE certificates SET {change}")
    assert codes(store) == {"audit.unlogged": [name_of(4)]}


@pytest.mark.parametrize(
    ("statement", "code", "subject"),
    [
        ("UPDATE authorities SET state = 'active'", "audit.changed", ISSUER),
        ("UPDATE authorities SET key_id = 'mine'", "audit.changed", ISSUER),
        ("UPDATE authorities SET chain = x''", "audit.changed", ISSUER),
        ("UPDATE authorities SET id = 'x@1'", "audit.missing", ISSUER),
        ("DELETE FROM authorities", "audit.missing", ISSUER),
        ("DELETE FROM crls", "audit.missing", f"{ISSUER}#1"),
        ("UPDATE crls SET der = x'00'", "audit.changed", f"{ISSUER}#1"),
        ("UPDATE crls SET next_update = next_update + 1", "audit.changed", f"{ISSUER}#1"),
        ("INSERT INTO crls SELECT issuer_id, 2, this_update, 0, der FROM crls", "audit.unlogged", f"{ISSUER}#2"),
        ("DELETE FROM abandoned_intents", "audit.missing", name_of(50)),
        ("UPDATE abandoned_intents SET abandoned_at = 0", "audit.changed", name_of(50)),
        ("UPDATE abandoned_intents SET serial = 'abc'", "audit.unlogged", f"{ISSUER}/abc"),
    ],
)
def test_the_other_tables(store: SqliteStore, path: Path, statement: str, code: str, subject: str) -> None:
    behind(path, statement)
    assert subject in codes(store)[code]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE settings SET value = 'Other' WHERE name = 'org'", "audit.changed"),
        ("UPDATE settings SET name = 'Org' WHERE name = 'org'", "audit.missing"),
        ("DELETE FROM settings WHERE name = 'org'", "audit.missing"),
    ],
)
def test_a_changed_setting(store: SqliteStore, path: Path, change: str, code: str) -> None:
    store.put_setting("org", "Acme", at=NOW, caller="me")
    store.put_setting("country", "DE")
    sign_head(store)
    assert codes(store) == {}
    behind(path, change)
    assert codes(store) == {code: ["org"]}


def test_a_value_that_cannot_be(store: SqliteStore, path: Path) -> None:
    behind(path, "UPDATE certificates SET serial = 'xyz' WHERE number = 3")
    with pytest.raises(V2GPKIError, match=r"store\.damaged"):
        audit.verify(store, verifier=verifier)
    behind(path, "UPDATE certificates SET serial = '5', not_after = 1000000000000000 WHERE number = 3")
    with pytest.raises(V2GPKIError, match=r"store\.damaged"):
        audit.verify(store, verifier=verifier)


def test_the_chain_by_hand(store: SqliteStore) -> None:
    """The first two rows recomputed from the description in ``canonical`` alone."""
    previous = bytes(32)
    for row in store.audit_rows(limit=2):
        texts = [text.encode() for text in (row.action, row.caller, row.target, row.details)]
        octets = b"v2gpki/audit-row/1\0" + previous + row.sequence.to_bytes(8, "big")
        octets += int(row.at.timestamp()).to_bytes(8, "big")
        octets += b"".join(len(text).to_bytes(4, "big") for text in texts) + b"".join(texts)
        assert sha256(octets).digest() == row.digest
        previous = row.digest
