"""Records of access and webhooks to rows of SQLite and back, their octets for the audit log, and their names in it."""

from __future__ import annotations

from hashlib import sha256

from v2gpki.store.access_records import AccessToken, Grant, Token
from v2gpki.store.canonical import details_text, moment, record_digest, seconds
from v2gpki.store.rows import Row, Value
from v2gpki.store.webhook_records import Delivery, Endpoint

TOKEN = (
    "id, kind, digest, identity, scopes, created_at, created_by, expires_at, comment, revoked_at, revoked_by"  # noqa: S105  # names of columns
)
ACCESS_TOKEN = "digest, token_id, scopes, issued_at, expires_at"  # noqa: S105  # names of columns
GRANT = "identity, role, edition, match, value, key, granted_at, granted_by"
ENDPOINT = "id, owner, url, events, secret, created_at, created_by, description, enabled, noted"
DELIVERY = "id, endpoint_id, event, payload, created_at, due_at, attempts, state, said, ended_at"


# -- rows ----------------------------------------------------------------------------------------
def token_row(token: Token) -> tuple[Value, ...]:
    """In the order of ``TOKEN``."""
    return (
        token.id,
        token.kind,
        token.digest,
        token.identity,
        " ".join(token.scopes),
        seconds(token.created_at),
        token.created_by,
        None if token.expires_at is None else seconds(token.expires_at),
        token.comment,
        None if token.revoked_at is None else seconds(token.revoked_at),
        token.revoked_by,
    )


def token_of(row: Row) -> Token:
    """From the columns of ``TOKEN``."""
    token_id, kind, digest, identity, scopes, created_at, created_by, expires_at, comment, revoked_at, by = row[:11]
    return Token(
        token_id,
        kind,
        digest,
        identity,
        tuple(scopes.split()),
        moment(created_at),
        created_by,
        None if expires_at is None else moment(expires_at),
        comment,
        None if revoked_at is None else moment(revoked_at),
        by,
    )


def access_row(access: AccessToken) -> tuple[Value, ...]:
    """In the order of ``ACCESS_TOKEN``."""
    ends = seconds(access.expires_at)
    return (access.digest, access.token_id, " ".join(access.scopes), seconds(access.issued_at), ends)


def access_of(row: Row) -> AccessToken:
    """From the columns of ``ACCESS_TOKEN``."""
    digest, token_id, scopes, issued_at, expires_at = row[:5]
    return AccessToken(digest, token_id, tuple(scopes.split()), moment(issued_at), moment(expires_at))


def grant_row(grant: Grant) -> tuple[Value, ...]:
    """In the order of ``GRANT``."""
    return (
        grant.identity,
        grant.role,
        grant.edition,
        grant.match,
        grant.value,
        grant.key,
        seconds(grant.granted_at),
        grant.granted_by,
    )


def grant_of(row: Row) -> Grant:
    """From the columns of ``GRANT``."""
    identity, role, edition, match, value, key, granted_at, granted_by = row[:8]
    return Grant(identity, role, edition, match, value, key, moment(granted_at), granted_by)


def endpoint_row(endpoint: Endpoint) -> tuple[Value, ...]:
    """In the order of ``ENDPOINT``."""
    return (
        endpoint.id,
        endpoint.owner,
        endpoint.url,
        " ".join(endpoint.events),
        endpoint.secret,
        seconds(endpoint.created_at),
        endpoint.created_by,
        endpoint.description,
        int(endpoint.enabled),
        endpoint.noted,
    )


def endpoint_of(row: Row) -> Endpoint:
    """From the columns of ``ENDPOINT``."""
    endpoint_id, owner, url, events, secret, created_at, created_by, description, enabled, noted = row[:10]
    return Endpoint(
        endpoint_id,
        owner,
        url,
        tuple(events.split()),
        secret,
        moment(created_at),
        created_by,
        description,
        bool(enabled),
        noted,
    )


def delivery_row(delivery: Delivery) -> tuple[Value, ...]:
    """In the order of ``DELIVERY``."""
    return (
        delivery.id,
        delivery.endpoint_id,
        delivery.event,
        delivery.payload,
        seconds(delivery.created_at),
        seconds(delivery.due_at),
        delivery.attempts,
        delivery.state,
        delivery.said,
        None if delivery.ended_at is None else seconds(delivery.ended_at),
    )


def delivery_of(row: Row) -> Delivery:
    """From the columns of ``DELIVERY``."""
    delivery_id, endpoint_id, event, payload, created_at, due_at, attempts, state, said, ended_at = row[:10]
    return Delivery(
        delivery_id,
        endpoint_id,
        event,
        payload,
        moment(created_at),
        moment(due_at),
        attempts,
        state,
        said,
        None if ended_at is None else moment(ended_at),
    )


# -- what the audit log says ---------------------------------------------------------------------
def grant_target(grant: Grant) -> str:
    """How the log names a grant: ``identity role edition match:key``."""
    return f"{grant.identity} {grant.role} {grant.edition or 'any'} {grant.match}:{grant.key}"


def token_digest(token: Token) -> str:
    """SHA-256 over every field of a token, in hex; a missing time is empty."""
    return record_digest(
        "token",
        token.id,
        token.kind,
        token.digest,
        token.identity,
        " ".join(token.scopes),
        seconds(token.created_at),
        token.created_by,
        "" if token.expires_at is None else seconds(token.expires_at),
        token.comment,
        "" if token.revoked_at is None else seconds(token.revoked_at),
        token.revoked_by,
    ).hex()


def access_digest(access: AccessToken) -> str:
    """SHA-256 over every field of an access token, in hex."""
    return record_digest(
        "access-token",
        access.digest,
        access.token_id,
        " ".join(access.scopes),
        seconds(access.issued_at),
        seconds(access.expires_at),
    ).hex()


def grant_digest(grant: Grant) -> str:
    """SHA-256 over every field of a grant, in hex."""
    return record_digest(
        "grant",
        grant.identity,
        grant.role,
        grant.edition,
        grant.match,
        grant.value,
        grant.key,
        seconds(grant.granted_at),
        grant.granted_by,
    ).hex()


def endpoint_digest(endpoint: Endpoint) -> str:
    """SHA-256 over every field of an endpoint, in hex; the secret enters by its SHA-256."""
    return record_digest(
        "endpoint",
        endpoint.id,
        endpoint.owner,
        endpoint.url,
        " ".join(endpoint.events),
        sha256(endpoint.secret).digest(),
        seconds(endpoint.created_at),
        endpoint.created_by,
        endpoint.description,
        int(endpoint.enabled),
        endpoint.noted,
    ).hex()


def token_details(token: Token) -> str:
    """The details of ``token.created`` and ``token.revoked``."""
    return details_text(
        {"identity": token.identity, "record": token_digest(token), "scopes": " ".join(token.scopes)}
    )


def access_details(access: AccessToken) -> str:
    """The details of ``token.exchanged``; the log names an access token by its digest, which is no secret."""
    return details_text({"record": access_digest(access), "token": access.token_id})


def grant_details(grant: Grant) -> str:
    """The details of ``grant.given`` and ``grant.withdrawn``."""
    return details_text({"record": grant_digest(grant)})


def endpoint_details(endpoint: Endpoint) -> str:
    """The details of ``endpoint.added``, ``endpoint.changed`` and ``endpoint.removed``."""
    return details_text({"owner": endpoint.owner, "record": endpoint_digest(endpoint), "url": endpoint.url})
