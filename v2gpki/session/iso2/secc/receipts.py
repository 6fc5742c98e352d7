"""MeteringReceiptReq: the vehicle signs the reading that it was sent (ISO 15118-2 8.4.3.11, [V2G2-903], [V2G2-904],
[V2G2-481])."""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.values import taken
from v2gpki.session.questions import ReceiptQuestion, SignatureQuestion


def metering_receipt(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Reading first, then signature, then it is kept."""
    request = taken(heard, iso2.MeteringReceiptReq)
    _require_reading(visit, request)
    question = SignatureQuestion("MeteringReceiptReq", heard.message, visit.chain)
    yield from visit.judged("MeteringReceiptReq signature", question, visit.emaid)
    if visit.reading is not None:
        yield from visit.ask(ReceiptQuestion(visit.reading, heard.message))
    visit.receipt_for = None
    return Answer(iso2.MeteringReceiptRes(ResponseCode="OK", EVSEStatus=visit.status()))


def _require_reading(visit: Visit, request: iso2.MeteringReceiptReq) -> None:
    where = ""
    if request.SessionID != visit.session_id:
        where = "SessionID"
    elif request.SAScheduleTupleID not in {None, visit.chosen}:
        where = "SAScheduleTupleID"
    elif request.MeterInfo != visit.receipt_for:
        where = "MeterInfo"
    if where:
        raise V2GPKIError(
            "metering.wrong_reading",
            f"what is confirmed is not the reading that was sent: {where} differs",
            clause="[V2G2-904]",
            facts={"where": where},
        )
