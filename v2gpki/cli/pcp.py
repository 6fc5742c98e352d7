"""``v2gpki pcp``: the provisioning certificate pool. Which vehicles are known, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from v2gpki.cli.chain_files import read_certificates, read_crl, read_ocsp
from v2gpki.cli.evidence import check_stdin
from v2gpki.cli.failure import finding_text, finding_value
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import yes_option
from v2gpki.cli.tables import print_table
from v2gpki.cli.values import lines
from v2gpki.clock import rfc3339
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.services.pools import Deleted, Registered
    from v2gpki.store.pool_records import Contract, PooledVehicle, Prefix, PrefixKind

_SHOWN = (
    "edition",
    "suite",
    "owner",
    "subject",
    "issuer",
    "serial",
    "fingerprint",
    "not_after",
    "v2g_roots",
    "previous_pcid",
    "registered_at",
    "registered_by",
)
_DONE = {
    "new": "registered {pcid}",
    "renewed": "{pcid} has a new certificate",
    "updated": "{pcid} has another chain or other roots",
    "unchanged": "{pcid} was registered already, nothing changed",
}


@click.group()
def pcp() -> None:
    """Provisioning certificate pool: register vehicles, list, show, delete; who owns which identifiers."""


@pcp.command()
@click.option("--chain", "chains", multiple=True, required=True, metavar="FILE", help="Leaf and sub-CAs; repeatable.")
@click.option("--edition", metavar="EDITION", help="iso15118-2, iso15118-20 (default: by the leaf's key).")
@click.option("--owner", default="", metavar="NAME", help="The registering party (default: the home itself).")
@click.option("--v2g-root", "v2g_roots", multiple=True, metavar="FILE", help="A V2G root that the vehicle holds.")
@click.option("--previous", default="", metavar="PCID", help="The PCID that the vehicle had before.")
@click.option("--crl", "crls", multiple=True, metavar="FILE", help="A CRL, PEM or DER; may be repeated.")
@click.option("--ocsp", "ocsps", multiple=True, metavar="FILE", help="An OCSP response, DER; may be repeated.")
@click.option("--tolerate", multiple=True, metavar="CODE", help="Only note this role.* code; may be repeated.")
@click.option("--require-evidence", is_flag=True, help="The chain must be known to be unrevoked, by --crl or --ocsp.")
@click.option("--bind", is_flag=True, help="Give the WMI to --owner if it belongs to nobody yet.")
@click.option("--other-root", is_flag=True, help="Take a PCID that is registered under another root.")
@click.pass_obj
def register(
    frame: Frame,
    *,
    chains: Sequence[str],
    edition: str | None,
    owner: str,
    v2g_roots: Sequence[str],
    previous: str,
    crls: Sequence[str],
    ocsps: Sequence[str],
    tolerate: Sequence[str],
    require_evidence: bool,
    bind: bool,
    other_root: bool,
) -> None:
    """Register a vehicle by its provisioning certificate with the sub-CAs above it, in any container and order.

    The chain must lead to a trusted OEM or V2G root (v2gpki rcp), and the WMI at the front of its PCID must be the
    owner's (v2gpki pcp owner). Registering the same again changes nothing; a PCID that is registered under another
    root needs --other-root, for else one manufacturer could take another one's vehicles.
    """
    from v2gpki.services.pools.provisioning_pool import key_identifier_of

    if bind and not owner:
        raise click.UsageError("--bind gives the WMI to a party: name it with --owner")
    check_stdin([*chains, *v2g_roots, *crls, *ocsps])
    certificates = [der for file in chains for der in read_certificates(file)]
    roots = [key_identifier_of(der) for file in v2g_roots for der in read_certificates(file)]
    evidence = [read_crl(file) for file in crls], [read_ocsp(file) for file in ocsps]
    authority = frame.authority(unlock=True)
    done = authority.plug_and_charge.vehicles.register(
        certificates,
        edition=edition,
        owner=owner,
        v2g_roots=roots,
        previous_pcid=previous,
        crls=evidence[0],
        ocsps=evidence[1],
        tolerate=tolerate,
        require_evidence=require_evidence,
        bind_on_first_use=bind,
        accept_other_root=other_root,
        at=frame.now(),
        caller=authority.caller,
    )
    value = registered_value(done)
    frame.emit(value, registered_text(done, value))


@pcp.command("list")
@click.option("--edition", default="", metavar="EDITION", help="Only this edition.")
@click.option("--owner", metavar="NAME", help="Only this party's; '' are the home's own.")
@click.pass_obj
def list_vehicles(frame: Frame, *, edition: str, owner: str | None) -> None:
    """List the vehicles in the order of registration; with --json one object a line."""
    found = frame.authority().plug_and_charge.vehicles.list(edition=edition, owner=owner)
    values = (_value(vehicle) for vehicle in found)
    if frame.json:
        frame.emit_lines(values)
        return
    _print_vehicles(frame.console(), list(values))


@pcp.command()
@click.argument("pcid")
@click.pass_obj
def show(frame: Frame, *, pcid: str) -> None:
    """Show what is registered for a PCID, and its contracts."""
    joined = frame.authority().plug_and_charge
    vehicles = joined.vehicles.all_of(pcid)
    value: dict[str, object] = {
        "schema": "v2gpki/pcid/1",
        "pcid": vehicles[0].pcid,
        "vehicles": [_value(vehicle) for vehicle in vehicles],
        "contracts": [_contract(contract) for contract in joined.contracts.list(pcid=vehicles[0].pcid)],
    }
    frame.emit(value, lambda console: _show(console, value))


@pcp.command()
@click.argument("pcid")
@click.option("--edition", default="", metavar="EDITION", help="Only what is registered for this edition.")
@click.option("--revoke", is_flag=True, help="Revoke the certificates of the purged contracts too.")
@yes_option
@click.pass_obj
def delete(frame: Frame, *, pcid: str, edition: str, revoke: bool, yes: bool) -> None:
    """Take a vehicle out of the pool. With its last certificate its contracts are purged.

    Certificates of purged contracts stay valid unless --revoke is given; v2gpki contract end revokes them later. The
    vehicle's own certificate is not revoked by this.
    """
    if frame.json and not yes:
        raise click.UsageError("--json asks nobody: deleting purges contracts, so it takes --yes")
    authority = frame.authority(unlock=True)
    vehicles = authority.plug_and_charge.vehicles
    if not yes:
        shown = vehicles.all_of(pcid)
        where = f" for {edition}" if edition else ""
        revoking = " and are revoked" if revoke else ""
        frame.confirm(f"Delete {shown[0].pcid}{where}? Its contracts go with its last certificate{revoking}.")
    deleted = vehicles.delete(pcid, edition=edition, revoke=revoke, at=frame.now(), caller=authority.caller)
    value: dict[str, object] = {
        "schema": "v2gpki/vehicle-deleted/1",
        "pcid": deleted.vehicles[0].pcid,
        "vehicles": [_value(vehicle) for vehicle in deleted.vehicles],
        "purged": [_contract(contract) for contract in deleted.purged],
        "revoked": [{"issuer": issuer, "serial": f"{serial:x}"} for issuer, serial in deleted.revoked],
        "still_valid": [{"issuer": issuer, "serial": f"{serial:x}"} for issuer, serial in deleted.valid],
    }
    frame.emit(value, _deleted_text(deleted))


@pcp.group()
def owner() -> None:
    """Who owns which identifiers: a WMI, the first three characters of a PCID; or the country and provider of EMAIDs,
    or country and operator of stations."""


def _prefix_options(command: Callable[..., None]) -> Callable[..., None]:
    """Whose beginning it is."""
    for option in (
        click.option("--operator", metavar="PREFIX", help="Country and operator of stations: DE8AA."),
        click.option("--provider", metavar="PREFIX", help="Country and provider of EMAIDs: DE8AA."),
        click.option("--wmi", metavar="WMI", help="Three letters or digits."),
    ):
        command = option(command)
    return command


def _named(wmi: str | None, provider: str | None, operator: str | None) -> tuple[PrefixKind, str]:
    """The one that was given."""
    kinds: tuple[tuple[PrefixKind, str | None], ...] = (("wmi", wmi), ("mo", provider), ("cpo", operator))
    given = [(kind, prefix) for kind, prefix in kinds if prefix is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --wmi, --provider and --operator")
    return given[0]


@owner.command()
@_prefix_options
@click.option("--owner", "name", required=True, metavar="NAME", help="The party that registers under it.")
@click.pass_obj
def bind(frame: Frame, *, wmi: str | None, provider: str | None, operator: str | None, name: str) -> None:
    """Give a WMI, a provider or an operator to a party: from now on it alone registers and deletes under it."""
    kind, text = _named(wmi, provider, operator)
    authority = frame.authority(unlock=True)
    bound = authority.plug_and_charge.vehicles.owners.bind(kind, text, name, at=frame.now(), caller=authority.caller)
    value = {**_prefix(bound.prefix), "changed": bound.changed}
    how = "belongs to" if bound.changed else "belonged already to"
    frame.emit(value, printable(f"{bound.prefix.prefix} {how} {bound.prefix.owner}"))


@owner.command()
@_prefix_options
@click.option("--owner", "name", default="", metavar="NAME", help="Only if it is this party's.")
@click.pass_obj
def release(frame: Frame, *, wmi: str | None, provider: str | None, operator: str | None, name: str) -> None:
    """Take a WMI, a provider or an operator from its party; what it registered stays."""
    kind, text = _named(wmi, provider, operator)
    authority = frame.authority(unlock=True)
    released = authority.plug_and_charge.vehicles.owners.release(
        kind, text, owner=name, at=frame.now(), caller=authority.caller
    )
    if released is None:
        frame.emit(
            {"schema": "v2gpki/prefix/1", "kind": kind, "prefix": text.upper(), "owner": "", "changed": False},
            printable(f"{text.upper()} belonged to nobody"),
        )
        return
    frame.emit(
        {**_prefix(released), "changed": True}, printable(f"{released.prefix} belongs to {released.owner} no more")
    )


@owner.command("list")
@click.option("--owner", "name", metavar="NAME", help="Only this party's.")
@click.pass_obj
def list_owners(frame: Frame, *, name: str | None) -> None:
    """List the WMIs, providers and operators that belong to somebody; with --json one object a line."""
    found = frame.authority().plug_and_charge.vehicles.owners.list(owner=name)
    prefixes = [_prefix(prefix) for prefix in found]
    if frame.json:
        frame.emit_lines(prefixes)
        return
    _print_table(frame.console(), ("kind", "prefix", "owner", "bound_at", "bound_by"), prefixes)
    frame.console().print(f"{len(prefixes)} prefixes")


# -- values --------------------------------------------------------------------------------------


def registered_value(done: Registered) -> dict[str, object]:
    """A registration as JSON shows it: the vehicle, how it came there, and what was noticed."""
    return {
        **_value(done.vehicle),
        "role": done.role,
        "state": done.state,
        "withdrawn": [contract.emaid for contract in done.withdrawn],
        "findings": [finding_value(finding) for finding in done.notes],
    }


def registered_text(done: Registered, value: Mapping[str, object]) -> str:
    """A registration for people."""
    keys = ("edition", "suite", "owner", "fingerprint", "not_after", "previous_pcid", "withdrawn")
    shown = printable(lines(value, *keys))
    noticed = "".join(f"\n{finding_text(finding)}" for finding in done.notes)
    return f"{_DONE[done.state].format(pcid=done.vehicle.pcid)}\n{shown}{noticed}"


def _deleted_text(deleted: Deleted) -> str:
    editions = ", ".join(vehicle.edition for vehicle in deleted.vehicles)
    emaids = ", ".join(contract.emaid for contract in deleted.purged)
    text = f"deleted {deleted.vehicles[0].pcid} ({editions})\n"
    text += f"purged contracts: {emaids}" if emaids else "no contract was purged"
    if deleted.revoked:
        text += f"\nrevoked  {len(deleted.revoked)} contract certificates"
        issuers = sorted({issuer for issuer, _ in deleted.revoked})
        text += "".join(f"\nnext: v2gpki crl issue {issuer} --out FILE" for issuer in issuers)
    if deleted.valid:
        text += f"\n{len(deleted.valid)} contract certificates stay valid: revoke them with"
        text += "".join(f"\n  v2gpki contract end {contract.id}" for contract in deleted.purged)
    return text


def _value(vehicle: PooledVehicle) -> dict[str, object]:
    from v2gpki.certs.view import view

    seen = view(vehicle.chain[0])
    return {
        "schema": "v2gpki/vehicle/1",
        "pcid": vehicle.pcid,
        "edition": vehicle.edition,
        "suite": vehicle.suite,
        "owner": vehicle.owner,
        "subject": seen.subject_text,
        "issuer": seen.issuer_text,
        "serial": f"{seen.serial:x}",
        "fingerprint": vehicle.fingerprint.hex(),
        "receiver": vehicle.receiver.hex(),
        "not_before": rfc3339(seen.not_before),
        "not_after": rfc3339(vehicle.not_after),
        "chain": [view(der).fingerprint.hex() for der in vehicle.chain],
        "v2g_roots": [root.hex() for root in vehicle.v2g_roots],
        "previous_pcid": vehicle.previous_pcid,
        "registered_at": rfc3339(vehicle.registered_at),
        "registered_by": vehicle.registered_by,
    }


def _contract(contract: Contract) -> dict[str, object]:
    return {
        "id": contract.id,
        "emaid": contract.emaid,
        "state": contract.state,
        "default": contract.default,
        "begins": rfc3339(contract.begins),
        "ends": rfc3339(contract.ends),
    }


def _prefix(prefix: Prefix) -> dict[str, object]:
    return {
        "schema": "v2gpki/prefix/1",
        "kind": prefix.kind,
        "prefix": prefix.prefix,
        "owner": prefix.owner,
        "bound_at": rfc3339(prefix.bound_at),
        "bound_by": prefix.bound_by,
    }


# -- people --------------------------------------------------------------------------------------


def _show(console: Console, value: Mapping[str, object]) -> None:
    vehicles, contracts = value["vehicles"], value["contracts"]
    assert isinstance(vehicles, list)
    assert isinstance(contracts, list)
    console.print(str(value["pcid"]))
    for vehicle in vehicles:
        console.print(printable(lines(vehicle, *_SHOWN)), soft_wrap=True)
        console.print()
    if contracts:
        _print_table(console, ("emaid", "state", "default", "begins", "ends", "id"), contracts)
    else:
        console.print("no contracts")


def _print_vehicles(console: Console, values: Sequence[Mapping[str, object]]) -> None:
    _print_table(console, ("pcid", "edition", "suite", "owner", "subject", "not_after", "registered_at"), values)
    console.print(f"{len(values)} vehicles")


def _print_table(console: Console, keys: Sequence[str], values: Sequence[Mapping[str, object]]) -> None:
    rows = (
        ["yes" if value[key] is True else "" if value[key] is False else str(value[key]) for key in keys]
        for value in values
    )
    print_table(console, [key.replace("_", " ") for key in keys], rows)
