"""What a vehicle's engine asks, answered by its plug-ins and keys.

Signatures of the station are checked here, answers with contracts are opened behind a verified signature and a trusted
CPS, and the key of the contract that was chosen signs. Clauses: ISO 15118-2 8.4.3.7 to 8.4.3.11, [V2G2-903]; ISO
15118-20 8.3.4.3.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import serialization

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc import envelope, installation
from v2gpki.pnc import signature as signatures
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.driving import Answers
from v2gpki.servers.evcc.plugins import HeldContract, Installed, PaymentAsked, VehiclePlugins
from v2gpki.session import questions as q
from v2gpki.session.notices import Agreed, Notice
from v2gpki.session.secured import Secured

_LOG = logging.getLogger("v2gpki.evcc")
#: Seconds for contactors to open at the end of a session.
_OPENS_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class VehicleKeys:
    """Whom a vehicle trusts: ``judge_cps`` (chain as it came, edition, moment) raises for a CPS chain that is not good
    and gives the path that it trusts. ``aad`` names the additional data of -20 envelopes."""

    judge_cps: Callable[[tuple[bytes, ...], Edition, datetime], object]
    aad: str = envelope.DEFAULT_AAD
    #: A lab's: signatures of -20 as EcoG's stack makes them (P-256, SHA-256), digests over whole documents too.
    lab: bool = False

    def signed_in(self, edition: Edition) -> Edition:
        """The edition whose algorithms messages of a session are signed with."""
        return "lab-ecog-20" if self.lab and edition == "iso15118-20" else edition


class VehicleAnswers:
    """The answers of one session."""

    def __init__(self, plugins: VehiclePlugins, keys: VehicleKeys, clock: Clock, *, secured: Secured | None) -> None:
        self._plugins = plugins
        self._keys = keys
        self._clock = clock
        self._secured = secured
        self._edition: Edition = "iso15118-2"
        self._contract: HeldContract | None = None
        #: EMAIDs that this session installed, in order.
        self.installed: list[str] = []
        #: What is needed to come back, when the session has paused.
        self.paused: q.Paused | None = None

    @property
    def answers(self) -> Answers:
        """By the class of the question."""
        battery, consent = self._plugins.battery, self._plugins.consent
        return {
            q.ContractChoiceQuestion: self._choose,
            q.SignatureQuestion: self._check,
            q.SigningQuestion: self._sign,
            q.InstallationRequestQuestion: self._installation_request,
            q.InstalledQuestion: self._install,
            q.MethodQuestion: self._method,
            q.ServiceQuestion: self._service,
            q.VehicleLimitsQuestion: lambda _: battery.limits(),
            q.NeedsQuestion: lambda _: battery.needs(),
            q.StateQuestion: lambda _: battery.state(),
            q.EnergyOfferQuestion: lambda question: consent.energy_offer(question.now, question.needs),
            q.ConsentQuestion: lambda question: consent.schedule(question.offered, question.needs),
            q.ConnectQuestion: self._connect,
            q.DemandQuestion: lambda question: battery.demand(question.delivered),
            q.StepQuestion: lambda question: self._plugins.pilot.step(question.state, question.wish, question.within),
            q.MeteringQuestion: lambda question: consent.metering(question.reading, question.receipt),
            q.PauseQuestion: self._pause,
        }

    async def told(self, notice: Notice) -> None:
        """What the engine told; passed on to the plug-in that listens."""
        if isinstance(notice, Agreed) and notice.edition:
            self._edition = "iso15118-20" if notice.edition == "iso15118-20" else "iso15118-2"
        if self._plugins.events is not None:
            await self._plugins.events.happened(notice)

    async def ended(self) -> None:
        """The session is over, however: open contactors. Raises nothing; the log has what failed."""
        try:
            async with asyncio.timeout(_OPENS_WITHIN):
                await self._plugins.battery.disconnect()
        except Exception:  # noqa: BLE001  # the border to a plug-in, at the end of a session
            _LOG.error("the vehicle's contactors may not be open", exc_info=True)

    # -- contracts -----------------------------------------------------------------------------

    async def _service(self, question: q.ServiceQuestion) -> object:
        contract = None
        if question.secured:
            contract = await self._plugins.contracts.contract(self._edition, question.offer.providers)
        return await self._plugins.consent.service(question.offer, self._edition, contract)

    async def _method(self, question: q.MethodQuestion) -> q.MethodChoice:
        contract = await self._plugins.contracts.contract(self._edition, question.providers)
        return await self._plugins.consent.payment(
            PaymentAsked(self._edition, question.methods, contract, question.installable, question.failed)
        )

    def _pause(self, question: q.PauseQuestion) -> q.Done:
        self.paused = question.paused
        return q.DONE

    async def _choose(self, question: q.ContractChoiceQuestion) -> q.Contract | None:
        held = self._contract = await self._plugins.contracts.contract(self._edition, question.providers)
        return None if held is None else q.Contract(held.emaid, held.chain)

    async def _held(self, action: str) -> HeldContract:
        """What a request for a contract is signed with."""
        if action == "update":
            held = self._contract or await self._plugins.contracts.contract(self._edition, ())
        else:
            held = await self._plugins.contracts.provisioning(self._edition)
        if held is None:
            raise V2GPKIError(
                "vehicle.no_contract" if action == "update" else "vehicle.no_provisioning",
                "the vehicle has no contract to update"
                if action == "update"
                else f"the vehicle has no OEM provisioning certificate for {self._edition}",
                hint="v2gpki export writes what a vehicle needs",
                facts={"edition": self._edition},
            )
        return held

    async def _installation_request(self, question: q.InstallationRequestQuestion) -> Message:
        held = await self._held(question.action)
        roots = await self._plugins.contracts.roots(self._edition)
        if question.action == "update":
            return installation.build_update_request(
                chain=held.chain, emaid=held.emaid, signer=held.signer, roots=roots, session_id=question.session_id
            )
        return installation.build_request(
            edition=self._keys.signed_in(self._edition),
            chain=held.chain,
            signer=held.signer,
            roots=roots,
            session_id=question.session_id,
            timestamp=self._clock.now(),
            maximum_contracts=self._plugins.facts.maximum_contracts,
        )

    async def _install(self, question: q.InstalledQuestion) -> q.Done:
        held = await self._held(question.action)
        if held.agreement is None:
            raise V2GPKIError(
                "vehicle.no_agreement",
                "the vehicle's key signs and does not agree on secrets: it cannot open an envelope",
                facts={"edition": self._edition},
            )
        edition, now = self._edition, self._clock.now()
        opened = await asyncio.to_thread(
            installation.open_response,
            installation.read_response(question.exi, action=question.action),
            held.agreement,
            trust=lambda chain: self._keys.judge_cps(chain, edition, now),
            pcid=held.emaid if question.action == "install" else "",
            aad=self._keys.aad,
        )
        key = opened.private_key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._contract = await self._plugins.contracts.save(Installed(opened.emaid, edition, opened.chain, key))
        self.installed.append(opened.emaid)
        return q.DONE

    # -- signatures ----------------------------------------------------------------------------

    def _check(self, question: q.SignatureQuestion) -> q.Done:
        """Tariffs by the Sub-CA of the contract's operator, meter readings by the station's certificate."""
        chain = question.chain
        if not chain and question.purpose == "SignedMeteringData" and self._secured is not None:
            chain = self._secured.peer_chain
        if not chain and self._contract is not None:
            chain = self._contract.chain[1:]
        if not chain:
            raise V2GPKIError(
                "vehicle.no_signer",
                f"nobody is known who may sign {question.purpose}: the vehicle has no contract",
                facts={"purpose": question.purpose},
            )
        edition, lab = self._keys.signed_in(self._edition), self._keys.lab
        signatures.verify(question.message, chain[0], edition=edition, accept_document_digest=lab)
        return q.DONE

    def _sign(self, question: q.SigningQuestion) -> Signature:
        if self._contract is None:
            raise V2GPKIError(
                "vehicle.no_contract", f"the vehicle has no contract to sign {question.purpose} with"
            )
        return signatures.sign(
            question.message, self._contract.signer, edition=self._keys.signed_in(self._edition)
        )

    async def _connect(self, question: q.ConnectQuestion) -> q.Done:
        battery = self._plugins.battery
        await (battery.connect() if question.closed else battery.disconnect())
        return q.DONE
