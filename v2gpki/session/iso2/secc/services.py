"""Session set-up, services, the choice of payment and services (ISO 15118-2 8.4.3.2 to 8.4.3.5, 8.4.2 for a resumed
session)."""

from __future__ import annotations

from v2gpki.energy.offer import Method, ParameterValue
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import NO_SESSION, Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.settings import Action
from v2gpki.session.iso2.values import taken
from v2gpki.session.iso2.words import MODES, OPTIONS
from v2gpki.session.notices import Established, Remarked
from v2gpki.session.questions import Paused, PausedQuestion, PauseQuestion

_MOST_SERVICES = 8
CHARGING, CONTRACTS = 1, 2
#: The parameter sets of the service of contract certificates (ISO 15118-2 8.4.3.4).
_ACTIONS: dict[Action, tuple[int, str]] = {"install": (1, "Installation"), "update": (2, "Update")}


def session_setup(visit: Visit, heard: Heard) -> Steps[Answer]:
    """A new session, or the one that this vehicle paused."""
    request = taken(heard, iso2.SessionSetupReq)
    visit.evcc_id = request.EVCCID
    paused = yield from _paused(visit, heard.session_id)
    if paused is not None:
        visit.resumed, visit.session_id = paused, paused.session_id
        visit.resumed_mode = tuple(MODES)[paused.parameter_set]
    else:
        visit.session_id = _new_id(visit, heard.session_id)
    resumed = visit.resumed is not None
    visit.engine.tell(Established(visit.engine.now, visit.session_id, evcc_name(visit), resumed))
    response = iso2.SessionSetupRes(
        ResponseCode="OK_OldSessionJoined" if resumed else "OK_NewSessionEstablished",
        EVSEID=visit.settings.offer.evse_id,
        EVSETimeStamp=visit.now,
    )
    return Answer(response)


def evcc_name(visit: Visit) -> str:
    """The EVCCID as it is written."""
    return visit.evcc_id.hex().upper()


def _paused(visit: Visit, session_id: bytes) -> Steps[Paused | None]:
    """What this vehicle paused here with this id; a store that does not answer is one that has nothing."""
    # Some vehicles say "none" in fewer octets.
    if not any(session_id) or not visit.settings.offer.pause:
        return None
    try:
        paused = yield from visit.ask(PausedQuestion(session_id, visit.dialect.edition))
    except V2GPKIError as problem:
        visit.engine.tell(Remarked(visit.engine.now, f"no paused session is known: {problem.message}"))
        return None
    if paused is None or paused.session_id != session_id or paused.edition != visit.dialect.edition:
        return None
    if paused.evcc_id == evcc_name(visit) and 0 <= paused.parameter_set < len(MODES):
        return paused
    # It stays its owner's.
    yield from visit.ask(PauseQuestion(paused))
    return None


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
    if not visit.modes:
        raise V2GPKIError("session.wrong_transfer_mode", "the station offers nothing that ISO 15118-2 has a word for")
    charging = iso2.ChargeServiceType(
        ServiceID=CHARGING,
        ServiceName="AC_DC_Charging",
        ServiceCategory="EVCharging",
        FreeService=all(service.free for service in settings.offer.services),
        SupportedEnergyTransferMode=iso2.SupportedEnergyTransferModeType(EnergyTransferMode=visit.modes),
    )
    beside = [] if request.ServiceScope is not None else _beside(visit)
    wanted = tuple(one for one in beside if request.ServiceCategory in {None, one.ServiceCategory})
    response = iso2.ServiceDiscoveryRes(
        ResponseCode="OK",
        PaymentOptionList=iso2.PaymentOptionListType(PaymentOption=tuple(OPTIONS[m] for m in visit.methods)),
        ChargeService=charging,
        ServiceList=iso2.ServiceListType(Service=wanted[:_MOST_SERVICES]) if wanted else None,
    )
    return Answer(response)


def _beside(visit: Visit) -> list[iso2.ServiceType]:
    """What is offered beside charging; nothing of it without TLS."""
    found = []
    if visit.does_contracts:
        found.append(
            iso2.ServiceType(
                ServiceID=CONTRACTS,
                ServiceName="Certificate",
                ServiceCategory="ContractCertificate",
                FreeService=visit.settings.contract_service_free,
            )
        )
    if visit.secured is not None:
        found += [
            iso2.ServiceType(
                ServiceID=added.identifier,
                ServiceName=added.name[:32] or None,
                ServiceCategory=added.category,
                ServiceScope=added.scope[:64] or None,
                FreeService=added.free,
            )
            for added in visit.settings.offer.value_added
        ]
    return found


def service_detail(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The variants of a service beside charging, which has none."""
    yield from ()
    wanted = taken(heard, iso2.ServiceDetailReq).ServiceID
    _require_offered(visit, wanted, "session.unknown_service", "[V2G2-425]")
    sets = tuple(
        iso2.ParameterSetType(ParameterSetID=number, Parameter=parameters)
        for number, parameters in _variants(visit, wanted).items()
        if parameters
    )
    variants = iso2.ServiceParameterListType(ParameterSet=sets) if sets else None
    return Answer(iso2.ServiceDetailRes(ResponseCode="OK", ServiceID=wanted, ServiceParameterList=variants))


def _variants(visit: Visit, service: int) -> dict[int, tuple[iso2.ParameterType, ...]]:
    """The parameter sets of a service."""
    if service == CONTRACTS:
        sets = (_ACTIONS[action] for action in visit.settings.contract_service)
        return {number: (iso2.ParameterType(Name="Service", stringValue=name),) for number, name in sets}
    for added in visit.settings.offer.value_added:
        if added.identifier == service:
            return {
                number: tuple(_parameter(name, value) for name, value in parameters.items())
                for number, parameters in added.parameters.items()
            }
    return {}


def _parameter(name: str, value: ParameterValue) -> iso2.ParameterType:
    """A value in the narrowest of its fields; -2 has none for a number with a fraction and no unit."""
    if isinstance(value, bool):
        return iso2.ParameterType(Name=name, boolValue=value)
    if isinstance(value, int):
        return iso2.ParameterType(Name=name, intValue=value)
    return iso2.ParameterType(Name=name, stringValue=str(value))


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
        known = _variants(visit, service.ServiceID)
        if service.ParameterSetID is not None and known and service.ParameterSetID not in known:
            raise V2GPKIError(
                "session.wrong_services",
                f"service {service.ServiceID} has no parameter set {service.ParameterSetID}",
                clause="ISO 15118-2 8.4.3.5",
            )
    visit.method = method
    return Answer(iso2.PaymentServiceSelectionRes(ResponseCode="OK"), f"selected-{_STATES[method]}")


_STATES: dict[Method, str] = {"pnc": "contract", "eim": "eim"}


def _require_offered(visit: Visit, service: int, code: str, clause: str) -> None:
    if service != CHARGING and all(service != one.ServiceID for one in _beside(visit)):
        raise V2GPKIError(code, f"service {service} is not offered", clause=clause, facts={"service": service})
