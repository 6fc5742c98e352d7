"""Where a server listens: ``HOST:PORT``, ``http://HOST:PORT`` or ``https://HOST:PORT``; port 0 takes a free one."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from v2gpki.errors import V2GPKIError

BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listener:
    """One address. ``tls`` says whether it speaks TLS."""

    host: str
    port: int
    tls: bool

    @property
    def url(self) -> str:
        """The beginning of its URLs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def address(self) -> bool:
        """Whether it is given by an IP address, not by a name."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def everywhere(self) -> bool:
        """Whether it stands for every address of this machine."""
        return self.address and ip_address(self.host).is_unspecified

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or (self.address and ip_address(self.host).is_loopback)


def parse(text: str, *, tls: bool) -> Listener:
    """What ``text`` names; without a scheme it has TLS if ``tls``. Raises ``serving.bad_address``."""
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise _bad(text, f"{scheme} is no scheme of ours")
    host, colon, port = rest.rstrip("/").rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise _bad(text, "it has no port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host or not host:
        raise _bad(text, "it has no host (an IPv6 address stands in brackets)")
    return Listener(host, int(port), scheme == "https" if separator else tls)


def bind(listener: Listener) -> tuple[Listener, socket.socket]:
    """Open the socket; the listener comes back with the port that it got. Raises ``serving.address_taken``."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    opened = None
    try:
        found = socket.getaddrinfo(listener.host, listener.port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(found[0][4])
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as problem:
        if opened is not None:
            opened.close()
        raise V2GPKIError(
            "serving.address_taken",
            f"nothing can listen at {listener.host}:{listener.port}: {problem.strerror or problem}",
            hint="choose another address with --listen; port 0 takes a free one",
            facts={"host": listener.host, "port": listener.port},
        ) from problem
    return Listener(listener.host, opened.getsockname()[1], listener.tls), opened


def _bad(text: str, why: str) -> V2GPKIError:
    return V2GPKIError(
        "serving.bad_address",
        f"{text!r} is no address to listen at: {why}",
        hint="give HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or https://0.0.0.0:8443",
        facts={"address": text},
    )
