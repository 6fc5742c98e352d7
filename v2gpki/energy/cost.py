"""What a session has cost: a tariff over meter readings, in Decimal.

Between two readings the power is taken for constant; an interval over the end of a span is divided by time. Energy is
priced by the band of that power (-20 names this algorithm 1-Power), parking by the second. Sums are exact until the
end; then each line of a receipt is rounded to ``places`` decimal places, half up. What the operator pays for energy out
of the vehicle counts negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from v2gpki.energy.quantities import Reading
from v2gpki.energy.tariff import Band, Charge, Overstay, Receipt, Tariff
from v2gpki.errors import V2GPKIError

_ZERO = Decimal(0)
_KILO = Decimal(1000)


@dataclass(slots=True)
class _Sums:
    energy: Decimal = _ZERO
    parking: Decimal = _ZERO
    wh: Decimal = _ZERO
    seconds: int = 0


def receipt(
    tariff: Tariff, readings: Sequence[Reading], *, overstay_seconds: int = 0, places: int = 2
) -> Receipt:
    """What the readings cost, from the first to the last; ``overstay_seconds`` after charging was over.

    A line that the tariff has no fee for is None. Taxes that the prices include are shown with their part of the sums,
    others come on top. Raises ``energy.invalid``: no readings, one without a time, time or a register that goes back.
    """
    if not readings:
        raise V2GPKIError("energy.invalid", "there is no reading to reckon with", hint="at least the first one")
    sums = _Sums()
    for before, after in pairwise(readings):
        _add(sums, tariff, before, after)
    overstay = sum((_overstay(rule, overstay_seconds) for rule in tariff.overstay), _ZERO)
    services = sum((service.fee for service in tariff.services), _ZERO)
    has_parking = any(band.parking is not None for span in tariff.spans for band in span.charge)
    return Receipt(
        starts=_time(readings[0]),
        currency=tariff.currency,
        energy=Charge(rounded(sums.energy, places), rounded(_per(sums.energy, sums.wh / _KILO), places + 2)),
        parking=Charge(rounded(sums.parking, places), _per_hour(sums.parking, sums.seconds, places))
        if has_parking
        else None,
        services=Charge(rounded(services, places), rounded(services, places)) if tariff.services else None,
        overstay=Charge(rounded(overstay, places), rounded(overstay, places)) if tariff.overstay else None,
        taxes=tuple(_taxes(tariff, sums.energy, sums.parking, overstay, places)),
    )


def total(tariff: Tariff, bill: Receipt) -> Decimal:
    """What is to be paid: the lines, within the tariff's bounds, and the taxes that are not in the prices."""
    lines = (bill.energy, bill.parking, bill.services, bill.overstay)
    amount = sum((line.amount for line in lines if line is not None), _ZERO)
    if tariff.minimum is not None:
        amount = max(amount, tariff.minimum)
    if tariff.maximum is not None:
        amount = min(amount, tariff.maximum)
    on_top = {tax.identifier for tax in tariff.taxes if not tax.included}
    return amount + sum((tax for identifier, tax in bill.taxes if identifier in on_top), _ZERO)


def rounded(amount: Decimal, places: int = 2) -> Decimal:
    """``amount`` with so many decimal places, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _add(sums: _Sums, tariff: Tariff, before: Reading, after: Reading) -> None:
    """One interval, cut where the tariff's spans end."""
    begins, ends = _time(before), _time(after)
    imported, exported = _difference(before.imported, after.imported), _difference(before.exported, after.exported)
    if ends < begins or imported < 0 or exported < 0:
        raise V2GPKIError(
            "energy.invalid",
            f"the meter {after.meter_id} goes back: {before} before {after}",
            hint="readings of one meter in the order of time",
        )
    sums.wh += imported - exported
    sums.seconds += ends - begins
    at, seconds = begins, max(ends - begins, 0)
    while True:
        span, until = tariff.span_at(at)
        cut = int(min(until, ends))
        part = Decimal(cut - at) / seconds if seconds else Decimal(1)
        charge = _band(span.charge, imported, seconds)
        sums.energy += charge.price * imported * part / _KILO
        if exported:
            sums.energy -= _band(span.discharge, exported, seconds).price * exported * part / _KILO
        if charge.parking is not None and charge.parking_seconds:
            sums.parking += charge.parking * (cut - at) / charge.parking_seconds
        at = cut
        if at >= ends:
            return


def _band(bands: Sequence[Band], energy: Decimal, seconds: int) -> Band:
    """The band of the mean power; energy in no time has flowed at any power."""
    if not bands:
        return Band(_ZERO)
    power = energy * 3600 / seconds if seconds else _ZERO
    return [band for band in bands if Decimal(band.power_from) <= power][-1]


def _overstay(rule: Overstay, seconds: int) -> Decimal:
    """The fee for each period that has begun."""
    return rule.fee * -(-max(seconds - rule.after, 0) // rule.seconds)


def _taxes(
    tariff: Tariff, energy: Decimal, parking: Decimal, overstay: Decimal, places: int
) -> Iterable[tuple[int, Decimal]]:
    for tax in tariff.taxes:
        base = energy * tax.on_energy + parking * tax.on_parking + overstay * tax.on_overstay
        # of 119 at 19 % included, 19 is the tax
        share = tax.rate / (100 + tax.rate) if tax.included else tax.rate / 100
        yield tax.identifier, rounded(base * share, places)


def _difference(before: float, after: float) -> Decimal:
    """Of two registers, to the mWh: binary fractions below that are of nobody's meter."""
    return rounded(Decimal(after) - Decimal(before), 3)


def _time(reading: Reading) -> int:
    if reading.at is None:
        raise V2GPKIError(
            "energy.invalid", f"a reading of {reading.meter_id} has no time", hint="a tariff needs readings with times"
        )
    return reading.at


def _per(amount: Decimal, units: Decimal) -> Decimal:
    return amount / units if units else _ZERO


def _per_hour(amount: Decimal, seconds: int, places: int) -> Decimal:
    return rounded(_per(amount * 3600, Decimal(seconds)), places + 2)
