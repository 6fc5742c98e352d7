"""The audit key of a home, and signing the log's newest chain value with it.

The key is an ordinary P-256 key in the vault; its public half stands in the store, so that anybody who can
read the home can verify the log. Signing happens after a write, outside the store's lock: a process that
dies in between leaves rows that the next signature covers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from v2gpki.clock import Clock
from v2gpki.keys.suites import SUITES
from v2gpki.store.canonical import head_message
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditHead

if TYPE_CHECKING:
    from v2gpki.keys.vault import Vault

AUDIT_KEY_ID = "audit"
#: The setting that holds the public half: DER SubjectPublicKeyInfo in hex.
AUDIT_KEY_SETTING = "audit_key"
HOME_ID_SETTING = "home_id"


def prepare(store: Store, vault: Vault) -> None:
    """Make the audit key of a new home and publish its public half in the store; repeating it changes nothing."""
    if store.setting(AUDIT_KEY_SETTING) is not None:
        return
    if AUDIT_KEY_ID not in vault.key_ids():
        vault.add(AUDIT_KEY_ID, SUITES["p256"].generate())
    store.put_setting(AUDIT_KEY_SETTING, vault.signer(AUDIT_KEY_ID).spki.hex())


class Paced:
    """Seals at once, but at most once in so many seconds: a server that writes all the time leaves the rest to its
    upkeep, which seals the newest row soon after. Safe from threads."""

    def __init__(self, seal: Callable[[], None], seconds: float, elapsed: Callable[[], float] = monotonic) -> None:
        """``elapsed`` counts seconds."""
        self._seal = seal
        self._seconds = seconds
        self._elapsed = elapsed
        self._next = elapsed()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Seal, unless that was done a moment ago."""
        with self._lock:
            now = self._elapsed()
            if now < self._next:
                return
            self._next = now + self._seconds
        self._seal()


def seal(store: Store, vault: Vault, clock: Clock) -> None:
    """Sign the newest chain value of the audit log, if it is not signed yet."""
    sequence, digest = store.audit_tip()
    at = clock.now().replace(microsecond=0)
    message = head_message(store.setting(HOME_ID_SETTING) or "", sequence, digest, at)
    store.append_audit_head(AuditHead(sequence, digest, at, vault.signer(AUDIT_KEY_ID).sign(message)))
