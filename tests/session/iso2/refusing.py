"""Requests of ISO 15118-2 with other fields, and the refusal that they get."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.session.iso2.tapes import answer_to, requests, with_session, written
from tests.session.joined import Side
from v2gpki.messages import iso2
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.notices import Refused

SESSION = b"\1" * 8


def sent(name: str, **fields: Any) -> bytes:
    """The good request of this name, with other fields; Any: of whichever field a test changes."""
    message = requests()[name]
    body = message.Body.BodyElement
    assert body is not None
    changed = replace(message, Body=iso2.BodyType(BodyElement=replace(body, **fields)))
    return with_session(changed, SESSION)


def signed(name: str, signature: Signature | None, **fields: Any) -> bytes:
    """The same under this signature."""
    message = requests()[name]
    body = message.Body.BodyElement
    assert body is not None
    header = iso2.MessageHeaderType(SessionID=SESSION, Signature=signature)
    return written(iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=replace(body, **fields))))


def refused(secc: Side, frame: bytes) -> tuple[str, str]:
    """The ResponseCode and our own code of a refusal, after which the session is over."""
    answer = answer_to(secc, frame)
    assert answer is not None
    assert secc.engine.ending is not None
    assert secc.engine.ending.kind == "refused"
    problem = secc.engine.ending.problem
    assert problem is not None
    code = str(getattr(answer.Body.BodyElement, "ResponseCode", ""))
    told = [(notice.response_code, notice.problem) for notice in secc.notices if isinstance(notice, Refused)]
    assert told == [(code, problem)]
    return code, problem.code


def quantity(value: int, unit: iso2.unitSymbolType, multiplier: int = 0) -> iso2.PhysicalValueType:
    return iso2.PhysicalValueType(Multiplier=multiplier, Unit=unit, Value=value)


def ac(**fields: Any) -> iso2.AC_EVChargeParameter:
    """AC parameters of a vehicle; Any: of whichever field a test changes."""
    usual: dict[str, Any] = {
        "EAmount": quantity(20_000, "Wh"),
        "EVMaxVoltage": quantity(400, "V"),
        "EVMaxCurrent": quantity(16, "A"),
        "EVMinCurrent": quantity(6, "A"),
    }
    return iso2.AC_EVChargeParameter(**(usual | fields))


def dc(**fields: Any) -> iso2.DC_EVChargeParameter:
    """DC parameters of a vehicle; Any: of whichever field a test changes."""
    usual: dict[str, Any] = {
        "DC_EVStatus": iso2.DC_EVStatus(EVReady=True, EVErrorCode="NO_ERROR", EVRESSSOC=40),
        "EVMaximumCurrentLimit": quantity(300, "A"),
        "EVMaximumVoltageLimit": quantity(450, "V"),
    }
    return iso2.DC_EVChargeParameter(**(usual | fields))


def profile(*entries: tuple[int, int]) -> iso2.ChargingProfileType:
    """A profile: from which second on how many W."""
    return iso2.ChargingProfileType(
        ProfileEntry=tuple(
            iso2.ProfileEntryType(ChargingProfileEntryStart=start, ChargingProfileEntryMaxPower=quantity(watts, "W"))
            for start, watts in entries
        )
    )


def services(*numbers: tuple[int, int | None]) -> iso2.SelectedServiceListType:
    return iso2.SelectedServiceListType(
        SelectedService=tuple(iso2.SelectedServiceType(ServiceID=number, ParameterSetID=s) for number, s in numbers)
    )
