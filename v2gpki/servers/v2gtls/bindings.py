"""What pyOpenSSL does not offer, by the private bindings below it; the only file that touches them.

Groups and signature algorithms as lists, trusted_ca_keys, and a verdict on the peer's chain that is ours and names its
alert: OpenSSL asks while it handles the Certificate message, so nothing of the peer is believed before. `check` looks
whether the bindings are as they were when this was written, and `capabilities` says what the library cannot do.
Sources: OpenSSL SSL_CTX_set_verify(3), SSL_CTX_set1_curves(3), SSL_extension_supported(3); pyOpenSSL's OpenSSL.SSL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls.security import Chain

_TRUSTED_CA_KEYS = 3
_VERIFY = "int (*)(int, X509_STORE_CTX *)"
_ASKED = "int (*)(SSL *, void *)"
_ADD = "int (*)(SSL *, unsigned int, unsigned char **, size_t *, int *, void *)"

#: The verification error by which OpenSSL comes to send an alert.
_ERRORS = {
    "bad_certificate": "X509_V_ERR_CERT_REJECTED",
    "certificate_expired": "X509_V_ERR_CERT_HAS_EXPIRED",
    "certificate_revoked": "X509_V_ERR_CERT_REVOKED",
    "certificate_unknown": "X509_V_ERR_PERMITTED_VIOLATION",
    "internal_error": "X509_V_ERR_OUT_OF_MEM",
    "unknown_ca": "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "unsupported_certificate": "X509_V_ERR_INVALID_PURPOSE",
}
#: The alerts by which a chain can be refused while it is examined.
EXAMINATION_ALERTS = frozenset(_ERRORS)

_NEEDED = (
    "OPENSSL_free",
    "SSL_CTX_add_client_custom_ext",
    "SSL_CTX_add_server_custom_ext",
    "SSL_CTX_set1_curves_list",
    "SSL_CTX_set1_sigalgs_list",
    "SSL_CTX_set_cert_cb",
    "SSL_CTX_set_verify",
    "SSL_get_ex_data_X509_STORE_CTX_idx",
    "SSL_get_peer_cert_chain",
    "SSL_get_tlsext_status_ocsp_resp",
    "X509_STORE_CTX_get1_chain",
    "X509_STORE_CTX_get_ex_data",
    "X509_STORE_CTX_set_error",
    "X509_up_ref",
    "sk_X509_free",
    "sk_X509_num",
    "sk_X509_value",
    *_ERRORS.values(),
)


class Examination:
    """What is found about the peer of one connection, which carries it as its app data; subclasses judge.

    ``judged`` tells that a chain was looked at, ``alert`` by which alert it was refused ("" when it was not).
    ``fault`` is what went wrong in looking.
    """

    judged = False
    alert = ""
    fault: Exception | None = None

    def examine(self, chain: Chain, staple: bytes | None) -> str:
        """Judge; one of ``EXAMINATION_ALERTS`` refuses, "" accepts."""
        raise NotImplementedError


@lru_cache(maxsize=1)
def check() -> None:
    """Look once whether the private bindings are there and work; raises ``tls.unsupported``."""
    missing = [name for name in _NEEDED if not hasattr(lib, name)]
    if missing:
        raise _unsupported(f"it lacks {', '.join(missing)}")
    if not hasattr(SSL.Connection, "_reverse_mapping") or not hasattr(crypto.X509, "_from_raw_x509_ptr"):
        raise _unsupported("its classes are built otherwise")
    context = SSL.Context(SSL.TLS_METHOD)
    set_groups(context, ["P-521", "X448", "P-256"])
    set_signatures(context, ["ecdsa_secp521r1_sha512", "ed448", "ecdsa_secp256r1_sha256"])


def set_groups(context: SSL.Context, groups: Sequence[str]) -> None:
    """The groups of the key exchange, the preferred first."""
    if lib.SSL_CTX_set1_curves_list(context._context, ":".join(groups).encode()) != 1:
        raise _unsupported(f"it does not know one of the groups {', '.join(groups)}")


def set_signatures(context: SSL.Context, schemes: Sequence[str]) -> None:
    """The signature algorithms that handshakes may be signed with, the preferred first."""
    if lib.SSL_CTX_set1_sigalgs_list(context._context, ":".join(schemes).encode()) != 1:
        raise _unsupported(f"it does not know one of the signature algorithms {', '.join(schemes)}")


def set_examination(context: SSL.Context, *, server: bool) -> list[object]:
    """Have the chain of every peer judged by the `Examination` of its connection; a peer without one is refused.

    Whoever has the context keeps what this returns: OpenSSL calls it.
    """

    def verify(_ok: int, store: object) -> int:
        index = lib.SSL_get_ex_data_X509_STORE_CTX_idx()
        ssl = lib.X509_STORE_CTX_get_ex_data(store, index)
        examination = None
        try:
            examination = SSL.Connection._reverse_mapping[ssl].get_app_data()
            if not examination.judged:
                examination.judged = True
                examination.alert = examination.examine(_chain(ssl, store, server=server), _staple(ssl, server=server))
            alert = examination.alert
        except Exception as problem:  # noqa: BLE001  # nothing may fly through C; the link raises it again
            alert = "internal_error"
            if examination is not None:
                examination.fault, examination.alert = problem, alert
        lib.X509_STORE_CTX_set_error(store, getattr(lib, _ERRORS[alert]) if alert else lib.X509_V_OK)
        return 0 if alert else 1

    callback = ffi.callback(_VERIFY, verify, error=0)
    lib.SSL_CTX_set_verify(context._context, SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, callback)
    return [callback]


def tell_when_asked(context: SSL.Context, asked: Callable[[SSL.Connection], None]) -> list[object]:
    """Tell that the server asks for a client certificate, at the client's end; keep what this returns."""

    def tell(ssl: object, _argument: object) -> int:
        asked(SSL.Connection._reverse_mapping[ssl])
        return 1

    callback = ffi.callback(_ASKED, tell, error=0)
    lib.SSL_CTX_set_cert_cb(context._context, callback, ffi.NULL)
    return [callback]


