"""Path validation: is this chain good at this moment, under these anchors, with this evidence?

``validate`` raises one error with every finding, ``examine`` gives the same as a report. Our own checks
find all that is wrong; a path without findings must also pass pyhanko-certvalidator (``certs.pkix``).
The CA part of a clean path is kept, by fingerprints and evidence, as long as its certificates are valid
and no piece of evidence begins or ends to count; then only the leaf is checked. Names match by DER octets.
Missing evidence is unknown, never good. Role rules are not judged here: ``services.trust`` does.
Sources: RFC 5280 6.1; [V2G2-885], [V2G2-924], [V2G2-878]; ISO 15118-4 for what an expired issuer answers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from v2gpki.certs import pkix
from v2gpki.certs.evidence import ANCHOR, CertificateStatus, Evidence
from v2gpki.certs.path_building import Candidate, about, candidates, weak
from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding, V2GPKIError

#: Which finding names the error when there are several: without trust nothing else means much.
_RANK = (
    "path.bad_signature",
    "path.no_anchor",
    "path.broken",
    "path.name_mismatch",
    "path.not_a_ca",
    "path.path_length",
    "path.key_usage",
    "path.order",
    "path.weak_algorithm",
    "path.unknown_critical_extension",
    "path.constraint",
    "path.revoked",
    "path.expired",
    "path.issuer_expired",
    "path.not_yet_valid",
    "path.status_unknown",
)

_HINTS = {
    "path.bad_signature": "the certificate was changed, or it comes from another CA of the same name",
    "path.no_anchor": "give the root of this chain as an anchor, if you trust it, or add the missing sub-CA",
    "path.broken": "add the missing certificate: leaf, Sub-CA 2, Sub-CA 1",
    "path.expired": "renew the certificate, or check the clock; --at judges another moment",
    "path.issuer_expired": "the CA must be renewed and the leaf issued again; --at judges another moment",
    "path.not_yet_valid": "wait, or check the clock; --at judges another moment",
    "path.order": "send the issuer of the leaf first, then its issuer: leaf, Sub-CA 2, Sub-CA 1",
    "path.revoked": "use another certificate; a revoked one never comes back",
    "path.status_unknown": "give a current CRL or OCSP response of each issuer in the chain",
}


@dataclass(frozen=True, slots=True)
class ValidPath:
    """A path that was found good: DER certificates and what is known about each, leaf first, anchor last."""

    certificates: tuple[bytes, ...]
    statuses: tuple[CertificateStatus, ...]
    at: datetime

    @property
    def leaf(self) -> bytes:
        """The certificate that the path is about."""
        return self.certificates[0]

    @property
    def anchor(self) -> bytes:
        """The trust anchor that it rests on."""
        return self.certificates[-1]


@dataclass(frozen=True, slots=True)
class PathReport:
    """What was found, good or bad. ``anchored`` tells whether the last certificate is a trust anchor."""

    certificates: tuple[bytes, ...]
    statuses: tuple[CertificateStatus, ...]
    findings: tuple[Finding, ...]
    anchored: bool
    at: datetime

    def valid(self) -> ValidPath:
        """The path, if nothing speaks against it; else raises one error with all findings."""
        if self.findings:
            raise refusal(self.findings)
        return ValidPath(self.certificates, self.statuses, self.at)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The verdict on a CA part: its statuses and when it may be used again."""

    statuses: tuple[CertificateStatus, ...]
    valid_from: datetime
    valid_until: datetime
    after: datetime | None
    before: datetime | None

    def usable(self, at: datetime) -> bool:
        return (
            self.valid_from <= at <= self.valid_until
            and (self.after is None or self.after < at)
            and (self.before is None or at < self.before)
        )


_Key = tuple[tuple[bytes, ...], frozenset[bytes]]


class PathCache:
    """Clean CA parts by (fingerprints, evidence), the least used dropped first; safe among threads."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything: the next chain is judged anew."""
        with self._lock:
            self._kept.clear()

    def find(self, key: _Key, at: datetime) -> _Kept | None:
        """The verdict kept for ``key``, if it still counts at ``at``."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or not kept.usable(at):
                return None
            self._kept.move_to_end(key)
            return kept

    def keep(self, key: _Key, kept: _Kept) -> None:
        """Remember a verdict."""
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


_SHARED = PathCache()


def forget() -> None:
    """Forget the CA parts that are kept when no cache of one's own is given: to measure, or to give back memory."""
    _SHARED.clear()


