"""An anchor: the newest signed head of an audit log as a file that the operator keeps elsewhere.

Whoever holds a whole home can cut its log or put an older copy in its place; only a value kept outside
shows it. The file is JSON, schema ``v2gpki/audit-anchor/1``. Refused: a home without a signed head, a
file that is no anchor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.store.protocol import Store

SCHEMA = "v2gpki/audit-anchor/1"
#: The setting with the random name of a home; it is made with the database.
HOME_ID_SETTING = "home_id"


@dataclass(frozen=True, slots=True)
class AuditAnchor:
    """A signed head with the home that it belongs to."""

    home_id: str
    sequence: int
    digest: bytes
    at: datetime
    signature: bytes

    def view(self) -> dict[str, str | int]:
        """The JSON object of the file."""
        return {
            "schema": SCHEMA,
            "home_id": self.home_id,
            "sequence": self.sequence,
            "digest": self.digest.hex(),
            "at": rfc3339(self.at),
            "signature": self.signature.hex(),
        }

    def text(self) -> str:
        """The content of the file."""
        return json.dumps(self.view(), indent=2) + "\n"


def anchor(store: Store) -> AuditAnchor:
    """The newest signed head; ``audit.no_head`` when nothing was signed yet."""
    heads = list(store.audit_heads())
    # A head that is kept elsewhere must be found here after a power cut, else the log would look cut.
    store.settle()
    if not heads:
        raise V2GPKIError(
            "audit.no_head",
            "the audit log of this home has no signed head yet",
            hint="issue or revoke something first: each command that writes signs the log",
        )
    newest = heads[-1]
    return AuditAnchor(
        store.setting(HOME_ID_SETTING) or "", newest.sequence, newest.digest, newest.at, newest.signature
    )


def load_anchor(data: bytes, source: str = "the anchor") -> AuditAnchor:
    """Read an anchor file; ``source`` names it in the ``audit.anchor_invalid`` that anything else raises."""
    try:
        view = json.loads(data)
    except ValueError as error:
        raise _invalid(source, "it is not JSON") from error
    if not isinstance(view, dict) or view.get("schema") != SCHEMA:
        raise _invalid(source, f"its schema is not {SCHEMA}")
    try:
        made = AuditAnchor(
            _text(view["home_id"]),
            int(view["sequence"]),
            bytes.fromhex(view["digest"]),
            datetime.strptime(view["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            bytes.fromhex(view["signature"]),
        )
    except KeyError as error:
        raise _invalid(source, f"the key {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise _invalid(source, str(error)) from error
    if len(made.digest) != 32 or made.sequence < 1:
        raise _invalid(source, "sequence or digest is out of range")
    return made


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("home_id is not a string")
    return value


def _invalid(source: str, what: str) -> V2GPKIError:
    return V2GPKIError(
        "audit.anchor_invalid",
        f"{source} is no audit anchor: {what}",
        hint="make one with `v2gpki audit anchor` and keep it unchanged",
        facts={"source": source, "reason": what},
    )
