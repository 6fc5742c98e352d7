"""Numbers of ISO 15118-20: RationalNumberType from floats and back, states of charge, durations.

A value that has no place is refused (`session.value`); one with more digits than fit is rounded to the nearest.
Clauses: ISO 15118-20 8.3.5.3 (RationalNumberType: 16 bits, powers of ten).
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import overload

from v2gpki.errors import V2GPKIError
from v2gpki.messages.iso20_types import RationalNumberType

_MOST = 32767
#: The last power of ten: nothing in charging is coarser.
_COARSEST = 9
_SECONDS = 2**32 - 1


def rational(value: float) -> RationalNumberType:
    """The nearest number of the message, exact to thousandths where 16 bits hold them. Raises `session.value`."""
    if not math.isfinite(value):
        raise _no_place(value)
    return _nearest(Decimal(str(value)), -3)


def money(value: Decimal) -> RationalNumberType:
    """A price or an amount of money, exact where 16 bits hold it. Raises `session.value`."""
    if not value.is_finite():
        raise _no_place(value)
    return _nearest(value, -6)


@overload
def number(value: RationalNumberType) -> float: ...
@overload
def number(value: None) -> None: ...
@overload
def number(value: RationalNumberType | None) -> float | None: ...
def number(value: RationalNumberType | None) -> float | None:
    """The float of a number of a message, None for none."""
    if value is None:
        return None
    return float(value.Value * 10**value.Exponent) if value.Exponent >= 0 else value.Value / 10**-value.Exponent


def amount(value: RationalNumberType) -> Decimal:
    """Money of a message."""
    return Decimal(value.Value).scaleb(value.Exponent)


def percent(soc: float | None) -> int | None:
    """A state of charge from 0 to 1 in percent, cut to what there is."""
    return None if soc is None else max(0, min(100, round(soc * 100)))


def fraction(soc: int | None) -> float | None:
    """A state of charge in percent, from 0 to 1."""
    return None if soc is None else soc / 100


@overload
def seconds(value: float) -> int: ...
@overload
def seconds(value: None) -> None: ...
@overload
def seconds(value: float | None) -> int | None: ...
def seconds(value: float | None) -> int | None:
    """Whole seconds from now, never negative."""
    return None if value is None else max(0, min(_SECONDS, round(value)))


def _nearest(value: Decimal, finest: int) -> RationalNumberType:
    for exponent in range(finest, _COARSEST + 1):
        scaled = int(value.scaleb(-exponent).to_integral_value())
        if abs(scaled) <= _MOST:
            while exponent < 0 and scaled % 10 == 0:
                scaled, exponent = scaled // 10, exponent + 1  # noqa: PLW2901 - the outer loop ends here
            return RationalNumberType(Exponent=exponent, Value=scaled)
    raise _no_place(value)


def _no_place(value: float | Decimal) -> V2GPKIError:
    return V2GPKIError(
        "session.value",
        f"{value} is no RationalNumber",
        hint="16 bits times a power of ten; finite",
        clause="ISO 15118-20 8.3.5.3",
        facts={"value": str(value)},
    )
