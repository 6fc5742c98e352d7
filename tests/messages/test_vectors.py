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


def test_a_full_list_in_ecogs_coding_is_refused_by_default(vectors: list[Vector]) -> None:
    """The octets that EcoG's grammar makes of a full list are not the standard's."""
    for vector in vectors:
        if "exi_ecog_jar" in vector and vector["exi_ecog_jar"] != vector["exi"]:
            with pytest.raises(V2GPKIError):
                messages.decode(bytes.fromhex(vector["exi_ecog_jar"]), vector["schema"], vector["mode"] == "fragment")


@pytest.mark.parametrize("name", ["bench", "published"])
def test_other_vectors(name: str) -> None:
    for vector in selection(name):
        fragment = vector["mode"] == "fragment"
        message = messages.from_xml(vector["xml"], vector["schema"], fragment)
        assert messages.encode(message, vector["schema"], fragment).hex() == vector["exi"]
        assert messages.decode(bytes.fromhex(vector["exi"]), vector["schema"], fragment) == message


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
