"""Judging one OCSP answer: may the asker rely on it, and what would trouble others about it.

An error means that the answer proves nothing (signature, delegate, times, another certificate, a wrong nonce); a
warning names what some client stumbles over (Go takes the first embedded certificate as the signer; a nonce that was
asked for and is missing; more than a week of validity). Its verdict is that of ``certs.evidence``, but for a delegate
without ocsp-nocheck, whose own status it does not know: that is a warning here. It fetches nothing.
Sources: RFC 6960 3.2, 4.2.2.2; RFC 9654 2.1; RFC 5019 4; [V2G20-1021].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509 import ocsp

from v2gpki.certs.evidence import OCSP_SIGNING
from v2gpki.certs.ocsp_reading import OcspView, SingleView, key_hash, name_hash, ocsp_view
from v2gpki.certs.view import CertificateView, flaw_of_signature, view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding

#: How long an answer may hold in ISO 15118-20 ([V2G20-1021]).
LONGEST = timedelta(days=7)
#: How far a responder's clock may be ahead of ours.
_SKEW = timedelta(minutes=5)
_STATUS_NAMES = {
    ocsp.OCSPResponseStatus.MALFORMED_REQUEST.name: "malformedRequest",
    ocsp.OCSPResponseStatus.INTERNAL_ERROR.name: "internalError",
    ocsp.OCSPResponseStatus.TRY_LATER.name: "tryLater",
    ocsp.OCSPResponseStatus.SIG_REQUIRED.name: "sigRequired",
    ocsp.OCSPResponseStatus.UNAUTHORIZED.name: "unauthorized",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an answer says and whether it may be relied on.

    ``status`` is good, revoked or unknown, or the name of an OCSPResponseStatus. ``trusted`` False: it proves nothing.
    ``signer`` is the subject of who signed, ``delegated`` whether that is another than the CA. ``nonce`` is echoed,
    missing, wrong, unasked or "" (neither asked for nor sent).
    """

    status: str
    trusted: bool
    findings: tuple[Finding, ...]
    signer: str = ""
    delegated: bool = False
    produced_at: datetime | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    reason: str = ""
    hash_name: str = ""
    nonce: str = ""


def judge_answer(
    answer: bytes, certificate: bytes, issuer: bytes, *, at: datetime, nonce: bytes | None = None, hash_name: str = ""
) -> Judgement:
    """Judge the DER ``answer`` about ``certificate``, issued by ``issuer`` (both DER), as of ``at``.

    ``nonce`` is what was asked with, None without one; ``hash_name`` the CertID algorithm asked with, "" for any.
    Raises ``ocsp.malformed`` for what is no OCSPResponse.
    """
    read = ocsp_view(answer)
    if read.failure:
        name = _STATUS_NAMES.get(read.failure, read.failure)
        return Judgement(name, False, (_error("ocsp.refused", f"the responder answers {name}", "RFC 6960 2.3"),))
    child, parent = view(certificate), view(issuer)
    findings = list(_signer_findings(read, parent, at))
    single = next((one for one in read.singles if _is_about(one, child, parent)), None)
    if single is None:
        findings.append(_error("ocsp.wrong_certificate", "the answer is about another certificate", "RFC 6960 3.2 (1)"))
    else:
        findings += _time_findings(read, single, parent, at)
        if hash_name and single.hash_name != hash_name:
            text = f"asked with {hash_name}, answered with {single.hash_name}: some clients do not recognise that"
            findings.append(_warning("ocsp.other_hash", text, "RFC 6960 4.2.2.3"))
    if len(read.singles) > 1:
        text = f"the answer speaks of {len(read.singles)} certificates; Go's client refuses it"
        findings.append(_warning("ocsp.several_answers", text, "RFC 5019 2.2.1"))
    echoed, nonce_findings = _nonce_findings(read, nonce)
    findings += nonce_findings
    signer = _signer(read, parent)
    return Judgement(
        status=single.status if single else "unknown",
        trusted=not any(finding.severity == "error" for finding in findings),
        findings=tuple(findings),
        signer=signer.subject_text if signer else read.responder,
        delegated=signer is not None and signer is not parent,
        produced_at=read.response.produced_at_utc,
        this_update=single.this_update if single else None,
        next_update=single.next_update if single else None,
        revoked_at=single.revoked_at if single else None,
        reason=single.reason if single else "",
        hash_name=single.hash_name if single else "",
        nonce=echoed,
    )


def _signer(read: OcspView, issuer: CertificateView) -> CertificateView | None:
    """Who made the signature: the issuer, or a certificate that came with the answer."""
    for candidate in (issuer, *read.certificates):
        if read.named(candidate) and read.signed_with(candidate):
            return candidate
    return None


