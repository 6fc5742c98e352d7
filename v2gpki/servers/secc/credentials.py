"""A station's keys and verdicts out of its PKI folder (`wiring.credentials`): for `StationSetup`."""

from __future__ import annotations

from collections.abc import Collection

from v2gpki.pnc.algorithms import Edition
from v2gpki.profile.load import Catalogue
from v2gpki.servers.secc.answers import StationKeys
from v2gpki.wiring.credentials import StationCredentials
from v2gpki.wiring.judges import contract_judge
from v2gpki.wiring.pki_folder import Compat

_METERING: tuple[Edition, ...] = ("iso15118-20", "lab-ecog-20")


def station_keys(
    credentials: StationCredentials,
    *,
    catalogue: Catalogue,
    compat: Compat = "",
    editions: Collection[Edition] = (),
) -> StationKeys:
    """Contracts are judged under the folder's MO and V2G roots. Tariffs are signed if it has the key of the MO's Sub-CA
    2, SignedMeteringData by its meter key, else by that of the first -20 SECC leaf, which the vehicle knows from TLS.
    For `editions` the profiles are read now.
    """
    roots = credentials.roots
    secc = next((one for edition in _METERING for one in credentials.identities.get(edition, ())), None)
    return StationKeys(
        contract_judge(catalogue, credentials, compat=compat, editions=editions),
        tuple(dict.fromkeys((*roots.mo, *roots.v2g))),
        credentials.mo_sub_ca_2,
        credentials.meter or (secc.signer if secc else None),
        compat == "ecog",
    )
