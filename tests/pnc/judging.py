"""How the tests of this folder ask for a refusal, and make a value anew over a changed SignedInfo."""

from __future__ import annotations

import pytest

from tests.pnc import samples
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import (
    Signature,
)
from v2gpki.pnc import algorithms
from v2gpki.pnc.explain import explain
from v2gpki.pnc.signature import verify

C14N = "http://www.w3.org/TR/canonical-exi/"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"
SHAKE256 = "urn:iso:std:iso:15118:-20:Security:xmlenc#SHAKE256"
P256_KEY = samples.annex_j_key().public_key()
#: Order of P-256, SEC 2 version 2.0, 2.4.2.
N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def refusal(message: Message, key: object = P256_KEY, **options: object) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as refused:
        verify(message, key, **options)
    shown = explain(message, key, **options)
    assert shown["verdict"] == "invalid"
    assert [reason["code"] for reason in shown["reasons"]] == [finding.code for finding in refused.value.findings]
    return refused.value


def signed_with(signature: Signature, *, grammar: str = "xmldsig", suite: str = "p256") -> Signature:
    """The signature, its value made anew over its SignedInfo as it stands now."""
    octets = codec.encode(signature.SignedInfo, schema=grammar, fragment=True)
    algorithm = algorithms.algorithm_for("iso15118-2" if suite == "p256" else "iso15118-20", suite)
    value = algorithms.raw_from_signer(samples.signer(suite).sign(octets), algorithm)
    return samples.with_value(signature, value)


