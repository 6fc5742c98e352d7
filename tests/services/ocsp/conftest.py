"""A responder over an opened home, as wiring will join it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

import v2gpki
from v2gpki.services.ocsp import OcspResponder, OcspSigners, SignerIssuance
from v2gpki.services.routing import Routing

MakeResponder = Callable[..., OcspResponder]


def signers_of(ca: v2gpki.CertificateAuthority, *, issuing: bool = True, locked: bool = False) -> OcspSigners:
    """The OCSP signers of a home."""
    routing = Routing(ca.store, ca.catalogue, lambda org: ca._naming(org=org))
    issue = SignerIssuance(ca.issuance, routing, ca.catalogue, caller="test:ocsp") if issuing else None
    return OcspSigners(ca.store, ca.catalogue, None if locked else ca.vault, issue=issue)


def responder_of(
    ca: v2gpki.CertificateAuthority,
    *,
    presigned: bool = False,
    issuing: bool = True,
    locked: bool = False,
    poll: timedelta = timedelta(milliseconds=300),
) -> OcspResponder:
    """A responder of a home."""
    signers = signers_of(ca, issuing=issuing, locked=locked)
    return OcspResponder(ca.store, ca.clock, catalogue=ca.catalogue, signers=signers, presigned=presigned, poll=poll)


@pytest.fixture
def live(iso2: v2gpki.CertificateAuthority) -> OcspResponder:
    """A live responder of the ISO 15118-2 home."""
    return responder_of(iso2)


@pytest.fixture
def ahead(iso2: v2gpki.CertificateAuthority) -> OcspResponder:
    """A pre-signing responder of the ISO 15118-2 home."""
    return responder_of(iso2, presigned=True)
