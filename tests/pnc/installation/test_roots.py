"""Distinguished names of roots, in the ways in which stacks write them."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chains import mint
from tests.pnc.installation.parties import made
from v2gpki.certs.view import view
from v2gpki.pnc import installation
from v2gpki.pnc.installation.roots import LONGEST, parse_name

# The corpus root is C=DE, O=Corpus, CN=Corpus V2G Root, DC=V2G in the order of its certificate.
ROOT = mint.certificate("v2g")
SERIAL = view(ROOT).serial
DC = "0.9.2342.19200300.100.1.25"


@pytest.mark.parametrize(
    "name",
    [
        "DC=V2G,CN=Corpus V2G Root,O=Corpus,C=DE",
        "C=DE,O=Corpus,CN=Corpus V2G Root,DC=V2G",
        "DC=V2G, CN=Corpus V2G Root, O=Corpus, C=DE",
        "C = DE, O = Corpus, CN = Corpus V2G Root, DC = V2G",
        "dc=v2g,cn=corpus v2g root,o=corpus,c=de",
        "domainComponent=V2G,commonName=Corpus V2G Root,organizationName=Corpus,countryName=DE",
        f"{DC}=V2G,2.5.4.3=Corpus V2G Root,2.5.4.10=Corpus,2.5.4.6=DE",
        f"OID.{DC}=V2G,CN=Corpus V2G Root,O=Corpus,C=DE",
        f"{DC}=#1603563247,CN=Corpus V2G Root,O=Corpus,C=DE",
        "/C=DE/O=Corpus/CN=Corpus V2G Root/DC=V2G",
        'DC=V2G,CN="Corpus V2G Root",O=Corpus,C=DE',
        "DC=V2G;CN=Corpus V2G Root;O=Corpus;C=DE",
        "DC=V2G,CN=Corpus\\20V2G\\20Root,O=Corpus,C=DE",
        "DC=V2G,CN=Corpus  V2G Root,O=Corpus,C=DE",
        "<Name(C=DE,O=Corpus,CN=Corpus V2G Root,DC=V2G)>",
        '  DC = V2G , CN = "Corpus V2G Root" , O=Corpus\\  , C=DE ',
        f"{DC}=#1e06005600320047,CN=#0c810f436f727075732056324720526f6f74,O=#1306436f72707573,C=DE",
    ],
)
def test_one_root_has_many_names(name: str) -> None:
    assert installation.root_matches(name, SERIAL, ROOT)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Corpus V2G Root",
        "CN=Corpus V2G Root",
        "CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=V2G,CN=Corpus V2G Root,O=Corpus,C=FR",
        "DC=V2G,CN=Corpus V2G Root 2,O=Corpus,C=DE",
        "DC=CPO,CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=V2G,CN=Corpus V2G Root,OU=Corpus,C=DE",
        "DC=V2G,O=Corpus,CN=Corpus V2G Root,C=DE",
        "DC=V2G+CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=V2G,CN=Corpus V2G Root,O=Corpus,C=DE,C=DE",
        "unknown=V2G,CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=#16035632,CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=#zz,CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=\\ff,CN=Corpus V2G Root,O=Corpus,C=DE",
        "DC=V2G,CN=Corpus V2G Root,O=Corpus,C=DE,",
        "/C=DE/O=Corpus/CN=Corpus V2G Root/DC",
        "," * 3000,
        'DC="V2G',
        'DC=V2G,CN=Corpus "V2G" Root,O=Corpus,C=DE',
        'DC="V2G"x,CN=Corpus V2G Root,O=Corpus,C=DE',
        "DC=V2G,CN=Corpus V2G Root,O=Corpus,C=DE\\",
        "/x/C=DE/O=Corpus/CN=Corpus V2G Root/DC=V2G",
        f"{DC}=#0203563247,CN=Corpus V2G Root,O=Corpus,C=DE",
        f"{DC}=#160356324700,CN=Corpus V2G Root,O=Corpus,C=DE",
        f"{DC}=#16,CN=Corpus V2G Root,O=Corpus,C=DE",
        f"{DC}=#,CN=Corpus V2G Root,O=Corpus,C=DE",
    ],
)
def test_other_names_and_what_is_none(name: str) -> None:
    assert not installation.root_matches(name, SERIAL, ROOT)


def test_the_serial_decides_among_roots_of_one_name() -> None:
    name = view(ROOT).issuer_text
    assert not installation.root_matches(name, SERIAL + 1, ROOT)
    assert installation.root_id(ROOT) == (name, SERIAL)


def test_values_keep_what_is_escaped() -> None:
    der = made("odd", "DE*ABC, \"x\" = 1 + 2; /y", "mo2", organisation="Ä\\B")
    issued = view(der)
    subject = parse_name(issued.subject_text)
    assert subject == (
        frozenset({("2.5.4.3", 'de*abc, "x" = 1 + 2; /y')}),
        frozenset({("2.5.4.10", "ä\\b")}),
    )
    assert parse_name("CN=a+OU=b,O=c") == (
        frozenset({("2.5.4.3", "a"), ("2.5.4.11", "b")}),
        frozenset({("2.5.4.10", "c")}),
    )


#: What made the reading of a name take time in proportion to a power of its length, and the like.
PARTS = (" ", "  a", "\\", "\\ ", '"', '" ', ",", "=", " =", "a= ", "a=", "+", "/", "/a", "/a=", "#", "CN=#0c", "\\2",
         "1.2", "CN=a ,")  # fmt: skip


SLOW = {
    "parts": [(part * 512)[:512] for part in PARTS],
    "spaces": [f"CN={chr(97 + number)},".ljust(512) for number in range(20)],
    "spaces first": [" " * (511 - number) + "=" * number + "x" for number in range(20)],
}


@pytest.mark.parametrize("kind", SLOW)
def test_names_that_are_made_to_be_read_slowly(kind: str) -> None:
    """The name of a root is no signed text: 20 of the longest, the right serial beside them, cost next to nothing."""
    assert len(SLOW[kind]) == 20  # as many as a request names
    assert {len(name) for name in SLOW[kind]} == {512}
    parse_name.cache_clear()
    started = process_time()
    assert not any(installation.root_matches(name, SERIAL, ROOT) for name in SLOW[kind])
    # A millisecond or two; 1.7 seconds when spaces were tried in every way.
    assert process_time() - started < 0.25


def test_a_longer_name_is_not_read() -> None:
    name = "CN=" + "a" * 509
    assert (parse_name(name) is not None, LONGEST) == (True, 512)
    assert parse_name(name + "a") is None


@given(st.text(st.sampled_from(' \\",;+=/#<>()aC1.0fNé\x00\u2003') | st.characters(), max_size=60))
def test_any_text_is_a_name_or_none(text: str) -> None:
    found = parse_name(text)
    assert found is None or all(rdn for rdn in found)
    assert not installation.root_matches(text, SERIAL, ROOT)


@given(st.lists(st.tuples(st.sampled_from(["CN", "O", "OU", "DC"]), st.text(min_size=1, max_size=12)), min_size=1))
def test_what_a_library_writes_is_read_again(attributes: list[tuple[str, str]]) -> None:
    """Quoted by the rules of RFC 4514 2.4, written out here."""

    def escaped(value: str) -> str:
        return "".join(f"\\{octet:02x}" for octet in value.encode())

    if any("\ud800" <= character <= "\udfff" for _, value in attributes for character in value):
        return
    text = ",".join(f"{kind}={escaped(value)}" for kind, value in attributes)
    found = parse_name(text)
    if len(text) > LONGEST:
        assert found is None
        return
    assert found is not None
    oids = {"CN": "2.5.4.3", "O": "2.5.4.10", "OU": "2.5.4.11", "DC": DC}
    assert found == tuple(
        frozenset({(oids[kind], " ".join(value.split()).casefold())}) for kind, value in attributes
    )
