"""EcoG's functions for signatures behind lines: `create_signature` and `verify_signature` of its package, unchanged.

In: `verify <namespace> <message> <certificate>`, `sign <namespace> <message> <private key>`, `code <namespace> <JSON>`,
everything in hex (EXI, DER, PKCS#8, text); out: `ok <True | False | octets in hex>` or `error <words>`, one line each.
Which elements are signed is what its states sign. Run as a program by EcoG's interpreter; `EcogSignatures` asks it.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMESPACES = {
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20-common": "urn:iso:std:iso:15118:-20:CommonMessages",
    "xmldsig": "http://www.w3.org/2000/09/xmldsig#",
}


class EcogSignatures:
    """EcoG's signatures, from ``with`` to its end."""

    def __init__(self, interpreter: Path) -> None:
        self._command = [str(interpreter), str(Path(__file__).resolve())]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # its Java machine ends with its input
        self._process.communicate(timeout=30)

    def verify(self, schema: str, message: bytes, certificate: bytes) -> bool:
        """Its verdict on a signed message."""
        return self._ask("verify", schema, message, certificate) == "True"

    def sign(self, schema: str, message: bytes, private_key: bytes) -> bytes:
        """The message with a signature that it made."""
        return bytes.fromhex(self._ask("sign", schema, message, private_key))

    def code(self, schema: str, text: str) -> bytes:
        """The octets that its codec makes of an element in JSON before it digests or signs them."""
        return bytes.fromhex(self._ask("code", schema, text.encode()))

    def _ask(self, verb: str, schema: str, *octets: bytes) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join([verb, NAMESPACES[schema], *(part.hex() for part in octets)]) + "\n")
        self._process.stdin.flush()
        outcome, _, answer = self._process.stdout.readline().rstrip("\n").partition(" ")
        assert outcome == "ok", f"EcoG could not {verb}: {answer or 'it ended'}"
        return answer


# --- the program ----------------------------------------------------------------------------------------------------


def _elements(message: Any, namespace: str) -> list[tuple[str, bytes]]:
    """Id and coded octets of what its states sign in a message."""
    from iso15118.shared.exi_codec import EXI

    body = message
    if namespace == NAMESPACES["iso15118-2"]:
        body = next(value for _, value in message.body if value is not None)
    name = str(body)
    parts = {
        "CertificateInstallationRes": ("contract_cert_chain", "encrypted_private_key", "dh_public_key", "emaid"),
        "CertificateUpdateRes": ("contract_cert_chain", "encrypted_private_key", "dh_public_key", "emaid"),
    }.get(name, ())
    if namespace == NAMESPACES["iso15118-20-common"]:
        parts = {
            "AuthorizationReq": ("pnc_params",),
            "CertificateInstallationReq": ("oem_prov_cert_chain",),
            "CertificateInstallationRes": ("signed_installation_data",),
        }[name]
    if name == "ChargeParameterDiscoveryRes":
        schedules = body.sa_schedule_list.schedule_tuples
        return [(one.sales_tariff.id, EXI().to_exi(one.sales_tariff, namespace)) for one in schedules]
    signed = [getattr(body, part) for part in parts] or [body]
    return [(element.id, EXI().to_exi(element, namespace)) for element in signed]


def _answer(verb: str, namespace: str, octets: bytes, key: bytes = b"") -> str:
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.security import create_signature, verify_signature

    if verb == "code":
        return bytes(EXI().exi_codec.encode(octets.decode(), namespace)).hex()
    message = EXI().from_exi(octets, namespace)
    elements = _elements(message, namespace)
    if verb == "verify":
        return str(verify_signature(message.header.signature, elements, key))
    message.header.signature = create_signature(elements, load_der_private_key(key, None))
    return EXI().to_exi(message, namespace).hex()


def _serve() -> None:
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec
    from iso15118.shared.settings import SettingKey, shared_settings

    shared_settings[SettingKey.MESSAGE_LOG_JSON] = False
    shared_settings[SettingKey.MESSAGE_LOG_EXI] = False
    logging.disable(logging.CRITICAL)  # it logs to standard output
    codec = ExificientEXICodec()
    EXI().set_exi_codec(codec)
    for line in sys.stdin:
        verb, namespace, *octets = line.split()
        try:
            answer = _answer(verb, namespace, *map(bytes.fromhex, octets))
        except Exception as problem:  # noqa: BLE001 - the border of this program: whatever it is, one line tells it
            print("error", type(problem).__name__, str(problem).replace("\n", " ")[:300], flush=True)
        else:
            print("ok", answer, flush=True)
    codec.gateway.shutdown()


if __name__ == "__main__":
    _serve()
