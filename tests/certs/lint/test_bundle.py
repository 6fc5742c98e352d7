"""Files of several certificates: which role each is judged by, and what stays unjudged."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7

from tests.certs.lint.foundry import (
    LEAF_EXTENSIONS,
    Link,
    leaf,
    mint,
    new_key,
    ocsp,
    root,
    sub,
    subject_of,
    usage,
)
from v2gpki.certs.lint.bundle import Judged, certificate_octets, family_of, lint_bundle
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue

CATALOGUE = Catalogue()


def pem(*links: Link) -> bytes:
    return b"".join(link.certificate.public_bytes(Encoding.PEM) for link in links)


def judge(*ders: bytes, role: str = "secc", edition: str = "iso15118-2", **more: bytes) -> tuple[Judged, ...]:
    return lint_bundle(ders, CATALOGUE, edition=edition, role=role, issuer=more.get("issuer"))


def roles(judged: tuple[Judged, ...]) -> list[str]:
    return [one.profile.role if one.profile else "" for one in judged]


def codes(one: Judged) -> list[str]:
    return [found.code for found in one.findings]


def test_a_chain_is_judged_upwards() -> None:
    judged = judge(leaf().der, sub().der, root().der)
    assert roles(judged) == ["secc", "cpo-sub-ca-2", "v2g-root"]
    assert [codes(one) for one in judged] == [[], [], []]


def test_a_missing_link_leaves_the_rest_unjudged() -> None:
    assert roles(judge(leaf().der, root().der)) == ["secc", ""]


def test_sub_ca_1_is_recognised_by_its_path_length() -> None:
    key = new_key("p256")
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (usage("key_cert_sign", "crl_sign"), True),
        (ocsp(), False),
    ]
    second = Link(
        mint(subject_of("Sub 2", dc="V2G"), key.public_key(), sub("p256", 1), sub("p256", 1).key, extensions), key, ""
    )
    name = subject_of("DE*ABC*E00001", dc="CPO")
    end = mint(name, new_key("p256").public_key(), second, key, LEAF_EXTENSIONS)
    judged = judge(end, second.der, sub("p256", 1).der, root().der)
    assert roles(judged) == ["secc", "cpo-sub-ca-2", "cpo-sub-ca-1", "v2g-root"]


def test_issuer_in_the_same_file_is_used() -> None:
    stranger = mint(subject_of("Sub", dc="V2G"), new_key("p256").public_key(), root(), root().key, LEAF_EXTENSIONS)
    assert "lint.signature.invalid" in codes(judge(leaf().der, stranger)[0])
    assert codes(judge(leaf().der, stranger, sub().der)[0]) == []


def test_issuer_from_outside_is_for_the_top_of_the_file() -> None:
    assert codes(judge(leaf().der, sub().der, issuer=root().der)[1]) == []
    forged = judge(leaf().der, sub().der, issuer=root("p521").der)
    assert codes(forged[0]) == []
    assert "lint.signature.invalid" in codes(forged[1])


def test_issuer_of_another_name_is_reported_for_the_first() -> None:
    assert "lint.issuer.name" in codes(judge(leaf().der, issuer=root().der)[0])


@pytest.mark.parametrize("suite", ["p521", "ed448"])
def test_family_is_the_one_that_signed(suite: str) -> None:
    assert family_of(leaf(suite).der, ("p256", "p521", "ed448")) == suite
    judged = judge(leaf(suite).der, edition="iso15118-20")
    assert judged[0].profile is not None
    assert judged[0].profile.suite == suite


def test_no_certificate_of_any_family_takes_the_first() -> None:
    assert family_of(b"nothing", ("p521", "ed448")) == "p521"


def test_forms_of_files() -> None:
    expected = [leaf().der, sub().der]
    certificates = [leaf().certificate, sub().certificate]
    assert certificate_octets(pem(leaf(), sub())) == expected
    assert certificate_octets(leaf().der) == expected[:1]
    assert sorted(certificate_octets(pkcs7.serialize_certificates(certificates, Encoding.DER))) == sorted(expected)


def test_broken_files_are_findings_and_no_errors() -> None:
    broken = pem(leaf()).replace(b"MII", b"MIJ", 1)
    (octets,) = certificate_octets(broken)
    assert codes(judge(octets)[0]) == ["lint.der.malformed"]
    (octets,) = certificate_octets(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")
    assert octets == b""
    assert certificate_octets(leaf().der + b"\x01") == [leaf().der + b"\x01"]


def test_a_key_alone_is_an_error() -> None:
    key = leaf().key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(V2GPKIError) as caught:
        certificate_octets(key)
    assert caught.value.code == "chain.empty"


def test_profiles_of_users_are_judged_too(tmp_path: Path) -> None:
    """A role and an edition by TOML alone: what inherits -2 and demands another DC."""
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "edition.toml").write_text('inherits = "iso15118-2"\ntitle = "Acme"\nshort = "acme"\n')
    (folder / "dock.toml").write_text('inherits = "secc"\ntitle = "Dock"\n[subject.attribute.DC]\nvalue = "DOCK"\n')
    catalogue = Catalogue([tmp_path])
    name = subject_of("DE*ABC*E00001", dc="DOCK")
    der = mint(name, new_key("p256").public_key(), sub(), sub().key, LEAF_EXTENSIONS)
    good = lint_bundle([der], catalogue, edition="acme", role="dock", issuer=sub().der)
    assert codes(good[0]) == []
    assert codes(lint_bundle([leaf().der], catalogue, edition="acme", role="dock")[0]) == ["lint.subject.value"]
