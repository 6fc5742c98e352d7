"""What a session was, counted from notices that are written here, with messages and certificates that are real."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.chains.mint import certificate
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.schema import Message
from v2gpki.render.ladder import Connected, Ended, Event, Place
from v2gpki.render.session import summary_lines, summary_value
from v2gpki.render.tally import Money, Summary, Tally
from v2gpki.session.notices import Agreed, Delivered, Ending, Exchanged, Judged
from v2gpki.session.secured import Secured

BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACE = Place("secc", BEGAN, 50.0)
SUBS = ("mo2", "mo1")


def whole(body: iso2.BodyBaseType) -> iso2.V2G_Message:
    return iso2.V2G_Message(Header=iso2.MessageHeaderType(SessionID=bytes(8)), Body=iso2.BodyType(BodyElement=body))


def chain(leaf: str, *above: str) -> iso2.CertificateChainType:
    subs = iso2.SubCertificatesType(Certificate=tuple(map(certificate, above)))
    return iso2.CertificateChainType(Certificate=certificate(leaf), SubCertificates=subs)


def answered(at: float, name: str, took: float, *, limit: float = 2.0, code: str = "OK", **more: Message) -> Exchanged:
    body = more.get("body", iso2.SessionStopRes(ResponseCode="OK"))
    return Exchanged(50 + at, True, name, whole(body), bytes(30), took, limit, code)


def summary(*events: Event, place: Place = PLACE) -> Summary:
    tally = Tally(place)
    for event in events:
        tally.told(event)
    return tally.summary()


def test_time_by_step() -> None:
    """Three answers of one kind: 1, 2 and 6 s of at most 5 s."""
    events = [answered(at, "ServiceDetailRes", took, limit=5.0) for at, took in ((1, 1.0), (2, 2.0), (9, 6.0))]
    found = summary(*events, answered(10, "SessionStopRes", 0.25))
    detail, stop = found.steps
    assert (detail.name, detail.count, detail.total, detail.slowest, detail.limit, detail.late) == (
        "ServiceDetail",
        3,
        9.0,
        6.0,
        5.0,
        1,
    )
    assert (stop.name, stop.count, stop.late) == ("SessionStop", 1, 0)
    assert found.late == 1
    assert found.seconds == 10
    value = summary_value(found)
    expected = {"name": "ServiceDetail", "count": 3, "mean": 3.0, "slowest": 6.0, "limit": 5.0, "late": 1}
    assert value["steps"] == [expected, {**expected, **STOP}]


STOP = {"name": "SessionStop", "count": 1, "mean": 0.25, "slowest": 0.25, "limit": 2.0, "late": 0}


def test_authorised_when_it_is_finished() -> None:
    def said(processing: str) -> iso2.AuthorizationRes:
        return iso2.AuthorizationRes(ResponseCode="OK", EVSEProcessing=processing)

    waiting = answered(1, "AuthorizationRes", 0.1, body=said("Ongoing"))
    done = answered(3, "AuthorizationRes", 0.1, body=said("Finished"))
    refused = answered(3, "AuthorizationRes", 0.1, code="FAILED", body=said("Finished"))
    assert summary(waiting).authorised_after is None
    assert summary(waiting, refused).authorised_after is None
    assert summary(waiting, done).authorised_after == 3


def details(leaf: str = "contract") -> Exchanged:
    body = iso2.PaymentDetailsReq(eMAID="DEABCC12345678", ContractSignatureCertChain=chain(leaf, *SUBS))
    return Exchanged(52.0, False, "PaymentDetailsReq", whole(body), bytes(900))


def test_certificates_of_tls_and_messages() -> None:
    secured = Secured("1.2", "s", "g", own_chain=(certificate("secc"), certificate("cpo2"), certificate("cpo1")))
    found = summary(Connected(50.0, "[fe80::1]:50000", "x", secured), details())
    assert [(used.role, used.certificates) for used in found.certificates] == [("SECC", 3), ("contract", 3)]
    # as tests/chains/cases.toml has them: Sub-CAs end in 2028
    assert "CN=DE*ABC*E00001" in found.certificates[0].subject
    assert "CN=DEABCC123ABC56" in found.certificates[1].subject
    assert [str(used.not_after.date()) for used in found.certificates] == ["2026-07-15", "2027-06-01"]
    assert found.certificates[1].chain_ends == found.certificates[1].not_after


def test_a_chain_ends_with_its_first_certificate_that_ends() -> None:
    secured = Secured("1.2", "s", "g", own_chain=(certificate("cpo1"), certificate("secc")))
    found = summary(Connected(50.0, "p", "l", secured))
    assert [str(used.chain_ends.date()) for used in found.certificates] == ["2026-07-15"]
    (line,) = [line for line in lines(found) if line.startswith("SECC")]
    assert line.endswith("2028-01-01, in 20 mo; its chain 2026-07-15")


def test_at_the_vehicle_the_chains_are_the_other_way_round() -> None:
    secured = Secured("1.3", "s", "g", peer_chain=(certificate("secc"),), own_chain=(certificate("oem"),))
    found = summary(Connected(50.0, "p", "l", secured), place=Place("evcc", BEGAN, 50.0))
    assert {used.role: used.fingerprint for used in found.certificates} == {
        "vehicle": hashlib.sha256(certificate("oem")).hexdigest(),
        "SECC": hashlib.sha256(certificate("secc")).hexdigest(),
    }


def test_an_installation_shows_whose_certificates_it_had() -> None:
    asked = iso2.CertificateInstallationReq(
        Id="id1",
        OEMProvisioningCert=certificate("oem"),
        ListOfRootCertificateIDs=iso2.ListOfRootCertificateIDsType(RootCertificateID=()),
    )
    given = iso2.CertificateInstallationRes(
        ResponseCode="OK",
        SAProvisioningCertificateChain=chain("cps", "cps2", "cps1"),
        ContractSignatureCertChain=chain("contract", *SUBS),
        ContractSignatureEncryptedPrivateKey=iso2.ContractSignatureEncryptedPrivateKeyType(Id="a", value=bytes(48)),
        DHpublickey=iso2.DiffieHellmanPublickeyType(Id="b", value=bytes(65)),
        eMAID=iso2.EMAIDType(Id="c", value="DEABCC12345678"),
    )
    request = Exchanged(51.0, False, "CertificateInstallationReq", whole(asked), bytes(800))
    accepted = answered(2, "CertificateInstallationRes", 1, body=given)
    roles = [used.role for used in summary(request, accepted).certificates]
    assert roles == ["OEM provisioning", "CPS", "contract, installed"]
    refused = answered(2, "CertificateInstallationRes", 1, code="FAILED", body=given)
    assert [used.role for used in summary(request, refused).certificates] == ["OEM provisioning"]


def test_a_certificate_that_cannot_be_read_is_left_out() -> None:
    broken = iso2.CertificateChainType(Certificate=b"no certificate")
    body = iso2.PaymentDetailsReq(eMAID="DEABCC12345678", ContractSignatureCertChain=broken)
    assert summary(Exchanged(52.0, False, "PaymentDetailsReq", whole(body), b"")).certificates == ()


def test_energy_by_the_meter() -> None:
    flows = [Delivered(50 + at, 400, 25, power, imported, exported) for at, power, imported, exported in FLOWS]
    found = summary(*flows)
    assert (found.charged, found.discharged, found.peak) == (2500.0, 300.0, -11_000.0)


#: (time, power, registers in and out)
FLOWS = [(0.0, 10_000.0, 1000.0, 50.0), (900.0, 10_000.0, 3500.0, 50.0), (1800.0, -11_000.0, 3500.0, 350.0)]


def test_energy_by_power_and_time_where_no_meter_is_read() -> None:
    """10 kW for half an hour are 5 kWh; then -4 kW for a quarter are 1 kWh back."""
    flows = [Delivered(50.0 + at, 400, 25, power) for at, power in ((0, 10_000.0), (1800, -4_000.0), (2700, 0.0))]
    found = summary(*flows)
    assert (found.charged, found.discharged) == (5000.0, 1000.0)
    assert (summary().charged, summary().discharged) == (None, None)


def test_readings_for_a_bill_are_first_last_and_one_a_minute() -> None:
    """Ten minutes with a reading in each second: the registers rise by 3 Wh each."""
    tally = Tally(PLACE)
    for second in range(601):
        tally.told(Delivered(50.0 + second, 400, 25, 10_800, 1000.0 + 3 * second))
    found = tally.readings(speed=2.0)
    assert 11 <= len(found) <= 13
    assert (found[0].imported, found[-1].imported) == (1000.0, 2800.0)
    assert found[-1].at - found[0].at == 1200
    assert [reading.imported for reading in found] == sorted({reading.imported for reading in found})


def lines(found: Summary) -> list[str]:
    return ["".join(span.text for span in line).rstrip() for line in summary_lines(found)]


def test_the_summary_for_people() -> None:
    tally = Tally(PLACE, cost=Money(Decimal("4.20"), "EUR"))
    for event in (
        Agreed(50.0, "urn:iso:15118:2:2013:MsgDef", "iso15118-2"),
        details(),
        answered(5, "ServiceDetailRes", 6.0, limit=5.0),
        Delivered(56.0, 400, 25, 10_000, 1000.0),
        Delivered(66.0, 400, 25, 10_000, 3500.0),
        Ended(70.0, Ending("stopped")),
    ):
        tally.told(event)
    text = lines(tally.summary())
    assert text[0] == "iso15118-2 stopped as planned after 20 s"
    assert [line.split() for line in text[2:4]] == [
        ["step", "times", "mean", "slowest", "limit"],
        ["ServiceDetail", "1", "6", "s", "6", "s", "5", "s", "1", "late"],
    ]
    assert text[-1] == "2.500 kWh charged, 10.00 kW at most, 4.20 EUR"
    (contract,) = [line for line in text if line.startswith("contract")]
    assert contract.split(maxsplit=1)[1] == "CN=DEABCC123ABC56,O=Corpus  2027-06-01, in 13 mo"


def test_what_flowed_back_at_most_is_no_negative_number() -> None:
    found = summary(Delivered(50.0, 400, -27.5, -11_000, 0.0, 0.0), Delivered(60.0, 400, -27.5, -11_000, 0.0, 30.0))
    assert lines(found)[-1] == "0.000 kWh charged, 0.030 kWh given back, 11.00 kW at most"


def test_a_bad_end_says_why() -> None:
    problem = V2GPKIError("path.expired", "the contract ended")
    found = summary(Judged(51.0, "contract chain", "DE1", problem), Ended(52.0, Ending("refused", problem)))
    assert lines(found) == ["session refused after 2 s", "  the contract ended [path.expired]"]
    value = summary_value(found)
    assert (value["schema"], value["ending"], value["code"]) == ("v2gpki/session/1", "refused", "path.expired")
    assert value["verdicts"] == [{"what": "contract chain", "by": "DE1", "holds": False, "code": "path.expired"}]


@pytest.mark.parametrize("key", ["began", "tls", "cost", "currency", "charged_wh", "authorised_after"])
def test_what_is_not_known_is_said_so(key: str) -> None:
    value = summary_value(summary())
    assert value[key] == {"began": "2026-05-01T12:00:00Z", "cost": "", "currency": ""}.get(key)
