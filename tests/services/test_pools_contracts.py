"""The pool of contracts: one for an EMAID, several for a vehicle, and which of them a vehicle gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

import v2gpki
from tests.services.pool_world import AT, DAY, EMAID, PCID, World, refusing
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.services.issuance import Order
from v2gpki.services.pools import ContractPolicy, Selection
from v2gpki.store.pool_records import Contract
from v2gpki.store.records import CertificateRecord

#: From the vectors of mobilityid (The New Motion): the check digit of DE8AA001234567 is 0.
ACCOUNT, CHECKED, WRONG = "DE8AA001234567", "DE8AA0012345670", "DE8AA0012345671"
ISO2, ISO20 = "iso15118-2", "iso15118-20"
SECOND = timedelta(seconds=1)


@pytest.fixture
def world(iso2: v2gpki.CertificateAuthority) -> World:
    one = World(iso2)
    one.registered()
    one.seals = 0
    return one


def make(
    world: World,
    emaid: str = EMAID,
    begins: datetime = AT,
    ends: datetime = AT + 90 * DAY,
    *,
    pcid: str = PCID,
    default: bool = False,
) -> Contract:
    return world.contracts.create(emaid, pcid, begins, ends, default=default, short=True, at=AT, caller="alice")


# -- making ---------------------------------------------------------------------------------------


def test_a_contract_is_made_for_a_registered_vehicle(world: World) -> None:
    contract = world.contracts.create(
        "de-abc-c123abc56",
        PCID.lower(),
        AT.astimezone(timezone(timedelta(hours=2))) + timedelta(microseconds=5),
        AT + 90 * DAY,
        issuer="iso2-mo-sub-ca-2",
        at=AT,
        caller="alice",
    )
    assert (contract.emaid, contract.pcid, contract.issuer) == (EMAID, PCID, "iso2-mo-sub-ca-2")
    assert (contract.begins, contract.ends) == (AT, AT + 90 * DAY)
    assert (contract.created_at, contract.created_by, contract.state) == (AT, "alice", "active")
    assert len(contract.id) == 32
    assert int(contract.id, 16)
    assert contract.default
    assert world.contracts.find(contract.id) == contract
    assert world.seals == 1
    assert world.audit("contract.created") == [contract.id]


def test_ids_are_drawn(world: World) -> None:
    assert make(world).id != make(world, "DEABCC123ABC57").id


def test_an_unknown_vehicle_gets_no_contract(world: World) -> None:
    with refusing("pool.unknown_vehicle") as caught:
        make(world, pcid="WVWABCDEFGH999999")
    assert caught.value.outcome.iso2 == "FAILED_NoCertificateAvailable"
    lab = world.contracts.create(
        EMAID, "WVWABCDEFGH999999", AT, AT + 90 * DAY, unregistered_vehicle=True, at=AT, caller="test"
    )
    assert lab.pcid == "WVWABCDEFGH999999"


def test_the_policy_may_take_unregistered_vehicles(iso2: v2gpki.CertificateAuthority) -> None:
    world = World(iso2, contracts_policy=ContractPolicy(unregistered_vehicle="accept"))
    assert make(world).pcid == PCID


@pytest.mark.parametrize(("written", "kept"), [(ACCOUNT, ACCOUNT), (CHECKED, CHECKED), ("de-8aa-001234567-0", CHECKED)])
def test_an_emaid_is_kept_as_it_was_written(world: World, written: str, kept: str) -> None:
    assert make(world, written).emaid == kept


def test_a_wrong_check_digit_is_refused_unless_the_policy_takes_it(
    world: World, iso2: v2gpki.CertificateAuthority
) -> None:
    with refusing("contract.check_digit") as caught:
        make(world, WRONG)
    assert "computed 0" in caught.value.message
    assert list(world.contracts.list()) == []
    lenient = World(iso2, contracts_policy=ContractPolicy(wrong_check_digit="accept"))
    assert make(lenient, WRONG).emaid == WRONG


@pytest.mark.parametrize("emaid", ["", "DE", "DE8AA00123456", "DE8AA00123456700", "\u00c4E8AA001234567"])
def test_what_is_no_emaid_is_refused(world: World, emaid: str) -> None:
    with refusing("identifier.invalid"):
        make(world, emaid)


def test_what_is_no_pcid_is_refused(world: World) -> None:
    with refusing("identifier.invalid"):
        make(world, pcid="OEMProvCert")


@pytest.mark.parametrize("second", [ACCOUNT, CHECKED, "DE-8AA-001234567-0"])
@pytest.mark.parametrize("first", [ACCOUNT, CHECKED])
def test_an_emaid_has_one_contract_however_it_is_written(world: World, first: str, second: str) -> None:
    contract = make(world, first)
    world.seals = 0
    with refusing("contract.exists") as caught:
        make(world, second)
    assert caught.value.facts["contract"] == contract.id
    assert caught.value.outcome.http == 409
    assert world.seals == 0
    assert len(list(world.contracts.list())) == 1


def test_of_many_at_once_one_gets_the_emaid(world: World) -> None:
    def attempt(emaid: str) -> str:
        try:
            return make(world, emaid).emaid
        except V2GPKIError as problem:
            return problem.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, [ACCOUNT, CHECKED] * 8))
    assert sorted(answers)[1:] == ["contract.exists"] * 15
    assert len(list(world.contracts.list())) == 1


def test_an_ended_contract_leaves_its_emaid_free(world: World) -> None:
    first = make(world)
    world.contracts.end(EMAID, at=AT, caller="test")
    second = make(world)
    assert second.id != first.id
    assert world.contracts.find(EMAID) == second
    assert [one.state for one in world.contracts.list(emaid=EMAID)] == ["ended", "active"]


def test_a_contract_that_is_over_makes_room_by_itself(world: World) -> None:
    first = make(world, ends=AT + DAY)
    with refusing("contract.exists"):
        world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT + DAY - SECOND, caller="test")
    second = world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT + DAY, caller="test")
    assert world.contracts.find(first.id).state == "ended"
    assert second.state == "active"
    assert second.default


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(AT, AT), (AT + DAY, AT), (AT - 9 * DAY, AT), (AT - 9 * DAY, AT - DAY), (AT + DAY, AT + DAY)],
)
def test_a_contract_ends_after_it_begins_and_after_now(world: World, begins: datetime, ends: datetime) -> None:
    with refusing("contract.bad_period"):
        make(world, begins=begins, ends=ends)


def test_times_have_a_zone(world: World) -> None:
    with refusing("usage.invalid"):
        make(world, begins=AT.replace(tzinfo=None))


def test_a_contract_may_have_begun_and_may_begin_later(world: World) -> None:
    assert make(world, begins=AT - DAY).begins == AT - DAY
    assert make(world, "DEABCC123ABC57", begins=AT + DAY).begins == AT + DAY


def test_the_issuer_must_issue_contracts(world: World) -> None:
    create = world.contracts.create
    end = AT + 90 * DAY
    with refusing("contract.wrong_issuer") as caught:
        create(EMAID, PCID, AT, end, issuer="iso2-oem-sub-ca-2", at=AT, caller="test")
    assert "mo-sub-ca-2" in caught.value.hint
    with refusing("store.unknown_authority"):
        create(EMAID, PCID, AT, end, issuer="nobody", at=AT, caller="test")
    made = create(EMAID, PCID, AT, end, issuer="iso2-mo-sub-ca-2@1", at=AT, caller="test")
    assert made.issuer == "iso2-mo-sub-ca-2@1"


def test_the_issuer_must_serve_a_key_of_the_vehicle(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    end = AT + 90 * DAY
    world.vehicles.register(world.chain(PCID, ISO20, "p521"), at=AT, caller="test")
    create = world.contracts.create
    with refusing("contract.wrong_issuer") as caught:
        create(EMAID, PCID, AT, end, issuer="iso2-mo-sub-ca-2", at=AT, caller="test")
    assert "iso15118-20 in p521" in caught.value.message
    assert list(world.contracts.list()) == []
    assert create(EMAID, PCID, AT, end, issuer="iso20-p521-mo-sub-ca-2", at=AT, caller="test").issuer
    world.registered()
    assert create(ACCOUNT, PCID, AT, end, issuer="iso2-mo-sub-ca-2", at=AT, caller="test").issuer
    elsewhere = create(
        "DEABCC123ABC57", "WVWABCDEFGH999999", AT, end, issuer="iso2-mo-sub-ca-2", unregistered_vehicle=True,
        at=AT, caller="test",
    )
    assert elsewhere.issuer == "iso2-mo-sub-ca-2"


def test_a_contract_lasts_as_long_as_a_certificate_at_least(everything: v2gpki.CertificateAuthority) -> None:
    """ISO 15118-2 table F.4: four weeks; ISO 15118-20 says nothing."""
    world = World(everything)
    create = world.contracts.create
    world.registered()
    for begins, ends in ((AT, AT + 28 * DAY - SECOND), (AT - 20 * DAY, AT + 7 * DAY)):
        with refusing("contract.bad_period") as caught:
            create(EMAID, PCID, begins, ends, at=AT, caller="test")
        assert caught.value.facts == {"edition": ISO2, "days": 28}
    assert list(world.contracts.list()) == []
    assert create(EMAID, PCID, AT - 20 * DAY, AT + 8 * DAY, at=AT, caller="test").state == "active"
    assert create(ACCOUNT, PCID, AT, AT + DAY, short=True, at=AT, caller="test").state == "active"
    newer = "WVWABCDEFGH999999"
    with refusing("contract.bad_period"):
        create("DEABCC123ABC57", newer, AT, AT + DAY, unregistered_vehicle=True, at=AT, caller="test")
    world.vehicles.register(world.chain(newer, ISO20, "p521"), at=AT, caller="test")
    assert create("DEABCC123ABC57", newer, AT, AT + DAY, at=AT, caller="test").state == "active"


@pytest.mark.parametrize("pcid", ["", " ", "%", "WVW"])
def test_what_is_no_pcid_has_no_contracts(world: World, pcid: str) -> None:
    make(world)
    with refusing("identifier.invalid"):
        world.contracts.select(pcid, ISO2, AT)
    with refusing("identifier.invalid"):
        world.contracts.default_of(pcid)
    assert len(list(world.contracts.list(pcid=""))) == 1


# -- finding --------------------------------------------------------------------------------------


def test_a_contract_is_found_by_id_and_by_emaid_in_any_writing(world: World) -> None:
    contract = make(world, CHECKED)
    for name in (contract.id, contract.id.upper(), contract.id[:8], CHECKED, ACCOUNT, "de-8aa-001234567"):
        assert world.contracts.find(name) == contract
    for name in ("", contract.id[:7], "DEABCC123ABC99", "nonsense", "f" * 31 + "0"):
        with refusing("contract.unknown"):
            world.contracts.find(name)


def test_lists_are_filtered(world: World) -> None:
    first, second = make(world, ends=AT + 10 * DAY), make(world, "DEABCC123ABC57")
    world.contracts.end(second.id, at=AT, caller="test")
    pool = world.contracts
    assert [one.id for one in pool.list()] == [first.id, second.id]
    assert [one.id for one in pool.list(state="active")] == [first.id]
    assert [one.id for one in pool.list(emaid="DE-ABC-C123ABC57")] == [second.id]
    assert [one.id for one in pool.list(pcid=PCID.lower(), state="ended")] == [second.id]
    assert list(pool.list(pcid="WVWABCDEFGH999999")) == []
    assert [one.id for one in pool.list(ending_before=AT + 11 * DAY)] == [first.id]
    with refusing("identifier.invalid"):
        pool.list(emaid="nonsense")


@pytest.mark.parametrize(("edition", "days"), [(ISO2, 21), (ISO20, 14)])
def test_the_window_of_notice(world: World, edition: str, days: int) -> None:
    """[V2G2-690]: 21 days or fewer; [V2G20-2218]: 14 days."""
    pool, end = world.contracts, AT + 90 * DAY
    assert pool.window(edition) == days * DAY
    assert not pool.soon(edition, end, end - days * DAY - SECOND)
    assert pool.soon(edition, end, end - days * DAY)
    assert pool.soon(edition, end, end + DAY)
    inside = make(world, ends=AT + days * DAY)
    make(world, "DEABCC123ABC57", ends=AT + days * DAY + SECOND)
    assert [one.id for one in pool.expiring(edition, AT)] == [inside.id]


# -- default and end ------------------------------------------------------------------------------


def test_the_first_contract_is_the_default_until_another_asks(world: World) -> None:
    first, second = make(world), make(world, "DEABCC123ABC57")
    assert (first.default, second.default) == (True, False)
    third = make(world, "DEABCC123ABC58", default=True)
    assert third.default
    assert world.contracts.default_of(PCID) == third
    assert not world.contracts.find(first.id).default


def test_the_default_can_be_set_and_set_again(world: World) -> None:
    first, second = make(world), make(world, "DEABCC123ABC57")
    world.seals = 0
    contract, changed = world.contracts.set_default("DEABCC123ABC57", at=AT, caller="test")
    assert (contract.id, contract.default, changed) == (second.id, True, True)
    again, changed = world.contracts.set_default(second.id, at=AT, caller="test")
    assert (again.id, changed) == (second.id, False)
    assert world.seals == 1
    assert not world.contracts.find(first.id).default


def test_an_ended_contract_is_no_default(world: World) -> None:
    first = make(world)
    world.contracts.end(first.id, at=AT, caller="test")
    with refusing("contract.not_active") as caught:
        world.contracts.set_default(first.id, at=AT, caller="test")
    assert caught.value.outcome.iso2 == "FAILED_ContractCanceled"


def test_ending_hands_the_default_on_and_is_once(world: World) -> None:
    first, second = make(world), make(world, "DEABCC123ABC57")
    ended = world.contracts.end(EMAID, "keyCompromise", at=AT, caller="test")
    assert (ended.changed, ended.contract.state, ended.contract.reason) == (True, "ended", "keyCompromise")
    assert ended.contract.id == first.id
    assert ended.default is not None
    assert (ended.default.id, ended.default.default) == (second.id, True)
    world.seals = 0
    again = world.contracts.end(EMAID, at=AT + DAY, caller="test")
    assert (again.changed, again.contract.reason, again.contract.ended_at) == (False, "keyCompromise", AT)
    assert world.seals == 0
    last = world.contracts.end(second.id, at=AT, caller="test")
    assert last.default is None


@pytest.mark.parametrize("reason", ["", "bored", "certificateHold", "keycompromise"])
def test_a_contract_ends_for_a_reason_that_is_one(world: World, reason: str) -> None:
    make(world)
    with refusing("revocation.unknown_reason"):
        world.contracts.end(EMAID, reason, at=AT, caller="test")
    assert world.contracts.find(EMAID).state == "active"


def certified(world: World, *contracts: Contract) -> list[CertificateRecord]:
    """A certificate for each: linked when it is committed, as services/issuance does."""
    ca = world.ca
    route = ca._routing.route("contract", edition=ISO2)
    orders = [
        Order(
            route.profile,
            route.issuer_id,
            route.constants,
            identifier=parse("emaid", one.emaid),
            not_after=one.ends,
            contract_id=one.id,
        )
        for one in contracts
    ]
    return [answer.record for answer in ca.issuance.issue(orders, caller="test")]


def test_ending_revokes_the_certificates_of_the_contract(world: World) -> None:
    contract, other = make(world), make(world, "DEABCC123ABC57")
    ca = world.ca
    mine, kept = certified(world, contract, other)
    ended = world.contracts.end(contract.id, at=AT, caller="test")
    assert ended.revoked == ((mine.issuer_id, mine.serial),)
    revoked = ca.store.certificate(mine.issuer_id, mine.serial)
    still = ca.store.certificate(kept.issuer_id, kept.serial)
    assert revoked is not None
    assert still is not None
    assert (revoked.state, revoked.reason, still.state) == ("revoked", "cessationOfOperation", "valid")


def test_ending_a_purged_contract_revokes_what_is_still_valid(world: World) -> None:
    contract = make(world)
    (mine,) = certified(world, contract)
    pair = (mine.issuer_id, mine.serial)
    deleted = world.vehicles.delete(PCID, at=AT, caller="test")
    assert (deleted.revoked, deleted.valid) == ((), (pair,))
    ended = world.contracts.end(contract.id, "superseded", at=AT, caller="test")
    assert (ended.changed, ended.contract.state, ended.revoked) == (True, "purged", (pair,))
    record = world.ca.store.certificate(*pair)
    assert record is not None
    assert (record.state, record.reason) == ("revoked", "superseded")
    world.seals = 0
    again = world.contracts.end(contract.id, at=AT, caller="test")
    assert (again.changed, again.revoked, world.seals) == (False, (), 0)


def test_a_deletion_revokes_when_asked(world: World) -> None:
    world.registered("WVWABCDEFGH999999")
    contract, other = make(world), make(world, "DEABCC123ABC57", pcid="WVWABCDEFGH999999")
    mine, kept = certified(world, contract, other)
    deleted = world.vehicles.delete(PCID, revoke=True, at=AT, caller="test")
    assert (deleted.revoked, deleted.valid) == (((mine.issuer_id, mine.serial),), ())
    record, still = (world.ca.store.certificate(one.issuer_id, one.serial) for one in (mine, kept))
    assert record is not None
    assert still is not None
    assert (record.state, record.reason, still.state) == ("revoked", "cessationOfOperation", "valid")


# -- selection ------------------------------------------------------------------------------------

A, B, C, D = "DEABCC000000A0", "DEABCC000000B0", "DEABCC000000C0", "DEABCC000000D0"


@pytest.fixture
def several(world: World) -> World:
    """A, B (default), C in the order of creation; D begins tomorrow; another vehicle has one of its own."""
    make(world, A)
    make(world, B, default=True)
    make(world, C)
    make(world, D, begins=AT + DAY)
    world.registered("WVWABCDEFGH999999")
    make(world, "DEABCC000000E0", pcid="WVWABCDEFGH999999")
    return world


@pytest.mark.parametrize(
    ("policy", "prioritised", "limit", "expected"),
    [
        (None, (), None, [B, A, C]),
        (None, (), 1, [B]),
        (None, (), 0, []),
        (None, (), -1, []),
        (None, (), 9, [B, A, C]),
        (None, (C,), None, [C, B, A]),
        (None, (C, A), None, [C, A, B]),
        (None, (C, A), 1, [C]),
        (None, ("de-abc-c000000a0", A), None, [A, B, C]),
        (None, ("nonsense", "", "DEABCC000000E0", D), None, [B, A, C]),
        (Selection(order="oldest-first"), (), None, [A, B, C]),
        (Selection(order="newest-first"), (), None, [C, B, A]),
        (Selection(order="newest-first"), (A,), None, [A, C, B]),
        (Selection(prioritised="only"), (C, "nonsense"), None, [C]),
        (Selection(prioritised="only"), (D,), None, []),
        (Selection(prioritised="only"), (), None, [B, A, C]),
        (Selection(prioritised="ignore"), (C,), None, [B, A, C]),
        (Selection(share="default"), (), None, [B]),
        (Selection(share="default"), (C,), None, [C, B]),
        (Selection(share="default", prioritised="ignore"), (C,), None, [B]),
        (Selection(share="default", prioritised="only"), (C,), None, [C]),
    ],
)
def test_which_contracts_a_vehicle_gets(
    several: World, policy: Selection | None, prioritised: tuple[str, ...], limit: int | None, expected: list[str]
) -> None:
    chosen = several.contracts.select(PCID, ISO2, AT, prioritised=prioritised, limit=limit, policy=policy)
    assert [contract.emaid for contract in chosen] == expected


def test_only_what_runs_now_is_given(several: World) -> None:
    pool = several.contracts
    assert [one.emaid for one in pool.select(PCID, ISO20, AT + DAY - SECOND)] == [B, A, C]
    assert [one.emaid for one in pool.select(PCID, ISO20, AT + DAY)] == [B, A, C, D]
    assert [one.emaid for one in pool.select(PCID, ISO20, AT + 90 * DAY - SECOND)] == [B, A, C, D]
    assert pool.select(PCID, ISO20, AT + 90 * DAY) == []
    pool.end(B, at=AT, caller="test")
    assert [one.emaid for one in pool.select(PCID, ISO20, AT)] == [A, C]
    assert pool.select("WVWABCDEFGH000000", ISO20, AT) == []
    assert len(pool.select(PCID.lower(), ISO20, AT)) == 2
    with refusing("profile.unknown_edition"):
        pool.select(PCID, "iso15118-3", AT)


@pytest.mark.parametrize("wished", [ACCOUNT, CHECKED, "de-8aa-001234567"])
@pytest.mark.parametrize("kept", [ACCOUNT, CHECKED])
def test_a_check_digit_makes_no_other_contract_of_it(world: World, kept: str, wished: str) -> None:
    make(world, kept)
    make(world, EMAID, default=True)
    chosen = world.contracts.select(PCID, ISO2, AT, prioritised=[wished])
    assert [one.emaid for one in chosen] == [kept, EMAID]
