"""Session set-up, services, the choice of payment and services (ISO 15118-2 8.4.3.2 to 8.4.3.5, 8.4.2 for a resumed
session)."""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import NO_SESSION, Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.settings import Action
from v2gpki.session.iso2.values import taken
from v2gpki.session.notices import Established
from v2gpki.session.questions import Method

CHARGING, CONTRACTS = 1, 2
#: The parameter sets of the service of contract certificates (ISO 15118-2 8.4.3.4).
_ACTIONS: dict[Action, tuple[int, str]] = {"install": (1, "Installation"), "update": (2, "Update")}
_OPTIONS: dict[Method, iso2.paymentOptionType] = {"pnc": "Contract", "eim": "ExternalPayment"}


def session_setup(visit: Visit, heard: Heard) -> Steps[Answer]:
    """A new session, or the one that this vehicle paused."""
    yield from ()
    request, settings = taken(heard, iso2.SessionSetupReq), visit.settings
    visit.evcc_id = request.EVCCID
    if heard.session_id != NO_SESSION and settings.paused is not None:
        visit.resumed = settings.paused.take(heard.session_id, request.EVCCID)
    if visit.resumed is not None:
        visit.session_id = visit.resumed.session_id
        visit.chosen = visit.resumed.schedule
    else:
        visit.session_id = _new_id(visit, heard.session_id)
    resumed = visit.resumed is not None
    visit.engine.tell(Established(visit.engine.now, visit.session_id, request.EVCCID.hex().upper(), resumed))
    response = iso2.SessionSetupRes(
        ResponseCode="OK_OldSessionJoined" if resumed else "OK_NewSessionEstablished",
        EVSEID=settings.evse_id,
        EVSETimeStamp=int(visit.engine.clock.now().timestamp()),
    )
    return Answer(response)


def _new_id(visit: Visit, old: bytes) -> bytes:
    """An id that is not the one that asks for a new session, nor one that is not known here."""
    octets = visit.random(len(NO_SESSION))
    if octets in {NO_SESSION, old} or len(octets) != len(NO_SESSION):
        raise V2GPKIError("session.value", f"the source of randomness gave {octets.hex()} for a session id")
    return octets


def service_discovery(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Charging, and the service of contract certificates where contracts are taken."""
    yield from ()
    request, settings = taken(heard, iso2.ServiceDiscoveryReq), visit.settings
    if not visit.methods:
        raise V2GPKIError(
            "session.not_authorised",
            "there is no way to pay on this connection",
            hint="contracts need TLS; offer EIM as well",
            clause="ISO 15118-2 7.7.3.1",
        )
    modes = settings.transfer_modes if visit.resumed is None else (visit.resumed.transfer_mode,)
    charging = iso2.ChargeServiceType(
        ServiceID=CHARGING,
        ServiceName="AC_DC_Charging",
        ServiceCategory="EVCharging",
        FreeService=settings.free,
        SupportedEnergyTransferMode=iso2.SupportedEnergyTransferModeType(EnergyTransferMode=modes),
    )
    contracts = iso2.ServiceType(
        ServiceID=CONTRACTS,
        ServiceName="Certificate",
        ServiceCategory="ContractCertificate",
        FreeService=settings.contract_service_free,
    )
    wanted = request.ServiceCategory in {None, "ContractCertificate"} and request.ServiceScope is None
    response = iso2.ServiceDiscoveryRes(
        ResponseCode="OK",
        PaymentOptionList=iso2.PaymentOptionListType(PaymentOption=tuple(_OPTIONS[m] for m in visit.methods)),
        ChargeService=charging,
        ServiceList=iso2.ServiceListType(Service=(contracts,)) if wanted and visit.does_contracts else None,
    )
    return Answer(response)


def service_detail(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The variants of the service of contract certificates; charging has none."""
    yield from ()
    wanted = taken(heard, iso2.ServiceDetailReq).ServiceID
    _require_offered(visit, wanted, "session.unknown_service", "[V2G2-425]")
    sets = tuple(
        iso2.ParameterSetType(
            ParameterSetID=number, Parameter=(iso2.ParameterType(Name="Service", stringValue=name),)
        )
        for number, name in (_ACTIONS[action] for action in visit.settings.contract_service)
    )
    variants = iso2.ServiceParameterListType(ParameterSet=sets) if wanted == CONTRACTS else None
    return Answer(iso2.ServiceDetailRes(ResponseCode="OK", ServiceID=wanted, ServiceParameterList=variants))


def payment_selection(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The vehicle's choice."""
    yield from ()
    request = taken(heard, iso2.PaymentServiceSelectionReq)
    method: Method = "pnc" if request.SelectedPaymentOption == "Contract" else "eim"
    if method not in visit.methods:
        raise V2GPKIError(
            "session.wrong_payment",
            f"{request.SelectedPaymentOption} was not offered",
            clause="ISO 15118-2 8.4.3.5",
            facts={"selected": request.SelectedPaymentOption},
        )
    selected = request.SelectedServiceList.SelectedService
    if all(service.ServiceID != CHARGING for service in selected):
        raise V2GPKIError("session.no_charge_service", "the vehicle selects no charging", clause="ISO 15118-2 8.4.3.5")
    for service in selected:
        _require_offered(visit, service.ServiceID, "session.wrong_services", "ISO 15118-2 8.4.3.5")
        known = {_ACTIONS[action][0] for action in visit.settings.contract_service}
        if service.ServiceID == CONTRACTS and service.ParameterSetID not in {None, *known}:
            raise V2GPKIError(
                "session.wrong_services",
                f"service {CONTRACTS} has no parameter set {service.ParameterSetID}",
                clause="ISO 15118-2 8.4.3.5",
            )
    visit.method = method
    return Answer(iso2.PaymentServiceSelectionRes(ResponseCode="OK"), f"selected-{_STATES[method]}")


_STATES: dict[Method, str] = {"pnc": "contract", "eim": "eim"}


def _require_offered(visit: Visit, service: int, code: str, clause: str) -> None:
    if service != CHARGING and not (service == CONTRACTS and visit.does_contracts):
        raise V2GPKIError(code, f"service {service} is not offered", clause=clause, facts={"service": service})
