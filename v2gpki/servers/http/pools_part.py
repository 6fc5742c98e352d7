"""The pools as a part of a server: OPCP and OPNC on one ecosystem, webhooks, and the job that sends them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from v2gpki.certs.trust_list import SignedTrustList, read
from v2gpki.clients.webhook_delivery import DeliveryWorker
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http import opcp, opnc, webhooks
from v2gpki.servers.http.access import Resolver
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.pools import routes
from v2gpki.services.webhook_addresses import WebhookPolicy
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.ecosystem import ecosystem_of
from v2gpki.wiring.serve_settings import ServeSettings
from v2gpki.wiring.webhooks import webhooks_of

REALM = "v2gpki pools"
#: Twice what a signed list may have: it may be base64.
_LARGEST_TRUST_LIST = 16 * 1024 * 1024


def pools_part(
    ca: CertificateAuthority,
    settings: ServeSettings,
    resolver: Resolver,
    executor: Executor,
    *,
    worker: DeliveryWorker | None = None,
) -> Part:
    """Everything of the pools. ``worker`` sends webhooks instead of the usual one."""
    hooks = webhooks_of(ca, policy_of(settings))
    ecosystem = ecosystem_of(ca, publish=hooks.publish)
    found = [
        *opcp.operations(ecosystem, _TrustListFile(settings.trust_list).current),
        *opnc.operations(ecosystem),
        *webhooks.operations(hooks, ca.plug_and_charge.vehicles.owners),
    ]
    jobs = (
        webhooks.delivery_job(worker or DeliveryWorker(hooks)),
        webhooks.tidying_job(hooks, also=lambda: hooks.publish(ecosystem.roots.expired())),
    )
    return Part(
        "pools",
        "Pools: OPCP 1.0 and OPNC v1 (roots, vehicles, CPS, contracts), webhooks",
        ("/v1/ccp/signedContractData", "/v1/root/rootCerts", "/opnc/v1/ccp/signedcontractdata"),
        routes=tuple(routes(found, resolver, executor, realm=REALM)),
        jobs=jobs,
    )


def check_settings(settings: ServeSettings) -> None:
    """Refuse what the pools could not be served with, before anything is opened: ``file.unreadable`` for the trust
    list, ``settings.bad_value`` for webhooks."""
    policy_of(settings)
    _TrustListFile(settings.trust_list).current()


class _TrustListFile:
    """A signed trust list in a file, read when it changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[int, SignedTrustList] | None = None

    def current(self) -> SignedTrustList | None:
        """The list; None when no file is named. Raises ``file.unreadable`` for whatever is wrong with the file."""
        if not self._path:
            return None
        try:
            changed = Path(self._path).stat().st_mtime_ns
            if self._read is None or self._read[0] != changed:
                self._read = changed, read(_octets(Path(self._path)))
        except (OSError, ValueError, V2GPKIError) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
            raise V2GPKIError(
                "file.unreadable",
                f"the trust list {self._path!a} cannot be served: {why}",
                hint="correct serve.trust_list: a file that v2gpki ctl sign wrote, or no such setting",
                clause="OPCP rcp.v1",
                facts={"path": self._path, "key": "serve.trust_list"},
            ) from problem
        return self._read[1]


def _octets(path: Path) -> bytes:
    # Anything else could keep whoever reads it waiting.
    if not path.is_file():
        raise OSError("it is no file")
    with path.open("rb") as opened:
        octets = opened.read(_LARGEST_TRUST_LIST + 1)
    if len(octets) > _LARGEST_TRUST_LIST:
        raise OSError(f"it is larger than {_LARGEST_TRUST_LIST} octets")
    return octets


def policy_of(settings: ServeSettings) -> WebhookPolicy:
    """Where webhooks may go; raises ``settings.bad_value`` for what is no network or no port."""
    return WebhookPolicy(
        allowed=tuple(map(_network, settings.webhook_networks)),
        plain=settings.webhook_plain,
        ports=tuple(map(_ports, settings.webhook_ports)),
    )


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    least, most = (int(end) if end.isascii() and end.isdecimal() else 0 for end in (first, last or first))
    if not 1 <= least <= most <= 65535:
        raise V2GPKIError(
            "settings.bad_value",
            f"serve.webhook_ports: {text[:60]!a} is no port and no range of ports",
            hint="write ports such as 443 or 1024-65535",
            facts={"key": "serve.webhook_ports"},
        )
    return least, most


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as problem:
        raise V2GPKIError(
            "settings.bad_value",
            f"serve.webhook_networks: {text[:60]!a} is no network",
            hint="write networks such as 10.1.0.0/16 or fd00::/8",
            facts={"key": "serve.webhook_networks"},
        ) from problem
