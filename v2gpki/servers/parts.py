"""The parts of a server, made from an opened home: name -> what it serves. Imported when they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from v2gpki.servers.http.access import Resolver
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.tally import Tally
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.serve_settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Premises:
    """What every part may use: the opened home, the settings, who is calling, threads for services, the counters."""

    ca: CertificateAuthority
    settings: ServeSettings
    resolver: Resolver
    executor: Executor
    tally: Tally


def ocsp(premises: Premises) -> Part:
    """OCSP at ``/ocsp``."""
    from v2gpki.servers.http.ocsp import OcspApp  # noqa: PLC0415  # only what is chosen is imported
    from v2gpki.services.ocsp import OcspResponder, OcspSigners, SignerIssuance  # noqa: PLC0415

    ca = premises.ca
    issue = None
    if ca.vault is not None:
        issue = SignerIssuance(ca.issuance, ca._routing, ca.catalogue, caller="ocsp")
    signers = OcspSigners(ca.store, ca.catalogue, ca.vault, issue=issue)
    responder = OcspResponder(
        ca.store, ca.clock, catalogue=ca.catalogue, signers=signers, presigned=premises.settings.presigned
    )
    app = OcspApp(responder, ca.clock, observe=premises.tally.ocsp)
    return Part(
        "ocsp",
        "OCSP responder",
        ("/ocsp",),
        apps=((app.prefix, app),),
        jobs=(app.upkeep,),
        plain=True,
    )


def crl(premises: Premises) -> Part:
    """CRLs at ``/crl/<authority>.crl``."""
    from v2gpki.servers.http.crl import CrlApp  # noqa: PLC0415
    from v2gpki.services.publication import CrlPublication  # noqa: PLC0415
    from v2gpki.services.revocation import Revocation  # noqa: PLC0415

    ca = premises.ca
    publication = None
    if ca.vault is not None:
        revocation = Revocation(ca.store, ca.vault, ca.clock)
        publication = CrlPublication(
            ca.store, revocation, lifetime=ca.settings.crl_lifetime, seal=ca._seal, caller="crl"
        )
    app = CrlApp(ca.store, ca.clock, publication=publication)
    return Part(
        "crl",
        "CRLs",
        ("/crl/<authority>.crl",),
        apps=((app.prefix, app),),
        jobs=(app.upkeep,),
        plain=True,
        signs=False,
    )


#: Every part by its name, in the order in which people read them.
PARTS: Mapping[str, Callable[[Premises], Part]] = {
    "ocsp": ocsp,
    "crl": crl,
}
