"""What a rule is given: the certificate's facts, the issuer's if it is known, and the report.

A rule kind is a function that takes a profile and gives the checks for it; a check is a function of
one ``Case``. Constant work (OIDs to octets, templates to patterns) is done once per profile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from v2gpki.certs.lint.facts import Facts
from v2gpki.certs.lint.report import Report
from v2gpki.keys.suites import PublicKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """The certificate that is said to have signed; ``key`` is None when it is of no known suite."""

    facts: Facts
    suite: str
    key: PublicKey | None


@dataclass(frozen=True, slots=True)
class Case:
    """One certificate under judgement."""

    facts: Facts
    issuer: Issuer | None
    report: Report


Check: TypeAlias = Callable[[Case], None]
