"""Real provisioning certificates, and messages that a provider's own backend made, from the published API descriptions.

What is expected is written out here: who each certificate is for, and what its maker left out or wrote otherwise than
the standard's tables; OpenSSL's reading of the files says the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import v2gpki
from tests.conftest import BIRTH
from tests.interop.specifications import Example, examples, folder
from tests.interop.test_openssl_path import verify as verify_with_openssl
from v2gpki.certs.path import examine
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.messages import codec, iso2
from v2gpki.pnc import installation
from v2gpki.pnc.signature import verify
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import Assessment, TrustAnchor, TrustedChain, assess, judge

pytestmark = pytest.mark.interop("specifications")

#: PCID: whether its chain ends in the provider's published root, and what it lacks of the profile of -2.
VEHICLES = {
    "hubUsEaTest000003": (False, {"role.basic_constraints", "role.key_usage", "role.domain_component"}),
    "hubUsEaTest000004": (False, {"role.basic_constraints", "role.key_usage", "role.domain_component"}),
    "huboemprovcqa0615": (True, {"role.basic_constraints", "role.key_usage"}),
    "hubjectopenpnc0001": (False, {"role.basic_constraints", "role.key_usage", "role.domain_component"}),
    "DEHUBCOPNCPROVCER": (True, set()),
}
_ROOT = "V2G Root CA QA G1"


def common_name(der: bytes) -> str:
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value)


def certificates() -> dict[str, bytes]:
    """Every certificate of the examples by its CN."""
    return {common_name(example.octets): example.octets for example in examples() if example.octets[0] == 0x30}


def provisioning() -> dict[str, list[bytes]]:
    """PCID -> leaf and what stands beside it, of all examples of a provisioning certificate."""
    found = {}
    for example in examples():
        if example.key == "vehicleCertificate" or example.path[-2:] == ("provisioningCertificateChain", "certificate"):
            leaf, above = example.octets, [other for other in example.beside.values() if other != example.octets]
            found.setdefault(common_name(leaf), [leaf, *above])
    request = body_of(request_example())
    assert isinstance(request, iso2.CertificateInstallationReq)
    found[common_name(request.OEMProvisioningCert)] = [request.OEMProvisioningCert]
    return found


def message_examples(key: str) -> list[Example]:
    """The examples of one EXI message, each once."""
    return list({found.octets: found for found in examples() if found.key == key and found.octets[0] == 0x80}.values())


def request_example() -> bytes:
    (found,) = message_examples("certificateInstallationReq")
    return found.octets


def body_of(octets: bytes) -> object:
    message = codec.decode(octets)
    assert isinstance(message, iso2.V2G_Message)
    return message.Body.BodyElement


def judged(chain: list[bytes], role: str) -> Assessment:
    """Against the provider's published root, a month after the leaf began."""
    root = certificates()[_ROOT]
    return assess(chain, [root], catalogue=Catalogue(), role=role, edition="iso15118-2", at=young(chain[0]))


def young(leaf: bytes) -> datetime:
    """A month after it began."""
    return x509.load_der_x509_certificate(leaf).not_valid_before_utc + timedelta(days=30)


def test_the_examples_are_those_that_are_known() -> None:
    """A new edition of the descriptions is looked at by a person."""
    assert folder() is not None
    # one example repeats the certificate of a Sub-CA in all three of its fields
    assert provisioning().keys() == {*VEHICLES, "OEM Sub1 CA TEST G1.2"}


@pytest.mark.parametrize("pcid", VEHICLES)
def test_a_real_provisioning_certificate_is_read_and_judged(pcid: str) -> None:
    chain = provisioning()[pcid]
    identifier = parse("pcid", common_name(chain[0]))
    assert (identifier.normal, identifier.parts["wmi"]) == (pcid, pcid[:3])
    assert len(identifier.parts["check"]) == len(pcid) - 17
    # a stack that compares capitals sees another PCID: that is noted, not refused
    assert bool(identifier.warnings) == (pcid != pcid.upper())
    anchored, lacking = VEHICLES[pcid]
    found = judged(chain, "oem")
    codes = {finding.code for finding in found.findings}
    assert codes == lacking | (set() if anchored else {"path.no_anchor"})
    assert found.path.anchored == anchored


