"""A station of ISO 15118-2: `ISO2Station`. Its handlers stand by subject."""

from v2gpki.session.iso2.secc.station import ISO2Station

__all__ = ["ISO2Station"]
