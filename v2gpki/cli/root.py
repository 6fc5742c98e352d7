"""``v2gpki init-root`` and ``v2gpki init``: the first commands of every home."""

from __future__ import annotations

from pathlib import Path

import click

from v2gpki.cli.ca import create_authority
from v2gpki.cli.frame import Frame

_STATION = "--id 'DE*ICE*E0001' --plain-key --out secc"
ROOT_ROLES = {"v2g": "v2g-root", "mo": "mo-root", "oem": "oem-root", "private": "private-root"}


@click.command()
@click.option("--edition", required=True, metavar="EDITION", help="iso15118-2 or iso15118-20.")
@click.option("--suite", metavar="SUITE", help="p521 or ed448 (ISO 15118-20; default: p521).")
@click.option("--name", default="", metavar="TEXT", help='The common name, such as "Acme V2G Root".')
@click.option("--role", type=click.Choice(list(ROOT_ROLES)), default="v2g", show_default=True, help="Which root.")
@click.option("--org", default="", metavar="TEXT", help="The organisation in the subject.")
@click.option("--country", default="", metavar="CC", help="The country in the subject.")
@click.option("--if-missing", is_flag=True, help="Succeed when the root exists already.")
@click.pass_obj
def init_root(
    frame: Frame,
    *,
    edition: str,
    suite: str | None,
    name: str,
    role: str,
    org: str,
    country: str,
    if_missing: bool,
) -> None:
    """Create a root with a fresh key, kept encrypted in the home.

    The same as `v2gpki ca create v2g-root`. A second call refuses, shows the root that is there and
    changes nothing.
    """
    create_authority(
        frame,
        ROOT_ROLES[role],
        edition=edition,
        suite=suite,
        issuer="",
        name=name,
        slug="",
        org=org,
        country=country,
        options=(),
        if_missing=if_missing,
    )


@click.command()
@click.option(
    "--edition",
    "editions",
    multiple=True,
    metavar="EDITION",
    help="iso15118-2, iso15118-20, both, ocpp, or one of your own; may be repeated (default: both).",
)
@click.option("--org", default="", metavar="TEXT", help="The organisation in every subject; remembered.")
@click.option("--country", default="", metavar="CC", help="The country, where a subject takes one; remembered.")
@click.option("--lab", type=click.Path(path_type=Path), metavar="FILE", help="A hierarchy of your own (lab.toml).")
@click.pass_obj
def init(frame: Frame, *, editions: tuple[str, ...], org: str, country: str, lab: Path | None) -> None:
    """Create every authority of the ecosystem, with its CPS and OCSP signers.

    Repeating it changes nothing; after an interruption it goes on where it stopped.
    """
    from v2gpki.wiring.settings import MAIN_EDITIONS

    wanted: list[str] = []
    for edition in editions or ("both",):
        wanted += MAIN_EDITIONS if edition == "both" else (edition,)
    wanted = list(dict.fromkeys(wanted))
    if lab is not None or frame.profiles or not set(wanted) <= set(MAIN_EDITIONS):
        # Foreign files first: what is wrong in them is said before there is a home.
        from v2gpki.profile.hierarchy import load_lab
        from v2gpki.profile.load import Catalogue

        catalogue = Catalogue(frame.profiles)
        load_lab(lab, catalogue).plan(wanted)
    authority = frame.authority(unlock=True, create=True)
    plan = authority.plan(wanted, lab)
    with frame.progress("certificates", total=len(plan)) as advance:
        founded = authority.initialise(plan, org=org, country=country, progress=advance)
    value = {
        "schema": "v2gpki/init/1",
        "home": str(authority.home),
        "editions": wanted,
        "created": [record.id for record in founded.authorities],
        "held": [f"{record.role} {record.serial:x}" for record in founded.held],
        "existing": list(founded.existing),
    }
    first = next((edition for edition in wanted if edition in MAIN_EDITIONS), "")
    new = len(founded.authorities)
    if not new and not founded.held:
        human = f"nothing to do: all {len(founded.existing)} certificates are there ({authority.home})"
    else:
        human = (
            f"created {new} authorities and {len(founded.held)} signers in {authority.home}"
            + (f"; {len(founded.existing)} were there" if founded.existing else "")
            + "\nnext: v2gpki tree"
            + (f"; v2gpki cert issue secc --edition {first} {_STATION}" if first else "")
        )
    frame.emit(value, human)
