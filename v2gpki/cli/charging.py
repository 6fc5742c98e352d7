"""The values that a station, a vehicle and a probe are given on the command line: addresses, powers, energies, ways to
authorise; and what the shell offers for them. Anything else is a usage error that shows how it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

Value = TypeVar("Value")

if TYPE_CHECKING:
    from v2gpki.servers.v2gtls import Edition

    class _Typed(click.ParamType[Value], Generic[Value]):
        pass
else:  # older releases of click cannot be subscripted

    class _Typed(click.ParamType, Generic[Value]):
        pass


#: The editions whose sessions are spoken.
EDITIONS = ("iso15118-2", "iso15118-20")
AUTHORISATIONS = {"pnc": "Plug & Charge: the vehicle's contract", "eim": "external means: a card, an app, or free"}
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6}
_LARGEST_PORT = 65535


class Address(NamedTuple):
    """Where to connect or listen: an IP address (with its zone, ``fe80::1%eth0``) or a name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class AddressType(_Typed[Address]):
    """``[ADDRESS]:PORT``; port 0 where somebody listens only."""

    name = "address"

    def __init__(self, *, listening: bool) -> None:
        self._lowest = 0 if listening else 1

    def convert(self, value: str | Address, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Host and port; anything else is a usage error."""
        if isinstance(value, Address):
            return value
        host, colon, port = value.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not port.isascii() or not port.isdecimal() or not self._lowest <= int(port) <= _LARGEST_PORT:
            self.fail(f"'{value}' has no port from {self._lowest} to {_LARGEST_PORT}, as in [::1]:61341", param, ctx)
        if not host or (":" in host and not bracketed):
            self.fail(f"'{value}' has no host; an IPv6 address stands in brackets, as in [::1]:61341", param, ctx)
        host = host[1:-1] if bracketed else host
        if bracketed:
            self._check_ipv6(value, host, param, ctx)
        return Address(host, int(port))

    def _check_ipv6(self, value: str, host: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
        try:
            address = IPv6Address(host)
        except ValueError:
            self.fail(f"'{value}': there is no IPv6 address in the brackets", param, ctx)
        if address.is_link_local and not address.scope_id:
            self.fail(
                f"'{value}': a link-local address needs its interface, as in [{host}%eth0]:61341", param, ctx
            )


class QuantityType(_Typed[float]):
    """A quantity with its unit: ``11kW``, ``500 Wh``, as a float in ``unit``; refuses zero, signs and bare numbers."""

    def __init__(self, name: str, unit: str, offered: Sequence[str]) -> None:
        self.name = name
        self._unit = unit
        self._offered = offered
        self._form = re.compile(rf"(\d+(?:\.\d+)?) ?([km]?){unit}", re.IGNORECASE | re.ASCII)

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The amount in the unit without prefix."""
        if isinstance(value, float):
            return value
        found = self._form.fullmatch(value.strip())
        amount = float(found[1]) * _PREFIXES[found[2].lower()] if found else 0.0
        if not amount:
            self.fail(f"'{value}' is no {self.name} such as {self._offered[0]}", param, ctx)
        return amount

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """Usual values."""
        return _beginning(((value, "") for value in self._offered), incomplete)


class AuthorisationsType(_Typed[tuple[str, ...]]):
    """``pnc,eim``: the ways to authorise, in the order of preference; each once."""

    name = "authorisations"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names in lower case."""
        names = value if isinstance(value, tuple) else tuple(part.strip().lower() for part in value.split(","))
        if not set(names) <= AUTHORISATIONS.keys() or len(set(names)) < len(names):
            self.fail(f"'{value}' is not pnc, eim or pnc,eim", param, ctx)
        return names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """Each way, and both."""
        return _beginning([*AUTHORISATIONS.items(), ("pnc,eim", "both")], incomplete)


class InterfaceType(_Typed[str]):
    """The name of a network interface; whether there is one is seen when it is used."""

    name = "interface"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; one that no system allows is refused."""
        if not value or len(value) > 15 or "/" in value or value.isspace():
            self.fail(f"'{value}' cannot be the name of a network interface", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The interfaces of this machine."""
        import socket

        return _beginning(((name, "") for _, name in socket.if_nameindex()), incomplete)


class CurrencyType(_Typed[str]):
    """Three capital letters (ISO 4217); which of them are a currency is not looked up."""

    name = "currency"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The code."""
        if not re.fullmatch("[A-Z]{3}", value):
            self.fail(f"'{value}' is no currency code such as EUR", param, ctx)
        return value


LISTENING, CONNECTING = AddressType(listening=True), AddressType(listening=False)
POWER = QuantityType("power", "W", ("11kW", "22kW", "50kW", "150kW", "350kW"))
ENERGY = QuantityType("energy", "Wh", ("20kWh", "10kWh", "50kWh"))
AUTHORISING = AuthorisationsType()
INTERFACE = InterfaceType()
CURRENCY = CurrencyType()


#: ``--speed N``: how much faster than the clock energy flows; gives ``speed: float``.
speed_option = click.option(
    "--speed", type=click.FloatRange(0.1, 1000), default=1.0, metavar="N", help="Let energy flow N times faster."
)
#: ``--compat ecog``; gives ``compat: str | None``.
compat_option = click.option(
    "--compat", type=click.Choice(["ecog"]), help="Bear with the deviations of another stack."
)


def editions_of(chosen: Sequence[str], *, ecog: bool) -> tuple[Edition, ...]:
    """The editions whose TLS is wanted, the oldest first: those chosen, else all; with ``ecog`` -20 on P-256 too."""
    found: list[Edition] = []
    if not chosen or "iso15118-2" in chosen:
        found.append("iso15118-2")
    if not chosen or "iso15118-20" in chosen:
        found.append("iso15118-20")
        if ecog:
            found.append("lab-ecog-20")
    return tuple(found)


def one_of(**given: object) -> None:
    """Exactly one of two options that exclude each other must be there; else a usage error."""
    names = [f"--{name.replace('_', '-')}" for name in given]
    chosen = [name for name, value in zip(names, given.values(), strict=True) if value is not None]
    if len(chosen) != 1:
        raise click.UsageError(
            f"{' and '.join(chosen)} exclude each other" if chosen else f"give {' or '.join(names)}",
            click.get_current_context(silent=True),
        )


def _beginning(offered: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(value, help=text) for value, text in offered if value.startswith(incomplete)]
