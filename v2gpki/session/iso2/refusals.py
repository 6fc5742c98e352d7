"""The answer to each request of ISO 15118-2 that delivers nothing: the ResponseCode, and dummies where the schema wants
something (ISO 15118-2 8.8.2)."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.schema import Message


def refusal(request: str, response_code: str, at: datetime) -> Message:
    """The body that refuses a request of this name. Raises ``internal.bug`` for what is no request."""
    # Each code of errors.CODES is one of the schema's; the encoder refuses others.
    code = cast(iso2.responseCodeType, response_code)
    if request == "SessionSetupReq":
        return iso2.SessionSetupRes(ResponseCode=code, EVSEID="ZZ00000", EVSETimeStamp=int(at.timestamp()))
    raise V2GPKIError("internal.bug", f"{request} has no refusal", facts={"request": request})
