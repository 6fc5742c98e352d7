"""The committed selection of EXI vectors, both ways, in EXI, XML and JSON. Expected values: the reference encoder's."""

from __future__ import annotations

import pytest

from tests.messages.comparison import failures, tree
from tests.vectors import SCHEMAS, Vector, selection
from v2gpki import messages
from v2gpki.errors import V2GPKIError


@pytest.fixture(scope="module", params=SCHEMAS)
def vectors(request: pytest.FixtureRequest) -> list[Vector]:
    """The vectors of one schema."""
    return selection(request.param)


def test_what_is_written_is_what_the_reference_writes(vectors: list[Vector]) -> None:
    def check(vector: Vector) -> None:
        fragment = vector["mode"] == "fragment"
        message = messages.from_xml(vector["xml"], vector["schema"], fragment)
        octets = messages.encode(message, vector["schema"], fragment).hex()
        assert octets in (vector["exi"], vector.get("exi_alt"))

    assert failures(vectors, check) == []


def test_what_is_read_is_what_the_reference_read(vectors: list[Vector]) -> None:
    def check(vector: Vector) -> None:
        expected = tree(vector["xml"])
        for coding in ("exi", "exi_alt"):
            if coding in vector:
                octets = bytes.fromhex(vector[coding])
                message = messages.decode(octets, vector["schema"], vector["mode"] == "fragment")
                assert tree(messages.to_xml(message, vector["schema"])) == expected

    assert failures(vectors, check) == []


def test_xml_json_and_exi_say_the_same(vectors: list[Vector]) -> None:
    def check(vector: Vector) -> None:
        schema, fragment = vector["schema"], vector["mode"] == "fragment"
        message = messages.decode(bytes.fromhex(vector["exi"]), schema, fragment)
        assert messages.from_xml(vector["xml"], schema, fragment) == message
        assert messages.from_xml(messages.to_xml(message, schema, indent=True), schema, fragment) == message
        assert messages.from_json(messages.to_json(message, schema), schema, fragment) == message

    assert failures(vectors, check) == []


@pytest.mark.parametrize("schema", ["iso15118-2", "iso15118-20-common", "wpt"])
def test_full_lists_as_ecog_codes_them(schema: str) -> None:
    """EcoG's grammars offer one item more; its octets are refused, unless they are asked for."""
    vectors = [vector for vector in selection(schema) if "exi_ecog_jar" in vector]
    assert len(vectors) > 1
    for vector in vectors:
        octets, fragment = bytes.fromhex(vector["exi_ecog_jar"]), vector["mode"] == "fragment"
        with pytest.raises(V2GPKIError):
            messages.decode(octets, schema, fragment)
        message = messages.decode(octets, schema, fragment, ecog=True)
        assert message == messages.from_xml(vector["xml"], schema, fragment)
        if "exi_alt" not in vector:
            assert messages.encode(message, schema, fragment, ecog=True) == octets


@pytest.mark.parametrize("name", ["bench", "published"])
def test_other_vectors(name: str) -> None:
    for vector in selection(name):
        fragment = vector["mode"] == "fragment"
        message = messages.from_xml(vector["xml"], vector["schema"], fragment)
        assert messages.encode(message, vector["schema"], fragment).hex() == vector["exi"]
        assert messages.decode(bytes.fromhex(vector["exi"]), vector["schema"], fragment) == message


def test_foreign_elements_under_wildcards() -> None:
    """EXIficient marks what it decodes there with an xsi:type of its own; the marks aside, its trees are ours."""
    for vector in selection("wildcard"):
        fragment = vector["mode"] == "fragment"
        message = messages.decode(bytes.fromhex(vector["exi"]), vector["schema"], fragment)
        assert tree(messages.to_xml(message, vector["schema"])) == tree(vector["xml"])
        assert messages.from_xml(vector["xml"], vector["schema"], fragment) == message
        assert messages.from_json(messages.to_json(message, vector["schema"]), vector["schema"], fragment) == message
        assert messages.encode(message, vector["schema"], fragment).hex() == vector["exi"]


def test_the_selection_covers_every_message_and_signed_part() -> None:
    """34 body messages of -2, all documents of the others, and what signatures refer to."""
    roots: dict[str, set[str]] = {}
    for schema in SCHEMAS:
        for vector in selection(schema):
            named = vector["message"] if vector["mode"] == "document" else vector["root"].rpartition("}")[2]
            roots.setdefault(f"{schema} {vector['mode']}", set()).add(named)
    counts = {name: len([root for root in found if root.endswith(("Req", "Res"))]) for name, found in roots.items()}
    assert counts["app document"] == 2
    assert counts["iso15118-2 document"] == 34
    assert counts["iso15118-20-common document"] == 26
    assert counts["ac document"] == 4
    assert counts["dc document"] == 10
    assert counts["wpt document"] == 12
    assert counts["acdp document"] == 8
    assert roots["iso15118-2 fragment"] >= {
        "AuthorizationReq",
        "CertificateInstallationReq",
        "CertificateUpdateReq",
        "ContractSignatureCertChain",
        "ContractSignatureEncryptedPrivateKey",
        "DHpublickey",
        "MeteringReceiptReq",
        "SalesTariff",
        "SignedInfo",
        "eMAID",
    }
    assert roots["iso15118-20-common fragment"] >= {
        "AbsolutePriceSchedule",
        "OEMProvisioningCertificateChain",
        "PnC_AReqAuthorizationMode",
        "PriceLevelSchedule",
        "SignedInstallationData",
        "SignedMeteringData",
    }
    assert roots["xmldsig fragment"] >= {"SignedInfo", "Signature", "Manifest"}
