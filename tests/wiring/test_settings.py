"""The settings of a home, and profile files, that no parser can follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import parse_toml
from v2gpki.wiring.settings import load_settings

BOTTOMLESS = "a = " + "[" * 5000 + "]" * 5000


def test_nesting_without_end_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "v2gpki.toml"
    file.write_text(BOTTOMLESS)
    with pytest.raises(V2GPKIError) as refused:
        load_settings(file, {})
    assert refused.value.code == "settings.malformed"
    assert str(file) in refused.value.message
    with pytest.raises(V2GPKIError) as refused:
        parse_toml(file)
    assert refused.value.code == "profile.unreadable"
    assert str(file) in refused.value.message
