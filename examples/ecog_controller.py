"""EcoG's station (iso15118 0.31) installs contracts of your v2gpki home: a controller instead of `SimEVSEController`.

Run by the interpreter that has iso15118. v2gpki runs in a process of its own interpreter, since the two cannot share an
environment (iso15118 pins cryptography and pydantic). Settings are EcoG's environment variables with
USE_CPO_BACKEND=True, and three more:

    V2GPKI_PYTHON            the interpreter that has v2gpki
    V2GPKI_HOME              the home; it has the contract, and the vehicle is registered in it
    V2GPKI_PASSPHRASE_FILE   what unlocks it

To put it into a station of your own, hand `V2GPKIController(Provisioning.of_environment())` to `SECCHandler`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path

from iso15118.secc import SECCHandler
from iso15118.secc.controller.interface import ServiceStatus
from iso15118.secc.controller.simulator import SimEVSEController
from iso15118.secc.secc_settings import Config
from iso15118.shared.exificient_exi_codec import ExificientEXICodec

logger = logging.getLogger(__name__)

#: The vehicle waits 5 s for its CertificateInstallationRes; the station needs some of it.
_SECONDS = 4.0


class Provisioning:
    """v2gpki in a process of its own: `provisioning_pipe.py` beside this file."""

    def __init__(self, python: str, pipe: Path) -> None:
        self._command = (python, str(pipe))
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def of_environment(cls) -> Provisioning:
        """As V2GPKI_PYTHON says; home and passphrase file are the pipe's own settings."""
        return cls(os.environ["V2GPKI_PYTHON"], Path(__file__).with_name("provisioning_pipe.py"))

    async def start(self) -> asyncio.subprocess.Process:
        """The running process; a new one if there is none, or none any more."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        return self._process

    async def ask(self, request: dict[str, str]) -> dict[str, str]:
        """The answer to a Get15118EVCertificateRequest; raises OSError or TimeoutError when there is none."""
        async with self._one_at_a_time:
            process = await self.start()
            assert process.stdin is not None
            assert process.stdout is not None
            line = b""
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                line = await asyncio.wait_for(process.stdout.readline(), _SECONDS)
            finally:
                # an answer that comes too late must not be taken for the next one's
                if not line and process.returncode is None:
                    process.kill()
            if not line:
                raise OSError("v2gpki ended; what it said stands above")
            return dict(json.loads(line))


class V2GPKIController(SimEVSEController):
    """EcoG's simulated station, but contract certificates are yours."""

    def __init__(self, provisioning: Provisioning) -> None:
        super().__init__()
        self._provisioning = provisioning

    async def get_15118_ev_certificate(self, base64_encoded_cert_installation_req: str, namespace: str) -> str:
        """Overrides EVSEControllerInterface.get_15118_ev_certificate()."""
        answer = await self._provisioning.ask(
            {
                "action": "Install",
                "iso15118SchemaVersion": str(getattr(namespace, "value", namespace)),
                "exiRequest": base64_encoded_cert_installation_req,
            }
        )
        if answer["status"] != "Accepted":
            # the vehicle is told by its ResponseCode, the operator here
            logger.error("v2gpki gives no contract: %s", answer["reason"])
        return answer["exiResponse"]


async def main() -> None:
    """EcoG's own start-up, with this controller."""
    config = Config()
    config.load_envs()
    config.print_settings()
    provisioning = Provisioning.of_environment()
    # unlocking takes a moment, which the first vehicle should not wait for
    await provisioning.start()
    controller = V2GPKIController(provisioning)
    await controller.set_status(ServiceStatus.STARTING)
    handler = SECCHandler(exi_codec=ExificientEXICodec(), evse_controller=controller, config=config)
    await handler.start(config.iface)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        logger.info("ended by hand")