def test_a_sub_ca_in_a_vehicles_place_is_found_out() -> None:
    chain = provisioning()["OEM Sub1 CA TEST G1.2"]
    with pytest.raises(V2GPKIError) as refused:
        parse("pcid", common_name(chain[0]))
    assert refused.value.code == "identifier.invalid"
    codes = {finding.code for finding in judged(chain, "oem").findings}
    assert {"role.basic_constraints", "role.identifier", "role.key_usage", "role.domain_component"} <= codes


# --- the pools ------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(home_iso2: Path, opened: Callable[[Path], v2gpki.CertificateAuthority]) -> v2gpki.CertificateAuthority:
    """A home that trusts the provider's root."""
    authority = opened(home_iso2)
    authority.plug_and_charge.roots.add(certificates()[_ROOT], role="v2g-root", at=BIRTH, caller="test")
    return authority


@pytest.mark.parametrize("pcid", VEHICLES)
def test_a_real_provisioning_certificate_is_registered_or_refused_with_findings(
    home: v2gpki.CertificateAuthority, pcid: str
) -> None:
    chain, (anchored, lacking) = provisioning()[pcid], VEHICLES[pcid]
    vehicles = home.plug_and_charge.vehicles
    if anchored and not lacking:
        assert vehicles.register(chain, at=young(chain[0]), caller="test").vehicle.pcid == pcid.upper()
        assert vehicles.find(pcid, "iso15118-2") is not None
        return
    with pytest.raises(V2GPKIError) as refused:
        vehicles.register(chain, at=young(chain[0]), caller="test")
    assert {finding.code for finding in refused.value.findings} == lacking | (set() if anchored else {"path.no_anchor"})
    assert vehicles.find(pcid, "iso15118-2") is None
    if anchored:
        # who has to live with such certificates says so, by the codes that were told
        noted = vehicles.register(chain, at=young(chain[0]), caller="test", tolerate=lacking)
        assert noted.vehicle.pcid == pcid.upper()
        assert lacking <= {note.code for note in noted.notes}


@pytest.mark.parametrize(
    ("name", "role", "codes"),
    [
        ("V2G Root CA G2", "v2g-root", {"lint.subject_key_identifier.form", "pool.root_short_lived"}),
        (_ROOT, "v2g-root", {"lint.subject_key_identifier.form", "pool.root_short_lived"}),
        # a manufacturer's, valid from 1970 to 9999, with the serial 3
        ("PnC-OEM-RootCA-2021", "oem-root", {"lint.key_usage.forbidden", "lint.serial.short"}),
    ],
)
def test_a_real_root_is_trusted_with_findings(
    home_iso2: Path, opened: Callable[[Path], v2gpki.CertificateAuthority], name: str, role: str, codes: set[str]
) -> None:
    roots = opened(home_iso2).plug_and_charge.roots
    added = roots.add(certificates()[name], role=role, at=BIRTH, caller="test")
    assert added.changed
    assert {finding.code for finding in added.findings} == codes


# --- messages -------------------------------------------------------------------------------------------------------


def test_a_real_request_holds() -> None:
    message = codec.decode(request_example())
    body = body_of(request_example())
    assert isinstance(body, iso2.CertificateInstallationReq)
    check = verify(message, body.OEMProvisioningCert)
    assert ([element.id for element in check.elements], check.deviations) == (["ID1"], ())
    assert codec.encode(message) == request_example()
    (root,) = body.ListOfRootCertificateIDs.RootCertificateID
    assert (root.X509IssuerName, root.X509SerialNumber) == ("DC=V2G,C=DE,O=RISE V2G Project,CN=V2GRootCA", 12345)


