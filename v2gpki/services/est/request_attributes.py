"""CsrAttrs: what a request should have, told before it is made. Sources: RFC 7030 4.5.2, RFC 8951 3.4, RFC 9908."""

from __future__ import annotations

from v2gpki.certs import der
from v2gpki.keys.suites import Suite

_CHALLENGE_PASSWORD = der.oid("1.2.840.113549.1.9.7")


def request_attributes(suite: Suite, *, binding: bool) -> bytes | None:
    """DER CsrAttrs for keys of a suite: the kind of key with its curve, the signature algorithm, and
    challengePassword where requests must be bound to their connection. None for keys that sign no request."""
    if not suite.signs:
        return None
    # SubjectPublicKeyInfo begins with the AlgorithmIdentifier: kind and, for an EC key, curve.
    algorithm = suite.spki_prefix[suite.spki_prefix.index(b"\x30", 1) :]
    kind_end = 4 + algorithm[3]
    kind, parameters = algorithm[2:kind_end], algorithm[kind_end : 2 + algorithm[1]]
    wanted = [der.sequence(kind, der.set_of(parameters)) if parameters else kind]
    signature = suite.signature_algorithm[2 : 4 + suite.signature_algorithm[3]]
    if signature != kind:
        wanted.append(signature)
    if binding:
        wanted.insert(0, _CHALLENGE_PASSWORD)
    return der.sequence(*wanted)
