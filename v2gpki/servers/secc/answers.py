"""What a station's engine asks, answered by its plug-ins and keys.

Signatures are checked here and what a plug-in says goes to the engine as it is. A contract chain that no root of ours
knows may still be good: the authoriser is told so and decides (central validation); one that is expired, revoked or
otherwise wrong is refused at once. Clauses: ISO 15118-2 8.4.3.7, 8.4.3.8, [V2G2-904]; ISO 15118-20 8.3.4.3; OCPP 2.0.1
C07.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from v2gpki.clock import Clock
from v2gpki.energy.offer import Method
from v2gpki.energy.quantities import Present, Reading, Setpoint
from v2gpki.energy.steering import SchedulesGiven, steered
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.messages.xmldsig import Signature
from v2gpki.ocpp.hash_data import HashData, entries
from v2gpki.pnc import authorisation
from v2gpki.pnc import signature as signatures
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.contract_codes import with_code
from v2gpki.servers.driving import Answers
from v2gpki.servers.secc.outlet import Outlet, PausedSessions
from v2gpki.servers.secc.plugins import Asked, Charging, ContractAsked, ScheduleAsked, StationPlugins
from v2gpki.servers.secc.plugins import Decision as Decided
from v2gpki.session import questions as q
from v2gpki.session.notices import Agreed, Established, Notice
from v2gpki.session.secured import Secured

_LOG = logging.getLogger("v2gpki.secc")
#: What says only that nobody here knows the root.
_UNKNOWN_HERE = frozenset({"path.no_anchor", "path.status_unknown"})
#: Readings of a session that are kept: a day of minutes.
_MINUTE = 60
_MOST_READINGS = 1440
#: Chains are judged in threads of their own: a flood of them must not keep a power stage's threads from opening.
_JUDGING = ThreadPoolExecutor(2, thread_name_prefix="judging")
#: An authoriser that has not answered by then is still at work, and asked again.
_AUTHORISES_WITHIN = 1.0
_NAMESPACES: dict[str, str] = {
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20": "urn:iso:std:iso:15118:-20:CommonMessages",
}


@dataclass(frozen=True, slots=True)
class StationKeys:
    """Whom a station trusts, and what it signs with.

    ``judge_contract`` (chain leaf first without root, edition, moment) raises for a chain that is not good. ``roots``
    (DER): those that hash data of a chain may need. ``tariff_signer`` has the key of an MO's Sub-CA 2 (a lab's, or a
    mobility operator's); ``metering_signer`` signs SignedMeteringData of -20.
    """

    judge_contract: Callable[[tuple[bytes, ...], Edition, datetime], object]
    roots: tuple[bytes, ...] = ()
    tariff_signer: Signer | None = None
    metering_signer: Signer | None = None
    #: A lab's: signatures of -20 as EcoG's stack makes them (P-256, SHA-256), digests over whole documents too.
    lab: bool = False

    def signed_in(self, edition: Edition) -> Edition:
        """The edition whose algorithms messages of a session are signed with."""
        return "lab-ecog-20" if self.lab and edition == "iso15118-20" else edition


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose session it is, and who pays; of a session that was joined as it was before."""

    session_id: bytes = bytes(8)
    evcc_id: str = ""
    method: Method = "eim"
    emaid: str = ""


