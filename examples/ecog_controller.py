"""EcoG's station (iso15118 0.31) on v2gpki's plug-in points: who may charge, and contracts, instead of
`SimEVSEController`.

Run by the interpreter that has iso15118. v2gpki runs in a process of its own interpreter, since the two cannot share an
environment (iso15118 pins cryptography and pydantic): `station_pipe.py` beside this file, which has the plug-ins.
Settings are EcoG's environment variables with USE_CPO_BACKEND=True, V2GPKI_PYTHON (the interpreter that has v2gpki),
and those of the pipe.

EcoG's hash data are not what OCPP wants (URL-safe base64, decimal serials, the root among them) and are missing when
one certificate has no OCSP address; the pipe makes them anew from the chain. In -20 EcoG's station does not say who
wants to charge: with PNC among AUTH_MODES such a vehicle is refused here, else it is asked about as somebody who pays
at the station. To put it into a station of your own, hand `V2GPKIController(Pipe.of_environment(), ..)` to
`SECCHandler`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
from pathlib import Path

from iso15118.secc import SECCHandler
from iso15118.secc.controller.interface import AuthorizationResponse, AuthorizationStatus, ServiceStatus
from iso15118.secc.controller.simulator import SimEVSEController
from iso15118.secc.secc_settings import Config
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
from iso15118.shared.messages.enums import AuthEnum, AuthorizationTokenType, Protocol
from iso15118.shared.messages.iso15118_2.datatypes import ResponseCode as ResponseCodeV2
from iso15118.shared.messages.iso15118_20.common_types import ResponseCode as ResponseCodeV20

logger = logging.getLogger(__name__)

#: The vehicle waits 5 s for its CertificateInstallationRes and PaymentDetailsRes; the station needs some of it.
_SECONDS = 4.2
#: An AuthorizationRes has to be there within 1.5 s; who needs longer is asked again.
_AUTHORISES_WITHIN = 1.0
_STATUS = {
    "accepted": AuthorizationStatus.ACCEPTED,
    "ongoing": AuthorizationStatus.ONGOING,
    "rejected": AuthorizationStatus.REJECTED,
}


class Pipe:
    """v2gpki in a process of its own; answers find their questions by their number."""

    def __init__(self, python: str, program: Path) -> None:
        self._command = (python, str(program))
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, object]]] = {}
        self._numbers = itertools.count(1)

    @classmethod
    def of_environment(cls) -> Pipe:
        """As V2GPKI_PYTHON says; the other settings are the pipe's own."""
        return cls(os.environ["V2GPKI_PYTHON"], Path(__file__).with_name("station_pipe.py"))

    async def start(self) -> asyncio.subprocess.Process:
        """The running process; a new one if there is none, or none any more."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**22
            )
            self._reading = asyncio.create_task(self._read(self._process))
        return self._process

    async def ask(self, question: dict[str, object]) -> dict[str, object]:
        """The answer to one question; raises OSError when v2gpki has ended. May be cancelled: the answer is dropped
        then.
        """
        process = await self.start()
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**question, "id": number}).encode() + b"\n")
            await process.stdin.drain()
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            told = dict(json.loads(line))
            waiting = self._waiting.get(told["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(told)
        await process.wait()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(OSError("v2gpki ended; what it said stands above"))


class V2GPKIController(SimEVSEController):
    """EcoG's simulated station, but who charges and what is installed is decided by v2gpki's plug-ins."""

    def __init__(self, pipe: Pipe, auth_modes: list[AuthEnum] | None = None) -> None:
        super().__init__()
        self._pipe = pipe
        self._auth_modes = auth_modes or []
        #: What PaymentDetails asked about: Authorization names no more than the EMAID.
        self._asked: dict[str, object] = {}
        self._deciding: asyncio.Task[dict[str, object]] | None = None
        self._decision: dict[str, object] | None = None

    async def get_15118_ev_certificate(self, base64_encoded_cert_installation_req: str, namespace: str) -> str:
        """Overrides EVSEControllerInterface.get_15118_ev_certificate()."""
        schema = str(getattr(namespace, "value", namespace))
        question: dict[str, object] = {
            "ask": "contract",
            "edition": "iso15118-20" if ":-20:" in schema else "iso15118-2",
            "action": "install",
            "schema": schema,
            "exi": base64_encoded_cert_installation_req,
            "seconds": _SECONDS,
        }
        answer = await asyncio.wait_for(self._pipe.ask(question), _SECONDS)
        if answer["status"] != "accepted":
            # the vehicle is told by its ResponseCode, the operator here
            logger.error("v2gpki gives no contract: %s", answer["reason"])
        if not answer["exi"]:
            raise OSError("there is no answer for the vehicle")
        return str(answer["exi"])

    async def is_authorized(
        self,
        id_token: str | None = None,
        id_token_type: AuthorizationTokenType | None = None,
        certificate_chain: bytes | None = None,
        hash_data: list[dict[str, str]] | None = None,
    ) -> AuthorizationResponse:
        """Overrides EVSEControllerInterface.is_authorized(); called with everything, with the EMAID alone, or with
        nothing.
        """
        protocol = self.get_selected_protocol()
        edition = "iso15118-20" if protocol is not None and ":-20:" in str(protocol.namespace.value) else "iso15118-2"
        if edition == "iso15118-20" and AuthEnum.PNC in self._auth_modes:
            logger.error("EcoG does not say who charges in -20: take PNC out of AUTH_MODES")
            return AuthorizationResponse(AuthorizationStatus.REJECTED, ResponseCodeV20.WARN_GENERAL_PNC_AUTH_ERROR)
        if certificate_chain is not None:
            # a new vehicle, or the same one again: nothing of before counts
            self._forget()
            self._asked = {
                "ask": "authorise",
                "method": "pnc",
                "edition": edition,
                "emaid": id_token,
                "chain": certificate_chain.decode("ascii"),
                "hashData": hash_data,
                "evccId": self.ev_data_context.evcc_id,
            }
        elif id_token_type == AuthorizationTokenType.EMAID:
            if id_token is None or id_token != self._asked.get("emaid"):
                logger.error("a contract that showed no chain wants to charge: %s", id_token)
                return self._response({"status": "rejected", "responseCode": "FAILED"}, edition, protocol)
        elif self._asked.get("method") != "eim":
            self._forget()
            self._asked = {"ask": "authorise", "method": "eim", "edition": edition}
        answer = await self._decided(_SECONDS if certificate_chain is not None else _AUTHORISES_WITHIN)
        return self._response(answer, edition, protocol)

    def set_selected_protocol(self, protocol: Protocol) -> None:
        """Overrides EVSEControllerInterface.set_selected_protocol(), with which every session begins."""
        self._forget()
        super().set_selected_protocol(protocol)

    async def session_ended(self, current_state: str, reason: str) -> None:
        """Overrides EVSEControllerInterface.session_ended(): the next vehicle is another one."""
        self._forget()
        await super().session_ended(current_state, reason)

    async def _decided(self, within: float) -> dict[str, object]:
        """The decision, final once it is no more "ongoing"; one that takes longer is waited for at the next call."""
        if self._decision is not None and self._decision["status"] != "ongoing":
            return self._decision
        if self._deciding is None:
            attempt = 0 if self._decision is None else int(str(self._decision["attempt"])) + 1
            self._deciding = asyncio.create_task(self._ask(attempt))
        done, _ = await asyncio.wait([self._deciding], timeout=within)
        if not done:
            return {"status": "ongoing", "responseCode": "OK"}
        deciding, self._deciding = self._deciding, None
        self._decision = deciding.result()
        return self._decision

    async def _ask(self, attempt: int) -> dict[str, object]:
        try:
            answer = await self._pipe.ask({**self._asked, "attempt": attempt})
        except OSError as problem:
            logger.error("nobody can say who may charge: %s", problem)
            answer = {"status": "rejected", "responseCode": "FAILED", "reason": str(problem), "hashData": []}
        told = "v2gpki: %s for %s %s: %s; hash data %s"
        who = self._asked.get("method"), self._asked.get("emaid") or ""
        logger.info(told, answer["status"], *who, answer["reason"] or "-", json.dumps(answer["hashData"]))
        return {**answer, "attempt": attempt}

    def _forget(self) -> None:
        if self._deciding is not None:
            self._deciding.cancel()
        self._asked, self._deciding, self._decision = {}, None, None

    @staticmethod
    def _response(answer: dict[str, object], edition: str, protocol: Protocol | None) -> AuthorizationResponse:
        code: ResponseCodeV2 | ResponseCodeV20 | None = None
        if protocol != Protocol.DIN_SPEC_70121:
            codes = ResponseCodeV20 if edition == "iso15118-20" else ResponseCodeV2
            try:
                code = codes(answer["responseCode"])
            except ValueError:
                code = codes.FAILED
        return AuthorizationResponse(_STATUS[str(answer["status"])], code)


async def main() -> None:
    """EcoG's own start-up, with this controller."""
    config = Config()
    config.load_envs()
    config.print_settings()
    pipe = Pipe.of_environment()
    # unlocking takes a moment, which the first vehicle should not wait for
    await pipe.start()
    controller = V2GPKIController(pipe, config.supported_auth_options)
    await controller.set_status(ServiceStatus.STARTING)
    handler = SECCHandler(exi_codec=ExificientEXICodec(), evse_controller=controller, config=config)
    await handler.start(config.iface)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        logger.info("ended by hand")
