"""How often a server signs the audit log's head."""

from __future__ import annotations

import os
import stat

import pytest

from v2gpki import CertificateAuthority
from v2gpki.servers.http.application import Executor
from v2gpki.servers.upkeep import Upkeep
from v2gpki.wiring.access import access_of
from v2gpki.wiring.audit_check import check_audit
from v2gpki.wiring.sealing import Paced


def test_at_once_but_once_in_so_many_seconds() -> None:
    moments, sealed = [100.0], list[float]()
    paced = Paced(lambda: sealed.append(moments[0]), 0.5, lambda: moments[0])
    for moment in (100.0, 100.1, 100.49, 100.5, 100.6, 102.0, 102.4):
        moments[0] = moment
        paced()
    assert sealed == [100.0, 100.5, 102.0]


def signed_up_to(ca: CertificateAuthority) -> int:
    return list(ca.store.audit_heads())[-1].sequence


def test_what_a_server_leaves_unsigned_its_upkeep_signs(iso2: CertificateAuthority) -> None:
    iso2._pace_seals(3600)
    iso2.issue("secc", id="DE*ABC*E1")
    first = iso2.store.audit_tip()[0]
    assert signed_up_to(iso2) == first
    iso2.issue("secc", id="DE*ABC*E2")
    assert signed_up_to(iso2) == first < iso2.store.audit_tip()[0]
    executor = Executor(1)
    try:
        Upkeep(iso2, access_of(iso2), executor).seal_now()
    finally:
        executor.close()
    assert signed_up_to(iso2) == iso2.store.audit_tip()[0]
    check_audit(iso2.store)
    # What is no issuance is signed at once all the same.
    iso2.revoke(f"{iso2.issue('secc', id='DE*ABC*E3').record.serial:x}", "superseded")
    assert signed_up_to(iso2) == iso2.store.audit_tip()[0]


def test_what_need_not_last_lasts_after_the_next_look(
    iso2: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of an issuance does not wait for the disk; the upkeep does so once, and again after the next one."""
    waited: list[bool] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        waited.append(stat.S_ISREG(os.fstat(file).st_mode) and os.readlink(f"/proc/self/fd/{file}").endswith("-wal"))
        fsync(file)

    executor = Executor(1)
    try:
        upkeep = Upkeep(iso2, access_of(iso2), executor)
        iso2.issue("secc", id="DE*ABC*E1")
        monkeypatch.setattr(os, "fsync", watched)
        upkeep.seal_now()
        upkeep.seal_now()
        assert waited == [True]
        iso2.issue("secc", id="DE*ABC*E2")
        upkeep.seal_now()
        assert waited.count(True) == 2
    finally:
        executor.close()
