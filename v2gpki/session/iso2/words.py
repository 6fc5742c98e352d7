"""The words of ISO 15118-2 for the words of `energy`: ways to transfer, states, faults, notifications, payment."""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.energy.offer import Connector, EnergyService, Method, Notification, Offer, Variant
from v2gpki.energy.quantities import Current, IsolationState, StageState, VehicleFault
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2

Mode = iso2.EnergyTransferModeType

#: In the order of the schema; their places are what a paused session keeps.
MODES: Mapping[Mode, tuple[Current, Connector]] = {
    "AC_single_phase_core": ("AC", "single_phase"),
    "AC_three_phase_core": ("AC", "three_phase"),
    "DC_core": ("DC", "core"),
    "DC_extended": ("DC", "extended"),
    "DC_combo_core": ("DC", "combo_core"),
    "DC_unique": ("DC", "unique"),
}
OPTIONS: Mapping[Method, iso2.paymentOptionType] = {"pnc": "Contract", "eim": "ExternalPayment"}
NOTIFICATIONS: Mapping[Notification, iso2.EVSENotificationType] = {
    "stop": "StopCharging",
    # -2 has no word for it: the vehicle may stop with a pause.
    "pause": "StopCharging",
    "renegotiate_schedule": "ReNegotiation",
}
WISHES: Mapping[iso2.EVSENotificationType, Notification] = {
    "None": "",
    "StopCharging": "stop",
    "ReNegotiation": "renegotiate_schedule",
}
ISOLATION: Mapping[IsolationState, iso2.isolationLevelType] = {
    "unknown": "Invalid",
    "valid": "Valid",
    "warning": "Warning",
    "fault": "Fault",
    "no_imd": "No_IMD",
}
STATES: Mapping[StageState, iso2.DC_EVSEStatusCodeType] = {
    "not_ready": "EVSE_NotReady",
    "ready": "EVSE_Ready",
    "shutdown": "EVSE_Shutdown",
    "utility_interrupt": "EVSE_UtilityInterruptEvent",
    "isolation_monitoring": "EVSE_IsolationMonitoringActive",
    "emergency_shutdown": "EVSE_EmergencyShutdown",
    "malfunction": "EVSE_Malfunction",
}
FAULTS: Mapping[VehicleFault, iso2.DC_EVErrorCodeType] = {
    "": "NO_ERROR",
    "temperature_inhibit": "FAILED_RESSTemperatureInhibit",
    "shift_position": "FAILED_EVShiftPosition",
    "connector_lock": "FAILED_ChargerConnectorLockFault",
    "battery_malfunction": "FAILED_EVRESSMalfunction",
    "current_differential": "FAILED_ChargingCurrentdifferential",
    "voltage_out_of_range": "FAILED_ChargingVoltageOutOfRange",
    "incompatible": "FAILED_ChargingSystemIncompatibility",
    "no_data": "NoData",
}
#: Read the other way round; what is reserved is nobody's word.
ISOLATION_HEARD = {word: state for state, word in ISOLATION.items()}
STATES_HEARD = {word: state for state, word in STATES.items()}
FAULTS_HEARD = {word: fault for fault, word in FAULTS.items()}


def mode_of(current: Current, connector: Connector) -> Mode:
    """The EnergyTransferMode of a service and variant. Raises ``session.wrong_transfer_mode`` where -2 has none."""
    for mode, words in MODES.items():
        if words == (current, connector):
            return mode
    raise V2GPKIError(
        "session.wrong_transfer_mode",
        f"ISO 15118-2 has no word for {current} with {connector}",
        clause="ISO 15118-2 8.5.2.4",
        facts={"current": current, "connector": connector},
    )


def modes_of(offer: Offer) -> tuple[Mode, ...]:
    """The modes of an offer, each once; energy out of the vehicle is no matter of -2."""
    known = set(MODES.values())
    found = [
        mode_of(service.current, variant.connector)
        for service in offer.services
        for variant in service.variants
        if not service.bidirectional and (service.current, variant.connector) in known
    ]
    return tuple(dict.fromkeys(found))


def services_of(modes: tuple[Mode, ...], *, free: bool) -> tuple[EnergyService, ...]:
    """What a station's modes are in an offer."""
    services = []
    for current in ("AC", "DC"):
        words = [MODES[mode] for mode in modes if mode in MODES]
        variants = tuple(Variant(connector) for this, connector in words if this == current)
        if variants:
            services.append(EnergyService("AC" if current == "AC" else "DC", variants, free=free))
    return tuple(services)


def current_of(mode: Mode) -> Current:
    """Which current a mode transfers."""
    return MODES[mode][0]


def phases_of(mode: Mode) -> int:
    """How many phases a mode uses; 1 for DC."""
    return 3 if mode == "AC_three_phase_core" else 1
