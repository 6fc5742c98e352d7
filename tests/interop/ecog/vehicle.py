"""EcoG's vehicle that keeps what it is given: its simulator forgets the contract that it installs.

The contract certificate and the key go into the PKI folder that its states read (`CertPath`, `KeyPath`), where the
next message takes them from. Its hook is given the leaf alone, so the Sub-CAs above it must be there before. Run as a
program by EcoG's interpreter, like its own `iso15118.evcc.main`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate
from iso15118.evcc import Config, EVCCHandler
from iso15118.evcc.controller.simulator import SimEVController
from iso15118.evcc.evcc_config import load_from_file
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
from iso15118.shared.security import CertPath, KeyPasswordPath, KeyPath

logger = logging.getLogger(__name__)


class RememberingEVController(SimEVController):
    """EcoG's simulated vehicle, with a memory."""

    async def store_contract_cert_and_priv_key(self, contract_cert: bytes, priv_key: bytes) -> None:
        """Overrides EVControllerInterface.store_contract_cert_and_priv_key()."""
        key = ec.derive_private_key(int.from_bytes(priv_key, "big"), ec.SECP256R1())
        certificate = load_der_x509_certificate(contract_cert)
        if certificate.public_key() != key.public_key():
            raise ValueError("the key is not the contract certificate's")
        Path(CertPath.CONTRACT_LEAF_DER).write_bytes(contract_cert)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(KeyPath.CONTRACT_LEAF_PEM).write_bytes(pem)
        Path(KeyPasswordPath.CONTRACT_LEAF_KEY_PASSWORD).write_text("\n", "ascii")
        logger.info("contract certificate %x is installed", certificate.serial_number)


async def main() -> None:
    """EcoG's own start-up, with this controller."""
    config = Config()
    config.load_envs()
    config.ev_config_file_path = sys.argv[1]
    evcc_config = await load_from_file(config.ev_config_file_path)
    await EVCCHandler(
        evcc_config=evcc_config,
        iface=config.iface,
        exi_codec=ExificientEXICodec(),
        ev_controller=RememberingEVController(evcc_config),
    ).start()


if __name__ == "__main__":
    asyncio.run(main())
