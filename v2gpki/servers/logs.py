"""Logs of servers: one JSON object a line on stderr, or plain lines for people; never a secret.

A line holds time, level, logger, message and the fields that the code named; nothing of a request but its method,
path and status. As a last net, whatever looks like one of our tokens, a bearer credential or a private key is struck
out before it is written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_SECRETS = re.compile(
    r"v2gpki_[0-9a-f]{16}_[A-Za-z0-9_-]{20,}"
    r"|(?i:bearer|basic) [A-Za-z0-9+/._~=-]{8,}"
    r"|-----BEGIN[A-Z ]* PRIVATE KEY-----.*?(?:-----END[A-Z ]* PRIVATE KEY-----|$)",
    re.DOTALL,
)
STRUCK = "[secret]"


class JsonLines(logging.Formatter):
    """A record as one JSON object in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC)
        value: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        for name, field in vars(record).items():
            if name not in _OWN and not name.startswith("_"):
                value[name] = field if isinstance(field, str | int | float | bool | None) else str(field)
        if record.exc_info:
            value["exception"] = self.formatException(record.exc_info)
        return _struck(json.dumps({name: _clean(field) for name, field in value.items()}))


class PlainLines(logging.Formatter):
    """A record as a line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC)
        fields = [
            f"{name}={field}"
            for name, field in vars(record).items()
            if name not in _OWN and not name.startswith("_") and field not in ("", None)
        ]
        line = " ".join([f"{moment:%H:%M:%S}", record.levelname.lower(), record.getMessage(), *fields])
        line = "".join(character if character.isprintable() else "?" for character in line)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return _struck(line)


def configure(*, as_json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the log of this process to ``stream`` (stderr): ours from ``level`` on, others' warnings."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("v2gpki").setLevel(level)
    # What uvicorn says of single connections is what clients did, not what we did.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    threading.excepthook = _report_thread


def _report_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        logging.getLogger("v2gpki.serve").error(
            "a thread ended by an error", exc_info=(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        )


def _clean(field: object) -> object:
    return _struck(field) if isinstance(field, str) else field


def _struck(text: str) -> str:
    return _SECRETS.sub(STRUCK, text)
