"""ServiceDiscovery, ServiceDetail and ServiceSelection at the SECC (ISO 15118-20 8.3.4.3.5, [V2G20-464])."""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.conversation import Answer, Handler
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.secc.course import Part, of
from v2gpki.session.iso20.services import details, offered, select

#: Services of a list.
_MOST = 8


class Selection(Part):
    """What is offered, and what is taken of it."""

    #: "ac" or "dc" if the protocol that was agreed on is for one of them.
    transfer = ""

    def handlers(self) -> Mapping[str, Handler]:
        """The requests of this subject."""
        return {
            "ServiceDiscoveryReq": of(cm.ServiceDiscoveryReq, self._discover),
            "ServiceDetailReq": of(cm.ServiceDetailReq, self._detail),
            "ServiceSelectionReq": of(cm.ServiceSelectionReq, self._select),
        }

    def _discover(self, request: cm.ServiceDiscoveryReq) -> Steps[Answer]:
        yield from ()
        offer = self.settings.offer
        known = set(request.SupportedServiceIDs.ServiceID) if request.SupportedServiceIDs else None
        energy = tuple(
            cm.ServiceType(ServiceID=identifier, FreeService=service.free)
            for identifier, service in offered(offer, self.transfer).items()
            if known is None or identifier in known
        )
        if not energy:
            raise V2GPKIError(
                "session.no_charge_service",
                f"nothing is offered here that the vehicle knows: {sorted(known or ())}",
                clause="ISO 15118-20 8.3.4.3.5",
            )
        added = tuple(
            cm.ServiceType(ServiceID=value.identifier, FreeService=value.free)
            for value in offer.value_added
            if known is None or value.identifier in known
        )
        return Answer(
            cm.ServiceDiscoveryRes(
                Header=HEADER,
                ResponseCode="OK",
                ServiceRenegotiationSupported=offer.service_renegotiation,
                EnergyTransferServiceList=cm.ServiceListType(Service=energy[:_MOST]),
                VASList=cm.ServiceListType(Service=added[:_MOST]) if added else None,
            )
        )

    def _detail(self, request: cm.ServiceDetailReq) -> Steps[Answer]:
        yield from ()
        found = details(self.settings.offer, request.ServiceID, self.transfer)
        return Answer(
            cm.ServiceDetailRes(
                Header=HEADER, ResponseCode="OK", ServiceID=request.ServiceID, ServiceParameterList=found
            )
        )

    def _select(self, request: cm.ServiceSelectionReq) -> Steps[Answer]:
        yield from ()
        self.course.selected = select(self.settings.offer, request, self.transfer)
        return Answer(
            cm.ServiceSelectionRes(Header=HEADER, ResponseCode="OK"), then=self.reached("selected")
        )
