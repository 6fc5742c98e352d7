"""Finding certification authorities by what people call them, and the one that signs a given role.

Names: ``slug@n``, slug, unique prefix of a slug, start of the certificate's serial or fingerprint. Whatever
fits several is refused with the candidates. It only reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord


class Directory:
    """The authorities of one home, to be looked up."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    def slug(self, role: str, *, edition: str, suite: str, prefix: str = "") -> str:
        """``[prefix-]<edition short>[-<suite> if the edition has several families]-<role>``."""
        described = self._catalogue.edition(edition)
        family = [suite] if len(described.suites) > 1 else []
        return "-".join([*([prefix] if prefix else []), described.short, *family, role])

    def signing_authority(self, profile: Profile, issuer: str = "") -> AuthorityRecord:
        """The authority that signs certificates of this profile: the named one, or the only fitting one.

        Without a name the profile's issuer roles are tried in their order of preference. Raises
        ``authority.unknown_issuer`` or, with candidates, ``authority.ambiguous``.
        """
        if issuer:
            return self.find(issuer)
        for role in profile.issuers:
            fitting = [
                authority
                for authority in self._store.authorities(edition=profile.edition, role=role, suite=profile.suite)
                if authority.state == "active"
            ]
            newest = {authority.slug: authority for authority in fitting}
            if len(newest) > 1:
                usual = self.slug(role, edition=profile.edition, suite=profile.suite)
                if usual in newest:
                    return newest[usual]
                raise _ambiguous(role, newest)
            if newest:
                return next(iter(newest.values()))
        raise V2GPKIError(
            "authority.unknown_issuer",
            f"this home has no active authority that may issue {profile.role} of {profile.edition} in {profile.suite}",
            hint=f"v2gpki init --edition {profile.edition}, or v2gpki ca create {profile.issuers[0]} first",
            clause=profile.clause,
            facts={"role": profile.role, "edition": profile.edition, "suite": profile.suite},
        )

    def find(self, name: str) -> AuthorityRecord:
        """An authority by ``slug@n``, slug, unique prefix of a slug, certificate serial or fingerprint start."""
        exact = self._store.authority(name)
        if exact is not None:
            return exact
        everything = self._store.authorities()
        wanted = name.lower()
        newest = {authority.slug: authority for authority in everything if wanted and authority.slug.startswith(wanted)}
        if not newest and len(wanted) >= 4:
            newest = {
                authority.id: authority
                for authority in everything
                if format(authority.serial, "x").startswith(wanted)
                or hashlib.sha256(authority.der).hexdigest().startswith(wanted)
            }
        if len(newest) > 1:
            raise _ambiguous(name, newest)
        if not newest:
            raise V2GPKIError(
                "store.unknown_authority",
                f"there is no authority {name!r} in this home",
                hint="v2gpki ca list shows them all",
                facts={"authority": name},
            )
        return next(iter(newest.values()))


def _ambiguous(name: str, candidates: Iterable[str]) -> V2GPKIError:
    return V2GPKIError(
        "authority.ambiguous",
        f"{name!r} fits several authorities: {', '.join(sorted(candidates))}",
        hint="name one of them in full",
        facts={"name": name, "candidates": sorted(candidates)},
    )
