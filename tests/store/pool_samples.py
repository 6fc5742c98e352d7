"""Records of the pools for the tests of the store: made from a number, so that each run makes the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from tests.store.samples import LATER, NOW, certificate, changed, intent
from v2gpki.store.pool_records import Answered, Bundle, Contract, PooledRoot, PooledVehicle, Prefix
from v2gpki.store.protocol import Store
from v2gpki.store.records import CertificateRecord

MO = "iso2-mo-sub-ca-2@1"
EDITION = "iso15118-2"


def digest(*parts: object) -> bytes:
    return sha256(" ".join(map(str, parts)).encode()).digest()


def root(number: int, *, role: str = "v2g-root") -> PooledRoot:
    der = b"\x30\x82 root " + digest("root", number)
    return PooledRoot(sha256(der).digest(), der, role, "trusted", NOW, "me", f"root {number}")


def prefix(text: str, owner: str = "acme") -> Prefix:
    return Prefix("wmi" if len(text) == 3 else "mo", text, owner, NOW, "me")


def pcid_of(number: int) -> str:
    return f"WMI{number:014d}X"


def emaid_of(number: int) -> str:
    return f"DEACM{number:09d}"


def vehicle(number: int, *, key: int = 0, edition: str = EDITION, suite: str = "p256") -> PooledVehicle:
    """``key`` 0, 1, .. gives it another leaf with another key."""
    leaf = b"\x30\x82 leaf " + digest("leaf", number, key, edition, suite)
    return PooledVehicle(
        pcid=pcid_of(number),
        edition=edition,
        suite=suite,
        chain=(leaf, b"\x30\x82 sub-ca 2", b"\x30\x82 sub-ca 1"),
        fingerprint=sha256(leaf).digest(),
        receiver=digest("key", number, key, edition, suite),
        not_after=LATER,
        owner="acme",
        registered_at=NOW + timedelta(seconds=key),
        registered_by="oem",
        v2g_roots=(digest("authority key")[:20], digest("another")[:20]),
        previous_pcid=pcid_of(number + 1),
    )


def contract(number: int, *, car: int = 0, default: bool = False, again: int = 0) -> Contract:
    """``again`` 1, 2, .. gives another contract for the same EMAID."""
    return Contract(
        id=digest("contract", number, again).hex()[:32],
        emaid=emaid_of(number),
        pcid=pcid_of(car),
        begins=NOW,
        ends=LATER + timedelta(days=number),
        created_at=NOW + timedelta(seconds=number),
        created_by="mo",
        issuer="iso2-mo-sub-ca-2",
        default=default,
    )


def certified(number: int, *, not_after: int = 400) -> tuple[CertificateRecord, str]:
    """A contract certificate and the reference of its intent, not written yet; ``not_after`` in days."""
    wanted = changed(intent(number, issuer_id=MO, caller="mo"), role="contract", identifier=emaid_of(number))
    made = changed(certificate(wanted), not_after=NOW + timedelta(days=not_after))
    return made, wanted.reference


def bundle(
    of: Contract, made: CertificateRecord, *, key: int = 0, number: int = 0, edition: str = EDITION, replaces: str = ""
) -> Bundle:
    """Signed contract data for a certificate of a contract, wrapped for the vehicle's ``key``-th key."""
    car = int(of.pcid[3:-1])
    return Bundle(
        id=digest("bundle", of.id, key, number, edition).hex()[:32],
        contract_id=of.id,
        emaid=of.emaid,
        pcid=of.pcid,
        edition=edition,
        suite="p256",
        receiver=digest("key", car, key, edition, "p256"),
        v2g_root=digest("v2g root"),
        issuer_id=made.issuer_id,
        serial=made.serial,
        exi=b"\x80\x98" + digest("exi", of.id, key, number) * 3,
        made_at=NOW + timedelta(seconds=number),
        not_after=LATER,
        replaces=replaces,
    )


def deliver(
    store: Store, of: Contract, numbers: Sequence[int], *, key: int = 0, not_after: int = 400, replaces: str = ""
) -> list[Bundle]:
    """Issue certificates for a contract, each with its bundle, which replaces the one before; one commit each."""
    made = []
    for number in numbers:
        one, reference = certified(number, not_after=not_after)
        wanted = changed(intent(number, issuer_id=MO, caller="mo"), role="contract", identifier=emaid_of(number))
        store.record_intents([wanted])
        made.append(bundle(of, one, key=key, number=number, replaces=replaces))
        store.commit_results([one], [reference], contracts=[of.id], bundles=[made[-1]])
        replaces = made[-1].id
    return made


def answer(number: int, bundles: Sequence[Bundle]) -> Answered:
    return Answered(digest("request", number), tuple(one.id for one in bundles), NOW, {"station": "DE*ACM*E1"})
