"""What a session was, counted while it runs: time by step, certificates, energy, verdicts, how it ended.

`Tally` is told the same events as the ladder and gives a `Summary`. It judges nothing: verdicts are the engine's.
Energy is the meter's where it was read out, else power over time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from v2gpki.certs.view import view
from v2gpki.energy.quantities import Reading
from v2gpki.energy.tariff import Receipt
from v2gpki.errors import V2GPKIError
from v2gpki.messages.iso2 import V2G_Message
from v2gpki.render.ladder import Connected, Ended, Event, Place, is_response, late
from v2gpki.session.notices import Agreed, Delivered, Ending, Established, Exchanged, Judged
from v2gpki.session.secured import Secured

#: Readings are kept so far from each other, in seconds.
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """All exchanges of one kind: how many, how long the answers took (seconds), what is allowed, how many were late."""

    name: str
    count: int
    total: float
    slowest: float
    limit: float
    late: int


@dataclass(frozen=True, slots=True)
class Used:
    """A certificate that the session stood on: whose, its subject, and when it or one above it ends."""

    role: str
    subject: str
    not_after: datetime
    chain_ends: datetime
    fingerprint: str
    certificates: int


class Money(NamedTuple):
    """An amount; the currency by ISO 4217."""

    amount: Decimal
    currency: str


def total(receipt: Receipt) -> Money:
    """All lines of a receipt, without taxes that come on top."""
    charges = (receipt.energy, receipt.parking, receipt.services, receipt.overstay)
    return Money(sum((one.amount for one in charges if one), Decimal(0)), receipt.currency)


@dataclass(frozen=True, slots=True)
class Summary:
    """One session. Times in seconds since it began, energies in Wh, power in W; None is not known."""

    place: Place
    edition: str
    established: Established | None
    seconds: float
    authorised_after: float | None
    peer: str
    secured: Secured | None
    steps: tuple[Step, ...]
    certificates: tuple[Used, ...]
    verdicts: tuple[Judged, ...]
    charged: float | None
    discharged: float | None
    peak: float
    cost: Money | None
    ending: Ending | None

    @property
    def late(self) -> int:
        """Answers that took longer than is allowed."""
        return sum(step.late for step in self.steps)


@dataclass(slots=True)
class _Energy:
    """What has flowed, by the meter's registers, else by power over time."""

    told: list[Delivered] = field(default_factory=list)
    first: Delivered | None = None
    last: Delivered | None = None
    read_in: tuple[float, float] | None = None
    read_out: tuple[float, float] | None = None
    flowed_in: float = 0.0
    flowed_out: float = 0.0
    peak: float = 0.0

    def flows(self, event: Delivered) -> None:
        if self.last is not None:
            flowed = self.last.power * (event.at - self.last.at) / 3600
            self.flowed_in += max(flowed, 0.0)
            self.flowed_out += max(-flowed, 0.0)
        self.first, self.last = self.first or event, event
        if abs(event.power) > abs(self.peak):
            self.peak = event.power
        if event.imported is not None:
            if len(self.told) > 1 and event.at - self.told[-2].at < _MINUTE:
                self.told.pop()
            self.told.append(event)
            self.read_in = ((self.read_in or (event.imported, 0.0))[0], event.imported)
        if event.exported is not None:
            self.read_out = ((self.read_out or (event.exported, 0.0))[0], event.exported)

    @property
    def charged(self) -> float | None:
        if self.read_in is not None:
            return self.read_in[1] - self.read_in[0]
        return None if self.first is None else self.flowed_in

    @property
    def discharged(self) -> float | None:
        if self.read_out is not None:
            return self.read_out[1] - self.read_out[0]
        return None if self.first is None else self.flowed_out


