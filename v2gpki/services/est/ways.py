"""The way of an enrolment: which family a request's key belongs to, and which authority issues for it.

Refused: keys that the role has no family for, hierarchies that this home
does not have. Source: RFC 7030 3.2.2.
"""

from __future__ import annotations

from v2gpki.profile.load import Catalogue
from v2gpki.services.directory import Directory
from v2gpki.services.est import refusals
from v2gpki.services.est.labels import Target
from v2gpki.services.remembered import Remembered
from v2gpki.services.routing import Route, Routing
from v2gpki.store.protocol import Store


class Ways:
    """Families and issuers of targets in one home. Safe from threads."""

    def __init__(self, store: Store, catalogue: Catalogue, routing: Routing) -> None:
        self._store = store
        self._catalogue = catalogue
        self._routing = routing
        self._directory = Directory(store, catalogue)
        self._slugs: Remembered[tuple[str, str, str, str], str] = Remembered(store)
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

    def route(self, target: Target, suite: str, issuer: str = "") -> Route:
        """Profile, issuer and constants of a target; ``issuer`` names one, "" finds it.

        Raises ``est.unknown_label``, and what routing raises.
        """
        if target.hierarchy and not issuer:
            where = (target.role, target.edition, suite, target.hierarchy)
            issuer = self._slugs.of(where, lambda: self._issuer(target, suite))
        return self._routing.route(target.role, edition=target.edition, suite=suite, issuer=issuer)

    def _keys(self, target: Target) -> dict[str, str]:
        """Family -> suite of the certified key, the default family first."""
        where = (target.edition, target.role)
        known = self._families.get(where)
        if known is None:
            families = self._catalogue.suites(*where)
            known = {name: self._catalogue.profile(*where, name).key.suite for name in families}
            self._families[where] = known
        return known

    def _issuer(self, target: Target, suite: str) -> str:
        """The slug of the authority in the target's hierarchy that issues for it."""
        profile = self._catalogue.profile(target.edition, target.role, suite)
        slugs = [
            self._directory.slug(role, edition=target.edition, suite=suite, prefix=target.hierarchy)
            for role in profile.issuers
        ]
        for slug in slugs:
            if self._store.authority(slug) is not None:
                return slug
        raise refusals.unknown_label(target)
