"""Contexts of the TLS library, one for each end, edition and identity; made once, never exchanged during a handshake.

No tickets, no resumption, no renegotiation, no compression: every session shows its certificates. The staple callback,
the alerts and the key log find what belongs to a connection in its app data (`conversation`).
Clauses: `rules`; ISO 15118-2 7.7.3; ISO 15118-20 7.7.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptography import x509
from OpenSSL import SSL

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import spki_of, suite_of
from v2gpki.servers.v2gtls import bindings
from v2gpki.servers.v2gtls.conversation import Conversation
from v2gpki.servers.v2gtls.rules import RULES, Edition, Rules
from v2gpki.servers.v2gtls.security import StationSecurity, TLSIdentity, VehicleSecurity

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET
#: RFC 6066 6: identifier type cert_sha1_hash.
_CERT_SHA1_HASH = 3


class MadeContext:
    """A context, and what of Python it calls."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context
        self.kept: list[object] = []


def station_context(security: StationSecurity, edition: Edition, identity: TLSIdentity, *, keylog: bool) -> MadeContext:
    """The context for one choice of a station; raises ``tls.identity``, ``tls.unsupported``."""
    key = (edition, id(identity), keylog)
    made = security.made.get(key)
    if not isinstance(made, MadeContext):
        made = _station(security, edition, identity, keylog=keylog)
        security.made[key] = made
    return made


def vehicle_context(security: VehicleSecurity, *, keylog: bool) -> MadeContext:
    """The context of a vehicle; raises ``tls.identity``, ``tls.unsupported``."""
    made = security.made.get(keylog)
    if not isinstance(made, MadeContext):
        made = _vehicle(security, keylog=keylog)
        security.made[keylog] = made
    return made


def check_identity(identity: TLSIdentity, edition: Edition) -> None:
    """Raises ``tls.identity`` if key and leaf do not fit each other, or not the edition's TLS."""
    if not identity.chain:
        raise _unfit(edition, "it has no certificate")
    try:
        leaf = x509.load_der_x509_certificate(identity.chain[0])
        same = spki_of(leaf.public_key()) == spki_of(identity.private_key.public_key())  # type: ignore[arg-type]  # refused below
    except (ValueError, TypeError) as problem:
        raise _unfit(edition, f"its certificate cannot be read: {problem}") from problem
    suite = suite_of(identity.private_key).name
    if suite not in RULES[edition].schemes:
        raise _unfit(edition, f"its key is {suite}, and the edition has {', '.join(RULES[edition].schemes)}")
    if not same:
        raise _unfit(edition, "the private key is not that of the certificate")


def _station(security: StationSecurity, edition: Edition, identity: TLSIdentity, *, keylog: bool) -> MadeContext:
    check_identity(identity, edition)
    rules = RULES[edition]
    made = _made(SSL.TLS_SERVER_METHOD, [rules], keylog=keylog)
    context = made.context
    _use(context, identity)
    context.set_ocsp_server_callback(lambda connection, _data: conversation(connection).staple())
    if rules.mutual:
        made.kept += bindings.set_examination(context, server=True)
        for root in security.client_roots:
            context.add_client_ca(x509.load_der_x509_certificate(root))
    else:
        context.set_verify(SSL.VERIFY_NONE)
        made.kept += bindings.acknowledge_roots(context, lambda connection: conversation(connection).root_named)
    return made


def _vehicle(security: VehicleSecurity, *, keylog: bool) -> MadeContext:
    rules = [RULES[edition] for edition in RULES if edition in security.editions]
    made = _made(SSL.TLS_CLIENT_METHOD, rules, keylog=keylog)
    context = made.context
    mutual = [edition for edition in RULES if edition in security.editions and RULES[edition].mutual]
    if security.identity is not None and mutual:
        check_identity(security.identity, mutual[0])
        _use(context, security.identity)
        made.kept += bindings.tell_when_asked(context, lambda connection: conversation(connection).was_asked())
    made.kept += bindings.set_examination(context, server=False)
    context.set_ocsp_client_callback(lambda connection, staple, _data: conversation(connection).stapled(staple))
    if security.roots:
        made.kept += bindings.announce_roots(context, trusted_ca_keys(security.roots))
    return made


def _made(method: int, rules: list[Rules], *, keylog: bool) -> MadeContext:
    """A context with what every one has, and what the editions prescribe."""
    bindings.check()
    context = SSL.Context(method)
    versions = sorted(rule.version for rule in rules)
    context.set_min_proto_version(_VERSIONS[versions[0]])
    context.set_max_proto_version(_VERSIONS[versions[-1]])
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    for version in set(versions):
        suites = ":".join(_once(name for rule in rules if rule.version == version for name in rule.suites.values()))
        if version == "1.2":
            context.set_cipher_list(suites.encode())
        else:
            context.set_tls13_ciphersuites(suites.encode())
    bindings.set_groups(context, _once(name for rule in rules for name in rule.groups.values()))
    bindings.set_signatures(context, _once(name for rule in rules for name in rule.signatures.values()))
    context.set_info_callback(lambda connection, where, value: conversation(connection).alerted(where, value))
    if keylog:
        context.set_keylog_callback(lambda connection, line: conversation(connection).log_key(line))
    return MadeContext(context)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _use(context: SSL.Context, identity: TLSIdentity) -> None:
    leaf, *issuers = (x509.load_der_x509_certificate(der) for der in identity.chain)
    context.use_certificate(leaf)
    for issuer in issuers:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(identity.private_key)  # type: ignore[arg-type]  # X448 was refused


def trusted_ca_keys(roots: Iterable[bytes]) -> bytes:
    """The content of the extension: the SHA-1 digest of each root's certificate."""
    entries = b"".join(bytes((_CERT_SHA1_HASH,)) + hashlib.sha1(root, usedforsecurity=False).digest() for root in roots)
    return len(entries).to_bytes(2, "big") + entries


def conversation(connection: SSL.Connection) -> Conversation:
    """What belongs to a connection."""
    found = connection.get_app_data()
    if not isinstance(found, Conversation):
        raise TypeError("a connection without its conversation")
    return found


def _unfit(edition: Edition, what: str) -> V2GPKIError:
    return V2GPKIError(
        "tls.identity",
        f"a TLS identity for {edition} cannot be used: {what}",
        hint="give the leaf first and its own private key",
        clause=RULES[edition].clause,
        facts={"edition": edition},
    )
