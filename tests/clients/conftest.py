"""The fixtures of the services' tests serve here too."""

from __future__ import annotations

from tests.servers.http.conftest import foreign, foreign_home

__all__ = ["foreign", "foreign_home"]
