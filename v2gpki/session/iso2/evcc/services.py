"""Session set-up, services, and the choice of payment and services (ISO 15118-2 8.4.3.2 to 8.4.3.5)."""

from __future__ import annotations

from v2gpki.energy.offer import Method, Offer, ValueAdded
from v2gpki.energy.steering import ServiceChoice
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.dialect import NO_SESSION
from v2gpki.session.engine import Steps, over
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.iso2.words import MODES, OPTIONS, mode_of, services_of
from v2gpki.session.notices import Established, Remarked
from v2gpki.session.questions import ContractChoiceQuestion, ServiceQuestion

CHARGING = 1
_CONTRACTS = 2
_NAMES = {"install": ("Installation", 1), "update": ("Update", 2)}


def set_up(trip: Trip) -> Steps[str]:
    """A session, new or resumed; gives the EVSEID."""
    resume = trip.settings.resume
    asked = trip.session_id = NO_SESSION if resume is None else resume.session_id
    response = yield from trip.exchange(iso2.SessionSetupReq(EVCCID=trip.settings.evcc_id), iso2.SessionSetupRes)
    given = NO_SESSION if trip.last is None else trip.last.session_id
    resumed = response.ResponseCode == "OK_OldSessionJoined"
    if given == NO_SESSION or (resumed and given != asked):
        raise over(
            "fault",
            "session.wrong_session",
            f"SessionSetupRes says {response.ResponseCode} with the session {given.hex()}; asked was for {asked.hex()}",
            clause="ISO 15118-2 8.4.2",
        )
    trip.session_id = given
    trip.engine.tell(Established(trip.engine.now, given, response.EVSEID, resumed))
    return response.EVSEID


def choose(trip: Trip, evse_id: str) -> Steps[None]:
    """Find out what is offered, and choose."""
    found = yield from trip.exchange(iso2.ServiceDiscoveryReq(), iso2.ServiceDiscoveryRes)
    offer = _offer(trip, evse_id, found)
    choice = yield from trip.ask(ServiceQuestion(offer, trip.secured is not None))
    _take(trip, offer, choice)
    services = [iso2.SelectedServiceType(ServiceID=CHARGING)]
    if trip.action is not None:
        yield from _contract_service(trip)
        services.append(iso2.SelectedServiceType(ServiceID=_CONTRACTS, ParameterSetID=trip.contract_set))
    elif trip.method == "pnc":
        trip.contract = yield from trip.ask(ContractChoiceQuestion())
        if trip.contract is None:
            raise V2GPKIError("session.no_contracts", "the vehicle would pay by contract, and has none")
    services += [
        iso2.SelectedServiceType(ServiceID=number, ParameterSetID=variant) for number, variant in choice.value_added
    ]
    request = iso2.PaymentServiceSelectionReq(
        SelectedPaymentOption=OPTIONS[trip.method],
        SelectedServiceList=iso2.SelectedServiceListType(SelectedService=tuple(services)),
    )
    state = "selected-contract" if trip.method == "pnc" else "selected-eim"
    yield from trip.exchange(request, iso2.PaymentServiceSelectionRes, then=state)


def _offer(trip: Trip, evse_id: str, found: iso2.ServiceDiscoveryRes) -> Offer:
    """What the vehicle can choose of: contracts over TLS only, whatever the station says."""
    charging = found.ChargeService
    beside = () if found.ServiceList is None else found.ServiceList.Service
    options = found.PaymentOptionList.PaymentOption
    ways: dict[Method, bool] = {"pnc": trip.secured is not None, "eim": True}
    methods = tuple(method for method, possible in ways.items() if possible and OPTIONS[method] in options)
    return Offer(
        evse_id,
        services_of(charging.SupportedEnergyTransferMode.EnergyTransferMode, free=charging.FreeService),
        methods,
        tuple(
            ValueAdded(
                one.ServiceID,
                one.ServiceName or "",
                "Internet" if one.ServiceCategory == "Internet" else "OtherCustom",
                one.ServiceScope or "",
                one.FreeService,
            )
            for one in beside
            if one.ServiceID not in {CHARGING, _CONTRACTS}
        ),
        installation="pnc" in methods and any(one.ServiceID == _CONTRACTS for one in beside),
        service_renegotiation=False,
    )


def _take(trip: Trip, offer: Offer, choice: ServiceChoice) -> None:
    """The choice, if it was on offer."""
    mode = mode_of(choice.service.current, choice.variant.connector)
    offered = [(one.current, variant.connector) for one in offer.services for variant in one.variants]
    if MODES[mode] not in offered or choice.service.bidirectional:
        raise V2GPKIError("session.wrong_transfer_mode", f"the vehicle wants {mode}, which is not offered")
    if choice.method not in offer.methods:
        raise V2GPKIError("session.wrong_payment", f"the vehicle would pay by {choice.method}, which is not offered")
    trip.mode, trip.method = mode, choice.method
    if not (choice.install or choice.update) or choice.method != "pnc":
        return
    if offer.installation:
        trip.action = "install" if choice.install else "update"
    else:
        trip.engine.tell(Remarked(trip.engine.now, "the station has no service of contract certificates"))


def _contract_service(trip: Trip) -> Steps[None]:
    """Which parameter set installs, or updates."""
    detail = yield from trip.exchange(iso2.ServiceDetailReq(ServiceID=_CONTRACTS), iso2.ServiceDetailRes)
    name, usual = _NAMES[trip.action or "install"]
    sets = () if detail.ServiceParameterList is None else detail.ServiceParameterList.ParameterSet
    named = [one.ParameterSetID for one in sets if any(p.stringValue == name for p in one.Parameter)]
    if sets and not named:
        raise V2GPKIError(
            "session.no_contracts", f"the station's service of contract certificates has no {name}"
        )
    trip.contract_set = named[0] if named else usual
