"""Sessions as they run: the ladder on stdout, line by line, and the summary at the end; with ``--json`` one object for
each event, the summary last. Captures and key logs are opened here too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from v2gpki.cli.frame import Frame

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.render.ladder import Event, Ladder, Place
    from v2gpki.render.tally import Summary, Tally
    from v2gpki.render.tree import Line
    from v2gpki.servers.recording import CaptureFile
    from v2gpki.session.notices import Role

_FILE = click.Path(path_type=Path, dir_okay=False)
Decorated = TypeVar("Decorated", bound=Callable[..., object])

STYLES = {
    "time": "dim",
    "request": "blue",
    "response": "cyan",
    "name": "bold",
    "dim": "dim",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
}


def quiet_logs(frame: Frame) -> None:
    """What peers do is shown as events; the log on stderr keeps what went wrong here."""
    import logging

    from v2gpki.servers import logs

    logs.configure(as_json=frame.json, level=logging.ERROR)


def recording_options(command: Decorated) -> Decorated:
    """``--pcap FILE`` and ``--key-log FILE``; give ``pcap`` and ``key_log``: Path | None."""
    for option in (
        click.option("--key-log", type=_FILE, metavar="FILE", help="Write TLS keys here, for Wireshark (0600)."),
        click.option("--pcap", type=_FILE, metavar="FILE", help="Record the wire here, as pcapng (0600)."),
    ):
        command = option(command)
    return command


@dataclass(slots=True)
class Recordings:
    """What is recorded: the capture, and who takes lines of the key log; None where nothing is wanted."""

    capture: CaptureFile | None = None
    key_log: Callable[[bytes], None] | None = None

    def datagram(self, source: object, target: object, octets: bytes) -> None:
        """One datagram of discovery."""
        if self.capture is not None:
            self.capture.datagram(source, target, octets)


@contextmanager
def recordings(frame: Frame, pcap: Path | None, key_log: Path | None, *, force: bool) -> Iterator[Recordings]:
    """Open the files that are wanted; raises ``file.exists``, ``file.unwritable``."""
    from v2gpki.cli.files import require_free
    from v2gpki.servers.recording import CaptureFile, OwnFile

    require_free([path for path in (pcap, key_log) if path is not None], force=force)
    opened: list[OwnFile] = []

    def file(path: Path) -> OwnFile:
        opened.append(OwnFile(path, failed=frame.warn, force=force))
        return opened[-1]

    try:
        capture = CaptureFile(file(pcap), time.time) if pcap is not None else None
        yield Recordings(capture, file(key_log).write if key_log is not None else None)
    finally:
        for one in opened:
            one.close()


@dataclass(slots=True)
class Watch:
    """One session, shown as it goes. ``numbered``: several may run at once, so each line says whose it is."""

    frame: Frame
    place: Place
    ladder: Ladder
    tally: Tally
    numbered: bool = False

    def tell(self, event: Event) -> None:
        """Show one event."""
        from v2gpki.render.ladder import event_value

        self.tally.told(event)
        if self.frame.json:
            self.frame.emit_lines([event_value(event, self.place)])
            return
        for line in self.ladder.told(event):
            self._print(line)

    def tell_trust(self, at: float, what: str) -> None:
        """A link that stands was judged: whose chain that was."""
        from v2gpki.certs.view import view
        from v2gpki.session.notices import Judged

        secured = self.tally.secured
        if secured is not None and secured.peer_chain:
            leaf = view(secured.peer_chain[0])
            evidence = ", and its OCSP response" if secured.staple else ""
            self.tell(Judged(at, f"{what}{evidence}", leaf.subject_text))

    def finish(self, event: Event | None = None) -> Summary:
        """The session is over: show how, and the summary."""
        from v2gpki.render.session import summary_lines, summary_value

        if event is not None:
            self.tell(event)
        summary = self.tally.summary()
        if self.frame.json:
            self.frame.emit_lines([summary_value(summary)])
        else:
            for line in ((), *summary_lines(summary), ()):
                self._print(line)
        return summary

    def _print(self, line: Line) -> None:
        from v2gpki.render.tree import Span

        whose = (Span(f"#{self.place.session:<3} ", "dim"),) if self.numbered and line else ()
        show(self.frame.console(), (*whose, *line))


@dataclass(slots=True)
class Watches:
    """The sessions of one run, counted from 1."""

    frame: Frame
    role: Role
    numbered: bool = False
    _count: int = field(default=0, repr=False)

    def begin(self, at: float) -> Watch:
        """A session that begins now, at ``at`` of the monotonic clock of its notices."""
        from v2gpki.render.ladder import Ladder, Place
        from v2gpki.render.tally import Tally

        self._count += 1
        place = Place(self.role, datetime.now(UTC), at, self._count)
        return Watch(self.frame, place, Ladder(place), Tally(place), self.numbered)


def show(console: Console, line: Line) -> None:
    """One line in colours, never wrapped; what is piped is seen at once."""
    from rich.text import Text

    text = Text.assemble(*((span.text, STYLES.get(span.meaning, "")) for span in line))
    text.rstrip()
    console.print(text, no_wrap=True, overflow="ignore", crop=False)
    console.file.flush()
