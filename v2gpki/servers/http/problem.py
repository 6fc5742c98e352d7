"""Refusals as HTTP answers: one JSON form for everything that has no form of its own.

``{"schema": "v2gpki/error/1", "code", "message", "hint", "clause"}`` with the status of ``errors.CODES``. What the
environment did to us is told in the log; the client hears that it happened, never paths of this machine.
"""

from __future__ import annotations

import json

from v2gpki.errors import EXIT_BUG, EXIT_ENVIRONMENT, V2GPKIError
from v2gpki.servers.http.exchange import Headers

SCHEMA = "v2gpki/error/1"
JSON_TYPE = (b"content-type", b"application/json")


def problem_value(error: V2GPKIError) -> dict[str, object]:
    """What a refusal says to the outside."""
    inner = error.outcome.exit_code in (EXIT_ENVIRONMENT, EXIT_BUG)
    return {
        "schema": SCHEMA,
        "code": error.code,
        "message": _OUTSIDE.get(error.code, "the service cannot answer now") if inner else error.message,
        "hint": "" if inner else error.hint,
        "clause": error.clause,
    }


def problem_body(error: V2GPKIError) -> bytes:
    """The JSON of a refusal."""
    return json.dumps(problem_value(error)).encode("ascii") + b"\n"


def problem_headers(error: V2GPKIError) -> Headers:
    """The headers of a refusal: a client that is asked to come back is told when."""
    headers: Headers = [JSON_TYPE, (b"cache-control", b"no-store")]
    after = error.facts.get("retry_after")
    if isinstance(after, int):
        headers.append((b"retry-after", b"%d" % after))
    elif error.outcome.http == 503:
        headers.append((b"retry-after", b"5"))
    return headers


#: What clients hear of refusals that speak of this machine.
_OUTSIDE = {
    "home.locked": "the keys of this service are locked",
    "store.locked": "the store is busy",
    "serving.busy": "too many requests are waiting",
}
