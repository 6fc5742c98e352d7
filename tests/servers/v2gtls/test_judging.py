"""What a judge remembers of a chain says nothing about another moment, another staple or another chain."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest

from tests.servers.v2gtls.bench import SHORT, TODAY, Pki
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import Edition
from v2gpki.servers.v2gtls.judging import Remembered, edition_of, station_judge, vehicle_judge
from v2gpki.servers.v2gtls.security import Chain


def code(judge: object, chain: Chain, *staple: bytes | None) -> str:
    """The code of the refusal, "" when there is none."""
    try:
        judge(chain, *staple)  # type: ignore[operator]  # one of the two kinds
    except V2GPKIError as problem:
        return problem.code
    return ""


def test_a_chain_that_was_good_expires(pki: Pki) -> None:
    moments: list[datetime] = [TODAY - SHORT * 1.5]
    secc = pki.identity("secc", "iso15118-2", expired=True)
    judge = station_judge(pki.catalogue, pki.roots("v2g-root"), lambda: moments[-1], editions=["iso15118-2"])
    assert code(judge, secc.chain, None) == ""
    assert code(judge, secc.chain, None) == ""
    moments.append(TODAY)
    assert code(judge, secc.chain, None) == "path.expired"
    moments.append(TODAY - timedelta(days=1))
    assert code(judge, secc.chain, None) == "path.not_yet_valid"


def test_a_chain_that_was_good_is_revoked(pki: Pki) -> None:
    secc = pki.identity("secc", "iso15118-2")
    assert secc.root is not None
    judge = station_judge(pki.catalogue, pki.roots("v2g-root"), lambda: TODAY, editions=["iso15118-2"])
    assert code(judge, secc.chain, secc.staple()) == ""
    pki.ca.revoke(hashlib.sha256(secc.chain[0]).hexdigest())
    assert code(judge, secc.chain, pki.staples(secc.chain, secc.root)[0]) == "path.revoked"


def test_another_chain_is_another_verdict(pki: Pki, stranger: Pki) -> None:
    car, other = pki.identity("vehicle", "iso15118-20"), stranger.identity("vehicle", "iso15118-20")
    judge = vehicle_judge(pki.catalogue, pki.roots("oem-root"), lambda: TODAY)
    assert code(judge, car.chain) == ""
    assert code(judge, (other.chain[0], *car.chain[1:])) != ""
    assert code(judge, car.chain[:1]) == "path.no_anchor"
    assert code(judge, ()) == "chain.empty"
    assert code(judge, car.chain) == ""


def test_the_edition_follows_from_the_key(pki: Pki) -> None:
    both: list[Edition] = ["iso15118-2", "iso15118-20"]
    for edition in both:
        assert edition_of(pki.identity("secc", edition).chain, both) == edition
    judge = station_judge(pki.catalogue, pki.roots("v2g-root"), lambda: TODAY, editions=["iso15118-20"])
    with pytest.raises(V2GPKIError) as caught:
        judge(pki.identity("secc", "iso15118-2").chain, None)
    assert "role.suite" in {finding.code for finding in caught.value.findings}


def test_roots_that_are_trusted_no_more_end_what_was_remembered(pki: Pki) -> None:
    remembered = Remembered(most=2)
    cars = [pki.identity("vehicle", "iso15118-20") for _ in range(3)]

    def judge(*roots: str) -> object:
        return vehicle_judge(pki.catalogue, pki.roots(*roots), lambda: TODAY, remembered=remembered)

    for car in cars:
        assert code(judge("oem-root", "v2g-root"), car.chain) == ""
    assert len(remembered) == 2
    assert code(judge("v2g-root"), cars[-1].chain) == "path.no_anchor"
    assert code(judge("oem-root", "v2g-root"), cars[-1].chain) == ""
