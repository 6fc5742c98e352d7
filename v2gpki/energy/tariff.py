"""What energy costs, as a value: by time, by power, each way, with taxes and fees.

Money is Decimal, in the currency of the tariff; a price is for 1 kWh. From it a SalesTariff of -2 (levels and
percentages) and an AbsolutePriceSchedule of -20 can be built. Clauses: ISO 15118-2 8.5.2.9 to 8.5.2.15, ISO 15118-20
8.3.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

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

    Bands begin at 0 W and rise. No ``discharge`` is a price of 0.
    """

    seconds: int
    charge: tuple[Band, ...]
    discharge: tuple[Band, ...] = ()


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
    """Prices from ``starts`` (Unix seconds) on, span after span; ``currency`` by ISO 4217, ``language`` by ISO 639."""

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