@dataclass(slots=True)
class Tally:
    """Counts while a session runs. ``cost`` is set by whoever knows the price."""

    place: Place
    cost: Money | None = None
    _steps: dict[str, Step] = field(default_factory=dict, repr=False)
    _used: dict[str, Used] = field(default_factory=dict, repr=False)
    _verdicts: list[Judged] = field(default_factory=list, repr=False)
    _energy: _Energy = field(default_factory=_Energy, repr=False)
    _metered: tuple[Reading, Reading] | None = field(default=None, repr=False)
    _connected: Connected | None = field(default=None, repr=False)
    _edition: str = field(default="", repr=False)
    _established: Established | None = field(default=None, repr=False)
    _authorised: float | None = field(default=None, repr=False)
    _ending: Ending | None = field(default=None, repr=False)
    _last: float = field(default=0.0, repr=False)

    def told(self, event: Event) -> None:
        """Count one event."""
        self._last = max(self._last, event.at - self.place.zero)
        if isinstance(event, Exchanged):
            self._exchanged(event)
        elif isinstance(event, Delivered):
            self._energy.flows(event)
        elif isinstance(event, Agreed):
            self._edition = event.edition
        elif isinstance(event, Established):
            self._established = event
        elif isinstance(event, Judged):
            self._verdicts.append(event)
        elif isinstance(event, Connected):
            self._connected = event
            if event.secured is not None:
                self._chains(event.secured)
        elif isinstance(event, Ended):
            self._ending = event.ending

    def metered(self, readings: Sequence[Reading]) -> None:
        """The meter itself, where it can be asked: what was told on the way is older than its last reading."""
        if readings:
            self._metered = readings[0], readings[-1]

    @property
    def secured(self) -> Secured | None:
        """TLS of the connection, None for plain TCP or none yet."""
        return self._connected.secured if self._connected else None

    def readings(self, speed: float = 1.0) -> tuple[Reading, ...]:
        """The meter's registers: the first, the last, and one for each minute between. Their times run ``speed`` times
        as fast as the clock."""
        began = self.place.began.timestamp()
        return tuple(
            Reading("", one.imported or 0.0, one.exported or 0.0, at=int(began + (one.at - self.place.zero) * speed))
            for one in self._energy.told
        )

    def summary(self) -> Summary:
        """All so far."""
        connected = self._connected
        return Summary(
            self.place,
            self._edition,
            self._established,
            self._last,
            self._authorised,
            connected.peer if connected else "",
            self.secured,
            tuple(self._steps.values()),
            tuple(self._used.values()),
            tuple(self._verdicts),
            self._energy.charged if self._metered is None else self._metered[1].imported - self._metered[0].imported,
            self._energy.discharged if self._metered is None else self._metered[1].exported - self._metered[0].exported,
            self._energy.peak,
            self.cost,
            self._ending,
        )

    def _exchanged(self, event: Exchanged) -> None:
        if is_response(event):
            name = event.name.removesuffix("Res")
            before = self._steps.get(name, Step(name, 0, 0.0, 0.0, 0.0, 0))
            self._steps[name] = Step(
                name,
                before.count + 1,
                before.total + event.took,
                max(before.slowest, event.took),
                event.limit,
                before.late + late(event),
            )
        body = _body(event.message)
        if event.response_code.startswith("FAILED"):
            return
        if event.name == "AuthorizationRes" and getattr(body, "EVSEProcessing", "") == "Finished":
            self._authorised = event.at - self.place.zero
        for role, chain in _carried(event.name, body):
            self._use(role, chain)

    def _chains(self, secured: Secured) -> None:
        own, peer = ("SECC", "vehicle") if self.place.role == "secc" else ("vehicle", "SECC")
        self._use(own, secured.own_chain)
        self._use(peer, secured.peer_chain)

    def _use(self, role: str, chain: Sequence[bytes]) -> None:
        """The newest of each role counts; what cannot be read was refused, and is left out."""
        try:
            views = [view(der) for der in chain]
        except V2GPKIError:
            return
        if views:
            ends = min(one.not_after for one in views)
            leaf = views[0]
            self._used[role] = Used(
                role, leaf.subject_text, leaf.not_after, ends, leaf.fingerprint.hex(), len(views)
            )


#: Where messages carry chains: name -> (role, path of attributes).
_CHAINS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "PaymentDetailsReq": (("contract", "ContractSignatureCertChain"),),
    "AuthorizationReq": (("contract", "PnC_AReqAuthorizationMode.ContractCertificateChain"),),
    "CertificateInstallationReq": (
        ("OEM provisioning", "OEMProvisioningCert"),
        ("OEM provisioning", "OEMProvisioningCertificateChain"),
    ),
    "CertificateInstallationRes": (
        ("CPS", "SAProvisioningCertificateChain"),
        ("CPS", "CPSCertificateChain"),
        ("contract, installed", "ContractSignatureCertChain"),
        ("contract, installed", "SignedInstallationData.ContractCertificateChain"),
    ),
    "CertificateUpdateReq": (("contract, before", "ContractSignatureCertChain"),),
    "CertificateUpdateRes": (
        ("CPS", "SAProvisioningCertificateChain"),
        ("contract, installed", "ContractSignatureCertChain"),
    ),
}


def _carried(name: str, body: object) -> Iterable[tuple[str, tuple[bytes, ...]]]:
    for role, path in _CHAINS.get(name, ()):
        held = body
        for attribute in path.split("."):
            held = getattr(held, attribute, None)
        if isinstance(held, bytes):
            yield role, (held,)
        elif held is not None:
            above = getattr(getattr(held, "SubCertificates", None), "Certificate", ())
            yield role, (getattr(held, "Certificate", b""), *above)


def _body(message: object) -> object:
    return message.Body.BodyElement if isinstance(message, V2G_Message) else message
