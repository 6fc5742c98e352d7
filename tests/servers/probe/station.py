"""A station for probes: it takes some protocols and answers the first messages of both editions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.app_protocol import supportedAppProtocolReq, supportedAppProtocolRes
from v2gpki.messages.frames import decode_frame
from v2gpki.messages.schema import Message
from v2gpki.servers.v2gtls import Limits, Link, StationSecurity, accept
from v2gpki.v2gtp import PayloadType, Splitter, build

ISO2 = "urn:iso:15118:2:2013:MsgDef"
QUICK = Limits(handshake=5.0, idle=5.0, close=0.2)
SESSION = b"\x01\x02\x03\x04\x05\x06\x07\x08"
T = TypeVar("T")


class Station:
    """Answers on loopback. ``delay`` is slept before SessionSetupRes: a slow station is slow by the clock."""

    def __init__(
        self, security: StationSecurity | None, *, protocols: tuple[str, ...] = (ISO2,), delay: float = 0.0
    ) -> None:
        self.security = security
        self.protocols = protocols
        self.delay = delay
        self.heard: list[str] = []

    def run(self, ask: Callable[[int], Awaitable[T]]) -> T:
        """What ``ask`` gives while the station is up; it gets the port."""

        async def both() -> T:
            async with await asyncio.start_server(self._serve, "::1", 0) as server:
                return await ask(server.sockets[0].getsockname()[1])

        return asyncio.run(both())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            link = await accept(reader, writer, self.security, limits=QUICK)
            await self._session(link)
            await link.close()
        except V2GPKIError as problem:
            self.heard.append(problem.code)

    async def _session(self, link: Link) -> None:
        splitter, handshake = Splitter(), True
        while data := await link.receive():
            for frame in splitter.feed(data):
                request = decode_frame(frame, handshake=handshake)
                if isinstance(request, supportedAppProtocolReq):
                    await self._agree(link, request)
                    handshake = False
                elif isinstance(request, iso2.V2G_Message):
                    await self._answer(link, request)
                else:
                    octets = codec.encode(self._answer_20(request), "iso15118-20-common")
                    await link.send(build(PayloadType.ISO20_COMMON, octets))

    async def _agree(self, link: Link, request: supportedAppProtocolReq) -> None:
        (entry,) = request.AppProtocol
        if entry.ProtocolNamespace in self.protocols:
            answer = supportedAppProtocolRes(ResponseCode="OK_SuccessfulNegotiation", SchemaID=entry.SchemaID)
        else:
            answer = supportedAppProtocolRes(ResponseCode="Failed_NoNegotiation")
        await link.send(build(PayloadType.EXI, codec.encode(answer, "app")))

    async def _answer(self, link: Link, request: iso2.V2G_Message) -> None:
        body = request.Body.BodyElement
        self.heard.append(type(body).__name__)
        if isinstance(body, iso2.SessionSetupReq):
            await asyncio.sleep(self.delay)
            said = iso2.BodyType(
                BodyElement=iso2.SessionSetupRes(ResponseCode="OK_NewSessionEstablished", EVSEID="DE*ABC*E45B*78C")
            )
        elif isinstance(body, iso2.ServiceDiscoveryReq):
            assert request.Header.SessionID == SESSION
            said = iso2.BodyType(BodyElement=services())
        else:
            said = iso2.BodyType(BodyElement=iso2.SessionStopRes(ResponseCode="OK"))
        message = iso2.V2G_Message(Header=iso2.MessageHeaderType(SessionID=SESSION), Body=said)
        await link.send(build(PayloadType.EXI, codec.encode(message, "iso15118-2")))


    def _answer_20(self, request: object) -> Message:
        self.heard.append(type(request).__name__)
        header = iso20_common.MessageHeaderType(SessionID=SESSION, TimeStamp=1)
        if isinstance(request, iso20_common.SessionSetupReq):
            return iso20_common.SessionSetupRes(
                Header=header, ResponseCode="OK_NewSessionEstablished", EVSEID="DE*ABC*E45B*78C"
            )
        if isinstance(request, iso20_common.AuthorizationSetupReq):
            return iso20_common.AuthorizationSetupRes(
                Header=header,
                ResponseCode="OK",
                AuthorizationServices=("EIM", "PnC"),
                CertificateInstallationService=True,
                PnC_ASResAuthorizationMode=iso20_common.PnC_ASResAuthorizationModeType(GenChallenge=bytes(16)),
            )
        return iso20_common.SessionStopRes(Header=header, ResponseCode="OK")


def services() -> iso2.ServiceDiscoveryRes:
    """Contract and AC, nothing else."""
    modes = iso2.SupportedEnergyTransferModeType(EnergyTransferMode=("AC_three_phase_core",))
    return iso2.ServiceDiscoveryRes(
        ResponseCode="OK",
        PaymentOptionList=iso2.PaymentOptionListType(PaymentOption=("Contract",)),
        ChargeService=iso2.ChargeServiceType(
            ServiceID=1, ServiceCategory="EVCharging", FreeService=False, SupportedEnergyTransferMode=modes
        ),
    )
