"""Who signed whom: the authorities of a home as a forest, with or without what they issued."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.render.tree import TreeNode, standing
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord


def forest(store: Store, catalogue: Catalogue, *, edition: str = "", leaves: bool = False) -> tuple[TreeNode, ...]:
    """The authorities below their issuers, roots first in the order of creation; ``leaves`` shows end entities too."""
    everything = store.authorities()
    records = [record for record in everything if edition in ("", record.edition)]
    known = {record.id for record in records}
    certified = Counter(record.issuer_id for record in everything)
    below: dict[str, list[AuthorityRecord]] = defaultdict(list)
    for record in records:
        if record.issuer_id != record.id:
            below[record.issuer_id].append(record)
    nodes = Nodes(catalogue)
    drawn = _leaves(store, records, everything, nodes) if leaves else {}

    def node(record: AuthorityRecord) -> TreeNode:
        children = (*(node(child) for child in below[record.id]), *drawn.get(record.id, ()))
        issued = 0 if leaves else store.count_certificates(issuer_id=record.id) - certified[record.id]
        return nodes.authority(record, children, issued)

    tops = [record for record in records if record.issuer_id == record.id or record.issuer_id not in known]
    return tuple(node(record) for record in tops)


def tree_value(roots: Iterable[TreeNode], at: datetime) -> dict[str, object]:
    """The forest as JSON: ``v2gpki/tree/1``."""
    return {"schema": "v2gpki/tree/1", "at": rfc3339(at), "roots": [node_value(node, at) for node in roots]}


def node_value(node: TreeNode, at: datetime) -> dict[str, object]:
    """One node and what is below it."""
    return {
        "label": node.label,
        "role": node.role,
        "title": node.title,
        "name": node.name,
        "branch": node.branch,
        "edition": node.edition,
        "suite": node.suite,
        "not_before": rfc3339(node.not_before),
        "not_after": rfc3339(node.not_after),
        "standing": standing(node, at),
        "fingerprint": node.fingerprint,
        "issued": node.issued,
        "leaf": node.leaf,
        "children": [node_value(child, at) for child in node.children],
    }


class Nodes:
    """Nodes from records: titles and branches as the profiles say, or the role's name where none is at hand."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[str, str, str], tuple[str, str]] = {}

    def authority(
        self, record: AuthorityRecord, children: tuple[TreeNode, ...] = (), issued: int = 0
    ) -> TreeNode:
        """The node of an authority."""
        title, branch = self._of(record.edition, record.role, record.suite)
        return TreeNode(
            record.id,
            title,
            common_name(record.subject),
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
        title, branch = self._of(record.edition, record.role, record.suite)
        return TreeNode(
            f"{record.serial:x}"[:16],
            title,
            record.identifier or common_name(record.subject),
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
        key = (edition, role, suite)
        if key not in self._known:
            try:
                profile = self._catalogue.profile(edition, role, suite)
                self._known[key] = (profile.title, profile.branch)
            except V2GPKIError:  # a record whose profile folder is not given now
                self._known[key] = (role, "")
        return self._known[key]


def common_name(subject: str) -> str:
    """The common name in an RFC 4514 subject, or the subject itself."""
    for part in subject.replace("\\,", "\0").split(","):
        kind, _, text = part.strip().partition("=")
        if kind == "CN":
            return text.replace("\0", ",").replace("\\", "")
    return subject


def _leaves(
    store: Store, records: Iterable[AuthorityRecord], everything: Iterable[AuthorityRecord], nodes: Nodes
) -> Mapping[str, list[TreeNode]]:
    authorities = {(record.issuer_id, record.serial) for record in everything}
    drawn: dict[str, list[TreeNode]] = defaultdict(list)
    for issuer_id in {record.id for record in records}:
        for certificate in store.find_certificates(issuer_id=issuer_id):
            if (certificate.issuer_id, certificate.serial) not in authorities:
                drawn[issuer_id].append(nodes.leaf(certificate))
    return drawn
