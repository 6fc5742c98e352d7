"""Which edition's TLS, and which identity, a station answers a ClientHello with.

ISO 15118-20 is chosen only for a client that offers TLS 1.3 with one of its suites, groups and signature algorithms;
whoever offers less gets ISO 15118-2, if it offers that. Of several identities whose keys the client can check, the one
whose root it named; else the first. Clauses: [V2G2-871], [V2G2-923], [V2G20-2359], [V2G20-2379], RFC 6066 6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from v2gpki.certs.ocsp_reading import key_hash
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import suite_of
from v2gpki.servers.v2gtls.hello import ClientHello, TrustedAuthority
from v2gpki.servers.v2gtls.rules import RULES, VERSION_NUMBERS, Edition
from v2gpki.servers.v2gtls.security import StationSecurity, TLSIdentity


@dataclass(frozen=True, slots=True)
class Choice:
    """An edition's TLS and an identity; ``named`` tells that the client named a root of it."""

    edition: Edition
    identity: TLSIdentity
    named: bool


def choose(hello: ClientHello, security: StationSecurity) -> Choice:
    """What to answer with; raises ``tls.no_common``, its fact ``alert`` says what the client is to be told."""
    offered = security.offered()
    for edition in offered:
        if _fits(hello, edition):
            identities = [one for one in security.identities[edition] if _can_check(hello, edition, one)]
            if identities:
                named = next((one for one in identities if _named(hello, one)), None)
                return Choice(edition, named or identities[0], named is not None)
    version = any(VERSION_NUMBERS[RULES[edition].version] in hello.versions for edition in offered)
    raise V2GPKIError(
        "tls.no_common",
        f"the client offers {_described(hello)}: none of that is TLS of {', '.join(offered) or 'any edition'}",
        hint="ISO 15118-2 needs TLS 1.2 with P-256; ISO 15118-20 needs TLS 1.3 with P-521 or X448",
        clause="ISO 15118-2 7.7.3, [V2G20-1264]",
        facts={
            "alert": "handshake_failure" if version else "protocol_version",
            "versions": [f"{number:#06x}" for number in hello.versions],
            "suites": [f"{number:#06x}" for number in hello.suites],
            "groups": [str(number) for number in hello.groups or ()],
            "signatures": [f"{number:#06x}" for number in hello.signatures or ()],
            "editions": list(offered),
        },
    )


def _fits(hello: ClientHello, edition: Edition) -> bool:
    rules = RULES[edition]
    return (
        VERSION_NUMBERS[rules.version] in hello.versions
        and not rules.suites.keys().isdisjoint(hello.suites)
        and (hello.groups is None or not rules.groups.keys().isdisjoint(hello.groups))
    )


def _can_check(hello: ClientHello, edition: Edition, identity: TLSIdentity) -> bool:
    """Whether the client understands signatures of this identity's key."""
    scheme = RULES[edition].schemes.get(suite_of(identity.private_key).name)
    return hello.signatures is None or scheme in hello.signatures


def _named(hello: ClientHello, identity: TLSIdentity) -> bool:
    """Whether the client named a CA of this identity: its root, or one in its chain."""
    if not hello.trusted_ca_keys and not hello.certificate_authorities:
        return False
    authorities = [view(der) for der in (*identity.chain[1:], *([identity.root] if identity.root else ()))]
    names = {one.subject for one in authorities} | {view(der).issuer for der in identity.chain}
    return not names.isdisjoint(hello.certificate_authorities) or any(
        _is_about(entry, authorities, names) for entry in hello.trusted_ca_keys
    )


def _is_about(entry: TrustedAuthority, authorities: Sequence[CertificateView], names: set[bytes]) -> bool:
    if entry.kind == "x509_name":
        return entry.value in names
    if entry.kind == "cert_sha1_hash":
        return any(_sha1(one.der) == entry.value for one in authorities)
    if entry.kind == "key_sha1_hash":
        return any(key_hash(one, "sha1") == entry.value for one in authorities)
    return False


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets, usedforsecurity=False).digest()


def _described(hello: ClientHello) -> str:
    known = {number: version for version, number in VERSION_NUMBERS.items()}
    versions = [f"TLS {known[number]}" if number in known else f"{number:#06x}" for number in hello.versions]
    return f"{', '.join(versions)} with {len(hello.suites)} suites"
