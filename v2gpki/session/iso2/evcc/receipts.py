"""Metering receipts: the reading that the station sent, signed with the contract's key (ISO 15118-2 8.4.3.11,
[V2G2-903])."""

from __future__ import annotations

from v2gpki.messages import iso2
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.iso2.metering import reading_of
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import ReceiptQuestion, SigningQuestion


def receipt(trip: Trip, info: iso2.MeterInfoType | None) -> Steps[bool]:
    """Give the receipt; False when this vehicle gives none, which ends charging."""
    contract = trip.contract if trip.method == "pnc" else None
    if contract is None or info is None or not trip.settings.receipts:
        what = "no reading" if info is None else "no contract" if contract is None else "no leave to sign"
        trip.engine.tell(Remarked(trip.engine.now, f"the vehicle signs no receipt: there is {what}"))
        return False
    yield from trip.ask(ReceiptQuestion(reading_of(info), trip.engine.clock.now()))
    body = iso2.MeteringReceiptReq(
        Id="id1", SessionID=trip.session_id, SAScheduleTupleID=trip.choice.number, MeterInfo=info
    )
    signature = yield from trip.ask(SigningQuestion("MeteringReceiptReq", trip.message(body), contract.emaid))
    response = yield from trip.exchange(body, iso2.MeteringReceiptRes, signature=signature)
    wanted = trip.notification
    trip.noted(response.EVSEStatus)
    trip.notification = trip.notification or wanted
    return True
