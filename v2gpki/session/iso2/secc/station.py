"""The station of ISO 15118-2: a handler for each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso2.secc import contract, delivery, loops, parameters, receipts, services
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.settings import StationSettings
from v2gpki.session.secured import Secured

_HANDLERS: Mapping[str, Callable[[Visit, Heard], Steps[Answer]]] = {
    "SessionSetupReq": services.session_setup,
    "ServiceDiscoveryReq": services.service_discovery,
    "ServiceDetailReq": services.service_detail,
    "PaymentServiceSelectionReq": services.payment_selection,
    "CertificateInstallationReq": contract.installation,
    "CertificateUpdateReq": contract.update,
    "PaymentDetailsReq": contract.payment_details,
    "AuthorizationReq": contract.authorization,
    "ChargeParameterDiscoveryReq": parameters.charge_parameter_discovery,
    "PowerDeliveryReq": delivery.power_delivery,
    "MeteringReceiptReq": receipts.metering_receipt,
    "ChargingStatusReq": loops.charging_status,
    "CableCheckReq": loops.cable_check,
    "PreChargeReq": loops.pre_charge,
    "CurrentDemandReq": loops.current_demand,
    "WeldingDetectionReq": loops.welding_detection,
    "SessionStopReq": delivery.session_stop,
}


class ISO2Station(Visit):
    """Answers a vehicle. ``random(n)`` gives n unforeseeable octets (``os.urandom``), for session ids and challenges.

    However the session ends: when `Engine.ending` is set, the driver opens the contactors if they are closed.
    """

    def __init__(
        self, engine: Engine, settings: StationSettings, secured: Secured | None, random: Callable[[int], bytes]
    ) -> None:
        super().__init__(engine, settings, secured, random)
        self.handlers = {name: partial(handler, self) for name, handler in _HANDLERS.items()}
