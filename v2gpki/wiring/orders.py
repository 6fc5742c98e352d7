"""What a certificate order by names means: the way it takes, whose key it is for, which identifier it carries.

Refused: times without a zone, a CSR beside a public key, an identifier where the role takes none or none where it
needs one. Nothing is recorded or signed here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, recognise
from v2gpki.profile.model import Profile
from v2gpki.services.issuance import Order
from v2gpki.services.routing import Route, Routing


@dataclass(frozen=True, slots=True)
class CertificateOrder:
    """One certificate asked for by name: the arguments of ``CertificateAuthority.issue`` as a value."""

    role: str
    id: str | None = None
    edition: str | None = None
    suite: str | None = None
    issuer: str = ""
    csr: bytes | None = None
    public_key: bytes | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    options: Mapping[str, str] | None = None
    idempotence_key: str = ""
    escrow: bool = False


#: (role, edition, suite, issuer, options): what decides the way of an order.
_Wanted: TypeAlias = tuple[str, str | None, str | None, str, tuple[tuple[str, str], ...]]


def orders_of(orders: Sequence[CertificateOrder], routing: Routing) -> list[Order]:
    """A group of orders as issuance takes them; a way that several take is looked for once."""
    routes: dict[_Wanted, Route] = {}
    return [_order(order, routing, routes) for order in orders]


def _order(order: CertificateOrder, routing: Routing, routes: dict[_Wanted, Route]) -> Order:
    options = tuple(sorted(order.options.items())) if order.options else ()
    wanted = (order.role, order.edition, order.suite, order.issuer, options)
    route = routes.get(wanted)
    if route is None:
        route = routes[wanted] = routing.route(
            order.role, edition=order.edition, suite=order.suite, issuer=order.issuer, options=order.options
        )
    for name, moment in (("not_before", order.not_before), ("not_after", order.not_after)):
        if moment is not None and moment.tzinfo is None:
            raise V2GPKIError(
                "usage.invalid",
                f"{name} has no time zone",
                hint="give an aware datetime, such as datetime(2027, 1, 1, tzinfo=UTC)",
                facts={"argument": name},
            )
    spki, requested = _key_of(order)
    key_id = ""
    if spki is None and order.escrow:
        key_id = f"escrow-{order.role}-{os.urandom(6).hex()}"
    return Order(
        route.profile,
        route.issuer_id,
        route.constants,
        identifier=_identifier(route.profile, order.id, requested),
        spki=spki,
        not_before=order.not_before,
        not_after=order.not_after,
        idempotence_key=order.idempotence_key,
        key_id=key_id,
    )


def _key_of(order: CertificateOrder) -> tuple[bytes | None, tuple[str, ...]]:
    """(SubjectPublicKeyInfo or None, the common names of a CSR)."""
    if order.csr is None and order.public_key is None:
        return None, ()
    from v2gpki.certs.csr import load_csr, load_public_key_file  # noqa: PLC0415  # only for keys from outside

    if order.csr is not None and order.public_key is not None:
        raise V2GPKIError("usage.invalid", "a CSR and a public key were both given", hint="give one of them")
    if order.csr is None:
        return load_public_key_file(order.public_key or b""), ()
    request = load_csr(order.csr)
    return request.spki, request.subject_identifiers


def _identifier(profile: Profile, given: str | None, requested: Sequence[str]) -> Identifier | None:
    """The identifier for the subject: the given one, else the CSR's common name if the profile allows it."""
    kinds = profile.identifier.kinds
    if not kinds:
        if given:
            raise V2GPKIError(
                "issuing.unwanted_identifier",
                f"{profile.role} of {profile.edition} takes no id, but {given!r} was given",
                hint="leave --id out",
                clause=profile.identifier.clause,
            )
        return None
    text = given if given is not None else (requested[0] if len(requested) == 1 else None)
    if text is None:
        if not profile.identifier.required:
            return None
        raise V2GPKIError(
            "issuing.needs_identifier",
            f"{profile.role} of {profile.edition} needs an id: {' or '.join(kinds)}",
            hint="give it with --id, or as the one common name of the CSR",
            clause=profile.identifier.clause,
            facts={"role": profile.role, "kinds": kinds},
        )
    return recognise(kinds, text)
