"""Every request has a refusal that encodes, with each ResponseCode that it may carry."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.session.iso2.rig import CLOCK
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.iso2.refusals import RESPONSE_CODES, permitted

SESSION = b"\1" * 8
ALWAYS = {"FAILED", "FAILED_SequenceError", "FAILED_UnknownSession"}
CASES = [(request, code) for request, codes in RESPONSE_CODES.items() for code in codes]


@pytest.mark.parametrize(("request_name", "code"), CASES)
def test_a_refusal_encodes(request_name: str, code: str) -> None:
    dialect = ISO2Dialect()
    said = dialect.say(dialect.refusal(request_name, code, SESSION, CLOCK.now()), SESSION, CLOCK.now())
    read = codec.decode(said.frame.payload, "iso15118-2")
    assert isinstance(read, iso2.V2G_Message)
    assert type(read.Body.BodyElement).__name__ == request_name.replace("Req", "Res")
    assert getattr(read.Body.BodyElement, "ResponseCode", "") == code
    assert read.Header.SessionID == SESSION


def test_every_code_of_the_schema_belongs_to_some_request() -> None:
    """All but the four that are good news."""
    named = {code for codes in RESPONSE_CODES.values() for code in codes}
    assert named == {code for code in get_args(iso2.responseCodeType) if code.startswith("FAILED")}
    assert all(set(codes) >= ALWAYS for codes in RESPONSE_CODES.values())


@pytest.mark.parametrize(
    ("request_name", "code", "said"),
    [
        ("AuthorizationReq", "FAILED_ChallengeInvalid", "FAILED_ChallengeInvalid"),
        ("AuthorizationReq", "FAILED_ContactorError", "FAILED"),
        ("SessionStopReq", "FAILED_SignatureError", "FAILED"),
        ("PaymentDetailsReq", "whatever a plug-in may say", "FAILED"),
    ],
)
def test_a_code_of_another_answer_is_a_plain_failure(request_name: str, code: str, said: str) -> None:
    assert permitted(request_name, code) == said
    body = ISO2Dialect().refusal(request_name, code, SESSION, CLOCK.now())
    assert getattr(body, "ResponseCode", "") == said


def test_what_is_no_request_has_no_refusal() -> None:
    with pytest.raises(V2GPKIError) as caught:
        ISO2Dialect().refusal("SessionSetupRes", "FAILED", SESSION, CLOCK.now())
    assert caught.value.code == "internal.bug"