def _signer_findings(read: OcspView, issuer: CertificateView, at: datetime) -> Iterator[Finding]:
    if read.flaw:
        yield _error("ocsp.bad_signature", f"the answer {read.flaw}", "RFC 6960 4.3")
    signer = _signer(read, issuer)
    if signer is None:
        text = "the signature is neither the issuer's nor that of a certificate that came with the answer"
        yield _error("ocsp.bad_signature", text, "RFC 6960 3.2 (2)")
        return
    if signer is issuer:
        return
    clause = "RFC 6960 4.2.2.2; [V2G2-875]"
    name = signer.subject_text
    if not issuer.named_by(signer) or flaw_of_signature(signer.der, issuer.der):
        yield _error("ocsp.bad_delegate", f"{name} was not certified by {issuer.subject_text}", clause)
    if OCSP_SIGNING not in signer.extended_key_usage:
        yield _error("ocsp.bad_delegate", f"{name} has no EKU OCSPSigning", clause)
    if signer.key_usage is not None and "digitalSignature" not in signer.key_usage:
        yield _error("ocsp.bad_delegate", f"{name} may not sign (KeyUsage has no digitalSignature)", clause)
    if signer.unknown_critical or signer.weak_signature or signer.weak_key:
        yield _error("ocsp.bad_delegate", f"{name} has an unknown critical extension or a weak algorithm", clause)
    if not signer.not_before <= at <= signer.not_after:
        text = f"{name} is valid from {rfc3339(signer.not_before)} to {rfc3339(signer.not_after)} only"
        yield _error("ocsp.bad_delegate", text, clause)
    if not signer.ocsp_nocheck:
        text = f"{name} has no ocsp-nocheck: a client must ask whether it is revoked itself"
        yield _warning("ocsp.no_nocheck", text, "RFC 6960 4.2.2.2.1")
    if read.certificates[0] is not signer:
        text = "the signer is not the first embedded certificate, which Go's client takes"
        yield _warning("ocsp.signer_not_first", text, "RFC 6960 4.2.1")


def _time_findings(
    read: OcspView, single: SingleView, issuer: CertificateView, at: datetime
) -> Iterator[Finding]:
    clause = "RFC 6960 3.2 (4), (5)"
    if at < single.this_update:
        yield _error("ocsp.not_yet_valid", f"the answer counts from {rfc3339(single.this_update)} only", clause)
    if single.next_update is None:
        text = "the answer has no nextUpdate, so nobody can tell whether it is current"
        yield _error("ocsp.stale", text, "RFC 5019 2.2.4")
    elif at > single.next_update:
        yield _error("ocsp.stale", f"the answer is stale since {rfc3339(single.next_update)}", clause)
    elif single.next_update - single.this_update > LONGEST and not issuer.spki.startswith(_P256):
        text = f"the answer holds {single.next_update - single.this_update}, more than a week"
        yield _warning("ocsp.long_lived", text, "[V2G20-1021]")
    if read.response.produced_at_utc > at + _SKEW:
        text = f"the answer was signed at {rfc3339(read.response.produced_at_utc)}, which is in the future"
        yield _warning("ocsp.future", text, "RFC 6960 2.4")


#: How the SubjectPublicKeyInfo of a P-256 key begins: the one key of ISO 15118-2, which has no such limit.
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107")


def _nonce_findings(read: OcspView, asked: bytes | None) -> tuple[str, list[Finding]]:
    values = [extension.value for extension in read.response.extensions]
    sent = next((value.nonce for value in values if isinstance(value, x509.OCSPNonce)), None)
    clause = "RFC 9654 2.1"
    if asked is None:
        if sent is None:
            return "", []
        return "unasked", [_warning("ocsp.nonce_unasked", "the answer carries a nonce that nobody asked for", clause)]
    if sent is None:
        text = "the answer does not repeat the nonce: it was signed ahead, or is an old one"
        return "missing", [_warning("ocsp.nonce_missing", text, clause)]
    if sent != asked:
        return "wrong", [_error("ocsp.nonce_wrong", "the answer repeats another nonce than the one sent", clause)]
    return "echoed", []


def _is_about(single: SingleView, certificate: CertificateView, issuer: CertificateView) -> bool:
    return (
        single.serial == certificate.serial
        and single.issuer_name_hash == name_hash(issuer, single.hash_name)
        and single.issuer_key_hash == key_hash(issuer, single.hash_name)
    )


def _error(code: str, message: str, clause: str) -> Finding:
    return Finding(code, "error", message, clause)


def _warning(code: str, message: str, clause: str) -> Finding:
    return Finding(code, "warning", message, clause)
