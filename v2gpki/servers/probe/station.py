"""Looks at a station: TLS, chain, staple, protocols, response times. It shows a vehicle certificate only if given one,
trusts nothing that it is shown, authorises nothing.

Every question has a connection of its own, one after the other: stations serve one vehicle at a time. What a station
refuses is a row like any other; only a station that cannot be reached is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.servers.probe.chain_rows import add_chain
from v2gpki.servers.probe.dialogue import PROTOCOLS, Dialogue, look_around
from v2gpki.servers.probe.hello import CLOSED, TLS_1_2, TLS_1_3, Answer
from v2gpki.servers.probe.names import ISO20_GROUPS
from v2gpki.servers.probe.report import Report
from v2gpki.servers.probe.scan import Host, Scan, scan
from v2gpki.servers.probe.tls_rows import add_tls
from v2gpki.servers.v2gtls import Edition, Limits, Link, TLSIdentity, VehicleSecurity, connect
from v2gpki.servers.v2gtls.security import Chain, StaplePolicy


@dataclass(frozen=True, slots=True)
class Means:
    """What a probe has: rules, roots (DER; () judges no path), a vehicle certificate for -20 (None: none), the clock,
    seconds for each answer, and whether TLS is tried at all."""

    catalogue: Catalogue
    now: Callable[[], datetime]
    roots: Sequence[bytes] = ()
    identity: TLSIdentity | None = None
    timeout: float = 5.0
    tls: bool = True


@dataclass(slots=True)
class _Shown:
    """What a station showed in one handshake; the judge of a vehicle that takes everybody."""

    chain: Chain = ()
    staple: bytes | None = None

    def judge(self, chain: Chain, staple: bytes | None) -> None:
        self.chain, self.staple = chain, staple or self.staple


async def probe_station(host: Host, means: Means) -> Report:
    """The report; raises ``tls.unreachable`` and ``tls.late`` when nobody answers at all."""
    probe = _Probe(host, means, Report("secc", str(host)))
    found = await scan(host, timeout=means.timeout) if means.tls else Scan()
    if means.tls:
        add_tls(probe.report, found)
    if TLS_1_2 in found.offered:
        await probe.twelve(found.offered[TLS_1_2].first.answer)
    if TLS_1_3 in found.offered:
        conformant = ISO20_GROUPS & set(found.offered[TLS_1_3].groups)
        edition: Edition = "iso15118-20" if conformant else "lab-ecog-20"
        await probe.thirteen(edition)
    if not found.offered:
        await probe.protocols("plain TCP", None)
    return probe.report


@dataclass(slots=True)
class _Probe:
    """One run."""

    host: Host
    means: Means
    report: Report
    _seen: set[str] = field(default_factory=set)

    async def twelve(self, first: Answer) -> None:
        """The chain that TLS 1.2 shows in plain text, then the protocols."""
        self._chain("TLS 1.2", "iso15118-2", _Shown(first.chain, first.staple))
        await self.protocols("TLS 1.2", "iso15118-2")

    async def thirteen(self, edition: Edition) -> None:
        """The chain that TLS 1.3 shows, what it does without a vehicle certificate, then the protocols."""
        area, shown = "TLS 1.3", _Shown()
        try:
            await (await self._connect(edition, shown, "require-leaf")).close()
        except V2GPKIError as problem:
            if problem.code != "tls.no_staple" or not shown.chain:
                self._failed(area, problem)
        self._chain(area, edition, shown)
        await self.without_certificate(edition)
        if self.means.identity is None:
            self.report.add(area, "protocols", "not asked", "info", "that needs a vehicle certificate (--pki)")
        else:
            await self.protocols(area, edition)

    def _chain(self, area: str, edition: Edition, shown: _Shown) -> None:
        if shown.chain:
            means = self.means
            add_chain(
                self.report,
                area,
                shown.chain,
                shown.staple,
                catalogue=means.catalogue,
                edition=edition,
                role="secc",
                roots=means.roots,
                at=means.now(),
            )

    async def without_certificate(self, edition: Edition) -> None:
        """TLS 1.3 without a vehicle certificate must come to nothing."""
        area, what, clause = "TLS 1.3", "without a vehicle certificate", "[V2G20-2400]"
        security = VehicleSecurity(_Shown().judge, self.means.roots, None, "off", (edition,))
        try:
            link = await connect(self.host, security, limits=self._limits)
            try:
                code, _ = await Dialogue(link, timeout=self.means.timeout).offers(PROTOCOLS[1])
            finally:
                await link.close()
        except V2GPKIError as problem:
            alert = str(problem.facts.get("alert", ""))
            if problem.code == "tls.alert" or not alert:
                self.report.add(area, what, alert or CLOSED, "ok" if alert else "warning")
            else:
                self._failed(area, problem)
        else:
            note = "ISO 15118-20 needs a vehicle certificate"
            self.report.add(area, what, f"accepted, answers {code}", "error", note, clause=clause)

    async def protocols(self, area: str, edition: Edition | None) -> None:
        """Which protocols are taken on such a connection, one connection each; sessions of those that are."""
        for protocol in PROTOCOLS:
            try:
                link = await self._connect(edition, _Shown(), "off")
            except V2GPKIError as problem:
                self._failed(area, problem)
                return
            try:
                dialogue = Dialogue(link, timeout=self.means.timeout)
                code, took = await dialogue.offers(protocol)
                taken = code.startswith("OK")
                secure = link.secured is not None and link.secured.may_carry_iso20
                wrong = taken and protocol.edition == "iso15118-20" and not secure
                self.report.add(
                    area,
                    protocol.namespace,
                    f"{code}, {took * 1000:.0f} ms",
                    "error" if wrong else "ok" if taken else "info",
                    "not below TLS 1.3 with a vehicle certificate" if wrong else "",
                    clause="[V2G20-2356]" if wrong else "",
                )
                if taken and not wrong and protocol.edition not in self._seen:
                    self._seen.add(protocol.edition)
                    await look_around(dialogue, protocol, self.report, area, self.means.now())
            except V2GPKIError as problem:
                self.report.add(area, protocol.namespace, problem.code, "error", problem.message)
            finally:
                await link.close()

    async def _connect(self, edition: Edition | None, shown: _Shown, policy: StaplePolicy) -> Link:
        if edition is None:
            return await connect(self.host, None, limits=self._limits)
        identity = None if edition == "iso15118-2" else self.means.identity
        security = VehicleSecurity(shown.judge, self.means.roots, identity, policy, (edition,))
        return await connect(self.host, security, limits=self._limits)

    @property
    def _limits(self) -> Limits:
        return Limits(handshake=self.means.timeout, idle=self.means.timeout, close=1.0)

    def _failed(self, area: str, problem: V2GPKIError) -> None:
        found = str(problem.facts.get("alert") or problem.code)
        self.report.add(area, "connection", found, "error", problem.message, clause=problem.clause)
