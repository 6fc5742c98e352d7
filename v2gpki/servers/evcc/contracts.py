"""Where a vehicle keeps its contracts: in memory, or in a folder that survives it.

A contract of a folder is one file, ``<edition>/<EMAID>.pem``: private key and chain together, written beside, flushed
and renamed, so that there is always either the old contract or the new one, never a key of the one with the chain of
the other. Files are 0600, folders 0700; a file that others may read is refused when it is loaded. Keys are software
keys (ISO 15118 wants them in a secure element: that is what ``HeldContract.signer`` is for).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from v2gpki import identifiers
from v2gpki.certs.chain import load_certificates, pem
from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.keys import files, pkcs8
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.suites import PrivateKey
from v2gpki.pnc.algorithms import EDITIONS, Edition
from v2gpki.servers.evcc.plugins import HeldContract, Installed
from v2gpki.servers.in_thread import in_thread
from v2gpki.wiring.vehicle import agreement_of, signer_of

_MOST_ROOTS = 20


class MemoryContracts:
    """``ContractStore`` that forgets with the process.

    ``roots`` and ``provisioning`` by edition. Among several contracts the one named ``preferred`` comes first, then the
    newest; one that is not valid at the clock's time is left out.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        roots: Mapping[Edition, tuple[bytes, ...]] | None = None,
        provisioning: Mapping[Edition, HeldContract] | None = None,
        contracts: tuple[HeldContract, ...] = (),
        preferred: str = "",
    ) -> None:
        self._clock = clock
        self._roots = dict(roots or {})
        self._provisioning = dict(provisioning or {})
        self._preferred = _key(preferred) if preferred else ""
        #: The newest last.
        self._contracts: dict[tuple[Edition, str], HeldContract] = {
            (contract.edition, _key(contract.emaid)): contract for contract in contracts
        }

    async def roots(self, edition: Edition) -> tuple[bytes, ...]:
        """The first twenty."""
        return self._roots.get(edition, ())[:_MOST_ROOTS]

    async def contract(self, edition: Edition, providers: tuple[str, ...]) -> HeldContract | None:
        """The preferred one, else the newest."""
        now = self._clock.now()
        accepted = {provider.upper().replace("-", "") for provider in providers}
        found = [
            contract
            for (of_edition, key), contract in self._contracts.items()
            if of_edition == edition and (not accepted or key[:5] in accepted) and _valid(contract, now)
        ]
        preferred = [contract for contract in found if _key(contract.emaid) == self._preferred]
        best = preferred or found
        return best[-1] if best else None

    async def provisioning(self, edition: Edition) -> HeldContract | None:
        """As it was given."""
        return self._provisioning.get(edition)

    async def save(self, installed: Installed) -> HeldContract:
        """Raises ``key.*`` and ``identifier.invalid``."""
        return self._keep(held(installed.emaid, installed.edition, installed.chain, pkcs8.load(installed.private_key)))

    def _keep(self, contract: HeldContract) -> HeldContract:
        name = (contract.edition, _key(contract.emaid))
        self._contracts.pop(name, None)
        self._contracts[name] = contract
        return contract


class FolderContracts(MemoryContracts):
    """``ContractStore`` in a folder; what is in it is read once, by its age. Two vehicles have two folders."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        roots: Mapping[Edition, tuple[bytes, ...]] | None = None,
        provisioning: Mapping[Edition, HeldContract] | None = None,
        contracts: tuple[HeldContract, ...] = (),
        preferred: str = "",
    ) -> None:
        """``contracts``: others that the vehicle has beside the folder's. Raises ``key.*``, ``chain.*``, ``file.*``."""
        super().__init__(clock, roots=roots, provisioning=provisioning, contracts=contracts, preferred=preferred)
        self.folder = folder
        for contract in stored(folder):
            self._keep(contract)

    async def save(self, installed: Installed) -> HeldContract:
        """On the disk before it is used. Raises ``file.unwritable``, ``key.*``, ``identifier.invalid``."""
        contract = await in_thread(write)(self.folder, installed)
        return self._keep(contract)


def held(emaid: str, edition: Edition, chain: tuple[bytes, ...], private_key: PrivateKey) -> HeldContract:
    """A contract with a software key; its key opens envelopes too if it can. Raises ``key.cannot_sign``."""
    agreement: KeyAgreement | None = None
    with contextlib.suppress(V2GPKIError):
        agreement = agreement_of(private_key)
    return HeldContract(emaid, edition, chain, signer_of(private_key), agreement)


def stored(folder: Path) -> list[HeldContract]:
    """The contracts of a folder, the oldest first; none if there is no folder. Raises ``key.*``, ``chain.*``."""
    found: list[tuple[int, HeldContract]] = []
    for edition in EDITIONS:
        for path in sorted((folder / edition).glob("[!.]*.pem")):
            content = files.read(path)
            contract = held(path.stem, edition, tuple(load_certificates(content)), pkcs8.load(content))
            found.append((path.stat().st_mtime_ns, contract))
    return [contract for _, contract in sorted(found, key=lambda one: one[0])]


def write(folder: Path, installed: Installed) -> HeldContract:
    """Put a contract into its place, durable on return. Raises ``file.unwritable``, ``key.*``,
    ``identifier.invalid``.
    """
    private_key = pkcs8.load(installed.private_key)
    contract = held(installed.emaid, installed.edition, installed.chain, private_key)
    place = folder / installed.edition
    target = place / f"{identifiers.parse('emaid', installed.emaid).normal}.pem"
    beside = place / f".{target.name}.{secrets.token_hex(6)}"
    try:
        for part in (folder, place):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pkcs8.plain(private_key) + pem(installed.chain))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
        files.flush(place)
    except OSError as problem:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise files.unwritable(place, problem) from problem
    return contract


def _key(emaid: str) -> str:
    return identifiers.parse("emaid", emaid).parts["key"]


def _valid(contract: HeldContract, now: datetime) -> bool:
    leaf = view(contract.chain[0])
    return leaf.not_before <= now <= leaf.not_after
