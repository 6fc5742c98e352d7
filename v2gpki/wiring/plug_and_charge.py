"""``CertificateAuthority.plug_and_charge``: the pools and those who work with them, joined for one home.

The OEM registers vehicles, the mobility operator has contracts, the CPS signs, and ``provisioning`` answers.
Reading needs no passphrase; what issues or signs needs the home unlocked, and says so when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from v2gpki.clock import Clock
from v2gpki.keys.signer import Signer
from v2gpki.pnc.installation import ContractData, SignedContract
from v2gpki.profile.load import Catalogue
from v2gpki.services.admission import Admission
from v2gpki.services.bundles import BundleMaker
from v2gpki.services.cps import CertificateProvisioningService, CpsSigner
from v2gpki.services.issuance import Issuance
from v2gpki.services.mo import MobilityOperator
from v2gpki.services.oem import OemService
from v2gpki.services.policy import Policy
from v2gpki.services.pools import ContractPool, ProvisioningPool, RootPool
from v2gpki.services.provisioning import Provisioning
from v2gpki.services.routing import Routing
from v2gpki.services.standing import Standing
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.protocol import Store


class PlugAndCharge:
    """Root pool, provisioning pool, contract pool, OEM, MO, CPS and provisioning of one home."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        *,
        routing: Routing,
        issuance: Callable[[], Issuance],
        signer: Callable[[str], Signer],
        seal: Callable[[], None],
        ready: Callable[[], None],
        caller: str,
        elsewhere: Callable[[ContractData, CpsSigner], SignedContract] | None = None,
    ) -> None:
        """``issuance``, ``signer`` and ``seal`` are asked for when they are needed: they need the home unlocked, and
        ``ready`` raises when it is not. ``elsewhere`` has contract data signed by another process."""
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._routing = routing
        self._issuance = issuance
        self._signer = signer
        self._elsewhere = elsewhere
        self._seal = seal
        self._ready = ready
        self._caller = caller
        self._standing = Standing(store)

    @cached_property
    def roots(self) -> RootPool:
        """The root certificate pool (RCP): which roots are trusted."""
        return RootPool(self._store, self._catalogue, self._seal, ready=self._ready)

    @cached_property
    def vehicles(self) -> ProvisioningPool:
        """The provisioning certificate pool (PCP): vehicles by PCID."""
        return ProvisioningPool(self._store, self._catalogue, self.roots, self._seal, ready=self._ready)

    @cached_property
    def contracts(self) -> ContractPool:
        """The contract certificate pool (CCP): contracts by EMAID and PCID."""
        return ContractPool(self._store, self._catalogue, self._seal, ready=self._ready)

    @cached_property
    def mo(self) -> MobilityOperator:
        """Issues contract certificates."""
        return MobilityOperator(self._store, self._routing, self._issuance)

    @cached_property
    def cps(self) -> CertificateProvisioningService:
        """Signs contract data."""
        return CertificateProvisioningService(
            self._store, self._catalogue, self.roots, self._standing, self._signer, elsewhere=self._elsewhere
        )

    @cached_property
    def oem(self) -> OemService:
        """Issues and registers provisioning certificates."""
        return OemService(self._routing, self._issuance, self.vehicles, self._clock)

    @cached_property
    def provisioning(self) -> Provisioning:
        """Answers vehicles under the default policy."""
        return self.provisioning_with(Policy())

    def provisioning_with(self, policy: Policy) -> Provisioning:
        """Answers vehicles under a policy of one's own."""
        trust = VehicleTrust(self._store, self._catalogue, self.roots, self._standing)
        return Provisioning(
            self._store,
            self._clock,
            admission=Admission(self._store, self.vehicles, trust, self._standing, policy),
            trust=trust,
            contracts=self.contracts,
            cps=self.cps,
            bundles=self.bundles_with(policy),
            caller=self._caller,
            policy=policy,
        )

    def bundles_with(self, policy: Policy | None = None) -> BundleMaker:
        """Makes signed contract data, also ahead of any request."""
        return BundleMaker(
            self._store,
            self._clock,
            vehicles=self.vehicles,
            contracts=self.contracts,
            mo=self.mo,
            cps=self.cps,
            standing=self._standing,
            caller=self._caller,
            policy=policy or Policy(),
        )
