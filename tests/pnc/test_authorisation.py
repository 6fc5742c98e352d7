"""GenChallenge, the contract that is presented, AuthorizationReq: what holds, and each refusal by its code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from tests.chains import mint
from tests.pnc import samples
from tests.pnc.installation.parties import SESSION, Parties, parties_2
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.schema import Message
from v2gpki.pnc.authorisation import (
    build_authorization,
    check_authorization,
    check_repetition,
    contract_chain,
    gen_challenge,
    payment_details,
    presented,
    repeat_authorization,
)
from v2gpki.pnc.signature import attach, sign, signature_of

CHALLENGE = bytes(range(16))
OTHER = bytes(range(1, 17))
TIME = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
EDITIONS = ("iso15118-2", "iso15118-20")
AnyRequest = iso2.V2G_Message | iso20_common.AuthorizationReq


def refused(code: str, call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == code
    return found.value


def built(parties: Parties, challenge: bytes = CHALLENGE) -> AnyRequest:
    return build_authorization(
        challenge,
        parties.contract.signer,
        edition=parties.edition,
        session_id=SESSION,
        chain=parties.contract.chain,
        timestamp=TIME,
    )


def over_the_wire(message: Message, edition: str) -> Message:
    schema = "iso15118-2" if edition == "iso15118-2" else "iso15118-20-common"
    found = codec.decode(codec.encode(message, schema), schema)
    assert isinstance(found, Message)
    return found


# --- the challenge --------------------------------------------------------------------------------------------------


def test_a_challenge_is_what_the_source_gives() -> None:
    asked = []

    def source(octets: int) -> bytes:
        asked.append(octets)
        return CHALLENGE

    assert gen_challenge(source) == CHALLENGE
    assert asked == [16]


@pytest.mark.parametrize("octets", [b"", bytes(15), bytes(range(15)), bytes(range(17)), bytes(16), b"\xff" * 16])
def test_a_dead_source_makes_no_challenge(octets: bytes) -> None:
    refused("authorisation.weak_challenge", lambda: gen_challenge(lambda _: octets))


# --- the contract ---------------------------------------------------------------------------------------------------


def test_payment_details_carry_the_contract() -> None:
    parties = parties_2()
    request = payment_details("DE-ABC-C123ABC56", parties.contract.chain)
    message = over_the_wire(samples.v2g_message(request), "iso15118-2")
    found = presented(message)
    assert found.chain == parties.contract.chain == contract_chain(message)
    # The corpus says whose contract it is.
    assert found.emaid == parties.emaid == mint.described("contract")["subject"][-1][1]


def test_another_emaid_than_the_certificate_is_refused() -> None:
    request = payment_details("DEABCC123ABC57", parties_2().contract.chain)
    assert refused("installation.wrong_emaid", lambda: presented(request)).facts["emaid"] == "DEABCC123ABC57"


def test_a_chain_that_no_message_carries_is_not_presented() -> None:
    chain = parties_2().contract.chain
    refused("installation.bad_chain", lambda: payment_details("DEABCC123ABC56", ()))
    refused("installation.bad_chain", lambda: payment_details("DEABCC123ABC56", chain + chain))
    refused(
        "installation.certificate_too_large",
        lambda: payment_details("DEABCC123ABC56", (mint.certificate("secc-large"),)),
    )


def test_a_contract_is_looked_for_in_two_messages_only() -> None:
    refused("authorisation.wrong_message", lambda: contract_chain(samples.metering_receipt()))
    refused("authorisation.wrong_mode", lambda: contract_chain(samples.eim_20()))


# --- AuthorizationReq -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", EDITIONS)
def test_what_a_vehicle_signs_a_station_takes(edition: str, parties: Callable[[str], Parties]) -> None:
    party = parties(edition)
    message = over_the_wire(built(party), edition)
    given = party.contract.chain if edition == "iso15118-2" else ()
    found = check_authorization(message, CHALLENGE, chain=given)
    assert found.chain == party.contract.chain
    assert [element.name.name for element in found.check.elements] == [
        "AuthorizationReq" if edition == "iso15118-2" else "PnC_AReqAuthorizationMode"
    ]
    assert found.check.edition == edition


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_challenge_is_looked_at_before_the_signature(edition: str, parties: Callable[[str], Parties]) -> None:
    party = parties(edition)
    unsigned = attach(built(party, OTHER), None)
    problem = refused(
        "authorisation.wrong_challenge",
        lambda: check_authorization(unsigned, CHALLENGE, chain=party.contract.chain),
    )
    assert (problem.outcome.iso2, problem.outcome.iso20) == ("FAILED_ChallengeInvalid", "WARNING_ChallengeInvalid")
    assert problem.clause == ("[V2G2-475]" if edition == "iso15118-2" else "[V2G20-2565]")
    with pytest.raises(V2GPKIError) as found:
        check_authorization(attach(built(party), None), CHALLENGE, chain=party.contract.chain)
    assert found.value.code == "signature.missing"
    assert (found.value.outcome.iso2, found.value.outcome.iso20) == ("FAILED_SignatureError",) * 2


def test_a_first_request_without_challenge_is_refused() -> None:
    chain, empty = parties_2().contract.chain, samples.v2g_message(iso2.AuthorizationReq())
    refused("authorisation.wrong_challenge", lambda: check_authorization(empty, CHALLENGE, chain=chain))


@pytest.mark.parametrize("edition", EDITIONS)
def test_another_key_than_the_leaf_s_is_refused(edition: str, parties: Callable[[str], Parties]) -> None:
    party = parties(edition)
    forged = attach(built(party), sign(attach(built(party), None), party.cps.signer))
    refused("signature.wrong_value", lambda: check_authorization(forged, CHALLENGE, chain=party.contract.chain))


def test_the_chain_of_iso20_is_part_of_what_is_signed(parties: Callable[[str], Parties]) -> None:
    party = parties("iso15118-20")
    message = built(party)
    assert isinstance(message, iso20_common.AuthorizationReq)
    assert message.PnC_AReqAuthorizationMode is not None
    swapped = iso20_common.ContractCertificateChainType(
        Certificate=party.contract.chain[0],
        SubCertificates=iso20_common.SubCertificatesType(Certificate=party.oem.chain[1:]),
    )
    changed = replace(
        message, PnC_AReqAuthorizationMode=replace(message.PnC_AReqAuthorizationMode, ContractCertificateChain=swapped)
    )
    refused("signature.wrong_digest", lambda: check_authorization(changed, CHALLENGE))


def test_the_chain_of_iso20_in_the_message_is_the_one_that_counts(parties: Callable[[str], Parties]) -> None:
    party = parties("iso15118-20")
    assert check_authorization(built(party), CHALLENGE, chain=party.cps.chain).chain == party.contract.chain


def test_an_eim_request_is_no_contract_s(parties: Callable[[str], Parties]) -> None:
    problem = refused("authorisation.wrong_mode", lambda: check_authorization(samples.eim_20(), CHALLENGE))
    assert problem.outcome.iso20 == "WARNING_AuthorizationSelectionInvalid"
    message = built(parties("iso15118-20"))
    mixed = replace(message, SelectedAuthorizationService="EIM")
    refused("authorisation.wrong_mode", lambda: check_authorization(mixed, CHALLENGE))


def test_other_messages_and_no_contract_are_refused() -> None:
    refused("authorisation.wrong_message", lambda: check_authorization(samples.metering_receipt(), CHALLENGE))
    refused("installation.bad_chain", lambda: check_authorization(built(parties_2()), CHALLENGE))


def test_the_algorithm_of_iso2_in_iso20_only_by_name() -> None:
    party = parties_2()
    message = build_authorization(
        CHALLENGE,
        party.contract.signer,
        edition="lab-ecog-20",
        session_id=SESSION,
        chain=party.contract.chain,
        timestamp=TIME,
    )
    assert check_authorization(message, CHALLENGE, edition="lab-ecog-20").chain == party.contract.chain
    refused("signature.wrong_algorithm", lambda: check_authorization(message, CHALLENGE))


def test_what_cannot_be_built(parties: Callable[[str], Parties]) -> None:
    party = parties("iso15118-20")

    def build(challenge: bytes = CHALLENGE, **changed: object) -> object:
        given = {"chain": party.contract.chain, "timestamp": TIME, "session_id": SESSION, "edition": party.edition}
        return build_authorization(challenge, party.contract.signer, **{**given, **changed})

    refused("authorisation.wrong_challenge", lambda: build(bytes(15)))
    refused("installation.needs_time", lambda: build(timestamp=None))
    refused("installation.bad_chain", lambda: build(chain=()))
    refused("installation.bad_chain", lambda: build(chain=party.contract.chain[:1]))
    refused("installation.wrong_key", lambda: build(chain=party.cps.chain))


# --- repetitions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_repetition_repeats(edition: str, parties: Callable[[str], Parties]) -> None:
    first = built(parties(edition))
    again = repeat_authorization(first, TIME + timedelta(seconds=3))
    check_repetition(first, over_the_wire(again, edition))
    check_repetition(first, first)
    if isinstance(again, iso2.V2G_Message):
        assert again.Body.BodyElement == iso2.AuthorizationReq()
        assert signature_of(again) is None
        assert again.Header.SessionID == SESSION
    else:
        # 2026-06-15 12:00:03 UTC: 20,619 days after 1970 and 43,203 seconds
        assert again.Header.TimeStamp == 20_619 * 86_400 + 43_203
        assert signature_of(again) == signature_of(first)


def test_a_repetition_in_iso20_has_a_time(parties: Callable[[str], Parties]) -> None:
    refused("installation.needs_time", lambda: repeat_authorization(built(parties("iso15118-20"))))


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_repetition_that_says_something_else_is_refused(
    edition: str, parties: Callable[[str], Parties]
) -> None:
    party = parties(edition)
    first = built(party)
    refused("authorisation.changed_repetition", lambda: check_repetition(first, built(party, OTHER)))


def test_in_iso20_nothing_but_the_time_may_change(parties: Callable[[str], Parties]) -> None:
    first = built(parties("iso15118-20"))
    for changed in (
        attach(first, None),
        replace(first, Header=replace(first.Header, SessionID=bytes(8))),
        replace(samples.eim_20(), Header=first.Header),
    ):
        refused("authorisation.changed_repetition", lambda changed=changed: check_repetition(first, changed))


def test_a_repetition_is_of_the_same_edition(parties: Callable[[str], Parties]) -> None:
    first = built(parties("iso15118-20"))
    refused("authorisation.wrong_message", lambda: check_repetition(first, built(parties_2())))
