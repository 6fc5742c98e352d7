"""NIST's path validation test suite: the verdict of each case stands in the name of its end-entity certificate.

All CRLs of the suite are given and evidence is required. We accept nothing that PKITS calls invalid; what we refuse
although PKITS calls it valid stands in ``STRICTER`` with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from tests.interop.needs import Needs
from v2gpki.certs.path import validate
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError

pytestmark = [
    pytest.mark.interop("pkits"),
    # The suite tests negative serial numbers, which the library reads under protest.
    pytest.mark.filterwarnings("ignore:Parsed a serial number:"),
]
#: Inside the validity of all certificates and CRLs but those that are meant to be out of it.
AT = datetime(2012, 1, 1, tzinfo=UTC)

NAMES = "names match by their octets, as ISO 15118 implementations compare them, not by RFC 5280 7.1"
OTHER_KEY = "a CRL counts for certificates of the same key of a CA only"
PARTITIONED = "partitioned, indirect and reason-wise CRLs are not put together; nobody in ISO 15118 issues them"
WEAK = "SHA-1 and DSA are not trusted"
STRICTER = {
    "ValidBasicSelfIssuedCRLSigningKeyTest6EE": OTHER_KEY,
    "ValidBasicSelfIssuedNewWithOldTest4EE": OTHER_KEY,
    "ValidBasicSelfIssuedOldWithNewTest1EE": OTHER_KEY,
    "ValidDNnameConstraintsTest19EE": OTHER_KEY,
    "ValidSelfIssuedinhibitAnyPolicyTest7EE": OTHER_KEY,
    "ValidSelfIssuedinhibitAnyPolicyTest9EE": OTHER_KEY,
    "ValidSelfIssuedinhibitPolicyMappingTest7EE": OTHER_KEY,
    "ValidSelfIssuedpathLenConstraintTest15EE": OTHER_KEY,
    "ValidSelfIssuedpathLenConstraintTest17EE": OTHER_KEY,
    "ValidSelfIssuedrequireExplicitPolicyTest6EE": OTHER_KEY,
    "ValidSeparateCertificateandCRLKeysTest19EE": OTHER_KEY,
    "ValidNameChainingCapitalizationTest5EE": NAMES,
    "ValidNameChainingWhitespaceTest3EE": NAMES,
    "ValidNameChainingWhitespaceTest4EE": NAMES,
    "ValidRolloverfromPrintableStringtoUTF8StringTest10EE": NAMES,
    "ValidUTF8StringCaseInsensitiveMatchTest11EE": NAMES,
    "ValidIDPwithindirectCRLTest22EE": PARTITIONED,
    "ValidIDPwithindirectCRLTest24EE": PARTITIONED,
    "ValidIDPwithindirectCRLTest25EE": PARTITIONED,
    "ValidcRLIssuerTest28EE": PARTITIONED,
    "ValidcRLIssuerTest29EE": PARTITIONED,
    "ValidcRLIssuerTest30EE": PARTITIONED,
    "ValidcRLIssuerTest33EE": PARTITIONED,
    "ValiddistributionPointTest4EE": PARTITIONED,
    "ValiddistributionPointTest5EE": PARTITIONED,
    "ValiddistributionPointTest7EE": PARTITIONED,
    "ValidonlySomeReasonsTest18EE": PARTITIONED,
    "ValidonlySomeReasonsTest19EE": PARTITIONED,
    "ValiddeltaCRLTest5EE": "a delta CRL can revoke, but not take back what a full CRL says",
    "ValidDSAParameterInheritanceTest5EE": WEAK,
    "ValidDSASignaturesTest4EE": WEAK,
}


@cache
def folder() -> Path:
    environment = Needs().environment("pkits")
    (package,) = environment.glob("lib/python*/site-packages/cryptography_vectors")
    return package / "x509" / "PKITS_data"


@cache
def authorities() -> tuple[CertificateView, ...]:
    return tuple(_readable(sorted((folder() / "certs").glob("*Cert.crt"))))


def _readable(paths: list[Path]) -> Iterator[CertificateView]:
    for path in paths:
        try:
            yield view(path.read_bytes())
        except V2GPKIError:
            # DSA parameters that are inherited: WEAK.
            assert path.name == "DSAParametersInheritedCACert.crt"


def chain_of(leaf: CertificateView) -> list[CertificateView]:
    """The leaf and every authority that could stand above it, by name alone, as a peer might send them."""
    chain = [leaf]
    for child in chain:
        chain += [one for one in authorities() if one.subject == child.issuer and one not in chain]
    return chain


def accepted(path: Path) -> bool:
    anchor = (folder() / "certs" / "TrustAnchorRootCertificate.crt").read_bytes()
    crls = [file.read_bytes() for file in sorted((folder() / "crls").glob("*.crl"))]
    try:
        leaf = view(path.read_bytes())
        chain = [one.der for one in chain_of(leaf) if one.der != anchor]
        validate(chain, [anchor], at=AT, crls=crls, require_evidence=True, cache=None)
    except V2GPKIError:
        return False
    return True


def test_the_whole_suite() -> None:
    verdicts = {path.stem: accepted(path) for path in sorted((folder() / "certs").glob("*alid*EE.crt"))}
    invalid = {name for name in verdicts if name.startswith("Invalid")}
    valid = set(verdicts) - invalid
    # The numbers of files in the suite that are named so.
    assert (len(valid), len(invalid)) == (88, 115)
    assert {name for name in invalid if verdicts[name]} == set()
    assert {name for name in valid if not verdicts[name]} == set(STRICTER)
