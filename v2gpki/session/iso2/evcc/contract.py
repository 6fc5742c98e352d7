"""A contract installed or updated, shown, and proven; the wait for authorization (ISO 15118-2 8.4.3.6 to 8.4.3.10)."""

from __future__ import annotations

from v2gpki import identifiers
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import body_of
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.iso2.settings import Action
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import (
    Contract,
    ContractChoiceQuestion,
    InstallationRequestQuestion,
    InstalledQuestion,
    SigningQuestion,
)


def install(trip: Trip) -> Steps[None]:
    """Get a contract, if that was chosen, and take it."""
    action = trip.action
    if action is None:
        return
    if action == "update":
        # Whoever signs the request has to know with which contract.
        trip.contract = yield from trip.ask(ContractChoiceQuestion())
    raw = yield from trip.ask(InstallationRequestQuestion(action, trip.session_id))
    body = body_of(raw)
    if isinstance(body, iso2.CertificateInstallationReq):
        yield from trip.exchange(body, iso2.CertificateInstallationRes, raw=raw)
    elif isinstance(body, iso2.CertificateUpdateReq):
        yield from trip.exchange(body, iso2.CertificateUpdateRes, raw=raw)
    else:
        raise V2GPKIError("internal.bug", f"{type(body).__name__} asks for no contract")
    yield from _taken(trip, action)


def _taken(trip: Trip, action: Action) -> Steps[None]:
    exi = b"" if trip.last is None else trip.last.frame.payload
    yield from trip.judged("contract", InstalledQuestion(exi, action))
    trip.contract = yield from trip.ask(ContractChoiceQuestion())


def present(trip: Trip) -> Steps[bytes]:
    """Show the contract; gives the challenge."""
    contract = _contract(trip)
    leaf, above = contract.chain[0], contract.chain[1:]
    request = iso2.PaymentDetailsReq(
        eMAID=identifiers.parse("emaid", contract.emaid).normal,
        ContractSignatureCertChain=iso2.CertificateChainType(
            Certificate=leaf, SubCertificates=iso2.SubCertificatesType(Certificate=above) if above else None
        ),
    )
    response = yield from trip.exchange(request, iso2.PaymentDetailsRes)
    if response.ResponseCode == "OK_CertificateExpiresSoon":
        trip.engine.tell(Remarked(trip.engine.now, f"the contract {contract.emaid} expires soon"))
    return response.GenChallenge


def authorise_by_contract(trip: Trip) -> Steps[None]:
    """Show it, sign the challenge, wait."""
    challenge = yield from present(trip)
    body = iso2.AuthorizationReq(Id="id1", GenChallenge=challenge)
    question = SigningQuestion("AuthorizationReq", trip.message(body), _contract(trip).emaid)
    signature = yield from trip.ask(question)
    began = trip.engine.now
    response = yield from trip.exchange(body, iso2.AuthorizationRes, signature=signature, then=_state)
    yield from _authorised(trip, response, began)


def authorise_at_station(trip: Trip) -> Steps[None]:
    """Wait for somebody at the station."""
    began = trip.engine.now
    response = yield from trip.exchange(iso2.AuthorizationReq(), iso2.AuthorizationRes, then=_state)
    yield from _authorised(trip, response, began)


def _authorised(trip: Trip, response: iso2.AuthorizationRes, began: float) -> Steps[None]:
    """Ask again, empty, until it is decided; whoever stands at the station has as long as he needs ([V2G2-684])."""
    while response.EVSEProcessing != "Finished":
        if response.EVSEProcessing == "Ongoing_WaitingForCustomerInteraction":
            began = trip.engine.now
        yield from trip.again("authorization", began, trip.dialect.timers.ongoing)
        response = yield from trip.exchange(iso2.AuthorizationReq(), iso2.AuthorizationRes, then=_state)


def _state(response: iso2.AuthorizationRes) -> str:
    return "authorised" if response.EVSEProcessing == "Finished" else "authorising"


def _contract(trip: Trip) -> Contract:
    if trip.contract is None:
        raise V2GPKIError("session.no_contracts", "there is no contract to pay with", clause="ISO 15118-2 8.4.3.6")
    return trip.contract
