"""OCSP answers as DER templates with holes: everything constant is encoded once per signer, the rest is a join.

An answer is about one certificate, names its signer by key (SHA-1, RFC 6960 4.2.1), carries the delegated signer's
certificate first and only, and a nonce when asked for one. Revocation reason ``unspecified`` is left out, as in CRLs.
``Batch`` holds what the answers of one run have in common (times and signer), so that of a pre-signed answer only
the signature must be kept. Refused: a key that is not the certificate's. Sources: RFC 6960 4.2, RFC 5019 2.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, runtime_checkable

from v2gpki.certs import der
from v2gpki.certs.crl import REASON_CODES
from v2gpki.certs.ocsp import cert_id_start, key_octets
from v2gpki.certs.ocsp_request import nonce_extension
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer

#: OCSPResponseStatus of answers that say nothing and are not signed (RFC 6960 4.2.1).
FAILURES: Mapping[str, bytes] = {
    name: der.sequence(der.tlv(0x0A, bytes((number,))))
    for name, number in (
        ("malformedRequest", 1),
        ("internalError", 2),
        ("tryLater", 3),
        ("sigRequired", 5),
        ("unauthorized", 6),
    )
}

GOOD = b"\x80\x00"
UNKNOWN = b"\x82\x00"
#: So many signatures take another process less than a millisecond: who asks for them may have other things to do.
_AT_ONCE = 16
_SUCCESSFUL = b"\x0a\x01\x00"
_BASIC = der.oid("1.3.6.1.5.5.7.48.1.1")


class Window(NamedTuple):
    """The times of an answer, aware: signed at, known to be right at, and newer information due at."""

    produced_at: datetime
    this_update: datetime
    next_update: datetime


def generalized_time(moment: datetime) -> bytes:
    """GeneralizedTime in whole seconds, the one form of times in OCSP."""
    utc = moment.astimezone(UTC)
    return der.tlv(der.GENERALIZED_TIME, f"{utc.year:04d}{utc:%m%d%H%M%S}Z".encode("ascii"))


def revoked(at: datetime, reason: str = "") -> bytes:
    """The CertStatus of a revoked certificate; ``reason`` is a key of ``REASON_CODES`` or ""."""
    code = REASON_CODES[reason] if reason else 0
    why = der.explicit(0, der.tlv(0x0A, bytes((code,)))) if code else b""
    return der.implicit(1, generalized_time(at) + why, constructed=True)


@runtime_checkable
class AnswerSigner(Protocol):
    """A key that another process has, which signs answers that it writes itself, and no octets."""

    def sign_answer(self, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None) -> bytes:
        """The signature over the ResponseData that says this; V2GPKIError when it is not so."""
        ...

    def sign_answers(self, cert_ids: Sequence[bytes], status: bytes, window: Window) -> list[bytes | None]:
        """The same of several certificates; None for each of which it is not so."""
        ...


class AnswerTemplate:
    """Answers of one signer."""

    def __init__(self, signer: Signer, certificate: bytes = b"") -> None:
        """``certificate`` is the delegated signer's (DER), empty when the CA signs its answers itself.

        Raises ``ocsp.wrong_signer`` when the key is another one than the certificate's.
        """
        if certificate and view(certificate).spki != signer.spki:
            raise V2GPKIError(
                "ocsp.wrong_signer",
                f"the key does not belong to the OCSP signer {view(certificate).subject_text}",
                hint="issue a new OCSP signer: v2gpki ocsp signers",
                clause="RFC 6960 4.2.2.2",
            )
        self.signer = signer
        self.elsewhere = signer if isinstance(signer, AnswerSigner) else None
        self.certificate = certificate
        key_hash = hashlib.sha1(key_octets(signer.spki), usedforsecurity=False).digest()
        self._responder = der.explicit(2, der.octet_string(key_hash))
        self._algorithm = signer.suite.signature_algorithm
        self._certificates = der.explicit(0, der.sequence(certificate)) if certificate else b""
        self._frames: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._times: tuple[Window | None, bytes, bytes] = (None, b"", b"")

    def answer(self, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None = None) -> bytes:
        """A signed OCSPResponse (DER). ``cert_id`` is repeated as the request had it; ``status`` is ``GOOD``,
        ``UNKNOWN`` or what ``revoked`` gives."""
        tbs = self.tbs(cert_id, status, window, nonce)
        if self.elsewhere is not None:
            return self.assemble(tbs, self.elsewhere.sign_answer(cert_id, status, window, nonce))
        return self.assemble(tbs, self.signer.sign(tbs))

    def tbs(self, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None = None) -> bytes:
        """The ResponseData (DER) that ``answer`` has signed."""
        known, produced, updates = self._times
        if known != window:
            produced = generalized_time(window.produced_at)
            updates = generalized_time(window.this_update) + _next_update(window.next_update)
            self._times = window, produced, updates
        single = der.sequence(cert_id, status, updates)
        extensions = b"" if nonce is None else der.explicit(1, der.sequence(nonce_extension(nonce)))
        return der.sequence(self._responder, produced, der.sequence(single), extensions)

    def batch(self, hash_name: str, key: bytes, window: Window) -> Batch:
        """What all ``good`` answers of one run have in common; ``key`` is both hashes of the issuer in one run."""
        return Batch(self, self._responder, cert_id_start(hash_name, key), window)

    def assemble(self, tbs: bytes, signature: bytes) -> bytes:
        """The OCSPResponse around ResponseData and its signature."""
        sizes = len(tbs), len(signature)
        frame = self._frames.get(sizes)
        if frame is None:
            frame = self._frames[sizes] = self.frame(*sizes)
        return frame[0] + tbs + frame[1] + signature + self._certificates

    def frame(self, tbs: int, signature: int) -> tuple[bytes, bytes]:
        """What stands before ResponseData, and between it and the signature, for these sizes."""
        before_signature = self._algorithm + b"\x03" + der.length(signature + 1) + b"\x00"
        basic = tbs + len(before_signature) + signature + len(self._certificates)
        return _nested(basic), before_signature

    @property
    def end(self) -> bytes:
        """What stands behind the signature."""
        return self._certificates


def _nested(basic: int) -> bytes:
    """All headers from the OCSPResponse down to the content of a BasicOCSPResponse of ``basic`` octets."""
    head = b"\x30" + der.length(basic)
    head = b"\x04" + der.length(basic + len(head)) + head
    head = _BASIC + head
    head = b"\x30" + der.length(basic + len(head)) + head
    head = b"\xa0" + der.length(basic + len(head)) + head
    head = _SUCCESSFUL + head
    return b"\x30" + der.length(basic + len(head)) + head


class Batch:
    """``good`` answers that share issuer, hash algorithm, times and signer; ``serial`` is the INTEGER's content."""

    def __init__(self, template: AnswerTemplate, responder: bytes, cert_id: bytes, window: Window) -> None:
        """Made by ``AnswerTemplate.batch``."""
        self.template = template
        self.window = window
        self._cert_id = cert_id
        self._start = responder + generalized_time(window.produced_at)
        self._end = GOOD + generalized_time(window.this_update) + _next_update(window.next_update)
        self._sign = template.signer.sign
        self._parts: dict[int, bytes] = {}
        self._around: dict[tuple[int, int], tuple[bytes, bytes, bytes]] = {}

    @property
    def at_once(self) -> int:
        """How many signatures are best asked for at a time: another process is asked for several in one exchange."""
        return 1 if self.template.elsewhere is None else _AT_ONCE

    def sign(self, serial: bytes) -> bytes:
        """The signature of the answer about one serial number."""
        elsewhere = self.template.elsewhere
        if elsewhere is not None:
            return elsewhere.sign_answer(self._about(serial), GOOD, self.window, None)
        return self._sign(self._tbs(serial))

    def sign_many(self, serials: Sequence[bytes]) -> list[bytes | None]:
        """The signatures of the answers about these; None for each that another process does not find good."""
        elsewhere = self.template.elsewhere
        if elsewhere is not None:
            return elsewhere.sign_answers([self._about(serial) for serial in serials], GOOD, self.window)
        return [self._sign(self._tbs(serial)) for serial in serials]

    def answer(self, serial: bytes, signature: bytes) -> bytes:
        """The OCSPResponse (DER) that ``sign`` signed."""
        before, between, after = self.around(len(serial), len(signature))
        return before + serial + between + signature + after

    def around(self, serial: int, signature: int) -> tuple[bytes, bytes, bytes]:
        """What stands before the serial number, between it and the signature, and behind, for these sizes."""
        known = self._around.get((serial, signature))
        if known is None:
            before = self._before(serial)
            head, between = self.template.frame(len(before) + serial + len(self._end), signature)
            known = self._around[serial, signature] = head + before, self._end + between, self.template.end
        return known

    def _about(self, serial: bytes) -> bytes:
        return der.sequence(self._cert_id, der.tlv(der.INTEGER, serial))

    def _tbs(self, serial: bytes) -> bytes:
        size = len(serial)
        before = self._parts.get(size)
        if before is None:
            before = self._parts[size] = self._before(size)
        return before + serial + self._end

    def _before(self, size: int) -> bytes:
        """Everything up to the content of a serial number of ``size`` octets."""
        content = self._cert_id + b"\x02" + der.length(size)
        cert_id = b"\x30" + der.length(len(content) + size) + content
        rest = size + len(self._end)
        single = b"\x30" + der.length(len(cert_id) + rest) + cert_id
        singles = b"\x30" + der.length(len(single) + rest) + single
        inner = self._start + singles
        return b"\x30" + der.length(len(inner) + rest) + inner


def _next_update(moment: datetime) -> bytes:
    return der.explicit(0, generalized_time(moment))
