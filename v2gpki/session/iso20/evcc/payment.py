"""Who pays, at the EVCC: AuthorizationSetup, CertificateInstallation, Authorization.

The vehicle asks for contracts while there are more, repeats a request that is answered with Ongoing with nothing but
another time in it, and after a warning installs a contract, pays otherwise, or gives up. Clauses: ISO 15118-20
8.3.4.3.2 to 8.3.4.3.4, [V2G20-1582], [V2G20-2221].
"""

from __future__ import annotations

from msgspec.structs import replace

from v2gpki.energy.offer import Method
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.evcc.trip import Part
from v2gpki.session.notices import Judged
from v2gpki.session.questions import (
    ContractChoiceQuestion,
    InstallationRequestQuestion,
    InstalledQuestion,
    MethodQuestion,
    SigningQuestion,
)

#: Seconds for somebody to do something at the station.
_CUSTOMER = 300.0
_ID = "id1"
_METHODS: dict[str, Method] = {"PnC": "pnc", "EIM": "eim"}


class Payment(Part):
    """Contracts and who pays."""

    def authorise(self) -> Steps[None]:
        """Get the station to authorise. Raises `session.not_authorised` when no way to pay is left."""
        offered = yield from self.vehicle.exchange(
            cm.AuthorizationSetupReq(Header=HEADER), cm.AuthorizationSetupRes
        )
        mode = offered.PnC_ASResAuthorizationMode
        providers = mode.SupportedProviders.ProviderID if mode and mode.SupportedProviders else ()
        methods = self._methods(offered)
        installable = offered.CertificateInstallationService and "pnc" in methods
        failed: list[Method] = []
        for _ in range(self.settings.tries):
            if set(methods) <= set(failed):
                break
            choice = yield from self.ask(MethodQuestion(methods, installable, providers, tuple(failed)))
            if choice.install and installable:
                yield from self._install()
                installable = False
            if choice.method not in methods:
                raise V2GPKIError("session.not_authorised", f"the station does not take {choice.method}")
            challenge = mode.GenChallenge if mode else b""
            if (yield from self._try(choice.method, challenge, providers)):
                return
            failed.append(choice.method)
        raise V2GPKIError(
            "session.not_authorised",
            f"the station authorises none of {', '.join(methods) or 'what the vehicle can'}",
            clause="ISO 15118-20 8.3.4.3.4",
        )

    def _methods(self, offered: cm.AuthorizationSetupRes) -> tuple[Method, ...]:
        """What both sides can: contracts need TLS and a challenge."""
        found = []
        for name in offered.AuthorizationServices:
            method = _METHODS[name]
            secure = self.secured is not None or self.settings.lab
            usable = method == "eim" or (secure and offered.PnC_ASResAuthorizationMode is not None)
            if method in self.settings.methods and usable:
                found.append(method)
        return tuple(found)

    def _try(self, method: Method, challenge: bytes, providers: tuple[str, ...]) -> Steps[bool]:
        """Authorise in one way; False after a warning."""
        trip, engine = self.trip, self.vehicle.engine
        trip.method, trip.emaid, trip.chain = method, "", ()
        request = cm.AuthorizationReq(
            Header=HEADER,
            SelectedAuthorizationService="EIM",
            EIM_AReqAuthorizationMode=cm.EIM_AReqAuthorizationModeType(),
        )
        if method == "pnc":
            signed = yield from self._signed(challenge, providers)
            if signed is None:
                return False
            request = signed
        since = engine.now
        while True:
            answer = yield from self.vehicle.exchange(request, cm.AuthorizationRes, then=_authorised)
            if answer.ResponseCode.startswith("WARNING"):
                return False
            if answer.EVSEProcessing == "Finished":
                return True
            customer = answer.EVSEProcessing == "Ongoing_WaitingForCustomerInteraction"
            limit = _CUSTOMER if customer else self.vehicle.dialect.timers.ongoing
            yield from self.again(since, limit, "the authorization")

    def _signed(self, challenge: bytes, providers: tuple[str, ...]) -> Steps[cm.AuthorizationReq | None]:
        """The request of a contract; None if the vehicle has none that is taken here."""
        contract = yield from self.ask(ContractChoiceQuestion(providers))
        if contract is None:
            return None
        trip = self.trip
        trip.emaid, trip.chain = contract.emaid, contract.chain
        request = cm.AuthorizationReq(
            Header=HEADER,
            SelectedAuthorizationService="PnC",
            PnC_AReqAuthorizationMode=cm.PnC_AReqAuthorizationModeType(
                Id=_ID,
                GenChallenge=challenge,
                ContractCertificateChain=cm.ContractCertificateChainType(
                    Certificate=contract.chain[0],
                    SubCertificates=cm.SubCertificatesType(Certificate=contract.chain[1:]),
                ),
            ),
        )
        signature = yield from self.ask(SigningQuestion("AuthorizationReq", request, contract.emaid))
        return replace(request, Header=replace(HEADER, Signature=signature))

    # -- installation --------------------------------------------------------------------------

    def _install(self) -> Steps[None]:
        """Ask for contracts until there are no more; what goes wrong leaves the vehicle with what it has."""
        engine = self.vehicle.engine
        for _ in range(self.settings.most_contracts):
            try:
                request = yield from self.ask(InstallationRequestQuestion("install", self.vehicle.session_id))
                if not isinstance(request, cm.CertificateInstallationReq):
                    raise V2GPKIError("internal.bug", f"{type(request).__name__} asks for no contract")
                answer = yield from self._fetch(request)
                if answer is None:
                    return
                exi = self.vehicle.last.frame.payload if self.vehicle.last else b""
                yield from self.ask(InstalledQuestion(exi, "install"))
            except V2GPKIError as problem:
                engine.tell(Judged(engine.now, "contract", problem=problem))
                return
            engine.tell(Judged(engine.now, "contract"))
            if answer.RemainingContractCertificateChains == 0:
                return

    def _fetch(self, request: cm.CertificateInstallationReq) -> Steps[cm.CertificateInstallationRes | None]:
        """One contract; None after a warning."""
        since = self.vehicle.engine.now
        while True:
            answer = yield from self.vehicle.exchange(request, cm.CertificateInstallationRes, then=_installed)
            if answer.ResponseCode.startswith("WARNING"):
                return None
            if answer.EVSEProcessing == "Finished":
                return answer
            yield from self.again(since, self.vehicle.dialect.timers.ongoing, "the contract")


def _authorised(answer: cm.AuthorizationRes) -> str:
    if answer.ResponseCode.startswith("WARNING"):
        return "unauthorised"
    return "authorised" if answer.EVSEProcessing == "Finished" else "authorising"


def _installed(answer: cm.CertificateInstallationRes) -> str:
    return "installed" if answer.EVSEProcessing == "Finished" else "installing"