class StationAnswers:
    """The answers of one session."""

    def __init__(
        self,
        plugins: StationPlugins,
        keys: StationKeys,
        clock: Clock,
        *,
        secured: Secured | None,
        evse_id: str,
        paused: PausedSessions | None = None,
    ) -> None:
        """``paused``: what the outlet keeps of sessions that paused; None keeps nothing."""
        self._plugins = plugins
        self._keys = keys
        self._clock = clock
        self._secured = secured
        self._evse_id = evse_id
        self._paused = PausedSessions(most=0) if paused is None else paused
        self._outlet = Outlet(plugins.stage)
        self._payer = Payer()
        self._resumed: q.Paused | None = None
        self._edition: Edition = "iso15118-2"
        self._verdict: V2GPKIError | None = None
        self._emaid = ""
        self._deciding: asyncio.Task[Decided] | None = None
        self._deciding_on: object = None
        self._readings: list[Reading] = []
        self._confirmed = 0.0
        self._began: float | None = None
        self._closing = False

    @property
    def answers(self) -> Answers:
        """By the class of the question."""
        return {
            q.ContractChainQuestion: self._contract_chain,
            q.SignatureQuestion: self._check,
            q.SigningQuestion: self._sign,
            q.AuthorizationQuestion: self._authorise,
            q.ContractQuestion: self._contract,
            q.StationLimitsQuestion: lambda _: self._plugins.stage.limits(),
            q.SchedulesQuestion: self._schedules,
            q.CableCheckQuestion: lambda _: self._outlet.reached().cable_check(),
            q.PreChargeQuestion: self._precharge,
            q.ContactorQuestion: self._contactor,
            q.PowerQuestion: self._power,
            q.IdleQuestion: self._idle,
            q.WeldingQuestion: lambda _: self._plugins.stage.present(),
            q.ReceiptQuestion: self._receipt,
            q.PausedQuestion: self._joined,
            q.PauseQuestion: self._pause,
        }

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The meter from the session's first reading to its last."""
        return tuple(self._readings)

    async def told(self, notice: Notice) -> None:
        """What the engine told; passed on to the plug-in that listens."""
        if isinstance(notice, Agreed) and notice.edition:
            self._edition = "iso15118-20" if notice.edition == "iso15118-20" else "iso15118-2"
        elif isinstance(notice, Established):
            before = self._resumed if notice.resumed else None
            self._payer = Payer(
                notice.session_id,
                notice.other,
                before.method if before else "eim",
                before.emaid if before else "",
            )
        if self._plugins.events is not None:
            await self._plugins.events.happened(notice)

    def stop(self) -> None:
        """The outlet closes: whatever its operator wants, charging ends in order with the next round."""
        self._closing = True

    async def ended(self) -> None:
        """The session is over, however: no current, open contactors, nothing left running. Raises nothing."""
        self._forget_decision()
        await self._outlet.release()

    # -- trust ---------------------------------------------------------------------------------

    async def _contract_chain(self, question: q.ContractChainQuestion) -> q.Done:
        """Whose contract it is, by its certificate, and whether it holds."""
        self._verdict, self._emaid = None, ""
        try:
            self._emaid = authorisation.check_contract(question.emaid, question.chain)
            trusted = await asyncio.get_running_loop().run_in_executor(
                _JUDGING, self._keys.judge_contract, question.chain, self._edition, self._clock.now()
            )
        except V2GPKIError as problem:
            with_code(problem, self._edition)
            if problem.code not in _UNKNOWN_HERE:
                raise
            self._verdict = problem
            return q.DONE
        return q.ExpiresSoon() if getattr(trusted, "expires_soon", False) else q.DONE

    def _check(self, question: q.SignatureQuestion) -> q.Done:
        lab, edition = self._keys.lab, self._keys.signed_in(self._edition)
        if question.purpose == "AuthorizationReq":
            authorisation.check_authorization(
                question.message,
                question.challenge,
                chain=question.chain,
                edition=edition,
                accept_document_digest=lab,
            )
        else:
            signatures.verify(question.message, question.chain[0], edition=edition, accept_document_digest=lab)
        return q.DONE

    def _sign(self, question: q.SigningQuestion) -> Signature:
        metered = question.purpose == "SignedMeteringData"
        signer = self._keys.metering_signer if metered else self._keys.tariff_signer
        if signer is None:
            raise V2GPKIError(
                "station.no_key",
                f"there is no key to sign {question.purpose} with",
                hint="SignedMeteringData need the SECC's key, tariffs that of an MO Sub-CA 2",
                facts={"purpose": question.purpose},
            )
        return signatures.sign(question.message, signer, edition=self._keys.signed_in(self._edition))

    async def _authorise(self, question: q.AuthorizationQuestion) -> q.Decision:
        """The authoriser's word; one that takes its time is asked for its answer at the next request, if that is by
        the same payer: nobody charges by the decision about another one."""
        contract = question.method == "pnc"
        emaid = (question.emaid or self._emaid) if contract else ""
        self._payer = Payer(question.session_id, question.evcc_id, question.method, emaid)
        subject = (question.method, emaid, question.chain)
        if subject != self._deciding_on:
            self._forget_decision()
        if self._deciding is None:
            self._deciding_on = subject
            asked = Asked(
                method=question.method,
                edition=self._edition,
                session_id=question.session_id,
                evcc_id=question.evcc_id,
                emaid=emaid,
                chain=question.chain,
                hash_data=self._hash_data(question.chain),
                verdict=self._verdict if contract else None,
                attempt=question.attempt,
            )
            self._deciding = asyncio.ensure_future(self._decide(asked))
        await asyncio.wait([self._deciding], timeout=_AUTHORISES_WITHIN)
        if not self._deciding.done():
            return q.Decision("ongoing", reason="the authoriser is still at work")
        deciding, self._deciding = self._deciding, None
        decided = deciding.result()
        if decided.problem is not None and decided.status == "rejected" and not decided.response_code:
            raise with_code(decided.problem, self._edition) if question.method == "pnc" else decided.problem
        return q.Decision(decided.status, decided.response_code, decided.reason, decided.customer)

    def _forget_decision(self) -> None:
        deciding, self._deciding, self._deciding_on = self._deciding, None, None
        if deciding is not None:
            deciding.add_done_callback(_heard)
            deciding.cancel()

    async def _decide(self, asked: Asked) -> Decided:
        return await self._plugins.authoriser.authorise(asked)

    def _hash_data(self, chain: tuple[bytes, ...]) -> tuple[HashData, ...]:
        """Of each certificate, if all issuers are known; else none (OCPP then sends the certificate itself)."""
        if not chain:
            return ()
        try:
            return tuple(data for _, data in entries(chain, anchors=self._keys.roots))
        except V2GPKIError as problem:
            _LOG.info("no hash data of a contract chain", extra={"code": problem.code, "reason": problem.message})
            return ()

    async def _contract(self, question: q.ContractQuestion) -> q.ContractGiven:
        provider = self._plugins.contracts
        if provider is None:
            raise V2GPKIError("session.no_contracts", "this station gets no contracts for vehicles")
        given = await provider.contract(
            ContractAsked(
                exi=question.exi,
                edition=self._edition,
                action=question.action,
                schema=_NAMESPACES[self._edition],
                deadline_seconds=question.seconds,
                maximum_contracts=question.maximum_contracts,
                evse_id=self._evse_id,
            )
        )
        if given.status == "ongoing":
            raise V2GPKIError("session.late", "the contract is still being made")
        if not given.exi:
            raise given.problem or V2GPKIError(
                "session.no_contracts", f"no contract for the vehicle: {given.reason or 'the provider gave none'}"
            )
        reason = given.problem.message if given.problem else given.reason
        return q.ContractGiven(given.exi, given.remaining, "" if given.status == "accepted" else reason)

    # -- power and prices ----------------------------------------------------------------------

    async def _schedules(self, question: q.SchedulesQuestion) -> SchedulesGiven:
        payer = self._payer
        return await self._plugins.tariffs.schedules(
            ScheduleAsked(
                edition=self._edition,
                session_id=payer.session_id,
                now=int(self._clock.now().timestamp()),
                control=question.control,
                method=payer.method,
                emaid=payer.emaid,
                stage=question.stage,
                vehicle=question.vehicle,
                needs=question.needs,
                bidirectional=question.bidirectional,
                pricing=question.pricing,
                most_entries=question.most_entries,
                renegotiation=question.renegotiation,
                vehicle_offer=question.vehicle_offer,
                attempt=question.attempt,
            )
        )

    async def _precharge(self, question: q.PreChargeQuestion) -> Present:
        stage = self._plugins.stage
        return await self._outlet.switch(lambda: stage.precharge(question.voltage, question.current))

    async def _contactor(self, question: q.ContactorQuestion) -> q.Done:
        stage = self._plugins.stage
        await self._outlet.switch(stage.close if question.closed else stage.open)
        if question.closed and not self._readings:
            self._readings.append(await self._reading())
        elif not question.closed and self._readings:
            # What flowed until now counts too.
            self._keep(await self._reading())
        return q.DONE

    async def _reading(self) -> Reading:
        """The meter now, signed if anybody can."""
        reading = await self._plugins.stage.meter()
        if reading.signature is None and self._plugins.meter_signer is not None:
            reading = replace(reading, signature=await self._plugins.meter_signer.sign(reading))
        return reading

    async def _idle(self, _question: q.IdleQuestion) -> q.Done:
        await self._plugins.stage.deliver(Setpoint(0.0, current=0.0))
        return q.DONE

    async def _power(self, question: q.PowerQuestion) -> q.Delivery:
        loop_now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = loop_now
        stage, payer = self._outlet.reached(), self._payer
        # What flowed until now is counted, and seen by whoever decides what shall flow next.
        present, reading = await stage.present(), await self._reading()
        self._keep(reading)
        control = await self._plugins.operator.control(
            Charging(
                edition=self._edition,
                session_id=payer.session_id,
                evcc_id=payer.evcc_id,
                control=question.control,
                emaid=payer.emaid,
                seconds=loop_now - self._began,
                limits=question.limits,
                vehicle=question.vehicle,
                needs=question.needs,
                present=present,
                reading=reading,
                setpoint=question.setpoint,
                since_receipt=self._transferred(reading) - self._confirmed,
            )
        )
        if self._closing:
            control = replace(control, notification="stop")
        # Who stands by is given nothing, whatever the station has in mind.
        standing_by = question.control == "dynamic" and question.granted == 0.0
        shall = question.setpoint if standing_by else steered(question.setpoint, control, question.control)
        present = await stage.deliver(shall)
        receipt = await self._plugins.tariffs.receipt(payer.session_id, self.readings)
        return q.Delivery(present, await stage.limits(), control, reading, receipt)

    def _keep(self, reading: Reading) -> None:
        """The first reading, the newest, and one a minute between them: enough for prices by time."""
        kept = self._readings
        if len(kept) > 1 and (reading.at is None or (kept[-1].at or 0) - (kept[-2].at or 0) < _MINUTE):
            kept[-1] = reading
        elif len(kept) < _MOST_READINGS:
            kept.append(reading)
        else:
            kept[-1] = reading

    def _transferred(self, reading: Reading) -> float:
        """Wh in both directions since the session's first reading."""
        first = self._readings[0]
        return (reading.imported - first.imported) + (reading.exported - first.exported)

    def _joined(self, question: q.PausedQuestion) -> q.Paused | None:
        self._resumed = self._paused.take(question.session_id, question.edition)
        return self._resumed

    def _pause(self, question: q.PauseQuestion) -> q.Done:
        """Who pays is written down here: -20 has the EMAID in the contract's certificate alone."""
        paused = question.paused
        if paused is not self._resumed:
            paused = replace(paused, emaid=self._payer.emaid)
        self._paused.keep(paused)
        return q.DONE

    def _receipt(self, question: q.ReceiptQuestion) -> q.Done:
        self._confirmed = self._transferred(question.reading)
        return q.DONE


def _heard(deciding: asyncio.Task[Decided]) -> None:
    """An error that comes when nobody asks any more is nobody's to catch."""
    if not deciding.cancelled():
        deciding.exception()
