"""Configuration becomes store, keys and services: the only room that names a backend.

``open_authority`` is the door that the command line and programs use. Names are loaded when they are first
used, so that a command which only asks for the home folder imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from v2gpki.wiring.home import SETTINGS_FILE, SystemClock, home_folder
from v2gpki.wiring.opening import open_authority, require_home
from v2gpki.wiring.settings import Settings, load_settings

if TYPE_CHECKING:
    from v2gpki.wiring.authority import CertificateAuthority
    from v2gpki.wiring.orders import CertificateOrder

__all__ = [
    "SETTINGS_FILE",
    "CertificateAuthority",
    "CertificateOrder",
    "Settings",
    "SystemClock",
    "home_folder",
    "load_settings",
    "open_authority",
    "require_home",
]


def __getattr__(name: str) -> object:
    if name == "CertificateAuthority":
        from v2gpki.wiring import authority  # noqa: PLC0415  # lazy by design

        return authority.CertificateAuthority
    if name == "CertificateOrder":
        from v2gpki.wiring import orders  # noqa: PLC0415  # lazy by design

        return orders.CertificateOrder
    raise AttributeError(f"module 'v2gpki.wiring' has no attribute {name!r}")
