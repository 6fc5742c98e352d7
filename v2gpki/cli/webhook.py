"""``v2gpki webhook``: the webhook endpoints of every party, for whoever runs the home. Secrets are shown nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from v2gpki.cli.frame import Frame, caller
from v2gpki.cli.options import yes_option
from v2gpki.cli.tables import print_table
from v2gpki.clock import rfc3339

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.services.webhooks import EndpointView


@click.group()
def webhook() -> None:
    """Who is told of events in the pools.

    A party adds its endpoints itself, at /v1/webhook/endpoints (OPCP) or /opnc/v1/event/endpoints of `v2gpki serve`,
    with a token of scope webhooks or of a role in the pools.
    """


@webhook.command(name="list")
@click.option("--owner", metavar="NAME", help="Only those of this party; '' for those of the home itself.")
@click.pass_obj
def list_(frame: Frame, *, owner: str | None) -> None:
    """List the webhook endpoints of every party."""
    from v2gpki.wiring.webhooks import webhooks_of

    found = [one for one in webhooks_of(frame.authority()).every() if owner is None or one.owner == owner]
    value = {"schema": "v2gpki/webhooks/1", "endpoints": [_value(one) for one in found]}

    def human(console: Console) -> None:
        rows = (
            (
                one.id,
                one.owner or "the home",
                one.url,
                "enabled" if one.enabled else "disabled",
                rfc3339(one.created_at),
                " ".join(one.events),
            )
            for one in found
        )
        titles = ("endpoint", "owner", "url", "state", "since", "events")
        print_table(console, titles, rows, nothing="no webhook endpoints")

    frame.emit(value, human)


@webhook.command()
@click.argument("endpoint_id", metavar="ENDPOINT")
@yes_option
@click.pass_obj
def remove(frame: Frame, *, endpoint_id: str, yes: bool) -> None:
    """Remove an endpoint, and what is on its way to it.

    `v2gpki webhook list` shows the ids.
    """
    from v2gpki.wiring.webhooks import webhooks_of

    if not yes:
        frame.confirm(f"Remove the webhook endpoint {endpoint_id}?")
    gone = webhooks_of(frame.authority(unlock=True)).remove(endpoint_id, caller=caller())
    value = {"schema": "v2gpki/webhook/1", **_value(gone)}
    frame.emit(value, f"the webhook endpoint {gone.id} of {gone.owner or 'the home'} is removed")


def _value(endpoint: EndpointView) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "owner": endpoint.owner,
        "url": endpoint.url,
        "events": endpoint.events,
        "enabled": endpoint.enabled,
        "created_at": endpoint.created_at,
        "description": endpoint.description,
    }
