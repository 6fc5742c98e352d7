"""Meter readings that are confirmed: MeteringReceiptReq of ISO 15118-2, SignedMeteringData of ISO 15118-20.

In -2 the vehicle signs the reading that the station sent, with the contract's key; a station may check it. In -20 the
station signs SignedMeteringData, the vehicle checks it and returns it in MeteringConfirmationReq, as it was. No message
of the station has a place for that element: both sides make the same one of what the charge loop said
(`signed_metering_data`), and the signature stands in the header. A vehicle that signs its confirmation too, as other
stacks may want it, gives its key. A wrong reading and a wrong signature have one ResponseCode,
FAILED_MeteringSignatureNotValid (`pnc.signature.response_code`).
Clauses: [V2G2-903], [V2G2-904], [V2G2-481]; ISO 15118-20 8.3.4.3.6, 8.3.5.3.36.
"""

from __future__ import annotations

from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.messages import iso2, iso20_common
from v2gpki.messages.iso20_types import MeterInfoType as MeterInfo20
from v2gpki.messages.iso20_types import ReceiptType
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.elements import body_of
from v2gpki.pnc.installation.requests import header_20, v2g_message
from v2gpki.pnc.signature import KeySource, SignatureCheck, attach, sign, signature_of, verify

_ID = "id1"


# --- ISO 15118-2 ----------------------------------------------------------------------------------------------------


def build_receipt(
    reading: iso2.MeterInfoType, signer: Signer, *, session_id: bytes, schedule_tuple_id: int | None = None
) -> iso2.V2G_Message:
    """The signed MeteringReceiptReq over a reading, as it came in ChargingStatusRes or CurrentDemandRes.

    `signer` has the contract's key. Raises `signature.*`.
    """
    message = v2g_message(
        iso2.MeteringReceiptReq(
            Id=_ID, SessionID=session_id, SAScheduleTupleID=schedule_tuple_id, MeterInfo=reading
        ),
        session_id,
    )
    return attach(message, sign(message, signer, edition="iso15118-2"))


def check_receipt(
    message: Message,
    sent: iso2.MeterInfoType,
    contract: KeySource,
    *,
    session_id: bytes,
    schedule_tuple_id: int | None = None,
    accept_document_digest: bool = False,
) -> SignatureCheck:
    """Check a MeteringReceiptReq: it confirms the reading that was `sent`, in this session, under the contract's key.

    `schedule_tuple_id` is that of the schedule in force; a receipt may leave it out. Raises `metering.wrong_reading`
    (facts: `where`), then `signature.*`, `key.*`; before both `metering.wrong_message`.
    """
    receipt = body_of(message)
    if not isinstance(receipt, iso2.MeteringReceiptReq):
        raise _wrong_message(receipt, "MeteringReceiptReq")
    if receipt.SessionID != session_id:
        raise _wrong_reading("SessionID", "[V2G2-904]")
    if receipt.SAScheduleTupleID is not None and receipt.SAScheduleTupleID != schedule_tuple_id:
        raise _wrong_reading("SAScheduleTupleID", "[V2G2-904]")
    if where := _first_difference(receipt.MeterInfo, sent):
        raise _wrong_reading(f"MeterInfo/{where}", "[V2G2-904]")
    return verify(message, contract, edition="iso15118-2", accept_document_digest=accept_document_digest)


# --- ISO 15118-20 ---------------------------------------------------------------------------------------------------


def signed_metering_data(
    reading: MeterInfo20,
    *,
    session_id: bytes,
    schedule_tuple_id: int | None = None,
    receipt: ReceiptType | None = None,
) -> iso20_common.SignedMeteringData:
    """The element that station and vehicle make of a charge loop's MeterInfo and Receipt; it is signed nowhere yet.

    `schedule_tuple_id` is the chosen schedule's, None stands for dynamic control.
    """
    scheduled = schedule_tuple_id is not None
    return iso20_common.SignedMeteringData(
        Id=_ID,
        SessionID=session_id,
        MeterInfo=reading,
        Receipt=receipt,
        Dynamic_SMDTControlMode=None if scheduled else iso20_common.Dynamic_SMDTControlModeType(),
        Scheduled_SMDTControlMode=iso20_common.Scheduled_SMDTControlModeType(SelectedScheduleTupleID=schedule_tuple_id)
        if schedule_tuple_id is not None
        else None,
    )


