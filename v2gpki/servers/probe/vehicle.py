"""Waits for a vehicle and looks at it: what its ClientHello offers, which protocols it speaks, and what it does when it
is shown good and bad chains, one connection each.

A vehicle that accepts goes on to supportedAppProtocolReq, which is answered with Failed_NoNegotiation; one that refuses
says why by an alert, or just leaves. Nothing is charged. Clauses: [V2G2-651], [V2G2-871], [V2G2-873], [V2G2-875];
[V2G20-1006], [V2G20-2331], [V2G20-2372]; RFC 8446 6.2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.app_protocol import supportedAppProtocolReq, supportedAppProtocolRes
from v2gpki.messages.frames import decode_frame
from v2gpki.servers.probe.hello import CLOSED
from v2gpki.servers.probe.names import GROUPS, SIGNATURES, SUITES_12, SUITES_13, VERSIONS, named
from v2gpki.servers.probe.report import Report
from v2gpki.servers.v2gtls import (
    ClientHello,
    Edition,
    HelloReader,
    Limits,
    Link,
    StationSecurity,
    TLSIdentity,
    accept,
)
from v2gpki.v2gtp import PayloadType, Splitter, build

#: Offered by OpenSSL whatever it speaks: secure renegotiation.
_SIGNALLING = {0x00FF, 0x5600}


@dataclass(frozen=True, slots=True)
class Case:
    """One chain that is shown: its name, the identities by edition, whether a vehicle should accept it, and by which
    alerts it may refuse it. It is shown from ``ready`` on (seconds of the event loop's clock)."""

    name: str
    identities: Mapping[Edition, Sequence[TLSIdentity]]
    good: bool
    alerts: frozenset[str] = frozenset()
    clause: str = ""
    ready: float = 0.0


@dataclass(slots=True)
class _Seen:
    """The octets that the vehicle sent first (a tap): its hello is known whatever becomes of the connection."""

    reader: HelloReader = field(default_factory=HelloReader)
    hello: ClientHello | None = None
    broken: bool = False

    def opened(self, local: object, peer: object) -> None:
        del local, peer

    def received(self, data: bytes) -> None:
        if self.hello is None and not self.broken and data:
            try:
                self.hello = self.reader.feed(data)
            except V2GPKIError:
                self.broken = True

    def sent(self, data: bytes) -> None:
        del data

    def closed(self) -> None:
        return


class VehicleProbe:
    """Shows one case after the other to the vehicles that connect; `connected` is what a server calls for each.

    ``told`` hears in words what comes next. `finished` is set when every case was shown.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        client_roots: Sequence[bytes] = (),
        timeout: float = 10.0,
        told: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.report = Report("evcc", "")
        self.finished = asyncio.Event()
        self._cases = list(cases)
        self._client_roots = client_roots
        self._limits = Limits(handshake=timeout, idle=timeout, close=1.0)
        self._told = told
        self._busy = asyncio.Lock()
        self._described = False
        self._say_next()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Show the next case to whoever has connected; one vehicle at a time."""
        async with self._busy:
            if not self._cases:
                writer.close()
                return
            case = self._cases[0]
            await asyncio.sleep(max(0.0, case.ready - asyncio.get_running_loop().time()))
            seen = _Seen()
            outcome, link = await self._meet(reader, writer, case, seen)
            if outcome is None:
                return  # no vehicle: it said nothing that could be read
            self._cases.pop(0)
            self._describe(seen.hello, link)
            self._judge(case, outcome)
            self._certificate(link)
            self._say_next()

    async def _meet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case, seen: _Seen
    ) -> tuple[str | None, Link | None]:
        """What the vehicle did: "" for going on, else by what it refused; None when nobody was there."""
        security = StationSecurity(case.identities, lambda _chain: None, self._client_roots)
        try:
            link = await accept(reader, writer, security, limits=self._limits, tap=seen)
        except V2GPKIError as problem:
            if seen.hello is None:
                return None, None
            return _reason(problem), None
        self.report.target = self.report.target or link.peer
        try:
            return await self._handshake(link), link
        except V2GPKIError as problem:
            return _reason(problem), link
        finally:
            await link.close()

    async def _handshake(self, link: Link) -> str:
        """Hear its protocols, and take none."""
        splitter = Splitter()
        while data := await link.receive():
            frames = splitter.feed(data)
            if not frames:
                continue
            with contextlib.suppress(V2GPKIError):
                request = decode_frame(frames[0], handshake=True)
                if isinstance(request, supportedAppProtocolReq):
                    self._protocols(request)
            answer = supportedAppProtocolRes(ResponseCode="Failed_NoNegotiation")
            await link.send(build(PayloadType.EXI, codec.encode(answer, "app")))
            return ""
        return CLOSED

    def _protocols(self, request: supportedAppProtocolReq) -> None:
        if any(row.what == "protocols" for row in self.report.rows):
            return
        entries = sorted(request.AppProtocol, key=lambda entry: entry.Priority)
        found = [f"{one.ProtocolNamespace} {one.VersionNumberMajor}.{one.VersionNumberMinor}" for one in entries]
        self.report.add("handshake", "protocols", found)

    def _describe(self, hello: ClientHello | None, link: Link | None) -> None:
        """What the first ClientHello offers, once."""
        if self._described:
            return
        if hello is None:
            if link is not None:
                self._described = True
                note = "only EIM of ISO 15118-2 may go without TLS"
                self.report.add("ClientHello", "versions", "no TLS", "warning", note, clause="ISO 15118-2 7.7.3")
            return
        self._described = True
        self.report.rows[:0] = described(hello).rows

    def _certificate(self, link: Link | None) -> None:
        """The vehicle's own certificate (-20), once."""
        what = "vehicle certificate"
        if link is None or link.secured is None or not link.secured.peer_chain or what in self.report.chains:
            return
        self.report.chains[what] = link.secured.peer_chain
        with contextlib.suppress(V2GPKIError):
            self.report.add("handshake", what, [view(der).subject_text for der in link.secured.peer_chain])

    def _judge(self, case: Case, outcome: str) -> None:
        report, area = self.report, "chains"
        if case.good:
            found = "accepted" if not outcome else f"refused: {outcome}"
            report.add(area, case.name, found, "error" if outcome else "ok", clause=case.clause if outcome else "")
        elif not outcome:
            note = "it went on with a chain that it must refuse"
            report.add(area, case.name, "accepted", "error", note, clause=case.clause)
        else:
            fitting = outcome in case.alerts
            note = "" if fitting else f"{' or '.join(sorted(case.alerts))} would say why"
            report.add(area, case.name, f"refused: {outcome}", "ok" if fitting else "warning", note)

    def _say_next(self) -> None:
        if self._cases:
            self._told(f"waiting for the vehicle; it will be shown: {self._cases[0].name}")
        else:
            self.finished.set()

    def left(self) -> list[str]:
        """The cases that nobody came for; they become rows."""
        names = [case.name for case in self._cases]
        for name in names:
            self.report.add("chains", name, "not shown", "warning", "the vehicle did not come again")
        self._cases.clear()
        return names


