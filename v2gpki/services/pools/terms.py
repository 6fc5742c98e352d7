"""From when to when a contract runs: a period that can be, and that a certificate can be issued for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError

_CLAUSE = "VDE-AR-E 2802-100-1; OPCP contract pool"


def period(begins: datetime, ends: datetime, at: datetime) -> tuple[datetime, datetime]:
    """The period in whole seconds of UTC; raises ``contract.bad_period`` when it is over or runs backwards, and
    ``usage.invalid`` for times without a zone."""
    if begins.tzinfo is None or ends.tzinfo is None:
        raise V2GPKIError(
            "usage.invalid",
            "the begin or the end of a contract has no time zone",
            hint="give aware datetimes, such as datetime(2027, 1, 1, tzinfo=UTC)",
        )
    first, last = (moment.astimezone(UTC).replace(microsecond=0) for moment in (begins, ends))
    if last <= max(first, at):
        what = "before it begins" if last <= first else "in the past"
        raise V2GPKIError(
            "contract.bad_period",
            f"the contract would end {what}: from {rfc3339(first)} to {rfc3339(last)}",
            hint="give an end (--until) after the begin and after now",
            clause=_CLAUSE,
            facts={"begins": rfc3339(first), "ends": rfc3339(last)},
        )
    return first, last


def require_lasting(shortest: tuple[timedelta, str], lasting: timedelta) -> None:
    """Raise ``contract.bad_period`` for a period in which no certificate fits; ``shortest`` is the shortest one that
    does, with the edition that says so."""
    least, edition = shortest
    if lasting >= least:
        return
    raise V2GPKIError(
        "contract.bad_period",
        f"the contract would run for {lasting / timedelta(days=1):.3g} days; a contract certificate of {edition} lasts "
        f"{least.days} days at least, so the vehicle would get none",
        hint="give a later end (--until); --short makes the contract all the same, for laboratories",
        clause="ISO 15118-2 table F.4",
        facts={"edition": edition, "days": least.days},
    )
