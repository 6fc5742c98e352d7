"""The digests of the pools' records: two written out by hand as ``canonical`` says, and every field of each counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from hashlib import sha256

import pytest

from tests.store.pool_samples import answer, bundle, certified, contract, prefix, root, vehicle
from tests.store.samples import LATER, NOW, certificate, changed, intent
from tests.store.test_canonical import NOW_SECONDS, i64, u32
from v2gpki.store import canonical, pool_canonical
from v2gpki.store.details import issued_details
from v2gpki.store.pool_records import Answered, Bundle, Contract, PooledRoot, PooledVehicle, Prefix

Record = PooledRoot | Prefix | PooledVehicle | Contract | Bundle | Answered
DIGESTS: tuple[tuple[Record, Callable[..., str]], ...] = (
    (root(1), pool_canonical.root_digest),
    (prefix("WMI"), pool_canonical.prefix_digest),
    (vehicle(1), pool_canonical.vehicle_digest),
    (contract(1), pool_canonical.contract_digest),
    (bundle(contract(1), certified(1)[0]), pool_canonical.bundle_digest),
    (answer(1, [bundle(contract(1), certified(1)[0])]), pool_canonical.answer_digest),
)


def digest_of(record: Record) -> str:
    for sample, function in DIGESTS:
        if type(sample) is type(record):
            return function(record)
    raise TypeError


def other(value: object) -> object:
    """Another value of the same kind."""
    kinds: dict[type, object] = {
        str: "another",
        bytes: b"another",
        int: 12345,
        bool: True,
        type(NOW): LATER + timedelta(days=999),
        type(None): NOW,
        dict: {"another": "value"},
    }
    if isinstance(value, tuple):
        return (*value, "another" if value and isinstance(value[0], str) else b"another")
    return kinds[type(value)]


@pytest.mark.parametrize(
    ("record", "name"), [(record, field.name) for record, _ in DIGESTS for field in fields(record)]
)
def test_every_field_counts(record: Record, name: str) -> None:
    spoiled = changed(record, **{name: other(getattr(record, name))})
    assert digest_of(spoiled) != digest_of(record)


def test_moving_a_boundary_counts() -> None:
    one, two = answer(1, []), changed(answer(1, []), bundles=("a",))
    assert digest_of(one) != digest_of(two)
    first = changed(vehicle(1), owner="ab", registered_by="c")
    assert digest_of(first) != digest_of(changed(first, owner="a", registered_by="bc"))
    chained = changed(vehicle(1), chain=(b"ab", b"c"))
    assert digest_of(chained) != digest_of(changed(chained, chain=(b"a", b"bc")))


def test_a_contract_octet_by_octet() -> None:
    record = Contract("c" * 32, "DEACM0000000011", "WMI1", NOW, NOW + timedelta(seconds=1), NOW, "mo", "iso2-mo", True)
    texts = [b"c" * 32, b"DEACM0000000011", b"WMI1", i64(NOW_SECONDS), i64(NOW_SECONDS + 1), i64(NOW_SECONDS)]
    texts += [b"mo", b"iso2-mo", i64(1), b"active", b"", b""]
    octets = b"v2gpki/contract/1\x00" + b"".join(u32(len(text)) for text in texts) + b"".join(texts)
    assert digest_of(record) == sha256(octets).hexdigest()
    ended = changed(record, state="ended", ended_at=NOW, reason="superseded", default=False)
    texts[8:] = [i64(0), b"ended", i64(NOW_SECONDS), b"superseded"]
    octets = b"v2gpki/contract/1\x00" + b"".join(u32(len(text)) for text in texts) + b"".join(texts)
    assert digest_of(ended) == sha256(octets).hexdigest()


def test_a_vehicle_octet_by_octet() -> None:
    record = PooledVehicle("P", "iso15118-2", "p256", (b"a", b"b"), b"f", b"r", NOW, "o", NOW, "by", (b"k",), "Q")
    chain = sha256(b"a").digest() + sha256(b"b").digest()
    texts = [b"P", b"iso15118-2", b"p256", chain, b"f", b"r", i64(NOW_SECONDS), b"o", i64(NOW_SECONDS), b"by"]
    texts += [sha256(b"k").digest(), b"Q"]
    octets = b"v2gpki/vehicle/1\x00" + b"".join(u32(len(text)) for text in texts) + b"".join(texts)
    assert digest_of(record) == sha256(octets).hexdigest()


def test_the_details_are_canonical_json() -> None:
    made = bundle(contract(1), certified(1)[0])
    for text in (
        pool_canonical.decided_details(root(1)),
        pool_canonical.prefix_details(prefix("WMI", "ü")),
        pool_canonical.vehicle_details(vehicle(1), vehicle(1, key=1)),
        pool_canonical.contract_details(changed(contract(1), reason="superseded")),
        pool_canonical.bundle_details(made),
        pool_canonical.answer_details(answer(1, [made])),
        issued_details(certificate(intent(1)), 'a "contract"'),
    ):
        assert text == canonical.details_text(json.loads(text))
    assert json.loads(issued_details(certificate(intent(1)), 'a "contract"'))["contract"] == 'a "contract"'
    assert "contract" not in json.loads(issued_details(certificate(intent(1))))
