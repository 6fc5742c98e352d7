"""Validity: its encoding, its order, its length, and that it lies within the issuer's.

Refuses times that RFC 5280 writes otherwise, an end before the beginning, a period outside the
profile's limits, and a certificate that outlives its issuer. The same judgement serves the guard.
Clauses: RFC 5280 4.1.2.5, [V2G2-011], and the profile's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from v2gpki.certs.lint.case import Case, Check
from v2gpki.certs.lint.facts import Moment
from v2gpki.certs.lint.reader import UTC_TIME
from v2gpki.certs.lint.report import Report
from v2gpki.clock import rfc3339
from v2gpki.profile.model import Profile, ValidityRule


def validity_checks(profile: Profile) -> Iterator[Check]:
    """The checks of the validity for one profile."""
    rule = profile.validity

    def check(case: Case) -> None:
        facts = case.facts
        begin = _readable(case.report, facts.not_before, "notBefore")
        end = _readable(case.report, facts.not_after, "notAfter")
        issuer = case.issuer.facts if case.issuer and case.issuer.facts is not facts else None
        if begin and end:
            judge_validity(
                case.report,
                rule,
                (begin, end),
                issuer_not_before=issuer.not_before.at if issuer else None,
                issuer_not_after=issuer.not_after.at if issuer else None,
            )

    yield check


def judge_validity(
    report: Report,
    rule: ValidityRule,
    period: tuple[datetime, datetime],
    *,
    issuer_not_before: datetime | None,
    issuer_not_after: datetime | None,
) -> None:
    """Judge (notBefore, notAfter) against the rule and the issuer's own (None: not known). Whole seconds, aware."""
    not_before, not_after = period
    if not_after < not_before:
        report.add(
            "lint.validity.order",
            f"notAfter {rfc3339(not_after)} is before notBefore {rfc3339(not_before)}",
            "validity",
            "RFC 5280 4.1.2.5",
        )
        return
    length = not_after - not_before
    if rule.maximum is not None and length > rule.maximum:
        report.add(
            "lint.validity.too_long",
            f"the certificate is valid for {_days(length)}, at most {_days(rule.maximum)} are allowed",
            "validity",
            rule.clause,
            seconds=int(length.total_seconds()),
        )
    if rule.minimum is not None and length < rule.minimum:
        report.add(
            "lint.validity.too_short",
            f"the certificate is valid for {_days(length)}, at least {_days(rule.minimum)} are demanded",
            "validity",
            rule.clause,
            seconds=int(length.total_seconds()),
        )
    if issuer_not_after is not None and not_after > issuer_not_after:
        report.add(
            "lint.validity.outlives_issuer",
            f"notAfter {rfc3339(not_after)} is after the issuer's end {rfc3339(issuer_not_after)}",
            "validity.notAfter",
            rule.clause,
        )
    if issuer_not_before is not None and not_before < issuer_not_before:
        report.add(
            "lint.validity.before_issuer",
            f"notBefore {rfc3339(not_before)} is before the issuer's beginning {rfc3339(issuer_not_before)}",
            "validity.notBefore",
            rule.clause,
        )


def _readable(report: Report, moment: Moment, where: str) -> datetime | None:
    """The time, noted when it is none or is written in the wrong form."""
    if moment.at is None:
        report.add(
            "lint.validity.malformed",
            f"{where} is no time that RFC 5280 allows: {moment.text[:32]!r}",
            f"validity.{where}",
            "RFC 5280 4.1.2.5",
        )
        return None
    if (moment.tag == UTC_TIME) != (1950 <= moment.at.year < 2050):
        report.add(
            "lint.validity.encoding",
            f"{where} {rfc3339(moment.at)} is a {'UTCTime' if moment.tag == UTC_TIME else 'GeneralizedTime'}: "
            "until 2049 it must be UTCTime, from 2050 GeneralizedTime",
            f"validity.{where}",
            "RFC 5280 4.1.2.5",
        )
    return moment.at


def _days(length: timedelta) -> str:
    """A period in days, with hours and seconds only when they matter."""
    rest = length - timedelta(days=length.days)
    return f"{length.days} days" + (f" and {int(rest.total_seconds())} s" if rest else "")
