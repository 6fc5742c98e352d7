"""What a station's driver says of contracts and signatures: whose they are, whether they hold, what a vehicle hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import pytest

import v2gpki
from tests.chains import mint
from tests.pnc.installation.parties import NOW, SESSION, parties_2, parties_of
from v2gpki.clock import FixedClock
from v2gpki.errors import V2GPKIError
from v2gpki.pnc.authorisation import build_authorization
from v2gpki.profile.load import Catalogue
from v2gpki.servers.secc.answers import StationAnswers
from v2gpki.servers.secc.credentials import station_keys
from v2gpki.servers.secc.plugins import Asked, Decision, StationPlugins
from v2gpki.session import questions as q
from v2gpki.session.notices import Agreed
from v2gpki.wiring.credentials import Roots, StationCredentials
from v2gpki.wiring.pki_folder import Compat

CATALOGUE = Catalogue()
CHALLENGE = bytes(range(16))


@dataclass
class Register:
    """Remembers who asked, and decides as it was told."""

    decision: Decision = field(default_factory=lambda: Decision("accepted"))
    asked: list[Asked] = field(default_factory=list)

    async def authorise(self, asked: Asked) -> Decision:
        self.asked.append(asked)
        if asked.verdict is not None:
            return Decision("rejected", problem=asked.verdict)
        return self.decision


@dataclass
class OnlyAuthorising:
    """Of a station's plug-ins the one that these questions reach."""

    authoriser: Register
    events: None = None
    stage: None = None


@dataclass
class Bench:
    """A driver's answers, and the authoriser behind them."""

    answers: StationAnswers
    register: Register

    def ask(self, question: q.Question[object]) -> object:
        """The answer; the engine would get it, or the refusal."""
        found = self.answers.answers[type(question)](question)

        async def waited() -> object:
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run(waited())

    def authorise(self, emaid: str, chain: tuple[bytes, ...]) -> object:
        return self.ask(q.AuthorizationQuestion("pnc", emaid, chain, "00AA11BB22CC", SESSION))


def bench(
    roots: Roots,
    edition: str = "iso15118-2",
    *,
    at: datetime = NOW,
    compat: Compat = "",
    decision: Decision | None = None,
) -> Bench:
    register = Register(decision or Decision("accepted"))
    plugins = cast(StationPlugins, OnlyAuthorising(register))  # no other plug-in is reached
    keys = station_keys(StationCredentials(roots), catalogue=CATALOGUE, compat=compat)
    answers = StationAnswers(plugins, keys, FixedClock(at), secured=None, evse_id="ZZ00000")
    asyncio.run(answers.told(Agreed(0.0, "namespace", edition)))
    return Bench(answers, register)


def corpus(*names: str) -> tuple[bytes, ...]:
    return tuple(mint.certificate(name) for name in names)


ROOTS = Roots(v2g=corpus("v2g"), mo=corpus("mo"))
CONTRACT = corpus("contract", "mo2", "mo1")


def heard(call: Callable[[], object]) -> tuple[str, object]:
    """The code of the refusal, and the ResponseCode that a session takes from it."""
    with pytest.raises(V2GPKIError) as found:
        call()
    return found.value.code, found.value.facts.get("response_code")


# --- contracts ------------------------------------------------------------------------------------------------------


def test_a_contract_that_holds_is_shown_to_the_authoriser() -> None:
    station = bench(ROOTS)
    assert station.ask(q.ContractChainQuestion("DEABCC123ABC56", CONTRACT)) is q.DONE
    assert station.authorise("DEABCC123ABC56", CONTRACT) == q.Decision("accepted")
    (asked,) = station.register.asked
    assert (asked.emaid, asked.chain, asked.verdict) == ("DEABCC123ABC56", CONTRACT, None)
    # OCPP's Authorize wants hash data of each certificate, if all issuers are known.
    assert [data.serial for data in asked.hash_data] == [
        mint_serial(name) for name in ("contract", "mo2", "mo1")
    ]


def mint_serial(name: str) -> int:
    from cryptography import x509

    return x509.load_der_x509_certificate(mint.certificate(name)).serial_number


def test_a_contract_that_ends_soon_is_said_to() -> None:
    """[V2G2-690]: 21 days or fewer."""
    ends = mint.described("contract")["to_time"]
    assert isinstance(ends, datetime)
    question = q.ContractChainQuestion("DEABCC123ABC56", CONTRACT)
    assert isinstance(bench(ROOTS, at=ends - timedelta(days=21)).ask(question), q.ExpiresSoon)
    assert bench(ROOTS, at=ends - timedelta(days=21, seconds=1)).ask(question) is q.DONE


def test_the_emaid_of_another_is_refused() -> None:
    station = bench(ROOTS)
    found = heard(lambda: station.ask(q.ContractChainQuestion("DEABCC123ABC57", CONTRACT)))
    assert found == ("installation.wrong_emaid", "FAILED_NoCertificateAvailable")


@pytest.mark.parametrize(
    ("chain", "wanted"),
    [
        (("contract-expired", "mo2", "mo1"), ("path.expired", "FAILED_CertificateExpired")),
        (("contract", "mo1"), ("path.broken", "FAILED_CertChainError")),
        (("contract-country", "mo2", "mo1"), ("role.subject", "FAILED")),
    ],
)
def test_a_contract_that_does_not_hold(chain: tuple[str, ...], wanted: tuple[str, str]) -> None:
    station = bench(ROOTS)
    assert heard(lambda: station.ask(q.ContractChainQuestion("", corpus(*chain)))) == wanted


