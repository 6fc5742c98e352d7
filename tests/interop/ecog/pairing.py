"""One of our programs and one of EcoG's in a private network: `v2gpki evcc run` at EcoG's SECC, and EcoG's EVCC at
`v2gpki secc run`.

Ours runs as people run it, from the command line; its events come as JSON lines, one object each. EcoG's time limits
run by the wall clock, so a pair that was late because the machine was busy is tried again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.ecog.network import INTERFACE, private_network
from tests.interop.ecog.session import Json, Log
from tests.interop.process import ForeignProcess

_READY = r"UDP server started at address"
_ECOG_ENDED = r"SessionStopRes received|Reason: |Traceback|maximum number of SDP retry"
_PROTOCOLS = {"iso15118-2": "ISO_15118_2", "iso15118-20": "ISO_15118_20_{}"}
_START_SECONDS = 60
_SESSION_SECONDS = 90
_ATTEMPTS = 3
#: What only says that somebody was too slow for the other one's clock.
_LATE = ("session.timeout", "session.peer_closed", "sdp.no_answer", "tls.late", "tls.closed", "tls.unreachable")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is to be charged, and how. ``words`` are more options of our vehicle;
    ``both_ways`` is BPT."""

    edition: str
    current: str
    way: str = "pnc"
    install: bool = False
    words: tuple[str, ...] = ()
    both_ways: bool = False

    @property
    def lab(self) -> bool:
        """Whether EcoG's deviations are needed."""
        return self.edition == "iso15118-20"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What both said: our events, our exit code (None: still running), EcoG's log."""

    events: Sequence[Mapping[str, Json]]
    code: int | None
    ecog: Log
    ours: str = field(repr=False, default="")

    def of(self, kind: str) -> list[Mapping[str, Json]]:
        """Our events of one kind."""
        return [event for event in self.events if event.get("event") == kind]

    def names(self) -> list[str]:
        """The messages that went over the wire."""
        return [str(event["name"]) for event in self.of("message")]

    @property
    def late(self) -> bool:
        """Whether one side was too slow for the other one's clock."""
        return any(code in self.ours for code in _LATE) or self.ecog.has("TimeoutError|ConnectionResetError")


def our_vehicle(python: Path, pki: Path, folder: Path, pair: Pair) -> Outcome:
    """`v2gpki evcc run` at EcoG's SECC."""
    command = [*_ours("evcc", pki, pair), "--staple", "off", "--energy", "300Wh", *pair.words]
    command += ["--install-contract"] if pair.install else []
    command += ["--discharge", "200Wh"] if pair.both_ways else []
    command += [] if pair.way == "pnc" else ["--no-tls"]

    def attempt(place: Path) -> Outcome:
        env = ecog_environment(pki, place, pair)
        with private_network(place) as network:
            station = network.inside([str(python), "-u", "-m", "iso15118.secc.main"])
            with ForeignProcess(station, log=place / "ecog.log", cwd=place, env=env) as secc:
                secc.await_line(_READY, _START_SECONDS)
                ours = ForeignProcess(network.inside(command), log=place / "ours.log", cwd=place, env=env)
                with ours as evcc:
                    code = evcc.await_end(_SESSION_SECONDS)
                return _outcome(evcc.text(), code, secc.text())

    return _tried(attempt, folder)


def our_station(
    python: Path, pki: Path, folder: Path, pair: Pair, *more: str, secrets: Mapping[str, str] | None = None
) -> Outcome:
    """EcoG's EVCC at `v2gpki secc run --once`, with ``more`` options; ``secrets`` are variables of its environment."""

    def attempt(place: Path) -> Outcome:
        env = {**ecog_environment(pki, place, pair), **(secrets or {})}
        ready = place / "ready"
        power = "11kW" if pair.current == "ac" else "50kW"
        command = [*_ours("secc", pki, pair), "--power", power, "--once", "--ready-file", str(ready), *more]
        command += ["--discharge", "10kW"] if pair.both_ways else []
        config = place / "evcc.json"
        config.write_text(json.dumps(ecog_vehicle(pair)), "utf-8")
        with private_network(place) as network:
            ours = ForeignProcess(network.inside(command), log=place / "ours.log", cwd=place, env=env)
            with ours as secc:
                secc.await_file(ready, _START_SECONDS)
                vehicle = network.inside([str(python), "-u", "-m", "iso15118.evcc.main", str(config)])
                with ForeignProcess(vehicle, log=place / "ecog.log", cwd=place, env=env) as evcc:
                    evcc.await_line(_ECOG_ENDED, _SESSION_SECONDS)
                    code = secc.await_end(_START_SECONDS)
                    return _outcome(secc.text(), code, evcc.text())

    return _tried(attempt, folder)


def _tried(attempt: Callable[[Path], Outcome], folder: Path) -> Outcome:
    for number in range(_ATTEMPTS):
        place = folder / f"attempt{number}"
        place.mkdir()
        outcome = attempt(place)
        if outcome.code == 0 or not outcome.late:
            break
    return outcome


def _ours(noun: str, pki: Path, pair: Pair) -> list[str]:
    words = [sys.executable, "-m", "v2gpki", noun, "run", "--interface", INTERFACE, "--pki", str(pki)]
    words += ["--edition", pair.edition, "--current", pair.current, "--auth", pair.way, "--speed", "60"]
    return [*words, "--compat", "ecog", "--json"]


def _outcome(ours: str, code: int | None, ecog: str) -> Outcome:
    events = [json.loads(line) for line in ours.splitlines() if line.startswith("{")]
    return Outcome(events, code, Log(ecog), ours)


def ecog_environment(pki: Path, place: Path, pair: Pair) -> dict[str, str]:
    """What EcoG's programs, and ours beside them, are started with."""
    protocol = _PROTOCOLS[pair.edition].format(pair.current.upper())
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(place),
        "NETWORK_INTERFACE": INTERFACE,
        "PKI_PATH": f"{pki}/",
        "LOG_LEVEL": "DEBUG",
        "MESSAGE_LOG_JSON": "True",
        "ENABLE_TLS_1_3": str(pair.lab),
        "SECC_ENFORCE_TLS": str(pair.way == "pnc"),
        "PROTOCOLS": protocol,
        "AUTH_MODES": "EIM,PNC",
        "FREE_CERT_INSTALL_SERVICE": "True",
        "ALLOW_CERT_INSTALL_SERVICE": "True",
        "USE_CPO_BACKEND": "False",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }


def ecog_vehicle(pair: Pair) -> dict[str, object]:
    """The configuration of EcoG's EVCC."""
    return {
        "supportedProtocols": [_PROTOCOLS[pair.edition].format(pair.current.upper())],
        "supportedEnergyServices": [pair.current.upper() + ("_BPT" if pair.both_ways else "")],
        "energyTransferMode": "AC_three_phase_core" if pair.current == "ac" else "DC_extended",
        "isCertInstallNeeded": pair.install,
        "useTls": pair.way == "pnc",
        "enforceTls": pair.way == "pnc",
        "chargeLoopCycle": 3,
    }
