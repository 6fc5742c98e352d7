"""The registration table of a home: which identity may have certificates of which role, for which ids.

It is what EST asks (``services.est.EnrolmentRegistry``) and what ``v2gpki access`` writes. Ids are compared by what
they identify, prefixes as they are written. Source: VDE-AR-E 2802-100-1 (ids are registered before anybody enrols).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.services.access import checked_identity
from v2gpki.services.est.labels import given_out
from v2gpki.services.est.registry import identity_of, read_identifier
from v2gpki.store.access_records import Grant
from v2gpki.store.protocol import Store

_MOST_PREFIX = 100
_MOST_KNOWN = 10_000


class Registrations:
    """``services.est.EnrolmentRegistry`` over ``Store.access``. Safe from threads."""

    def __init__(
        self, store: Store, catalogue: Catalogue, clock: Clock, *, seal: Callable[[], None] = lambda: None
    ) -> None:
        self._access = store.access
        self._catalogue = catalogue
        self._clock = clock
        self._seal = seal
        #: Beginnings of ids by (identity, role, edition), at one revision of the table.
        self._known: tuple[int, dict[tuple[str, str, str], tuple[str, ...]]] = (-1, {})

    # -- asking --------------------------------------------------------------------------------

    def allowed(self, identity: str, role: str, edition: str, identifier: str) -> bool:
        """See ``services.est.EnrolmentRegistry``."""
        try:
            wanted = read_identifier(self._catalogue, edition, role, identifier)
        except V2GPKIError:
            return False
        if wanted is None:
            return self._access.has_grant(identity, role, edition)
        prefixes = self._prefixes(identity, role, edition)
        if any(text.startswith(prefixes) for text in (wanted.normal, wanted.parts["key"])):
            return True
        return self._access.granted(identity, role, edition, identity_of(wanted))

    def identifiers(self, identity: str, role: str, edition: str) -> tuple[str, ...]:
        """See ``services.est.EnrolmentRegistry``."""
        return self._access.granted_ids(identity, role, edition, 2)

    def identities(self) -> Iterable[str]:
        """Every identity that has a row."""
        return tuple(self._access.identities())

    def rows(self, *, identity: str = "", role: str = "") -> Iterator[Grant]:
        """The table, in the order in which it grew."""
        return self._access.grants(identity=identity, role=role)

    # -- changing ------------------------------------------------------------------------------

    def register(
        self,
        identity: str,
        role: str,
        *,
        edition: str = "",
        identifiers: Sequence[str] = (),
        prefixes: Sequence[str] = (),
        caller: str,
    ) -> int:
        """Grant ids and beginnings of ids; neither is every id (and what a role without ids needs). Returns how many
        rows are new. ``edition`` "" is every edition that has the role.

        Raises ``access.bad_identity``, ``access.bad_prefix``, ``access.bad_role``, ``identifier.invalid``,
        ``profile.unknown_role``, ``profile.unknown_edition``.
        """
        checked_identity(identity)
        editions = self._enrolled_in(self._editions(role, edition), role)
        now = self._clock.now().replace(microsecond=0)
        found: dict[tuple[str, str], Grant] = {}
        for text in identifiers:
            for value, key in self._keys(editions, role, text):
                found["id", key] = Grant(identity, role, edition, "id", value, key, now, caller)
        for prefix in prefixes if identifiers or prefixes else ("",):
            checked = _checked_prefix(prefix)
            found["prefix", checked] = Grant(identity, role, edition, "prefix", checked, checked, now, caller)
        new = self._access.grant(list(found.values()))
        if new:
            self._seal()
        return new

    def remove(
        self,
        identity: str,
        *,
        role: str = "",
        edition: str | None = None,
        identifier: str | None = None,
        prefix: str | None = None,
        caller: str,
    ) -> int:
        """Take rows away: all of an identity, or those of a role, edition (None is any), id or prefix.

        Returns how many. Raises ``identifier.invalid`` and ``profile.*`` for what cannot be in the table,
        ``usage.invalid`` for an id without its role.
        """
        now = self._clock.now().replace(microsecond=0)
        keys: list[str | None] = [prefix]
        if identifier is not None:
            if not role:
                raise V2GPKIError("usage.invalid", "an id belongs to a role", hint="give --role too")
            keys = [key for _, key in self._keys(self._editions(role, edition or ""), role, identifier)]
        gone = sum(
            self._access.withdraw(identity, now, caller, role=role, edition=edition, key=key) for key in keys
        )
        if gone:
            self._seal()
        return gone

    # -- helpers -------------------------------------------------------------------------------

    def _prefixes(self, identity: str, role: str, edition: str) -> tuple[str, ...]:
        """The beginnings of ids that are granted; kept until any process changes the table."""
        revision = self._access.revision()
        kept, known = self._known
        if kept != revision:
            known = {}
            self._known = revision, known
        where = (identity, role, edition)
        found = known.get(where)
        if found is None:
            found = self._access.granted_prefixes(*where)
            if len(known) < _MOST_KNOWN:
                known[where] = found
        return found

    def _editions(self, role: str, edition: str) -> list[str]:
        """The editions that a row is for; at least one of them has the role."""
        names = [edition] if edition else list(self._catalogue.editions())
        with_role = [name for name in names if role in self._catalogue.roles(name)]
        if with_role:
            return with_role
        raise V2GPKIError(
            "profile.unknown_role",
            f"{edition or 'no edition'} has {'no' if edition else 'a'} role {role[:60]!r}",
            hint="roles are the names of the profiles, such as secc, contract, oem, cps, station",
            facts={"edition": edition, "role": role[:60]},
        )

    def _enrolled_in(self, editions: Sequence[str], role: str) -> list[str]:
        """Those of the editions in which the role is enrolled; raises ``access.bad_role`` when there is none."""
        roles = {name: given_out(self._catalogue, name) for name in editions}
        found = [name for name in editions if role in roles[name]]
        if found:
            return found
        known = sorted(frozenset().union(*roles.values()))
        raise V2GPKIError(
            "access.bad_role",
            f"certificates of the role {role} are not enrolled: whoever runs the CA issues them",
            hint=f"roles that are enrolled are {', '.join(known)}",
            clause="RFC 7030 4.2",
            facts={"role": role, "roles": known},
        )

    def _keys(self, editions: Sequence[str], role: str, text: str) -> list[tuple[str, str]]:
        """(normal form, key) of an id, as each edition reads it; at least one does."""
        found: dict[str, str] = {}
        refusal: V2GPKIError | None = None
        for edition in editions:
            try:
                identifier = read_identifier(self._catalogue, edition, role, text)
            except V2GPKIError as problem:
                refusal = problem
                continue
            if identifier is None:
                raise V2GPKIError(
                    "issuing.unwanted_identifier",
                    f"{role} of {edition} takes no id, but {text[:60]!r} was given",
                    hint="register the role without ids",
                )
            found[identity_of(identifier)] = identifier.normal
        if not found and refusal is not None:
            raise refusal
        return [(value, key) for key, value in found.items()]


def _checked_prefix(text: str) -> str:
    if len(text) > _MOST_PREFIX or not text.isascii() or not text.isprintable() or text != text.strip():
        raise V2GPKIError(
            "access.bad_prefix",
            f"{text[:60]!r} is no beginning of an id",
            hint=f"give up to {_MOST_PREFIX} characters of an id in its normal form, such as DE*ICE or DE8AA",
            facts={"prefix": text[:60]},
        )
    return text
