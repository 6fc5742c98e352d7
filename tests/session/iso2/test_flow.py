"""The flow table beside what another stack's station takes, and the timers beside those of two stacks.

EcoG's is iso15118 0.31.2, `secc/states/iso15118_2_states.py`: each state names the requests that it expects, of which
only the first may come when it is entered. Read off there, state by state, after the answer that leads to it.
"""

from __future__ import annotations

import pytest

from v2gpki.session.iso2.flow import FLOW
from v2gpki.session.timers import ISO2

ECOG = {
    "connected": "SessionSetupReq",
    "set-up": "ServiceDiscoveryReq",
    "discovered": "ServiceDetailReq PaymentServiceSelectionReq",
    # One list for both ways to pay.
    "selected-eim": "AuthorizationReq",
    "selected-contract": "CertificateInstallationReq PaymentDetailsReq",
    "installed": "PaymentDetailsReq",
    "identified": "AuthorizationReq",
    "authorising": "AuthorizationReq",
    "authorised": "ChargeParameterDiscoveryReq",
    "negotiating": "ChargeParameterDiscoveryReq",
    "parameters-ac": "PowerDeliveryReq",
    "parameters-dc": "CableCheckReq",
    "checking-cable": "CableCheckReq",
    "cable-checked": "PreChargeReq",
    "pre-charging": "PreChargeReq PowerDeliveryReq",
    "charging-ac": "ChargingStatusReq PowerDeliveryReq",
    "charging-dc": "CurrentDemandReq PowerDeliveryReq",
    "receipt-ac": "MeteringReceiptReq",
    "receipt-dc": "MeteringReceiptReq",
    "renegotiating-ac": "ChargeParameterDiscoveryReq",
    "renegotiating-dc": "ChargeParameterDiscoveryReq",
    # EcoG checks the cable anew, as its vehicle does.
    "renegotiated-dc": "CableCheckReq",
    "stopped-ac": "SessionStopReq",
    "stopped-dc": "WeldingDetectionReq SessionStopReq",
}
#: What it has no handler for (CertificateUpdate), or does not take although nothing speaks against it.
OURS_ALONE = {
    "selected-contract": {"CertificateUpdateReq"},
    # A vehicle that signs no receipt may still stop.
    "receipt-ac": {"PowerDeliveryReq"},
    "receipt-dc": {"PowerDeliveryReq"},
    "renegotiated-dc": {"PowerDeliveryReq"},
}


def test_every_state_is_compared() -> None:
    assert set(ECOG) == set(FLOW.states()) - {FLOW.over}


@pytest.mark.judged("order of requests", edition="iso15118-2", by="EcoG's source")
@pytest.mark.parametrize("state", ECOG)
def test_what_ecogs_station_takes_is_taken(state: str) -> None:
    """Beside that a vehicle may stop wherever no power flows; EcoG's station knows SessionStopReq at the end alone."""
    ours, ecogs = set(FLOW.expected(state)), set(ECOG[state].split())
    assert ecogs <= ours
    assert ours - ecogs - {"SessionStopReq"} == OURS_ALONE.get(state, set())


def test_where_a_vehicle_may_stop() -> None:
    """Not before there is a session, and not while power flows."""
    without = {state for state in ECOG if "SessionStopReq" not in FLOW.expected(state)}
    assert without == {"connected", "charging-ac", "charging-dc", "receipt-ac", "receipt-dc"}


#: V2G_EVCC_Msg_Timeout in seconds, as EcoG (`shared/messages/iso15118_2/timeouts.py`) and RISE-V2G have them.
RESPONSE = {
    "SessionSetupReq": 2,
    "ServiceDiscoveryReq": 2,
    "ServiceDetailReq": 5,
    "PaymentServiceSelectionReq": 2,
    "CertificateInstallationReq": 5,
    "CertificateUpdateReq": 5,
    "PaymentDetailsReq": 5,
    "AuthorizationReq": 2,
    "ChargeParameterDiscoveryReq": 2,
    "ChargingStatusReq": 2,
    "MeteringReceiptReq": 2,
    "PowerDeliveryReq": 5,
    "CableCheckReq": 2,
    "PreChargeReq": 2,
    "CurrentDemandReq": 0.25,
    "WeldingDetectionReq": 2,
    "SessionStopReq": 2,
}


@pytest.mark.parametrize(("name", "seconds"), RESPONSE.items())
def test_how_long_an_answer_may_take(name: str, seconds: float) -> None:
    """The station's part is half a second less, and a tenth in the DC loop."""
    assert ISO2.waits(name) == seconds
    assert ISO2.answers_within(name) == (0.025 if name == "CurrentDemandReq" else seconds - 0.5)
    # A station that cannot answer says so while the vehicle still listens.
    assert ISO2.answers_within(name) <= ISO2.fails_after(name) < seconds


def test_the_other_timers() -> None:
    assert (ISO2.handshake, ISO2.set_up) == (2, 20)
    assert (ISO2.sequence, ISO2.sequence_performance) == (60, 40)
    assert (ISO2.ongoing, ISO2.ongoing_performance) == (60, 55)
    assert (ISO2.cable_check, ISO2.cable_check_performance, ISO2.pre_charge) == (40, 38, 7)
