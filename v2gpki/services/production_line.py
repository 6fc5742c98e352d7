"""The production line of one profile, issuer and set of constants: what all certificates of an order's kind share.

Compiled once: the template with its holes, the guard that judges the holes, the chain above. The constant part is
linted once, on a sample of throw-away values. Nothing is signed or stored here. Source: RFC 5280 4.1.2.2, 4.1.2.5.
"""

from __future__ import annotations

from datetime import UTC, datetime

from v2gpki.certs import der
from v2gpki.certs.lint import HOLE_CODES, HoleGuard, explanations, lint_certificate
from v2gpki.certs.template import CertificateTemplate, Constants, IssuerName
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.suites import SUITES, spki_of
from v2gpki.profile.model import Profile, SerialRule
from v2gpki.store.records import AuthorityRecord

#: The last moment that a certificate can name.
_END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_TIMES = 64


class ProductionLine:
    """Compiled template, lint guard and signer's record (None: a self-signed root)."""

    def __init__(self, profile: Profile, issuer: AuthorityRecord | None, constants: Constants) -> None:
        self.profile = profile
        self.issuer = issuer
        name = None if issuer is None else IssuerName(issuer.subject_der, issuer.key_identifier)
        self.template = CertificateTemplate(profile, name, constants)
        self.guard = HoleGuard(
            profile,
            issuer_not_before=None if issuer is None else issuer.not_before,
            issuer_not_after=None if issuer is None else issuer.not_after,
            issuer_path_length=None if issuer is None else _path_length(issuer.der),
        )
        self.chain_above = () if issuer is None else without_root(issuer)
        self._times: dict[datetime, bytes] = {}
        self._usual: tuple[datetime, tuple[datetime, datetime]] | None = None

    def lint_constant_part(self, not_before: datetime, not_after: datetime) -> tuple[Finding, ...]:
        """Lint a sample, made of throw-away values, for everything that does not depend on the holes."""
        sample = SUITES[self.profile.key.suite].generate().public_key()
        tbs, _ = self.template.tbs(
            serial=serial_of(self.profile.serial, bytes(self.profile.serial.octets)),
            not_before=der.time(not_before),
            not_after=der.time(not_after),
            identifier="A",
            spki=spki_of(sample),
        )
        unsigned = self.template.assemble(tbs, bytes(self.template.signing_suite.signature_size))
        issuer = None if self.issuer is None else self.issuer.der
        return tuple(f for f in lint_certificate(unsigned, self.profile, issuer=issuer) if f.code not in HOLE_CODES)

    def validity(
        self, now: datetime, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> tuple[datetime, datetime]:
        """The validity of a certificate that asks for these times; None takes the profile's, within the issuer's."""
        if not_before is not None or not_after is not None:
            return self._validity(now, not_before, not_after)
        # What the profile alone decides is computed once per moment.
        if self._usual is None or self._usual[0] != now:
            self._usual = now, self._validity(now, None, None)
        return self._usual[1]

    def time(self, moment: datetime) -> bytes:
        """``der.time``, remembered: a batch shares its times."""
        encoded = self._times.get(moment)
        if encoded is None:
            if len(self._times) > _TIMES:
                self._times.clear()
            encoded = self._times[moment] = der.time(moment)
        return encoded

    def _validity(
        self, now: datetime, not_before: datetime | None, not_after: datetime | None
    ) -> tuple[datetime, datetime]:
        rule, issuer = self.profile.validity, self.issuer
        begin = not_before or now - rule.backdate
        end = not_after or begin + min(rule.default, _END_OF_TIME - begin)
        if issuer is not None:
            if not_before is None:
                begin = max(begin, issuer.not_before)
            if not_after is None:
                end = min(end, issuer.not_after)
        return begin.replace(microsecond=0), end.replace(microsecond=0)


def serial_of(rule: SerialRule, random: bytes) -> bytes:
    """Serial octets by the profile's rule: the first in its bounds: positive, and of full length."""
    span = rule.first_maximum - rule.first_minimum + 1
    return bytes((rule.first_minimum + random[0] % span,)) + random[1:]


def refuse_errors(profile: Profile, identifier: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Pass on what is no error; ``lint.failed`` is one error that lists them all."""
    wrong = [finding for finding in findings if finding.severity == "error"]
    if not wrong:
        return findings
    what = f"{profile.role} ({profile.edition}, {profile.suite})" + (f" for {identifier}" if identifier else "")
    explanation = explanations().get(wrong[0].code)
    raise V2GPKIError(
        "lint.failed",
        f"{what} is refused: {wrong[0].message}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""),
        hint=explanation.action if explanation else "correct the request or the profile",
        clause=wrong[0].clause,
        facts={"role": profile.role, "edition": profile.edition, "identifier": identifier},
        findings=findings,
    )


def without_root(issuer: AuthorityRecord) -> tuple[bytes, ...]:
    """The issuer's certificate and those above it, nearest first; the root at the end is left out."""
    above = (issuer.der, *issuer.chain)
    return above[:-1]


def _path_length(certificate: bytes) -> int | None:
    from cryptography import x509  # noqa: PLC0415  # once per line; most of the path never parses X.509

    constraints = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(x509.BasicConstraints)
    return constraints.value.path_length
