"""The OCSP responder: who is asked about, who signs, live and pre-signed answers, staples."""

from v2gpki.services.ocsp.responder import OcspAnswer, OcspResponder, SignedAhead, Unsigned
from v2gpki.services.ocsp.signers import OcspSigners, SignerIssuance
from v2gpki.services.ocsp.staples import Staple, staples

__all__ = [
    "OcspAnswer",
    "OcspResponder",
    "OcspSigners",
    "SignedAhead",
    "SignerIssuance",
    "Staple",
    "Unsigned",
    "staples",
]
