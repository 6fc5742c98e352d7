"""Evidence of revocation: what CRLs and OCSP responses at hand say about one certificate at one moment.

The answer is a ``CertificateStatus``: good or revoked with its source, else unknown with the reason. Only
evidence that binds counts: signed by the issuer itself or, for OCSP, by a delegate that the issuer certified
for OCSPSigning, and current at that moment. Stale evidence, a CRL of another CA, an indirect CRL, an
answer without nextUpdate: all that is unknown, never good. When two pieces disagree, revoked wins.
It fetches nothing. SHA-1, SHA-256, SHA-384 and SHA-512 CertIDs are understood.
Sources: RFC 5280 5 and 6.3, RFC 6960 3.2 and 4.2.2; [V2G2-875], [V2G20-2409].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509

from v2gpki.certs.crl import CrlView, crl_view
from v2gpki.certs.ocsp_reading import OcspView, SingleView, key_hash, name_hash, ocsp_view
from v2gpki.certs.view import CertificateView, flaw_of_signature
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"

State = Literal["good", "revoked", "unknown", "anchor"]


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is known about one certificate.

    ``source`` is ``OCSP``, ``CRL`` or "" ; ``detail`` says in words what it rests on or why nothing is known.
    ``anchor`` is the state of a trust anchor, about which nobody above can speak.
    """

    state: State
    source: str = ""
    detail: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    reason: str = ""


ANCHOR = CertificateStatus("anchor", "", "trusted because it was given as an anchor")


class Evidence:
    """CRLs (DER or PEM) and OCSP responses (DER), read once; raises ``crl.malformed`` or ``ocsp.malformed``."""

    def __init__(self, crls: Sequence[bytes] = (), ocsps: Sequence[bytes] = ()) -> None:
        self._crls: list[CrlView] = [crl_view(data) for data in dict.fromkeys(crls)]
        self._ocsps: list[OcspView] = [ocsp_view(data) for data in dict.fromkeys(ocsps)]
        #: Identifies this set of evidence, whatever the order it was given in.
        self.fingerprints = frozenset(
            [crl.fingerprint for crl in self._crls] + [answer.fingerprint for answer in self._ocsps]
        )

    def status(self, certificate: CertificateView, issuer: CertificateView, at: datetime) -> CertificateStatus:
        """What all evidence together says about ``certificate``, issued by ``issuer``, at ``at``."""
        readings = [*self._from_ocsp(certificate, issuer, at), *self._from_crls(certificate, issuer, at)]
        for reading in readings:
            if reading.state == "revoked":
                return reading
        good = [reading for reading in readings if reading.state == "good"]
        if good:
            return good[0]
        if readings:
            return CertificateStatus("unknown", "", "; ".join(reading.detail for reading in readings))
        if self.fingerprints:
            return CertificateStatus("unknown", "", "none of the CRLs and OCSP responses given is about it")
        return CertificateStatus("unknown", "", "no CRL or OCSP response was given")

    def window(self, at: datetime) -> tuple[datetime | None, datetime | None]:
        """The open interval around ``at`` in which no piece of evidence begins or ceases to count."""
        moments = [moment for crl in self._crls for moment in (crl.this_update, crl.next_update) if moment]
        for answer in self._ocsps:
            for single in answer.singles:
                moments += [moment for moment in (single.this_update, single.next_update) if moment]
            for delegate in answer.certificates:
                moments += [delegate.not_before, delegate.not_after]
        before = max((moment for moment in moments if moment < at), default=None)
        after = min((moment for moment in moments if moment > at), default=None)
        return (at, at) if at in moments else (before, after)

    def _from_crls(
        self, certificate: CertificateView, issuer: CertificateView, at: datetime
    ) -> Iterator[CertificateStatus]:
        for crl in self._crls:
            if crl.issuer == issuer.subject:
                yield _read_crl(crl, certificate, issuer, at)

    def _from_ocsp(
        self, certificate: CertificateView, issuer: CertificateView, at: datetime
    ) -> Iterator[CertificateStatus]:
        for answer in self._ocsps:
            if answer.failure:
                yield _unknown("OCSP", f"the responder answered {answer.failure}")
            for single in answer.singles:
                if _is_about(single, certificate, issuer):
                    yield self._read_single(answer, single, issuer, at)

    def _read_single(
        self, answer: OcspView, single: SingleView, issuer: CertificateView, at: datetime
    ) -> CertificateStatus:
        flaw = self._flaw_of_signer(answer, issuer, at) or _flaw_of_times(single.this_update, single.next_update, at)
        if flaw:
            return _unknown("OCSP", flaw)
        if single.status == "good":
            return CertificateStatus(
                "good", "OCSP", f"signed by {answer.responder}", single.this_update, single.next_update
            )
        if single.status == "revoked":
            return CertificateStatus(
                "revoked",
                "OCSP",
                f"signed by {answer.responder}",
                single.this_update,
                single.next_update,
                single.revoked_at,
                single.reason,
            )
        return _unknown("OCSP", "the responder does not know the certificate")

    def _flaw_of_signer(self, answer: OcspView, issuer: CertificateView, at: datetime) -> str:
        """Why this answer does not bind the issuer; "" when it does (RFC 6960 4.2.2.2)."""
        if answer.flaw:
            return answer.flaw
        if answer.named(issuer) and answer.signed_with(issuer):
            return ""
        for delegate in answer.certificates:
            if answer.named(delegate) and answer.signed_with(delegate):
                return self._flaw_of_delegate(delegate, issuer, at)
        return "is not signed by the issuer or by a certificate that comes with it"

    def _flaw_of_delegate(self, delegate: CertificateView, issuer: CertificateView, at: datetime) -> str:
        flaw = ""
        if not issuer.named_by(delegate) or flaw_of_signature(delegate.der, issuer.der):
            flaw = "which the issuer of the certificate did not certify"
        elif OCSP_SIGNING not in delegate.extended_key_usage:
            flaw = "which has no EKU OCSPSigning"
        elif delegate.key_usage is not None and "digitalSignature" not in delegate.key_usage:
            flaw = "which may not sign (KeyUsage)"
        elif delegate.unknown_critical or delegate.weak_signature or delegate.weak_key:
            flaw = "which has an unknown critical extension or a weak algorithm"
        elif not delegate.not_before <= at <= delegate.not_after:
            flaw = f"which was not valid at {rfc3339(at)}"
        elif not delegate.ocsp_nocheck:
            states = {reading.state for reading in self._from_crls(delegate, issuer, at)}
            if states != {"good"}:
                flaw = "which has no ocsp-nocheck and whose own status is not known to be good"
        return flaw and f"is signed by {delegate.subject_text}, {flaw}"


