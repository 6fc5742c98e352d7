"""Slashes that clients double and proxies merge, in the base64 of a GET: who can tell what was meant answers it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import assume, given
from hypothesis import strategies as st

import v2gpki
from tests.conftest import BIRTH
from tests.services.ocsp.asking import DIGESTS, nonce_of, read, request_for_serial
from v2gpki.services.ocsp import OcspResponder
from v2gpki.services.ocsp.get_path import mended_requests
from v2gpki.store.records import IntentRecord

CA = v2gpki.CertificateAuthority
Damage = Callable[[str], str]

#: Bits that are all ones are slashes in base64, whatever their place: 24 of them hold three whole characters.
SLASHES = b"\xff\xff\xff"


def doubled(text: str) -> str:
    """As a client that joins path segments once too often writes it."""
    return text.replace("/", "//")


def merged(text: str) -> str:
    """As nginx (merge_slashes) hands it on."""
    return re.sub("/+", "/", text)


def halved(text: str) -> str:
    """As a proxy that replaces two by one, from left to right, hands it on."""
    return text.replace("//", "/")


damages = pytest.mark.parametrize("damage", [doubled, merged, halved])


def written(question: bytes) -> str:
    return base64.b64encode(question).decode("ascii")


def serial_of(der: bytes) -> int:
    return read(der).serial_number


def intend(ca: CA, issuer_id: str, serial: int) -> None:
    """Make a serial of our choice one that the issuer knows: intended, never issued, so revoked."""
    reference = f"{serial:040x}"[:32]
    ca.store.record_intents(
        [IntentRecord(reference, issuer_id, serial, bytes(32), "iso15118-2", "secc", "", "a test", BIRTH)]
    )
    ca.store.abandon([reference], BIRTH, "a test")


@damages
@pytest.mark.parametrize("hash_name", DIGESTS)
@pytest.mark.parametrize("nonce", [None, bytes(range(32)), b"\xff\xff" + bytes(30)], ids=["none", "without", "slashes"])
def test_slashes_in_a_serial_and_a_nonce(
    iso2: CA, live: OcspResponder, damage: Damage, hash_name: str, nonce: bytes | None
) -> None:
    issuer = iso2.authority("iso2-cpo-sub-ca-2")
    for at in (3, 4, 5):
        serial = int.from_bytes(b"A" * at + SLASHES + b"A" * (17 - at), "big")
        question = request_for_serial(serial, issuer.der, hash_name, nonce)
        path = damage(written(question))
        assert path != written(question)
        readings = mended_requests(path)
        assert question in readings
        # Nobody issued it: its octets alone must tell what was meant.
        said = live.answer_get(path, BIRTH)
        assert said.status == ("unknown" if len(readings) == 1 else "malformedRequest")
        intend(iso2, issuer.id, serial)
        said = live.answer_get(path, BIRTH)
        assert (said.status, serial_of(said.der), nonce_of(said.der)) == ("revoked", serial, nonce)


@pytest.mark.parametrize("damage", [merged, halved])
def test_of_two_places_in_a_serial_the_one_that_gives_a_known_serial(
    iso2: CA, live: OcspResponder, damage: Damage
) -> None:
    issuer = iso2.authority("iso2-cpo-sub-ca-2")
    serial = int.from_bytes(b"AA" + SLASHES + b"AAAA" + SLASHES + b"AAAAAAAA", "big")
    question = request_for_serial(serial, issuer.der)
    path = damage(written(question))
    assert len(mended_requests(path)) > 1
    assert live.answer_get(path, BIRTH).status == "malformedRequest"
    intend(iso2, issuer.id, serial)
    said = live.answer_get(path, BIRTH)
    assert (said.status, serial_of(said.der)) == ("revoked", serial)
    # If another reading were known as well, none of them is answered.
    other = next(one for one in mended_requests(path) if one != question)
    intend(iso2, issuer.id, ocsp.load_der_ocsp_request(other).serial_number)
    assert live.answer_get(path, BIRTH).status == "malformedRequest"


def test_a_last_slash_that_a_proxy_dropped(iso2: CA, live: OcspResponder) -> None:
    issuer = iso2.authority("iso2-cpo-sub-ca-2").der
    serials = (int.from_bytes(b"A" * octets + b"\xff", "big") for octets in range(15, 19))
    questions = [request_for_serial(serial, issuer, "sha1") for serial in serials]
    (question,) = (one for one in questions if written(one).endswith("/"))
    said = live.answer_get(written(question)[:-1], BIRTH)
    assert said.status == "unknown"
    assert serial_of(said.der) == ocsp.load_der_ocsp_request(question).serial_number


@given(
    st.sampled_from(sorted(DIGESTS)),
    st.lists(st.sampled_from([b"\xff", b"\x3f", b"\xfc", b"A"]), min_size=150, max_size=150).map(b"".join),
    st.integers(1, 2**159 - 1),
    st.sampled_from([doubled, merged, halved]),
)
def test_every_reading_explains_what_came(hash_name: str, octets: bytes, serial: int, damage: Damage) -> None:
    """What was sent is among the readings as long as they are few; each of them, damaged alike, looks like this."""
    size = DIGESTS[hash_name].digest_size
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        octets[:size], octets[-size:], serial, DIGESTS[hash_name]
    )
    question = builder.build().public_bytes(Encoding.DER)
    path = damage(written(question))
    assume(path != written(question))
    readings = mended_requests(path)
    assert len(readings) <= 256
    if damage is doubled:
        assert readings == [question]
    for reading in readings:
        assert merged(written(reading)).rstrip("/=") == merged(path).rstrip("/=")
        assert ocsp.load_der_ocsp_request(reading).serial_number is not None


@given(st.text(alphabet="MABw/=%2F+_", max_size=120))
def test_any_path_has_readings(path: str) -> None:
    for reading in mended_requests(path):
        assert reading.startswith(b"\x30")
