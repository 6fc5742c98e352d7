"""One valid request of each kind of ISO 15118-20, and how to get a station into any state by octets that a vehicle
sent before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from tests.session.iso20.world import CHAIN, STATION, Meeting, StationWorld, offer
from v2gpki.energy import Control, Step
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_common as cm
from v2gpki.messages import iso20_dc as dc
from v2gpki.messages.iso20_types import MeterInfoType, RationalNumberType, V2GMessageType
from v2gpki.messages.xmldsig import X509IssuerSerialType
from v2gpki.session import questions as q
from v2gpki.session.iso20.dialect import HEADER, ISO20Dialect
from v2gpki.session.iso20.settings import VehicleSettings
from v2gpki.v2gtp import build

_OLD = b"12345678"
ONE = RationalNumberType(Exponent=0, Value=1)
_CHAIN = cm.ContractCertificateChainType(
    Certificate=CHAIN[0], SubCertificates=cm.SubCertificatesType(Certificate=CHAIN[1:])
)
_PROFILE = cm.EVPowerProfileType(
    TimeAnchor=1_772_366_400,
    Scheduled_EVPPTControlMode=cm.Scheduled_EVPPTControlModeType(SelectedScheduleTupleID=1),
    EVPowerProfileEntries=cm.EVPowerProfileEntryListType(
        EVPowerProfileEntry=(cm.PowerScheduleEntryType(Duration=3600, Power=ONE),)
    ),
)

REQUESTS: Mapping[str, V2GMessageType] = {
    type(message).__name__: message
    for message in (
        cm.SessionSetupReq(Header=HEADER, EVCCID="EV"),
        cm.AuthorizationSetupReq(Header=HEADER),
        cm.CertificateInstallationReq(
            Header=HEADER,
            OEMProvisioningCertificateChain=cm.SignedCertificateChainType(Id="id1", Certificate=b"oem"),
            ListOfRootCertificateIDs=cm.ListOfRootCertificateIDsType(
                RootCertificateID=(X509IssuerSerialType(X509IssuerName="CN=V2G", X509SerialNumber=7),)
            ),
            MaximumContractCertificateChains=1,
        ),
        cm.AuthorizationReq(
            Header=HEADER,
            SelectedAuthorizationService="PnC",
            PnC_AReqAuthorizationMode=cm.PnC_AReqAuthorizationModeType(
                Id="id1", GenChallenge=bytes(range(16)), ContractCertificateChain=_CHAIN
            ),
        ),
        cm.ServiceDiscoveryReq(Header=HEADER),
        cm.ServiceDetailReq(Header=HEADER, ServiceID=2),
        cm.ServiceSelectionReq(
            Header=HEADER, SelectedEnergyTransferService=cm.SelectedServiceType(ServiceID=2, ParameterSetID=1)
        ),
        ac.AC_ChargeParameterDiscoveryReq(
            Header=HEADER,
            AC_CPDReqEnergyTransferMode=ac.AC_CPDReqEnergyTransferMode(
                EVMaximumChargePower=ONE, EVMinimumChargePower=ONE
            ),
        ),
        dc.DC_ChargeParameterDiscoveryReq(
            Header=HEADER,
            DC_CPDReqEnergyTransferMode=dc.DC_CPDReqEnergyTransferMode(
                EVMaximumChargePower=ONE,
                EVMinimumChargePower=ONE,
                EVMaximumChargeCurrent=ONE,
                EVMinimumChargeCurrent=ONE,
                EVMaximumVoltage=ONE,
                EVMinimumVoltage=ONE,
            ),
        ),
        cm.ScheduleExchangeReq(
            Header=HEADER,
            MaximumSupportingPoints=12,
            Scheduled_SEReqControlMode=cm.Scheduled_SEReqControlModeType(EVTargetEnergyRequest=ONE),
        ),
        dc.DC_CableCheckReq(Header=HEADER),
        dc.DC_PreChargeReq(Header=HEADER, EVProcessing="Ongoing", EVPresentVoltage=ONE, EVTargetVoltage=ONE),
        cm.PowerDeliveryReq(
            Header=HEADER, EVProcessing="Finished", ChargeProgress="Start", EVPowerProfile=_PROFILE
        ),
        ac.AC_ChargeLoopReq(
            Header=HEADER,
            MeterInfoRequested=True,
            CLReqControlMode=ac.Scheduled_AC_CLReqControlMode(EVPresentActivePower=ONE),
        ),
        dc.DC_ChargeLoopReq(
            Header=HEADER,
            MeterInfoRequested=True,
            EVPresentVoltage=ONE,
            CLReqControlMode=dc.Scheduled_DC_CLReqControlMode(EVTargetCurrent=ONE, EVTargetVoltage=ONE),
        ),
        cm.MeteringConfirmationReq(
            Header=HEADER,
            SignedMeteringData=cm.SignedMeteringData(
                Id="id1",
                SessionID=bytes(8),
                MeterInfo=MeterInfoType(MeterID="M", ChargedEnergyReadingWh=1),
                Dynamic_SMDTControlMode=cm.Dynamic_SMDTControlModeType(),
            ),
        ),
        dc.DC_WeldingDetectionReq(Header=HEADER, EVProcessing="Ongoing"),
        cm.SessionStopReq(Header=HEADER, ChargingSession="Terminate"),
        cm.VehicleCheckInReq(Header=HEADER, EVCheckInStatus="CheckIn", ParkingMethod="Manual"),
        cm.VehicleCheckOutReq(Header=HEADER, EVCheckOutStatus="CheckOut", CheckOutTime=1),
    )
}


def octets(message: V2GMessageType, session_id: bytes) -> bytes:
    """A request as a frame."""
    said = ISO20Dialect().say(message, session_id, Meeting().clock.now())
    return build(*said.frame)


def journeys() -> list[Meeting]:
    """Sessions that together go through every state, before they run."""
    both = []
    for is_ac in (False, True):
        first = Meeting(ac=is_ac)
        first.station_world.waits = 1
        first.vehicle_world.install = True
        first.station_world.wishes = {2: Control(receipt=True)}
        first.vehicle_world.steps = {4: Step("renegotiate"), 5: Step("standby"), 6: Step("renegotiate_service")}
        first.station_world.more = {q.SchedulesQuestion: _slowly(first.station_world)}
        back = Meeting(ac=is_ac, vehicle=_coming_back(is_ac))
        digest = hashlib.sha512(STATION.peer_chain[0]).digest()
        kept = q.Paused(_OLD, "iso15118-20", vehicle=digest, service=1 if is_ac else 2, parameter_set=1)
        back.station_world.kept.sessions[_OLD] = kept
        both += [first, back]
    refused = Meeting()
    refused.station_world.more = {q.ContractChainQuestion: _refuse}
    return [*both, refused]


def _refuse(_: object) -> object:
    raise V2GPKIError("path.expired", "it is")


def _slowly(world: StationWorld) -> Callable[[q.SchedulesQuestion], object]:
    def schedules(question: q.SchedulesQuestion) -> object:
        if question.attempt == 0:
            raise V2GPKIError("session.late", "not yet")
        return world.schedules(question)

    return schedules


def _coming_back(is_ac: bool) -> VehicleSettings:
    variant = offer(ac=is_ac).services[0].variants[0]
    kept = q.Paused(_OLD, "iso15118-20", service=1 if is_ac else 2, parameter_set=1, variant=variant)
    return VehicleSettings("EV", resume=kept)

