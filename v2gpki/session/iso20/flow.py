"""What may follow what in ISO 15118-20 (8.8, communication states of AC and DC).

Tolerated beyond what our own vehicle does: PowerDelivery straight from a pre-charge that said nothing of its end, a
session that is authorised anew after it was joined, a renegotiation that begins with PowerDelivery.
MeteringConfirmation and ScheduleExchange within the charging loop may come on their side streams.
"""

from __future__ import annotations

from v2gpki.session.flow import flow

_STOP = {"SessionStopReq": "over"}
#: Once there is a service it can be chosen anew within the session.
_LEAVE = {"SessionStopReq": "over choosing-again"}
_AUTHORIZE = {"AuthorizationReq": "authorising authorised unauthorised", **_STOP}
_INSTALL = {"CertificateInstallationReq": "installing installed", **_AUTHORIZE}
_SELECT = {
    "ServiceDetailReq": "detailed",
    "ServiceSelectionReq": "selected-ac selected-dc",
    **_STOP,
}


def _power(current: str, *more: str) -> dict[str, str]:
    """PowerDelivery in any state with power: ``more`` states beside those that it always leads to."""
    return {"PowerDeliveryReq": " ".join([f"charging-{current} standby-{current} stopped-{current}", *more])}


def _charging(current: str) -> dict[str, dict[str, str]]:
    """The states between the first PowerDelivery and the last, the same for AC and DC."""
    loop, exchange = f"{current.upper()}_ChargeLoopReq", "ScheduleExchangeReq"
    charging, confirming = f"charging-{current}", f"confirming-{current}"
    negotiating, negotiated = f"renegotiating-{current}", f"renegotiated-{current}"
    anew = {exchange: f"{negotiating} {negotiated}"}
    return {
        f"starting-{current}": {**_power(current, f"starting-{current}"), **_LEAVE},
        charging: {loop: f"{charging} {confirming}", **_power(current, negotiating), **anew},
        confirming: {
            "MeteringConfirmationReq": charging,
            loop: confirming,
            **_power(current, negotiating, confirming),
            **anew,
        },
        negotiating: {**anew, loop: negotiating, **_power(current, negotiating)},
        negotiated: {**anew, loop: negotiated, **_power(current, negotiated)},
        f"standby-{current}": {loop: f"standby-{current}", **_power(current), **_LEAVE},
    }


#: States are named after what was answered last.
FLOW = flow(
    "iso15118-20",
    {
        "connected": {"SessionSetupReq": "set-up joined-ac joined-dc"},
        "set-up": {"AuthorizationSetupReq": "authorization-set-up", **_STOP},
        "joined-ac": {
            "AC_ChargeParameterDiscoveryReq": "parameters-ac",
            "AuthorizationSetupReq": "authorization-set-up",
            **_LEAVE,
        },
        "joined-dc": {
            "DC_ChargeParameterDiscoveryReq": "parameters-dc",
            "AuthorizationSetupReq": "authorization-set-up",
            **_LEAVE,
        },
        "authorization-set-up": _INSTALL,
        "installing": _INSTALL,
        "installed": _INSTALL,
        "authorising": _AUTHORIZE,
        "unauthorised": _INSTALL,
        "authorised": {"ServiceDiscoveryReq": "discovered", **_STOP},
        "choosing-again": {"ServiceDiscoveryReq": "discovered", **_STOP},
        "discovered": {"ServiceDetailReq": "detailed", **_STOP},
        "detailed": _SELECT,
        # --- AC
        "selected-ac": {"AC_ChargeParameterDiscoveryReq": "parameters-ac", **_LEAVE},
        "parameters-ac": {"ScheduleExchangeReq": "scheduling-ac scheduled-ac", **_LEAVE},
        "scheduling-ac": {"ScheduleExchangeReq": "scheduling-ac scheduled-ac", **_LEAVE},
        "scheduled-ac": {**_power("ac", "starting-ac", "scheduled-ac"), **_LEAVE},
        **_charging("ac"),
        "stopped-ac": _LEAVE,
        # --- DC
        "selected-dc": {"DC_ChargeParameterDiscoveryReq": "parameters-dc", **_LEAVE},
        "parameters-dc": {"ScheduleExchangeReq": "scheduling-dc scheduled-dc", **_LEAVE},
        "scheduling-dc": {"ScheduleExchangeReq": "scheduling-dc scheduled-dc", **_LEAVE},
        # A vehicle that will not charge now needs no cable check ([V2G20-2122]).
        "scheduled-dc": {
            "DC_CableCheckReq": "checking-cable cable-checked",
            "PowerDeliveryReq": "scheduled-dc standby-dc stopped-dc",
            **_LEAVE,
        },
        "checking-cable": {"DC_CableCheckReq": "checking-cable cable-checked", **_LEAVE},
        "cable-checked": {"DC_PreChargeReq": "pre-charging pre-charged", **_LEAVE},
        "pre-charging": {
            "DC_PreChargeReq": "pre-charging pre-charged",
            **_power("dc", "starting-dc", "pre-charging"),
            **_LEAVE,
        },
        "pre-charged": {**_power("dc", "starting-dc", "pre-charged"), **_LEAVE},
        **_charging("dc"),
        "stopped-dc": {"DC_WeldingDetectionReq": "stopped-dc", **_LEAVE},
    },
    begin="connected",
)
