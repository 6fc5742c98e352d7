"""XML of messages: what is read, and above all what is refused and in which words."""

from __future__ import annotations

import time

import pytest

from v2gpki import messages
from v2gpki.errors import V2GPKIError
from v2gpki.messages import app_protocol, iso2, iso20_common, xmldsig

BODY = "urn:iso:15118:2:2013:MsgBody"
TYPES = "urn:iso:15118:2:2013:MsgDataTypes"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
STOP = (
    '<v:V2G_Message xmlns:v="urn:iso:15118:2:2013:MsgDef" xmlns:h="urn:iso:15118:2:2013:MsgHeader" '
    f'xmlns:b="{BODY}"><v:Header><h:SessionID>0102030405060708</h:SessionID></v:Header>'
    "<v:Body><b:SessionStopReq><b:ChargingSession>Pause</b:ChargingSession></b:SessionStopReq></v:Body></v:V2G_Message>"
)
HANDSHAKE = (
    '<supportedAppProtocolRes xmlns="urn:iso:15118:2:2010:AppProtocol"><ResponseCode xmlns="">'
    'Failed_NoNegotiation</ResponseCode><SchemaID xmlns="">{}</SchemaID></supportedAppProtocolRes>'
)


def _header(**fields: object) -> iso2.MessageHeaderType:
    return iso2.MessageHeaderType(SessionID=bytes(8), **fields)  # type: ignore[arg-type]  # as the test gives them


def _stop(**fields: object) -> iso2.V2G_Message:
    body = iso2.BodyType(BodyElement=iso2.SessionStopReq(ChargingSession="Pause"))
    return iso2.V2G_Message(Header=_header(**fields), Body=body)


def _refused(text: str | bytes, schema: str = "iso15118-2", fragment: bool = False) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        messages.from_xml(text, schema, fragment)
    return caught.value


def _edited(old: str, new: str) -> str:
    assert old in STOP
    return STOP.replace(old, new)


# --- what is read ---------------------------------------------------------------------------------------------------


def test_prefixes_comments_instructions_and_line_breaks_mean_nothing() -> None:
    plain = messages.from_xml(STOP)
    assert isinstance(plain, iso2.V2G_Message)
    assert plain.Header.SessionID == bytes([1, 2, 3, 4, 5, 6, 7, 8])
    for text in (
        '<?xml version="1.0"?>\n<!-- a --><?app b?>' + STOP + "\n",
        STOP.replace("><", ">\n  <!-- c -->\n<"),
        STOP.replace("v:", "").replace(":v=", "="),
        _edited("Pause</", "Pa<!-- d -->u<?app e?>se</"),
        _edited("Pause</", "<![CDATA[Pau]]>&#115;&#x65;</"),
        _edited("<v:Body>", f'<v:Body xmlns:x="{XSI}" x:schemaLocation="a b">'),
    ):
        assert messages.from_xml(text) == plain


def test_octets_are_read_by_their_own_declaration() -> None:
    text = '<?xml version="1.0" encoding="{}"?>' + STOP
    expected = messages.from_xml(STOP)
    assert messages.from_xml(text.format("utf-16").encode("utf-16")) == expected
    assert messages.from_xml(text.format("iso-8859-1").encode("iso-8859-1")) == expected
    # characters are characters, whatever the declaration says of the octets that they once were
    assert messages.from_xml(text.format("utf-16")) == expected


@pytest.mark.parametrize(("text", "value"), [(" 0\n", 0), ("+7", 7), ("007", 7), ("-0", 0)])
def test_integers_in_all_their_forms(text: str, value: int) -> None:
    message = messages.from_xml(HANDSHAKE.format(text), "app")
    assert isinstance(message, app_protocol.supportedAppProtocolRes)
    assert message.SchemaID == value


def test_characters_survive_both_ways() -> None:
    """Markup, line ends and tabs in text and in attributes; XML would normalise them if they were written plainly."""
    text = "a<b>&\"'\r\n\t]]> \U0001f50c"
    notification = iso2.NotificationType(FaultCode="UnknownError", FaultMsg=text)
    message = _stop(Notification=notification)
    assert messages.from_xml(messages.to_xml(message)) == message
    digest = xmldsig.DigestMethod(Algorithm=text, content=(text,))
    assert messages.from_xml(messages.to_xml(digest), "xmldsig") == digest


def test_indentation_keeps_every_character_of_mixed_content() -> None:
    info = xmldsig.KeyInfo(content=(" a ", xmldsig.KeyName(value=" b "), "\n."))
    text = messages.to_xml(info, indent=True)
    assert messages.from_xml(text, "xmldsig") == info
    assert messages.to_xml(_stop(), indent=True).splitlines()[1] == "  <v2g:Header>"


def test_white_space_beside_elements_is_none() -> None:
    """Alone in an element it is a text; beside other elements it is indentation, also where text is allowed."""
    ds = "http://www.w3.org/2000/09/xmldsig#"
    indented = f'<KeyInfo xmlns="{ds}">\n  <KeyName> a </KeyName>\n</KeyInfo>'
    assert messages.from_xml(indented, "xmldsig") == xmldsig.KeyInfo(content=(xmldsig.KeyName(value=" a "),))
    alone = f'<DigestMethod xmlns="{ds}" Algorithm="a"> </DigestMethod>'
    assert messages.from_xml(alone, "xmldsig") == xmldsig.DigestMethod(Algorithm="a", content=(" ",))


