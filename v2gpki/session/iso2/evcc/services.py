"""Session set-up, services, and the choice of payment and services (ISO 15118-2 8.4.3.2 to 8.4.3.5)."""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.dialect import NO_SESSION
from v2gpki.session.engine import Steps, over
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.notices import Established, Remarked
from v2gpki.session.questions import ContractChoiceQuestion, Method

_CHARGING, _CONTRACTS = 1, 2
_NAMES = {"install": ("Installation", 1), "update": ("Update", 2)}
_OPTIONS: dict[Method, iso2.paymentOptionType] = {"pnc": "Contract", "eim": "ExternalPayment"}


def set_up(trip: Trip) -> Steps[None]:
    """A session, new or resumed."""
    asked = trip.session_id = trip.settings.resume or NO_SESSION
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


def choose(trip: Trip) -> Steps[None]:
    """Find out what is offered, and choose."""
    offer = yield from trip.exchange(iso2.ServiceDiscoveryReq(), iso2.ServiceDiscoveryRes)
    modes = offer.ChargeService.SupportedEnergyTransferMode.EnergyTransferMode
    if trip.settings.transfer_mode not in modes:
        raise V2GPKIError(
            "session.wrong_transfer_mode",
            f"the station offers {', '.join(modes)}, not {trip.settings.transfer_mode}",
            clause="ISO 15118-2 8.4.3.3",
        )
    offered = () if offer.ServiceList is None else offer.ServiceList.Service
    if trip.settings.contract != "none" and "pnc" in _possible(trip, offer):
        if any(service.ServiceID == _CONTRACTS for service in offered):
            yield from _contract_service(trip)
        else:
            trip.engine.tell(Remarked(trip.engine.now, "the station has no service of contract certificates"))
    yield from _method(trip, offer)
    services = [iso2.SelectedServiceType(ServiceID=_CHARGING)]
    if trip.contract_set is not None and trip.method == "pnc":
        services.append(iso2.SelectedServiceType(ServiceID=_CONTRACTS, ParameterSetID=trip.contract_set))
    request = iso2.PaymentServiceSelectionReq(
        SelectedPaymentOption=_OPTIONS[trip.method],
        SelectedServiceList=iso2.SelectedServiceListType(SelectedService=tuple(services)),
    )
    state = "selected-contract" if trip.method == "pnc" else "selected-eim"
    yield from trip.exchange(request, iso2.PaymentServiceSelectionRes, then=state)


def _possible(trip: Trip, offer: iso2.ServiceDiscoveryRes) -> list[Method]:
    """The ways to pay that both want; contracts over TLS only, whatever the station says."""
    options = offer.PaymentOptionList.PaymentOption
    return [m for m in trip.settings.methods if _OPTIONS[m] in options and (m == "eim" or trip.secured is not None)]


def _contract_service(trip: Trip) -> Steps[None]:
    """Which parameter set installs, or updates."""
    detail = yield from trip.exchange(iso2.ServiceDetailReq(ServiceID=_CONTRACTS), iso2.ServiceDetailRes)
    name, usual = _NAMES[trip.settings.contract]
    sets = () if detail.ServiceParameterList is None else detail.ServiceParameterList.ParameterSet
    named = [one.ParameterSetID for one in sets if any(p.stringValue == name for p in one.Parameter)]
    if named or not sets:
        trip.contract_set = named[0] if named else usual
    else:
        trip.engine.tell(Remarked(trip.engine.now, f"the station's service of contract certificates has no {name}"))


def _method(trip: Trip, offer: iso2.ServiceDiscoveryRes) -> Steps[None]:
    """The first way to pay that is possible here; a contract only if there is one, or will be."""
    for method in _possible(trip, offer):
        if method == "pnc" and trip.contract_set is None:
            trip.contract = yield from trip.ask(ContractChoiceQuestion())
            if trip.contract is None:
                trip.engine.tell(Remarked(trip.engine.now, "there is no contract to pay with"))
                continue
        trip.method = method
        return
    raise V2GPKIError(
        "session.wrong_payment",
        f"the station takes {', '.join(offer.PaymentOptionList.PaymentOption)}; "
        f"the vehicle would pay by {', '.join(trip.settings.methods) or 'nothing'}"
        + ("" if trip.secured is not None else ", contracts over TLS only"),
        clause="ISO 15118-2 8.4.3.3",
    )