def _reason(problem: V2GPKIError) -> str:
    """By what a vehicle refused: its alert, or that it just left."""
    return str(problem.facts.get("alert") or (CLOSED if problem.code == "tls.closed" else problem.code))


def described(hello: ClientHello) -> Report:
    """A ClientHello as rows, beside what the editions ask of a vehicle."""
    report, area = Report("evcc", ""), "ClientHello"
    versions, twelve, thirteen = named(hello.versions, VERSIONS), 0x0303 in hello.versions, 0x0304 in hello.versions
    report.add(area, "versions", versions, "ok" if twelve or thirteen else "error")
    suites = [number for number in hello.suites if number not in _SIGNALLING]
    missing = [SUITES_12[0xC023]] if twelve and not {0xC023, 0xC025} & set(suites) else []
    missing += [SUITES_13[0x1302]] if thirteen and not {0x1302, 0x1303} & set(suites) else []
    note = f"{' and '.join(missing)} missing" if missing else ""
    report.add(area, "suites", named(suites, {**SUITES_12, **SUITES_13}), "error" if missing else "ok", note)
    report.add(area, "groups", named(hello.groups or (), GROUPS), "info" if hello.groups else "warning")
    report.add(area, "signature algorithms", named(hello.signatures or (), SIGNATURES))
    asked = ["status_request"] * hello.status_request + ["status_request_v2"] * hello.status_request_v2
    report.add(
        area,
        "asks for OCSP responses",
        asked or "no",
        "ok" if asked else "warning",
        "" if asked else "a vehicle has to ask for them",
        clause="" if asked else "[V2G2-873], [V2G20-2372]",
    )
    trusted = [one.kind + (f" {one.value.hex()}" if one.kind != "x509_name" else "") for one in hello.trusted_ca_keys]
    if twelve:
        report.add(
            area,
            "trusted_ca_keys",
            trusted or "none",
            "ok" if trusted else "warning",
            "" if trusted else "a station with several roots has to guess",
            clause="" if trusted else "[V2G2-651]",
        )
    if thirteen:
        count = len(hello.certificate_authorities)
        report.add(
            area,
            "certificate_authorities",
            f"{count} names" if count else "none",
            "ok" if count else "warning",
            "" if count else "a station with several roots has to guess",
            clause="" if count else "[V2G20-1006]",
        )
    if hello.server_name:
        report.add(area, "server name", hello.server_name)
    return report
