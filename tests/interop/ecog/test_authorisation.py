"""AuthorizationReq, MeteringReceiptReq and SalesTariff between EcoG's signature functions and ours, both ways.

EcoG's vehicle and station sign and check with exactly these functions; what else a state compares is ours to test. Of
-20 EcoG signs AuthorizationReq alone, by the algorithm of -2 (`lab-ecog-20`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.chains import mint
from tests.interop.ecog.signing import EcogSignatures
from tests.pnc import samples
from tests.pnc.installation.parties import SESSION, parties_2
from v2gpki.keys.software import SoftwareSigner
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import Message
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.authorisation import build_authorization, check_authorization
from v2gpki.pnc.metering import build_receipt, check_receipt
from v2gpki.pnc.signature import attach
from v2gpki.pnc.tariff import check_tariffs, sign_tariffs

pytestmark = pytest.mark.interop("ecog")

CHALLENGE = bytes(range(16))
READING = iso2.MeterInfoType(MeterID="meter-1", MeterReading=12_345, MeterStatus=0, TMeter=1_781_524_800)
TIME = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
SCHEMAS: dict[Edition, str] = {"iso15118-2": "iso15118-2", "lab-ecog-20": "iso15118-20-common"}


@pytest.fixture(scope="module")
def ecog(ecog_python: Path) -> Iterator[EcogSignatures]:
    with EcogSignatures(ecog_python) as running:
        yield running


def key_of(name: str) -> bytes:
    return mint.private_key(name, "p256").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def received(octets: bytes, schema: str) -> Message:
    message = codec.decode(octets, schema)
    assert isinstance(message, Message)
    return message


def authorization(edition: Edition) -> Message:
    contract = parties_2().contract
    return build_authorization(
        CHALLENGE, contract.signer, edition=edition, session_id=SESSION, chain=contract.chain, timestamp=TIME
    )


@pytest.mark.judged("signed AuthorizationReq", edition="both", by="EcoG's functions")
@pytest.mark.parametrize("edition", SCHEMAS)
def test_ecog_takes_our_authorization_and_we_take_its(ecog: EcogSignatures, edition: Edition) -> None:
    message, schema, chain = authorization(edition), SCHEMAS[edition], parties_2().contract.chain
    octets = codec.encode(message, schema)
    assert ecog.verify(schema, octets, chain[0])
    assert not ecog.verify(schema, octets, parties_2().cps.chain[0])
    theirs = ecog.sign(schema, codec.encode(attach(message, None), schema), key_of("contract"))
    found = check_authorization(received(theirs, schema), CHALLENGE, chain=chain, edition=edition)
    assert (found.chain, found.check.deviations) == (chain, ())


@pytest.mark.judged("signed MeteringReceiptReq", edition="iso15118-2", by="EcoG's functions")
def test_ecog_takes_our_receipt_and_we_take_its(ecog: EcogSignatures) -> None:
    contract = parties_2().contract
    message = build_receipt(READING, contract.signer, session_id=SESSION, schedule_tuple_id=1)
    octets = codec.encode(message)
    assert ecog.verify("iso15118-2", octets, contract.chain[0])
    assert not ecog.verify("iso15118-2", octets, parties_2().cps.chain[0])
    theirs = ecog.sign("iso15118-2", codec.encode(attach(message, None)), key_of("contract"))
    check = check_receipt(
        received(theirs, "iso15118-2"), READING, contract.chain[0], session_id=SESSION, schedule_tuple_id=1
    )
    assert check.deviations == ()


@pytest.mark.judged("signed SalesTariff", edition="iso15118-2", by="EcoG's functions")
@pytest.mark.parametrize("number", [1, 3])
def test_ecog_takes_our_tariffs_and_we_take_its(ecog: EcogSignatures, number: int) -> None:
    operator, certificate = SoftwareSigner(mint.private_key("mo2", "p256")), mint.certificate("mo2")
    message = sign_tariffs(samples.tariffs(*[None] * number), operator)
    octets = codec.encode(message)
    assert ecog.verify("iso15118-2", octets, certificate)
    assert not ecog.verify("iso15118-2", octets, mint.certificate("mo1"))
    theirs = ecog.sign("iso15118-2", codec.encode(attach(message, None)), key_of("mo2"))
    check = check_tariffs(received(theirs, "iso15118-2"), certificate)
    assert check is not None
    assert (len(check.elements), check.deviations) == (number, ())
