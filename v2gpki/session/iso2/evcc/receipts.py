"""Metering receipts: the reading that the station sent, signed with the contract's key (ISO 15118-2 8.4.3.11,
[V2G2-903])."""

from __future__ import annotations

from v2gpki.messages import iso2
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.iso2.metering import reading_of
from v2gpki.session.iso2.words import WISHES
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import MeteringQuestion, SigningQuestion


def receipt(trip: Trip, info: iso2.MeterInfoType | None) -> Steps[bool]:
    """Give the receipt; False when this vehicle gives none, which ends charging."""
    contract = trip.contract if trip.method == "pnc" else None
    if contract is None or info is None:
        what = "no reading" if info is None else "no contract"
        trip.engine.tell(Remarked(trip.engine.now, f"the vehicle signs no receipt: there is {what}"))
        return False
    if not (yield from trip.ask(MeteringQuestion(reading_of(info)))):
        trip.engine.tell(Remarked(trip.engine.now, "the vehicle does not confirm the reading"))
        return False
    schedule = None if trip.chosen is None else trip.chosen.identifier
    body = iso2.MeteringReceiptReq(
        Id="id1", SessionID=trip.session_id, SAScheduleTupleID=schedule, MeterInfo=info
    )
    signature = yield from trip.ask(SigningQuestion("MeteringReceiptReq", trip.message(body), contract.emaid))
    response = yield from trip.exchange(body, iso2.MeteringReceiptRes, signature=signature)
    if WISHES[response.EVSEStatus.EVSENotification] or isinstance(response.EVSEStatus, iso2.DC_EVSEStatus):
        trip.noted(response.EVSEStatus)
    return True
