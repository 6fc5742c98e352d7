"""pkilint's PKIX linters find no error in what we mint, but the two that V2G's own rules provoke."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.interop.minted import Minted

if TYPE_CHECKING:
    from pkilint.validation import ValidatorContainer

pytestmark = pytest.mark.interop("pkilint")

#: pkilint's finding -> the V2G rule that demands what it complains about.
TOLERATED = {
    # DC=V2G, DC=CPO, DC=MO, DC=OEM, DC=CPS mark the branch and are no parts of a host name
    "pkix.name_domain_components_invalid_domain_name": "ISO 15118-2 Tables F.1 to F.5; [V2G2-884]",
    # keyEncipherment on the EC key of a contract certificate
    "pkix.key_usage_value_prohibited_for_ec": "ISO 15118-2 Table F.4",
}


@cache
def linter() -> ValidatorContainer:
    """The PKIX certificate linter, with every group of rules."""
    from pkilint.pkix import certificate, extension, name

    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def errors(der: bytes) -> Iterator[str]:
    """The codes of pkilint's errors and worse."""
    from pkilint.loader import RFC5280CertificateDocumentLoader
    from pkilint.validation import ValidationFindingSeverity

    loaded = RFC5280CertificateDocumentLoader().load_der_document(der, "minted")
    for result in linter().validate(loaded.root):
        for found in result.finding_descriptions:
            if found.finding.severity <= ValidationFindingSeverity.ERROR:
                yield found.finding.code


def test_no_error_but_the_two_that_v2g_provokes(minted: list[Minted]) -> None:
    found: dict[str, set[str]] = {}
    for certificate in minted:
        for code in errors(certificate.der):
            found.setdefault(code, set()).add(certificate.name)
    assert {code: sorted(names) for code, names in found.items() if code not in TOLERATED} == {}
    # neither is tolerated for nothing
    assert set(found) == set(TOLERATED)
    assert {name.rpartition("-")[2] for name in found["pkix.key_usage_value_prohibited_for_ec"]} == {"contract"}


def test_pkilint_sees_a_defect(minted: list[Minted]) -> None:
    der = next(c.der for c in minted if c.edition == "iso15118-2" and c.role == "cpo-sub-ca-2")
    # keyCertSign and cRLSign become cRLSign alone, in a certificate that says it is a CA
    usage, lesser = bytes.fromhex("0603551d0f0101ff040403020106"), bytes.fromhex("0603551d0f0101ff040403020102")
    assert der.count(usage) == 1
    assert set(errors(der)) <= set(TOLERATED)
    assert set(errors(der.replace(usage, lesser))) - set(TOLERATED)