def test_a_part_that_names_its_element() -> None:
    value = iso2.EMAIDType(Id="id1", value="DEABCC12345678")
    part = messages.NamedValue(messages.QName("eMAID", BODY), value)
    text = f'<b:eMAID xmlns:b="{BODY}" xmlns:t="{TYPES}" t:Id="id1">DEABCC12345678</b:eMAID>'
    assert messages.to_xml(part) == text
    assert messages.from_xml(text, fragment=True) == part
    plain = messages.NamedValue(messages.QName("eMAID", BODY), "DEABCC12345678")
    assert messages.from_xml(messages.to_xml(plain), fragment=True) == plain


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY e "Pause">]>',
        '<!DOCTYPE a [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]>',
        '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;">]>',
    ],
)
def test_document_types_are_refused_before_anything_is_expanded(declaration: str) -> None:
    error = _refused(declaration + STOP.replace("Pause", "&d;"))
    assert error.code == "messages.text_malformed"
    assert "document type" in error.message


@pytest.mark.parametrize(
    "text",
    ["", " ", "no", STOP + "<a/>", STOP[:-3], STOP[:100], STOP.replace("P", "&e;"), "<b:c/>", "\ud800", STOP + "\0"],
)
def test_what_is_not_well_formed(text: str) -> None:
    assert _refused(text).code == "messages.text_malformed"


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("b:SessionStopReq>", "b:SessionStop>", "messages.unexpected", "SessionStop is not allowed"),
        ("b:ChargingSession>", "v:ChargingSession>", "messages.unexpected", f"should be {BODY}"),
        ("<v:Body>", "<v:Body/><v:Body>", "messages.unexpected", "V2G_Message: the element Body"),
        ("<v:Body>", "text<v:Body>", "messages.unexpected", "the text 'text'"),
        ("<v:Body>", '<v:Body Id="a">', "messages.unexpected", "V2G_Message/Body: the attribute Id"),
        ("<v:Body>", f'<v:Body xmlns:x="{XSI}" x:nil="1">', "messages.unexpected", "nil"),
        ("<v:Body>", f'<v:Body xmlns:x="{XSI}" x:type="a">', "messages.unexpected", "type"),
        ("<v:Body>", '<v:Body xml:space="default">', "messages.unexpected", "space"),
        ("<h:SessionID>0102030405060708</h:SessionID>", "", "messages.missing", "Header: SessionID is missing"),
        ("<b:ChargingSession>Pause</b:ChargingSession>", "", "messages.missing", "SessionStopReq: ChargingSession"),
        ("0102030405060708", "010", "messages.bad_value", "Header/SessionID: '010' is not hex"),
        ("0102030405060708", "0x", "messages.bad_value", "SessionID"),
        (">Pause<", "> P<", "messages.bad_value", "is none of Terminate, Pause"),
        (">Pause<", "><b:Pause/><", "messages.unexpected", "ChargingSession: the element Pause"),
        (">Pause<", ">Pa<b:u/>se<", "messages.unexpected", "ChargingSession"),
        ("v:V2G_Message", "b:SessionStopReq", "messages.unexpected", "the element Header"),
        ("v:V2G_Message", "v:Header", "messages.not_a_root", "is no root"),
        ("b:SessionStopReq>", "b:BodyElement>", "messages.unexpected", "BodyElement"),
    ],
)
def test_what_is_not_the_schemas(old: str, new: str, code: str, words: str) -> None:
    error = _refused(_edited(old, new))
    assert error.code == code
    assert words in error.message


def test_an_attribute_that_is_missing() -> None:
    error = _refused('<DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#"/>', "xmldsig")
    assert error.code == "messages.missing"
    assert "the attribute Algorithm" in error.message


def test_an_error_says_in_which_line() -> None:
    error = _refused(_edited("><b:ChargingSession>Pause", ">\n\n <b:ChargingSession>Stop"))
    assert error.facts["line"] == 3
    assert error.facts["path"] == "V2G_Message/Body/SessionStopReq/ChargingSession"


@pytest.mark.parametrize("text", ["", "1.0", "1e2", "0x1", "1_0", "\u0663", "--1", "1 1", "9" * 5000, "true"])
def test_what_is_no_integer(text: str) -> None:
    assert _refused(HANDSHAKE.format(text), "app").code == "messages.bad_value"


@pytest.mark.parametrize("text", ["TRUE", "yes", "", "01"])
def test_what_is_no_boolean(text: str) -> None:
    cm = "urn:iso:std:iso:15118:-20:CommonMessages"
    part = f'<c:FreeService xmlns:c="{cm}">{{}}</c:FreeService>'
    assert _refused(part.format(text), "iso15118-20-common", fragment=True).code == "messages.bad_value"
    name = messages.QName("FreeService", cm)
    message = messages.from_xml(part.format(" 1 "), "iso15118-20-common", fragment=True)
    assert message == messages.NamedValue(name, True)


