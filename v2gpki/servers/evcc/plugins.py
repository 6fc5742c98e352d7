"""What a vehicle is made of: protocols that its OEM fills in. No message class is seen here.

Every method is a coroutine; ``servers.in_thread`` makes one of a plain function. The station waits between two
messages, at most as long as its edition says (-2: 60 s, in the charging loop of DC 5 s), so answers have to be quick. A
plug-in that cannot answer raises ``V2GPKIError``; the session ends in order. Units as in ``energy.quantities``. Stock
implementations: ``servers/evcc/defaults``. Clauses: ISO 15118-2 8.4, 8.5; ISO 15118-20 8.3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from v2gpki.energy.offer import Method, Notification, Offer
from v2gpki.energy.quantities import Demand, Needs, Reading, VehicleLimits, VehicleState
from v2gpki.energy.schedule import EnergyOffer
from v2gpki.energy.steering import Delivered, ScheduleChoice, SchedulesOffered, ServiceChoice, Step
from v2gpki.energy.tariff import Receipt
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.signer import Signer
from v2gpki.pnc.algorithms import Edition
from v2gpki.session.notices import Notice
from v2gpki.session.questions import MethodChoice


@dataclass(frozen=True, slots=True)
class VehicleFacts:
    """What a vehicle is: ``mac`` is the EVCCID of -2 (6 octets), ``evcc_id`` that of -20.

    ``services``: ids of energy services and value-added ones that it knows in -20, () says nothing of them.
    """

    mac: bytes
    evcc_id: str
    services: tuple[int, ...] = ()
    #: Points of a schedule that it can keep (-20: 12 to 1024).
    most_entries: int = 1024
    #: Contracts that it takes in one installation (-20).
    maximum_contracts: int = 1


# --- the battery ----------------------------------------------------------------------------------------------------


class Battery(Protocol):
    """The battery, its management and the on-board charger.

    >>> import asyncio
    >>> class Full:
    ...     async def needs(self) -> Needs:
    ...         return Needs(target_energy=0, maximum_energy=0)
    ...     async def limits(self) -> VehicleLimits:
    ...         return VehicleLimits("DC", 150_000, 450, 400, min_voltage=300)
    ...     async def state(self) -> VehicleState:
    ...         return VehicleState(soc=1.0, voltage=400.0, complete=True)
    ...     async def connect(self) -> None: ...
    ...     async def disconnect(self) -> None: ...
    ...     async def demand(self, delivered: Delivered) -> Demand:
    ...         return Demand(power=0, voltage=400, current=0)
    >>> full: Battery = Full()
    >>> asyncio.run(full.state()).complete
    True
    """

    async def needs(self) -> Needs:
        """What the vehicle wants now."""
        ...

    async def limits(self) -> VehicleLimits:
        """What it can take and give back now."""
        ...

    async def state(self) -> VehicleState:
        """What it is doing."""
        ...

    async def connect(self) -> None:
        """Close the vehicle's contactors, after the precharge. Raises ``vehicle.contactor`` when they do not."""
        ...

    async def disconnect(self) -> None:
        """Open them. Must succeed when they are open."""
        ...

    async def demand(self, delivered: Delivered) -> Demand:
        """Take what is delivered, until asked again; what to ask for next.

        Before the power path is closed the answer is the target of the precharge.
        """
        ...


# --- contracts and keys ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldContract:
    """A contract in the vehicle: chain as DER, leaf first, without root; its key signs and stays where it is.

    ``agreement`` is the same key (or the X448 one beside it) as one that opens envelopes: the provisioning key needs
    it, and a contract's key for an update. None: nothing can be installed with it.
    """

    emaid: str
    edition: Edition
    chain: tuple[bytes, ...]
    signer: Signer
    agreement: KeyAgreement | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation brought: the contract's chain, and its private key as unencrypted PKCS#8."""

    emaid: str
    edition: Edition
    chain: tuple[bytes, ...]
    private_key: bytes = field(repr=False)


class ContractStore(Protocol):
    """The vehicle's contracts, roots and provisioning key.

    >>> import asyncio
    >>> class Empty:
    ...     async def roots(self, edition: Edition) -> tuple[bytes, ...]:
    ...         return ()
    ...     async def contract(self, edition: Edition, providers: tuple[str, ...]) -> HeldContract | None:
    ...         return None
    ...     async def provisioning(self, edition: Edition) -> HeldContract | None:
    ...         return None
    ...     async def save(self, installed: Installed) -> HeldContract:
    ...         raise NotImplementedError
    >>> store: ContractStore = Empty()
    >>> asyncio.run(store.contract("iso15118-2", ())) is None
    True
    """

    async def roots(self, edition: Edition) -> tuple[bytes, ...]:
        """The V2G roots that a CertificateInstallationReq names, DER, the preferred one first; at most 20."""
        ...

    async def contract(self, edition: Edition, providers: tuple[str, ...]) -> HeldContract | None:
        """The contract to pay with, if there is one; ``providers``: the operators that the station takes, () all."""
        ...

    async def provisioning(self, edition: Edition) -> HeldContract | None:
        """The OEM provisioning certificate with its key, its PCID as ``emaid``. None: nothing can be installed."""
        ...

    async def save(self, installed: Installed) -> HeldContract:
        """Keep a contract; one with the same EMAID and edition is replaced. Raises ``file.unwritable``."""
        ...


