"""Errors at the outermost border: which exit code, and what people or programs read on stderr.

People read ``v2gpki: what happened``, the findings, then ``hint: what to do`` and the clause. With
``--json`` stderr is one object, schema ``v2gpki/error/1``. An exception that nobody foresaw is our bug:
exit code 70, no traceback without ``--debug``.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from v2gpki.cli.frame import dump_json
from v2gpki.errors import EXIT_ENVIRONMENT, Finding, V2GPKIError
from v2gpki.render.text import printable

COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


class ReaderGone(Exception):  # noqa: N818 - not an error: the reader of our output has left
    """The reader of stdout closed it."""


class Interrupted(Exception):  # noqa: N818 - not an error: a person pressed Ctrl-C
    """A person interrupted the program."""


def report(problem: Exception, arguments: Sequence[str]) -> int:
    """Tell people or programs about ``problem`` on stderr and return the exit code."""
    if isinstance(problem, ReaderGone | BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ENVIRONMENT
    as_json = _given("--json", arguments)
    if isinstance(problem, click.exceptions.NoArgsIsHelpError) and not as_json:
        click.echo(problem.format_message(), err=True)
        return problem.exit_code
    error = foreseen(problem)
    if _given("--debug", arguments) and not isinstance(problem, click.ClickException):
        traceback.print_exception(problem, file=sys.stderr)
    click.echo(dump_json(error_value(error)) if as_json else error_text(error), err=True, color=_colours())
    return error.outcome.exit_code


def foreseen(problem: Exception) -> V2GPKIError:
    """Any exception as the error that stands in the table of codes."""
    if isinstance(problem, V2GPKIError):
        return problem
    if isinstance(problem, click.ClickException):
        return _of_click(problem)
    if isinstance(problem, click.Abort | Interrupted):
        return V2GPKIError("interrupted", "interrupted")
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename is not None else ""
        return V2GPKIError(
            "environment.failed",
            f"{where}{problem.strerror}",
            hint="mend what the operating system reports, then repeat the command",
        )
    return V2GPKIError(
        "internal.bug",
        f"an internal error ({type(problem).__name__}); this is a defect of v2gpki",
        hint="repeat with --debug and report what it shows, without secrets",
        facts={"type": type(problem).__name__},
    )


def _of_click(problem: click.ClickException) -> V2GPKIError:
    if isinstance(problem, click.FileError):
        return V2GPKIError("file.unreadable", _sentence(problem))
    hint = "see v2gpki --help"
    if isinstance(problem, click.UsageError) and problem.ctx is not None:
        hint = f"see {problem.ctx.command_path} --help"
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        return V2GPKIError("usage.invalid", "missing command", hint=hint)
    return V2GPKIError("usage.invalid", _sentence(problem), hint=hint)


def error_value(error: V2GPKIError) -> dict[str, object]:
    """The JSON form of an error."""
    return {
        "schema": "v2gpki/error/1",
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "clause": error.clause,
        "facts": dict(error.facts),
        "findings": [finding_value(finding) for finding in error.findings],
    }


def finding_value(finding: Finding) -> dict[str, object]:
    """The JSON form of a finding."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "clause": finding.clause,
        "where": finding.where,
        "subject": finding.subject,
        "facts": dict(finding.facts),
    }


def error_text(error: V2GPKIError) -> str:
    """The form for people: what happened, the findings, what to do, which clause."""
    head = click.style("v2gpki:", fg="red", bold=True)
    lines = [f"{head} {printable(error.message)}"]
    lines += [finding_text(finding) for finding in error.findings]
    if error.hint:
        lines.append(f"hint: {printable(error.hint)}")
    if error.clause:
        lines.append(f"clause: {printable(error.clause)}")
    lines.append(click.style(f"code: {error.code}", dim=True))
    return "\n".join(lines)


def finding_text(finding: Finding) -> str:
    """One finding on one line, with ANSI colours that ``click.echo`` removes when nobody watches."""
    severity = click.style(f"{finding.severity:7}", fg=COLOURS[finding.severity])
    place = ": ".join(printable(part) for part in (finding.subject, finding.where) if part)
    place = f"{place}: " if place else ""
    clause = f"; {finding.clause}" if finding.clause else ""
    return f"  {severity} {place}{printable(finding.message)} [{finding.code}{printable(clause)}]"


def _given(flag: str, arguments: Sequence[str]) -> bool:
    """Whether a flag stands on the command line, which may be one that nobody could parse."""
    options = list(arguments)
    return flag in (options[: options.index("--")] if "--" in options else options)


def _colours() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _sentence(problem: click.ClickException) -> str:
    text = " ".join(problem.format_message().split())
    return text[:1].lower() + text[1:].rstrip(".") if text[:2] != text[:2].upper() else text.rstrip(".")

