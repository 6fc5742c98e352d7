"""The timers of both editions, in seconds: how long each side waits, and how soon the station has to answer.

Values: ISO 15118-2 table 109 and 8.8.3, ISO 15118-20 table 215 ff., as the public stacks have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Timers:
    """All timers of an edition; tests and slow labs make their own with ``dataclasses.replace``.

    ``sequence``: the SECC waits so long for the next request; ``sequence_performance``: so soon the EVCC sends it.
    ``loop_sequence`` is the same within the charging loop of -20 (0.5 s in the standard; 0: as outside of it, because
    vehicles of the field do not keep it).
    ``ongoing``: so long may "still working" go on before the EVCC gives up; the SECC does after
    ``ongoing_performance``; ``cable_check`` and ``pre_charge`` in the same way. ``set_up``: from the connection to
    SessionSetupRes, at the EVCC. ``response``: so long the EVCC waits for an answer, by the name of the request.
    ``performance``: so soon the SECC answers; ``patience``: after so long it answers with a failure, where that is
    not the same (a charging loop is not broken off for some milliseconds).
    """

    handshake: float
    sequence: float
    sequence_performance: float
    ongoing: float
    set_up: float
    cable_check: float
    pre_charge: float
    loop_sequence: float = 0.0
    ongoing_performance: float = 55.0
    cable_check_performance: float = 38.0
    default_response: float = 2.0
    default_performance: float = 1.5
    response: Mapping[str, float] = field(default_factory=dict)
    performance: Mapping[str, float] = field(default_factory=dict)
    patience: Mapping[str, float] = field(default_factory=dict)

    def next_within(self, state: str) -> float:
        """How long the SECC waits for the next request in a state."""
        looping = state.startswith(("charging", "confirming", "renegotiating", "renegotiated"))
        return self.loop_sequence if looping and self.loop_sequence else self.sequence

    def waits(self, request: str) -> float:
        """How long the EVCC waits for the answer to a request."""
        return self.response.get(request, self.default_response)

    def answers_within(self, request: str) -> float:
        """How soon the SECC answers a request."""
        return self.performance.get(request, self.default_performance)

    def fails_after(self, request: str) -> float:
        """When the SECC stops to look for an answer, and sends a failure."""
        return self.patience.get(request, self.answers_within(request))


def patient(timers: Timers, seconds: float) -> Timers:
    """The same for a vehicle at a station that misses the standard's times: it waits so long for every answer."""
    return replace(timers, default_response=seconds, response={})


_LONG_ISO2 = (
    "ServiceDetailReq",
    "CertificateInstallationReq",
    "CertificateUpdateReq",
    "PaymentDetailsReq",
    "PowerDeliveryReq",
)

ISO2 = Timers(
    handshake=2.0,
    sequence=60.0,
    sequence_performance=40.0,
    ongoing=60.0,
    set_up=20.0,
    cable_check=40.0,
    pre_charge=7.0,
    response={**dict.fromkeys(_LONG_ISO2, 5.0), "CurrentDemandReq": 0.25},
    performance={**dict.fromkeys(_LONG_ISO2, 4.5), "CurrentDemandReq": 0.025},
    patience={"CurrentDemandReq": 0.2},
)

_LONG_ISO20 = ("CertificateInstallationReq", "ServiceDetailReq", "PowerDeliveryReq")

ISO20 = Timers(
    handshake=2.0,
    sequence=60.0,
    sequence_performance=40.0,
    ongoing=60.0,
    set_up=20.0,
    cable_check=40.0,
    pre_charge=10.0,
    response={**dict.fromkeys(_LONG_ISO20, 5.0), "AC_ChargeLoopReq": 0.5, "DC_ChargeLoopReq": 0.5},
    performance={**dict.fromkeys(_LONG_ISO20, 4.5), "AC_ChargeLoopReq": 0.25, "DC_ChargeLoopReq": 0.25},
    patience={"AC_ChargeLoopReq": 0.4, "DC_ChargeLoopReq": 0.4},
)
