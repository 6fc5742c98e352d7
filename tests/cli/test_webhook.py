"""``v2gpki webhook``: whoever runs a home sees and removes the endpoints of every party."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.cli import run
from v2gpki.services.ecosystem import Party
from v2gpki.services.webhooks import Wish
from v2gpki.wiring.webhooks import webhooks_of


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    """What a command says with --json, and that it ends with this code."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    printed = capsys.readouterr()
    found: dict[str, object] = json.loads(printed.out if code == 0 else printed.err)
    return found


def test_endpoints_are_listed_and_removed(
    home_iso2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    home = Path(shutil.copytree(home_iso2, tmp_path / "home"))
    monkeypatch.setenv("V2GPKI_HOME", str(home))
    assert told(capsys, "webhook", "list") == {"schema": "v2gpki/webhooks/1", "endpoints": []}
    assert run(["webhook", "list"]) == 0
    assert capsys.readouterr().out == "no webhook endpoints\n"
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test") as ca:
        hooks = webhooks_of(ca)
        first = hooks.create(Party("acme", frozenset({"mo"})), Wish("https://a.example.com/", ("root.cert.added",)))
        hooks.create(Party("operator", frozenset({"admin"})), Wish("https://b.example.com/", ()))
    # Listing needs no passphrase.
    listed = told(capsys, "webhook", "list")["endpoints"]
    assert isinstance(listed, list)
    assert [(one["owner"], one["url"], one["events"]) for one in listed] == [
        ("acme", "https://a.example.com/", ["root.cert.added"]), ("", "https://b.example.com/", []),
    ]  # fmt: skip
    assert first.secret not in json.dumps(listed)
    of_home = told(capsys, "webhook", "list", "--owner", "")["endpoints"]
    assert isinstance(of_home, list)
    assert [one["url"] for one in of_home] == ["https://b.example.com/"]
    assert run(["webhook", "list"]) == 0
    assert "a.example.com" in capsys.readouterr().out
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    assert told(capsys, "webhook", "remove", first.id, "--yes")["id"] == first.id
    assert told(capsys, "webhook", "remove", first.id, "--yes", code=1)["code"] == "webhook.unknown"
    assert [row["owner"] for row in told(capsys, "webhook", "list")["endpoints"]] == [""]  # type: ignore[attr-defined]  # a list
