"""What every command gets: the global options, the opened authority, output and progress.

The frame belongs to one run of the program. It renders a result from one value, as JSON or for
people, asks for the passphrase when one is needed, and closes what it opened.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.clock import rfc3339
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.wiring import CertificateAuthority

#: The width of text that nobody watches: wide enough that no table is cut.
PIPE_WIDTH = 240


@dataclass(slots=True)
class Frame:
    """The state of one run.

    ``home`` is the option as given (None: V2GPKI_HOME or the default), ``json`` whether output and errors
    are JSON, ``given_profiles`` and ``passphrase_file`` the options as given, ``warnings`` what was noticed
    besides (with ``--json`` they stand in the result).
    """

    home: str | None = None
    json: bool = False
    given_profiles: tuple[Path, ...] = ()
    passphrase_file: Path | None = None
    debug: bool = False
    warnings: list[str] = field(default_factory=list)
    #: Read instead of the settings in the home.
    given_settings: Path | None = None

    @property
    def home_folder(self) -> Path:
        """The home folder: ``--home``, else V2GPKI_HOME, else the default. It need not exist."""
        from v2gpki import wiring

        return wiring.home_folder(self.home)

    @property
    def settings_file(self) -> Path:
        """The settings: ``--config`` of the command that has it, else those in the home. It need not exist."""
        from v2gpki import wiring

        return self.given_settings or self.home_folder / wiring.SETTINGS_FILE

    @property
    def profiles(self) -> tuple[Path, ...]:
        """The user's own profile folders: ``--profiles``, else those of V2GPKI_PROFILES."""
        listed = os.environ.get("V2GPKI_PROFILES", "").split(os.pathsep)
        return self.given_profiles or tuple(Path(folder) for folder in listed if folder)

    def authority(self, *, unlock: bool = False, create: bool = False) -> CertificateAuthority:
        """Open the home; closed when the command ends.

        ``unlock`` makes the private keys usable, which asks for the passphrase; ``create`` allows that
        there is no home yet (the passphrase is then asked twice). Raises what wiring raises.
        """
        from v2gpki import wiring

        folder = self.home_folder

        def ask() -> str:
            return self.passphrase(confirm=create and not (folder / "keys" / "secret.json").exists())

        authority = wiring.open_authority(
            folder,
            passphrase=ask if unlock else None,
            profiles=self.profiles,
            create=create,
            caller=caller(),
        )
        click.get_current_context().call_on_close(authority.close)
        return authority

    def passphrase(self, *, confirm: bool = False) -> str:
        """The home's passphrase; raises ``passphrase.missing``, ``passphrase.empty`` or ``file.unreadable``."""
        from v2gpki import wiring
        from v2gpki.cli import passphrase

        folder = self.home_folder
        named = wiring.load_settings(self.settings_file).passphrase_file
        configured = folder / Path(named).expanduser() if named else None
        return passphrase.of_home(self.passphrase_file, configured=configured, confirm=confirm, warn=self.warn)

    def now(self, at: datetime | None = None) -> datetime:
        """``at``, else the current time in whole seconds."""
        if at is not None:
            return at
        from v2gpki import wiring

        return wiring.SystemClock().now().replace(microsecond=0)

    def emit(self, value: Mapping[str, object], human: Callable[[Console], None] | str) -> None:
        """Print one result: ``value`` (first key ``schema``) as JSON, or ``human``, which is a text or a
        function that prints on a console without markup (style by ``Text`` and ``style=``)."""
        if next(iter(value), "") != "schema":
            raise ValueError("the first key of a JSON result is 'schema'")
        if self.json:
            document = {**value, "warnings": self.warnings} if self.warnings else value
            click.echo(dump_json(document, indent=2))
        elif isinstance(human, str):
            click.echo(human)
        else:
            human(self.console())

    def emit_lines(self, values: Iterable[Mapping[str, object]]) -> None:
        """Print a stream of JSON objects, one a line."""
        for value in values:
            click.echo(dump_json(value))

    def console(self, *, stderr: bool = False) -> Console:
        """A rich console that reads no markup, emoji or highlighting into foreign text."""
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        return Console(
            file=stream,
            width=None if stream.isatty() else PIPE_WIDTH,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def warn(self, message: str) -> None:
        """Tell people on stderr; with ``--json`` keep it for the result, so that stderr stays one object."""
        self.warnings.append(message)
        if not self.json:
            click.echo(f"v2gpki: warning: {printable(message)}", err=True)

    def note(self, message: str) -> None:
        """Say on stderr what is going on, to people only."""
        if not self.json:
            click.echo(message, err=True)

    def confirm(self, question: str) -> None:
        """Ask on stderr; raises ``click.Abort`` when the answer is no, a usage error when there is nobody to answer."""
        try:
            agreed = click.confirm(question, err=True)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise click.UsageError("nobody is there to ask: --yes does it without asking") from None
        if not agreed:
            raise click.Abort

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A progress bar on stderr when a person watches; gives a function that advances it by n."""
        if self.json or not sys.stderr.isatty():
            yield lambda _count: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=self.console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)


def dump_json(value: Mapping[str, object], *, indent: int | None = None) -> str:
    """JSON in ASCII: times RFC 3339 with Z, octets in lower-case hex, paths as text."""
    return json.dumps(value, indent=indent, default=_plain)


def caller() -> str:
    """Who acts, for the audit log: ``cli:`` and the name of the operating system's user."""
    import pwd

    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
