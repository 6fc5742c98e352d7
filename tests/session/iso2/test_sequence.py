"""What comes in which state: the flow table, each request out of sequence, each under a foreign session id."""

from __future__ import annotations

import pytest

from tests.session.iso2.tapes import answer_to, in_state, requests, states, tape, with_session
from v2gpki.session.iso2.flow import FLOW
from v2gpki.session.iso2.refusals import RESPONSE_CODES

SESSION = b"\1" * 8
STATES = [state for state in FLOW.states() if state != FLOW.over]
REQUESTS = {
    "SessionSetupReq",
    "ServiceDiscoveryReq",
    "ServiceDetailReq",
    "PaymentServiceSelectionReq",
    "CertificateInstallationReq",
    "CertificateUpdateReq",
    "PaymentDetailsReq",
    "AuthorizationReq",
    "ChargeParameterDiscoveryReq",
    "PowerDeliveryReq",
    "MeteringReceiptReq",
    "ChargingStatusReq",
    "CableCheckReq",
    "PreChargeReq",
    "CurrentDemandReq",
    "WeldingDetectionReq",
    "SessionStopReq",
}


def test_the_tapes_have_every_request_and_every_state() -> None:
    """The 34 body messages of -2 are 17 requests and their answers."""
    assert len(REQUESTS) == 17
    assert set(requests()) == set(RESPONSE_CODES) == REQUESTS
    assert set(states()) == set(FLOW.states())
    assert {move.request for move in FLOW.all_moves()} == REQUESTS


@pytest.mark.parametrize("state", STATES)
def test_out_of_sequence(state: str) -> None:
    """Whatever the table does not have in a state gets its own answer, with FAILED_SequenceError, and the end."""
    session = bytes(8) if state == FLOW.begin else SESSION
    refused = sorted(REQUESTS - set(FLOW.expected(state)))
    assert refused
    for name in refused:
        secc = in_state(state)
        answer = answer_to(secc, with_session(requests()[name], session))
        assert answer is not None
        body = answer.Body.BodyElement
        assert type(body).__name__ == name.replace("Req", "Res")
        assert getattr(body, "ResponseCode", "") == "FAILED_SequenceError"
        assert answer.Header.SessionID == session
        assert secc.engine.ending is not None
        assert secc.engine.ending.kind == "refused"
        assert secc.engine.ending.problem is not None
        assert secc.engine.ending.problem.code == "session.sequence"


@pytest.mark.parametrize("state", [state for state in STATES if state != FLOW.begin])
def test_a_foreign_session_id(state: str) -> None:
    for name in FLOW.expected(state):
        secc = in_state(state)
        answer = answer_to(secc, with_session(requests()[name], b"\x77" * 8))
        assert answer is not None
        assert getattr(answer.Body.BodyElement, "ResponseCode", "") == "FAILED_UnknownSession"
        # The station's own id: a vehicle that listens in learns nothing that it could not guess.
        assert answer.Header.SessionID == SESSION
        assert secc.engine.ending is not None


def test_an_answer_is_no_request() -> None:
    """There is nothing to answer with: the connection ends."""
    secc = in_state("set-up")
    frame = tape("ac eim").responses[2]
    assert answer_to(secc, frame) is None
    assert secc.engine.ending is not None
    assert secc.engine.ending.kind == "fault"


def test_two_requests_at_once_are_one_too_many() -> None:
    """Half-duplex: who asks twice is answered once, and then the second, if it fits then."""
    said = tape("ac eim").requests
    secc = in_state("connected")
    secc.engine.receive(said[1] + said[2], 1.0)
    secc.settle(1.0)
    assert secc.states() == ["set-up", "discovered"]
