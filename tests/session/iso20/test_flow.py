"""The flow table of ISO 15118-20 against what is known of the standard's order, written out; the table alone is
compared, no engine runs (ISO 15118-20 8.8; facts of public stacks: which requests EcoG's SECC expects after which)."""

from __future__ import annotations

import pytest

from v2gpki.session.iso20.flow import FLOW

BEFORE = {"connected", "set-up", "authorization-set-up", "installing", "installed", "authorising", "unauthorised"}
POWERED = {"charging", "confirming", "renegotiating", "renegotiated", "standby"}


def states_with(request: str) -> set[str]:
    return {state for state in FLOW.moves if request in FLOW.expected(state)}


def both(*names: str) -> set[str]:
    return {f"{name}-{current}" for name in names for current in ("ac", "dc")}


@pytest.mark.parametrize(
    ("request_name", "states"),
    [
        ("SessionSetupReq", {"connected"}),
        ("AuthorizationSetupReq", {"set-up", *both("joined")}),
        ("CertificateInstallationReq", {"authorization-set-up", "installing", "installed", "unauthorised"}),
        ("AuthorizationReq", BEFORE - {"connected", "set-up"}),
        ("ServiceDiscoveryReq", {"authorised", "choosing-again"}),
        ("ServiceDetailReq", {"discovered", "detailed"}),
        ("ServiceSelectionReq", {"detailed"}),
        ("AC_ChargeParameterDiscoveryReq", {"selected-ac", "joined-ac"}),
        ("DC_ChargeParameterDiscoveryReq", {"selected-dc", "joined-dc"}),
        (
            "ScheduleExchangeReq",
            both("parameters", "scheduling", "charging", "confirming", "renegotiating", "renegotiated"),
        ),
        ("DC_CableCheckReq", {"scheduled-dc", "checking-cable"}),
        ("DC_PreChargeReq", {"cable-checked", "pre-charging"}),
        ("MeteringConfirmationReq", both("confirming")),
        ("AC_ChargeLoopReq", {f"{state}-ac" for state in POWERED}),
        ("DC_ChargeLoopReq", {f"{state}-dc" for state in POWERED}),
        (
            "PowerDeliveryReq",
            {*both("scheduled", "starting", *POWERED), "pre-charging", "pre-charged"},
        ),
        ("DC_WeldingDetectionReq", {"stopped-dc"}),
    ],
)
def test_when_a_request_may_come(request_name: str, states: set[str]) -> None:
    assert states_with(request_name) == states


def test_a_vehicle_may_stop_unless_power_flows() -> None:
    powered = both("charging", "confirming", "renegotiating", "renegotiated")
    assert set(FLOW.moves) - states_with("SessionStopReq") == {"connected", *powered}


def test_services_are_renegotiated_once_there_is_one() -> None:
    chosen = {state for state in FLOW.moves if "choosing-again" in FLOW.after(state, "SessionStopReq")}
    none_yet = BEFORE | {"authorised", "discovered", "detailed", "choosing-again"}
    assert chosen == states_with("SessionStopReq") - none_yet


def test_power_needs_a_schedule_and_in_dc_a_pre_charge() -> None:
    def leads(state: str) -> tuple[str, ...]:
        return FLOW.after(state, "PowerDeliveryReq")

    assert {state for state in FLOW.moves if "charging-ac" in leads(state)} == {
        "scheduled-ac",
        "starting-ac",
        *(f"{state}-ac" for state in POWERED),
    }
    assert {state for state in FLOW.moves if "charging-dc" in leads(state)} == {
        "pre-charging",
        "pre-charged",
        "starting-dc",
        *(f"{state}-dc" for state in POWERED),
    }


def test_ac_and_dc_do_not_mix() -> None:
    for move in FLOW.all_moves():
        for then in move.then:
            if move.state.endswith(("-ac", "-dc")) and then.endswith(("-ac", "-dc")):
                assert move.state[-2:] == then[-2:]


def test_the_table_has_no_other_requests() -> None:
    assert len({move.request for move in FLOW.all_moves()}) == 18
