"""The keys of a vehicle that somebody plays: a private key in memory as what signs, and as what agrees on secrets.

Nothing of it belongs to a home. Refuses keys that cannot do what is wanted of them (`key.cannot_sign`,
`key.cannot_agree`).
"""

from __future__ import annotations

from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.signer import Signer
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import PrivateKey


def signer_of(private_key: PrivateKey) -> Signer:
    """Signs with the key."""
    return SoftwareSigner(private_key)


def agreement_of(private_key: PrivateKey) -> KeyAgreement:
    """Opens envelopes with the key."""
    return SoftwareAgreement(private_key)
