"""The README's tour with the openssl program, every line of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_documents import run_tour, tour


@pytest.mark.interop("openssl")
def test_every_command_of_the_tour_succeeds(tmp_path: Path) -> None:
    commands = tour()
    assert sum(command.startswith("openssl ") for command in commands) == 2
    run_tour(commands, tmp_path)
