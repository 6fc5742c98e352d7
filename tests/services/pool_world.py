"""What the tests of the pools share: a home's pools joined by hand, and vehicles with their chains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

import v2gpki
from tests.conftest import BIRTH
from v2gpki.errors import V2GPKIError
from v2gpki.services.pools import (
    ContractPolicy,
    ContractPool,
    ProvisioningPolicy,
    ProvisioningPool,
    Registered,
    RootPolicy,
    RootPool,
)

PCID = "WVWABCDEFGH123456"
EMAID = "DEABCC123ABC56"
DAY = timedelta(days=1)
AT = BIRTH


@contextmanager
def refusing(code: str) -> Iterator[pytest.ExceptionInfo[V2GPKIError]]:
    """What is done inside must be refused with this code and a hint."""
    with pytest.raises(V2GPKIError) as caught:
        yield caught
    assert caught.value.code == code, caught.value
    assert caught.value.hint


@dataclass
class World:
    """The pools of one home. ``seals`` counts how often the audit log was signed."""

    ca: v2gpki.CertificateAuthority
    roots_policy: RootPolicy | None = None
    vehicles_policy: ProvisioningPolicy | None = None
    contracts_policy: ContractPolicy | None = None
    seals: int = 0
    roots: RootPool = field(init=False)
    vehicles: ProvisioningPool = field(init=False)
    contracts: ContractPool = field(init=False)

    def __post_init__(self) -> None:
        store, catalogue = self.ca.store, self.ca.catalogue
        self.roots = RootPool(store, catalogue, self._seal, policy=self.roots_policy)
        self.vehicles = ProvisioningPool(store, catalogue, self.roots, self._seal, policy=self.vehicles_policy)
        self.contracts = ContractPool(store, catalogue, self._seal, policy=self.contracts_policy)

    def _seal(self) -> None:
        self.seals += 1

    def chain(self, pcid: str = PCID, edition: str = "iso15118-2", suite: str | None = None) -> tuple[bytes, ...]:
        """A fresh provisioning certificate of the home with its chain."""
        return self.ca.issue("oem", id=pcid, edition=edition, suite=suite).chain

    def registered(self, pcid: str = PCID, *, owner: str = "") -> Registered:
        """A fresh vehicle in the pool."""
        return self.vehicles.register(self.chain(pcid), owner=owner, at=AT, caller="test")

    def audit(self, action: str) -> list[str]:
        """The targets of all audit rows of one action."""
        return [row.target for row in self.ca.store.audit_rows() if row.action == action]
