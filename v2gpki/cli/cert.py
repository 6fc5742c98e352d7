"""``v2gpki cert``: issue, list, show, revoke and export end-entity certificates."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.choices import option_values, options_option
from v2gpki.cli.failure import finding_value
from v2gpki.cli.files import read_input
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import MOMENT, at_option, force_option, yes_option
from v2gpki.cli.tables import print_table
from v2gpki.cli.values import certificate_value, lines
from v2gpki.store.records import REASONS

if TYPE_CHECKING:
    from rich.console import Console

_FILE = click.Path(path_type=Path, allow_dash=True)


@click.group()
def cert() -> None:
    """End-entity certificates: issue, list, show, revoke, export."""


@cert.command()
@click.argument("role")
@click.option("--id", "identifier", metavar="ID", help="EVSEID or SECCID, EMAID, PCID, EVCCID: as the role demands.")
@click.option("--edition", metavar="EDITION", help="iso15118-2, iso15118-20, ocpp (default: the only fitting one).")
@click.option("--suite", metavar="SUITE", help="The key family, where the edition has several.")
@click.option("--issuer", default="", metavar="CA", help="Who signs it (default: the one that fits).")
@click.option("--csr", type=_FILE, metavar="FILE", help="A certificate request: its key is certified, not its subject.")
@click.option("--pubkey", type=_FILE, metavar="FILE", help="A public key to be certified.")
@click.option("--plain-key", is_flag=True, help="Write the new private key unencrypted (0600).")
@click.option(
    "--key-passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Encrypt the new private key with this.",
)
@click.option("--escrow", is_flag=True, help="Keep the private key in the home too.")
@click.option("--not-before", type=MOMENT, help="Start of validity (default: now, back-dated as the profile says).")
@click.option("--not-after", type=MOMENT, help="End of validity (default: the profile's).")
@options_option
@click.option("--unregistered", is_flag=True, help="For laboratories: no contract is needed, no vehicle is registered.")
@click.option("--owner", default="", metavar="NAME", help="The party that registers the vehicle (default: the home).")
@click.option("--other-root", is_flag=True, help="Register a vehicle whose PCID is registered under another root.")
@click.option("--der", is_flag=True, help="Write cert.der too.")
@click.option("--p12", is_flag=True, help="Write cert.p12 too (needs --key-passphrase-file).")
@click.option("--dry-run", is_flag=True, help="Judge the request; record, sign and write nothing.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder for the files.")
@force_option
@click.pass_obj
def issue(
    frame: Frame,
    *,
    role: str,
    identifier: str | None,
    edition: str | None,
    suite: str | None,
    issuer: str,
    csr: Path | None,
    pubkey: Path | None,
    plain_key: bool,
    key_passphrase_file: Path | None,
    escrow: bool,
    not_before: datetime | None,
    not_after: datetime | None,
    options: tuple[str, ...],
    unregistered: bool,
    owner: str,
    other_root: bool,
    der: bool,
    p12: bool,
    dry_run: bool,
    out: Path | None,
    force: bool,
) -> None:
    """Issue a certificate for ROLE: secc, cps, oem, contract, vehicle, ocsp, csms, station, ..

    Writes key.pem (unless --csr or --pubkey), cert.pem and chain.pem (leaf, Sub-CA 2, Sub-CA 1, no root).
    A contract certificate belongs to a contract (v2gpki contract create) and ends with it; a vehicle's
    provisioning certificate is registered in the provisioning pool. --unregistered does without either.
    """
    from v2gpki.cli import registered
    from v2gpki.cli.delivery import Delivery
    from v2gpki.wiring import CertificateOrder

    if out is None and not dry_run:
        raise click.UsageError("Missing option '--out' (or --dry-run).")
    foreign = csr is not None or pubkey is not None
    delivery = Delivery(
        out,
        own_key=not foreign,
        plain=plain_key,
        passphrase_file=key_passphrase_file,
        der=der,
        p12=p12,
        force=force,
        dry_run=dry_run,
        warn=frame.warn,
    )
    authority = frame.authority(unlock=True)
    order = CertificateOrder(
        role,
        identifier,
        edition,
        suite,
        issuer,
        csr=None if csr is None else read_input(csr, limit=1 << 20),
        public_key=None if pubkey is None else read_input(pubkey, limit=1 << 20),
        not_before=not_before,
        not_after=not_after,
        options=option_values(options),
        escrow=escrow,
    )
    of_contract = None
    if role == registered.CONTRACT and not unregistered:
        of_contract = registered.contract_order(authority, order, frame.now())
    vehicle = not unregistered and registered.is_provisioning(authority, role, edition)
    if (owner or other_root) and not vehicle:
        raise click.UsageError("--owner and --other-root are for provisioning certificates that are registered")
    if vehicle:
        registered.admit(authority, order, owner=owner, accept_other_root=other_root)
    if dry_run:
        tbs, noticed = authority.dry_run(order) if of_contract is None else authority.issuance.check(of_contract)
        value: dict[str, object] = {
            "schema": "v2gpki/cert-dry-run/1",
            "role": role,
            "tbs_size": len(tbs),
            "findings": [finding_value(finding) for finding in noticed],
        }
        frame.emit(value, f"{role}: would be issued ({len(tbs)} octets to be signed); nothing was recorded or signed")
        return
    with delivery.reserved():
        if of_contract is None:
            issued = authority.issue_many([order])[0]
        else:
            issued = authority.plug_and_charge.mo.issue([of_contract], caller=authority.caller)[0]
    private_key = issued.private_key
    if escrow and private_key is None and issued.record.key_id and authority.vault is not None:
        private_key = authority.vault.private_key(issued.record.key_id)
    files = delivery.deliver(issued.record, issued.chain, private_key)
    if plain_key and not foreign:
        frame.warn(f"{files[0]} is not encrypted; anybody who reads it can use it")
    for finding in issued.findings:
        frame.warn(f"{finding.message} ({finding.code})")
    pooled = registered.register(authority, issued, owner=owner, accept_other_root=other_root) if vehicle else None
    for finding in () if pooled is None else pooled.notes:
        frame.warn(f"{finding.message} ({finding.code})")
    value = {
        **certificate_value(issued.record, frame.now()),
        "files": [str(file) for file in files],
        "findings": [finding_value(finding) for finding in issued.findings],
        **({"contract": of_contract.contract_id} if of_contract is not None else {}),
        **({"registered": pooled.state} if pooled is not None else {}),
    }
    shown = lines(value, "subject", "issuer", "serial", "fingerprint", "not_before", "not_after", "size")
    written = ", ".join(file.name for file in files)
    text = f"issued {role} {issued.record.identifier}".rstrip() + f"\n{shown}\nfiles  {out}: {written}"
    if pooled is not None:
        text += f"\nregistered {pooled.vehicle.pcid} for {pooled.vehicle.edition} ({pooled.state})"
    frame.emit(value, text)


@cert.command("list")
@click.option("--role", default="", metavar="ROLE", help="Only this role.")
@click.option("--edition", default="", metavar="EDITION", help="Only this edition.")
@click.option("--issuer", default="", metavar="CA", help="Only what this authority signed.")
@click.option("--id", "identifier", default="", metavar="ID", help="Only this identifier.")
@click.option("--revoked", is_flag=True, help="Only revoked certificates.")
@click.option("--expiring-before", type=MOMENT, help="Only certificates that end before this time.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most this many (0: all).")
@at_option
@click.pass_obj
def list_certificates(
    frame: Frame,
    *,
    role: str,
    edition: str,
    issuer: str,
    identifier: str,
    revoked: bool,
    expiring_before: datetime | None,
    limit: int,
    at: datetime | None,
) -> None:
    """List issued certificates in the order of issuance; with --json one object a line."""
    authority = frame.authority()
    now = frame.now(at)
    records = authority.store.find_certificates(
        issuer_id=authority.authority(issuer).id if issuer else "",
        edition=edition,
        role=role,
        identifier=identifier,
        state="revoked" if revoked else None,
        expiring_before=expiring_before,
        limit=limit,
    )
    values = (certificate_value(record, now) for record in records)
    if frame.json:
        frame.emit_lines(values)
        return
    _print_table(frame.console(), list(values))


def _print_table(console: Console, values: list[dict[str, object]]) -> None:
    rows = (
        (
            str(value["serial"])[:16],
            *(str(value[key]) for key in ("role", "edition", "id", "issuer")),
            str(value["not_after"])[:10],
            str(value["state"]),
        )
        for value in values
    )
    print_table(console, ("serial", "role", "edition", "id", "issuer", "until", "state"), rows)
    console.print(f"{len(values)} certificates")


@cert.command()
@click.argument("name", metavar="CERTIFICATE")
@at_option
@click.pass_obj
def show(frame: Frame, *, name: str, at: datetime | None) -> None:
    """Show one certificate: by serial, fingerprint, the start of either, or its id."""
    authority = frame.authority()
    record = authority.find_certificate(name)
    value = certificate_value(record, frame.now(at))
    if frame.json:
        frame.emit(value, "")
        return
    from v2gpki.render.certificate import certificate_text

    kept = ("role", "edition", "suite", "id", "issuer", "state", "revoked_at", "reason", "issued_at", "caller")
    frame.emit(value, f"{lines(value, *kept)}\n\n{certificate_text(record.der)}")


@cert.command()
@click.argument("name", metavar="SERIAL")
@click.option("--reason", type=click.Choice(REASONS), default="unspecified", show_default=True, help="Why.")
@yes_option
@click.pass_obj
def revoke(frame: Frame, *, name: str, reason: str, yes: bool) -> None:
    """Revoke one certificate. It cannot be undone; the next CRL lists it."""
    if frame.json and not yes:
        raise click.UsageError("--json asks nobody: revoking cannot be undone, so it takes --yes")
    authority = frame.authority(unlock=True)
    record = authority.find_certificate(name)
    if not yes:
        frame.confirm(f"Revoke {record.subject} ({record.serial:x}) for {reason}?")
    revoked = authority.revoke(f"{record.serial:x}", reason)
    value = certificate_value(revoked, frame.now())
    frame.emit(
        value,
        f"revoked {revoked.subject}\n{lines(value, 'serial', 'issuer', 'revoked_at', 'reason')}\n"
        f"next: v2gpki crl issue {revoked.issuer_id} --out FILE",
    )


@cert.command()
@click.argument("name", metavar="CERTIFICATE")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pem", "chain", "der"]),
    default="pem",
    show_default=True,
    help="One PEM, the chain as PEM (leaf first, no root), or DER.",
)
@click.option("-o", "--out", default="-", metavar="FILE", help="Where to (default: stdout).")
@force_option
@click.pass_obj
def export(frame: Frame, *, name: str, form: str, out: str, force: bool) -> None:
    """Write an issued certificate again, from the store."""
    from v2gpki.cli.delivery import write_certificates

    authority = frame.authority()
    record = authority.find_certificate(name)
    certificates = authority.chain(record) if form == "chain" else (record.der,)
    write_certificates(frame, certificates, out=out, der=form == "der", force=force)