def announce_roots(context: SSL.Context, content: bytes) -> list[object]:
    """Send trusted_ca_keys with this content in every ClientHello that allows TLS 1.2; keep what this returns."""
    octets = ffi.new("unsigned char[]", content)

    def add(_ssl: object, _kind: int, out: Any, size: Any, _alert: object, _argument: object) -> int:  # cffi pointers
        out[0], size[0] = octets, len(content)
        return 1

    callback = ffi.callback(_ADD, add, error=0)
    done = lib.SSL_CTX_add_client_custom_ext(
        context._context, _TRUSTED_CA_KEYS, callback, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL
    )
    if done != 1:
        raise _unsupported("it does not send trusted_ca_keys")
    return [octets, callback]


def acknowledge_roots(context: SSL.Context, used: Callable[[SSL.Connection], bool]) -> list[object]:
    """Answer trusted_ca_keys by the empty extension of RFC 6066 where it was ``used``; keep what this returns."""

    def add(ssl: object, _kind: int, _out: object, size: Any, _alert: object, _argument: object) -> int:  # cffi pointer
        size[0] = 0
        return 1 if used(SSL.Connection._reverse_mapping[ssl]) else 0

    callback = ffi.callback(_ADD, add, error=0)
    done = lib.SSL_CTX_add_server_custom_ext(
        context._context, _TRUSTED_CA_KEYS, callback, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL
    )
    if done != 1:
        raise _unsupported("it does not answer trusted_ca_keys")
    return [callback]


def chain_of(connection: SSL.Connection, *, server: bool) -> Chain:
    """The peer's chain (DER) as it was sent, leaf first; only after the handshake."""
    stack = lib.SSL_get_peer_cert_chain(connection._ssl)
    chain = _certificates(stack, owned=False) if stack != ffi.NULL else ()
    if not server:
        return chain
    # At the server's end OpenSSL keeps the leaf apart.
    leaf = lib.SSL_get_peer_certificate(connection._ssl)
    return (_der(leaf), *chain) if leaf != ffi.NULL else chain


def _chain(ssl: object, store: object, *, server: bool) -> Chain:
    """The chain while it is examined: as it was sent at the client's end, what leads upwards at the server's."""
    if not server:
        return _certificates(lib.SSL_get_peer_cert_chain(ssl), owned=False)
    stack = lib.X509_STORE_CTX_get1_chain(store)
    try:
        return _certificates(stack, owned=True)
    finally:
        lib.sk_X509_free(stack)