@pytest.mark.parametrize("emaid", ["EMP99CQAPAB004", "DEICECOPNCCERT"])
def test_a_real_response_of_a_provider_holds(emaid: str) -> None:
    found = {common_name_of_contract(example.octets): example.octets for example in responses()}
    octets = found[emaid]
    message, body = codec.decode(octets), body_of(octets)
    assert isinstance(body, iso2.CertificateInstallationRes)
    assert (body.ResponseCode, body.eMAID.value) == ("OK", emaid)
    check = verify(message, body.SAProvisioningCertificateChain.Certificate)
    # four elements in an order that the hash table of the provider's Java made
    assert sorted(element.id for element in check.elements) == ["ID1", "ID2", "ID3", "ID4"]
    assert (check.signed_info_grammar, check.deviations) == ("xmldsig", ())
    assert codec.encode(message) == octets
    with pytest.raises(V2GPKIError) as refused:
        verify(message, body.ContractSignatureCertChain.Certificate)
    assert refused.value.code == "signature.wrong_value"


def responses() -> list[Example]:
    return message_examples("certificateInstallationRes")


def common_name_of_contract(octets: bytes) -> str:
    body = body_of(octets)
    assert isinstance(body, iso2.CertificateInstallationRes)
    return common_name(body.ContractSignatureCertChain.Certificate)


@pytest.mark.parametrize("emaid", ["EMP99CQAPAB004", "DEICECOPNCCERT"])
def test_a_real_response_is_read_as_an_installation(emaid: str) -> None:
    found = {common_name_of_contract(example.octets): example.octets for example in responses()}
    read = installation.read_response(found[emaid])
    assert (read.action, read.code, read.session_id) == ("install", "OK", b"\x00")
    assert [common_name(der)[:9] for der in read.cps_chain[1:]] == ["Prov Sub2", "Prov Sub1"]
    assert read.data is not None
    assert (read.data.emaid, read.data.sealed.curve) == (emaid, "P256")
    assert installation.sizes(found[emaid]).base64 == (len(found[emaid]) + 2) // 3 * 4


#: EMAID of the contract: what speaks against the CPS leaf, and against the contract certificate; a leaf with cA FALSE.
RESPONSES: dict[str, tuple[str, set[str], set[str], set[str]]] = {
    "EMP99CQAPAB004": ("CPS 2021.8 QA", {"role.key_usage"}, {"role.basic_constraints", "role.key_usage"}, {"cps"}),
    "DEICECOPNCCERT": ("CPS 2024.4 QA", set(), set(), {"cps", "contract"}),
}
#: The provider writes key identifiers of 8 octets, and cA FALSE in leaves.
_SHORT_SKI, _DEFAULT = "lint.subject_key_identifier.form", "lint.der.default_written"


def response_of(emaid: str) -> installation.Response:
    (octets,) = (example.octets for example in responses() if common_name_of_contract(example.octets) == emaid)
    return installation.read_response(octets)


def trusted_for(role: str, at: datetime, tolerate: set[str]) -> Callable[[tuple[bytes, ...]], TrustedChain]:
    root = TrustAnchor(certificates()[_ROOT], "v2g-root")

    def trust(chain: tuple[bytes, ...]) -> TrustedChain:
        return judge(
            chain,
            [root],
            catalogue=Catalogue(),
            role=role,
            edition="iso15118-2",
            at=at,
            ordered=True,
            tolerate=tolerate,
        )

    return trust


