"""JSON of messages: its form (a contract), and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from v2gpki import messages
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2, xmldsig

STOP: dict[str, Any] = {
    "V2G_Message": {
        "Header": {"SessionID": "0102030405060708"},
        "Body": {"SessionStopReq": {"ChargingSession": "Pause"}},
    }
}


def _refused(tree: object, schema: str = "iso15118-2", fragment: bool = False) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        messages.from_json(tree if isinstance(tree, str) else json.dumps(tree), schema, fragment)
    return caught.value


def _with_body(body: object) -> dict[str, Any]:
    return {"V2G_Message": {**STOP["V2G_Message"], "Body": body}}


# --- the form -------------------------------------------------------------------------------------------------------


def test_the_form_of_every_kind_of_value() -> None:
    request = iso2.CertificateInstallationReq(
        Id="id1",
        OEMProvisioningCert=b"\x01\x02\xff",
        ListOfRootCertificateIDs=iso2.ListOfRootCertificateIDsType(
            RootCertificateID=(
                xmldsig.X509IssuerSerialType(X509IssuerName="CN=R\u00f6ot", X509SerialNumber=2**160 - 1),
                xmldsig.X509IssuerSerialType(X509IssuerName="", X509SerialNumber=-1),
            )
        ),
    )
    header = iso2.MessageHeaderType(SessionID=b"\xab\xcd")
    message = iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=request))
    assert json.loads(messages.to_json(message)) == {
        "V2G_Message": {
            "Header": {"SessionID": "ABCD"},
            "Body": {
                "CertificateInstallationReq": {
                    "Id": "id1",
                    "OEMProvisioningCert": "AQL/",
                    "ListOfRootCertificateIDs": {
                        "RootCertificateID": [
                            {"X509IssuerName": "CN=R\u00f6ot", "X509SerialNumber": 2**160 - 1},
                            {"X509IssuerName": "", "X509SerialNumber": -1},
                        ]
                    },
                }
            },
        }
    }
    assert messages.from_json(messages.to_json(message, indent=True)) == message


def test_free_content_and_foreign_elements() -> None:
    name, attributes = messages.QName("x", "urn:x"), {messages.QName("a"): "1"}
    foreign = messages.AnyElement(name=name, attributes=attributes, content=("t",))
    info = xmldsig.KeyInfo(Id="k", content=("s", xmldsig.KeyName(value="n"), foreign))
    tree = {
        "KeyInfo": {
            "Id": "k",
            "content": [
                "s",
                {"KeyName": {"value": "n"}},
                {"##any": {"name": "{urn:x}x", "attributes": {"a": "1"}, "content": ["t"]}},
            ],
        }
    }
    assert json.loads(messages.to_json(info)) == tree
    assert messages.from_json(json.dumps(tree), "xmldsig") == info


def test_roots_whose_local_name_several_namespaces_share() -> None:
    body, types = "urn:iso:15118:2:2013:MsgBody", "urn:iso:15118:2:2013:MsgDataTypes"
    status = iso2.DC_EVStatus(EVReady=True, EVErrorCode="NO_ERROR", EVRESSSOC=50)
    local = messages.NamedValue(messages.QName("DC_EVStatus", body), status)
    members = {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 50}
    assert json.loads(messages.to_json(status)) == {"DC_EVStatus": members}
    assert json.loads(messages.to_json(local)) == {f"{{{body}}}DC_EVStatus": members}
    by_name = {"DC_EVStatus": status, f"{{{types}}}DC_EVStatus": status, f"{{{body}}}DC_EVStatus": local}
    for name, expected in by_name.items():
        assert messages.from_json(json.dumps({name: members}), fragment=True) == expected
    error = _refused({"SessionID": "00"}, fragment=True)
    assert error.code == "messages.not_a_root"
    assert "{urn:iso:15118:2:2013:MsgHeader}SessionID" in error.hint


def test_null_is_absence() -> None:
    tree = _with_body({"SessionStopReq": {"ChargingSession": "Pause"}, "SessionStopRes": None})
    assert messages.from_json(json.dumps(tree)) == messages.from_json(json.dumps(STOP))
    error = _refused(_with_body({"SessionStopReq": {"ChargingSession": None}}))
    assert error.code == "messages.missing"


def test_characters_that_xml_lacks() -> None:
    notification = iso2.NotificationType(FaultCode="UnknownError", FaultMsg="\0\ufffe")
    header = iso2.MessageHeaderType(SessionID=b"", Notification=notification)
    message = iso2.V2G_Message(Header=header, Body=iso2.BodyType())
    assert messages.from_json(messages.to_json(message)) == message


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "1",
        '{"V2G_Message": {}, "Other": {}}',
        '{"V2G_Message": {"Body": {}, "Body": {}}}',
        '{"V2G_Message": {"Header": {"SessionID": 1.5}}}',
        '{"V2G_Message": {"Header": {"SessionID": NaN}}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"V2G_Message": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_not_a_message_at_all(text: str) -> None:
    assert _refused(text).code == "messages.text_malformed"


@pytest.mark.parametrize(
    ("tree", "code", "words"),
    [
        ({"NoMessage": {}}, "messages.not_a_root", "NoMessage"),
        ({"BodyElement": {}}, "messages.not_a_root", "BodyElement"),
        ({"V2G_Message": []}, "messages.bad_value", "must be an object"),
        ({"V2G_Message": {"Header": {"SessionID": "00"}}}, "messages.missing", "V2G_Message: Body"),
        (_with_body({"SessionStopReq": {}}), "messages.missing", "SessionStopReq: ChargingSession"),
        (_with_body({"BodyElement": {}}), "messages.unexpected", "BodyElement"),
        (_with_body({"SessionStopReq": {"ChargingSession": "Pause", "x": 1}}), "messages.unexpected", "the member x"),
        (
            _with_body({"SessionStopReq": {"ChargingSession": "Pause"}, "ChargingStatusReq": {}}),
            "messages.unexpected",
            "beside another",
        ),
        (_with_body({"SessionStopReq": {"ChargingSession": "pause"}}), "messages.bad_value", "none of Terminate"),
        (_with_body({"SessionStopReq": {"ChargingSession": 1}}), "messages.bad_value", "ChargingSession"),
        (_with_body({"ServiceDetailReq": {"ServiceID": "1"}}), "messages.bad_value", "is not an integer"),
        (_with_body({"ServiceDetailReq": {"ServiceID": True}}), "messages.bad_value", "is not an integer"),
        (_with_body({"SessionSetupReq": {"EVCCID": "0g"}}), "messages.bad_value", "is not hex"),
        (
            _with_body({"PaymentServiceSelectionReq": {"SelectedServiceList": {"SelectedService": {}}}}),
            "messages.bad_value",
            "must be an array",
        ),
    ],
)
def test_what_is_not_the_schemas(tree: object, code: str, words: str) -> None:
    error = _refused(tree)
    assert error.code == code
    assert words in error.message


@pytest.mark.parametrize(
    "content",
    [
        {},
        [1],
        [{}],
        [{"KeyName": {"value": "a"}, "MgmtData": {"value": "b"}}],
        [{"Unknown": {}}],
        [{"##any": 1}],
        [{"##any": {"name": 1}}],
        [{"##any": {"name": "a", "attributes": {"b": 1}}}],
    ],
)
def test_free_content_in_no_form(content: object) -> None:
    error = _refused({"KeyInfo": {"content": content}}, "xmldsig")
    assert error.code in {"messages.bad_value", "messages.unexpected"}


def test_an_emaid_of_no_type() -> None:
    wrong: tuple[object, ...] = (1, {"value": "DEABCC12345678"}, [])
    for held in wrong:
        assert _refused({"eMAID": held}, fragment=True).code == "messages.bad_value"


def test_depth_is_bounded() -> None:
    tree: dict[str, Any] = {"name": "x"}
    for _ in range(200):
        tree = {"name": "x", "content": [{"##any": tree}]}
    error = _refused({"Object": {"content": [{"##any": tree}]}}, "xmldsig")
    assert error.code == "messages.text_malformed"
    element = messages.AnyElement(name=messages.QName("x"))
    for _ in range(200):
        element = messages.AnyElement(name=messages.QName("x"), content=(element,))
    for write in (messages.to_json, messages.to_xml):
        with pytest.raises(V2GPKIError, match="deeper"):
            write(xmldsig.Object(content=(element,)))
