"""Addresses, quantities and ways to authorise, as they are written on the command line."""

from __future__ import annotations

import socket

import click
import pytest

from v2gpki.cli.charging import (
    AUTHORISING,
    CONNECTING,
    ENERGY,
    INTERFACE,
    LISTENING,
    POWER,
    Address,
    one_of,
)


def refusal(kind: click.ParamType, text: str) -> str:
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("[::1]:61341", "::1", 61341),
        ("[fe80::1%v2g0]:15118", "fe80::1%v2g0", 15118),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("station.local:65535", "station.local", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert CONNECTING.convert(text, None, None) == (host, port)
    assert str(LISTENING.convert(text, None, None)) == text


def test_port_0_is_for_those_who_listen() -> None:
    assert LISTENING.convert("[::]:0", None, None) == Address("::", 0)
    assert "no port from 1 to 65535" in refusal(CONNECTING, "[::1]:0")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[::1]", "no port"),
        ("::1:61341", "in brackets"),
        (":61341", "no host"),
        ("[::1]:65536", "no port from 0 to 65535"),
        ("[::1]:-1", "no port"),
        ("[::1]:٣", "no port"),
        ("[::g]:1", "no IPv6 address in the brackets"),
        ("[127.0.0.1]:1", "no IPv6 address in the brackets"),
        ("[fe80::1]:1", "needs its interface, as in [fe80::1%eth0]:61341"),
    ],
)
def test_what_is_no_address(text: str, words: str) -> None:
    assert words in refusal(LISTENING, text)


@pytest.mark.parametrize(
    ("text", "watts"),
    [("11kW", 11_000.0), ("150 kW", 150_000.0), ("3.7kw", 3_700.0), ("7400W", 7_400.0), ("1MW", 1_000_000.0)],
)
def test_powers(text: str, watts: float) -> None:
    assert POWER.convert(text, None, None) == watts


def test_energies() -> None:
    assert ENERGY.convert("20kWh", None, None) == 20_000.0
    assert ENERGY.convert("500Wh", None, None) == 500.0


@pytest.mark.parametrize(
    "text", ["", "11", "kW", "11kWh", "-11kW", "0kW", "0.0kW", "11 kilowatt", "1e3W", "nanW", "١kW"]
)
def test_what_is_no_power(text: str) -> None:
    assert "is no power such as 11kW" in refusal(POWER, text)


def test_ways_to_authorise() -> None:
    assert AUTHORISING.convert("PnC, eim", None, None) == ("pnc", "eim")
    assert AUTHORISING.convert("eim", None, None) == ("eim",)
    for text in ("", "card", "pnc,pnc", "pnc,"):
        assert "is not pnc, eim or pnc,eim" in refusal(AUTHORISING, text)


def test_interfaces() -> None:
    assert INTERFACE.convert("v2g0", None, None) == "v2g0"
    for text in ("", "a/b", "x" * 16, " "):
        assert "cannot be the name" in refusal(INTERFACE, text)


def test_what_the_shell_is_offered() -> None:
    def values(kind: click.ParamType, incomplete: str) -> list[str]:
        context, parameter = click.Context(click.Command("x")), click.Option(["--x"])
        return [item.value for item in kind.shell_complete(context, parameter, incomplete)]

    assert values(POWER, "1") == ["11kW", "150kW"]
    assert values(AUTHORISING, "p") == ["pnc", "pnc,eim"]
    assert set(values(INTERFACE, "")) == {name for _, name in socket.if_nameindex()}


def test_one_of_two() -> None:
    one_of(interface="eth0", listen=None)
    one_of(interface=None, listen=Address("::1", 0))
    with pytest.raises(click.UsageError, match="give --interface or --listen"):
        one_of(interface=None, listen=None)
    with pytest.raises(click.UsageError, match="--interface and --listen exclude each other"):
        one_of(interface="eth0", listen=Address("::1", 0))
