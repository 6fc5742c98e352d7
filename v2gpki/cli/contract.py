"""``v2gpki contract``: the contracts of a mobility operator, each an EMAID that charges for one vehicle for a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import click

from v2gpki.cli.frame import Frame
from v2gpki.cli.options import MOMENT, at_option, yes_option
from v2gpki.cli.tables import print_table
from v2gpki.cli.values import lines, state_at
from v2gpki.clock import rfc3339
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError
from v2gpki.store.records import REASONS

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.store.pool_records import Bundle, Contract, ContractState
    from v2gpki.wiring import CertificateAuthority

#: A contract's edition decides only how long before its end notice is given.
_NOTICE = "iso15118-2"
_NAME = "EMAID|ID"


@click.group()
def contract() -> None:
    """Contracts: create, list, show, end them; choose a vehicle's default; prepare what vehicles will install."""


@contract.command()
@click.option("--emaid", required=True, metavar="EMAID", help="Who pays; with or without separators and check digit.")
@click.option("--pcid", required=True, metavar="PCID", help="The vehicle, registered by v2gpki pcp register.")
@click.option("--from", "begins", type=MOMENT, help="When it begins (default: now).")
@click.option("--until", "ends", type=MOMENT, help="When it ends (default: as long as a contract certificate lasts).")
@click.option("--default", is_flag=True, help="Make it the vehicle's default (its first contract is by itself).")
@click.option("--issuer", default="", metavar="CA", help="The MO Sub-CA that signs (default: the one that fits).")
@click.option("--unregistered-vehicle", is_flag=True, help="The vehicle need not be registered (yet).")
@click.option("--short", is_flag=True, help="For laboratories: it may be too short for any certificate.")
@click.pass_obj
def create(
    frame: Frame,
    *,
    emaid: str,
    pcid: str,
    begins: datetime | None,
    ends: datetime | None,
    default: bool,
    issuer: str,
    unregistered_vehicle: bool,
    short: bool,
) -> None:
    """Create a contract. An EMAID has one at a time; its certificates never outlive it."""
    authority = frame.authority(unlock=True)
    now = frame.now()
    begin = begins or now
    made = authority.plug_and_charge.contracts.create(
        emaid,
        pcid,
        begins=begin,
        ends=ends or _usual_end(authority, begin),
        default=default,
        issuer=issuer,
        unregistered_vehicle=unregistered_vehicle,
        short=short,
        at=now,
        caller=authority.caller,
    )
    least, family = authority.plug_and_charge.contracts.shortest(made.pcid)
    if made.ends - made.begins < least:
        frame.warn(f"a contract certificate of {family} lasts {least.days} days at least: none is issued for this one")
    value = contract_value(made, now)
    shown = lines(value, "id", "pcid", "begins", "ends", "default", "issuer")
    frame.emit(value, f"contract {made.emaid}\n{shown}\nnext: v2gpki contract prepare {made.emaid}")


def _usual_end(authority: CertificateAuthority, begin: datetime) -> datetime:
    return begin + authority.catalogue.profile(_NOTICE, "contract").validity.default


@contract.command("list")
@click.option("--pcid", metavar="PCID", help="Only this vehicle's.")
@click.option("--emaid", metavar="EMAID", help="Only this EMAID's.")
@click.option("--state", type=click.Choice(["active", "ended", "purged"]), help="Only those in this state.")
@click.option("--expiring-soon", is_flag=True, help="Only active ones that end within the window of notice.")
@click.option(
    "--edition",
    default=_NOTICE,
    show_default=True,
    metavar="EDITION",
    help="Whose window of notice: 21 days in iso15118-2, 14 in iso15118-20.",
)
@at_option
@click.pass_obj
def list_contracts(
    frame: Frame,
    *,
    pcid: str | None,
    emaid: str | None,
    state: str | None,
    expiring_soon: bool,
    edition: str,
    at: datetime | None,
) -> None:
    """List contracts in the order of creation; with --json one object a line."""
    if "" in (pcid, emaid):
        raise click.UsageError("an empty --pcid or --emaid names nobody: leave the option out to list all contracts")
    authority = frame.authority()
    pool, now = authority.plug_and_charge.contracts, frame.now(at)
    within = {one.id for one in pool.expiring(edition, now)}
    values = (
        contract_value(one, now, expiring_soon=one.id in within)
        for one in pool.list(pcid=pcid or "", emaid=emaid or "", state=_state(state))
        if not expiring_soon or one.id in within
    )
    if frame.json:
        frame.emit_lines(values)
        return
    _print_table(frame.console(), list(values))


@contract.command()
@click.argument("name", metavar=_NAME)
@at_option
@click.pass_obj
def show(frame: Frame, *, name: str, at: datetime | None) -> None:
    """Show a contract, its certificates, and what is ready for its vehicle to install."""
    authority = frame.authority()
    now = frame.now(at)
    found = authority.plug_and_charge.contracts.find(name)
    pools = authority.store.pools
    value = {
        **contract_value(found, now),
        "certificates": [_certificate(authority, *pair, now) for pair in pools.certificates_of(found.id)],
        "bundles": [_bundle_value(bundle) for bundle in pools.bundles(contract_id=found.id)],
    }
    frame.emit(value, lambda console: _print_one(console, value))


