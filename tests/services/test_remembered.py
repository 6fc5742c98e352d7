"""What was looked up holds until an authority or a root's decision changes, in whichever process."""

from __future__ import annotations

import pytest

from v2gpki import CertificateAuthority
from v2gpki.services import remembered
from v2gpki.services.remembered import Remembered


def test_it_is_looked_up_once_until_the_trust_changes(iso2: CertificateAuthority) -> None:
    known: Remembered[str, int] = Remembered(iso2.store)
    looked: list[str] = []

    def look_up(key: str) -> int:
        looked.append(key)
        return len(looked)

    assert [known.of(key, lambda key=key: look_up(key)) for key in "aabab"] == [1, 1, 2, 1, 2]  # type: ignore[misc]  # the default binds the key
    iso2.issue("secc", id="DE*ICE*E1")
    assert known.of("a", lambda: look_up("a")) == 1
    [authority] = iso2.store.authorities(role="mo-sub-ca-2")
    iso2.revoke(f"{authority.serial:x}", "superseded")
    assert known.of("a", lambda: look_up("a")) == 3
    assert looked == ["a", "b", "a"]


def test_what_fails_is_not_remembered_and_none_is(iso2: CertificateAuthority) -> None:
    known: Remembered[str, None] = Remembered(iso2.store)

    def fails() -> None:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            known.of("a", fails)
    assert known.of("a", lambda: None) is None
    # None is an answer like any other: it is not looked up again.
    assert known.of("a", fails) is None


def test_memory_is_bounded(iso2: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 3)
    known: Remembered[int, int] = Remembered(iso2.store)
    for number in range(10):
        assert known.of(number, lambda number=number: number) == number  # type: ignore[misc]  # the same
    assert len(known._known[1]) <= 3


def test_the_way_of_an_order_is_that_of_its_options(iso2: CertificateAuthority) -> None:
    routing = iso2._routing
    plain, pointed = (routing.route("secc", options=options) for options in (None, {"crl-dp": "on"}))
    assert [dict(route.profile.options)["crl-dp"] for route in (plain, pointed)] == ["off", "on"]
    assert routing.route("secc") is plain
    assert routing.route("secc", options={"crl-dp": "on"}) is pointed