def validate(
    chain: Sequence[bytes],
    anchors: Sequence[bytes],
    *,
    at: datetime,
    crls: Sequence[bytes] = (),
    ocsps: Sequence[bytes] = (),
    require_evidence: bool = False,
    ordered: bool = False,
    leaf: bytes | None = None,
    cache: PathCache | None = _SHARED,
) -> ValidPath:
    """Validate a chain (DER, any order) and return the path from its leaf to one of the ``anchors`` (DER).

    ``crls`` are DER or PEM, ``ocsps`` DER. With ``require_evidence`` each certificate below the anchor must be
    known to be good. ``ordered`` demands the order of the wire: leaf, its issuer, and so on. ``leaf`` is the
    certificate that the path must be about, one of the ``chain``. Without either, the leaf is the one that fits best:
    a chain from a peer, whose first certificate's key is relied on, needs one of them. ``cache`` None
    checks everything anew. Raises ``path.*`` with all findings, ``chain.*``, ``crl.malformed``, ``ocsp.malformed``.
    """
    return examine(
        chain,
        anchors,
        at=at,
        evidence=Evidence(crls, ocsps),
        require_evidence=require_evidence,
        ordered=ordered,
        leaf=leaf,
        cache=cache,
    ).valid()


def examine(
    chain: Sequence[bytes],
    anchors: Sequence[bytes],
    *,
    at: datetime,
    evidence: Evidence | None = None,
    require_evidence: bool = False,
    ordered: bool = False,
    leaf: bytes | None = None,
    cache: PathCache | None = _SHARED,
) -> PathReport:
    """Like ``validate``, but what is wrong comes back as findings of the best path, together with that path."""
    if at.tzinfo is None:
        raise ValueError("a path is judged at an aware datetime")
    given = [view(der) for der in dict.fromkeys(chain)]
    trusted = [view(der) for der in dict.fromkeys(anchors)]
    proof = evidence if evidence is not None else Evidence()
    best: PathReport | None = None
    if leaf is not None and leaf not in chain:
        raise ValueError("the leaf that a path is to be about is one of the chain")
    for candidate in candidates(given, trusted, None if leaf is None else view(leaf)):
        report = _judged(candidate, at, proof, require_evidence, cache)
        if ordered:
            report = _with_order(report, given)
        if not report.findings:
            return report
        if best is None or _weight(report.findings) < _weight(best.findings):
            best = report
    assert best is not None, "path building always offers a candidate"
    return best


def refusal(findings: Sequence[Finding]) -> V2GPKIError:
    """One error for all findings, named after the gravest."""
    ranked = sorted(findings, key=lambda finding: _rank(finding.code))
    first = ranked[0]
    more = f" (and {len(ranked) - 1} more findings)" if len(ranked) > 1 else ""
    return V2GPKIError(
        first.code,
        first.message + more,
        hint=_HINTS.get(first.code, "ask the issuer for a certificate that meets the profile"),
        clause=first.clause,
        facts={"subject": first.subject, **first.facts},
        findings=ranked,
    )


def _rank(code: str) -> int:
    return _RANK.index(code) if code in _RANK else len(_RANK)


def _weight(findings: Sequence[Finding]) -> tuple[int, int]:
    """How bad: a path that fails for a slight reason explains more than one that fails for a grave one."""
    return (-min(_rank(finding.code) for finding in findings), len(findings))


def _judged(
    candidate: Candidate, at: datetime, evidence: Evidence, require_evidence: bool, cache: PathCache | None
) -> PathReport:
    path = candidate.certificates
    key = (tuple(one.fingerprint for one in path[1:]), evidence.fingerprints)
    keepable = len(path) > 1 and not candidate.gap and not any(one.restricting for one in path)
    kept = cache.find(key, at) if cache is not None and keepable else None
    findings = _of_leaf(path[0], at, anchored=len(path) == 1 and not candidate.gap)
    statuses = [_status(path, 0, candidate, evidence, at)]
    if kept is not None:
        statuses += kept.statuses
    else:
        for index in range(1, len(path)):
            findings += _of_issuer(path, index, at, anchor=index == len(path) - 1 and not candidate.gap)
            statuses.append(_status(path, index, candidate, evidence, at))
        if candidate.gap is not None and candidate.gap not in findings:
            findings.append(candidate.gap)
    findings += _of_statuses(path, statuses, require_evidence)
    if kept is None and not [finding for finding in findings if finding.code != "path.status_unknown"]:
        problem = pkix.objection(path, at)
        if problem is not None:
            findings.append(problem)
        elif cache is not None and keepable:
            cache.keep(key, _keep(path, statuses, evidence, at))
    anchored = candidate.gap is None
    return PathReport(tuple(one.der for one in path), tuple(statuses), tuple(findings), anchored, at)


def _keep(
    path: Sequence[CertificateView], statuses: Sequence[CertificateStatus], evidence: Evidence, at: datetime
) -> _Kept:
    after, before = evidence.window(at)
    return _Kept(
        statuses=tuple(statuses[1:]),
        valid_from=max(one.not_before for one in path[1:]),
        valid_until=min(one.not_after for one in path[1:]),
        after=after,
        before=before,
    )


def _status(
    path: Sequence[CertificateView], index: int, candidate: Candidate, evidence: Evidence, at: datetime
) -> CertificateStatus:
    if candidate.gap is not None:
        # Whoever signed the evidence is nobody that we trust.
        return CertificateStatus("unknown", "", "the chain reaches no trust anchor, so no evidence about it counts")
    if index + 1 < len(path):
        return evidence.status(path[index], path[index + 1], at)
    return ANCHOR


