"""A vehicle on the network: it finds a station, connects, and runs one session.

Clauses: ISO 15118-2 7.10.1; ISO 15118-20 7.10.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from v2gpki import sdp
from v2gpki.clock import Clock
from v2gpki.servers.discovery import Found, Retries, Seen, discover, unseen
from v2gpki.servers.driving import drive
from v2gpki.servers.evcc.answers import VehicleAnswers, VehicleKeys
from v2gpki.servers.evcc.plugins import VehiclePlugins
from v2gpki.servers.v2gtls import KeyLog, Limits, Link, Tap, VehicleSecurity, connect
from v2gpki.session.editions import Spoken
from v2gpki.session.engine import Engine
from v2gpki.session.notices import Ending, Notice
from v2gpki.session.questions import Paused
from v2gpki.session.secured import Secured
from v2gpki.session.vehicle import vehicle_script


@dataclass(frozen=True, slots=True)
class VehicleSetup:
    """What a vehicle is made of. ``security`` None: plain TCP. ``lab`` speaks -20 below its TLS."""

    plugins: VehiclePlugins
    editions: Sequence[Spoken]
    keys: VehicleKeys
    security: VehicleSecurity | None
    clock: Clock
    lab: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Journey:
    """A session that is over: where, by which TLS, how it ended, the EMAIDs that it installed; ``paused`` is what it
    takes to go on with it."""

    station: str
    secured: Secured | None
    ending: Ending
    installed: tuple[str, ...] = ()
    paused: Paused | None = None


async def find(
    interface: str, *, tls: bool, port: int = sdp.PORT, retries: Retries | None = None, seen: Seen = unseen
) -> Found:
    """The station on an interface (``lo``: at [::1]); ``seen`` is told of every datagram. Raises ``sdp.no_answer``,
    ``sdp.no_interface``."""
    security = sdp.Security.TLS if tls else sdp.Security.NONE
    return await discover(interface, sdp.Request(security), port=port, retries=retries, seen=seen)


async def travel(
    setup: VehicleSetup,
    address: tuple[str, int],
    *,
    told: Callable[[Notice], Awaitable[None] | None] = lambda _notice: None,
    connected: Callable[[Link], None] = lambda _link: None,
    keylog: KeyLog | None = None,
    tap: Tap | None = None,
) -> Journey:
    """Connect to a station and run one session. ``connected`` is told once the link stands.

    Raises ``tls.*`` and what judging the station raises when there is no session; how a session ended is its result.
    """
    link = await connect(address, setup.security, keylog=keylog, limits=setup.limits, tap=tap)
    try:
        connected(link)
        answers = VehicleAnswers(setup.plugins, setup.keys, setup.clock, secured=link.secured)
        engine = Engine(vehicle_script(setup.editions, link.secured, lab=setup.lab), clock=setup.clock)
    except BaseException:
        await link.close()
        raise

    async def both(notice: Notice) -> None:
        await answers.told(notice)
        if (telling := told(notice)) is not None:
            await telling

    ending = await drive(engine, link, answers.answers, told=both, over=answers.ended)
    return Journey(link.peer, link.secured, ending, tuple(answers.installed), answers.paused)
