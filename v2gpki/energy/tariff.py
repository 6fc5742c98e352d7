"""What energy costs, as a value: by time, by power, each way, with taxes and fees.

Money is Decimal, in the currency of the tariff; a price is for 1 kWh. From it a SalesTariff of -2 (levels and
percentages) and an AbsolutePriceSchedule of -20 can be built. Clauses: ISO 15118-2 8.5.2.9 to 8.5.2.15, ISO 15118-20
8.3.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from v2gpki.errors import V2GPKIError

#: How a price schedule of -20 is to be reckoned: each Wh by the band of the power at which it flowed.
BY_POWER = "urn:iso:std:iso:15118:-20:PriceAlgorithm:1-Power"


@dataclass(frozen=True, slots=True)
class Band:
    """A price from a power (W) upwards, with parking per ``parking_seconds``, g of CO2 per kWh, % of renewables."""

    price: Decimal
    power_from: float = 0.0
    parking: Decimal | None = None
    parking_seconds: int | None = None
    co2: int | None = None
    renewable: int | None = None


@dataclass(frozen=True, slots=True)
class TariffSpan:
    """Prices for a span of seconds: of energy into the vehicle, and what is paid for energy out of it.

    Bands begin at 0 W and rise. Without ``discharge`` nothing is paid. Raises ``energy.invalid``.
    """

    seconds: int
    charge: tuple[Band, ...]
    discharge: tuple[Band, ...] = ()

    def __post_init__(self) -> None:
        """The rules above."""
        if self.seconds < 1 or not self.charge:
            raise _invalid(f"a span of {self.seconds} s with {len(self.charge)} bands", "at least 1 s and one band")
        for bands in (self.charge, self.discharge):
            powers = [band.power_from for band in bands]
            if powers and (powers[0] != 0 or powers != sorted(set(powers))):
                raise _invalid(f"bands from {powers} W", "the first from 0 W, the others rising")
            if any((band.parking is None) != (not band.parking_seconds) for band in bands):
                raise _invalid("a parking fee without its period, or a period without a fee", "give both or none")


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax in percent, and what it applies to; 0.19 of a price is a rate of 19."""

    identifier: int
    rate: Decimal
    name: str = ""
    included: bool = False
    on_energy: bool = True
    on_parking: bool = True
    on_overstay: bool = True
    on_bounds: bool = False


@dataclass(frozen=True, slots=True)
class Overstay:
    """A fee for each period of ``seconds`` from ``after`` seconds on, when charging is over."""

    after: int
    fee: Decimal
    seconds: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A service with a fee of its own."""

    name: str
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices from ``starts`` (Unix seconds) on, span after span; ``currency`` by ISO 4217, ``language`` by ISO 639.

    Before ``starts`` the first span's prices hold, after the last span its own. ``minimum`` and ``maximum`` bound the
    sum of a session before taxes. Raises ``energy.invalid``.
    """

    identifier: int
    starts: int
    currency: str
    spans: tuple[TariffSpan, ...]
    description: str = ""
    language: str = "en"
    algorithm: str = BY_POWER
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    taxes: tuple[Tax, ...] = ()
    overstay: tuple[Overstay, ...] = ()
    services: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        """The rules above."""
        if len(self.currency) != 3 or not (self.currency.isascii() and self.currency.isupper()):
            raise _invalid(f"the currency {self.currency[:10]!r}", "three letters, like EUR")
        if not self.spans:
            raise _invalid("a tariff without a span", "at least one")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise _invalid(f"at least {self.minimum} and at most {self.maximum}", "the minimum is the smaller one")

    def since(self, at: int) -> Tariff:
        """The same prices from a Unix second on: what is past is cut off, the first span begins then."""
        left = [*self.spans]
        begins = self.starts
        while len(left) > 1 and begins + left[0].seconds <= at:
            begins += left.pop(0).seconds
        # the last span goes on: it is no shorter than it was
        if len(left) > 1:
            left[0] = replace(left[0], seconds=begins + left[0].seconds - at)
        return replace(self, starts=at, spans=tuple(left))

    def levels(self) -> PriceLevels:
        """How dear each span is beside the others, by its price from 0 W on; equal prices have one level."""
        prices = sorted({span.charge[0].price for span in self.spans})
        spans = tuple(Level(span.seconds, prices.index(span.charge[0].price)) for span in self.spans)
        return PriceLevels(self.identifier, self.starts, len(prices), spans, self.description)

    def span_at(self, at: float) -> tuple[TariffSpan, float]:
        """The span at a Unix second, and the second at which its prices end (infinite: never)."""
        ends = float(self.starts)
        for span in self.spans[:-1]:
            ends += span.seconds
            if at < ends:
                return span, ends
        return self.spans[-1], float("inf")


@dataclass(frozen=True, slots=True)
class Level:
    """How dear a span of seconds is, 0 the cheapest."""

    seconds: int
    level: int


@dataclass(frozen=True, slots=True)
class PriceLevels:
    """Prices relative to each other, from ``starts`` (Unix seconds) on; ``count`` levels."""

    identifier: int
    starts: int
    count: int
    spans: tuple[Level, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of a receipt: an amount, and what a unit of it costs."""

    amount: Decimal
    per_unit: Decimal


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a session has cost so far; ``starts`` in Unix seconds, ``taxes`` by the number of their rule."""

    starts: int
    currency: str
    energy: Charge | None = None
    parking: Charge | None = None
    services: Charge | None = None
    overstay: Charge | None = None
    taxes: tuple[tuple[int, Decimal], ...] = ()


def _invalid(what: str, hint: str) -> V2GPKIError:
    return V2GPKIError("energy.invalid", f"no tariff: {what}", hint=hint)
