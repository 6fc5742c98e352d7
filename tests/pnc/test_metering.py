"""Metering receipts of -2 and confirmations of -20: what holds, and each refusal by its code and ResponseCode."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from tests.pnc import samples
from tests.pnc.installation.parties import SESSION, Parties, parties_2
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.iso20_types import MeterInfoType as MeterInfo20
from v2gpki.messages.iso20_types import ReceiptType
from v2gpki.messages.schema import Message
from v2gpki.pnc import metering
from v2gpki.pnc.signature import attach, response_code, sign, signature_of

READING = iso2.MeterInfoType(
    MeterID="meter-1", MeterReading=12_345, SigMeterReading=bytes(range(64)), MeterStatus=0, TMeter=1_781_524_800
)
READING_20 = MeterInfo20(MeterID="meter-1", ChargedEnergyReadingWh=12_345, BPT_DischargedEnergyReadingWh=17)
RECEIPT = ReceiptType(TimeAnchor=1_781_524_800)
TIME = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
NOT_VALID = "FAILED_MeteringSignatureNotValid"


def refused(code: str, message: Message, call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == code
    assert response_code(found.value, message) == NOT_VALID
    return found.value


# --- ISO 15118-2 ----------------------------------------------------------------------------------------------------


def receipt(**changed: object) -> iso2.V2G_Message:
    given = {"session_id": SESSION, "schedule_tuple_id": 1, **changed}
    message = metering.build_receipt(READING, parties_2().contract.signer, **given)
    found = codec.decode(codec.encode(message))
    assert isinstance(found, iso2.V2G_Message)
    return found


def check(message: Message, sent: iso2.MeterInfoType = READING, **changed: object) -> object:
    given = {"session_id": SESSION, "schedule_tuple_id": 1, **changed}
    return metering.check_receipt(message, sent, parties_2().contract.chain[0], **given)


def test_a_receipt_confirms_the_reading_that_was_sent() -> None:
    for message in (receipt(), receipt(schedule_tuple_id=None)):
        found = check(message)
        assert [element.name.name for element in found.elements] == ["MeteringReceiptReq"]
        assert message.Body.BodyElement.MeterInfo == READING


@pytest.mark.parametrize(
    "changes",
    [{"MeterID": "meter-2"}, {"MeterReading": 12_344}, {"SigMeterReading": None}, {"MeterStatus": 1}, {"TMeter": 0}],
)
def test_another_reading_than_the_one_sent_is_refused(changes: dict[str, object]) -> None:
    problem = refused(
        "metering.wrong_reading", receipt(), lambda: check(receipt(), sent=replace(READING, **changes))
    )
    assert problem.facts["where"] == f"MeterInfo/{next(iter(changes))}"


def test_a_receipt_of_another_session_or_schedule_is_refused() -> None:
    for changed, where in (({"session_id": bytes(8)}, "SessionID"), ({"schedule_tuple_id": 2}, "SAScheduleTupleID")):
        problem = refused("metering.wrong_reading", receipt(), lambda changed=changed: check(receipt(), **changed))
        assert problem.facts["where"] == where


def test_the_reading_is_looked_at_before_the_signature() -> None:
    unsigned = attach(receipt(), None)
    refused("metering.wrong_reading", unsigned, lambda: check(unsigned, sent=replace(READING, MeterReading=1)))
    refused("signature.missing", unsigned, lambda: check(unsigned))


def test_another_key_than_the_contract_s_is_refused() -> None:
    bare = attach(receipt(), None)
    forged = attach(bare, sign(bare, parties_2().cps.signer))
    refused("signature.wrong_value", forged, lambda: check(forged))


def test_a_receipt_is_no_other_message() -> None:
    with pytest.raises(V2GPKIError) as found:
        check(samples.annex_j_message())
    assert found.value.code == "metering.wrong_message"


# --- ISO 15118-20 ---------------------------------------------------------------------------------------------------


def data(**changed: object) -> iso20_common.SignedMeteringData:
    given = {"session_id": SESSION, "receipt": RECEIPT, **changed}
    return metering.signed_metering_data(READING_20, **given)


@pytest.mark.parametrize("schedule", [None, 3])
@pytest.mark.parametrize("suite", ["p521", "ed448"])
def test_a_station_signs_and_a_vehicle_returns(schedule: int | None, suite: str) -> None:
    station = samples.signer(suite)
    issued = data(schedule_tuple_id=schedule)
    signature = metering.sign_metering_data(issued, station)
    # The vehicle makes the element anew, of the same values.
    found = metering.check_metering_data(
        data(schedule_tuple_id=schedule), signature, station.spki, session_id=SESSION
    )
    assert [element.name.name for element in found.elements] == ["SignedMeteringData"]
    message = metering.build_confirmation(issued, session_id=SESSION, timestamp=TIME)
    message = codec.decode(codec.encode(message), "iso15118-20-common")
    assert metering.check_confirmation(message, issued, samples.signer("p521").spki) is None
    assert signature_of(message) is None
    chosen = message.SignedMeteringData.Scheduled_SMDTControlMode
    assert (None if chosen is None else chosen.SelectedScheduleTupleID) == schedule


def test_a_vehicle_refuses_a_reading_that_is_not_this_one() -> None:
    station = samples.signer("p521")
    signature = metering.sign_metering_data(data(), station)
    message = metering.build_confirmation(data(), session_id=SESSION, timestamp=TIME)

    def look(changed: iso20_common.SignedMeteringData, session: bytes = SESSION, key: bytes = station.spki) -> object:
        return metering.check_metering_data(changed, signature, key, session_id=session)

    refused("metering.wrong_reading", message, lambda: look(data(session_id=bytes(8))))
    refused("signature.wrong_digest", message, lambda: look(data(receipt=None)))
    refused("signature.wrong_digest", message, lambda: look(data(schedule_tuple_id=1)))
    refused("signature.wrong_key", message, lambda: look(data(), key=samples.signer("ed448").spki))
    refused(
        "signature.missing",
        message,
        lambda: metering.check_metering_data(data(), None, station.spki, session_id=SESSION),
    )


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"session_id": bytes(8)}, "SessionID"),
        ({"receipt": None}, "Receipt"),
        ({"schedule_tuple_id": 1}, "Dynamic_SMDTControlMode"),
    ],
)
def test_a_station_refuses_what_it_did_not_issue(changes: dict[str, object], where: str) -> None:
    message = metering.build_confirmation(data(**changes), session_id=SESSION, timestamp=TIME)
    problem = refused("metering.wrong_reading", message, lambda: metering.check_confirmation(message, data()))
    assert problem.facts["where"] == f"SignedMeteringData/{where}"


def test_a_station_refuses_another_reading_and_another_schedule() -> None:
    other = metering.signed_metering_data(
        replace(READING_20, BPT_DischargedEnergyReadingWh=18), session_id=SESSION, receipt=RECEIPT
    )
    message = metering.build_confirmation(other, session_id=SESSION, timestamp=TIME)
    problem = refused("metering.wrong_reading", message, lambda: metering.check_confirmation(message, data()))
    assert problem.facts["where"] == "SignedMeteringData/MeterInfo"
    message = metering.build_confirmation(data(schedule_tuple_id=2), session_id=SESSION, timestamp=TIME)
    problem = refused(
        "metering.wrong_reading",
        message,
        lambda: metering.check_confirmation(message, data(schedule_tuple_id=1)),
    )
    assert problem.facts["where"] == "SignedMeteringData/Scheduled_SMDTControlMode"


def test_the_id_is_the_sender_s_own() -> None:
    message = metering.build_confirmation(replace(data(), Id="other"), session_id=SESSION, timestamp=TIME)
    assert metering.check_confirmation(message, data()) is None


def test_a_confirmation_that_is_signed_is_checked(parties: Callable[[str], Parties]) -> None:
    contract = parties("iso15118-20").contract
    message = metering.build_confirmation(data(), session_id=SESSION, timestamp=TIME, signer=contract.signer)
    found = metering.check_confirmation(message, data(), contract.chain[0])
    assert found is not None
    assert found.algorithm.name == "ecdsa-p521-sha512"
    refused(
        "signature.wrong_value",
        message,
        lambda: metering.check_confirmation(message, data(), parties("iso15118-20").cps.chain[0]),
    )


def test_a_confirmation_is_no_other_message() -> None:
    with pytest.raises(V2GPKIError) as found:
        metering.check_confirmation(samples.eim_20(), data())
    assert found.value.code == "metering.wrong_message"
