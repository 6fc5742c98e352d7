"""The forms of the additional data, written out octet by octet."""

from __future__ import annotations

import pytest

from tests.pnc.envelope.samples import certificate, contract_key
from v2gpki.errors import V2GPKIError
from v2gpki.pnc.envelope import AAD_FORMS, DEFAULT_AAD, aad

PCID = "WP0123456789ABCDEX"
SKI8 = bytes.fromhex("4f3e2d1c0b0a09f8")
SKI16 = bytes.fromhex("4f3e2d1c0b0a09f8000102030405060f")
SKI20 = SKI16 + bytes.fromhex("a1b2c3d4")


def issued(ski: bytes | None) -> bytes:
    return certificate(contract_key("SECP521").public_key(), ski=ski)


@pytest.mark.parametrize(
    ("form", "pcid", "ski", "expected"),
    [
        ("pcid-ski8", PCID, SKI8, b"WP0123456789ABCDEX" b"4F3E2D1C0B0A09F8"),
        ("pcid-ski8", PCID[:17], SKI8, b"WP0123456789ABCDE" b"4F3E2D1C0B0A09F8"),
        ("pcid-ski8", "huboemprovcqa0615", SKI8, b"HUBOEMPROVCQA0615" b"4F3E2D1C0B0A09F8"),
        ("pcid-ski16", PCID, SKI16, b"WP0123456789ABCDEX" + SKI16),
        ("pcid-ski", PCID, SKI20, b"WP0123456789ABCDEX" b"4F3E2D1C0B0A09F8000102030405060FA1B2C3D4"),
        ("pcid-ski", PCID, SKI8, b"WP0123456789ABCDEX" b"4F3E2D1C0B0A09F8"),
        ("none", PCID, SKI8, b""),
        ("none", "", None, b""),
    ],
)
def test_each_form(form: str, pcid: str, ski: bytes | None, expected: bytes) -> None:
    assert aad(form, pcid=pcid, contract=issued(ski)) == expected


def test_the_default_has_34_octets() -> None:
    made = aad(pcid=PCID, contract=issued(SKI8))
    assert DEFAULT_AAD == "pcid-ski8"
    assert made == aad("pcid-ski8", pcid=PCID, contract=issued(SKI8))
    assert len(made) == 34


@pytest.mark.parametrize(
    ("form", "pcid", "ski", "code"),
    [
        ("pcid-ski8", PCID, SKI20, "envelope.ski_size"),
        ("pcid-ski8", PCID, SKI16, "envelope.ski_size"),
        ("pcid-ski8", PCID, SKI8[:7], "envelope.ski_size"),
        ("pcid-ski16", PCID, SKI8, "envelope.ski_size"),
        ("pcid-ski16", PCID, SKI20, "envelope.ski_size"),
        ("pcid-ski8", PCID, None, "envelope.no_ski"),
        ("pcid-ski16", PCID, None, "envelope.no_ski"),
        ("pcid-ski", PCID, None, "envelope.no_ski"),
        ("pcid-ski8", "", SKI8, "identifier.invalid"),
        ("pcid-ski8", PCID[:16], SKI8, "identifier.invalid"),
        ("pcid-ski8", PCID + "1", SKI8, "identifier.invalid"),
        ("pcid-ski8", "WP-123456789ABCDEX", SKI8, "identifier.invalid"),
        ("pcid", PCID, SKI8, "envelope.unknown_aad"),
        ("", PCID, SKI8, "envelope.unknown_aad"),
    ],
)
def test_what_does_not_fit_is_refused(form: str, pcid: str, ski: bytes | None, code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        aad(form, pcid=pcid, contract=issued(ski))
    assert caught.value.code == code
    assert caught.value.hint or code == "identifier.invalid"


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(V2GPKIError) as caught:
        aad(pcid=PCID, contract=b"0")
    assert caught.value.code == "chain.malformed"


def test_every_form_says_what_it_is_and_whose() -> None:
    assert list(AAD_FORMS) == ["pcid-ski8", "pcid-ski16", "pcid-ski", "none"]
    for name, form in AAD_FORMS.items():
        assert form.name == name
        assert form.title
        assert form.source
