"""``v2gpki ca``: create, list and show certification authorities."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from v2gpki.cli.choices import option_values, options_option
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import force_option
from v2gpki.cli.tables import print_table
from v2gpki.cli.values import authority_value, lines
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.store.records import AuthorityRecord

_SHOWN = ("id", "role", "edition", "suite", "issuer", "state", "issued", "key")


@click.group()
def ca() -> None:
    """Certification authorities: create, list, show, write their certificates."""


@ca.command()
@click.argument("role")
@click.option("--edition", required=True, metavar="EDITION", help="iso15118-2, iso15118-20, ocpp, ..")
@click.option("--suite", metavar="SUITE", help="The key family, where the edition has several.")
@click.option("--issuer", default="", metavar="CA", help="Who signs it (default: the one that fits).")
@click.option("--name", default="", metavar="TEXT", help="The common name.")
@click.option("--slug", default="", metavar="SLUG", help="What to call it here (default: from edition and role).")
@click.option("--org", default="", metavar="TEXT", help="The organisation in the subject.")
@click.option("--country", default="", metavar="CC", help="The country in the subject.")
@options_option
@click.option("--if-missing", is_flag=True, help="Succeed when it exists already.")
@click.pass_obj
def create(
    frame: Frame,
    *,
    role: str,
    edition: str,
    suite: str | None,
    issuer: str,
    name: str,
    slug: str,
    org: str,
    country: str,
    options: tuple[str, ...],
    if_missing: bool,
) -> None:
    """Create one authority of ROLE (v2g-root, cpo-sub-ca-1, ..) with a fresh key."""
    create_authority(
        frame,
        role,
        edition=edition,
        suite=suite,
        issuer=issuer,
        name=name,
        slug=slug,
        org=org,
        country=country,
        options=options,
        if_missing=if_missing,
    )


def create_authority(
    frame: Frame,
    role: str,
    *,
    edition: str,
    suite: str | None,
    issuer: str,
    name: str,
    slug: str,
    org: str,
    country: str,
    options: Sequence[str],
    if_missing: bool,
) -> None:
    """Create an authority and print subject, fingerprint and where the key is."""
    authority = frame.authority(unlock=True, create=True)
    created = True
    try:
        record = authority.create_authority(
            role,
            edition=edition,
            suite=suite,
            issuer=issuer,
            name=name,
            slug=slug,
            org=org,
            country=country,
            options=option_values(options),
        )
    except V2GPKIError as refusal:
        if refusal.code != "authority.exists" or not if_missing:
            raise
        record = authority.authority(str(refusal.facts["authority"]))
        created = False
    value = {**authority_value(record, authority.home), "created": created}
    title = f"created {record.id}" if created else f"{record.id} was already here"
    frame.emit(value, f"{title}\n{lines(value, 'subject', 'serial', 'fingerprint', 'not_after', 'key')}")


@ca.command("list")
@click.option("--edition", default="", metavar="EDITION", help="Only this edition.")
@click.option("--role", default="", metavar="ROLE", help="Only this role.")
@click.pass_obj
def list_authorities(frame: Frame, *, edition: str, role: str) -> None:
    """List the authorities of the home, in the order of creation."""
    authority = frame.authority()
    values = [
        authority_value(record, authority.home) for record in authority.store.authorities(edition=edition, role=role)
    ]

    def human(console: Console) -> None:
        rows = (
            (
                *(str(value[key]) for key in ("id", "subject", "issuer")),
                str(value["not_after"])[:10],
                str(value["state"]),
                str(value["fingerprint"])[:16],
            )
            for value in values
        )
        print_table(console, ("id", "subject", "issuer", "until", "state", "fingerprint"), rows)

    frame.emit({"schema": "v2gpki/authorities/1", "authorities": values}, human)


@ca.command()
@click.argument("name", metavar="CA")
@click.pass_obj
def show(frame: Frame, *, name: str) -> None:
    """Show one authority: CA is its id, slug, a unique prefix or the start of its serial."""
    authority = frame.authority()
    record = authority.authority(name)
    value = {
        **authority_value(record, authority.home),
        "chain": [hashlib.sha256(above).hexdigest() for above in record.chain],
        "issued": authority.store.count_certificates(issuer_id=record.id),
    }
    if frame.json:
        frame.emit(value, "")
        return
    from v2gpki.render.certificate import certificate_text

    frame.emit(value, f"{lines(value, *_SHOWN)}\n\n{certificate_text(record.der)}")


@ca.command()
@click.argument("name", metavar="CA")
@click.option("--chain", is_flag=True, help="Append the certificates above it, the root last.")
@click.option("--der", is_flag=True, help="DER instead of PEM (one certificate only).")
@click.option("-o", "--out", default="-", metavar="FILE", help="Where to (default: stdout).")
@force_option
@click.pass_obj
def cert(frame: Frame, *, name: str, chain: bool, der: bool, out: str, force: bool) -> None:
    """Write the certificate of an authority, to be installed as a trust anchor."""
    from v2gpki.cli.delivery import write_certificates

    if chain and der:
        raise click.UsageError("--der writes one certificate; it does not go with --chain")
    record: AuthorityRecord = frame.authority().authority(name)
    certificates = (record.der, *record.chain) if chain else (record.der,)
    write_certificates(frame, certificates, out=out, der=der, force=force)
