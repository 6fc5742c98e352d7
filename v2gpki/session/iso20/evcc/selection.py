"""ServiceDiscovery, ServiceDetail and ServiceSelection at the EVCC (ISO 15118-20 8.3.4.3.5)."""

from __future__ import annotations

from v2gpki.energy.offer import EnergyService, Offer, ValueAdded
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.evcc.trip import Part
from v2gpki.session.iso20.services import (
    SERVICE_IDS,
    Selected,
    identifier_of,
    is_energy,
    read_service,
    read_value_added,
)
from v2gpki.session.questions import ServiceQuestion

_MOST = 16


class Selection(Part):
    """What is offered, and what the vehicle takes."""

    #: "ac" or "dc" if the protocol that was agreed on is for one of them.
    transfer = ""

    def select(self) -> Steps[None]:
        """Look at the services and choose. Raises `session.no_charge_service`, what the driver refuses with."""
        offer = yield from self._discover()
        choice = yield from self.ask(ServiceQuestion(offer, secured=self.secured is not None))
        identifier = identifier_of(choice.service)
        self.trip.selected = Selected(identifier, choice.service, choice.variant)
        added = tuple(
            cm.SelectedServiceType(ServiceID=service, ParameterSetID=parameters)
            for service, parameters in choice.value_added[:_MOST]
        )
        yield from self.vehicle.exchange(
            cm.ServiceSelectionReq(
                Header=HEADER,
                SelectedEnergyTransferService=cm.SelectedServiceType(
                    ServiceID=identifier, ParameterSetID=choice.variant.identifier
                ),
                SelectedVASList=cm.SelectedServiceListType(SelectedService=added) if added else None,
            ),
            cm.ServiceSelectionRes,
            then=self.reached("selected"),
        )

    def _discover(self) -> Steps[Offer]:
        known = self.settings.services[:_MOST]
        found = yield from self.vehicle.exchange(
            cm.ServiceDiscoveryReq(
                Header=HEADER, SupportedServiceIDs=cm.ServiceIDListType(ServiceID=known) if known else None
            ),
            cm.ServiceDiscoveryRes,
        )
        services: list[EnergyService] = []
        for one in found.EnergyTransferServiceList.Service:
            if not self._usable(one.ServiceID):
                continue
            service = read_service(one.ServiceID, one.FreeService, (yield from self._details(one.ServiceID)))
            if service is not None and service.variants:
                services.append(service)
        added: list[ValueAdded] = []
        for one in found.VASList.Service if found.VASList else ():
            if not known or one.ServiceID in known:
                sets = yield from self._details(one.ServiceID)
                added.append(read_value_added(one.ServiceID, one.FreeService, sets))
        if not services:
            raise V2GPKIError(
                "session.no_charge_service",
                "the station offers no energy transfer that the vehicle knows",
                clause="ISO 15118-20 8.3.4.3.5",
            )
        return Offer(
            self.trip.evse_id,
            tuple(services),
            (self.trip.method,),
            tuple(added),
            installation=False,
            service_renegotiation=found.ServiceRenegotiationSupported,
        )

    def _usable(self, identifier: int) -> bool:
        """Whether a service is energy, of the protocol that was agreed on."""
        transfers = {number: current.lower() for (current, _), number in SERVICE_IDS.items()}
        return is_energy(identifier) and self.transfer in {"", transfers[identifier]}

    def _details(self, identifier: int) -> Steps[cm.ServiceParameterListType]:
        answer = yield from self.vehicle.exchange(
            cm.ServiceDetailReq(Header=HEADER, ServiceID=identifier), cm.ServiceDetailRes
        )
        return answer.ServiceParameterList