def _of_leaf(leaf: CertificateView, at: datetime, *, anchored: bool) -> list[Finding]:
    findings = _of_content(leaf, anchor=anchored)
    if not leaf.not_before <= at <= leaf.not_after:
        findings.append(_out_of_validity(leaf, at, "path.expired"))
    return findings


def _of_issuer(path: Sequence[CertificateView], index: int, at: datetime, *, anchor: bool) -> list[Finding]:
    """What speaks against the certificate at ``index`` > 0 as an issuer (RFC 5280 6.1.4 k to o)."""
    issuer = path[index]
    findings = _of_content(issuer, anchor=anchor)
    if not issuer.not_before <= at <= issuer.not_after:
        findings.append(_out_of_validity(issuer, at, "path.issuer_expired"))
    if not issuer.ca:
        message = f"{issuer.subject_text} issued {path[index - 1].subject_text} but is no CA (BasicConstraints)"
        findings.append(
            about("path.not_a_ca", message, issuer, clause="RFC 5280 6.1.4 (k)", where="basicConstraints.cA")
        )
    if issuer.key_usage is not None and "keyCertSign" not in issuer.key_usage:
        message = f"{issuer.subject_text} may not sign certificates: its KeyUsage lacks keyCertSign"
        findings.append(about("path.key_usage", message, issuer, clause="RFC 5280 6.1.4 (n)", where="keyUsage"))
    below = sum(1 for one in path[1:index] if not one.self_issued)
    if issuer.path_length is not None and below > issuer.path_length:
        message = f"{issuer.subject_text} allows {issuer.path_length} CAs below it, the chain has {below}"
        findings.append(
            about(
                "path.path_length",
                message,
                issuer,
                clause="RFC 5280 6.1.4 (l), [V2G2-009]",
                where="basicConstraints.pathLenConstraint",
                allowed=issuer.path_length,
                found=below,
            )
        )
    return findings


def _of_content(certificate: CertificateView, *, anchor: bool) -> list[Finding]:
    findings = [
        about(
            "path.unknown_critical_extension",
            f"{certificate.subject_text} has the critical extension {oid}, which is not understood",
            certificate,
            clause="RFC 5280 4.2",
            where=oid,
        )
        for oid in certificate.unknown_critical
    ]
    if anchor and certificate.restricting:
        # RFC 5280 leaves open whether an anchor's own constraints count; V2G knows none, so none are passed over.
        message = f"the anchor {certificate.subject_text} carries name or policy constraints, which are not applied"
        findings.append(about("path.constraint", message, certificate, clause="RFC 5937"))
    # An anchor's signature over itself proves nothing and is not relied on, its key is.
    own_signature = "" if anchor else certificate.weak_signature
    findings += [weak(certificate, weakness) for weakness in (own_signature, certificate.weak_key) if weakness]
    return findings


def _out_of_validity(certificate: CertificateView, at: datetime, expired: str) -> Finding:
    if at < certificate.not_before:
        code = "path.not_yet_valid"
        message = f"{certificate.subject_text} is not valid before {rfc3339(certificate.not_before)}"
    else:
        code = expired
        message = f"{certificate.subject_text} expired at {rfc3339(certificate.not_after)}"
    return about(
        code,
        f"{message} (judged at {rfc3339(at)})",
        certificate,
        clause="RFC 5280 6.1.3 (a)(2), [V2G2-824]",
        where="validity",
        not_before=rfc3339(certificate.not_before),
        not_after=rfc3339(certificate.not_after),
    )


def _of_statuses(
    path: Sequence[CertificateView], statuses: Sequence[CertificateStatus], require_evidence: bool
) -> list[Finding]:
    findings: list[Finding] = []
    for certificate, status in zip(path, statuses, strict=True):
        name = certificate.subject_text
        if status.state == "revoked":
            when = f" at {rfc3339(status.revoked_at)}" if status.revoked_at else ""
            message = f"{name} was revoked{when} ({status.reason}), says the {status.source}"
            findings.append(
                about(
                    "path.revoked",
                    message,
                    certificate,
                    clause="RFC 5280 6.1.3 (a)(3)",
                    source=status.source,
                    reason=status.reason,
                    revoked_at=rfc3339(status.revoked_at) if status.revoked_at else None,
                )
            )
        elif status.state == "unknown" and require_evidence:
            message = f"it is not known whether {name} is revoked: {status.detail}"
            findings.append(
                about("path.status_unknown", message, certificate, clause="RFC 5280 6.3, [V2G2-875], [V2G20-1240]")
            )
    return findings


def _with_order(report: PathReport, given: Sequence[CertificateView]) -> PathReport:
    """Add ``path.order`` when the certificates did not come in the order of the path."""
    wanted = [der for der in report.certificates if any(one.der == der for one in given)]
    if wanted == [one.der for one in given][: len(wanted)]:
        return report
    finding = about(
        "path.order",
        "the certificates are not in the order of the wire: each must be followed by its issuer",
        given[0],
        clause="ISO 15118-4 CertificateUpdate test 007",
    )
    return PathReport(report.certificates, report.statuses, (*report.findings, finding), report.anchored, report.at)
