"""One charging session between EcoG's SECC and EVCC, and what their logs say about it.

Both programs are EcoG's own (PyPI ``iso15118``), unchanged, unless ``Programs`` names others; they read one PKI folder
(its ``PKI_PATH``) or one each. Facts come from the logs: the messages in JSON as each side decoded them, and the
verdicts in words.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from tests.interop.ecog.network import INTERFACE, private_network
from tests.interop.process import ForeignProcess

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
_READY = r"UDP server started at address"
_END = r"SessionStopRes received|Reason: |Traceback|maximum number of SDP retry"
_DECODED = re.compile(r"Decoded message \(ns=[^)]*\): (\{.*\})$", re.MULTILINE)
#: EcoG's programs keep the standard's time limits by the wall clock; a busy machine makes them miss one.
_LATE = r"ConnectionResetError|TimeoutError"
_ATTEMPTS = 3
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
        """(message name, body) of every message that this side decoded, in order."""
        for match in _DECODED.finditer(self.text):
            message = json.loads(match[1])
            yield from (message["V2G_Message"]["Body"] if "V2G_Message" in message else message).items()

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


@dataclass(frozen=True, slots=True)
class Wish:
    """What the vehicle asks for: ``protocol`` and ``service`` as EcoG names them, ``mutual`` TLS 1.3."""

    protocol: str
    service: str
    mode: str
    install: bool = False
    mutual: bool = False


AC = Wish("ISO_15118_2", "AC", "AC_three_phase_core")
AC_WITH_INSTALLATION = replace(AC, install=True)
DC_20 = Wish("ISO_15118_20_DC", "DC", "DC_extended", mutual=True)


@dataclass(frozen=True, slots=True)
class Programs:
    """Other programs in EcoG's place, run by its interpreter; ``vehicle_pki`` and settings that only they have."""

    station: tuple[str, ...] = ("-m", "iso15118.secc.main")
    vehicle: tuple[str, ...] = ("-m", "iso15118.evcc.main")
    vehicle_pki: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


ECOG = Programs()


def run_session(python: Path, pki: Path, folder: Path, wish: Wish, programs: Programs = ECOG) -> Session:
    """Run one Plug & Charge session over TLS; again when one side was late for the other.

    Returns when the vehicle has its SessionStopRes or gave up; raises AssertionError when a program dies
    or nothing happens in time. No process is left behind.
    """
    for attempt in range(_ATTEMPTS):
        place = folder / f"attempt{attempt}"
        place.mkdir()
        session = _attempt(python, pki, place, wish, programs)
        if session.evcc.has("SessionStopRes received") or not (session.evcc.has(_LATE) or session.secc.has(_LATE)):
            break
    return session


def _attempt(python: Path, pki: Path, folder: Path, wish: Wish, programs: Programs) -> Session:
    config = folder / "evcc.json"
    config.write_text(json.dumps(_vehicle(wish)), "utf-8")
    env = {**_environment(pki, folder, wish), **programs.settings}
    env_of_vehicle = {**env, "PKI_PATH": f"{programs.vehicle_pki or pki}/"}
    with private_network(folder) as network:
        station = network.inside([str(python), "-u", *programs.station])
        vehicle = network.inside([str(python), "-u", *programs.vehicle, str(config)])
        with ForeignProcess(station, log=folder / "secc.log", cwd=folder, env=env) as secc:
            secc.await_line(_READY, _START_SECONDS)
            with ForeignProcess(vehicle, log=folder / "evcc.log", cwd=folder, env=env_of_vehicle) as evcc:
                evcc.await_line(_END, _SESSION_SECONDS)
    return Session(Log(secc.text()), Log(evcc.text()))


def _vehicle(wish: Wish) -> dict[str, object]:
    return {
        "supportedProtocols": [wish.protocol],
        "supportedEnergyServices": [wish.service],
        "energyTransferMode": wish.mode,
        "isCertInstallNeeded": wish.install,
        "useTls": True,
        "enforceTls": True,
        "chargeLoopCycle": 2,
    }


def _environment(pki: Path, folder: Path, wish: Wish) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "NETWORK_INTERFACE": INTERFACE,
        "PKI_PATH": f"{pki}/",
        "LOG_LEVEL": "DEBUG",
        "MESSAGE_LOG_JSON": "True",
        "ENABLE_TLS_1_3": str(wish.mutual),
        "SECC_ENFORCE_TLS": "True",
        "PROTOCOLS": wish.protocol,
        "AUTH_MODES": "PNC",
        "FREE_CERT_INSTALL_SERVICE": "True",
        "ALLOW_CERT_INSTALL_SERVICE": "True",
        "USE_CPO_BACKEND": "False",
    }