@pytest.mark.parametrize("text", ["A", "AB=", "AB==", "AAA\u00e9", "A===", "AAAA=", "A*AA", "="])
def test_what_is_no_base64(text: str) -> None:
    """`AB==` has bits behind its last octet that are not zero."""
    ds = "http://www.w3.org/2000/09/xmldsig#"
    assert _refused(f'<d:DigestValue xmlns:d="{ds}">{text}</d:DigestValue>', "xmldsig").code == "messages.bad_value"


def test_base64_with_white_space() -> None:
    ds = "http://www.w3.org/2000/09/xmldsig#"
    message = messages.from_xml(f'<d:DigestValue xmlns:d="{ds}"> AQ\n ID\t</d:DigestValue>', "xmldsig")
    assert message == messages.NamedValue(messages.QName("DigestValue", ds), b"\x01\x02\x03")


def test_emaid_with_attributes_of_no_type() -> None:
    error = _refused(f'<b:eMAID xmlns:b="{BODY}" Id="a">DEABCC12345678</b:eMAID>', fragment=True)
    assert error.code == "messages.unexpected"


def test_depth_is_bounded_and_time_is_linear() -> None:
    ds = "http://www.w3.org/2000/09/xmldsig#"
    open_tag, close_tag = '<x xmlns="urn:x">', "</x>"
    text = f'<d:Object xmlns:d="{ds}">{open_tag * 40}{close_tag * 40}</d:Object>'
    message = messages.from_xml(text, "xmldsig")
    assert messages.from_xml(messages.to_xml(message), "xmldsig") == message
    assert messages.from_json(messages.to_json(message), "xmldsig") == message
    begun = time.process_time()
    error = _refused(f'<d:Object xmlns:d="{ds}">{open_tag * 200_000}', "xmldsig")
    assert error.code == "messages.text_malformed"
    assert "deeper" in error.message
    assert time.process_time() - begun < 5


# --- what cannot be written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["\0", "\x1f", "\ufffe", "\ud800"])
def test_characters_that_xml_lacks(character: str) -> None:
    notification = iso2.NotificationType(FaultCode="UnknownError", FaultMsg="a" + character)
    with pytest.raises(V2GPKIError) as caught:
        messages.to_xml(_stop(Notification=notification))
    assert caught.value.code == "messages.not_expressible"
    assert f"U+{ord(character):04X}" in caught.value.message
    assert "V2G_Message/Header/Notification/FaultMsg" in caught.value.message


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"SessionID": "00"}, "V2G_Message/Header/SessionID: \"'00'\" is a str, but hex belongs here"),
        ({"Notification": "text"}, "stands where NotificationType belongs"),
        ({"Notification": iso2.NotificationType(FaultCode=3)}, "FaultCode"),  # type: ignore[arg-type]  # meant
    ],
)
def test_values_of_other_types(changed: dict[str, object], words: str) -> None:
    fields: dict[str, object] = {"SessionID": bytes(8), **changed}
    header = iso2.MessageHeaderType(**fields)  # type: ignore[arg-type]  # meant
    for write in (messages.to_xml, messages.to_json):
        with pytest.raises(V2GPKIError) as caught:
            write(iso2.V2G_Message(Header=header, Body=iso2.BodyType()))
        assert caught.value.code == "messages.bad_value"
        assert words in caught.value.message


@pytest.mark.parametrize("name", ["", "a b", "1", "a:b", "a><b"])
def test_foreign_names_that_are_none(name: str) -> None:
    for element in (
        messages.AnyElement(name=messages.QName(name, "urn:x")),
        messages.AnyElement(name=messages.QName("x", "urn:x"), attributes={messages.QName(name): ""}),
    ):
        with pytest.raises(V2GPKIError) as caught:
            messages.to_xml(xmldsig.Object(content=(element,)))
        assert caught.value.code == "messages.bad_value"


@pytest.mark.parametrize("uri", ["http://www.w3.org/2000/xmlns/", "urn:\0"])
def test_foreign_namespaces_that_xml_lacks(uri: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        messages.to_xml(xmldsig.Object(content=(messages.AnyElement(name=messages.QName("x", uri)),)))
    assert caught.value.code == "messages.not_expressible"


def test_classes_that_are_not_of_the_schema() -> None:
    header = iso20_common.MessageHeaderType(SessionID=bytes(8), TimeStamp=0)
    foreign = iso20_common.SessionStopReq(Header=header, ChargingSession="Pause")
    body = iso2.BodyType(BodyElement=foreign)  # type: ignore[arg-type]  # meant
    with pytest.raises(V2GPKIError) as caught:
        messages.to_xml(iso2.V2G_Message(Header=_header(), Body=body))
    assert caught.value.code == "messages.unexpected"
    for message in (foreign, _header(), messages.NamedValue(messages.QName("None", BODY), 1)):
        with pytest.raises(V2GPKIError) as caught:
            messages.to_xml(message, "iso15118-2")
        assert caught.value.code == "messages.not_a_root"
