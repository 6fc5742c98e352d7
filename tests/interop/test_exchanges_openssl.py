"""Authorisation, metering and prices of -20, where no foreign stack signs as the standard wants: OpenSSL has the keys.

Keys and the contract certificate are OpenSSL's, it signs what we build and judges what we signed; the octets are those
that the check returns.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.interop.test_signature_openssl import OpensslSigner, judged, openssl
from tests.pnc import samples
from v2gpki.keys.signer import Signer
from v2gpki.messages import codec, iso20_common
from v2gpki.messages.iso20_types import MeterInfoType
from v2gpki.messages.schema import Message
from v2gpki.pnc.authorisation import build_authorization, check_authorization
from v2gpki.pnc.metering import check_metering_data, sign_metering_data, signed_metering_data
from v2gpki.pnc.signature import SignatureCheck, signature_of
from v2gpki.pnc.tariff import check_tariffs, sign_tariffs

pytestmark = pytest.mark.interop("openssl")

CHALLENGE = bytes(range(16))
TIME = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
GENERATE = {"p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "ed448": ["-algorithm", "ED448"]}


def party(folder: Path, suite: str) -> tuple[OpensslSigner, bytes]:
    """A key and a certificate around it, both OpenSSL's."""
    assert openssl(folder, "genpkey", *GENERATE[suite], "-out", "new.pem").returncode == 0
    made = openssl(folder, "req", "-x509", "-new", "-key", "new.pem", "-subj", "/CN=DEABCC123ABC56", "-outform", "DER")
    spki = openssl(folder, "pkey", "-in", "new.pem", "-pubout", "-outform", "DER").stdout
    return OpensslSigner(folder, suite, (folder / "new.pem").read_bytes(), spki), made.stdout


def over_the_wire(message: Message) -> Message:
    found = codec.decode(codec.encode(message, "iso15118-20-common"), "iso15118-20-common")
    assert isinstance(found, Message)
    return found


def authorization(signer: Signer, certificate: bytes) -> tuple[SignatureCheck, bytes]:
    message = build_authorization(
        CHALLENGE,
        signer,
        edition="iso15118-20",
        session_id=samples.SESSION,
        chain=(certificate, b"\x30\x00"),
        timestamp=TIME,
    )
    return check_authorization(over_the_wire(message), CHALLENGE).check, value_of(message)


def metering(signer: Signer, certificate: bytes) -> tuple[SignatureCheck, bytes]:
    reading = MeterInfoType(MeterID="meter-1", ChargedEnergyReadingWh=12_345)
    data = signed_metering_data(reading, session_id=samples.SESSION, schedule_tuple_id=1)
    signature = sign_metering_data(data, signer)
    check = check_metering_data(data, signature, certificate, session_id=samples.SESSION)
    return check, signature.SignatureValue.value


def prices(signer: Signer, certificate: bytes) -> tuple[SignatureCheck, bytes]:
    message = over_the_wire(sign_tariffs(samples.prices_20(None), signer))
    assert isinstance(message, iso20_common.ScheduleExchangeRes)
    check = check_tariffs(message, certificate)
    assert check is not None
    return check, value_of(message)


def value_of(message: Message) -> bytes:
    signature = signature_of(message)
    assert signature is not None
    return signature.SignatureValue.value


@pytest.mark.parametrize("suite", GENERATE)
@pytest.mark.parametrize("exchange", [authorization, metering, prices])
def test_openssl_signs_and_judges(
    exchange: Callable[[Signer, bytes], tuple[SignatureCheck, bytes]], suite: str, tmp_path: Path
) -> None:
    signer, certificate = party(tmp_path, suite)
    check, value = exchange(signer, certificate)
    assert check.algorithm.suite == suite
    assert judged(tmp_path, suite, check.signed_info, value, signer.spki)
    (element,) = check.elements
    (tmp_path / "fragment").write_bytes(element.fragment())
    digest = ["-sha512"] if suite == "p521" else ["-shake256", "-xoflen", "64"]
    computed = openssl(tmp_path, "dgst", *digest, "-binary", "fragment").stdout
    # The digest stands in SignedInfo, EXI coding it as octets at some bit.
    bits = "".join(f"{octet:08b}" for octet in check.signed_info)
    assert "".join(f"{octet:08b}" for octet in computed) in bits