@pytest.mark.parametrize("emaid", RESPONSES)
def test_a_real_response_holds_from_the_signature_to_the_published_root(emaid: str) -> None:
    signer, lacking, lacking_contract, default = RESPONSES[emaid]
    response = response_of(emaid)
    assert response.data is not None
    at = young(response.data.chain[0])
    if lacking:
        # the leaf has no KeyUsage at all, which [V2G2-884] demands
        with pytest.raises(V2GPKIError) as refused:
            installation.verify_response(response, trust=trusted_for("cps", at, set()))
        assert {finding.code for finding in refused.value.findings} == lacking
        assert {finding.facts["lint"] for finding in refused.value.findings} == {"lint.key_usage.missing"}
    verified = installation.verify_response(response, trust=trusted_for("cps", at, lacking), emaid=emaid)
    assert sorted(element.id for element in verified.check.elements) == ["ID1", "ID2", "ID3", "ID4"]
    assert isinstance(verified.trusted, TrustedChain)
    assert common_name(verified.trusted.path.leaf) == signer
    assert verified.trusted.path.certificates == (*response.cps_chain, certificates()[_ROOT])
    assert verified.trusted.roles == ("cps", "cps-sub-ca-2", "cps-sub-ca-1", "v2g-root")
    noted = noted_by_name(verified.trusted)
    above = [common_name(der) for der in response.cps_chain[1:]]
    assert noted == {signer: lacking | {_SHORT_SKI, _DEFAULT}, **{name: {_SHORT_SKI} for name in above}}
    # the contract's own chain ends in the same root
    contract = trusted_for("contract", at, lacking_contract)(verified.data.chain)
    assert contract.roles == ("contract", "mo-sub-ca-2", "mo-sub-ca-1", "v2g-root")
    more = {_DEFAULT} if "contract" in default else set()
    assert noted_by_name(contract)[emaid] == lacking_contract | more | {_SHORT_SKI}


def noted_by_name(chain: TrustedChain) -> dict[str, set[str]]:
    """The codes of the notes by the CN of the certificate."""
    names = {view(der).fingerprint.hex(): common_name(der) for der in chain.path.certificates}
    found: dict[str, set[str]] = {}
    for note in chain.notes:
        found.setdefault(names[str(note.facts["fingerprint"])], set()).add(note.code)
    return found


@pytest.mark.parametrize("emaid", RESPONSES)
def test_a_real_response_does_not_hold_at_another_moment_or_root(emaid: str) -> None:
    _, lacking, _, _ = RESPONSES[emaid]
    response = response_of(emaid)
    late = datetime(2031, 1, 1, tzinfo=UTC)
    with pytest.raises(V2GPKIError) as refused:
        installation.verify_response(response, trust=trusted_for("cps", late, lacking))
    assert refused.value.code == "path.expired"
    assert response.data is not None
    at = young(response.data.chain[0])
    with pytest.raises(V2GPKIError) as refused:
        judge(
            response.cps_chain,
            [TrustAnchor(certificates()["V2G Root CA G2"], "v2g-root")],
            catalogue=Catalogue(),
            role="cps",
            edition="iso15118-2",
            at=at,
            tolerate=lacking,
        )
    assert refused.value.code == "path.no_anchor"


@pytest.mark.interop("openssl")
@pytest.mark.parametrize("emaid", RESPONSES)
def test_openssl_accepts_the_real_chains(emaid: str, tmp_path: Path) -> None:
    response = response_of(emaid)
    assert response.data is not None
    at = young(response.data.chain[0])
    for chain in (response.cps_chain, response.data.chain):
        good, output = verify_with_openssl(tmp_path, list(chain), [certificates()[_ROOT]], at)
        assert good, output
        assert not examine(chain, [certificates()[_ROOT]], at=at).findings


def test_every_real_certificate_is_read() -> None:
    read = [view(der) for der in certificates().values()]
    spelled = {common_name(one.der) for one in read if one.liberties}
    assert spelled == {"CPS 2022.2 QA", "DEICECOPNCCERT"}
    assert {one.liberties for one in read} == {
        (),
        ("cA of basicConstraints is written as FALSE although that is the default",),
    }


def test_a_real_request_is_read_as_an_installation() -> None:
    asked = installation.read_request(request_example(), schema="urn:iso:15118:2:2013:MsgDef", action="install")
    assert common_name(asked.leaf) == "hubjectopenpnc0001"
    assert installation.verify_request(asked).deviations == ()
