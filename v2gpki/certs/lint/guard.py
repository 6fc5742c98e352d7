"""Judges the holes of a template alone, with the codes of the full lint, in a few microseconds.

Nearly all of a certificate is constant for a profile and its issuer and is linted once, by a sample. What
changes from one to the next is judged here: identifier, validity, key, size. For a template that fills its
holes faithfully, the sample's findings without ``HOLE_CODES`` and the guard's are the full lint's.
``size`` is the largest that the certificate can reach (TBSCertificate and a signature of maximal length):
an ECDSA signature varies by a few octets, so here, near the limit, the guard refuses what a lucky
signature would just let pass; never the other way round.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from v2gpki.certs.lint.key import judge_key, key_judge
from v2gpki.certs.lint.names import (
    HOLE,
    IDENTIFIER_TEXT,
    TAGS,
    attributed,
    demands_identifier,
    fits,
    judge_identifier,
    judge_text,
    report_no_identifier,
)
from v2gpki.certs.lint.reader import PRINTABLE_STRING
from v2gpki.certs.lint.report import Report
from v2gpki.certs.lint.signer import judge_path_length
from v2gpki.certs.lint.structure import judge_size
from v2gpki.certs.lint.validity import judge_validity
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.identifiers import Identifier, recognise
from v2gpki.profile.model import Profile

#: What a sample cannot show: the codes that depend on holes, judged by the guard; and on the signature,
#: which is not there before the certificate is.
HOLE_CODES = frozenset(
    {
        "lint.identifier.characters",
        "lint.identifier.doubtful",
        "lint.identifier.kind",
        "lint.identifier.length",
        "lint.identifier.missing",
        "lint.identifier.not_normal",
        "lint.identifier.noted",
        "lint.issuer.path_length",
        "lint.key.malformed",
        "lint.key.not_on_curve",
        "lint.key.point_form",
        "lint.key.suite",
        "lint.signature.invalid",
        "lint.signature.malformed",
        "lint.size.too_large",
        "lint.validity.before_issuer",
        "lint.validity.order",
        "lint.validity.outlives_issuer",
        "lint.validity.too_long",
        "lint.validity.too_short",
    }
)


class HoleGuard:
    """The rules of one profile below one issuer, for what changes from certificate to certificate."""

    def __init__(
        self,
        profile: Profile,
        *,
        issuer_not_before: datetime | None = None,
        issuer_not_after: datetime | None = None,
        issuer_path_length: int | None = None,
    ) -> None:
        """The issuer's validity and path length; None for a root, and for a path length that is not there."""
        rules = tuple(attributed(rule) for rule in profile.subject.attributes)
        self._profile = profile
        self._carriers = tuple(rule for rule in rules if rule.identifies)
        self._needs_identifier = demands_identifier(profile, rules)
        self._first_kind = profile.identifier.kinds[0] if profile.identifier.kinds and self._carriers else ""
        self._room = min((rule.bound - rule.literal for rule in self._carriers if rule.bound), default=sys.maxsize)
        self._printable = any(rule.rule.string == "printable" for rule in self._carriers)
        self._issuer_not_before = issuer_not_before
        self._issuer_not_after = issuer_not_after
        self._issuer_path_length = issuer_path_length
        self._ca_refused = profile.basic_constraints.ca and issuer_path_length is not None and issuer_path_length < 1
        self._begin = issuer_not_before or datetime.min.replace(tzinfo=UTC)
        self._end = issuer_not_after or datetime.max.replace(tzinfo=UTC)
        self._longest = profile.validity.maximum or timedelta.max
        self._shortest = profile.validity.minimum or timedelta(0)
        self._maximum_size = profile.size.maximum
        self._accepts_key = key_judge(profile.key.suite).accepts

    def check(
        self, *, identifier: Identifier | None, not_before: datetime, not_after: datetime, spki: bytes, size: int
    ) -> tuple[Finding, ...]:
        """Judge one certificate before it is signed; nothing when all is well.

        ``identifier`` comes from ``identifiers``, times are aware with whole seconds, ``spki`` is the DER
        SubjectPublicKeyInfo, ``size`` the largest number of octets that the certificate can have.
        """
        if (
            size <= self._maximum_size
            and self._begin <= not_before
            and not_after <= self._end
            and self._shortest <= not_after - not_before <= self._longest
            and not self._ca_refused
            and self._accepts_identifier(identifier)
            and self._accepts_key(spki)
        ):
            return ()
        return self._judge(identifier, not_before, not_after, spki, size)

    def _accepts_identifier(self, identifier: Identifier | None) -> bool:
        """Whether the identifier is plainly good; the others get a second look in ``_judge``."""
        if identifier is None:
            return not self._needs_identifier
        return (
            (identifier.kind == self._first_kind or self._reads_as_it_stands(identifier.normal))
            and not identifier.warnings
            and len(identifier.normal) <= self._room
            and (not self._printable or fits(PRINTABLE_STRING, identifier.normal))
        )

    def _reads_as_it_stands(self, text: str) -> bool:
        """Whether an identifier of a later kind is read as it is written and without doubts, as lint will read it."""
        if not self._first_kind:
            return False
        try:
            again = recognise(self._profile.identifier.kinds, text)
        except V2GPKIError:
            return False
        return again.normal == text and not again.warnings

    def _judge(
        self, identifier: Identifier | None, not_before: datetime, not_after: datetime, spki: bytes, size: int
    ) -> tuple[Finding, ...]:
        report = Report()
        profile = self._profile
        self._judge_identifier(report, identifier)
        judge_validity(
            report,
            profile.validity,
            (not_before, not_after),
            issuer_not_before=self._issuer_not_before,
            issuer_not_after=self._issuer_not_after,
        )
        judge_key(report, profile.key, spki)
        judge_size(report, profile.size, size)
        constraints = profile.basic_constraints
        judge_path_length(report, self._issuer_path_length, ca=constraints.ca, clause=constraints.clause)
        return report.findings()

    def _judge_identifier(self, report: Report, identifier: Identifier | None) -> None:
        rule = self._profile.identifier
        if identifier is None:
            if self._needs_identifier:
                report_no_identifier(report, rule)
            return
        if not self._first_kind:
            message = f"a certificate of the role {self._profile.role} carries no identifier"
            report.add("lint.identifier.kind", message, "subject", rule.clause)
            return
        for carrier in self._carriers:
            where = f"subject.{carrier.rule.type}"
            text = HOLE.sub(lambda hole: identifier.normal if hole[1] == "id" else "", carrier.rule.value)
            judge_text(report, IDENTIFIER_TEXT, carrier.oid, text, where, tag=TAGS[carrier.rule.string])
            judge_identifier(report, rule, identifier.normal, where)
