"""What a vehicle hears about its contract: every code by a table with sources, and real chains that provoke rows."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from tests.chains import mint
from tests.pnc.installation.parties import NOW, Parties, revoked
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.iso20_types import responseCodeType
from v2gpki.pnc.authorisation import check_contract
from v2gpki.pnc.contract_codes import contract_code, with_code
from v2gpki.profile.load import Catalogue
from v2gpki.wiring.credentials import Roots, StationCredentials
from v2gpki.wiring.judges import contract_judge

ROWS = tomllib.loads(Path(__file__).with_name("contract_codes.toml").read_text("utf-8"))["row"]
PAIRS = [(code, row) for row in ROWS for code in row["codes"]]
CATALOGUE = Catalogue()
#: The rooms whose codes a verdict on a contract can have, all of them.
ROOMS = ("path.", "role.", "chain.", "authorisation.", "signature.")


@pytest.mark.parametrize(("code", "row"), PAIRS, ids=[code for code, _ in PAIRS])
def test_the_vehicle_hears(code: str, row: dict[str, str]) -> None:
    problem = V2GPKIError(code, "a test")
    assert contract_code(problem, "iso15118-2") == row["iso2"]
    assert contract_code(problem, "iso15118-20") == contract_code(problem, "lab-ecog-20") == row["iso20"]


def test_each_code_stands_in_one_row() -> None:
    named = [code for code, _ in PAIRS]
    assert len(named) == len(set(named))
    assert {code for code in CODES if code.startswith(ROOMS)} <= set(named) <= set(CODES)


def test_each_code_is_one_of_the_schema_s() -> None:
    codes = get_args(iso2.PaymentDetailsRes.__annotations__["ResponseCode"])
    for row in ROWS:
        assert row["iso2"] in codes
        assert row["iso20"] in get_args(responseCodeType)


def test_what_was_named_goes_first() -> None:
    problem = V2GPKIError("path.expired", "a test", facts={"response_code": "FAILED_ContractCanceled"})
    assert contract_code(problem, "iso15118-2") == "FAILED_ContractCanceled"
    other = V2GPKIError("path.no_anchor", "a test", facts={"subject": "x", "response_code": ""})
    assert with_code(other, "iso15118-20") is other
    assert other.facts == {"subject": "x", "response_code": "WARNING_eMSPUnknown"}


# --- real chains ----------------------------------------------------------------------------------------------------


def corpus(*names: str) -> tuple[bytes, ...]:
    return tuple(mint.certificate(name) for name in names)


ROOTS = Roots(v2g=corpus("v2g"), mo=corpus("mo"), oem=corpus("oemroot"))


@pytest.mark.parametrize(
    ("chain", "code", "allowed"),
    [
        # ISO 15118-4, the verdicts that a test case allows
        (("contract-expired", "mo2", "mo1"), "path.expired", {"FAILED_CertificateExpired"}),
        (
            ("contract-country", "mo2", "mo1"),
            "role.subject",
            {"FAILED", "FAILED_NoCertificateAvailable", "FAILED_CertificateNotAllowedAtThisEVSE"},
        ),
        (
            ("contract-of-old-sub2", "mo2-old", "mo1"),
            "path.issuer_expired",
            {"FAILED", "FAILED_NoCertificateAvailable", "FAILED_CertificateNotAllowedAtThisEVSE"},
        ),
        (
            ("contract-of-old-sub1", "mo2-of-old", "mo1-old"),
            "path.issuer_expired",
            {"FAILED", "FAILED_NoCertificateAvailable", "FAILED_CertificateNotAllowedAtThisEVSE"},
        ),
        (("contract", "mo1", "mo2"), "path.order", {"FAILED_CertChainError"}),
        (("contract", "mo1"), "path.broken", {"FAILED_CertChainError"}),
    ],
)
def test_a_chain_of_iso2_that_is_refused(chain: tuple[str, ...], code: str, allowed: set[str]) -> None:
    problem = refusal(lambda: judged(corpus(*chain)))
    assert problem.code == code
    assert contract_code(problem, "iso15118-2") in allowed


def judged(chain: tuple[bytes, ...], roots: Roots = ROOTS, crls: tuple[bytes, ...] = ()) -> object:
    return contract_judge(CATALOGUE, StationCredentials(roots, crls=crls))(chain, "iso15118-2", NOW)


def refusal(call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    return found.value


def test_roots_revocation_and_emaid_of_iso2() -> None:
    chain = corpus("contract", "mo2", "mo1")
    unknown = refusal(lambda: judged(chain, Roots(v2g=ROOTS.v2g)))
    assert contract_code(unknown, "iso15118-2") == "FAILED_NoCertificateAvailable"
    over = refusal(lambda: judged(chain, crls=(revoked(chain[0], "mo2"),)))
    assert contract_code(over, "iso15118-2") == "FAILED_CertificateRevoked"
    assert check_contract("DE-ABC-C123ABC56", chain) == "DEABCC123ABC56"
    other = refusal(lambda: check_contract("DEABCC123ABC57", chain))
    assert contract_code(other, "iso15118-2") in {
        "FAILED",
        "FAILED_NoCertificateAvailable",
        "FAILED_ContractCanceled",
    }


def test_no_certificate_and_no_emaid_in_it() -> None:
    assert refusal(lambda: check_contract("DEABCC123ABC56", ())).code == "chain.empty"
    problem = refusal(lambda: check_contract("", corpus("contract-no-emaid")))
    assert contract_code(problem, "iso15118-20") == "WARNING_CertificateValidationError"


def test_chains_of_iso20(parties: Callable[[str], Parties]) -> None:
    contract = parties("iso15118-20").contract
    born = parties("iso15118-20").at
    roots = Roots(mo=(contract.root,))

    def heard(at: datetime, known: Roots = roots, chain: tuple[bytes, ...] = contract.chain) -> str:
        verdict = contract_judge(CATALOGUE, StationCredentials(known))
        return contract_code(refusal(lambda: verdict(chain, "iso15118-20", at)), "iso15118-20")

    # EVerest's tests of its own state machine expect each of these.
    assert heard(datetime(2090, 1, 1, tzinfo=UTC)) == "WARNING_CertificateExpired"
    assert heard(born - timedelta(days=9)) == "WARNING_CertificateNotYetValid"
    assert heard(born, Roots(mo=ROOTS.mo)) == "WARNING_eMSPUnknown"
    assert heard(born, ROOTS, corpus("contract", "mo2", "mo1")) == "WARNING_CertificateValidationError"
    assert check_contract("", contract.chain) == parties("iso15118-20").emaid
