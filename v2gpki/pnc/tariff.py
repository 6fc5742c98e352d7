"""Signed prices: SalesTariff of ISO 15118-2, AbsolutePriceSchedule and PriceLevelSchedule of ISO 15118-20.

A mobility operator signs, with the key of its Sub-CA 2, what a station hands on; the vehicle knows that certificate
from its own contract chain. One Reference for each tariff that has an Id, up to three; one without an Id is not signed,
and a vehicle that pays by contract wants none of these (`required`).
Clauses: ISO 15118-2 7.9.2.4.2, 8.5.2.20, [V2G2-909]; ISO 15118-20 7.9.2.3, 8.3.5.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.messages import iso2, iso20_common
from v2gpki.messages.schema import Message
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.elements import body_of, elements_of
from v2gpki.pnc.signature import KeySource, SignatureCheck, attach, sign, verify

MessageT = TypeVar("MessageT", iso2.V2G_Message, iso20_common.ScheduleExchangeRes)
_SIGNABLE = frozenset({"SalesTariff", "AbsolutePriceSchedule", "PriceLevelSchedule"})


def sign_tariffs(
    message: MessageT, signer: Signer, *, edition: Edition | None = None, algorithm: str = ""
) -> MessageT:
    """A ChargeParameterDiscoveryRes (in its V2G_Message) or ScheduleExchangeRes with every tariff in it signed.

    Tariffs get the Ids id1, id2, .. in document order. `signer` has the key of the MO's Sub-CA 2. Raises
    `signature.nothing_to_sign` if there is no tariff, `tariff.wrong_message`, `signature.*`.
    """
    numbered = _numbered(message)
    return attach(numbered, sign(numbered, signer, edition=edition, algorithm=algorithm))


def check_tariffs(
    message: Message,
    operator: KeySource,
    *,
    edition: Edition | None = None,
    required: bool = True,
    accept_document_digest: bool = False,
) -> SignatureCheck | None:
    """Check the tariffs of a ChargeParameterDiscoveryRes or ScheduleExchangeRes by the MO's Sub-CA 2 certificate.

    With `required` each tariff must be signed; else one without an Id may be unsigned. Returns None if the message has
    no tariff, or none is signed. Raises `tariff.unsigned` (facts: `where`), `signature.*`, `key.*`,
    `tariff.wrong_message`.
    """
    body = body_of(message)
    if not isinstance(body, iso2.ChargeParameterDiscoveryRes | iso20_common.ScheduleExchangeRes):
        raise _wrong_message(body)
    found = [element for element in elements_of(body) if element.name.name in _SIGNABLE]
    unsigned = [element.path for element in found if not element.id]
    if required and unsigned:
        raise V2GPKIError(
            "tariff.unsigned",
            f"{unsigned[0]} has no Id, so nobody signed it",
            hint="a vehicle that pays by contract takes signed tariffs alone; the station must hand on the MO's",
            clause="ISO 15118-2 8.5.2.20" if isinstance(body, iso2.ChargeParameterDiscoveryRes) else "",
            facts={"where": unsigned[0], "unsigned": unsigned},
        )
    if len(unsigned) == len(found):
        return None
    return verify(message, operator, edition=edition, accept_document_digest=accept_document_digest)


def _numbered(message: MessageT) -> MessageT:
    """The message with an Id in every tariff."""
    ids: Iterator[str] = (f"id{number}" for number in range(1, 100))
    if isinstance(message, iso2.V2G_Message):
        body = message.Body.BodyElement
        if not isinstance(body, iso2.ChargeParameterDiscoveryRes):
            raise _wrong_message(message if body is None else body)
        return replace(message, Body=iso2.BodyType(BodyElement=_numbered_2(body, ids)))
    if not isinstance(message, iso20_common.ScheduleExchangeRes):
        raise _wrong_message(message)
    return _numbered_20(message, ids)


def _numbered_2(
    body: iso2.ChargeParameterDiscoveryRes, ids: Iterator[str]
) -> iso2.ChargeParameterDiscoveryRes:
    if body.SASchedules is None:
        return body
    tuples = tuple(
        one if one.SalesTariff is None else replace(one, SalesTariff=replace(one.SalesTariff, Id=next(ids)))
        for one in body.SASchedules.SAScheduleTuple
    )
    return replace(body, SASchedules=iso2.SAScheduleList(SAScheduleTuple=tuples))


def _numbered_20(
    message: iso20_common.ScheduleExchangeRes, ids: Iterator[str]
) -> iso20_common.ScheduleExchangeRes:
    dynamic, scheduled = message.Dynamic_SEResControlMode, message.Scheduled_SEResControlMode
    if dynamic is not None:
        return replace(message, Dynamic_SEResControlMode=_with_ids(dynamic, ids))
    if scheduled is None:
        return message
    tuples = tuple(
        replace(
            one,
            ChargingSchedule=_with_ids(one.ChargingSchedule, ids),
            DischargingSchedule=one.DischargingSchedule and _with_ids(one.DischargingSchedule, ids),
        )
        for one in scheduled.ScheduleTuple
    )
    return replace(message, Scheduled_SEResControlMode=replace(scheduled, ScheduleTuple=tuples))


_HolderT = TypeVar("_HolderT", iso20_common.ChargingScheduleType, iso20_common.Dynamic_SEResControlModeType)


def _with_ids(holder: _HolderT, ids: Iterator[str]) -> _HolderT:
    if holder.AbsolutePriceSchedule is not None:
        return replace(holder, AbsolutePriceSchedule=replace(holder.AbsolutePriceSchedule, Id=next(ids)))
    if holder.PriceLevelSchedule is not None:
        return replace(holder, PriceLevelSchedule=replace(holder.PriceLevelSchedule, Id=next(ids)))
    return holder


def _wrong_message(found: Message) -> V2GPKIError:
    return V2GPKIError(
        "tariff.wrong_message",
        f"{type(found).__name__} has no tariffs",
        hint="tariffs stand in ChargeParameterDiscoveryRes of ISO 15118-2 and ScheduleExchangeRes of -20",
        facts={"found": type(found).__name__},
    )
