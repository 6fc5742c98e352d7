"""The SECC of ISO 15118-20: its subjects joined to one table of handlers.

Never spoken below TLS 1.3 with a vehicle certificate, but in a lab that says so. Clauses: ISO 15118-20 8, [V2G20-1264],
[V2G20-2356], table 224 (which WARNING belongs to which response).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from v2gpki.errors import V2GPKIError
from v2gpki.messages.iso20_types import responseCodeType
from v2gpki.session.conversation import Answering
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Engine, Steps, over
from v2gpki.session.iso20.dialect import ISO20Dialect
from v2gpki.session.iso20.secc.authorization import Authorization
from v2gpki.session.iso20.secc.course import Course
from v2gpki.session.iso20.secc.loop import Loop
from v2gpki.session.iso20.secc.opening import Opening
from v2gpki.session.iso20.secc.power import Power
from v2gpki.session.iso20.secc.selection import Selection
from v2gpki.session.iso20.settings import StationSettings
from v2gpki.session.notices import Ending
from v2gpki.session.secured import Secured

_CODES = frozenset(get_args(responseCodeType))
_CERTIFICATE = frozenset(
    {
        "WARNING_CertificateExpired",
        "WARNING_CertificateNotYetValid",
        "WARNING_CertificateRevoked",
        "WARNING_CertificateValidationError",
        "WARNING_eMSPUnknown",
    }
)
#: Warnings by the request that they may answer; the last one stands for those that it may not.
_WARNINGS: Mapping[str, tuple[frozenset[str], str]] = {
    "AuthorizationReq": (
        _CERTIFICATE
        | {
            "WARNING_AuthorizationSelectionInvalid",
            "WARNING_ChallengeInvalid",
            "WARNING_EIMAuthorizationFailure",
            "WARNING_GeneralPnCAuthorizationError",
        },
        "WARNING_GeneralPnCAuthorizationError",
    ),
    "CertificateInstallationReq": (
        _CERTIFICATE | {"WARNING_NoCertificateAvailable", "WARNING_NoContractMatchingPCIDFound"},
        "WARNING_NoCertificateAvailable",
    ),
    "PowerDeliveryReq": (frozenset({"WARNING_StandbyNotAllowed"}), "FAILED"),
}


class ISO20Station(Answering):
    """One session at a station. ``random`` gives so many octets, for session ids and challenges; ``transfer`` is "ac"
    or "dc" if the protocol that was agreed on is for one of them."""

    def __init__(
        self,
        engine: Engine,
        settings: StationSettings,
        secured: Secured | None,
        random: Callable[[int], bytes],
        transfer: str = "",
    ) -> None:
        super().__init__(engine, ISO20Dialect(settings.timers))
        self._allowed = settings.lab or (secured is not None and secured.may_carry_iso20)
        self.course = course = Course()
        opening = Opening(self, settings, secured, course)
        authorization = Authorization(self, settings, secured, course)
        selection = Selection(self, settings, secured, course)
        power, loop = Power(self, settings, secured, course), Loop(self, settings, secured, course)
        opening.random = random
        opening.transfer = selection.transfer = transfer
        authorization.methods = opening.methods
        parts = (opening, authorization, selection, power, loop)
        self.handlers = {name: handler for part in parts for name, handler in part.handlers().items()}

    def run(self) -> Steps[Ending]:
        """Answer requests until the session ends."""
        if not self._allowed:
            raise over(
                "fault",
                "session.insecure",
                "ISO 15118-20 is not spoken here: the connection is not TLS 1.3 with a vehicle certificate",
                hint="a lab may say that it does without",
                clause="ISO 15118-20 [V2G20-1264], [V2G20-2356]",
            )
        return (yield from super().run())

    def code_for(self, problem: V2GPKIError, request: Heard) -> str:
        """The ResponseCode that says what went wrong with a request: one of -20's, a warning where warnings may be."""
        code = super().code_for(problem, request)
        if code not in _CODES or code.startswith("OK"):
            code = "FAILED"
        if request.name == "CertificateInstallationReq" and problem.code == "session.late":
            return "WARNING_NoCertificateAvailable"
        if not code.startswith("WARNING"):
            return code
        may, instead = _WARNINGS.get(request.name, (frozenset(), "FAILED"))
        return code if code in may else instead

    def after_warning(self, request: Heard) -> str:
        """The state after a warning."""
        then = {"AuthorizationReq": "unauthorised", "CertificateInstallationReq": "installed"}
        return then.get(request.name) or super().after_warning(request)

