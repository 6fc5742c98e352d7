"""The way of an enrolment: which family a request's key belongs to, and which authority issues for it.

A way is kept for a second: what other processes change about authorities is seen after it, and issuance asks whether
the issuer is in service at every certificate. Refused: keys that the role has no family for, hierarchies that this home
does not have. Source: RFC 7030 3.2.2.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from v2gpki.profile.load import Catalogue
from v2gpki.services.directory import Directory
from v2gpki.services.est import refusals
from v2gpki.services.est.labels import Target
from v2gpki.services.routing import Route, Routing
from v2gpki.store.protocol import Store

#: How long a way to an issuer is kept before it is looked up again: changes by other processes are seen after it.
_KEPT = timedelta(seconds=1)


class Ways:
    """Families and issuers of targets in one home. Safe from threads."""

    def __init__(self, store: Store, catalogue: Catalogue, routing: Routing) -> None:
        self._store = store
        self._catalogue = catalogue
        self._routing = routing
        self._directory = Directory(store, catalogue)
        self._lock = threading.Lock()
        self._routes: dict[tuple[str, str, str, str], tuple[datetime, Route]] = {}
        self._families: dict[tuple[str, str], dict[str, str]] = {}

    def family(self, target: Target, key: str, *, any_key: bool) -> str:
        """The key family: the target's, else the one whose keys are like the request's, of the suite ``key``.

        Raises ``est.wrong_key``.
        """
        families = self._keys(target)
        fitting = [family for family, wanted in families.items() if wanted == key]
        if target.suite:
            fitting = [target.suite] if any_key or target.suite in fitting else []
        elif any_key and not fitting:
            fitting = [next(iter(families))]
        if not fitting:
            wanted = [families[target.suite]] if target.suite else list(families.values())
            raise refusals.wrong_key(target, key, wanted)
        return fitting[0]

    def default_family(self, target: Target) -> str:
        """The family that the edition names first."""
        return next(iter(self._keys(target)))

    def route(self, target: Target, suite: str, now: datetime, issuer: str = "") -> Route:
        """Profile, issuer and constants of a target; ``issuer`` names one, "" finds it.

        Raises ``est.unknown_label``, and what routing raises.
        """
        key = (target.role, target.edition, suite, issuer or target.hierarchy)
        with self._lock:
            kept = self._routes.get(key)
        if kept is not None and kept[0] <= now < kept[0] + _KEPT:
            return kept[1]
        route = self._look_up(target, suite, issuer)
        with self._lock:
            self._routes[key] = now, route
        return route

    def forget(self) -> None:
        """Look every way up again: one of them led nowhere."""
        with self._lock:
            self._routes.clear()

    def _keys(self, target: Target) -> dict[str, str]:
        """Family -> suite of the certified key, the default family first."""
        where = (target.edition, target.role)
        known = self._families.get(where)
        if known is None:
            families = self._catalogue.suites(*where)
            known = {name: self._catalogue.profile(*where, name).key.suite for name in families}
            self._families[where] = known
        return known

    def _look_up(self, target: Target, suite: str, issuer: str) -> Route:
        if issuer or not target.hierarchy:
            return self._routing.route(target.role, edition=target.edition, suite=suite, issuer=issuer)
        profile = self._catalogue.profile(target.edition, target.role, suite)
        slugs = [
            self._directory.slug(role, edition=target.edition, suite=suite, prefix=target.hierarchy)
            for role in profile.issuers
        ]
        for slug in slugs:
            if self._store.authority(slug) is not None:
                return self._routing.route(target.role, edition=target.edition, suite=suite, issuer=slug)
        raise refusals.unknown_label(target)