def _read_crl(crl: CrlView, certificate: CertificateView, issuer: CertificateView, at: datetime) -> CertificateStatus:
    """What one CRL that carries the issuer's name says about the certificate."""
    flaw = _flaw_of_crl(crl, certificate, issuer) or _flaw_of_times(crl.this_update, crl.next_update, at)
    if flaw:
        return _unknown("CRL", flaw)
    entry = crl.entry(certificate.serial)
    reason = "" if entry is None else _reason(entry)
    if reason == "removeFromCRL":
        return _unknown("CRL", "only says that an earlier revocation was taken back")
    if entry is not None:
        return CertificateStatus(
            "revoked",
            "CRL",
            f"listed by {issuer.subject_text}",
            crl.this_update,
            crl.next_update,
            entry.revocation_date_utc,
            reason,
        )
    if crl.partial:
        return _unknown("CRL", crl.partial)
    return CertificateStatus(
        "good", "CRL", f"not listed by {issuer.subject_text}", crl.this_update, crl.next_update
    )


def _flaw_of_crl(crl: CrlView, certificate: CertificateView, issuer: CertificateView) -> str:
    if crl.key_identifier and issuer.key_identifier and crl.key_identifier != issuer.key_identifier:
        return "is of another key that has the issuer's name"
    if issuer.key_usage is not None and "cRLSign" not in issuer.key_usage:
        return "is signed by a CA that may not sign CRLs (KeyUsage)"
    return crl.flaw or crl.flaw_of_signature(issuer) or crl.flaw_of_scope(certificate)


def _flaw_of_times(this_update: datetime, next_update: datetime | None, at: datetime) -> str:
    if next_update is None:
        return "has no nextUpdate, so nobody can tell whether it is current"
    if at < this_update:
        return f"begins to count at {rfc3339(this_update)} only"
    if at > next_update:
        return f"is stale since {rfc3339(next_update)}"
    return ""


def _is_about(single: SingleView, certificate: CertificateView, issuer: CertificateView) -> bool:
    return (
        single.serial == certificate.serial
        and single.issuer_name_hash == name_hash(issuer, single.hash_name)
        and single.issuer_key_hash == key_hash(issuer, single.hash_name)
    )


def _unknown(source: str, flaw: str) -> CertificateStatus:
    what = "the CRL" if source == "CRL" else "the OCSP response"
    text = flaw if flaw.startswith("the responder") else f"{what} {flaw}"
    return CertificateStatus("unknown", source, text)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return str(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value)
    except x509.ExtensionNotFound:
        return "unspecified"
    except ValueError as problem:
        raise V2GPKIError(
            "crl.malformed", f"the CRL entry {entry.serial_number:x} cannot be read: {problem}", clause="RFC 5280 5.3"
        ) from problem
