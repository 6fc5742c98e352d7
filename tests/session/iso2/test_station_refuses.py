"""What a station does not take, and the ResponseCode that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.session.iso2.refusing import SESSION, refused, sent, services, signed
from tests.session.iso2.rig import EMAID, installation_answer, refuse, signature_over
from tests.session.iso2.tapes import answer_to, in_state, requests, tape, with_session
from tests.session.joined import Side
from v2gpki.messages import codec, iso2
from v2gpki.messages.xmldsig import Signature
from v2gpki.session import questions as q
from v2gpki.session.notices import Judged, Refused


def test_a_service_that_is_not_there() -> None:
    frame = sent("ServiceDetailReq", ServiceID=3)
    assert refused(in_state("discovered"), frame) == ("FAILED_ServiceIDInvalid", "session.unknown_service")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"SelectedServiceList": services((2, 1))}, "FAILED_NoChargeServiceSelected"),
        ({"SelectedServiceList": services((1, None), (7, None))}, "FAILED_ServiceSelectionInvalid"),
        ({"SelectedServiceList": services((1, None), (2, 9))}, "FAILED_ServiceSelectionInvalid"),
    ],
)
def test_services_that_cannot_be_had(fields: dict[str, Any], code: str) -> None:
    # "installed" has a tape over TLS; its third message is the one before the choice.
    secc = tape("ac install").station_after(4)
    frame = sent("PaymentServiceSelectionReq", SelectedPaymentOption="Contract", **fields)
    assert refused(secc, frame)[0] == code


def test_a_contract_without_tls() -> None:
    """The first tape has no TLS: a vehicle that takes what was not offered."""
    frame = sent("PaymentServiceSelectionReq", SelectedPaymentOption="Contract")
    assert refused(in_state("discovered"), frame) == ("FAILED_PaymentSelectionInvalid", "session.wrong_payment")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("path.expired", "FAILED_CertificateExpired"),
        ("path.revoked", "FAILED_CertificateRevoked"),
        ("path.no_anchor", "FAILED_CertChainError"),
        ("session.late", "FAILED"),
        ("environment.failed", "FAILED"),
    ],
)
def test_a_contract_chain_that_is_not_good(problem: str, code: str) -> None:
    secc = in_state("selected-contract", ContractChainQuestion=refuse(problem))
    assert refused(secc, sent("PaymentDetailsReq")) == (code, problem)
    (judged,) = [notice for notice in secc.notices if isinstance(notice, Judged)]
    assert judged.by == EMAID
    assert judged.problem is not None


def test_an_emaid_that_is_none() -> None:
    secc = in_state("selected-contract")
    assert refused(secc, sent("PaymentDetailsReq", eMAID="??????????????")) == ("FAILED", "identifier.invalid")


def test_the_challenge_comes_before_the_signature() -> None:
    secc = in_state("identified")
    frame = signed("AuthorizationReq", None, Id="id1", GenChallenge=b"\x09" * 16)
    assert refused(secc, frame) == ("FAILED_ChallengeInvalid", "authorisation.wrong_challenge")


def test_no_challenge() -> None:
    frame = signed("AuthorizationReq", None, Id=None, GenChallenge=None)
    assert refused(in_state("identified"), frame)[0] == "FAILED_ChallengeInvalid"


@pytest.mark.parametrize(
    ("signature", "problem"),
    [(None, "signature.missing"), (signature_over("something else"), "signature.wrong_value")],
)
def test_no_good_signature(signature: Signature | None, problem: str) -> None:
    frame = signed("AuthorizationReq", signature, Id="id1", GenChallenge=b"\2" * 16)
    assert refused(in_state("identified"), frame) == ("FAILED_SignatureError", problem)


def test_a_repetition_that_says_something_else() -> None:
    # The tape of an installation waits for authorization by contract.
    taped = tape("ac install")
    secc = taped.station_after(taped.states.index("authorising") + 1)
    frame = signed("AuthorizationReq", None, Id="id1", GenChallenge=b"\3" * 16)
    assert refused(secc, frame) == ("FAILED", "authorisation.changed_repetition")


@pytest.mark.parametrize(
    ("decision", "code"),
    [
        (q.Decision("rejected"), "FAILED"),
        (q.Decision("rejected", "FAILED_ContractCanceled", "canceled"), "FAILED_ContractCanceled"),
        (q.Decision("rejected", "FAILED_ContactorError"), "FAILED"),
        (q.Decision("rejected", "nonsense"), "FAILED"),
    ],
)
def test_a_vehicle_that_may_not_charge(decision: q.Decision, code: str) -> None:
    secc = in_state("identified", AuthorizationQuestion=lambda _: decision)
    frame = signed("AuthorizationReq", signature_over("AuthorizationReq"), Id="id1", GenChallenge=b"\2" * 16)
    assert refused(secc, frame) == (code, "session.not_authorised")


def test_a_backend_that_never_decides() -> None:
    """After the 55 s of V2G_SECC_Ongoing_Performance_Time."""
    secc = in_state("identified", AuthorizationQuestion=lambda _: q.Decision("ongoing"))
    frame = signed("AuthorizationReq", signature_over("AuthorizationReq"), Id="id1", GenChallenge=b"\2" * 16)
    again = signed("AuthorizationReq", None, Id=None, GenChallenge=None)
    first = answer_to(secc, frame)
    began = secc.engine.now
    assert first is not None
    assert secc.engine.ending is None
    secc.engine.receive(again, began + 54.9)
    secc.settle(secc.engine.now)
    assert secc.engine.ending is None
    secc.engine.outgoing()
    secc.engine.now = began + 55
    assert refused(secc, again) == ("FAILED", "session.not_authorised")


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (refuse("session.late"), "nobody"),
        (refuse("environment.failed"), "nobody"),
        (refuse("session.no_contracts"), "nobody"),
        (lambda _: q.ContractGiven(b""), "not ready"),
        (lambda _: q.ContractGiven(b"garbage"), "garbage"),
        (lambda _: q.ContractGiven(requests_octets("SessionStopReq")), "another message"),
    ],
)
def test_no_contract(answer: Callable[[Any], object], name: str) -> None:
    del name
    taped = tape("ac install")
    secc = taped.station_after(taped.states.index("selected-contract") + 1, ContractQuestion=answer)
    found = refused(secc, sent("CertificateInstallationReq"))
    assert found == ("FAILED_NoCertificateAvailable", "session.no_contracts")


def requests_octets(name: str) -> bytes:
    """The EXI of a request."""
    return with_session(requests()[name], SESSION)[8:]


def test_an_answer_to_installation_where_an_update_was_asked_for() -> None:
    wrong = installation_answer(requests_octets("CertificateInstallationReq"))
    taped = tape("ac update")
    secc = taped.station_after(
        taped.states.index("selected-contract") + 1, ContractQuestion=lambda _: q.ContractGiven(wrong)
    )
    assert refused(secc, sent("CertificateUpdateReq"))[0] == "FAILED_NoCertificateAvailable"


def test_a_failure_of_whoever_makes_contracts_goes_out_as_it_came() -> None:
    worded = installation_answer(requests_octets("CertificateInstallationReq"), "FAILED_ContractCanceled")
    taped = tape("ac install")
    secc = taped.station_after(
        taped.states.index("selected-contract") + 1, ContractQuestion=lambda _: q.ContractGiven(worded)
    )
    secc.engine.receive(sent("CertificateInstallationReq"), secc.engine.now + 0.01)
    secc.settle(secc.engine.now)
    assert secc.engine.outgoing()[8:] == worded
    assert secc.engine.ending is not None
    assert secc.engine.ending.kind == "refused"
    (told,) = [notice for notice in secc.notices if isinstance(notice, Refused)]
    assert told.response_code == "FAILED_ContractCanceled"


def test_the_deadline_of_a_contract_is_that_of_the_answer() -> None:
    """4.5 s, after which the vehicle hears that there is none."""
    taped = tape("ac install")
    secc = taped.station_after(taped.states.index("selected-contract") + 1)
    came = secc.engine.now + 1
    secc.engine.receive(sent("CertificateInstallationReq"), came)
    assert secc.engine.deadline == came + 4.5
    secc.engine.tick(came + 4.5)
    body = list_body(secc)
    assert getattr(body, "ResponseCode", "") == "FAILED_NoCertificateAvailable"


def list_body(secc: Side) -> object:
    """The body of what is to be sent."""
    message = codec.decode(secc.engine.outgoing()[8:], "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    return message.Body.BodyElement
