"""A store whose process ends hard at a chosen statement; run as a program by ``test_processes``.

usage: dying.py PATH WHERE HOW; WHERE counts the statements of the deed under test ("before 3", "after 3"),
HOW is exit (os._exit) or kill (SIGKILL to itself). Prints the number of statements when it survives.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.store.samples import ISSUER, NOW, crl, intent, issue, serial_of, sign_head
from v2gpki.store.records import AuditEvent
from v2gpki.store.sqlite import SqliteStore

COUNT = {"armed": 0, "seen": 0}
WHERE: dict[str, int] = {}
HOW = ["exit"]


def die() -> None:
    if HOW[0] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(77)


class DyingConnection(sqlite3.Connection):
    """Counts the statements while armed."""

    # sqlite3 types parameters as a private protocol; whatever comes is handed through.
    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if not COUNT["armed"] or sql.startswith("PRAGMA"):
            return super().execute(sql, parameters)
        COUNT["seen"] += 1
        if WHERE.get("before") == COUNT["seen"]:
            die()
        cursor = super().execute(sql, parameters)
        if WHERE.get("after") == COUNT["seen"]:
            die()
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        COUNT["seen"] += COUNT["armed"]
        rows = list(parameters)
        if COUNT["armed"] and WHERE.get("before") == COUNT["seen"]:
            die()
        if COUNT["armed"] and WHERE.get("within") == COUNT["seen"]:
            super().executemany(sql, rows[: len(rows) // 2])
            die()
        cursor = super().executemany(sql, rows)
        if COUNT["armed"] and WHERE.get("after") == COUNT["seen"]:
            die()
        return cursor


class DyingStore(SqliteStore):
    connection_class = DyingConnection


def deeds(store: SqliteStore) -> None:
    """Every kind of write, a batch among them."""
    issue(store, range(100, 110))
    store.record_intents([intent(number, key=f"row-{number}") for number in range(200, 203)])
    store.abandon([intent(200).reference, intent(202).reference], NOW, "interrupted")
    store.revoke(ISSUER, serial_of(1), NOW, "superseded", "me")
    store.append_crl(crl(ISSUER, 1), "me")
    store.append_audit([AuditEvent("key.exported", "me", "k")], NOW)
    sign_head(store)
    store.set_authority_state(ISSUER, "retired", AuditEvent("", "me", ""), NOW)
    store.put_setting("audit_key", "00")
    store.put_setting("org", "Acme", at=NOW, caller="me")


if __name__ == "__main__":
    store = DyingStore(Path(sys.argv[1]))
    WHERE[sys.argv[2]] = int(sys.argv[3])
    HOW[0] = sys.argv[4]
    COUNT["armed"] = 1
    deeds(store)
    COUNT["armed"] = 0
    store.close()
    print(COUNT["seen"])
