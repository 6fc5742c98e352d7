"""Who may have which certificate: identity -> ids and roles. The table decides, never the request.

Ids are compared by what they identify: ``DE*ICE*E45`` and ``DEICEE45`` are one outlet, an EMAID is its first 14
characters. What no row allows is refused. `MemoryRegistry` is for programs and tests; a store keeps the same rows.
Source: VDE-AR-E 2802-100-1 (ids are registered before anybody enrols).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, recognise
from v2gpki.profile.load import Catalogue


class EnrolmentRegistry(Protocol):
    """The table of registrations."""

    def allowed(self, identity: str, role: str, edition: str, identifier: str) -> bool:
        """Whether ``identity`` may have a certificate of this role for this id, in any writing ("" for none)."""
        ...

    def identifiers(self, identity: str, role: str, edition: str) -> tuple[str, ...]:
        """The ids that are registered one by one, at most two: for requests that name none."""
        ...

    def identities(self) -> Iterable[str]:
        """Every identity that has a registration."""
        ...


@dataclass(frozen=True, slots=True)
class Registration:
    """One row: ``identifiers`` in any writing, and ``prefixes`` of ids (in normal form, or without separators).

    ``edition`` "" is every edition that has the role; the prefix "" is every id. A role that takes no id is allowed by
    any row for it.
    """

    identity: str
    role: str
    edition: str = ""
    identifiers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


class MemoryRegistry:
    """Registrations of this process."""

    def __init__(self, catalogue: Catalogue, registrations: Iterable[Registration]) -> None:
        """Raises ``identifier.invalid`` for an id that the role cannot have, and what the catalogue raises."""
        self._catalogue = catalogue
        self._names: list[str] = []
        self._exact: dict[tuple[str, str, str], dict[str, str]] = {}
        self._prefixes: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for row in registrations:
            self._names += [] if row.identity in self._names else [row.identity]
            for edition in [row.edition] if row.edition else catalogue.editions():
                if row.edition or row.role in catalogue.roles(edition):
                    where = (row.identity, row.role, edition)
                    exact = self._exact.setdefault(where, {})
                    for text in row.identifiers:
                        identifier = read_identifier(catalogue, edition, row.role, text)
                        if identifier is not None:
                            exact[identity_of(identifier)] = identifier.normal
                    self._prefixes[where] = (*self._prefixes.get(where, ()), *row.prefixes)

    def allowed(self, identity: str, role: str, edition: str, identifier: str) -> bool:
        """See `EnrolmentRegistry`."""
        where = (identity, role, edition)
        exact = self._exact.get(where)
        if exact is None:
            return False
        try:
            wanted = read_identifier(self._catalogue, edition, role, identifier)
        except V2GPKIError:
            return False
        if wanted is None or identity_of(wanted) in exact:
            return True
        return any(text.startswith(self._prefixes[where]) for text in (wanted.normal, wanted.parts["key"]))

    def identifiers(self, identity: str, role: str, edition: str) -> tuple[str, ...]:
        """See `EnrolmentRegistry`."""
        return tuple(self._exact.get((identity, role, edition), {}).values())[:2]

    def identities(self) -> Iterable[str]:
        """See `EnrolmentRegistry`."""
        return tuple(self._names)


def read_identifier(catalogue: Catalogue, edition: str, role: str, text: str) -> Identifier | None:
    """What ``text`` is for this role, None for a role that takes no id.

    Raises ``identifier.invalid`` for what the role cannot have, ``profile.*`` for unknown roles.
    """
    kinds = catalogue.profile(edition, role, None).identifier.kinds
    return recognise(kinds, text) if kinds else None


def identity_of(identifier: Identifier) -> str:
    """What is compared: kind and key; two writings of one id give the same text."""
    return f"{identifier.kind}:{identifier.parts['key']}"
