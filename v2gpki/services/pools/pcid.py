"""PCIDs as the pools take them: in any writing, kept in capitals. What is none is refused, the empty one too, which
means any PCID to the store.
"""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, parse

_HINT = "a PCID has 17 or 18 letters and digits, such as WVWABCDEF12345678; v2gpki pcp list shows those that are known"


def parsed_pcid(text: str, hint: str = _HINT) -> Identifier:
    """A PCID, or its refusal (``identifier.invalid``) with a hint."""
    try:
        return parse("pcid", text)
    except V2GPKIError as problem:
        problem.hint = problem.hint or hint
        raise


def pcid_key(text: str) -> str:
    """A PCID as the pools keep it; raises ``identifier.invalid``."""
    return parsed_pcid(text).parts["key"]
