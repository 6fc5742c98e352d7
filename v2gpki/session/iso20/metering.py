"""Meter readings of ISO 15118-20: MeterInfo from a reading and back, and the SignedMeteringData that both sides make of
what the charging loop said.

The station signs that element; the signature stands in the header of the loop's response, because no message of the
station has a place for the element itself. The vehicle returns it as it was. Clauses: ISO 15118-20 8.3.4.3.6,
8.3.5.3.36.
"""

from __future__ import annotations

from v2gpki.energy.quantities import Reading
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.iso20_types import MeterInfoType, ReceiptType

#: What the name of the element is in questions about its signature.
PURPOSE = "SignedMeteringData"
_ID = "id1"
_MOST = 2**64 - 1


def info(reading: Reading) -> MeterInfoType:
    """A reading as the message has it: whole Wh."""
    return MeterInfoType(
        MeterID=reading.meter_id[:32],
        ChargedEnergyReadingWh=_whole(reading.imported),
        BPT_DischargedEnergyReadingWh=_whole(reading.exported) if reading.exported else None,
        CapacitiveEnergyReadingVARh=None if reading.capacitive_varh is None else _whole(reading.capacitive_varh),
        BPT_InductiveEnergyReadingVARh=None if reading.inductive_varh is None else _whole(reading.inductive_varh),
        MeterSignature=reading.signature or None,
        MeterStatus=reading.status,
        MeterTimestamp=reading.at,
    )


def reading(value: MeterInfoType) -> Reading:
    """The reading of a message."""
    capacitive, inductive = value.CapacitiveEnergyReadingVARh, value.BPT_InductiveEnergyReadingVARh
    return Reading(
        value.MeterID,
        float(value.ChargedEnergyReadingWh),
        float(value.BPT_DischargedEnergyReadingWh or 0),
        value.MeterTimestamp,
        value.MeterSignature,
        value.MeterStatus,
        None if capacitive is None else float(capacitive),
        None if inductive is None else float(inductive),
    )


def signed_data(
    meter: MeterInfoType, receipt: ReceiptType | None, session_id: bytes, schedule: int
) -> cm.SignedMeteringData:
    """The element of a reading; ``schedule`` 0 stands for dynamic control."""
    return cm.SignedMeteringData(
        Id=_ID,
        SessionID=session_id,
        MeterInfo=meter,
        Receipt=receipt,
        Dynamic_SMDTControlMode=None if schedule else cm.Dynamic_SMDTControlModeType(),
        Scheduled_SMDTControlMode=cm.Scheduled_SMDTControlModeType(SelectedScheduleTupleID=schedule)
        if schedule
        else None,
    )


def require_same(found: cm.SignedMeteringData, issued: cm.SignedMeteringData) -> None:
    """A confirmation returns what was issued; its Id is the sender's own. Raises `metering.wrong_reading`."""
    for where in ("SessionID", "MeterInfo", "Receipt", "Dynamic_SMDTControlMode", "Scheduled_SMDTControlMode"):
        if getattr(found, where) != getattr(issued, where):
            raise V2GPKIError(
                "metering.wrong_reading",
                f"what is confirmed is not the reading that was sent: SignedMeteringData/{where} differs",
                hint="the vehicle returns the newest MeterInfo unchanged",
                clause="ISO 15118-20 8.3.4.3.6",
                facts={"where": f"SignedMeteringData/{where}"},
            )


def _whole(energy: float) -> int:
    return max(0, min(_MOST, round(energy)))