def test_a_root_that_nobody_knows_is_the_authoriser_s_to_judge() -> None:
    station = bench(Roots(v2g=ROOTS.v2g))
    assert station.ask(q.ContractChainQuestion("DEABCC123ABC56", CONTRACT)) is q.DONE
    refused = heard(lambda: station.authorise("DEABCC123ABC56", CONTRACT))
    assert refused == ("path.no_anchor", "FAILED_NoCertificateAvailable")
    (asked,) = station.register.asked
    assert asked.verdict is not None
    assert asked.hash_data == ()


def test_the_next_vehicle_is_not_judged_by_the_last_one_s_verdict() -> None:
    station = bench(Roots(v2g=ROOTS.v2g))
    station.ask(q.ContractChainQuestion("DEABCC123ABC56", CONTRACT))
    station.ask(q.ContractChainQuestion("", corpus("contract-v", "mo2v", "mo1v")))
    assert station.authorise("", corpus("contract-v", "mo2v", "mo1v")) == q.Decision("accepted")


def test_in_iso20_the_emaid_is_the_certificate_s(everything: v2gpki.CertificateAuthority) -> None:
    party = parties_of(everything, "iso15118-20", "p521")
    station = bench(Roots(mo=(party.contract.root,)), "iso15118-20", at=party.at)
    station.ask(q.ContractChainQuestion("", party.contract.chain))
    station.authorise("", party.contract.chain)
    assert [asked.emaid for asked in station.register.asked] == [party.emaid]
    unknown = bench(Roots(), "iso15118-20", at=party.at)
    unknown.ask(q.ContractChainQuestion("", party.contract.chain))
    assert heard(lambda: unknown.authorise("", party.contract.chain)) == ("path.no_anchor", "WARNING_eMSPUnknown")


def test_what_the_authoriser_names_goes_first() -> None:
    named = {"response_code": "FAILED_CertificateRevoked"}
    for facts, code in ((named, "FAILED_CertificateRevoked"), ({}, "FAILED_ContractCanceled")):
        problem = V2GPKIError("contract.ended", "a test", facts=facts)
        station = bench(ROOTS, decision=Decision("rejected", problem=problem))
        assert heard(lambda station=station: station.authorise("DEABCC123ABC56", CONTRACT)) == ("contract.ended", code)


# --- signatures -----------------------------------------------------------------------------------------------------


def test_an_authorization_of_the_lab_edition_only_in_a_lab() -> None:
    party = parties_2()
    message = build_authorization(
        CHALLENGE,
        party.contract.signer,
        edition="lab-ecog-20",
        session_id=SESSION,
        chain=CONTRACT,
        timestamp=NOW,
    )
    question = q.SignatureQuestion("AuthorizationReq", message, CONTRACT, CHALLENGE)
    assert bench(ROOTS, "iso15118-20", compat="ecog").ask(question) is q.DONE
    assert heard(lambda: bench(ROOTS, "iso15118-20").ask(question))[0] == "signature.wrong_algorithm"


@pytest.mark.parametrize("compat", ["", "ecog"])
def test_an_authorization_of_iso2(compat: Compat) -> None:
    message = build_authorization(CHALLENGE, parties_2().contract.signer, session_id=SESSION)
    station = bench(ROOTS, compat=compat)
    assert station.ask(q.SignatureQuestion("AuthorizationReq", message, CONTRACT, CHALLENGE)) is q.DONE
    other = q.SignatureQuestion("AuthorizationReq", message, CONTRACT, bytes(16))
    assert heard(lambda: station.ask(other))[0] == "authorisation.wrong_challenge"


# --- one payer after the other --------------------------------------------------------------------------------------


def test_who_pays_at_the_station_brings_no_contract_along() -> None:
    """A contract that anybody made up leaves no EMAID behind, not even a verdict, for the next way to pay."""
    station = bench(Roots(v2g=ROOTS.v2g))
    station.ask(q.ContractChainQuestion("DEABCC123ABC56", CONTRACT))
    station.ask(q.AuthorizationQuestion("eim", "", (), "00AA11BB22CC", SESSION))
    (asked,) = station.register.asked
    assert (asked.method, asked.emaid, asked.chain, asked.verdict) == ("eim", "", (), None)


def test_a_decision_about_one_payer_is_none_about_another() -> None:
    """The authoriser thinks for long about a contract; meanwhile the vehicle wants to pay otherwise."""

    class Thinking(Register):
        let = False

        async def authorise(self, asked: Asked) -> Decision:
            self.asked.append(asked)
            if asked.method == "pnc":
                await asyncio.Event().wait()
            return Decision("rejected" if asked.method == "eim" else "accepted")

    station = bench(ROOTS)
    station.register.__class__ = Thinking

    async def scene() -> list[object]:
        ask = station.answers.answers[q.AuthorizationQuestion]
        found = []
        for question in (
            q.AuthorizationQuestion("pnc", "DEABCC123ABC56", CONTRACT, "00AA11BB22CC", SESSION),
            q.AuthorizationQuestion("eim", "", (), "00AA11BB22CC", SESSION),
        ):
            answer = ask(question)
            assert asyncio.iscoroutine(answer)
            found.append((await answer).status)
        await station.answers.ended()
        return found

    assert asyncio.run(scene()) == ["ongoing", "rejected"]
    assert [asked.method for asked in station.register.asked] == ["pnc", "eim"]
