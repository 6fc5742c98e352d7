"""What a station or a vehicle brings to TLS: chains with keys, roots, and who judges the other end.

Keys are software keys: the TLS library takes no others. A judge is given a chain (DER, leaf first) and raises; what it
raises decides the alert (`alerts`). A value of these is made once and serves many connections: contexts are kept in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from v2gpki.keys.suites import PrivateKey
from v2gpki.servers.v2gtls.rules import RULES, Edition

Chain: TypeAlias = tuple[bytes, ...]
StaplePolicy = Literal["require-leaf", "require-all", "off"]
#: Judges a vehicle's chain; raises ``V2GPKIError``.
JudgeVehicle: TypeAlias = Callable[[Chain], None]
#: Judges a station's chain with the OCSP response for its leaf, None as long as none is there; raises ``V2GPKIError``.
JudgeStation: TypeAlias = Callable[[Chain, bytes | None], None]


def _no_staple() -> bytes | None:
    return None


@dataclass(frozen=True, slots=True, eq=False)
class TLSIdentity:
    """A chain (DER, leaf first; what is sent, so usually without the root) and the leaf's private key.

    ``root`` is the DER certificate above the chain, by which it is found when the other end names its roots;
    ``staple`` is asked at every handshake for the OCSP response about the leaf (DER), None when there is none.
    """

    chain: Chain
    private_key: PrivateKey = field(repr=False)
    root: bytes | None = None
    staple: Callable[[], bytes | None] = field(default=_no_staple, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class StationSecurity:
    """A station's side: identities per edition, the first of each the one for vehicles whose roots none fits.

    ``judge_vehicle`` judges client certificates (-20), ``client_roots`` (DER) are named to the vehicle as
    certificate_authorities. An edition without an identity is not offered; ``editions`` leaves out more.
    ``plain`` tells whether connections without TLS are taken at all (ISO 15118-2 with EIM).
    """

    identities: Mapping[Edition, Sequence[TLSIdentity]]
    judge_vehicle: JudgeVehicle
    client_roots: Sequence[bytes] = ()
    editions: Sequence[Edition] = tuple(RULES)
    plain: bool = True
    #: Contexts made so far, by what they are for (``contexts``).
    made: dict[object, object] = field(default_factory=dict, init=False, repr=False)

    def offered(self) -> tuple[Edition, ...]:
        """The editions with an identity, in the order of preference."""
        return tuple(edition for edition in RULES if edition in self.editions and self.identities.get(edition))


@dataclass(frozen=True, slots=True, eq=False)
class VehicleSecurity:
    """A vehicle's side: which editions' TLS it offers, its client certificate (-20), and who judges the station.

    ``judge_station`` is called with the chain alone, and again with the staple once that is there (in TLS 1.3 at once
    with both): without a staple it must not ask for one, which ``staple_policy`` does. ``require-leaf`` refuses a
    station that staples nothing for its leaf; ``require-all`` too, and leaves evidence about the sub-CAs to the judge,
    because TLS cannot bring it here (``capabilities``); ``off`` asks for none. ``roots`` (DER) are named to the station
    (trusted_ca_keys, in TLS 1.2).
    """

    judge_station: JudgeStation
    roots: Sequence[bytes] = ()
    identity: TLSIdentity | None = None
    staple_policy: StaplePolicy = "require-leaf"
    editions: Sequence[Edition] = ("iso15118-2",)
    made: dict[object, object] = field(default_factory=dict, init=False, repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for the whole handshake, for a peer that is silent, for one that does not take what is sent, and for a
    peer's last words. ``hello`` is the longest ClientHello in octets."""

    handshake: float = 10.0
    idle: float = 120.0
    write: float = 10.0
    close: float = 2.0
    hello: int = 65_536
