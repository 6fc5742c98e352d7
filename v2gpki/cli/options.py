"""Options that many commands share, and the types of their values.

The global options (``--home``, ``--profiles``, ``--json``, ``--passphrase-file``, ``--debug``) are
added to every command by the lazy group, so that they stand before or after the command's name;
the later one wins, ``--profiles`` adds up. Commands never declare them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from v2gpki.cli.frame import Frame
from v2gpki.cli.suggestions import with_suggestions

Decorated = TypeVar("Decorated", bound=Callable[..., object])


if TYPE_CHECKING:
    _DatetimeType = click.ParamType[datetime]
else:  # older releases of click cannot be subscripted
    _DatetimeType = click.ParamType


class MomentType(_DatetimeType):
    """A time: RFC 3339 with an offset, or a date or time without one, which is then UTC."""

    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """An aware datetime in UTC with whole seconds; anything else is a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"'{value}' is not a time such as 2026-05-01T12:00:00Z or 2026-05-01", param, ctx)
        return moment.replace(microsecond=0)


MOMENT = MomentType()

#: ``--at TIME``: the moment that a judging command assumes (default: now); gives ``at: datetime | None``.
at_option = click.option("--at", type=MOMENT, help="Judge as of this time (RFC 3339; default: now).")

#: ``--force``: overwrite existing files; gives ``force: bool``.
force_option = click.option("--force", is_flag=True, help="Overwrite existing files.")

#: ``--yes``: do not ask before destroying; gives ``yes: bool``.
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def _into_frame(name: str) -> Callable[[click.Context, click.Parameter, object], None]:
    def store(ctx: click.Context, _parameter: click.Parameter, value: object) -> None:
        frame = ctx.ensure_object(Frame)
        if value is None or value is False or value == ():
            return
        if isinstance(value, tuple):
            frame.given_profiles = (*frame.given_profiles, *value)
        else:
            setattr(frame, name, value)

    return store


def _global_options(*, hidden: bool) -> list[click.Option]:
    folder = click.Path(path_type=Path)
    return [
        click.Option(["--json"], is_flag=True, help="Print JSON instead of text.", callback=_into_frame("json")),
        click.Option(
            ["--home"],
            metavar="DIR",
            help="The home folder (V2GPKI_HOME; default: v2gpki in the user's data folder).",
            callback=_into_frame("home"),
        ),
        click.Option(
            ["--profiles"],
            type=folder,
            multiple=True,
            metavar="DIR",
            hidden=hidden,
            help="A folder of own profiles; may be repeated (V2GPKI_PROFILES).",
            callback=_into_frame("given_profiles"),
        ),
        click.Option(
            ["--passphrase-file"],
            type=folder,
            metavar="FILE",
            hidden=hidden,
            help="Where the home's passphrase stands (V2GPKI_PASSPHRASE, V2GPKI_PASSPHRASE_FILE).",
            callback=_into_frame("passphrase_file"),
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            hidden=hidden,
            help="Show tracebacks.",
            callback=_into_frame("debug"),
        ),
    ]


def with_global_options(command: click.Command) -> click.Command:
    """Add the global options and what the shell may offer to a command, or to every command below a group."""
    top = command.name == "v2gpki"
    if isinstance(command, click.Group) and not top:
        for child in command.commands.values():
            with_global_options(child)
    command.short_help = command.short_help or _first_sentence(command.help or "")
    with_suggestions(command.params)
    taken = {flag for parameter in command.params for flag in parameter.opts}
    for option in _global_options(hidden=not top):
        if not taken.intersection(option.opts):
            option.expose_value = False
            command.params.append(option)
    return command


def _first_sentence(text: str) -> str:
    """What the list of a group's commands says of one: whole, where click would cut it off after 45 characters."""
    paragraph = " ".join(text.strip().split("\n\n", 1)[0].split())
    return re.split(r"(?<=[^.]\.) ", paragraph, maxsplit=1)[0]
