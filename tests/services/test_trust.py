"""Trust over the chain corpus: path validation and role rules together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.chains.mint import Case, cases, certificate, ocsp_response, revocation_list
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import TrustAnchor, TrustedChain, assess, judge, recognised_root

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
CASES = [case for case in cases() if case.role]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def judged(case: Case, catalogue: Catalogue, **more: object) -> TrustedChain:
    parameters: dict[str, object] = {
        "catalogue": catalogue,
        "role": case.role,
        "edition": case.edition,
        "at": case.at,
        "crls": [revocation_list(name) for name in case.crls],
        "ocsps": [ocsp_response(name) for name in case.ocsps],
        **more,
    }
    return judge(
        [certificate(name) for name in case.chain], [certificate(name) for name in case.anchors], **parameters
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus_gets_the_verdict_it_names(case: Case, catalogue: Catalogue) -> None:
    if not case.verdict:
        trusted = judged(case, catalogue)
        # A root that was issued again is younger than what its key signed before.
        assert {note.code for note in trusted.notes} <= {"lint.validity.before_issuer"}
        assert trusted.profile.role == case.role
        return
    with pytest.raises(V2GPKIError) as caught:
        judged(case, catalogue)
    problem = caught.value
    assert problem.code == case.verdict
    assert {finding.code for finding in problem.findings} >= (set(case.all) or {case.verdict})
    assert (problem.outcome.iso2, problem.outcome.iso20, problem.outcome.ocpp) == (case.iso2, case.iso20, case.ocpp)
    assert problem.clause
    assert problem.hint
    for finding in problem.findings:
        assert finding.code in CODES
        assert finding.clause
        assert finding.subject


#: Cases whose one defect must show as one finding, and nothing else.
ALONE = (
    "usage-not-critical",
    "sub2-usage-not-critical",
    "leaf-without-usage",
    "leaf-without-constraints",
    "leaf-under-root",
    "mixed-curves",
    "secc-without-dc",
    "secc-with-other-dc",
    "cps-without-dc",
    "oem-without-dc",
    "contract-with-country",
    "contract-without-emaid",
    "contract-for-servers",
    "secc-under-mo",
    "too-large",
)


@pytest.mark.parametrize("name", ALONE)
def test_one_defect_is_one_finding(name: str, catalogue: Catalogue) -> None:
    case = next(case for case in CASES if case.name == name)
    with pytest.raises(V2GPKIError) as caught:
        judged(case, catalogue)
    assert [finding.code for finding in caught.value.findings] == [case.verdict]


def test_every_role_code_but_validity_and_profile_has_a_case() -> None:
    shown = {case.verdict for case in CASES}
    # Validity and the rest of lint depend on profile data: tests below.
    assert {code for code in CODES if code.startswith("role.")} - shown == {"role.validity", "role.profile"}


def named(*names: str) -> list[bytes]:
    return [certificate(name) for name in names]


SECC = ("secc", "cpo2", "cpo1")


def refusal(*args: object, **kwargs: object) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        judge(*args, **{"edition": "iso15118-2", "at": AT, **kwargs})
    return caught.value


@pytest.mark.parametrize(("way", "code"), [("ordered", "path.order"), ("leaf", "path.bad_signature")])
def test_a_chain_from_a_peer_is_judged_by_its_first_certificate(way: str, code: str, catalogue: Catalogue) -> None:
    """Anybody puts a CA certificate of his own in front of a good chain, as if its leaf had issued it."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    stranger = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")]))
        .issuer_name(x509.load_der_x509_certificate(certificate("secc")).subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    chain = [stranger, *named(*SECC)]
    options: dict[str, object] = {"ordered": True} if way == "ordered" else {"leaf": stranger}
    problem = refusal(chain, named("v2g"), catalogue=catalogue, role="secc", **options)
    assert code in {finding.code for finding in problem.findings}
    good: dict[str, object] = {"ordered": True} if way == "ordered" else {"leaf": certificate("secc")}
    for parameters in (good, good | {"ordered": True}):
        trusted = judge(
            named(*SECC), named("v2g"), catalogue=catalogue, role="secc", edition="iso15118-2", at=AT, **parameters
        )
        assert trusted.path.leaf == certificate("secc")


def test_the_leaf_that_is_named_is_one_of_the_chain(catalogue: Catalogue) -> None:
    shuffled = named("cpo1", "secc", "cpo2")
    arguments: dict[str, object] = {"catalogue": catalogue, "role": "secc", "edition": "iso15118-2", "at": AT}
    assert judge(shuffled, named("v2g"), leaf=certificate("secc"), **arguments).path.leaf == certificate("secc")
    with pytest.raises(ValueError, match="one of the chain"):
        judge(shuffled, named("v2g"), leaf=certificate("oem"), **arguments)


def test_the_roles_of_the_cas_are_found(catalogue: Catalogue) -> None:
    trusted = judge(named(*SECC), named("v2g"), catalogue=catalogue, role="secc", edition="iso15118-2", at=AT)
    assert trusted.roles == ("secc", "cpo-sub-ca-2", "cpo-sub-ca-1", "v2g-root")


def test_a_single_sub_ca_is_a_sub_ca_2(catalogue: Catalogue) -> None:
    chain = named("secc-short", "cpo-only")
    trusted = judge(chain, named("v2g"), catalogue=catalogue, role="secc", edition="iso15118-2", at=AT)
    assert trusted.roles == ("secc", "cpo-sub-ca-2", "v2g-root")


def test_an_anchor_that_says_nothing_about_itself_counts(catalogue: Catalogue) -> None:
    assert recognised_root(catalogue, "iso15118-2", certificate("private")) == ""
    chain = named("secc-private")
    trusted = judge(chain, named("private"), catalogue=catalogue, role="secc", edition="iso15118-2", at=AT)
    assert trusted.roles == ("secc", "")


@pytest.mark.parametrize(
    ("root", "role"), [("v2g", "v2g-root"), ("mo", "mo-root"), ("oemroot", "oem-root"), ("private", "")]
)
def test_roots_are_recognised_by_their_dc(catalogue: Catalogue, root: str, role: str) -> None:
    assert recognised_root(catalogue, "iso15118-2", certificate(root)) == role


def test_a_given_role_outweighs_the_dc(catalogue: Catalogue) -> None:
    # A manufacturer's root in the field carries DC=V2G: its owner says that it is an OEM root.
    chain = named(*SECC)
    anchor = TrustAnchor(certificate("v2g"), "oem-root")
    problem = refusal(chain, [anchor], catalogue=catalogue, role="secc")
    assert [finding.code for finding in problem.findings] == ["role.wrong_anchor"]
    good = TrustAnchor(certificate("v2g"), "v2g-root")
    assert judge(chain, [good], catalogue=catalogue, role="secc", edition="iso15118-2", at=AT).roles[-1] == "v2g-root"


def test_the_right_one_of_two_anchors_is_taken(catalogue: Catalogue) -> None:
    # The chain reaches both roots: by the V2G root and, over the cross-certificate, by one of another use.
    chain = named(*SECC, "cross")
    anchors = [TrustAnchor(certificate("other"), "mo-root"), TrustAnchor(certificate("v2g"), "v2g-root")]
    trusted = judge(chain, anchors, catalogue=catalogue, role="secc", edition="iso15118-2", at=AT)
    assert trusted.path.anchor == certificate("v2g")


def test_depth_is_data_and_may_be_overridden(catalogue: Catalogue) -> None:
    chain = named("secc-deep", "free3", "free2", "free1")
    problem = refusal(chain, named("v2g"), catalogue=catalogue, role="secc")
    assert problem.facts["found"] == 4
    assert problem.facts["allowed"] == 3
    problem = refusal(named(*SECC), named("v2g"), catalogue=catalogue, role="secc", depth=2)
    assert problem.code == "role.depth"


def test_tolerated_codes_are_noted(catalogue: Catalogue) -> None:
    chain = named("contract-country", "mo2", "mo1")
    for tolerated in ("role.subject", "lint.subject.forbidden"):
        trusted = judge(
            chain,
            named("mo"),
            catalogue=catalogue,
            role="contract",
            edition="iso15118-2",
            at=AT,
            tolerate=[tolerated],
        )
        assert [(note.code, note.severity) for note in trusted.notes] == [("role.subject", "warning")]


def test_an_option_of_the_profile_counts(catalogue: Catalogue) -> None:
    chain = named("contract-country", "mo2", "mo1")
    judge(
        chain,
        named("mo"),
        catalogue=catalogue,
        role="contract",
        edition="iso15118-2",
        at=AT,
        options={"country": "allowed"},
    )


def test_path_and_role_findings_come_together(catalogue: Catalogue) -> None:
    # Expired, DC missing: both are told, and trust is named first.
    found = assess(
        named("secc-expired", "cpo2", "cpo1"),
        named("mo"),
        catalogue=catalogue,
        role="cps",
        edition="iso15118-2",
        at=AT,
    )
    codes = [finding.code for finding in found.findings]
    assert {"path.no_anchor", "path.expired", "role.domain_component"} <= set(codes)
    problem = refusal(named("secc-expired", "cpo2", "cpo1"), named("mo"), catalogue=catalogue, role="cps")
    assert problem.code == "path.no_anchor"


def test_another_family_may_be_named(catalogue: Catalogue) -> None:
    chain = named("secc-ed44820", "cpo2-ed448", "cpo1-ed448")
    anchors = named("v2g-ed448")
    judge(chain, anchors, catalogue=catalogue, role="secc", edition="iso15118-20", suite="ed448", at=AT)
    problem = refusal(chain, anchors, catalogue=catalogue, role="secc", edition="iso15118-20", suite="p521")
    assert problem.code == "role.suite"


@pytest.mark.parametrize(
    ("moment", "soon"),
    [
        # [V2G2-690]: 21 days or fewer before 2026-07-15 00:00.
        (datetime(2026, 6, 23, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 6, 24, tzinfo=UTC), True),
        (datetime(2026, 7, 15, tzinfo=UTC), True),
    ],
)
def test_the_end_is_announced_in_time(catalogue: Catalogue, moment: datetime, soon: bool) -> None:
    trusted = judge(named(*SECC), named("v2g"), catalogue=catalogue, role="secc", edition="iso15118-2", at=moment)
    assert trusted.expires_soon is soon


@pytest.mark.parametrize(
    ("role", "edition", "code"),
    [
        ("nobody", "iso15118-2", "profile.unknown_role"),
        ("secc", "iso15118-99", "profile.unknown_edition"),
    ],
)
def test_unknown_names_are_refused(catalogue: Catalogue, role: str, edition: str, code: str) -> None:
    assert refusal(named(*SECC), named("v2g"), catalogue=catalogue, role=role, edition=edition).code == code


def test_revocation_is_part_of_the_verdict(catalogue: Catalogue) -> None:
    crls = [revocation_list("cpo2-secc")]
    assert refusal(named(*SECC), named("v2g"), catalogue=catalogue, role="secc", crls=crls).code == "path.revoked"
    problem = refusal(named(*SECC), named("v2g"), catalogue=catalogue, role="secc", require_evidence=True)
    assert problem.code == "path.status_unknown"


def test_a_role_made_of_toml_alone_is_judged(tmp_path: Path) -> None:
    """No role name stands in the code: a stricter SECC of a user's own folder is judged by its own rules."""
    folder = tmp_path / "iso15118-2"
    folder.mkdir()
    (folder / "depot.toml").write_text(
        'inherits = "secc"\ntitle = "Depot station"\n[validity]\nmaximum = "P30D"\ndefault = "P30D"\n', encoding="utf-8"
    )
    catalogue = Catalogue([tmp_path])
    problem = refusal(named(*SECC), named("v2g"), catalogue=catalogue, role="depot")
    assert problem.code == "role.validity"
    assert problem.facts["lint"] == "lint.validity.too_long"