# --- choices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentAsked:
    """What the station takes; ``installable``: it would install contracts now. ``failed``: ways that it has refused."""

    edition: Edition
    methods: tuple[Method, ...]
    contract: HeldContract | None
    installable: bool = False
    failed: tuple[Method, ...] = ()


class Consent(Protocol):
    """Chooses for the driver of the vehicle: how to charge, how to pay, which schedule, which readings to sign.

    >>> import asyncio
    >>> class Frugal:
    ...     async def payment(self, asked: PaymentAsked) -> MethodChoice:
    ...         return MethodChoice("pnc" if asked.contract is not None and "pnc" in asked.methods else "eim")
    ...     async def service(self, offer: Offer, edition: Edition, contract: HeldContract | None) -> ServiceChoice:
    ...         first = offer.services[0]
    ...         return ServiceChoice("eim", first, first.variants[0])
    ...     async def schedule(self, offered: SchedulesOffered, needs: Needs) -> ScheduleChoice:
    ...         return ScheduleChoice(offered.schedules[-1].identifier)
    ...     async def metering(self, reading: Reading, receipt: Receipt | None) -> bool:
    ...         return receipt is not None
    ...     async def energy_offer(self, now: int, needs: Needs) -> EnergyOffer | None:
    ...         return None
    >>> frugal: Consent = Frugal()
    >>> from v2gpki.energy import EnergyService, Offer, Variant
    >>> offer = Offer("DE*ABC*E1", (EnergyService("AC", (Variant("three_phase"),)),))
    >>> asyncio.run(frugal.service(offer, "iso15118-2", None)).variant.connector
    'three_phase'
    """

    async def payment(self, asked: PaymentAsked) -> MethodChoice:
        """How to pay; -20 asks that before any service is known. Raises ``vehicle.no_service`` when no way is left."""
        ...

    async def service(self, offer: Offer, edition: Edition, contract: HeldContract | None) -> ServiceChoice:
        """What to take; ``contract`` is the store's. Raises ``vehicle.no_service`` when nothing fits."""
        ...

    async def schedule(self, offered: SchedulesOffered, needs: Needs) -> ScheduleChoice:
        """Which schedule. Raises ``vehicle.no_consent`` when none is good enough: the session ends in order."""
        ...

    async def metering(self, reading: Reading, receipt: Receipt | None) -> bool:
        """Whether to confirm a reading under the contract's signature; refusing ends the session."""
        ...

    async def energy_offer(self, now: int, needs: Needs) -> EnergyOffer | None:
        """Energy to give back and its price (-20, BPT); ``now`` in Unix seconds."""
        ...


class Pilot(Protocol):
    """Says in every round of charging how it goes on; ``wish`` is what the station wants, within ``within`` seconds.

    >>> import asyncio
    >>> class UntilFull:
    ...     async def step(self, state: VehicleState, wish: Notification, within: float) -> Step:
    ...         if wish == "renegotiate_schedule":
    ...             return Step("renegotiate")
    ...         return Step("stop" if state.complete or wish == "stop" else "go_on")
    >>> pilot: Pilot = UntilFull()
    >>> asyncio.run(pilot.step(VehicleState(1.0, 400.0, complete=True), "", 0)).what
    'stop'
    """

    async def step(self, state: VehicleState, wish: Notification, within: float) -> Step:
        """The next step."""
        ...


class VehicleEvents(Protocol):
    """Is told what happened: every notice of the session's engine, in order.

    >>> import asyncio
    >>> from v2gpki.session.notices import Moved
    >>> class Kept(list):
    ...     async def happened(self, notice: Notice) -> None:
    ...         self.append(notice)
    >>> kept = Kept()
    >>> events: VehicleEvents = kept
    >>> asyncio.run(events.happened(Moved(at=0.0, state="begin", then="session", request="SessionSetupReq")))
    >>> kept[0].request
    'SessionSetupReq'
    """

    async def happened(self, notice: Notice) -> None:
        """What this raises is logged and changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class VehiclePlugins:
    """A vehicle's plug-ins together."""

    facts: VehicleFacts
    battery: Battery
    contracts: ContractStore
    consent: Consent
    pilot: Pilot
    events: VehicleEvents | None = None