@contract.command()
@click.argument("name", metavar=_NAME)
@click.option(
    "--reason",
    type=click.Choice([reason for reason in REASONS if reason != "certificateHold"]),
    default="cessationOfOperation",
    show_default=True,
    help="Why, as the CRL will say.",
)
@yes_option
@click.pass_obj
def end(frame: Frame, *, name: str, reason: str, yes: bool) -> None:
    """End a contract: its certificates are revoked, and nothing of it is delivered any more. It cannot be undone.

    Of a contract that ended or was purged before, certificates that are still valid are revoked.
    """
    if frame.json and not yes:
        raise click.UsageError("--json asks nobody: ending a contract cannot be undone, so it takes --yes")
    authority = frame.authority(unlock=True)
    pool, now = authority.plug_and_charge.contracts, frame.now()
    found = pool.find(name)
    if not yes and (found.state == "active" or pool.valid_certificates(found.id, now)):
        what = f"End the contract of {found.emaid} ({found.pcid}) for {reason}, and revoke its certificates?"
        purged = f"Revoke the certificates of {found.emaid} ({found.pcid}), which is {found.state}, for {reason}?"
        frame.confirm(what if found.state == "active" else purged)
    ended = pool.end(found.id, reason, at=now, caller=authority.caller)
    issuers = sorted({issuer_id for issuer_id, _ in ended.revoked})
    value = {
        **contract_value(ended.contract, now),
        "changed": ended.changed,
        "revoked": [{"issuer": issuer_id, "serial": f"{serial:x}"} for issuer_id, serial in ended.revoked],
        "new_default": "" if ended.default is None else ended.default.emaid,
    }
    text = f"ended {ended.contract.emaid}"
    if found.state != "active":
        text = f"{ended.contract.emaid} {'was purged' if found.state == 'purged' else 'had ended'} already"
    text += f"\n{lines(value, 'ended_at', 'reason', 'new_default')}\nrevoked  {len(ended.revoked)} certificates"
    frame.emit(value, "\n".join([text, *(f"next: v2gpki crl issue {issuer} --out FILE" for issuer in issuers)]))


@contract.command("set-default")
@click.argument("name", metavar=_NAME)
@click.pass_obj
def set_default(frame: Frame, *, name: str) -> None:
    """Make a contract the one that its vehicle gets first."""
    authority = frame.authority(unlock=True)
    now = frame.now()
    chosen, changed = authority.plug_and_charge.contracts.set_default(name, at=now, caller=authority.caller)
    value = {**contract_value(chosen, now), "changed": changed}
    frame.emit(value, f"{chosen.emaid} is the default of {chosen.pcid}{'' if changed else ' already'}")


@contract.command()
@click.argument("names", nargs=-1, metavar=f"[{_NAME}]...")
@click.option("--all", "everything", is_flag=True, help="Every active contract that has not ended.")
@click.option("--pcid", default="", metavar="PCID", help="Every active contract of this vehicle.")
@click.option("--edition", default="", metavar="EDITION", help="Only for the vehicle's keys of this edition.")
@click.option("--aad", default="pcid-ski8", metavar="FORM", show_default=True, help="-20: the additional data.")
@click.pass_obj
def prepare(
    frame: Frame, *, names: tuple[str, ...], everything: bool, pcid: str, edition: str, aad: str
) -> int:
    """Make ahead what vehicles will install, so that an answer is a look-up.

    For each contract, each registered key of its vehicle and each V2G root of this home that the vehicle holds, as far
    as that is known: contract certificate, wrapped key, signature of the CPS. What is ready already stays; a contract
    that cannot be delivered is named, the others are made, and the exit code is 1.
    """
    from v2gpki.pnc.envelope import AAD_FORMS
    from v2gpki.services.policy import Policy

    if aad not in AAD_FORMS:
        raise click.UsageError(f"--aad is one of {', '.join(AAD_FORMS)}")
    if sum((bool(names), everything, bool(pcid))) != 1:
        raise click.UsageError("say which contracts: names, --pcid or --all")
    authority = frame.authority(unlock=True)
    pool, now = authority.plug_and_charge.contracts, frame.now()
    if names:
        chosen = [pool.find(name) for name in names]
    else:
        chosen = [one for one in pool.list(pcid=pcid, state="active") if one.ends > now]
    before = {bundle.id for one in chosen for bundle in authority.store.pools.bundles(contract_id=one.id)}
    refused: list[tuple[Contract, V2GPKIError]] = []
    with frame.progress("preparing", len(chosen)) as advance:
        bundles = authority.plug_and_charge.bundles_with(Policy(aad=aad)).prepare(
            chosen,
            edition=edition,
            progress=advance,
            refused=lambda which, problem: refused.append((which, problem)),
        )
    made = sum(bundle.id not in before for bundle in bundles)
    value: dict[str, object] = {
        "schema": "v2gpki/contract-prepare/1",
        "contracts": len(chosen),
        "made": made,
        "ready": len(bundles),
        "bundles": [_bundle_value(bundle) for bundle in bundles],
        "refused": [
            {"emaid": one.emaid, "code": problem.code, "message": problem.message} for one, problem in refused
        ],
    }
    for _, problem in refused[:10]:
        frame.warn(problem.message)
    seen = {bundle.contract_id for bundle in bundles} | {one.id for one, _ in refused}
    without = [one for one in chosen if one.id not in seen]
    for one in without[:10]:
        frame.warn(f"nothing can be prepared for {one.emaid}: no registered key of {one.pcid} receives a contract")
    if len(without) > 10:
        frame.warn(f"and for {len(without) - 10} more contracts")
    cannot = f"; {len(refused)} contracts cannot be delivered" if refused else ""
    frame.emit(value, f"{len(chosen)} contracts: {len(bundles)} bundles are ready, {made} of them made now{cannot}")
    return EXIT_REFUSED if refused else EXIT_OK


