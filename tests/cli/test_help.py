"""What ``--help`` says, as somebody reads it in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from v2gpki.cli import COMMANDS, cli


def groups() -> Iterator[tuple[str, ...]]:
    """The paths of all groups."""
    waiting: list[tuple[str, ...]] = [(name,) for name in COMMANDS]
    while waiting:
        path = waiting.pop(0)
        command: click.Command | None = cli
        for name in path:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), name)
        if isinstance(command, click.Group):
            yield path
            waiting += [(*path, name) for name in command.commands]


def told(*words: str) -> str:
    done = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("path", [*groups()], ids=" ".join)
def test_a_group_tells_a_whole_sentence_of_each_command(path: tuple[str, ...]) -> None:
    listed = told(*path).split("Commands:\n")[1]
    assert "..." not in listed
    entries = [line for line in listed.splitlines() if line[:2] == "  " and line[2:3].strip()]
    assert len(entries) == len(set(entries)) > 0
    assert listed.rstrip().endswith(".")


def test_it_is_one_sentence() -> None:
    assert "Create a token for IDENTITY.\n" in told("token")


def test_all_scopes_are_told_where_a_token_is_made() -> None:
    text = told("token", "create")
    for scope in ("est", "pools:ROLE", "pools", "pools:admin", "webhooks", "*"):
        assert f"\n    {scope} " in text
    assert "mo, oem, cpo or cps" in text


def test_serve_tells_where_it_listens_and_what_tls_needs() -> None:
    text = " ".join(told("serve").split())
    assert "default: 127.0.0.1:8080" in text
    assert "init --edition ocpp" in text
    assert "--signing-process" not in text
