"""Meter readings of ISO 15118-2: a reading to and from MeterInfo, whole Wh (ISO 15118-2 8.5.2.27)."""

from __future__ import annotations

from v2gpki.messages import iso2
from v2gpki.session.questions import Reading


def meter_info(reading: Reading) -> iso2.MeterInfoType:
    """A reading in a message; -2 has no register for what flows back."""
    return iso2.MeterInfoType(
        MeterID=reading.meter_id[:32],
        MeterReading=max(0, round(reading.imported)),
        SigMeterReading=reading.signature[:64] or None,
        MeterStatus=reading.status or None,
        TMeter=reading.at or None,
    )


def reading_of(info: iso2.MeterInfoType) -> Reading:
    """The reading in a message."""
    return Reading(
        meter_id=info.MeterID,
        imported=float(info.MeterReading or 0),
        at=info.TMeter or 0,
        status=info.MeterStatus or 0,
        signature=info.SigMeterReading or b"",
    )
