"""EcoG's states for certificate installation behind lines: its EVCC's and SECC's code, unchanged, where it lives.

In: `ask` (its vehicle makes and signs a CertificateInstallationReq), `receive <response>` (its vehicle verifies, opens
and stores), `answer <request>` (its station verifies the request and plays the provisioning service), `open <response>
<private key>` (its functions alone: codec, signature of the four elements, chain up to the V2G root, key). Octets in
hex; out: `ok <octets in hex ..>` or `error <words>`, one line each. The two vehicle verbs and `answer` read the PKI
folder of the command line. Run as a program by EcoG's interpreter; `EcogInstallation` asks it.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

SESSION = "0102030405060708"
_MSG_DEF = "urn:iso:15118:2:2013:MsgDef"


class EcogRefusedError(Exception):
    """One of EcoG's programs refused; the text is its own."""


class EcogInstallation:
    """EcoG's vehicle, station and functions over one PKI folder, from ``with`` to its end."""

    def __init__(self, interpreter: Path, pki: Path) -> None:
        self._command = [str(interpreter), str(Path(__file__).resolve()), f"{pki}/"]

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

    def ask(self) -> bytes:
        """The vehicle's CertificateInstallationReq."""
        return self._do("ask")[0]

    def answer(self, request: bytes) -> bytes:
        """The station's CertificateInstallationRes to it."""
        return self._do("answer", request)[0]

    def receive(self, response: bytes) -> tuple[bytes, bytes]:
        """What the vehicle stored: contract certificate and 32 octets of key."""
        certificate, key = self._do("receive", response)
        return certificate, key

    def open(self, response: bytes, private_key: bytes) -> bytes:
        """The 32 octets that its functions find in a response; `private_key` is PKCS#8."""
        return self._do("open", response, private_key)[0]

    def _do(self, verb: str, *octets: bytes) -> list[bytes]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join([verb, *(part.hex() for part in octets)]) + "\n")
        self._process.stdin.flush()
        outcome, _, answer = self._process.stdout.readline().rstrip("\n").partition(" ")
        if outcome != "ok":
            raise EcogRefusedError(answer or "it ended")
        return [bytes.fromhex(part) for part in answer.split()]


# --- the program ----------------------------------------------------------------------------------------------------


class _Vehicle:
    """What its states ask of a vehicle's controller."""

    stored: tuple[bytes, bytes] | None = None

    async def is_cert_install_needed(self) -> bool:
        return True

    async def store_contract_cert_and_priv_key(self, contract_cert: bytes, priv_key: bytes) -> None:
        self.stored = (contract_cert, priv_key)


def _session(**more: Any) -> Any:
    from iso15118.shared.messages.enums import AuthEnum, Protocol

    return SimpleNamespace(
        protocol=Protocol.ISO_15118_2,
        session_id=SESSION,
        stop_reason=None,
        selected_auth_option=AuthEnum.PNC_V2,
        writer=SimpleNamespace(get_extra_info=lambda _name: "nobody"),
        **more,
    )


def _step(state: Any, octets: bytes) -> list[bytes]:
    """Let a state process a message; the message that it would send, or its own words when it stops."""
    from iso15118.shared.exi_codec import EXI

    asyncio.run(state.process_message(EXI().from_exi(octets, _MSG_DEF), octets))
    stopped = state.comm_session.stop_reason
    if stopped is not None:
        raise EcogRefusedError(stopped.reason)
    return [bytes(state.next_v2gtp_msg.payload)]


def _ask() -> list[bytes]:
    from iso15118.evcc.states.iso15118_2_states import PaymentServiceSelection
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.messages.iso15118_2.body import Body, PaymentServiceSelectionRes, ResponseCode
    from iso15118.shared.messages.iso15118_2.header import MessageHeader
    from iso15118.shared.messages.iso15118_2.msgdef import V2GMessage

    selected = PaymentServiceSelectionRes(response_code=ResponseCode.OK)
    header = MessageHeader(session_id=SESSION)
    message = V2GMessage(header=header, body=Body.parse_obj({str(selected): selected.dict()}))
    state = PaymentServiceSelection(_session(ev_controller=_Vehicle()))
    return _step(state, EXI().to_exi(message, _MSG_DEF))


def _answer(request: bytes) -> list[bytes]:
    from iso15118.secc.states.iso15118_2_states import CertificateInstallation

    return _step(CertificateInstallation(_session(config=SimpleNamespace(use_cpo_backend=False))), request)


def _receive(response: bytes) -> list[bytes]:
    from iso15118.evcc.states.iso15118_2_states import CertificateInstallation

    vehicle = _Vehicle()
    _step(CertificateInstallation(_session(ev_controller=vehicle)), response)
    return list(vehicle.stored or ())


def _open(response: bytes, private_key: bytes) -> list[bytes]:
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.security import CertPath, decrypt_priv_key, load_cert, to_ec_pub_key, verify_signature

    message = EXI().from_exi(response, _MSG_DEF)
    body = message.body.certificate_installation_res
    signed = (body.contract_cert_chain, body.encrypted_private_key, body.dh_public_key, body.emaid)
    holds = verify_signature(
        message.header.signature,
        [(element.id, EXI().to_exi(element, _MSG_DEF)) for element in signed],
        body.cps_cert_chain.certificate,
        body.cps_cert_chain.sub_certificates.certificates,
        load_cert(CertPath.V2G_ROOT_DER),
    )
    if not holds:
        raise EcogRefusedError("the signature or the provisioning service's chain does not hold")
    key: Any = load_der_private_key(private_key, None)
    sent = to_ec_pub_key(body.dh_public_key.value)
    return [bytes(decrypt_priv_key(body.encrypted_private_key.value, key, sent))]


def _serve(pki: str) -> None:
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec
    from iso15118.shared.settings import SettingKey, shared_settings

    shared_settings[SettingKey.PKI_PATH] = pki
    shared_settings[SettingKey.MESSAGE_LOG_JSON] = False
    shared_settings[SettingKey.MESSAGE_LOG_EXI] = False
    logging.disable(logging.CRITICAL)  # it logs to standard output
    codec = ExificientEXICodec()
    EXI().set_exi_codec(codec)
    verbs = {"ask": _ask, "answer": _answer, "receive": _receive, "open": _open}
    for line in sys.stdin:
        verb, *octets = line.split()
        try:
            answer = verbs[verb](*map(bytes.fromhex, octets))
        except EcogRefusedError as refused:
            print("error", str(refused).replace("\n", " ")[:300], flush=True)
        except Exception as problem:  # noqa: BLE001 - the border of this program: whatever it is, one line tells it
            print("error", type(problem).__name__, str(problem).replace("\n", " ")[:300], flush=True)
        else:
            print("ok", *(part.hex() for part in answer), flush=True)
    codec.gateway.shutdown()


if __name__ == "__main__":
    _serve(sys.argv[1])
