"""Quantities of ISO 15118-2: a float in V, A, W, Wh or seconds to and from PhysicalValue, Value * 10^Multiplier.

Refuses what is no number, what does not fit, and another unit than the one that the field has (schema of 8.5.2:
Value is a short, Multiplier -3 to 3).
"""

from __future__ import annotations

import math
from typing import TypeVar

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.schema import Message
from v2gpki.session.dialect import Heard

_LARGEST = 32767
_MULTIPLIERS = range(-3, 4)
BodyT = TypeVar("BodyT", bound=Message)


def physical(value: float, unit: iso2.unitSymbolType) -> iso2.PhysicalValueType:
    """The finest PhysicalValue of a quantity. Raises ``session.value``."""
    if math.isfinite(value):
        for multiplier in _MULTIPLIERS:
            scaled = round(value * 10.0**-multiplier)
            if abs(scaled) <= _LARGEST:
                while multiplier < 0 and scaled % 10 == 0:
                    multiplier, scaled = multiplier + 1, scaled // 10  # noqa: PLW2901  # nearer to the plain number
                return iso2.PhysicalValueType(Multiplier=multiplier, Unit=unit, Value=scaled)
    raise V2GPKIError(
        "session.value", f"{value} {unit} is no PhysicalValue", clause="ISO 15118-2 8.5.2", facts={"value": str(value)}
    )


def quantity(value: iso2.PhysicalValueType, unit: iso2.unitSymbolType, field: str) -> float:
    """The number in a field that has this unit. Raises ``session.wrong_parameter`` for another unit."""
    if value.Unit != unit:
        raise V2GPKIError(
            "session.wrong_parameter",
            f"{field} is in {value.Unit}, not in {unit}",
            clause="ISO 15118-2 8.5.2",
            facts={"field": field, "unit": value.Unit},
        )
    # 10 ** -3 is no number that a float holds, 10 ** 3 is: dividing rounds once.
    return float(value.Value * 10**value.Multiplier) if value.Multiplier >= 0 else value.Value / 10**-value.Multiplier


def seconds(value: iso2.PhysicalValueType | None, field: str) -> float:
    """A duration, in whichever of its units it comes; 0 for none."""
    if value is None:
        return 0.0
    factor = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(value.Unit)
    return quantity(value, value.Unit if factor else "s", field) * (factor or 1.0)


def taken(heard: Heard, kind: type[BodyT]) -> BodyT:
    """The body of a request whose handler is called by its name."""
    if not isinstance(heard.body, kind):
        raise V2GPKIError("internal.bug", f"{heard.name} is handled as {kind.__name__}")
    return heard.body
