"""An energy meter: two registers that never go back."""

from __future__ import annotations

import math

from v2gpki.energy.quantities import Reading
from v2gpki.errors import V2GPKIError


class Meter:
    """Wh into the vehicle and out of it, since the meter exists."""

    def __init__(self, meter_id: str, *, imported: float = 0.0, exported: float = 0.0) -> None:
        """``meter_id`` has 1 to 32 characters, as messages carry it. Raises ``energy.invalid``."""
        if not 1 <= len(meter_id) <= 32 or imported < 0 or exported < 0:
            raise V2GPKIError(
                "energy.invalid",
                f"no meter: {meter_id[:40]!r} with {imported} and {exported} Wh",
                hint="an id of 1 to 32 characters, registers not below 0",
            )
        self.meter_id = meter_id
        self._imported = imported
        self._exported = exported

    def count(self, energy: float) -> None:
        """Add ``energy`` in Wh, negative: out of the vehicle. Raises ``energy.invalid`` when it is no number."""
        if not math.isfinite(energy):
            raise V2GPKIError("energy.invalid", f"a meter cannot count {energy} Wh", hint="a finite number")
        if energy > 0:
            self._imported += energy
        else:
            self._exported -= energy

    def read(self, at: int | None = None) -> Reading:
        """The registers; ``at`` in Unix seconds."""
        return Reading(self.meter_id, self._imported, self._exported, at)
