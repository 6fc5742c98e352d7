"""Signed tariffs: one Reference each, checked by the certificate of the MO's Sub-CA 2, refused by code."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.chains import mint
from tests.pnc import samples
from v2gpki.errors import V2GPKIError
from v2gpki.keys.software import SoftwareSigner
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.iso20_types import RationalNumberType
from v2gpki.messages.schema import Message
from v2gpki.pnc.signature import attach, sign, signature_of
from v2gpki.pnc.tariff import check_tariffs, sign_tariffs

OPERATOR = SoftwareSigner(mint.private_key("mo2", "p256"))
SUB_CA_2 = mint.certificate("mo2")


def refused(code: str, message: Message, key: bytes = SUB_CA_2, **options: bool) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        check_tariffs(message, key, **options)
    assert found.value.code == code
    return found.value


def references(message: Message) -> list[str | None]:
    signature = signature_of(message)
    assert signature is not None
    return [reference.URI for reference in signature.SignedInfo.Reference]


# --- ISO 15118-2 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_tariff_has_its_reference(number: int) -> None:
    signed = sign_tariffs(samples.tariffs(*[None] * number), OPERATOR)
    signed = codec.decode(codec.encode(signed))
    assert references(signed) == ["#id1", "#id2", "#id3"][:number]
    check = check_tariffs(signed, SUB_CA_2)
    assert [element.name.name for element in check.elements] == ["SalesTariff"] * number
    assert check.unsigned == ()


def test_ids_that_a_tariff_has_are_replaced() -> None:
    assert references(sign_tariffs(samples.tariffs("a", "a"), OPERATOR)) == ["#id1", "#id2"]


def test_tariffs_of_somebody_else_are_refused() -> None:
    signed = sign_tariffs(samples.tariffs(None), SoftwareSigner(mint.private_key("mo1", "p256")))
    refused("signature.wrong_value", signed)


def changed(message: iso2.V2G_Message, number: int, **changes: object) -> iso2.V2G_Message:
    body = message.Body.BodyElement
    assert isinstance(body, iso2.ChargeParameterDiscoveryRes)
    assert body.SASchedules is not None
    tuples = list(body.SASchedules.SAScheduleTuple)
    tariff = tuples[number].SalesTariff
    assert tariff is not None
    tuples[number] = replace(tuples[number], SalesTariff=replace(tariff, **changes))
    body = replace(body, SASchedules=iso2.SAScheduleList(SAScheduleTuple=tuple(tuples)))
    return replace(message, Body=iso2.BodyType(BodyElement=body))


def test_a_price_that_was_changed_is_refused() -> None:
    signed = sign_tariffs(samples.tariffs(None, None, None), OPERATOR)
    for number in range(3):
        refused("signature.wrong_digest", changed(signed, number, NumEPriceLevels=2))


def test_a_tariff_is_not_smuggled_in_beside_signed_ones() -> None:
    signed = sign_tariffs(samples.tariffs(None, None), OPERATOR)
    without_id = changed(signed, 1, Id=None)
    assert refused("tariff.unsigned", without_id).facts["where"].endswith("SAScheduleTuple[2]/SalesTariff")
    # Even where unsigned ones may stand: the signature speaks of an element that is not there.
    refused("signature.unknown_reference", without_id, required=False)
    refused("signature.missing_reference", changed(signed, 1, Id="id9"))


def test_a_tariff_with_an_id_must_be_referred_to() -> None:
    message = samples.tariffs("id1", None)
    signed = attach(message, sign(message, OPERATOR))
    check = check_tariffs(signed, SUB_CA_2, required=False)
    assert [element.id for element in check.elements] == ["id1"]
    refused("signature.missing_reference", changed(signed, 1, Id="id2"))


def test_unsigned_tariffs_are_let_through_only_on_request() -> None:
    unsigned = samples.tariffs(None, None)
    assert check_tariffs(unsigned, SUB_CA_2, required=False) is None
    refused("tariff.unsigned", unsigned)
    refused("signature.missing", samples.tariffs("id1"))


def test_no_tariff_nothing_to_check() -> None:
    message = samples.tariffs(None)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.ChargeParameterDiscoveryRes)
    bare = replace(message, Body=iso2.BodyType(BodyElement=replace(body, SASchedules=None)))
    assert check_tariffs(bare, SUB_CA_2) is None
    with pytest.raises(V2GPKIError) as found:
        sign_tariffs(bare, OPERATOR)
    assert found.value.code == "signature.nothing_to_sign"


def test_other_messages_have_no_tariffs() -> None:
    refused("tariff.wrong_message", samples.metering_receipt())
    for message in (samples.metering_receipt(), samples.eim_20()):
        with pytest.raises(V2GPKIError) as found:
            sign_tariffs(message, OPERATOR)
        assert found.value.code == "tariff.wrong_message"


# --- ISO 15118-20 ---------------------------------------------------------------------------------------------------


def number(value: int) -> RationalNumberType:
    return RationalNumberType(Exponent=0, Value=value)


def absolute(price: int) -> iso20_common.AbsolutePriceScheduleType:
    rule = iso20_common.PriceRuleType(EnergyFee=number(price), PowerRangeStart=number(0))
    stack = iso20_common.PriceRuleStackType(Duration=3600, PriceRule=(rule,))
    return iso20_common.AbsolutePriceScheduleType(
        TimeAnchor=1_772_366_400,
        PriceScheduleID=1,
        Currency="EUR",
        Language="ENG",
        PriceAlgorithm="urn:iso:std:iso:15118:-20:PriceAlgorithm:1-Power",
        PriceRuleStacks=iso20_common.PriceRuleStackListType(PriceRuleStack=(stack,)),
    )


def scheduled(*prices: tuple[int, int | None]) -> iso20_common.ScheduleExchangeRes:
    """A schedule for each pair: the price of charging, and that of discharging (None: no such schedule)."""

    def schedule(price: int) -> iso20_common.ChargingScheduleType:
        entry = iso20_common.PowerScheduleEntryType(Duration=3600, Power=number(11_000))
        entries = iso20_common.PowerScheduleEntryListType(PowerScheduleEntry=(entry,))
        power = iso20_common.PowerScheduleType(TimeAnchor=1_772_366_400, PowerScheduleEntries=entries)
        return iso20_common.ChargingScheduleType(PowerSchedule=power, AbsolutePriceSchedule=absolute(price))

    tuples = tuple(
        iso20_common.ScheduleTupleType(
            ScheduleTupleID=place,
            ChargingSchedule=schedule(charging),
            DischargingSchedule=None if discharging is None else schedule(discharging),
        )
        for place, (charging, discharging) in enumerate(prices, 1)
    )
    mode = iso20_common.Scheduled_SEResControlModeType(ScheduleTuple=tuples)
    return replace(samples.prices_20(), Dynamic_SEResControlMode=None, Scheduled_SEResControlMode=mode)


@pytest.mark.parametrize("suite", ["p521", "ed448"])
@pytest.mark.parametrize(
    ("prices", "wanted"),
    [
        (((30, None),), ["#id1"]),
        (((30, 40),), ["#id1", "#id2"]),
        (((30, None), (31, 41)), ["#id1", "#id2", "#id3"]),
        (((1, 2), (3, 4), (5, 6)), ["#id1", "#id2", "#id3", "#id4", "#id5", "#id6"]),
    ],
)
def test_schedules_of_both_directions_are_signed(
    suite: str, prices: tuple[tuple[int, int | None], ...], wanted: list[str]
) -> None:
    operator = samples.signer(suite)
    signed = codec.decode(codec.encode(sign_tariffs(scheduled(*prices), operator)), "iso15118-20-common")
    assert references(signed) == wanted
    check = check_tariffs(signed, operator.spki)
    assert {element.name.name for element in check.elements} == {"AbsolutePriceSchedule"}
    other = sign_tariffs(scheduled(*((charging + 1, back) for charging, back in prices)), operator)
    refused("signature.wrong_digest", attach(other, signature_of(signed)), operator.spki)


def test_price_levels_of_dynamic_control_are_signed() -> None:
    operator = samples.signer("p521")
    signed = sign_tariffs(samples.prices_20(None), operator)
    check = check_tariffs(signed, operator.spki)
    assert [element.name.name for element in check.elements] == ["PriceLevelSchedule"]
    refused("tariff.unsigned", samples.prices_20(None), operator.spki)
