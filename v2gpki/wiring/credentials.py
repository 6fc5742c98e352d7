"""What a station and a vehicle have of a PKI: chains with their keys, roots by use, revocation evidence.

Values only, whoever read or minted them (`wiring.pki_folder`, `wiring.pki_home`); they show no key. Which chain belongs
to which edition stands in `edition`; a station picks by edition, then by the root that a vehicle names. Asking for what
is not there raises ``pki.missing``, which says where it was looked for and which command mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from v2gpki.certs.ocsp_reading import key_hash, name_hash, ocsp_view
from v2gpki.certs.view import view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.signer import Signer
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import PrivateKey, suite_of
from v2gpki.pnc.algorithms import Edition

#: Whose a leaf is.
Holder: TypeAlias = Literal["secc", "contract", "oem", "vehicle", "cps"]
#: The OCSP responses (DER) that are at hand now for a chain (DER, leaf first); others may be among them.
Answers: TypeAlias = Callable[[Sequence[bytes]], Sequence[bytes]]


def no_answers(_chain: Sequence[bytes]) -> Sequence[bytes]:
    """No OCSP response is at hand."""
    return ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A chain with the key of its leaf.

    `chain` is DER, leaf first, without root; `root` the self-signed certificate above it, None if it is not known.
    `emaid` is a contract's. `source` says where it came from, `answers` gives the OCSP responses to staple.
    """

    edition: Edition
    holder: Holder
    chain: tuple[bytes, ...]
    private_key: PrivateKey = field(repr=False)
    root: bytes | None = None
    emaid: str = ""
    source: str = ""
    answers: Answers = field(default=no_answers, repr=False)

    @property
    def suite(self) -> str:
        """The key family."""
        return suite_of(self.private_key).name

    @property
    def signer(self) -> Signer:
        """Signs with the key."""
        return SoftwareSigner(self.private_key)

    @property
    def agreement(self) -> KeyAgreement:
        """Opens envelopes with the key."""
        return SoftwareAgreement(self.private_key)

    def staple(self, at: datetime) -> bytes | None:
        """The newest OCSP response about the leaf that is current at `at`; None if there is none."""
        return self.staples(at)[0]

    def staples(self, at: datetime) -> tuple[bytes | None, ...]:
        """For each certificate of the chain what `staple` says of the leaf."""
        answers = tuple(self.answers(self.chain))
        above = (*self.chain[1:], *((self.root,) if self.root else ()))
        pairs = list(zip(self.chain, above, strict=False))
        found = [_newest(answers, child, issuer, at) for child, issuer in pairs]
        return (*found, *(None for _ in self.chain[len(pairs) :]))


@dataclass(frozen=True, slots=True)
class Roots:
    """Trusted roots (DER) by use; one that is for several stands in several."""

    v2g: tuple[bytes, ...] = ()
    mo: tuple[bytes, ...] = ()
    oem: tuple[bytes, ...] = ()
    private: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """What both sides have: `roots`, `crls` and `answers` as evidence about the other side, `notes` of what was passed
    over while reading, `source` the folder or home."""

    roots: Roots
    source: str = ""
    crls: tuple[bytes, ...] = ()
    answers: Answers = field(default=no_answers, repr=False)
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class StationCredentials(_Held):
    """A station's: `identities` by edition, one for each root, and if there is one who signs meter readings, and who
    has the key of the MO's Sub-CA 2, with which a lab signs tariffs."""

    identities: Mapping[Edition, tuple[Credential, ...]] = field(default_factory=dict)
    meter: Signer | None = field(default=None, repr=False)
    mo_sub_ca_2: Signer | None = field(default=None, repr=False)

    def of(self, edition: Edition) -> tuple[Credential, ...]:
        """The SECC chains of an edition, at least one. Raises ``pki.missing``."""
        return self.identities.get(edition) or _missing(self.source, edition, "secc")


@dataclass(frozen=True, slots=True)
class VehicleCredentials(_Held):
    """A vehicle's: OEM provisioning chains, contracts and -20 TLS chains by edition; installed contracts are kept in
    `contracts_folder` (None: nowhere)."""

    oem: Mapping[Edition, tuple[Credential, ...]] = field(default_factory=dict)
    contracts: Mapping[Edition, tuple[Credential, ...]] = field(default_factory=dict)
    vehicle: Mapping[Edition, tuple[Credential, ...]] = field(default_factory=dict)
    contracts_folder: Path | None = None

    def provisioning(self, edition: Edition) -> Credential:
        """The OEM provisioning chain of an edition. Raises ``pki.missing``."""
        return (self.oem.get(edition) or _missing(self.source, edition, "oem"))[0]

    def tls(self, edition: Edition) -> Credential:
        """The chain that the vehicle shows in TLS. Raises ``pki.missing``.

        The lab edition for EcoG's stack has no vehicle certificates: that stack shows its OEM provisioning chain.
        """
        found = self.oem if edition == "lab-ecog-20" else self.vehicle
        return (found.get(edition) or _missing(self.source, edition, "vehicle"))[0]


def _newest(answers: Sequence[bytes], child: bytes, issuer: bytes, at: datetime) -> bytes | None:
    """The current answer about one certificate that began last; nothing is verified, the other side will."""
    certificate, above = view(child), view(issuer)
    found = []
    for der in answers:
        for single in ocsp_view(der).singles:
            about = (
                single.serial == certificate.serial
                and single.issuer_name_hash == name_hash(above, single.hash_name)
                and single.issuer_key_hash == key_hash(above, single.hash_name)
            )
            if about and single.this_update <= at and (single.next_update is None or at < single.next_update):
                found.append((single.this_update, der))
    return max(found)[1] if found else None


_WHAT: Mapping[Holder, str] = {
    "secc": "SECC certificate with its private key",
    "contract": "contract certificate with its private key",
    "oem": "OEM provisioning certificate with its private key",
    "vehicle": "vehicle certificate with its private key",
    "cps": "CPS certificate with its private key",
}


def _missing(source: str, edition: Edition, holder: Holder) -> tuple[Credential, ...]:
    raise V2GPKIError(
        "pki.missing",
        f"{source or 'the PKI'} has no {_WHAT[holder]} for {edition}",
        hint=f"v2gpki export --layout everest --edition {edition} -o DIR writes one; --pki DIR reads it",
        facts={"pki": source, "edition": edition, "role": holder},
    )
