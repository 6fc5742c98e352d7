"""The staple set of a chain: an answer for each certificate below the root, future leaves too."""

from __future__ import annotations

from datetime import timedelta

import pytest

import v2gpki
from tests.conftest import BIRTH
from tests.services.ocsp.asking import read
from tests.services.ocsp.conftest import responder_of
from v2gpki.certs.path import validate
from v2gpki.errors import V2GPKIError
from v2gpki.services.ocsp import Staple, staples

CA = v2gpki.CertificateAuthority


def staples_of(ca: CA, chain: list[bytes], root: bytes, algorithm: str = "SHA256") -> list[Staple]:
    responder = responder_of(ca)
    return staples(chain, lambda asked: responder.answer(asked.request, BIRTH), anchors=[root], algorithm=algorithm)


def test_leaf_sub_cas_and_the_leaf_that_follows(iso2: CA) -> None:
    now = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    later = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2", not_before=BIRTH + timedelta(days=50))
    root = iso2.authority(now.record.issuer_id).chain[-1]
    found = staples_of(iso2, [root, *reversed(now.chain), later.chain[0]], root, "SHA384")
    assert {one.certificate.der for one in found[:2]} == {now.chain[0], later.chain[0]}
    assert [one.certificate.der for one in found[2:]] == list(now.chain[1:])
    assert {one.status for one in found} == {"good"}
    for one in found:
        said = read(one.der)
        assert said.serial_number == one.certificate.serial == one.hash_data.serial
        assert said.hash_algorithm.name == "sha384"
        assert (said.this_update_utc, said.next_update_utc) == (one.this_update, one.next_update)
    validate(now.chain, [root], at=BIRTH, ocsps=[one.der for one in found], require_evidence=True)


def test_a_revoked_certificate_has_its_staple_too(iso2: CA) -> None:
    secc = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    root = iso2.authority(secc.record.issuer_id).chain[-1]
    iso2.revoke(f"{secc.record.serial:x}", "superseded")
    assert [one.status for one in staples_of(iso2, list(secc.chain), root)] == ["revoked", "good", "good"]


def test_a_foreign_chain_has_no_staples(iso2: CA, everything: CA) -> None:
    secc = everything.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    root = everything.authority(secc.record.issuer_id).chain[-1]
    with pytest.raises(V2GPKIError) as caught:
        staples_of(iso2, list(secc.chain), root)
    assert caught.value.code == "ocsp.no_staple"
    assert "unauthorized" in caught.value.message