def sign_metering_data(
    data: iso20_common.SignedMeteringData, signer: Signer, *, edition: Edition = "iso15118-20", algorithm: str = ""
) -> Signature:
    """The station's signature over its reading. Raises `signature.*`."""
    return sign(data, signer, edition=edition, algorithm=algorithm)


def check_metering_data(
    data: iso20_common.SignedMeteringData,
    signature: Signature | None,
    station: KeySource,
    *,
    session_id: bytes,
    edition: Edition = "iso15118-20",
    accept_document_digest: bool = False,
) -> SignatureCheck:
    """The vehicle's check of a reading: it is of this session and signed by the station's key.

    Raises `metering.wrong_reading`, `signature.*`, `key.*`.
    """
    if data.SessionID != session_id:
        raise _wrong_reading("SessionID", "ISO 15118-20 8.3.5.3.36")
    return verify(
        [data],
        station,
        signature=signature,
        edition=edition,
        accept_document_digest=accept_document_digest,
    )


def build_confirmation(
    data: iso20_common.SignedMeteringData,
    *,
    session_id: bytes,
    timestamp: datetime,
    signer: Signer | None = None,
    edition: Edition = "iso15118-20",
    algorithm: str = "",
) -> iso20_common.MeteringConfirmationReq:
    """The MeteringConfirmationReq that returns a reading as it was; `signer` signs it too. Raises `signature.*`."""
    message = iso20_common.MeteringConfirmationReq(
        Header=header_20(session_id, timestamp), SignedMeteringData=data
    )
    return attach(message, sign(message, signer, edition=edition, algorithm=algorithm)) if signer else message


def check_confirmation(
    message: Message,
    issued: iso20_common.SignedMeteringData,
    contract: KeySource | None = None,
    *,
    edition: Edition = "iso15118-20",
    accept_document_digest: bool = False,
) -> SignatureCheck | None:
    """The station's check of a MeteringConfirmationReq: it returns what was issued. A signature that it carries holds
    under the `contract`'s key, if that is given; returns the check of it, None if there is none to check.

    The Id is the sender's own and not compared. Raises `metering.wrong_reading` (facts: `where`), then `signature.*`,
    `key.*`; before both `metering.wrong_message`.
    """
    if not isinstance(message, iso20_common.MeteringConfirmationReq):
        raise _wrong_message(message, "MeteringConfirmationReq")
    found = message.SignedMeteringData
    for where in ("SessionID", "MeterInfo", "Receipt", "Dynamic_SMDTControlMode", "Scheduled_SMDTControlMode"):
        if getattr(found, where) != getattr(issued, where):
            raise _wrong_reading(f"SignedMeteringData/{where}", "ISO 15118-20 8.3.4.3.6")
    if contract is None or signature_of(message) is None:
        return None
    return verify(message, contract, edition=edition, accept_document_digest=accept_document_digest)


def _first_difference(found: iso2.MeterInfoType, sent: iso2.MeterInfoType) -> str:
    """The first field in which two readings differ; "" if they are the same."""
    return next((name for name in sent.__struct_fields__ if getattr(found, name) != getattr(sent, name)), "")


def _wrong_reading(where: str, clause: str) -> V2GPKIError:
    return V2GPKIError(
        "metering.wrong_reading",
        f"what is confirmed is not the reading that was sent: {where} differs",
        hint="the vehicle returns the newest MeterInfo unchanged",
        clause=clause,
        facts={"where": where},
    )


def _wrong_message(found: Message, wanted: str) -> V2GPKIError:
    return V2GPKIError(
        "metering.wrong_message",
        f"{type(found).__name__} is no {wanted}",
        hint="hand over the message as it was decoded",
        facts={"found": type(found).__name__},
    )
