"""Path validation over the chain corpus, and what the corpus cannot say: caching, threads, wrong input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.chains.mint import Case, cases, certificate, ocsp_response, revocation_list
from v2gpki.certs.evidence import Evidence
from v2gpki.certs.path import PathCache, PathReport, ValidPath, examine, validate
from v2gpki.errors import CODES, V2GPKIError

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
CASES = cases()
SECC = [certificate(name) for name in ("secc", "cpo2", "cpo1")]
V2G = [certificate("v2g")]


def report(case: Case, cache: PathCache | None = None) -> PathReport:
    return examine(
        [certificate(name) for name in case.chain],
        [certificate(name) for name in case.anchors],
        at=case.at,
        evidence=Evidence([revocation_list(name) for name in case.crls], [ocsp_response(name) for name in case.ocsps]),
        require_evidence=case.require_evidence,
        ordered=case.ordered,
        cache=cache,
    )


def judged(case: Case, cache: PathCache | None = None) -> ValidPath:
    return validate(
        [certificate(name) for name in case.chain],
        [certificate(name) for name in case.anchors],
        at=case.at,
        crls=[revocation_list(name) for name in case.crls],
        ocsps=[ocsp_response(name) for name in case.ocsps],
        require_evidence=case.require_evidence,
        ordered=case.ordered,
        cache=cache,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus_gets_the_verdict_it_names(case: Case) -> None:
    if not case.path:
        path = judged(case)
        assert path.leaf == certificate(case.chain[0]) or case.name == "shuffled"
        assert path.anchor in [certificate(name) for name in case.anchors]
        return
    with pytest.raises(V2GPKIError) as caught:
        judged(case)
    problem = caught.value
    assert problem.code == case.path
    wanted = sorted(case.all) or [case.path]
    assert sorted(finding.code for finding in problem.findings) == wanted
    assert (problem.outcome.iso2, problem.outcome.iso20, problem.outcome.ocpp) == (case.iso2, case.iso20, case.ocpp)
    assert problem.clause
    assert problem.hint


@pytest.mark.parametrize("case", [case for case in CASES if case.states], ids=lambda case: case.name)
def test_the_corpus_gets_the_statuses_it_names(case: Case) -> None:
    found = report(case)
    assert tuple(status.state for status in found.statuses) == case.states
    for status in found.statuses:
        assert status.detail
        assert bool(status.source) == (status.state in {"good", "revoked"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_kept_ca_part_gives_the_same_report(case: Case) -> None:
    cache = PathCache()
    fresh, first, second = report(case), report(case, cache), report(case, cache)
    assert first == fresh
    assert second == fresh


def test_every_row_of_the_catalogue_about_chains_has_a_case() -> None:
    covered = {row for case in CASES for row in case.rows}
    # 3 to 5, 11, 17, 18 and 34 to 37 are about messages, signatures and installing, not about chains.
    assert covered >= {1, 2, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, *range(19, 34)}


def test_every_path_code_has_a_case() -> None:
    shown = {code for case in CASES for code in (case.path, *case.all)}
    assert {code for code in CODES if code.startswith("path.")} <= shown


def test_the_ca_part_is_kept_and_used_for_the_next_leaf() -> None:
    cache = PathCache()
    validate(SECC, V2G, at=AT, cache=cache)
    assert len(cache) == 1
    # The same CA part serves a leaf that is bad by itself, and the verdict is about that leaf.
    with pytest.raises(V2GPKIError) as caught:
        validate([certificate("secc-expired"), *SECC[1:]], V2G, at=AT, cache=cache)
    assert caught.value.code == "path.expired"
    assert len(cache) == 1


def test_a_kept_ca_part_ends_with_its_certificates() -> None:
    # cpo2 ends on 2027-12-01, the leaf made for this test outlives it on purpose: secc ends on 2026-07-15.
    cache = PathCache()
    chain = [certificate(name) for name in ("contract-of-old-sub2", "mo2-old", "mo1")]
    anchors = [certificate("mo")]
    validate(chain, anchors, at=datetime(2026, 4, 1, tzinfo=UTC), cache=cache)
    assert len(cache) == 1
    with pytest.raises(V2GPKIError) as caught:
        validate(chain, anchors, at=AT, cache=cache)
    assert caught.value.code == "path.issuer_expired"


def test_a_kept_ca_part_ends_with_its_evidence() -> None:
    cache = PathCache()
    proof = {"crls": [revocation_list(name) for name in ("cpo2-empty", "cpo1-empty", "v2g-empty")]}
    for moment, state in ((AT, "good"), (datetime(2026, 6, 21, tzinfo=UTC), "unknown"), (AT, "good")):
        path = validate(SECC, V2G, at=moment, cache=cache, **proof)
        assert [status.state for status in path.statuses] == [state] * 3 + ["anchor"]


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("edge", [datetime(2026, 6, 10, tzinfo=UTC), datetime(2026, 6, 20, tzinfo=UTC)])
def test_evidence_counts_from_its_first_to_its_last_second(edge: datetime, offset: int) -> None:
    cache = PathCache()
    crls = [revocation_list("cpo2-empty"), revocation_list("cpo1-empty")]
    validate(SECC, V2G, at=AT, crls=crls, cache=cache)
    moment = edge + timedelta(seconds=offset)
    inside = datetime(2026, 6, 10, tzinfo=UTC) <= moment <= datetime(2026, 6, 20, tzinfo=UTC)
    for kept in (cache, None):
        states = [status.state for status in validate(SECC, V2G, at=moment, crls=crls, cache=kept).statuses]
        assert states == (["good", "good"] if inside else ["unknown", "unknown"]) + ["unknown", "anchor"]


def test_other_evidence_is_another_kept_part() -> None:
    cache = PathCache()
    validate(SECC, V2G, at=AT, cache=cache)
    with pytest.raises(V2GPKIError) as caught:
        validate(SECC, V2G, at=AT, crls=[revocation_list("cpo1-cpo2")], cache=cache)
    assert caught.value.code == "path.revoked"
    assert len(cache) == 1


def test_a_path_with_constraints_is_never_kept() -> None:
    cache = PathCache()
    chain = [certificate(name) for name in ("cpo2-constrained", "cpo1")]
    validate(chain, V2G, at=AT, cache=cache)
    assert len(cache) == 0


def test_the_cache_forgets_what_was_used_least() -> None:
    cache = PathCache(size=1)
    validate(SECC, V2G, at=AT, cache=cache)
    validate([certificate(name) for name in ("cps", "cps2", "cps1")], V2G, at=AT, cache=cache)
    assert len(cache) == 1


def test_threads_share_one_cache() -> None:
    cache = PathCache(size=2)
    chosen = [case for case in CASES if not case.path][:12]
    expected = {case.name: report(case) for case in chosen}
    with ThreadPoolExecutor(4) as pool:
        for case, found in zip(chosen * 4, pool.map(lambda case: report(case, cache), chosen * 4), strict=True):
            assert found == expected[case.name]


def test_it_runs_inside_a_running_loop() -> None:
    import asyncio

    async def inside() -> ValidPath:
        return validate(SECC, V2G, at=AT, cache=None)

    assert asyncio.run(inside()).certificates == (*SECC, *V2G)


def test_doubled_certificates_count_once() -> None:
    assert validate([*SECC, *SECC], [*V2G, *V2G], at=AT).certificates == (*SECC, *V2G)


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        ([], "chain.empty"),
        (["secc", "cps", "cpo2", "cpo1"], "chain.ambiguous"),
    ],
)
def test_no_leaf_to_start_from(chain: list[str], code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        validate([certificate(name) for name in chain], V2G, at=AT)
    assert caught.value.code == code


def test_a_heap_is_refused_before_anything_is_computed() -> None:
    names = [name for case in CASES for name in case.chain]
    with pytest.raises(V2GPKIError) as caught:
        validate([certificate(name) for name in names], V2G, at=AT)
    assert caught.value.code == "chain.too_long"


@pytest.mark.parametrize("data", [b"", b"\x30\x03\x02\x01\x01", SECC[0][:-1], SECC[0] + b"\x00"])
def test_what_is_no_certificate_is_malformed(data: bytes) -> None:
    with pytest.raises(V2GPKIError) as caught:
        validate([data, *SECC[1:]], V2G, at=AT)
    assert caught.value.code == "chain.malformed"


@pytest.mark.parametrize(("crls", "ocsps", "code"), [([b"x"], [], "crl.malformed"), ([], [b"x"], "ocsp.malformed")])
def test_broken_evidence_is_an_error(crls: list[bytes], ocsps: list[bytes], code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        validate(SECC, V2G, at=AT, crls=crls, ocsps=ocsps)
    assert caught.value.code == code


def test_a_naive_time_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="aware"):
        validate(SECC, V2G, at=AT.replace(tzinfo=None))


def test_cases_differ_from_each_other() -> None:
    blank = {"name": "", "drawing": "", "note": "", "clause": "", "rows": (), "openssl": "", "role": "", "iso2": ""}
    shapes = [str(replace(case, **blank)) for case in CASES]
    assert len(set(shapes)) >= len(shapes) - 2
