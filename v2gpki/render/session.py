"""The summary of a session as lines for people and as JSON (`v2gpki/session/1`): how it ended, time by step beside the
standard's limit, certificates used and when they end, energy, cost."""

from __future__ import annotations

from collections.abc import Sequence

from v2gpki.clock import rfc3339
from v2gpki.render.ladder import duration_text, ending_words, secured_value
from v2gpki.render.tally import Step, Summary, Used
from v2gpki.render.text import printable
from v2gpki.render.tree import Line, Span, remaining
from v2gpki.session.notices import Judged

SCHEMA = "v2gpki/session/1"


def summary_value(summary: Summary) -> dict[str, object]:
    """The summary as one JSON object."""
    place, problem = summary.place, summary.ending.problem if summary.ending else None
    return {
        "schema": SCHEMA,
        "session": place.session,
        "role": place.role,
        "edition": summary.edition,
        "session_id": summary.established.session_id.hex() if summary.established else "",
        "other": summary.established.other if summary.established else "",
        "resumed": bool(summary.established and summary.established.resumed),
        "began": rfc3339(place.began),
        "seconds": round(summary.seconds, 6),
        "authorised_after": None if summary.authorised_after is None else round(summary.authorised_after, 6),
        "peer": summary.peer,
        "tls": secured_value(summary.secured),
        "ending": summary.ending.kind if summary.ending else "",
        "code": problem.code if problem else "",
        "message": problem.message if problem else "",
        "charged_wh": _rounded(summary.charged),
        "discharged_wh": _rounded(summary.discharged),
        "peak_w": round(summary.peak, 3),
        "cost": str(summary.cost.amount) if summary.cost else "",
        "currency": summary.cost.currency if summary.cost else "",
        "late": summary.late,
        "steps": [_step_value(step) for step in summary.steps],
        "certificates": [_used_value(used) for used in summary.certificates],
        "verdicts": [_verdict_value(verdict) for verdict in summary.verdicts],
    }


def _step_value(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "count": step.count,
        "mean": round(step.total / step.count, 6),
        "slowest": round(step.slowest, 6),
        "limit": step.limit,
        "late": step.late,
    }


def _used_value(used: Used) -> dict[str, object]:
    return {
        "role": used.role,
        "subject": used.subject,
        "not_after": rfc3339(used.not_after),
        "chain_ends": rfc3339(used.chain_ends),
        "fingerprint": used.fingerprint,
        "certificates": used.certificates,
    }


def _verdict_value(verdict: Judged) -> dict[str, object]:
    problem = verdict.problem
    return {
        "what": verdict.what,
        "by": verdict.by,
        "holds": problem is None,
        "code": problem.code if problem else "",
    }


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 3)


def summary_lines(summary: Summary) -> list[Line]:
    """The summary for people: how it ended, steps, certificates, energy and cost."""
    return [*_ended(summary), *_step_lines(summary.steps), *_used_lines(summary), *_energy_lines(summary)]


def _ended(summary: Summary) -> list[Line]:
    ending = summary.ending
    planned = ending is not None and ending.kind in ("stopped", "paused")
    words = ending_words(ending) if ending else "not ended yet"
    head = [Span(f"{summary.edition or 'session'} {words}", "good" if planned else "bad")]
    head.append(Span(f" after {duration_text(summary.seconds)}"))
    if summary.authorised_after is not None:
        head.append(Span(f"; authorised after {duration_text(summary.authorised_after)}"))
    lines: list[Line] = [tuple(head)]
    if ending is not None and ending.problem is not None:
        why = f"{printable(ending.problem.message)} [{ending.problem.code}]".replace("\n", " ")
        lines.append((Span("  "), Span(why, "bad")))
    return lines


def _step_lines(steps: Sequence[Step]) -> list[Line]:
    if not steps:
        return []
    width = max(len("step"), *(len(step.name) for step in steps))
    titles = f"{'step':<{width}}  {'times':>6}  {'mean':>8}  {'slowest':>8}  {'limit':>7}"
    lines: list[Line] = [(), (Span(titles, "name"),)]
    for step in steps:
        mean, slowest = duration_text(step.total / step.count), duration_text(step.slowest)
        limit = duration_text(step.limit) if step.limit else "-"
        row = Span(f"{printable(step.name):<{width}}  {step.count:>6}  {mean:>8}  {slowest:>8}  {limit:>7}")
        lines.append((row, Span(f"  {step.late} late", "bad")) if step.late else (row,))
    return lines


def _used_lines(summary: Summary) -> list[Line]:
    used = summary.certificates
    if not used:
        return []
    at = summary.place.began
    roles, subjects = max(len(one.role) for one in used), max(len(printable(one.subject)) for one in used)
    lines: list[Line] = [(), (Span(f"{'certificate':<{max(roles, 11)}}  {'subject':<{subjects}}  ends", "name"),)]
    for one in used:
        text = f"{one.role:<{max(roles, 11)}}  {printable(one.subject):<{subjects}}  "
        ends = f"{one.not_after:%Y-%m-%d}, {remaining(one.not_after, at)}"
        earlier = f"; its chain {one.chain_ends:%Y-%m-%d}" if one.chain_ends < one.not_after else ""
        lines.append((Span(text), Span(ends + earlier, "good" if one.chain_ends > at else "bad")))
    return lines


def _energy_lines(summary: Summary) -> list[Line]:
    facts: list[str] = []
    if summary.charged is not None:
        facts.append(f"{summary.charged / 1000:.3f} kWh charged")
    if summary.discharged:
        facts.append(f"{summary.discharged / 1000:.3f} kWh given back")
    if summary.peak:
        facts.append(f"{abs(summary.peak) / 1000:.2f} kW at most")
    if summary.cost is not None:
        facts.append(f"{summary.cost.amount} {summary.cost.currency}")
    return [(), (Span(", ".join(facts)),)] if facts else []
