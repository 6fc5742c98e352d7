"""The power goes while a vehicle is answered, or right after: it asks again and gets what it got, or would have got.

Every state is tried in which the disk may be found: what waited for the disk is there, of what was written after it
any part may be missing (`tests.store.power`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from tests.services.test_provisioning import accepted
from tests.services.test_provisioning_kill import asked, check, opened
from tests.store import power
from v2gpki.keys.vault import Vault
from v2gpki.pnc.algorithms import Edition
from v2gpki.store.sqlite import SqliteStore

EDITIONS = pytest.mark.parametrize(("edition", "made"), [("iso15118-2", "home_iso2"), ("iso15118-20", "home_all")])


def found(home: Path, database: Path, wal: bytes, target: Path) -> Path:
    """The home as it is found after the power cut."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(home, target)
    power.cut(database, target / database.name, wal)
    return target


@EDITIONS
@pytest.mark.parametrize("ready", [False, True])
def test_power_cut_at_every_commit(
    edition: Edition,
    made: str,
    ready: bool,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    home, sent = tmp_path / "home", tmp_path / "sent"
    shutil.copytree(request.getfixturevalue(made), home)
    vault = Vault.unlock(home / "keys", PASSPHRASE)
    first, second, vehicle = asked(home, vault, edition)
    monkeypatch.setattr(SqliteStore, "connection_class", power.Watched)
    with opened(home, vault) as ca:
        if ready:
            ca.plug_and_charge.bundles_with().prepare(list(ca.store.pools.contracts()))
        database = ca.store.path  # type: ignore[attr-defined]  # the embedded store is a file
        wal_file = database.with_name(database.name + "-wal")
        before = power.Commit(True, max(wal_file.stat().st_size if wal_file.exists() else 0, power.HEADER), ())
        power.COMMITS.clear()
        exi = accepted(ca.plug_and_charge.provisioning.answer(first)).exi
        commits = list(power.COMMITS)
        wal = wal_file.read_bytes()
        written = [commit.written for commit in commits if commit.awaited]
        if ready:
            # Nothing was made: the bundle waited for the disk when it was.
            assert [commit.written for commit in commits] == [("answers", "audit", "home")]
            assert written == []
        else:
            assert [words[0] for words in written] == ["intents", "intents"]
            assert {"certificates", "bundles", "answers"} <= set(written[1])
            assert [commit.written for commit in commits[2:]] == [("audit_heads", "home")]
        for number in range(len(commits) + 1):
            until = [before, *commits[:number]]
            for left, safe in power.cuts(wal[: until[-1].size], until):
                place = found(home, database, left, tmp_path / "cut")
                if number == len(commits) and safe:
                    sent.write_bytes(exi)
                check(place, vault, (first, second), vehicle, sent)
    assert sent.exists()


@EDITIONS
def test_an_answer_that_others_had_a_say_in_lasts(
    edition: Edition, made: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same octets may come again with other wishes beside them; the first answer is the one that counts."""
    home = tmp_path / "home"
    shutil.copytree(request.getfixturevalue(made), home)
    vault = Vault.unlock(home / "keys", PASSPHRASE)
    first, second, _ = asked(home, vault, edition)
    monkeypatch.setattr(SqliteStore, "connection_class", power.Watched)
    with opened(home, vault) as ca:
        ca.plug_and_charge.bundles_with().prepare(list(ca.store.pools.contracts()))
        provisioning = ca.plug_and_charge.provisioning
        power.COMMITS.clear()
        accepted(provisioning.answer(first, maximum_contracts=1))
        accepted(provisioning.answer(second, prioritised_emaids=["FRXYZ123456789"]))
        assert [commit.awaited for commit in power.COMMITS] == [True, True]
        # Once given it stands, without another commit.
        accepted(provisioning.answer(first))
        assert len(power.COMMITS) == 2
