"""A vehicle's request as a station brings it: in base64 or octets, with an action and wishes beside it.

Clauses: OCPP 2.0.1 and 2.1 M01, M02.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from v2gpki.errors import V2GPKIError
from v2gpki.pnc.installation import Action

_ACTIONS: dict[str, Action | None] = {"": None, "install": "install", "update": "update"}


def check_wishes(maximum_contracts: int | None, prioritised_emaids: Sequence[str], position: int | None) -> None:
    """Raise ``usage.invalid`` for wishes that mean nothing."""
    wrong = ""
    if maximum_contracts is not None and maximum_contracts < 1:
        wrong = f"maximum_contracts is {maximum_contracts}: at least 1, or None for what the vehicle wants"
    elif isinstance(prioritised_emaids, str):
        wrong = "prioritised_emaids is a text; it is a sequence of EMAIDs"
    elif position is not None and position < 0:
        wrong = f"position is {position}; the first contract is at 0"
    if wrong:
        raise V2GPKIError("usage.invalid", wrong, hint="see Provisioning.answer")


def action_of(said: str) -> Action | None:
    """What OCPP calls the action, None for nothing said. Raises ``installation.wrong_action``."""
    if said.lower() not in _ACTIONS:
        raise V2GPKIError(
            "installation.wrong_action",
            f"there is no action {said[:40]!r}",
            hint="Install or Update",
            clause="OCPP 2.0.1 M01, M02",
            facts={"action": said[:40]},
        )
    return _ACTIONS[said.lower()]


def octets_of(exi_request: str | bytes | bytearray | memoryview) -> bytes:
    """The octets of a request, out of base64 with any white space. Raises ``provisioning.not_base64``."""
    if not isinstance(exi_request, str):
        return bytes(exi_request)
    try:
        return base64.b64decode("".join(exi_request.split()), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise V2GPKIError(
            "provisioning.not_base64",
            "the request is no base64",
            hint="OCPP carries the EXI octets of the vehicle's request in base64, unchanged",
            clause="OCPP 2.0.1 M01",
        ) from problem


def readable(exi_request: str | bytes | bytearray | memoryview) -> bytes:
    """The octets of a request, none when they cannot be read."""
    try:
        return octets_of(exi_request)
    except V2GPKIError:
        return b""
