"""The public interface is what the committed listing says, and CHANGELOG.md knows about that listing."""

from __future__ import annotations

import v2gpki
from tests.house.public_api import LISTING, changelog_line, listing
from tests.house.tree import ROOT

RENEW = "python -m tests.house.public_api writes it anew and says what CHANGELOG.md needs"


def test_the_interface_is_the_committed_one() -> None:
    assert listing().splitlines() == LISTING.read_text(encoding="utf-8").splitlines(), RENEW


def test_the_changelog_has_an_entry_for_this_interface() -> None:
    line = changelog_line(LISTING.read_text(encoding="utf-8"))
    assert line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines(), f"{RENEW}: {line}"


def test_every_exported_name_is_there_and_documented() -> None:
    undocumented = [
        name for name in v2gpki.__all__ if name != "__version__" and not (getattr(v2gpki, name).__doc__ or "").strip()
    ]
    assert undocumented == []
    assert sorted(v2gpki.__all__) == dir(v2gpki)
