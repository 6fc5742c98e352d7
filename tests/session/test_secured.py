"""Over what ISO 15118-20 may be spoken: [V2G20-1264], [V2G20-2356]."""

from __future__ import annotations

import pytest

from v2gpki.session.secured import Secured, TLSVersion


@pytest.mark.parametrize(
    ("version", "peer", "own", "allowed"),
    [
        ("1.3", (b"peer",), (b"own",), True),
        ("1.3", (), (b"own",), False),
        ("1.3", (b"peer",), (), False),
        ("1.2", (b"peer",), (b"own",), False),
    ],
)
def test_iso20_needs_tls_1_3_and_a_certificate_of_each_end(
    version: TLSVersion, peer: tuple[bytes, ...], own: tuple[bytes, ...], allowed: bool
) -> None:
    secured = Secured(version, "TLS_AES_256_GCM_SHA384", "secp521r1", peer_chain=peer, own_chain=own)
    assert secured.may_carry_iso20 is allowed
