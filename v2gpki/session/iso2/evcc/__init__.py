"""A vehicle of ISO 15118-2: `ISO2Vehicle`. Its steps stand by subject."""

from v2gpki.session.iso2.evcc.vehicle import ISO2Vehicle

__all__ = ["ISO2Vehicle"]
