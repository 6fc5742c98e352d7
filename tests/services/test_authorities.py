"""Creating authorities: what cannot be a slug is refused before anything is written, and a home stays usable."""

from __future__ import annotations

import pytest

import v2gpki

NO_SLUGS = ("../../evil", "a b", "a\nb", "\x1b[31m", "x@1", "-x", "x-", "x--y", "UPPER", "\u00e4", "a" * 101)


@pytest.mark.parametrize("slug", NO_SLUGS)
def test_what_cannot_name_a_key_file_is_no_slug(iso2: v2gpki.CertificateAuthority, slug: str) -> None:
    tip = iso2.store.audit_tip()
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug=slug)
    assert refused.value.code == "authority.bad_slug"
    assert iso2.store.audit_tip() == tip
    assert not iso2.store.pending_intents()
    iso2.issue("secc", id="DE*ACM*E0001")


@pytest.mark.parametrize("given", [{"org": "Acme\x01"}, {"org": "a" * 65}, {"country": "Germany"}, {"country": "1"}])
def test_an_organisation_that_no_subject_takes_is_not_remembered(
    iso2: v2gpki.CertificateAuthority, given: dict[str, str]
) -> None:
    before = {name: iso2.store.setting(name) for name in ("org", "country")}
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.initialise((), org=given.get("org", ""), country=given.get("country", ""))
    assert refused.value.code in ("name.bad_character", "name.bad_length")
    assert {name: iso2.store.setting(name) for name in before} == before
