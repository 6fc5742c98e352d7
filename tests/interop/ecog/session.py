"""One charging session between EcoG's SECC and EVCC, and what their logs say about it.

Both programs are EcoG's own (PyPI ``iso15118``), unchanged; they read one PKI folder (its ``PKI_PATH``).
Facts come from the logs: the messages in JSON as each side decoded them, and the verdicts in words.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.interop.ecog.network import INTERFACE, private_network
from tests.interop.process import ForeignProcess

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
_READY = r"UDP server started at address"
_END = r"SessionStopRes received|Reason: |Traceback|maximum number of SDP retry"
_DECODED = re.compile(r"Decoded message \(ns=[^)]*\): (\{.*\})$", re.MULTILINE)
_START_SECONDS = 30
_SESSION_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Log:
    """What one side said."""

    text: str

    def has(self, pattern: str) -> bool:
        """Whether a line matches the regular expression."""
        return re.search(pattern, self.text) is not None

    def received(self) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """(message name, body) of every -2 message that this side decoded, in order."""
        for match in _DECODED.finditer(self.text):
            message = json.loads(match[1])
            if "V2G_Message" in message:
                yield from message["V2G_Message"]["Body"].items()

    def message(self, name: str) -> Mapping[str, Json]:
        """The body of the first message of that name; a test fails when there is none."""
        for found, body in self.received():
            if found == name:
                return body
        raise AssertionError(f"no {name} was received; there were {[found for found, _ in self.received()]}")


@dataclass(frozen=True, slots=True)
class Session:
    """The two logs of one session."""

    secc: Log
    evcc: Log


def ac_session(python: Path, pki: Path, folder: Path, *, install: bool) -> Session:
    """Run one ISO 15118-2 AC Plug & Charge session over TLS; ``install`` asks for a contract certificate first.

    Returns when the vehicle has its SessionStopRes or gave up; raises AssertionError when a program dies
    or nothing happens in time. No process is left behind.
    """
    config = folder / "evcc.json"
    config.write_text(
        json.dumps(
            {
                "supportedProtocols": ["ISO_15118_2"],
                "supportedEnergyServices": ["AC"],
                "energyTransferMode": "AC_three_phase_core",
                "isCertInstallNeeded": install,
                "useTls": True,
                "enforceTls": True,
                "chargeLoopCycle": 2,
            }
        ),
        "utf-8",
    )
    env = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "NETWORK_INTERFACE": INTERFACE,
        "PKI_PATH": f"{pki}/",
        "LOG_LEVEL": "DEBUG",
        "MESSAGE_LOG_JSON": "True",
        "ENABLE_TLS_1_3": "False",
        "SECC_ENFORCE_TLS": "True",
        "PROTOCOLS": "ISO_15118_2",
        "AUTH_MODES": "PNC",
        "FREE_CERT_INSTALL_SERVICE": "True",
        "ALLOW_CERT_INSTALL_SERVICE": "True",
        "USE_CPO_BACKEND": "False",
    }
    with private_network(folder) as network:
        station = network.inside([str(python), "-u", "-m", "iso15118.secc.main"])
        vehicle = network.inside([str(python), "-u", "-m", "iso15118.evcc.main", str(config)])
        with ForeignProcess(station, log=folder / "secc.log", cwd=folder, env=env) as secc:
            secc.await_line(_READY, _START_SECONDS)
            with ForeignProcess(vehicle, log=folder / "evcc.log", cwd=folder, env=env) as evcc:
                evcc.await_line(_END, _SESSION_SECONDS)
    return Session(Log(secc.text()), Log(evcc.text()))
