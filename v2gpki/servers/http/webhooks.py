"""Webhook endpoints over HTTP, in OPCP's and OPNC's form, and the job that sends what is due.

OPNC's endpoints differ in their path and the names of events only; either dialect takes the names of both. Its
description writes its path doubled (`servers` and `paths`): both are served.
Sources: OPCP webhooks.v1, OPNC event.api.v1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from v2gpki.clients.webhook_delivery import DeliveryWorker
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.fields import Json, as_json
from v2gpki.servers.http.part import Job
from v2gpki.servers.http.pool_values import check_parties
from v2gpki.servers.http.pools import Call, Operation, Reply
from v2gpki.services.ecosystem import Party
from v2gpki.services.pools import Ownership
from v2gpki.services.webhooks import EndpointView, Webhooks, Wish

SCOPE = "webhooks"
OPCP = "/v1/webhook/endpoints"
OPNC = "/opnc/v1/event/endpoints"
_DOUBLED = "/opnc/v1/event/opnc/v1/event/endpoints"
_LOG = logging.getLogger("v2gpki.webhooks")
#: Seconds between two looks into the queue, and between two rounds of tidying.
_PAUSE = 1.0
_TIDY = 3600.0


def operations(webhooks: Webhooks, owners: Ownership) -> list[Operation]:
    """The operations of both dialects."""
    desk = _Endpoints(webhooks, owners)
    found = []
    for path, aliases in ((OPCP, ()), (OPNC, (_DOUBLED,))):
        one = tuple(f"{alias}/{{id}}" for alias in aliases)
        found += [
            Operation("POST", path, desk.create, takes_body=True, aliases=aliases, scope=SCOPE),
            Operation("GET", path, desk.list, aliases=aliases, scope=SCOPE),
            Operation("GET", path + "/{id}", desk.one, aliases=one, scope=SCOPE),
            Operation("PUT", path + "/{id}", desk.update, takes_body=True, aliases=one, scope=SCOPE),
            Operation("DELETE", path + "/{id}", desk.delete, aliases=one, scope=SCOPE),
        ]
    return found


def delivery_job(worker: DeliveryWorker) -> Job:
    """Sends what is due, again and again."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        said = ""
        try:
            while True:
                try:
                    await loop.run_in_executor(None, worker.run_once)
                except V2GPKIError as problem:
                    # A busy store is not so later, and what is due stays due; a locked home stays so: said once.
                    if problem.code != said:
                        _LOG.error("webhooks wait: %s", problem, extra={"code": problem.code})
                    said = problem.code
                else:
                    said = ""
                await asyncio.sleep(_PAUSE)
        finally:
            worker.stop()

    return work


def tidying_job(webhooks: Webhooks, *, also: Callable[[], None] = lambda: None) -> Job:
    """Tidies the queue now and then; ``also`` is done as often."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(None, also)
                await loop.run_in_executor(None, webhooks.tidy)
            except V2GPKIError as problem:
                _LOG.error("tidying webhooks waits: %s", problem, extra={"code": problem.code})
                await asyncio.sleep(_PAUSE)
            else:
                await asyncio.sleep(_TIDY)

    return work


class _Endpoints:
    def __init__(self, webhooks: Webhooks, owners: Ownership) -> None:
        self._webhooks = webhooks
        self._owners = owners

    def create(self, call: Call) -> Reply:
        check_parties(call)
        # OPNC's WMIs of an OEM are those that are bound to it; what it writes here is only read.
        call.body.texts("wmi")
        wish = _wish(call)
        if wish.events is None:
            raise call.body.bad("enabledEvents", "is missing")
        return Reply(self._value(call.party, self._webhooks.create(call.party, wish)), 201)

    def list(self, call: Call) -> Reply:
        check_parties(call)
        return Reply([self._value(call.party, one) for one in self._webhooks.endpoints(call.party)])

    def one(self, call: Call) -> Reply:
        check_parties(call)
        return Reply(self._value(call.party, self._webhooks.one(call.party, call.path["id"])))

    def update(self, call: Call) -> Reply:
        check_parties(call)
        return Reply(self._value(call.party, self._webhooks.update(call.party, call.path["id"], _wish(call))))

    def delete(self, call: Call) -> Reply:
        check_parties(call)
        self._webhooks.delete(call.party, call.path["id"])
        return Reply()

    def _value(self, party: Party, endpoint: EndpointView) -> dict[str, Json]:
        owned = self._owners.list(owner=endpoint.owner) if endpoint.owner else ()
        found: dict[str, Json] = {
            "id": endpoint.id,
            "apiVersion": endpoint.api_version,
            "created": int(endpoint.created_at.timestamp()),
            "description": endpoint.description,
            "enabledEvents": [*endpoint.events],
            "metadata": as_json(endpoint.metadata),
            "status": "enabled" if endpoint.enabled else "disabled",
            "url": endpoint.url,
            "userName": party.name,
        }
        if party.roles:
            found["userRole"] = ", ".join(sorted(role.upper() for role in party.roles))
        providers: list[Json] = [prefix.prefix for prefix in owned if prefix.kind == "mo"]
        wmis: list[Json] = [prefix.prefix for prefix in owned if prefix.kind == "wmi"]
        if providers:
            found["providerIds"] = providers
        if wmis:
            found["wmis"] = wmis
        if endpoint.secret:
            found["secret"] = endpoint.secret
        return found


def _wish(call: Call) -> Wish:
    body = call.body
    status = body.choice("status", ("enabled", "disabled")) if body.has("status") else ""
    return Wish(
        url=body.text("url"),
        events=body.texts_or_one("enabledEvents") if body.has("enabledEvents") else None,
        description=body.text("description") if body.has("description") else None,
        enabled=status == "enabled" if status else None,
        metadata=body.open_object("metadata") if body.has("metadata") else None,
        api_version=body.text("apiVersion") if body.has("apiVersion") else None,
    )

