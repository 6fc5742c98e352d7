"""Prices: tariffs and price levels of `energy` as AbsolutePriceSchedule and PriceLevelSchedule, and back; receipts.

Elements that are to be signed have Ids; who signs is asked elsewhere. Clauses: ISO 15118-20 8.3.5.3, 8.3.5.3.47 ff.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from v2gpki.energy.schedule import Pricing
from v2gpki.energy.tariff import (
    Band,
    Charge,
    Level,
    Overstay,
    PriceLevels,
    Receipt,
    Service,
    Tariff,
    TariffSpan,
    Tax,
)
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.iso20_types import DetailedCostType, DetailedTaxType, ReceiptType
from v2gpki.session.iso20.values import amount, money, number, rational

#: The languages of ISO 639-1 in their three letters, as the message wants them; others go out as they are.
_LANGUAGES = {"en": "eng", "de": "deu", "fr": "fra", "nl": "nld", "es": "spa", "it": "ita"}
_SHORT = {three: two for two, three in _LANGUAGES.items()}


def absolute(tariff: Tariff, identifier: str | None, *, discharge: bool = False) -> cm.AbsolutePriceScheduleType:
    """A tariff as prices in money; ``identifier`` is its Id if it is to be signed. Raises `session.value`."""
    stacks = tuple(
        cm.PriceRuleStackType(
            Duration=span.seconds,
            PriceRule=tuple(_rule(band) for band in (span.discharge if discharge and span.discharge else span.charge)),
        )
        for span in tariff.spans
    )
    return cm.AbsolutePriceScheduleType(
        TimeAnchor=tariff.starts,
        PriceScheduleID=tariff.identifier,
        PriceScheduleDescription=tariff.description or None,
        Id=identifier,
        Currency=tariff.currency,
        Language=_LANGUAGES.get(tariff.language, tariff.language),
        PriceAlgorithm=tariff.algorithm,
        MinimumCost=None if tariff.minimum is None else money(tariff.minimum),
        MaximumCost=None if tariff.maximum is None else money(tariff.maximum),
        TaxRules=_taxes(tariff.taxes),
        PriceRuleStacks=cm.PriceRuleStackListType(PriceRuleStack=stacks),
        OverstayRules=_overstay(tariff.overstay),
        AdditionalSelectedServices=_services(tariff.services),
    )


def levels(prices: PriceLevels, identifier: str | None) -> cm.PriceLevelScheduleType:
    """Price levels; ``identifier`` as for `absolute`."""
    entries = tuple(cm.PriceLevelScheduleEntryType(Duration=one.seconds, PriceLevel=one.level) for one in prices.spans)
    return cm.PriceLevelScheduleType(
        TimeAnchor=prices.starts,
        PriceScheduleID=prices.identifier,
        PriceScheduleDescription=prices.description or None,
        Id=identifier,
        NumberOfPriceLevels=prices.count,
        PriceLevelScheduleEntries=cm.PriceLevelScheduleEntryListType(PriceLevelScheduleEntry=entries),
    )


def read(
    prices: cm.AbsolutePriceScheduleType | None, relative: cm.PriceLevelScheduleType | None
) -> Pricing | None:
    """The prices of a message; None for none, and for prices of which no sense can be made."""
    try:
        return _read(prices, relative)
    except V2GPKIError:
        return None


def _read(
    prices: cm.AbsolutePriceScheduleType | None, relative: cm.PriceLevelScheduleType | None
) -> Pricing | None:
    if prices is not None:
        return _read_absolute(prices)
    if relative is None:
        return None
    spans = tuple(
        Level(entry.Duration, entry.PriceLevel) for entry in relative.PriceLevelScheduleEntries.PriceLevelScheduleEntry
    )
    return PriceLevels(
        relative.PriceScheduleID,
        relative.TimeAnchor,
        relative.NumberOfPriceLevels,
        spans,
        relative.PriceScheduleDescription or "",
    )


def receipt(value: Receipt) -> ReceiptType:
    """What a session has cost so far."""
    return ReceiptType(
        TimeAnchor=value.starts,
        EnergyCosts=_cost(value.energy),
        OccupancyCosts=_cost(value.parking),
        AdditionalServicesCosts=_cost(value.services),
        OverstayCosts=_cost(value.overstay),
        TaxCosts=tuple(DetailedTaxType(TaxRuleID=rule, Amount=money(tax)) for rule, tax in value.taxes[:10]),
    )


def read_receipt(value: ReceiptType | None, currency: str) -> Receipt | None:
    """A receipt of the station; the currency is that of the prices."""
    if value is None:
        return None
    return Receipt(
        value.TimeAnchor,
        currency,
        _charge(value.EnergyCosts),
        _charge(value.OccupancyCosts),
        _charge(value.AdditionalServicesCosts),
        _charge(value.OverstayCosts),
        tuple((tax.TaxRuleID, amount(tax.Amount)) for tax in value.TaxCosts),
    )


def offer(tariff: Tariff) -> cm.EVAbsolutePriceScheduleType:
    """What the vehicle wants for its energy."""
    stacks = tuple(
        cm.EVPriceRuleStackType(
            Duration=span.seconds,
            EVPriceRule=tuple(
                cm.EVPriceRuleType(EnergyFee=money(band.price), PowerRangeStart=rational(band.power_from))
                for band in (span.discharge or span.charge)
            ),
        )
        for span in tariff.spans
    )
    return cm.EVAbsolutePriceScheduleType(
        TimeAnchor=tariff.starts,
        Currency=tariff.currency,
        PriceAlgorithm=tariff.algorithm,
        EVPriceRuleStacks=cm.EVPriceRuleStackListType(EVPriceRuleStack=stacks),
    )


def read_offer(value: cm.EVAbsolutePriceScheduleType) -> Tariff:
    """What the vehicle wants for its energy, as a tariff of the way out of it (and, as one needs prices, into it)."""
    spans = []
    for stack in value.EVPriceRuleStacks.EVPriceRuleStack:
        bands = _rising([Band(amount(rule.EnergyFee), number(rule.PowerRangeStart)) for rule in stack.EVPriceRule])
        spans.append(TariffSpan(stack.Duration, bands, bands))
    return Tariff(1, value.TimeAnchor, value.Currency, tuple(spans), algorithm=value.PriceAlgorithm)


# --- parts ----------------------------------------------------------------------------------------------------------


def _rule(band: Band) -> cm.PriceRuleType:
    return cm.PriceRuleType(
        EnergyFee=money(band.price),
        ParkingFee=None if band.parking is None else money(band.parking),
        ParkingFeePeriod=band.parking_seconds,
        CarbonDioxideEmission=band.co2,
        RenewableGenerationPercentage=band.renewable,
        PowerRangeStart=rational(band.power_from),
    )


def _taxes(taxes: Sequence[Tax]) -> cm.TaxRuleListType | None:
    rules = tuple(
        cm.TaxRuleType(
            TaxRuleID=tax.identifier,
            TaxRuleName=tax.name or None,
            TaxRate=money(tax.rate),
            TaxIncludedInPrice=tax.included,
            AppliesToEnergyFee=tax.on_energy,
            AppliesToParkingFee=tax.on_parking,
            AppliesToOverstayFee=tax.on_overstay,
            AppliesMinimumMaximumCost=tax.on_bounds,
        )
        for tax in taxes
    )
    return cm.TaxRuleListType(TaxRule=rules) if rules else None


def _overstay(rules: Sequence[Overstay]) -> cm.OverstayRuleListType | None:
    listed = tuple(
        cm.OverstayRuleType(
            OverstayRuleDescription=rule.description or None,
            StartTime=rule.after,
            OverstayFee=money(rule.fee),
            OverstayFeePeriod=rule.seconds,
        )
        for rule in rules
    )
    return cm.OverstayRuleListType(OverstayRule=listed) if listed else None


def _services(services: Sequence[Service]) -> cm.AdditionalServiceListType | None:
    listed = tuple(cm.AdditionalServiceType(ServiceName=one.name, ServiceFee=money(one.fee)) for one in services)
    return cm.AdditionalServiceListType(AdditionalService=listed) if listed else None


def _read_absolute(prices: cm.AbsolutePriceScheduleType) -> Tariff:
    spans = tuple(
        TariffSpan(stack.Duration, _rising([_band(rule) for rule in stack.PriceRule]))
        for stack in prices.PriceRuleStacks.PriceRuleStack
    )
    taxes = tuple(
        Tax(
            rule.TaxRuleID,
            amount(rule.TaxRate),
            rule.TaxRuleName or "",
            bool(rule.TaxIncludedInPrice),
            rule.AppliesToEnergyFee,
            rule.AppliesToParkingFee,
            rule.AppliesToOverstayFee,
            rule.AppliesMinimumMaximumCost,
        )
        for rule in (prices.TaxRules.TaxRule if prices.TaxRules else ())
    )
    overstay = tuple(
        Overstay(rule.StartTime, amount(rule.OverstayFee), rule.OverstayFeePeriod, rule.OverstayRuleDescription or "")
        for rule in (prices.OverstayRules.OverstayRule if prices.OverstayRules else ())
    )
    services = prices.AdditionalSelectedServices
    return Tariff(
        prices.PriceScheduleID,
        prices.TimeAnchor,
        prices.Currency,
        spans,
        prices.PriceScheduleDescription or "",
        _SHORT.get(prices.Language, prices.Language),
        prices.PriceAlgorithm,
        None if prices.MinimumCost is None else amount(prices.MinimumCost),
        None if prices.MaximumCost is None else amount(prices.MaximumCost),
        taxes,
        overstay,
        tuple(Service(one.ServiceName, amount(one.ServiceFee)) for one in services.AdditionalService)
        if services
        else (),
    )


def _band(rule: cm.PriceRuleType) -> Band:
    # Some stations send a parking fee whose period is 0: no fee.
    parking = rule.ParkingFee if rule.ParkingFeePeriod else None
    return Band(
        amount(rule.EnergyFee),
        number(rule.PowerRangeStart),
        None if parking is None else amount(parking),
        None if parking is None else rule.ParkingFeePeriod,
        rule.CarbonDioxideEmission,
        rule.RenewableGenerationPercentage,
    )


def _rising(bands: Sequence[Band]) -> tuple[Band, ...]:
    """Bands by power, the first from 0 W on; of two for one power the last holds."""
    by_power = {band.power_from: band for band in bands}
    least = min(by_power)
    return tuple(
        replace(by_power[power], power_from=0.0) if power == least else by_power[power] for power in sorted(by_power)
    )


def _cost(charge: Charge | None) -> DetailedCostType | None:
    if charge is None:
        return None
    return DetailedCostType(Amount=money(charge.amount), CostPerUnit=money(charge.per_unit))


def _charge(cost: DetailedCostType | None) -> Charge | None:
    return None if cost is None else Charge(amount(cost.Amount), amount(cost.CostPerUnit))


