"""Every row of cases.toml: a request or an answer with one defect, and what comes of it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.pnc.installation import answers_made, requests_made
from tests.pnc.installation.parties import SESSION, Parties, Recorder
from v2gpki.errors import V2GPKIError
from v2gpki.pnc import installation

Row = Mapping[str, str]
_TABLE = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))
#: Checked before the vehicle's key is touched; the others show in what the key gives.
_ENVELOPE = ("envelope.bad_tag", "envelope.bad_scalar", "envelope.key_mismatch")


def _named(row: Row) -> str:
    return "-".join((row["edition"].removeprefix("iso15118"), row.get("message", "answer"), row["make"]))


def judged(attempt: requests_made.Attempt, action: installation.Action) -> installation.Request:
    """A request that may be answered with a contract."""
    request = installation.read_request(attempt.octets, schema=attempt.schema, action=action)
    installation.verify_request(request)
    attempt.parties.judge_vehicle(request)
    return request


def provided(attempt: requests_made.Attempt, action: installation.Action) -> bytes:
    """What a provisioning service does with a request, without pools and issuance."""
    parties, session_id = attempt.parties, bytes(8)
    try:
        request = installation.read_request(attempt.octets, schema=attempt.schema, action=action)
        action, session_id = request.action, request.session_id
        installation.verify_request(request)
        parties.judge_vehicle(request)
    except V2GPKIError as refusal:
        return installation.refuse(
            edition=parties.edition,
            action=action,
            session_id=session_id,
            timestamp=parties.at,
            response_code=installation.response_code(refusal, parties.edition, action),
        )
    signed = parties.signed(update=action == "update")
    return installation.respond(signed, action=action, session_id=session_id, timestamp=parties.at)


@pytest.mark.parametrize("row", _TABLE["request"], ids=_named)
def test_a_request(row: Row, parties: Callable[[str], Parties]) -> None:
    action: installation.Action = "update" if row["message"] == "update" else "install"
    attempt = requests_made.attempt(row["make"], parties(row["edition"]), action)
    if row["error"]:
        with pytest.raises(V2GPKIError) as refused:
            judged(attempt, action)
        assert refused.value.code == row["error"]
        assert row.get("also", row["error"]) in {row["error"]} | {one.code for one in refused.value.findings}
        assert installation.response_code(refused.value, attempt.parties.edition, action) == row["response"]
    octets = provided(attempt, action)
    read = installation.read_response(octets, schema=row["edition"])
    assert read.code == row["response"]
    assert read.action == (action if row["edition"] == "iso15118-2" else "install")
    # Octets of a refusal are an answer of the schema, and hold no contract.
    assert read.delivers == (not row["error"])
    if row["error"] and row["message"] == "update" and row["edition"] == "iso15118-2":
        assert read.retry_counter == 0
    if not row["error"]:
        assert read.session_id == SESSION


@pytest.mark.parametrize("row", _TABLE["answer"], ids=_named)
def test_an_answer(row: Row, parties: Callable[[str], Parties]) -> None:
    answer = answers_made.answer(row["make"], parties(row["edition"]))
    vehicle = Recorder(answer.parties.oem.key)
    response = installation.read_response(answer.octets, schema=row["edition"])
    with pytest.raises(V2GPKIError) as refused:
        installation.open_response(response, vehicle, trust=answer.parties.trust, pcid=answer.parties.pcid)
    assert refused.value.code == row["error"]
    assert row.get("also", row["error"]) in {row["error"]} | {one.code for one in refused.value.findings}
    assert installation.response_code(refused.value, answer.parties.edition)
    assert vehicle.used == (1 if row["error"] in _ENVELOPE else 0)


def test_every_way_of_making_is_in_the_table() -> None:
    assert {row["make"] for row in _TABLE["request"]} | {"namespace_other_edition"} == set(requests_made.MAKES)
    assert {row["make"] for row in _TABLE["answer"]} == set(answers_made.MAKES)
