"""Whom a contract key is wrapped for: a key of one vehicle, read from its certificate or from the pool's row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

from v2gpki.certs.slices import slices
from v2gpki.certs.view import view
from v2gpki.keys.suites import suite_of_spki
from v2gpki.pnc.algorithms import Edition
from v2gpki.store.pool_records import PooledVehicle

#: The editions whose vehicles install contracts.
EDITIONS: Mapping[str, Edition] = {edition: edition for edition in get_args(Edition)}


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a contract key is wrapped for: a key of one vehicle, and the SHA-256 of its SubjectPublicKeyInfo;
    ``registered`` when it is the key of a row of the provisioning pool, which must still be there when it is used."""

    edition: Edition
    suite: str
    pcid: str
    spki: bytes
    receiver: bytes
    registered: bool = False


def recipient_of(edition: Edition, pcid: str, leaf: bytes) -> Recipient:
    """The key of this certificate (DER), as the one to wrap for. Raises ``chain.malformed``, ``key.*``."""
    spki = view(leaf).spki
    return Recipient(edition, suite_of_spki(spki).name, pcid, spki, hashlib.sha256(spki).digest())


def registered_recipient(edition: Edition, vehicle: PooledVehicle) -> Recipient:
    """The key of a row of the provisioning pool, as ``recipient_of``; its certificate was judged when it came in."""
    try:
        spki = slices(vehicle.chain[0]).spki
    except IndexError:
        spki = b""
    if hashlib.sha256(spki).digest() != vehicle.receiver:
        return replace(recipient_of(edition, vehicle.pcid, vehicle.chain[0]), registered=True)
    return Recipient(edition, suite_of_spki(spki).name, vehicle.pcid, spki, vehicle.receiver, registered=True)
