"""``--option NAME=VALUE``: choosing among the readings that a profile offers where sources disagree."""

from __future__ import annotations

from collections.abc import Sequence

import click

from v2gpki.errors import V2GPKIError

#: ``--option NAME=VALUE``, repeatable; gives ``options: tuple[str, ...]``.
options_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Choose a reading of the profile where sources disagree; may be repeated.",
)


def option_values(given: Sequence[str]) -> dict[str, str] | None:
    """``name=value`` texts as a mapping, None when there are none; raises ``usage.invalid``."""
    values: dict[str, str] = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found or not name:
            raise V2GPKIError(
                "usage.invalid",
                f"--option {text!r} is not of the form NAME=VALUE",
                hint="for example --option key_agreement=with",
            )
        values[name] = value
    return values or None
