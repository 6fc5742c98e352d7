"""``v2gpki tree``: the hierarchy of a home as text, JSON or an SVG picture."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import at_option, force_option

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.profile.load import Catalogue
    from v2gpki.render.tree import TreeNode
    from v2gpki.store.records import AuthorityRecord, CertificateRecord
    from v2gpki.wiring import CertificateAuthority

STYLES = {
    "dim": "dim",
    "edition": "bold underline",
    "title": "bold",
    "branch:v2g": "magenta",
    "branch:cpo": "blue",
    "branch:cps": "cyan",
    "branch:mo": "yellow",
    "branch:oem": "bright_magenta",
    "standing:valid": "green",
    "standing:expiring": "yellow",
    "standing:expired": "red",
    "standing:revoked": "bold red",
    "standing:not_yet_valid": "blue",
    "standing:retired": "dim",
    "standing:abandoned": "dim",
}


@click.command()
@click.option("--edition", default="", metavar="EDITION", help="Only this edition.")
@click.option("--leaves", is_flag=True, help="Show the end-entity certificates too, not only their number.")
@click.option(
    "--svg", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE", help='Write a picture ("-": stdout).'
)
@at_option
@force_option
@click.pass_obj
def tree(frame: Frame, *, edition: str, leaves: bool, svg: Path | None, at: datetime | None, force: bool) -> None:
    """Show who signed whom, until when, and in which state, as of --at."""
    from v2gpki.render.tree import tree_lines

    authority = frame.authority()
    moment = frame.now(at)
    roots = _forest(authority, edition=edition, leaves=leaves)
    if svg is not None:
        from v2gpki.render.svg import tree_svg

        title = f"{authority.store.setting('org') or 'Plug & Charge'} PKI"
        write_output(svg, tree_svg(roots, at=moment, title=title).encode(), force=force)
        if str(svg) == "-":
            return
    value: dict[str, object] = {
        "schema": "v2gpki/tree/1",
        "at": moment,
        "roots": [_value(node, moment) for node in roots],
    }
    if svg is not None:
        value["svg"] = svg

    def human(console: Console) -> None:
        from rich.text import Text

        if svg is not None:
            console.print(f"wrote {svg}")
            return
        if not roots:
            console.print("this home has no authority yet; v2gpki init creates a whole ecosystem")
        for line in tree_lines(roots, at=moment):
            spans = ((span.text, STYLES.get(span.meaning, "")) for span in line)
            console.print(Text.assemble(*spans), no_wrap=True, overflow="ignore", crop=False)

    frame.emit(value, human)


def _forest(authority: CertificateAuthority, *, edition: str, leaves: bool) -> tuple[TreeNode, ...]:
    """The authorities below their issuers, roots first in the order of creation."""
    everything = authority.store.authorities()
    records = [record for record in everything if edition in ("", record.edition)]
    known = {record.id for record in records}
    certified = Counter(record.issuer_id for record in everything)
    below: dict[str, list[AuthorityRecord]] = defaultdict(list)
    for record in records:
        if record.issuer_id != record.id:
            below[record.issuer_id].append(record)
    branches = _Branches(authority.catalogue)
    drawn = _leaves(authority, records, everything, branches) if leaves else {}

    def node(record: AuthorityRecord) -> TreeNode:
        children = (*(node(child) for child in below[record.id]), *drawn.get(record.id, ()))
        issued = authority.store.count_certificates(issuer_id=record.id) - certified[record.id]
        return branches.authority(record, children, 0 if leaves else issued)

    tops = [record for record in records if record.issuer_id == record.id or record.issuer_id not in known]
    return tuple(node(record) for record in tops)


def _leaves(
    authority: CertificateAuthority,
    records: Iterable[AuthorityRecord],
    everything: Iterable[AuthorityRecord],
    branches: _Branches,
) -> Mapping[str, list[TreeNode]]:
    authorities = {(record.issuer_id, record.serial) for record in everything}
    drawn: dict[str, list[TreeNode]] = defaultdict(list)
    for issuer_id in {record.id for record in records}:
        for certificate in authority.store.find_certificates(issuer_id=issuer_id):
            if (certificate.issuer_id, certificate.serial) not in authorities:
                drawn[issuer_id].append(branches.leaf(certificate))
    return drawn


class _Branches:
    """Nodes from records: titles and branches as the profiles say, or the role's name where none is at hand."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[str, str, str], tuple[str, str]] = {}

    def authority(self, record: AuthorityRecord, children: tuple[TreeNode, ...], issued: int) -> TreeNode:
        """The node of an authority."""
        from v2gpki.render.tree import TreeNode

        title, branch = self._of(record.edition, record.role, record.suite)
        return TreeNode(
            record.id,
            title,
            _common_name(record.subject),
            record.role,
            branch,
            record.edition,
            record.suite,
            record.not_before,
            record.not_after,
            record.state,
            hashlib.sha256(record.der).hexdigest(),
            issued,
            children=children,
        )

    def leaf(self, record: CertificateRecord) -> TreeNode:
        """The node of an end-entity certificate."""
        from v2gpki.render.tree import TreeNode

        title, branch = self._of(record.edition, record.role, record.suite)
        return TreeNode(
            f"{record.serial:x}"[:16],
            title,
            record.identifier or _common_name(record.subject),
            record.role,
            branch,
            record.edition,
            record.suite,
            record.not_before,
            record.not_after,
            record.state,
            record.fingerprint.hex(),
            leaf=True,
        )

    def _of(self, edition: str, role: str, suite: str) -> tuple[str, str]:
        from v2gpki.errors import V2GPKIError

        key = (edition, role, suite)
        if key not in self._known:
            try:
                profile = self._catalogue.profile(edition, role, suite)
                self._known[key] = (profile.title, profile.branch)
            except V2GPKIError:  # a record whose profile folder is not given now
                self._known[key] = (role, "")
        return self._known[key]


def _common_name(subject: str) -> str:
    """The common name in an RFC 4514 subject, or the subject itself."""
    for part in subject.replace("\\,", "\0").split(","):
        kind, _, text = part.strip().partition("=")
        if kind == "CN":
            return text.replace("\0", ",").replace("\\", "")
    return subject


def _value(node: TreeNode, at: datetime) -> dict[str, object]:
    from v2gpki.render.tree import standing

    return {
        "label": node.label,
        "role": node.role,
        "title": node.title,
        "name": node.name,
        "branch": node.branch,
        "edition": node.edition,
        "suite": node.suite,
        "not_before": node.not_before,
        "not_after": node.not_after,
        "standing": standing(node, at),
        "fingerprint": node.fingerprint,
        "issued": node.issued,
        "leaf": node.leaf,
        "children": [_value(child, at) for child in node.children],
    }
