"""Meter readings of ISO 15118-2: a reading to and from MeterInfo, whole Wh (ISO 15118-2 8.5.2.27)."""

from __future__ import annotations

from v2gpki.energy.quantities import Reading
from v2gpki.messages import iso2


def meter_info(reading: Reading) -> iso2.MeterInfoType:
    """A reading in a message; -2 has no register for what flows back."""
    return iso2.MeterInfoType(
        MeterID=reading.meter_id[:32],
        MeterReading=max(0, round(reading.imported)),
        SigMeterReading=reading.signature or None,
        MeterStatus=reading.status,
        TMeter=reading.at,
    )


def reading_of(info: iso2.MeterInfoType) -> Reading:
    """The reading in a message."""
    return Reading(
        meter_id=info.MeterID,
        imported=float(info.MeterReading or 0),
        at=info.TMeter,
        signature=info.SigMeterReading,
        status=info.MeterStatus,
    )
