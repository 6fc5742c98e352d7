"""Distinguished names of roots, in the ways in which stacks write them."""

from __future__ import annotations

import pytest

from tests.chains import mint
from tests.pnc.installation.parties import made
from v2gpki.certs.view import view
from v2gpki.pnc import installation
from v2gpki.pnc.installation.roots import parse_name

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
