"""A vehicle's keys, verdicts and contracts out of its PKI folder (`wiring.credentials`): for `VehicleSetup`.

Sessions speak of two editions: what the lab edition for EcoG's stack has, serves -20 where `compat` says so, and
nothing else does then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cryptography.x509.oid import NameOID

from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import family_of
from v2gpki.pnc import envelope
from v2gpki.pnc.algorithms import Edition
from v2gpki.profile.load import Catalogue
from v2gpki.servers.evcc.answers import VehicleKeys
from v2gpki.servers.evcc.contracts import FolderContracts, held
from v2gpki.servers.evcc.plugins import HeldContract
from v2gpki.wiring.credentials import Credential, VehicleCredentials
from v2gpki.wiring.judges import cps_judge
from v2gpki.wiring.pki_folder import Compat


def vehicle_keys(
    credentials: VehicleCredentials, *, catalogue: Catalogue, compat: Compat = "", aad: str = envelope.DEFAULT_AAD
) -> VehicleKeys:
    """The CPS is judged under the folder's V2G roots; `aad` names the additional data of -20 envelopes."""
    return VehicleKeys(cps_judge(catalogue, credentials, compat=compat), aad, compat == "ecog")


def contract_store(
    credentials: VehicleCredentials, clock: Clock, *, compat: Compat = "", preferred: str = ""
) -> FolderContracts:
    """The vehicle's contracts: those of the folder and those that were installed, which are kept in it.

    `preferred` is the EMAID that pays. Raises ``pki.missing`` where nothing can be kept, ``key.*``, ``chain.*``.
    """
    folder = credentials.contracts_folder
    if folder is None:
        raise V2GPKIError(
            "pki.missing",
            f"{credentials.source} has no place for contracts",
            hint="give a folder by --pki; contracts that are installed are kept in it",
            facts={"pki": credentials.source},
        )
    provisioning = {
        edition: held(_pcid(some[0]), edition, some[0].chain, some[0].private_key)
        for edition, some in _spoken(credentials.oem, compat).items()
    }
    contracts = [_held(one) for some in _spoken(credentials.contracts, compat).values() for one in reversed(some)]
    return FolderContracts(
        folder,
        clock,
        roots=_roots(credentials.roots.v2g, compat),
        provisioning=provisioning,
        contracts=tuple(contracts),
        preferred=preferred,
    )


def _spoken(
    found: Mapping[Edition, tuple[Credential, ...]], compat: Compat
) -> dict[Edition, tuple[Credential, ...]]:
    """By the editions of sessions."""
    twenty: Edition = "lab-ecog-20" if compat == "ecog" else "iso15118-20"
    sources: dict[Edition, Edition] = {"iso15118-2": "iso15118-2", "iso15118-20": twenty}
    return {
        spoken: tuple(replace(one, edition=spoken) for one in found[source])
        for spoken, source in sources.items()
        if found.get(source)
    }


def _pcid(one: Credential) -> str:
    """The common name of a provisioning certificate: envelopes of -20 are bound to it."""
    names = view(one.chain[0]).x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _held(one: Credential) -> HeldContract:
    return held(one.emaid, one.edition, one.chain, one.private_key)


def _roots(v2g: Sequence[bytes], compat: Compat) -> dict[Edition, tuple[bytes, ...]]:
    """The V2G roots by edition: those of its key families."""
    families = {der: family_of(view(der).spki) for der in v2g}
    p256 = tuple(der for der, family in families.items() if family is not None and family.name == "p256")
    others = tuple(der for der in v2g if der not in p256)
    return {"iso15118-2": p256, "iso15118-20": p256 if compat == "ecog" else others}
