"""SalesTariff of ISO 15118-2 to and from values.

It has no currency. On the way out a price is a level and a share of the dearest price, in percent, with renewables and
CO2 beside it; on the way in the levels are what a vehicle compares, made of the shares where a tariff has no levels.
Clauses: ISO 15118-2 8.5.2.16 ff.
"""

from __future__ import annotations

from decimal import Decimal

from v2gpki.energy.schedule import Pricing, Schedule
from v2gpki.energy.tariff import Band, Level, PriceLevels, Tariff
from v2gpki.messages import iso2
from v2gpki.session.iso2.values import physical

_DAY = 86_400
_MOST_BANDS = 3
_MOST_LEVELS = 255
_MOST_START = 16_777_214
_PERCENT = 100


def written(schedule: Schedule, now: int, most: int) -> iso2.SalesTariffType | None:
    """The tariff of a schedule, with an Id if it shall be signed; None for none."""
    price = schedule.price
    if price is None:
        return None
    levels = price.levels() if isinstance(price, Tariff) else price
    dearest = _dearest(price)
    kept = _beginnings(levels, now)[:most]
    entries = tuple(
        iso2.SalesTariffEntry(
            TimeInterval=iso2.RelativeTimeInterval(
                start=min(begins, _MOST_START),
                duration=min(levels.spans[span].seconds, _DAY) if (begins, span) == kept[-1] else None,
            ),
            EPriceLevel=min(levels.spans[span].level + 1, _MOST_LEVELS),
            ConsumptionCost=tuple(_cost(band, dearest) for band in price.spans[span].charge[:_MOST_BANDS])
            if isinstance(price, Tariff)
            else (),
        )
        for begins, span in kept
    )
    return iso2.SalesTariffType(
        Id=f"id{schedule.identifier}" if schedule.signed else None,
        SalesTariffID=schedule.identifier,
        SalesTariffDescription=price.description[:32] or None,
        NumEPriceLevels=min(levels.count, _MOST_LEVELS),
        SalesTariffEntry=entries,
    )


def _beginnings(levels: PriceLevels, now: int) -> list[tuple[int, int]]:
    """Seconds after ``now`` and number of each span that is not past; the last one's prices hold for ever."""
    found: list[tuple[int, int]] = []
    begins = levels.starts - now
    for number, level in enumerate(levels.spans):
        begins += level.seconds
        if begins > 0 or number == len(levels.spans) - 1:
            found.append((max(0, begins - level.seconds) if found else 0, number))
    return found


def _dearest(price: Pricing) -> Decimal:
    if not isinstance(price, Tariff):
        return Decimal(1)
    return max((abs(band.price) for span in price.spans for band in span.charge), default=Decimal(1)) or Decimal(1)


def _cost(band: Band, dearest: Decimal) -> iso2.ConsumptionCostType:
    share = max(0, round(_PERCENT * band.price / dearest))
    costs = [iso2.CostType(costKind="relativePricePercentage", amount=share)]
    if band.renewable is not None:
        costs.append(iso2.CostType(costKind="RenewableGenerationPercentage", amount=max(0, band.renewable)))
    if band.co2 is not None:
        costs.append(iso2.CostType(costKind="CarbonDioxideEmission", amount=max(0, band.co2)))
    return iso2.ConsumptionCostType(startValue=physical(band.power_from, "W"), Cost=tuple(costs))


def read(tariff: iso2.SalesTariffType | None, now: int) -> PriceLevels | None:
    """A tariff by its levels, 0 the cheapest; None for none, or one that says nothing of prices."""
    if tariff is None:
        return None
    entries = sorted(tariff.SalesTariffEntry, key=lambda entry: entry.TimeInterval.start)
    dear = [_share(entry) for entry in entries]
    if any(value is None for value in dear):
        dear = [None if entry.EPriceLevel is None else Decimal(entry.EPriceLevel) for entry in entries]
    if all(value is None for value in dear):
        return None
    known = sorted({value for value in dear if value is not None})
    begins = [entry.TimeInterval.start for entry in entries]
    last = entries[-1].TimeInterval.duration
    ends = [*begins[1:], begins[-1] + (_DAY if last is None else max(1, last))]
    spans = tuple(
        Level(max(1, end - begin), known.index(value) if value is not None else len(known) - 1)
        for value, begin, end in zip(dear, begins, ends, strict=True)
    )
    return PriceLevels(tariff.SalesTariffID, now + begins[0], len(known), spans, tariff.SalesTariffDescription or "")


def _share(entry: iso2.SalesTariffEntry) -> Decimal | None:
    """What an entry costs beside the others, from 0 W on; None: it does not say."""
    for consumption in entry.ConsumptionCost:
        for cost in consumption.Cost:
            if cost.costKind == "relativePricePercentage":
                return Decimal(cost.amount).scaleb(cost.amountMultiplier or 0)
    return None
