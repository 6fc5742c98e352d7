"""Trust lists as octets: written, signed, read, compared; and the CMS signature under them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import BIRTH
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.certs import signed_data, trust_list
from v2gpki.certs.trust_list import ListedRoot, TrustList
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import SUITES

NEXT = BIRTH + timedelta(days=30)


def refused(code: str) -> pytest.RaisesExc[V2GPKIError]:
    return pytest.raises(V2GPKIError, check=lambda problem: problem.code == code)


@pytest.fixture
def content(everything: CertificateAuthority) -> TrustList:
    roots = (
        ListedRoot(everything.authority("iso2-v2g-root").der, "v2g-root", ("iso15118-2",), "ours"),
        ListedRoot(everything.authority("iso20-ed448-mo-root").der, "mo-root"),
    )
    return TrustList("Acme \u00dcber", 7, BIRTH, NEXT, roots)


def signed(ca: CertificateAuthority, content: TrustList, slug: str = "iso2-v2g-root") -> bytes:
    authority = ca.authority(slug)
    assert ca.vault is not None
    return trust_list.sign(
        content, signer=ca.vault.signer(authority.key_id), certificate=authority.der, chain=authority.chain, at=BIRTH
    )


def test_a_list_reads_back(content: TrustList) -> None:
    text = trust_list.write(content)
    assert text.isascii()
    assert trust_list.parse(text) == content
    document = json.loads(text)
    first = document["roots"][0]
    assert (document["number"], document["this_update"]) == (7, "2026-03-01T12:00:00Z")
    certificate = x509.load_der_x509_certificate(base64.b64decode(first["certificate"]))
    assert first["subject"] == certificate.subject.rfc4514_string()


@pytest.mark.parametrize("slug", ["iso2-v2g-root", "iso20-p521-v2g-root", "iso20-ed448-v2g-root", "iso2-cpo-sub-ca-2"])
def test_a_signed_list_reads_back_with_every_key(
    everything: CertificateAuthority, content: TrustList, slug: str
) -> None:
    data = signed(everything, content, slug)
    listed = trust_list.read(data)
    authority = everything.authority(slug)
    assert (listed.content, listed.signed.signer, listed.signed.signed_at) == (content, authority.der, BIRTH)
    assert listed.signed.certificates == (authority.der, *authority.chain)
    for form in (base64.b64encode(data), base64.encodebytes(data)):
        assert trust_list.read(form).content == content


def test_another_library_sees_the_same_structure(everything: CertificateAuthority, content: TrustList) -> None:
    outer = cms.ContentInfo.load(signed(everything, content), strict=True)
    body = outer["content"]
    assert body["encap_content_info"]["content"].native == trust_list.write(content)
    (info,) = body["signer_infos"]
    assert info["digest_algorithm"]["algorithm"].native == "sha256"
    assert info["signature_algorithm"]["algorithm"].native == "sha256_ecdsa"
    attributes = {one["type"].native: one["values"][0].native for one in info["signed_attrs"]}
    assert attributes["content_type"] == "data"
    assert attributes["signing_time"] == BIRTH


def test_every_octet_that_matters_is_signed(everything: CertificateAuthority, content: TrustList) -> None:
    data = signed(everything, content)
    good = trust_list.read(data)
    kept = 0
    for at in range(0, len(data), 7):
        changed = data[:at] + bytes((data[at] ^ 0x04,)) + data[at + 1 :]
        try:
            found = trust_list.read(changed)
        except V2GPKIError:
            continue
        # What still reads says the same; a certificate that was changed is no longer the one that people named.
        assert found.content == good.content, at
        kept += found.signed.signer == good.signed.signer
    assert kept < len(data) // 7 // 20


def test_the_answer_of_opcp_reads_back(everything: CertificateAuthority, content: TrustList) -> None:
    listed = trust_list.read(signed(everything, content))
    document = trust_list.opcp_document(listed)
    assert set(document) == {"signerCertificate", "timeStamp", "CTL", "signedData"}
    assert document["timeStamp"] == "2026-03-01T12:00:00Z"
    text = json.dumps(document).encode()
    assert trust_list.read(text).content == content
    with refused("trust_list.unsigned"):
        trust_list.read(json.dumps({**document, "signedData": None}).encode())
    shown = json.loads(json.dumps(document["CTL"]))
    shown["number"] = 8
    with refused("trust_list.malformed"):
        trust_list.read(json.dumps({**document, "CTL": shown}).encode())


def test_a_signature_by_somebody_else_is_not_taken_for_the_signers(
    everything: CertificateAuthority, content: TrustList
) -> None:
    authority = everything.authority("iso2-v2g-root")
    stranger = SoftwareSigner(SUITES["p256"].generate())
    with refused("cms.wrong_signer"):
        trust_list.sign(content, signer=stranger, certificate=authority.der, at=BIRTH)

    class Pretender:
        suite, spki = stranger.suite, x509.load_der_x509_certificate(authority.der).public_key()

        def sign(self, message: bytes) -> bytes:
            return stranger.sign(message)

    pretender = Pretender()
    assert everything.vault is not None
    pretender.spki = everything.vault.signer(authority.key_id).spki  # type: ignore[assignment]  # that is the pretence
    with refused("cms.bad_signature"):
        trust_list.read(trust_list.sign(content, signer=pretender, certificate=authority.der, at=BIRTH))  # type: ignore[arg-type]  # likewise


def test_what_is_no_signed_content(everything: CertificateAuthority, content: TrustList) -> None:
    from v2gpki.certs.cms import certs_only

    root = everything.authority("iso2-v2g-root").der
    with refused("cms.unsigned"):
        signed_data.open_signed(certs_only([root]))
    for data in (b"", b"{", b"nonsense", b"\x30\x00"):
        with pytest.raises(V2GPKIError):
            trust_list.read(data)
    detached = cms.ContentInfo.load(signed(everything, content))
    detached["content"]["encap_content_info"]["content"] = None
    with refused("cms.no_content"):
        signed_data.open_signed(detached.dump(force=True))
    bare = cms.ContentInfo.load(signed(everything, content))
    bare["content"]["certificates"] = None
    with refused("cms.wrong_signer"):
        signed_data.open_signed(bare.dump(force=True))
    other = signed_data.sign(
        b"{}",
        signer=_signer(everything, "iso2-v2g-root"),
        certificate=root,
        at=BIRTH,
    )
    with refused("trust_list.malformed"):
        trust_list.read(other)


def _signer(ca: CertificateAuthority, slug: str) -> SoftwareSigner:
    assert ca.vault is not None
    return ca.vault.signer(ca.authority(slug).key_id)


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("schema", "v2gpki/trust-list/2", "trust_list.malformed"),
        ("issuer", "", "trust_list.malformed"),
        ("issuer", "x" * 201, "trust_list.malformed"),
        ("number", 0, "trust_list.malformed"),
        ("number", True, "trust_list.malformed"),
        ("number", "7", "trust_list.malformed"),
        ("this_update", "2026-03-01T12:00:00", "trust_list.malformed"),
        ("this_update", "soon", "trust_list.malformed"),
        ("next_update", "2026-03-01T12:00:00Z", "trust_list.malformed"),
        ("roots", {}, "trust_list.malformed"),
        ("roots", [1], "trust_list.malformed"),
        ("roots", [{"role": "v2g-root"}], "trust_list.malformed"),
        ("roots", [{"role": "v2g-root", "certificate": "!"}], "trust_list.malformed"),
        ("roots", [{"role": "v2g-root", "certificate": "AAAA"}], "chain.malformed"),
    ],
)
def test_what_no_list_may_say(content: TrustList, member: str, value: object, code: str) -> None:
    document = json.loads(trust_list.write(content))
    document[member] = value
    with refused(code):
        trust_list.parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("member", "value"), [("fingerprint", "00" * 32), ("subject", "CN=Other"), ("role", ""), ("editions", "iso15118-2")]
)
def test_what_stands_beside_a_certificate_is_compared(content: TrustList, member: str, value: object) -> None:
    document = json.loads(trust_list.write(content))
    document["roots"][1][member] = value
    with refused("trust_list.malformed"):
        trust_list.parse(json.dumps(document).encode())


def test_only_roots_and_each_once(everything: CertificateAuthority, content: TrustList) -> None:
    sub_ca = ListedRoot(everything.authority("iso2-cpo-sub-ca-2").der, "v2g-root")
    with refused("trust_list.not_a_root"):
        trust_list.write(replace(content, roots=(sub_ca,)))
    with refused("trust_list.twice"):
        trust_list.write(replace(content, roots=(*content.roots, replace(content.roots[0], role="mo-root"))))
    document = json.loads(trust_list.write(content))
    document["roots"].append({"role": "v2g-root", "certificate": base64.b64encode(sub_ca.der).decode()})
    with refused("trust_list.not_a_root"):
        trust_list.parse(json.dumps(document).encode())


def test_a_list_holds_for_its_time(content: TrustList) -> None:
    second = timedelta(seconds=1)
    trust_list.require_current(content, BIRTH)
    trust_list.require_current(content, NEXT - second)
    with refused("trust_list.over"):
        trust_list.require_current(content, NEXT)
    with refused("trust_list.not_yet"):
        trust_list.require_current(content, BIRTH - second)


def test_a_list_follows_a_lower_number_of_the_same_issuer(content: TrustList) -> None:
    trust_list.require_newer(replace(content, number=8), content)
    trust_list.require_newer(content, content)
    for other in (
        replace(content, number=6),
        replace(content, roots=content.roots[:1]),
        replace(content, number=8, issuer="Other"),
    ):
        with refused("trust_list.rollback"):
            trust_list.require_newer(other, content)


def test_differences(everything: CertificateAuthority, content: TrustList) -> None:
    first, second = content.roots
    third = ListedRoot(everything.authority("iso2-oem-root").der, "oem-root")
    after = replace(content, roots=(third, replace(first, editions=())))
    kinds = [(change.kind, change.root.role) for change in trust_list.difference(content, after)]
    assert kinds == [("removed", "mo-root"), ("added", "oem-root"), ("changed", "v2g-root")]
    assert trust_list.difference(content, replace(content, number=9, roots=(second, first))) == ()
    found = trust_list.difference(content, after)[2]
    assert found.before == first
    assert found.after is not None
    assert found.after.editions == ()


def test_times_of_the_signer_are_read_in_both_forms(everything: CertificateAuthority) -> None:
    root = everything.authority("iso2-v2g-root")
    for moment in (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)):
        data = signed_data.sign(b"x", signer=_signer(everything, root.id), certificate=root.der, at=moment)
        assert signed_data.open_signed(data).signed_at == moment


@given(st.binary(max_size=300))
def test_any_octets_end_in_a_refusal(noise: bytes) -> None:
    for data in (noise, b"\x30" + noise, b"{" + noise):
        with pytest.raises(V2GPKIError):
            trust_list.read(data)
