"""What a station says on an open connection: which protocols it takes, how soon it answers, what it has on offer.

The probe opens a session, asks for services and ends it; it authorises nothing and charges nothing. Each answer is held
against the time that the station has for it (`session.timers`), as measured here, so with the network's share in it.
Clauses: ISO 15118-2 8.2, 8.4.3, 8.7.2; ISO 15118-20 8.2, [V2G20-2356].
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.app_protocol import AppProtocolType, supportedAppProtocolReq, supportedAppProtocolRes
from v2gpki.messages.frames import decode_frame
from v2gpki.messages.schema import Message
from v2gpki.servers.probe.report import Report
from v2gpki.servers.v2gtls import Link
from v2gpki.session.dialect import Heard
from v2gpki.session.handshake import ISO2, ISO20_AC, ISO20_DC, Protocol
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.timers import ISO2 as TIMERS_2
from v2gpki.session.timers import ISO20 as TIMERS_20
from v2gpki.session.timers import Timers
from v2gpki.v2gtp import Frame, PayloadType, Splitter, build

DIN = Protocol("urn:din:70121:2012:MsgDef", 2, 0, "din70121")
#: What a station is asked about.
PROTOCOLS = (ISO2, ISO20_DC, ISO20_AC, DIN)
#: An EVCCID that is nobody's: a locally administered address; for -20 with an unassigned manufacturer.
EVCCID, EVCCID_20 = b"\x02\0\0\0\0\x01", "ZZZV2GPKIPROBE0001"


class Dialogue:
    """Requests and answers over one link, one after the other, timed."""

    def __init__(self, link: Link, *, timeout: float) -> None:
        self._link = link
        self._timeout = timeout
        self._splitter = Splitter()

    async def exchange(self, payload_type: int, payload: bytes) -> tuple[Frame, float]:
        """The answer and how long it took; raises ``tls.*``, ``v2gtp.*``, ``probe.silent``."""
        begun = time.monotonic()
        await self._link.send(build(payload_type, payload))
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    data = await self._link.receive()
                    if not data:
                        raise _silent("closed the connection instead of answering")
                    if frames := self._splitter.feed(data):
                        return frames[0], time.monotonic() - begun
        except TimeoutError:
            raise _silent(f"did not answer within {self._timeout:g} s") from None

    async def offers(self, protocol: Protocol) -> tuple[str, float]:
        """The ResponseCode for one protocol, and how long it took."""
        entry = AppProtocolType(
            ProtocolNamespace=protocol.namespace,
            VersionNumberMajor=protocol.major,
            VersionNumberMinor=protocol.minor,
            SchemaID=1,
            Priority=1,
        )
        octets = codec.encode(supportedAppProtocolReq(AppProtocol=(entry,)), "app")
        frame, took = await self.exchange(PayloadType.EXI, octets)
        message = decode_frame(frame, handshake=True)
        if not isinstance(message, supportedAppProtocolRes):
            raise _silent(f"answers supportedAppProtocolReq with {type(message).__name__}")
        return message.ResponseCode, took


async def look_around(dialogue: Dialogue, protocol: Protocol, report: Report, area: str, at: datetime) -> None:
    """Open a session of an edition that was agreed on, ask what there is, end it; what fails becomes a row."""
    try:
        if protocol.edition == "iso15118-2":
            await _look_around_2(dialogue, report, area, at)
        elif protocol.edition == "iso15118-20":
            await _look_around_20(dialogue, report, area, at)
    except V2GPKIError as problem:
        report.add(area, "session", problem.code, "error", problem.message, clause=problem.clause)


async def _look_around_2(dialogue: Dialogue, report: Report, area: str, at: datetime) -> None:
    session, dialect = bytes(8), ISO2Dialect()

    async def ask(body: Message) -> Heard:
        frame, took = await dialogue.exchange(*dialect.say(body, session, at).frame)
        _timed(report, area, type(body).__name__, took, TIMERS_2)
        return dialect.hear(frame)

    opened = await ask(iso2.SessionSetupReq(EVCCID=EVCCID))
    session = opened.session_id
    if isinstance(opened.body, iso2.SessionSetupRes):
        report.add(area, "EVSEID", opened.body.EVSEID)
        _code(report, area, "SessionSetupRes", opened.body.ResponseCode)
    services = (await ask(iso2.ServiceDiscoveryReq())).body
    if isinstance(services, iso2.ServiceDiscoveryRes):
        report.add(area, "payment options", services.PaymentOptionList.PaymentOption)
        modes = services.ChargeService.SupportedEnergyTransferMode.EnergyTransferMode
        report.add(area, "energy transfer", modes)
        listed = services.ServiceList.Service if services.ServiceList else ()
        report.add(area, "services", [f"{one.ServiceID} {one.ServiceName or one.ServiceCategory}" for one in listed])
        _code(report, area, "ServiceDiscoveryRes", services.ResponseCode)
    await ask(iso2.SessionStopReq(ChargingSession="Terminate"))


async def _look_around_20(dialogue: Dialogue, report: Report, area: str, at: datetime) -> None:
    session = bytes(8)

    async def ask(make: Callable[[iso20_common.MessageHeaderType], Message]) -> object:
        request = make(iso20_common.MessageHeaderType(SessionID=session, TimeStamp=int(at.timestamp())))
        octets = codec.encode(request, "iso15118-20-common")
        frame, took = await dialogue.exchange(PayloadType.ISO20_COMMON, octets)
        _timed(report, area, type(request).__name__, took, TIMERS_20)
        return decode_frame(frame)

    opened = await ask(lambda header: iso20_common.SessionSetupReq(Header=header, EVCCID=EVCCID_20))
    if not isinstance(opened, iso20_common.SessionSetupRes):
        raise _silent(f"answers SessionSetupReq with {type(opened).__name__}")
    session = opened.Header.SessionID
    report.add(area, "EVSEID", opened.EVSEID)
    _code(report, area, "SessionSetupRes", opened.ResponseCode)
    setup = await ask(lambda header: iso20_common.AuthorizationSetupReq(Header=header))
    if isinstance(setup, iso20_common.AuthorizationSetupRes):
        report.add(area, "authorisation", setup.AuthorizationServices)
        report.add(area, "certificate installation", "yes" if setup.CertificateInstallationService else "no")
        _code(report, area, "AuthorizationSetupRes", setup.ResponseCode)
    await ask(lambda header: iso20_common.SessionStopReq(Header=header, ChargingSession="Terminate"))


def _timed(report: Report, area: str, request: str, took: float, timers: Timers) -> None:
    limit = timers.answers_within(request)
    late = took > limit
    note = "later than it may" if late else ""
    report.add(area, f"answers {request}", f"{took * 1000:.0f} ms of {limit:g} s", "error" if late else "ok", note)


def _code(report: Report, area: str, what: str, code: str) -> None:
    if not code.startswith("OK"):
        report.add(area, what, code, "warning" if code.startswith("WARNING") else "error")


def _silent(what: str) -> V2GPKIError:
    return V2GPKIError("probe.silent", f"the station {what}")
