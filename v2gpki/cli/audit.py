"""``v2gpki audit``: show, verify and anchor the log of everything that the home did."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.failure import finding_value
from v2gpki.cli.files import read_input, write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import force_option
from v2gpki.cli.tables import print_table
from v2gpki.clock import rfc3339

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.store.records import AuditRow

_FILE = click.Path(path_type=Path, allow_dash=True)
#: The largest number of a row.
_LARGEST = 2**63 - 1


@click.group()
def audit() -> None:
    """The audit log: hash-chained, signed, never changed."""


@audit.command()
@click.option("--after", type=click.IntRange(0, _LARGEST), metavar="N", help="Rows above this sequence number.")
@click.option(
    "--limit", type=click.IntRange(1, _LARGEST), default=50, show_default=True, metavar="N", help="How many rows."
)
@click.pass_obj
def show(frame: Frame, *, after: int | None, limit: int) -> None:
    """Show the newest rows, or those after a sequence number."""
    store = frame.authority().store
    newest, digest = store.audit_tip()
    start = max(newest - limit, 0) if after is None else after
    rows = list(islice(store.audit_rows(after=start, limit=limit), limit))
    value = {
        "schema": "v2gpki/audit/1",
        "newest": newest,
        "digest": digest,
        "rows": [_row_value(row) for row in rows],
    }

    def human(console: Console) -> None:
        shown = ((str(row.sequence), rfc3339(row.at), row.action, row.target, row.caller) for row in rows)
        print_table(console, ("row", "time", "action", "target", "caller"), shown, right="row")
        console.print(f"rows {start + 1} to {start + len(rows)} of {newest}" if rows else "no rows", style="dim")

    frame.emit(value, human)


@audit.command()
@click.option("--anchor", "anchor_file", type=_FILE, metavar="FILE", help="An anchor that was kept elsewhere.")
@click.pass_obj
def verify(frame: Frame, *, anchor_file: Path | None) -> None:
    """Recompute the chain, check the signatures and compare every row with the store.

    Says what was found, and which changes could not be found without a newer anchor. Exit code 1 when
    the log does not hold.
    """
    from v2gpki.store.anchor import load_anchor
    from v2gpki.wiring.audit_check import check_audit

    kept = None if anchor_file is None else load_anchor(read_input(anchor_file), str(anchor_file))
    checked = check_audit(frame.authority().store, kept)
    verdict = checked.verdict
    verdict.require_sound()
    value = {
        "schema": "v2gpki/audit-verdict/1",
        "sound": True,
        "rows": verdict.rows,
        "digest": verdict.tip,
        "heads": verdict.heads,
        "signed_up_to": verdict.signed_up_to,
        "anchored_up_to": verdict.anchored_up_to,
        "audit_key": checked.key_fingerprint,
        "findings": [finding_value(finding) for finding in verdict.findings],
        "unprovable": verdict.unprovable,
    }

    def human(console: Console) -> None:
        extent = f"{verdict.rows} rows, signed up to row {verdict.signed_up_to}"
        console.print(f"the audit log holds: {extent}", style="green")
        if verdict.anchored_up_to:
            console.print(f"the anchor fits: row {verdict.anchored_up_to}")
        console.print(f"audit key SHA-256 {checked.key_fingerprint}", style="dim")
        for finding in verdict.findings:
            console.print(f"{finding.severity}: {finding.message} [{finding.code}]", style="yellow")
        if verdict.unprovable:
            console.print("could have happened unseen:")
        for sentence in verdict.unprovable:
            console.print(f"  - {sentence}")

    frame.emit(value, human)


@audit.command()
@click.option("-o", "--out", required=True, type=_FILE, metavar="FILE", help='Where to write it ("-": stdout).')
@force_option
@click.pass_obj
def anchor(frame: Frame, *, out: Path, force: bool) -> None:
    """Write the newest signed state of the log to a file, to be kept where this home cannot reach it."""
    from v2gpki.store.anchor import anchor as newest_anchor

    kept = newest_anchor(frame.authority().store)
    write_output(out, kept.text().encode(), force=force)
    if str(out) != "-":
        frame.emit({**kept.view(), "out": out}, f"wrote the anchor of row {kept.sequence} to {out}")


def _row_value(row: AuditRow) -> dict[str, object]:
    return {
        "sequence": row.sequence,
        "at": row.at,
        "action": row.action,
        "caller": row.caller,
        "target": row.target,
        "details": json.loads(row.details),
        "digest": row.digest,
    }
