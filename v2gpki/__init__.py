"""Plug & Charge (ISO 15118) PKI toolkit and certificate authority.

>>> import v2gpki
>>> with v2gpki.open_authority("lab", passphrase="correct horse", create=True) as ca:
...     ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
...     secc = ca.issue("secc", id="DE*ACM*E0001")

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from v2gpki.version import __version__

if TYPE_CHECKING:
    from v2gpki.clock import Clock, FixedClock
    from v2gpki.errors import Finding, V2GPKIError
    from v2gpki.services.issuance import Issued
    from v2gpki.services.policy import Policy
    from v2gpki.services.provisioning import Provisioning, ProvisioningAnswer
    from v2gpki.wiring import CertificateAuthority, CertificateOrder, open_authority
    from v2gpki.wiring.plug_and_charge import PlugAndCharge

__all__ = [
    "CertificateAuthority",
    "CertificateOrder",
    "Clock",
    "Finding",
    "FixedClock",
    "Issued",
    "PlugAndCharge",
    "Policy",
    "Provisioning",
    "ProvisioningAnswer",
    "V2GPKIError",
    "__version__",
    "open_authority",
]

_HOMES = {
    "CertificateAuthority": "v2gpki.wiring",
    "CertificateOrder": "v2gpki.wiring",
    "Clock": "v2gpki.clock",
    "Finding": "v2gpki.errors",
    "FixedClock": "v2gpki.clock",
    "Issued": "v2gpki.services.issuance",
    "PlugAndCharge": "v2gpki.wiring.plug_and_charge",
    "Policy": "v2gpki.services.policy",
    "Provisioning": "v2gpki.services.provisioning",
    "ProvisioningAnswer": "v2gpki.services.provisioning",
    "V2GPKIError": "v2gpki.errors",
    "open_authority": "v2gpki.wiring",
}


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415  # lazy by design

    if name not in _HOMES:
        raise AttributeError(f"module 'v2gpki' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
