"""The settings of ``v2gpki serve``: the table ``[serve]`` of ``v2gpki.toml``, ``V2GPKI_SERVE_*``, flags.

Unknown keys are errors, and so are values out of range. A secret never stands here, only files that hold one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network

from v2gpki.errors import V2GPKIError

#: Smallest and largest value of each number.
_RANGES: Mapping[str, tuple[int, int]] = {
    "workers": (1, 64),
    "threads": (1, 256),
    "rate": (0, 1_000_000),
    "burst": (0, 10_000_000),
    "max_body": (1024, 256 * 1024 * 1024),
    "max_connections": (1, 1_000_000),
    "max_address_connections": (1, 1_000_000),
    "request_seconds": (1, 3600),
    "write_seconds": (1, 3600),
    "idle_seconds": (1, 3600),
    "grace_seconds": (0, 3600),
    "token_seconds": (60, 86_400),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "log": ("requests", "errors"),
    "metrics": ("local", "everywhere", "off"),
}


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What is served, where, and within which limits.

    ``listen``: ``HOST:PORT``, or with ``http://`` or ``https://`` before it; port 0 takes a free one. ``parts``: what
    is served, empty for everything. TLS takes ``tls_cert`` and ``tls_key``, or with ``tls`` a certificate that this
    home issues for the host ``tls_name``. ``client_ca``: files with CAs whose client certificates are accepted besides
    the home's own. ``workers`` processes with ``threads`` threads each. ``presigned``: OCSP answers are kept once
    signed. ``rate``: requests a second from one address, 0 for any number; ``burst`` at once (0: twice the rate).
    ``max_connections`` of a process at one address to listen at, ``max_address_connections`` of one client's address.
    ``request_seconds``: how long a request may take to arrive, ``write_seconds`` how long a client may not read,
    ``idle_seconds`` how long a connection may be silent, ``grace_seconds`` how long requests may go on at the end.
    ``token_seconds``: how long an access token holds. ``proxies``: addresses and networks whose X-Forwarded-For is
    believed, or ``*`` alone for all.
    ``metrics``: ``/metrics`` is served at addresses that only this machine reaches, everywhere, or not at all.
    ``webhook_networks``: networks (``10.1.0.0/16``) that webhooks may go to though they are not public;
    ``webhook_plain``: webhooks may go over http too; ``webhook_ports``: the ports and ranges of ports that they may go
    to. ``trust_list``: a file that ``v2gpki ctl sign`` wrote, for ``/v1/root/ctl``; it is read again when it changes.
    ``est_labels``: what EST labels do their own way, a label and options in each text: ``cpo wrap=64`` (characters in a
    line of answers, of keys made here too; 0 for one line), ``server_keys=false`` (no keys are made here),
    ``binding=required`` (or ``ignored``), ``rollover=false``, ``attributes=false``; ``*`` is for all the others.
    ``one_process``: the keys are in the serving processes themselves, not in one of their own.
    """

    listen: tuple[str, ...] = ("127.0.0.1:8080",)
    parts: tuple[str, ...] = ()
    tls: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    tls_name: str = ""
    client_ca: tuple[str, ...] = ()
    workers: int = 1
    threads: int = 8
    presigned: bool = True
    rate: int = 0
    burst: int = 0
    max_body: int = 1024 * 1024
    max_connections: int = 4096
    max_address_connections: int = 1024
    request_seconds: int = 10
    write_seconds: int = 20
    idle_seconds: int = 15
    grace_seconds: int = 30
    token_seconds: int = 3600
    log: str = "requests"
    metrics: str = "local"
    proxies: tuple[str, ...] = ()
    webhook_networks: tuple[str, ...] = ()
    webhook_plain: bool = False
    webhook_ports: tuple[str, ...] = ("443", "1024-65535")
    trust_list: str = ""
    est_labels: tuple[str, ...] = ()
    one_process: bool = False


_KINDS: Mapping[str, type] = {field.name: type(getattr(ServeSettings(), field.name)) for field in fields(ServeSettings)}
_WORDS = {str: "text", int: "a whole number", bool: "true or false", tuple: "a list of texts"}


def read_table(table: object, source: str) -> ServeSettings:
    """Settings from the table ``[serve]``; raises ``settings.unknown_key`` and ``settings.bad_value``."""
    if not isinstance(table, Mapping):
        raise _bad(source, "serve", "must be a table, [serve]")
    settings = ServeSettings()
    for key, value in table.items():
        settings = with_setting(settings, str(key), value, source)
    return settings


def with_environment(settings: ServeSettings, environment: Mapping[str, str]) -> ServeSettings:
    """The same with every ``V2GPKI_SERVE_<KEY>``; lists are separated by commas. Raises ``settings.bad_value``."""
    for key, kind in _KINDS.items():
        name = f"V2GPKI_SERVE_{key.upper()}"
        text = environment.get(name)
        if text is None:
            continue
        value: object = text
        if kind is int and text.isascii() and text.isdecimal():
            value = int(text)
        elif kind is bool and text in ("true", "false", "1", "0"):
            value = text in ("true", "1")
        elif kind is tuple:
            value = [part.strip() for part in text.split(",") if part.strip()]
        settings = with_setting(settings, key, value, name)
    return settings


def with_setting(settings: ServeSettings, key: str, value: object, source: str) -> ServeSettings:
    """The same with one more value; raises ``settings.unknown_key`` and ``settings.bad_value``."""
    if key not in _KINDS:
        raise V2GPKIError(
            "settings.unknown_key",
            f"{source}: there is no setting {key!r} in [serve]",
            hint="settings are " + ", ".join(sorted(_KINDS)),
            facts={"file": source, "key": f"serve.{key}"},
        )
    kind = _KINDS[key]
    if kind is tuple and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = tuple(value)
    if type(value) is not kind:
        raise _bad(source, key, f"must be {_WORDS[kind]}, not {type(value).__name__}")
    if isinstance(value, int) and key in _RANGES:
        least, most = _RANGES[key]
        if not least <= value <= most:
            raise _bad(source, key, f"= {value} is out of range {least} to {most}")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise _bad(source, key, f"= {value!r} is none of {', '.join(_CHOICES[key])}")
    if key == "proxies" and isinstance(value, tuple) and value != ("*",):
        for text in value:
            _require_network(source, key, text)
    changed: dict[str, object] = {key: value}
    return replace(settings, **changed)  # type: ignore[arg-type]  # the kind was compared above


def _require_network(source: str, key: str, text: str) -> None:
    try:
        ip_network(text)
    except ValueError as problem:
        what = f'has {text[:60]!a}, which is no address and no network such as 10.1.0.0/16; "*" alone is every address'
        raise _bad(source, key, what) from problem


def _bad(source: str, key: str, what: str) -> V2GPKIError:
    return V2GPKIError(
        "settings.bad_value",
        f"{source}: {key} {what}",
        hint=f"correct serve.{key} in {source}",
        facts={"file": source, "key": f"serve.{key}"},
    )
