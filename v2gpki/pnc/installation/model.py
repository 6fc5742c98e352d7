"""The values of an installation: a request as it came, contract data, an answer as it came.

They hold what a message says, in the words of neither edition, and the message itself beside it. Certificates are DER,
leaf first, without the root. Clauses: ISO 15118-2 8.4.3.10, 8.4.3.11; ISO 15118-20 8.3.4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from v2gpki.keys.suites import PrivateKey
from v2gpki.messages.schema import Message
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.envelope import Sealed
from v2gpki.pnc.signature import SignatureCheck

#: What a vehicle asks for: its first contract, or the successor of one (ISO 15118-2 only).
Action: TypeAlias = Literal["install", "update"]
ACTIONS: tuple[Action, ...] = ("install", "update")

#: Octets that a certificate may have in a message (the schemas' certificateType).
CERTIFICATE_LIMIT: Mapping[Edition, int] = {"iso15118-2": 800, "iso15118-20": 1600, "lab-ecog-20": 1600}
#: Sub-CA certificates that a chain may have in a message (the schemas' SubCertificatesType).
SUB_CERTIFICATES: Mapping[Edition, int] = {"iso15118-2": 4, "iso15118-20": 3, "lab-ecog-20": 3}


@dataclass(frozen=True, slots=True)
class Request:
    """What a vehicle asks for, read and not yet judged.

    `chain` is as it was sent: for an installation in -2 the OEM leaf alone, for an update the contract chain. `emaid`
    is that of an update in normal form (as it was sent if it has none). `roots` are the V2G roots that the vehicle
    holds, by issuer name and serial. `octets` are those that came.
    """

    edition: Edition
    action: Action
    session_id: bytes
    chain: tuple[bytes, ...]
    emaid: str
    roots: tuple[tuple[str, int], ...]
    maximum_contracts: int
    prioritised_emaids: tuple[str, ...]
    message: Message
    octets: bytes

    @property
    def leaf(self) -> bytes:
        """The certificate whose key signed, and for whose key the contract's key is wrapped."""
        return self.chain[0]


@dataclass(frozen=True, slots=True)
class ContractData:
    """A contract, ready to be signed: its chain (leaf, Sub-CA 2, Sub-CA 1), the wrapped key, and the EMAID in normal
    form."""

    edition: Edition
    chain: tuple[bytes, ...]
    sealed: Sealed
    emaid: str


@dataclass(frozen=True, slots=True)
class VerifiedResponse:
    """An answer that holds: `data` are the signed elements, `check` the signature over them, `trusted` what the
    caller's `trust` returned for the CPS chain."""

    edition: Edition
    action: Action
    code: str
    data: ContractData
    cps_chain: tuple[bytes, ...]
    check: SignatureCheck
    trusted: object

    @property
    def emaid(self) -> str:
        """The contract's EMAID, in normal form."""
        return self.data.emaid


@dataclass(frozen=True, slots=True, repr=False)
class OpenedContract:
    """A contract with its private key, as a vehicle keeps it. Shows no key."""

    chain: tuple[bytes, ...]
    private_key: PrivateKey
    emaid: str
    check: SignatureCheck

    def __repr__(self) -> str:
        return f"OpenedContract({self.emaid}, {len(self.chain)} certificates)"
