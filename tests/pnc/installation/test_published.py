"""RISE-V2G's published answer: what others have digested, signed and wrapped, read and judged by us."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.pnc import samples
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.pnc import installation
from v2gpki.pnc.installation.signing import fragments_2
from v2gpki.pnc.signature import signature_of


def rise_octets() -> bytes:
    return codec.encode(samples.rise_message())


def test_the_fragments_that_we_sign_are_those_that_rise_digested() -> None:
    signed = installation.signed_contract(rise_octets())
    assert isinstance(signed.elements, tuple)
    published = samples.published("rise_v2g")
    ids = [element.Id for element in signed.elements]
    digests = [base64.b64decode(published["digests"][id_]) for id_ in ids]
    assert [hashlib.sha256(octets).digest() for octets in installation.fragments(signed)] == digests
    assert ids == ["id1", "id2", "id3", "id4"]
    assert [hashlib.sha256(octets).digest() for octets in fragments_2(signed.elements)] == digests


def test_rises_answer_is_verified_and_sent_on_unchanged() -> None:
    response = installation.read_response(rise_octets())
    verified = installation.verify_response(response, trust=tuple)
    assert verified.emaid == "DEABCC123ABC56"
    signed = installation.signed_contract(rise_octets())
    octets = installation.respond(signed, action="install", session_id=bytes(range(8)))
    again = installation.read_response(octets)
    assert signature_of(again.message) == signature_of(response.message)
    assert installation.verify_response(again, trust=tuple).data == verified.data


def test_rises_digests_over_elements_without_namespace_are_refused() -> None:
    message = samples.rise_message()
    theirs = samples.published("rise_v2g")["empty_namespace"]
    signature = message.Header.Signature
    assert signature is not None
    for number, reference in enumerate(signature.SignedInfo.Reference):
        digest = base64.b64decode(theirs["digests"][str(reference.URI).removeprefix("#")])
        signature = samples.with_reference(signature, number, DigestValue=digest)
    signature = samples.with_value(signature, base64.b64decode(theirs["signature_value"]))
    octets = codec.encode(samples.replace(message, Header=samples.replace(message.Header, Signature=signature)))
    with pytest.raises(V2GPKIError) as refused:
        installation.verify_response(installation.read_response(octets), trust=tuple)
    assert refused.value.code == "signature.empty_namespace_digest"