def _staple(ssl: object, *, server: bool) -> bytes | None:
    """The OCSP response that came before the Certificate message was handled: in TLS 1.3, at the client's end."""
    if server:
        return None
    pointer = ffi.new("unsigned char **")
    size = lib.SSL_get_tlsext_status_ocsp_resp(ssl, pointer)
    return bytes(ffi.buffer(pointer[0], size)) if size > 0 else None


def _certificates(stack: object, *, owned: bool) -> Chain:
    found = []
    for index in range(lib.sk_X509_num(stack)):
        pointer = lib.sk_X509_value(stack, index)
        if not owned:
            lib.X509_up_ref(pointer)
        found.append(_der(pointer))
    return tuple(found)


def _der(pointer: object) -> bytes:
    """The octets of a certificate that is ours to free."""
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, crypto.X509._from_raw_x509_ptr(pointer))


def _unsupported(what: str) -> V2GPKIError:
    return V2GPKIError(
        "tls.unsupported",
        f"this pyOpenSSL cannot be used for ISO 15118: {what}",
        hint="install the versions of pyOpenSSL and cryptography that v2gpki names",
    )


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that ISO 15118 asks of TLS, whether the library can do it, and what follows if not."""

    what: str
    available: bool
    consequence: str = ""
    clause: str = ""


def capabilities() -> tuple[Capability, ...]:
    """What the TLS library can and cannot do of what both editions ask for; probed where that is possible."""
    return (
        Capability("groups secp521r1 and x448", _takes(set_groups, "P-521", "X448"), "", "[V2G20-1634], [V2G20-1637]"),
        Capability(
            "signatures by P-521 and Ed448",
            _takes(set_signatures, "ecdsa_secp521r1_sha512", "ed448"),
            clause="[V2G20-2674]",
        ),
        Capability(
            "suite TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256",
            _has_suite("ECDH-ECDSA-AES128-SHA256"),
            "OpenSSL dropped static ECDH: a vehicle or a station that offers nothing else cannot connect. The other"
            " suite of ISO 15118-2 is there.",
            "ISO 15118-2 7.7.3",
        ),
        Capability(
            "status_request_v2 (one OCSP response for each certificate, TLS 1.2)",
            hasattr(lib, "TLSEXT_STATUSTYPE_ocsp_multi"),
            "A vehicle that asks by it alone gets no staple; ours asks by status_request, for the leaf.",
            "RFC 6961; ISO 15118-2 7.7.3",
        ),
        Capability(
            "OCSP responses for sub-CAs (TLS 1.3)",
            hasattr(lib, "SSL_get0_tlsext_status_ocsp_resp_ex"),
            "Only the leaf's response is stapled and read. With staple policy require-all the evidence about sub-CAs"
            " comes from files.",
            "[V2G20-2388]",
        ),
        Capability(
            "certificate_authorities in the ClientHello",
            hasattr(lib, "SSL_CTX_set0_CA_list"),
            "Our vehicle cannot name its V2G roots in TLS 1.3: a station with chains under several roots guesses. Our"
            " station reads the extension of others.",
            "[V2G20-1006], [V2G20-2379]",
        ),
        Capability(
            "a client's chain as it was sent, while it is judged",
            available=False,
            consequence="The station judges the certificates that lead upwards from the leaf; order and strays on the"
            " wire are seen only afterwards.",
            clause="RFC 8446 4.4.2",
        ),
        Capability(
            "TLS keys in an HSM",
            available=False,
            consequence="Keys of TLS leafs are software keys; contract and CPS keys are not concerned.",
        ),
    )


def _takes(setting: Callable[[SSL.Context, Sequence[str]], None], *names: str) -> bool:
    try:
        setting(SSL.Context(SSL.TLS_METHOD), names)
    except V2GPKIError:
        lib.ERR_clear_error()
        return False
    return True


def _has_suite(name: str) -> bool:
    try:
        SSL.Context(SSL.TLS_METHOD).set_cipher_list(name.encode())
    except SSL.Error:
        return False
    return True
