"""``/metrics`` for Prometheus: what was counted while serving, and what stands in the store.

Counters come from the tally of all worker processes; issued and revoked certificates, and days until CAs, OCSP
signers and CRLs end, from the store when they are asked for. Source: Prometheus text format 0.0.4.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from v2gpki.clock import Clock
from v2gpki.servers.http.part import Ends
from v2gpki.servers.http.tally import BUCKETS, Tally
from v2gpki.services.compromise import compromise
from v2gpki.store.protocol import Store
from v2gpki.version import __version__

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_DAY = 86400.0


class Metrics:
    """Everything that one server tells."""

    def __init__(
        self,
        tally: Tally,
        store: Store,
        clock: Clock,
        *,
        locked: bool,
        signer_ends: Ends | None = None,
        tls_ends: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """``signer_ends`` tells of the OCSP signer of each authority, ``tls_ends`` of the server's own certificate."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Served(tally))
        self._registry.register(_Home(store, clock, locked, signer_ends, tls_ends))

    def text(self) -> bytes:
        """The whole exposition. Raises what the store raises."""
        return generate_latest(self._registry)


class _Served(Collector):
    """What the processes of this server counted."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "v2gpki_http_requests", "HTTP requests answered.", labels=["part", "status"]
        )
        for part, status, count in self._tally.requests():
            requests.add_metric([part, status], count)
        yield requests
        latency = HistogramMetricFamily(
            "v2gpki_http_request_duration_seconds", "From a request's head to the end of its answer.", labels=["part"]
        )
        for part, counts, total in self._tally.latencies():
            ends = (*map(str, BUCKETS), "+Inf")
            latency.add_metric([part], list(zip(ends, counts, strict=True)), total)
        yield latency
        answers = CounterMetricFamily("v2gpki_ocsp_responses", "OCSP answers by status.", labels=["status"])
        for status, count in self._tally.ocsp_answers().items():
            answers.add_metric([status], count)
        yield answers
        events = CounterMetricFamily("v2gpki_events", "Credentials judged, requests turned away.", labels=["event"])
        for event, count in self._tally.events().items():
            events.add_metric([event], count)
        yield events


class _Home(Collector):
    """What the store says."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        locked: bool,
        signer_ends: Ends | None,
        tls_ends: Callable[[], datetime | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._locked = locked
        self._signer_ends = signer_ends
        self._tls_ends = tls_ends
        self._lock = threading.Lock()
        self._counted = 0
        self._issued: dict[tuple[str, str], int] = {}

    def collect(self) -> Iterator[Metric]:
        now = self._clock.now()
        build = GaugeMetricFamily("v2gpki_build_info", "Always 1; the label is the version.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily("v2gpki_home_locked", "1 when the private keys are locked.", value=int(self._locked))
        yield from self._certificates()
        yield from self._expiry(now)

    def _certificates(self) -> Iterator[Metric]:
        issued = CounterMetricFamily(
            "v2gpki_certificates_issued", "Certificates issued by this home.", labels=["edition", "role"]
        )
        for (edition, role), count in self._issued_so_far().items():
            issued.add_metric([edition, role], count)
        yield issued
        revoked = CounterMetricFamily(
            "v2gpki_certificates_revoked", "Certificates revoked by this home.", labels=["edition", "role"]
        )
        for (edition, role), count in self._store.revoked_tally().items():
            revoked.add_metric([edition, role], count)
        yield revoked

    def _issued_so_far(self) -> Mapping[tuple[str, str], int]:
        """Only what came since the last time is read: certificates are never deleted."""
        with self._lock:
            self._counted, fresh = self._store.issued_tally(after=self._counted)
            for key, count in fresh.items():
                self._issued[key] = self._issued.get(key, 0) + count
            return dict(self._issued)

    def _expiry(self, now: datetime) -> Iterator[Metric]:
        authorities = self._store.authorities()
        names = ("authority", "edition", "role")
        days = GaugeMetricFamily("v2gpki_authority_expiry_days", "Days until a CA's certificate ends.", labels=names)
        lists = GaugeMetricFamily("v2gpki_crl_next_update_days", "Days until a CA's CRL ends.", labels=["authority"])
        for authority in authorities:
            if authority.state == "active":
                labels: Sequence[str] = (authority.id, authority.edition, authority.role)
                days.add_metric(labels, _days(authority.not_after, now))
            if authority.not_after < now or compromise(self._store, authority) is not None:
                # That its list is not renewed is as it should be.
                continue
            latest = self._store.latest_crl(authority.id)
            if latest is not None:
                lists.add_metric([authority.id], _days(latest.next_update, now))
        yield days
        yield lists
        if self._signer_ends is not None:
            signers = GaugeMetricFamily(
                "v2gpki_ocsp_signer_expiry_days", "Days until a CA's OCSP signer ends, 0 for none.", labels=names[:1]
            )
            for authority_id, ends in self._signer_ends(now).items():
                signers.add_metric([authority_id], 0.0 if ends is None else _days(ends, now))
            yield signers
        tls = self._tls_ends()
        if tls is not None:
            yield GaugeMetricFamily(
                "v2gpki_tls_expiry_days", "Days until the server's TLS certificate ends.", value=_days(tls, now)
            )


def _days(moment: datetime, now: datetime) -> float:
    return (moment - now).total_seconds() / _DAY