# --- values and views -----------------------------------------------------------------------------------------------


def contract_value(
    found: Contract, now: datetime, *, schema: str = "v2gpki/contract/1", expiring_soon: bool | None = None
) -> dict[str, object]:
    """One contract; ``standing`` is its state at ``now``: active, not_begun, over, ended, purged."""
    value: dict[str, object] = {
        "schema": schema,
        "id": found.id,
        "emaid": found.emaid,
        "pcid": found.pcid,
        "begins": rfc3339(found.begins),
        "ends": rfc3339(found.ends),
        "state": found.state,
        "standing": _standing(found, now),
        "default": found.default,
        "issuer": found.issuer,
        "created_at": rfc3339(found.created_at),
        "created_by": found.created_by,
    }
    if expiring_soon is not None:
        value["expiring_soon"] = expiring_soon
    if found.ended_at is not None:
        value |= {"ended_at": rfc3339(found.ended_at), "reason": found.reason}
    return value


def _standing(found: Contract, now: datetime) -> str:
    if found.state != "active":
        return found.state
    return "over" if now >= found.ends else "active" if now >= found.begins else "not_begun"


def _state(given: str | None) -> ContractState | None:
    return "active" if given == "active" else "ended" if given == "ended" else "purged" if given else None


def _certificate(authority: CertificateAuthority, issuer_id: str, serial: int, now: datetime) -> dict[str, object]:
    record = authority.store.certificate(issuer_id, serial)
    if record is None:
        raise V2GPKIError(
            "store.unknown_certificate",
            f"the certificate {serial:x} of {issuer_id} belongs to this contract and is not in the store",
            hint="v2gpki audit verify shows what was taken out",
            facts={"serial": f"{serial:x}"},
        )
    return {
        "serial": f"{serial:x}",
        "edition": record.edition,
        "suite": record.suite,
        "issuer": issuer_id,
        "not_before": rfc3339(record.not_before),
        "not_after": rfc3339(record.not_after),
        "state": state_at(record, now),
    }


def _bundle_value(bundle: Bundle) -> dict[str, object]:
    return {
        "id": bundle.id,
        "emaid": bundle.emaid,
        "pcid": bundle.pcid,
        "edition": bundle.edition,
        "suite": bundle.suite,
        "serial": f"{bundle.serial:x}",
        "receiver": bundle.receiver.hex(),
        "v2g_root": bundle.v2g_root.hex(),
        "made_at": rfc3339(bundle.made_at),
        "not_after": rfc3339(bundle.not_after),
        "state": bundle.state,
        "size": len(bundle.exi),
    }


def _print_table(console: Console, values: list[dict[str, object]]) -> None:
    rows = (
        (
            str(value["emaid"]),
            str(value["pcid"]),
            str(value["begins"])[:10],
            str(value["ends"])[:10] + (" (soon)" if value.get("expiring_soon") else ""),
            str(value["standing"]),
            "default" if value["default"] else "",
            str(value["id"])[:12],
        )
        for value in values
    )
    print_table(console, ("emaid", "pcid", "from", "until", "standing", "default", "id"), rows)
    console.print(f"{len(values)} contract{'' if len(values) == 1 else 's'}")


def _print_one(console: Console, value: Mapping[str, object]) -> None:
    kept = ("emaid", "id", "pcid", "begins", "ends", "standing", "default", "issuer", "created_at")
    console.print(lines(value, *kept, "ended_at", "reason"))
    for title, keys in (
        ("certificates", ("serial", "edition", "suite", "not_after", "state")),
        ("bundles", ("id", "edition", "suite", "made_at", "not_after", "state")),
    ):
        rows = value[title]
        assert isinstance(rows, list)
        console.print(f"\n{len(rows)} {title}")
        for row in rows:
            console.print("  " + "  ".join(str(row[key]) for key in keys), soft_wrap=True)
