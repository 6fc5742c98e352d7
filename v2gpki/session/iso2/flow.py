"""What may follow what in ISO 15118-2 (8.8.4, figures of the communication states)."""

from __future__ import annotations

from v2gpki.session.flow import flow

_STOP = {"SessionStopReq": "over"}
_SELECTION = {"ServiceDetailReq": "discovered", "PaymentServiceSelectionReq": "selected-eim selected-contract"}

#: States are named after what was answered last.
FLOW = flow(
    "iso15118-2",
    {
        "connected": {"SessionSetupReq": "set-up"},
        "set-up": {"ServiceDiscoveryReq": "discovered", **_STOP},
        "discovered": {**_SELECTION, **_STOP},
        "selected-eim": {"AuthorizationReq": "authorising authorised", **_STOP},
        "selected-contract": {
            "CertificateInstallationReq": "installed",
            "CertificateUpdateReq": "installed",
            "PaymentDetailsReq": "identified",
            **_STOP,
        },
        "installed": {"PaymentDetailsReq": "identified", **_STOP},
        "identified": {"AuthorizationReq": "authorising authorised", **_STOP},
        "authorising": {"AuthorizationReq": "authorising authorised", **_STOP},
        "authorised": {"ChargeParameterDiscoveryReq": "negotiating parameters-ac parameters-dc", **_STOP},
        "negotiating": {"ChargeParameterDiscoveryReq": "negotiating parameters-ac parameters-dc", **_STOP},
        "parameters-ac": {"PowerDeliveryReq": "charging-ac stopped-ac", **_STOP},
        "parameters-dc": {"CableCheckReq": "checking-cable cable-checked", **_STOP},
        "checking-cable": {"CableCheckReq": "checking-cable cable-checked", **_STOP},
        "cable-checked": {"PreChargeReq": "pre-charging", **_STOP},
        "pre-charging": {"PreChargeReq": "pre-charging", "PowerDeliveryReq": "charging-dc stopped-dc", **_STOP},
        "charging-ac": {
            "ChargingStatusReq": "charging-ac receipt-ac",
            "PowerDeliveryReq": "stopped-ac renegotiating-ac",
        },
        "receipt-ac": {"MeteringReceiptReq": "charging-ac", "PowerDeliveryReq": "stopped-ac renegotiating-ac"},
        "charging-dc": {
            "CurrentDemandReq": "charging-dc receipt-dc",
            "PowerDeliveryReq": "stopped-dc renegotiating-dc",
        },
        "receipt-dc": {"MeteringReceiptReq": "charging-dc", "PowerDeliveryReq": "stopped-dc renegotiating-dc"},
        "renegotiating-ac": {"ChargeParameterDiscoveryReq": "renegotiating-ac parameters-ac", **_STOP},
        "renegotiating-dc": {"ChargeParameterDiscoveryReq": "renegotiating-dc renegotiated-dc", **_STOP},
        # The contactors stay closed: there is no need of cable check and pre-charge, but some vehicles begin with them.
        "renegotiated-dc": {
            "PowerDeliveryReq": "charging-dc stopped-dc",
            "CableCheckReq": "checking-cable cable-checked",
            **_STOP,
        },
        "stopped-ac": {**_STOP},
        "stopped-dc": {"WeldingDetectionReq": "stopped-dc", **_STOP},
    },
    begin="connected",
)
