"""Certificates that belong to a record: contract certificates to a contract, provisioning certificates to a vehicle.

``cert issue contract`` needs a contract of the EMAID, made by ``contract create``, and cannot leave its bounds;
``cert issue oem`` registers the vehicle. ``--unregistered`` leaves records aside, for laboratories.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.services.issuance import Issued, Order
    from v2gpki.services.pools import Registered
    from v2gpki.store.pool_records import Contract
    from v2gpki.wiring import CertificateAuthority, CertificateOrder

#: The role whose certificates belong to contracts.
CONTRACT = "contract"


def is_provisioning(authority: CertificateAuthority, role: str, edition: str | None) -> bool:
    """Whether certificates of this role are a vehicle's, to be registered."""
    vehicles = authority.plug_and_charge.vehicles
    editions = (edition,) if edition else authority.catalogue.editions()
    return any(role in vehicles.roles(one) for one in editions)


def contract_order(authority: CertificateAuthority, wanted: CertificateOrder, now: datetime) -> Order:
    """The order of a contract certificate, bound to the contract of its EMAID.

    Raises ``contract.unknown`` without one, ``contract.ended``, ``contract.outside`` for times that leave the
    contract's, ``issuing.needs_identifier`` and what reading the key raises.
    """
    spki, named = _key_of(wanted)
    emaid = wanted.id or named
    if not emaid:
        raise V2GPKIError(
            "issuing.needs_identifier",
            "a contract certificate needs its EMAID",
            hint="give it with --id, or as the one common name of the CSR",
            clause="[V2G2-108]",
        )
    contract = _contract_of(authority, emaid)
    order = authority.plug_and_charge.mo.order(
        contract,
        edition=wanted.edition,
        suite=wanted.suite,
        now=now,
        spki=spki,
        issuer=wanted.issuer,
        options=wanted.options,
    )
    if wanted.not_before is not None:
        order = order._replace(not_before=_within(contract, wanted.not_before, "--not-before"))
    if wanted.not_after is not None:
        order = order._replace(not_after=_within(contract, wanted.not_after, "--not-after"))
    if wanted.escrow and spki is None:
        order = order._replace(key_id=f"escrow-{CONTRACT}-{os.urandom(6).hex()}")
    return order


def admit(
    authority: CertificateAuthority, wanted: CertificateOrder, *, owner: str = "", accept_other_root: bool = False
) -> None:
    """Refuse what could not be registered before it is issued; the PCID is that of the order, or its CSR's.

    Raises ``pool.*`` as ``OemService.admit_order`` does, and what reading the CSR raises.
    """
    pcid = wanted.id or _key_of(wanted)[1]
    # Without any, issuing says what is missing.
    if pcid:
        authority.plug_and_charge.oem.admit_order(
            wanted.role,
            pcid,
            edition=wanted.edition,
            suite=wanted.suite,
            issuer=wanted.issuer,
            owner=owner,
            accept_other_root=accept_other_root,
        )


def register(
    authority: CertificateAuthority, issued: Issued, *, owner: str = "", accept_other_root: bool = False
) -> Registered:
    """Register a provisioning certificate that was just issued and delivered; a refusal says that it was."""
    try:
        return authority.plug_and_charge.oem.register(
            issued, owner=owner, accept_other_root=accept_other_root, caller=authority.caller
        )
    except V2GPKIError as problem:
        problem.message = (
            f"the certificate {issued.record.serial:x} was issued and written, but not registered: {problem.message}"
        )
        problem.hint = problem.hint or "v2gpki pcp register --chain FILE registers it"
        raise


def _contract_of(authority: CertificateAuthority, emaid: str) -> Contract:
    """The contract of an EMAID. Its id is no name here: what is certified is the EMAID."""
    from v2gpki.identifiers import parse

    account = parse("emaid", emaid)
    try:
        return authority.plug_and_charge.contracts.find(account.normal)
    except V2GPKIError as problem:
        if problem.code == "contract.unknown":
            problem.message = f"{emaid} has no contract, and a contract certificate belongs to one"
            problem.hint = (
                f"v2gpki contract create --emaid {emaid} --pcid PCID makes it; --unregistered does without, for labs"
            )
        raise


def _within(contract: Contract, moment: datetime, option: str) -> datetime:
    if contract.begins <= moment <= contract.ends:
        return moment
    raise V2GPKIError(
        "contract.outside",
        f"{option} {rfc3339(moment)} is outside the contract of {contract.emaid}, which runs from "
        f"{rfc3339(contract.begins)} to {rfc3339(contract.ends)}",
        hint="leave the option out: validity follows the contract",
        clause="ISO 15118-2 table F.4",
        facts={"emaid": contract.emaid, "begins": rfc3339(contract.begins), "ends": rfc3339(contract.ends)},
    )


def _key_of(wanted: CertificateOrder) -> tuple[bytes | None, str]:
    """(SubjectPublicKeyInfo or None, the CSR's one common name)."""
    if wanted.csr is None and wanted.public_key is None:
        return None, ""
    from v2gpki.certs.csr import load_csr, load_public_key_file

    if wanted.csr is not None and wanted.public_key is not None:
        raise V2GPKIError("usage.invalid", "a CSR and a public key were both given", hint="give one of them")
    if wanted.csr is None:
        return load_public_key_file(wanted.public_key or b""), ""
    request = load_csr(wanted.csr)
    names = request.subject_identifiers
    return request.spki, names[0] if len(names) == 1 else ""
