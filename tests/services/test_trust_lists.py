"""Trust lists of a home, and lists of others on their way into the pool of roots."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from tests.conftest import BIRTH
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.certs import trust_list
from v2gpki.certs.trust_list import ListedRoot, SignedTrustList
from v2gpki.errors import Finding
from v2gpki.services.trust_lists import TrustLists, collect, import_list, require_signer

MONTH = timedelta(days=30)


def refused(code: str) -> pytest.RaisesExc[V2GPKIError]:
    return pytest.raises(V2GPKIError, check=lambda problem: problem.code == code)


def lists_of(ca: CertificateAuthority) -> TrustLists:
    return TrustLists(ca.store, ca.catalogue, ca.vault)


def listed(ca: CertificateAuthority, by: str = "iso2-v2g-root", **options: object) -> SignedTrustList:
    lists = lists_of(ca)
    roots = collect(ca.plug_and_charge.roots, **options)  # type: ignore[arg-type]  # roles and editions
    content = lists.create("Acme", 3, roots, at=BIRTH, lifetime=MONTH)
    return trust_list.read(lists.sign(content, by, at=BIRTH))


def test_the_trusted_roots_of_a_home_become_its_list(everything: CertificateAuthority) -> None:
    content = listed(everything).content
    expected = {
        everything.authority(slug).der
        for slug in ("iso2-v2g-root", "iso2-mo-root", "iso2-oem-root")
    }
    assert expected <= {root.der for root in content.roots}
    assert (content.number, content.next_update) == (3, BIRTH + MONTH)
    by_der = {root.der: root for root in content.roots}
    mo = by_der[everything.authority("iso2-mo-root").der]
    assert (mo.role, mo.editions) == ("mo-root", ("iso15118-2",))


def test_a_list_of_some_roles_and_editions(everything: CertificateAuthority) -> None:
    content = listed(everything, roles=["mo-root"], editions=["iso15118-2"]).content
    assert [root.der for root in content.roots] == [everything.authority("iso2-mo-root").der]


def test_refused_roots_are_not_listed(iso2: CertificateAuthority) -> None:
    iso2.plug_and_charge.roots.refuse("iso2-mo-root", at=BIRTH, caller="test")
    assert "mo-root" not in {root.role for root in listed(iso2).content.roots}


def test_a_kept_signer_signs_too(iso2: CertificateAuthority) -> None:
    kept = iso2.issue("secc", id="DE*ICE*E1", edition="iso15118-2", escrow=True).record
    found = listed(iso2, by=f"{kept.serial:x}")
    assert found.signed.signer == kept.der
    issuer = iso2.authority("iso2-cpo-sub-ca-2")
    assert found.signed.certificates == (kept.der, issuer.der, *issuer.chain)


def test_who_cannot_sign(iso2: CertificateAuthority) -> None:
    content = listed(iso2).content
    with refused("store.unknown_authority"):
        lists_of(iso2).sign(content, "nobody", at=BIRTH)
    with refused("trust_list.no_signer"):
        TrustLists(iso2.store, iso2.catalogue).sign(content, "iso2-v2g-root", at=BIRTH)


def test_the_signer_must_be_the_one_that_was_named(iso2: CertificateAuthority) -> None:
    root, other = iso2.authority("iso2-v2g-root"), iso2.authority("iso2-mo-root")
    found = listed(iso2)
    colons = ":".join(found.signer_fingerprint.upper()[at : at + 2] for at in range(0, 64, 2))
    for fingerprint in (found.signer_fingerprint, colons):
        require_signer(found, at=BIRTH, fingerprint=fingerprint)
    require_signer(found, at=BIRTH, certificates=[other.der, root.der])
    for wrong in ({}, {"certificates": [other.der]}, {"fingerprint": found.signer_fingerprint[:-2]}):
        with refused("trust_list.unknown_signer"):
            require_signer(found, at=BIRTH, **wrong)
    with refused("trust_list.unknown_signer"):
        require_signer(found, at=root.not_after + timedelta(seconds=1), certificates=[root.der])
    with refused("trust_list.unknown_signer"):
        require_signer(found, at=root.not_before - timedelta(seconds=1), certificates=[root.der])


def test_a_certificate_below_a_named_one_says_nothing(iso2: CertificateAuthority) -> None:
    station = iso2.issue("secc", id="DE*ICE*E1", edition="iso15118-2", escrow=True).record
    found = listed(iso2, by=f"{station.serial:x}")
    with refused("trust_list.unknown_signer"):
        require_signer(found, at=BIRTH, certificates=[iso2.authority("iso2-v2g-root").der])


# -- importing ------------------------------------------------------------------------------------


@dataclass
class Told:
    changed: bool
    findings: tuple[Finding, ...] = ()


@dataclass
class Sink:
    """A pool that remembers what it was told, and refuses one role."""

    known: set[bytes] = field(default_factory=set)
    said: list[tuple[str, str, str]] = field(default_factory=list)
    against: str = ""
    last: tuple[int, str] = (0, "")

    def standing(self, der: bytes) -> tuple[str, str]:
        return "", ""

    def imported(self, issuer: str) -> tuple[int, str]:
        return self.last

    def note_import(self, issuer: str, number: int, digest: str, *, at: datetime, caller: str) -> None:
        self.last = number, digest

    def add(self, der: bytes, *, role: str, comment: str, at: datetime, caller: str) -> Told:
        if role == self.against:
            raise V2GPKIError("pool.root_over", "over")
        changed = der not in self.known
        self.known.add(der)
        self.said.append(("add", role, comment))
        return Told(changed)

    def refuse(self, name: str, *, comment: str, at: datetime, caller: str) -> Told:
        self.said.append(("refuse", name, comment))
        return Told(True)


def test_each_root_goes_into_the_sink(iso2: CertificateAuthority) -> None:
    sink, found = Sink(against="mo-root"), listed(iso2)
    sink.known.add(iso2.authority("iso2-v2g-root").der)
    done = import_list(found, sink, at=BIRTH, caller="test")
    assert [root.role for root in done.unchanged] == ["v2g-root"]
    assert "oem-root" in {root.role for root in done.added}
    assert [(root.role, why.code) for root, why in done.refused] == [("mo-root", "pool.root_over")]
    assert {comment for _, _, comment in sink.said} == {"trust list 3 of Acme"}


def test_what_is_gone_since_the_list_before_is_refused(iso2: CertificateAuthority) -> None:
    found = listed(iso2)
    before = replace(found.content, number=2)
    mo = next(root for root in before.roots if root.role == "mo-root")
    now = replace(found, content=replace(found.content, roots=tuple(r for r in before.roots if r is not mo)))
    sink = Sink()
    done = import_list(now, sink, at=BIRTH, caller="test", previous=before)
    assert done.withdrawn == (mo,)
    assert ("refuse", mo.fingerprint, "not on trust list 3 of Acme") in sink.said


def test_what_is_not_imported(iso2: CertificateAuthority) -> None:
    found, sink = listed(iso2), Sink()
    with refused("trust_list.over"):
        import_list(found, sink, at=BIRTH + MONTH, caller="test")
    with refused("trust_list.not_yet"):
        import_list(found, sink, at=BIRTH - MONTH, caller="test")
    with refused("trust_list.rollback"):
        import_list(found, sink, at=BIRTH, caller="test", previous=replace(found.content, number=4))
    assert sink.said == []


def test_the_pool_of_roots_is_a_sink(iso2: CertificateAuthority, everything: CertificateAuthority) -> None:
    """The list of one home makes another one trust its roots."""
    pool = iso2.plug_and_charge.roots
    found = listed(everything, roles=["mo-root"], editions=["iso15118-2"])
    (root,) = found.content.roots
    first = import_list(found, pool, at=BIRTH, caller="test")
    again = import_list(found, pool, at=BIRTH, caller="test")
    assert (first.added, again.added, again.unchanged) == ((root,), (), (root,))
    trusted = {anchor.der for anchor in pool.trusted("mo-root", "iso15118-2")}
    assert root.der in trusted
    empty = replace(found, content=replace(found.content, number=4, roots=()))
    done = import_list(empty, pool, at=BIRTH, caller="test", previous=found.content)
    assert done.withdrawn == (root,)
    assert root.der not in {anchor.der for anchor in pool.trusted("mo-root", "iso15118-2")}
    assert isinstance(root, ListedRoot)


def test_a_root_that_was_trusted_by_the_list_before_is_known(
    iso2: CertificateAuthority, everything: CertificateAuthority
) -> None:
    """The pool notes the newer list with the root: that changes its row, and adds no root."""
    pool, found = iso2.plug_and_charge.roots, listed(everything, roles=["mo-root"], editions=["iso15118-2"])
    (root,) = found.content.roots
    import_list(found, pool, at=BIRTH, caller="test")
    newer = replace(found, content=replace(found.content, number=4))
    done = import_list(newer, pool, at=BIRTH, caller="test", previous=found.content)
    assert (done.added, done.unchanged, done.withdrawn) == ((), (root,), ())
    assert pool.standing(root.der) == ("trusted", "trust list 4 of Acme")


def test_an_own_root_is_known(iso2: CertificateAuthority) -> None:
    found, pool = listed(iso2), iso2.plug_and_charge.roots
    done = import_list(found, pool, at=BIRTH, caller="test")
    assert (done.added, done.unchanged) == ((), found.content.roots)
    assert len(done.unchanged) > 2
    assert pool.standing(iso2.authority("iso2-mo-sub-ca-1").der) == ("", "")


def test_an_older_list_is_refused_without_being_told_of_the_newer_one(
    iso2: CertificateAuthority, everything: CertificateAuthority
) -> None:
    pool, newer = iso2.plug_and_charge.roots, listed(everything, roles=["mo-root"], editions=["iso15118-2"])
    older = replace(newer, content=replace(newer.content, number=2))
    other = replace(newer, content=replace(newer.content, roots=()))
    import_list(newer, pool, at=BIRTH, caller="test")
    (row,) = iso2.store.audit_rows(actions=("root_list.imported",))
    assert (row.target, row.caller, json.loads(row.details)["number"]) == ("Acme", "test", 3)
    for wrong in (older, other):
        with refused("trust_list.rollback"):
            import_list(wrong, pool, at=BIRTH, caller="test")
    import_list(newer, pool, at=BIRTH, caller="test")
    assert len(list(iso2.store.audit_rows(actions=("root_list.imported",)))) == 1
    another = replace(older, content=replace(older.content, issuer="Another"))
    assert import_list(another, pool, at=BIRTH, caller="test").refused == ()


def test_a_root_that_somebody_refused_stays_refused(
    iso2: CertificateAuthority, everything: CertificateAuthority
) -> None:
    pool, found = iso2.plug_and_charge.roots, listed(everything, roles=["mo-root"], editions=["iso15118-2"])
    (root,) = found.content.roots
    import_list(found, pool, at=BIRTH, caller="test")
    pool.refuse(root.fingerprint, comment="compromised", at=BIRTH, caller="operator")
    done = import_list(found, pool, at=BIRTH, caller="test")
    assert [(one.der, why.code) for one, why in done.refused] == [(root.der, "trust_list.refused_root")]
    assert root.der not in {anchor.der for anchor in pool.trusted("mo-root", "iso15118-2")}
    again = import_list(found, pool, at=BIRTH, caller="test", trust_refused=True)
    assert again.added == (root,)
    assert root.der in {anchor.der for anchor in pool.trusted("mo-root", "iso15118-2")}


def test_a_newer_list_brings_back_what_an_older_one_withdrew(
    iso2: CertificateAuthority, everything: CertificateAuthority
) -> None:
    pool, found = iso2.plug_and_charge.roots, listed(everything, roles=["mo-root"], editions=["iso15118-2"])
    (root,) = found.content.roots
    import_list(found, pool, at=BIRTH, caller="test")
    without = replace(found, content=replace(found.content, number=4, roots=()))
    import_list(without, pool, at=BIRTH, caller="test", previous=found.content)
    foreign = replace(found, content=replace(found.content, issuer="Another"))
    assert [why.code for _, why in import_list(foreign, pool, at=BIRTH, caller="test").refused] == [
        "trust_list.refused_root"
    ]
    back = replace(found, content=replace(found.content, number=5))
    assert import_list(back, pool, at=BIRTH, caller="test").added == (root,)
