"""The way of an order: which profile its certificate follows, which authority signs it, what is constant in it.

Names become a `Route`, which is remembered as long as the home's trust stays. Refuses
roles that no edition of this home has, and authorities where an end-entity certificate is asked for.
Clause: [V2G2-884] (every certificate meets its profile).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509

from v2gpki.certs.template import Constants
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile
from v2gpki.services.authorities import Naming
from v2gpki.services.directory import Directory
from v2gpki.services.remembered import Remembered
from v2gpki.store.protocol import Store

#: Role, edition, suite, issuer, options.
_Asked: TypeAlias = tuple[str, str | None, str | None, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Route:
    """Which profile, issuer and constants an order takes, and when that issuer ends; orders of one group share it."""

    profile: Profile
    issuer_id: str
    constants: Constants
    issuer_ends: datetime


class Routing:
    """Finds the way of end-entity certificates in one home."""

    def __init__(self, store: Store, catalogue: Catalogue, naming: Callable[[str], Naming]) -> None:
        """``naming`` gives what the home writes into certificates below an issuer of this organisation."""
        self._store = store
        self._catalogue = catalogue
        self._naming = naming
        self._directory = Directory(store, catalogue)
        self._routes: Remembered[_Asked, Route] = Remembered(store)

    def route(
        self,
        role: str,
        *,
        edition: str | None = None,
        suite: str | None = None,
        issuer: str = "",
        options: Mapping[str, str] | None = None,
    ) -> Route:
        """The way of one end-entity role; ``edition`` None takes the issuer's, or the only one that has the role.

        Raises ``issuing.needs_edition``, ``issuing.not_a_leaf``, ``authority.*``, ``profile.*``.
        """
        asked = (role, edition, suite, issuer, tuple(sorted((options or {}).items())))
        return self._routes.of(asked, lambda: self._route(role, edition, suite, issuer, options))

    def _route(
        self, role: str, edition: str | None, suite: str | None, issuer: str, options: Mapping[str, str] | None
    ) -> Route:
        profile = self._profile(role, edition, suite, issuer, options)
        if profile.kind != "leaf":
            raise V2GPKIError(
                "issuing.not_a_leaf",
                f"{role} is an authority, not an end-entity role",
                hint=f"v2gpki ca create {role}",
                clause=profile.clause,
            )
        signing = self._directory.signing_authority(profile, issuer)
        # Below an authority of another organisation than the home's, certificates take over that organisation.
        naming = self._naming(organisation(signing.der))
        return Route(profile, signing.id, naming.constants(issuer=signing), signing.not_after)

    def _profile(
        self, role: str, edition: str | None, suite: str | None, issuer: str, options: Mapping[str, str] | None
    ) -> Profile:
        if edition is not None:
            return self._catalogue.profile(edition, role, suite, options)
        if issuer:
            named = self._directory.find(issuer)
            return self._catalogue.profile(named.edition, role, suite or named.suite, options)
        here = {(authority.edition, authority.suite) for authority in self._store.authorities()}
        editions = sorted({edition for edition, _ in here if role in self._catalogue.roles(edition)})
        if len(editions) != 1:
            raise V2GPKIError(
                "issuing.needs_edition",
                f"{role} exists in several editions of this home: {', '.join(editions)}"
                if editions
                else f"no edition of this home has the role {role!r}",
                hint="name one with --edition" if editions else "v2gpki init first, or check the role's name",
                facts={"role": role, "editions": editions},
            )
        return self._catalogue.profile(editions[0], role, suite, options)


def organisation(certificate: bytes) -> str:
    """The organisation of a certificate's subject, "" when it has none."""
    subject = x509.load_der_x509_certificate(certificate).subject
    found = subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return str(found[0].value) if found else ""
