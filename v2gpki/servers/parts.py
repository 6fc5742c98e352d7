"""The parts of a server, made from an opened home: name -> what it serves. Imported when they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from v2gpki.servers.http.access import AccessResolver
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.tally import Tally
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.serve_settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Premises:
    """What every part may use: the opened home, the settings, who is calling, threads for services, the counters,
    and, once all are made, the parts themselves."""

    ca: CertificateAuthority
    settings: ServeSettings
    resolver: AccessResolver
    executor: Executor
    tally: Tally
    served: list[Part] = field(default_factory=list)


def ocsp(premises: Premises) -> Part:
    """OCSP at ``/ocsp``."""
    from v2gpki.servers.http.ocsp import OcspApp  # noqa: PLC0415  # only what is chosen is imported
    from v2gpki.servers.signing.asking import Asking  # noqa: PLC0415
    from v2gpki.wiring.ocsp import ocsp_responder, ocsp_signers  # noqa: PLC0415

    ca = premises.ca
    signers = ocsp_signers(ca)
    responder = ocsp_responder(ca, presigned=premises.settings.presigned, signers=signers)
    elsewhere = None if ca.signing is None else Asking(responder, ca.clock, ca.signing)
    app = OcspApp(responder, ca.clock, elsewhere=elsewhere, observe=premises.tally.ocsp)
    return Part(
        "ocsp",
        "OCSP responder",
        ("/ocsp",),
        apps=((app.prefix, app),),
        prompts=((app.prefix, app.prompt),),
        jobs=(app.upkeep,),
        plain=True,
        ends=signers.ends,
    )


def crl(premises: Premises) -> Part:
    """CRLs at ``/crl/<authority>.crl``."""
    from v2gpki.servers.http.crl import CrlApp  # noqa: PLC0415
    from v2gpki.wiring.ocsp import crl_publication  # noqa: PLC0415

    ca = premises.ca
    publication = None if ca.locked else crl_publication(ca)
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


def est(premises: Premises) -> Part:
    """EST at the URLs of the field."""
    from v2gpki.servers.http.est import EstRoute  # noqa: PLC0415
    from v2gpki.services.est import EstService  # noqa: PLC0415
    from v2gpki.wiring.access import registrations_of  # noqa: PLC0415
    from v2gpki.wiring.est_labels import labels_of  # noqa: PLC0415

    ca = premises.ca
    service = EstService(
        ca.store,
        ca.catalogue,
        ca.clock,
        routing=ca._routing,
        issuance=lambda: ca.issuance,
        registry=registrations_of(ca),
        labels=labels_of(ca.catalogue, premises.settings.est_labels),
    )
    urls = ("/.well-known/est/<label>/simpleenroll", "/<label>/simpleenroll/ISO15118-2")
    route = EstRoute(service, premises.resolver, known=premises.resolver.known)
    return Part("est", "EST enrolment", urls, claims=(route.claim,), finds=(route.find,))


def pools(premises: Premises) -> Part:
    """Root pool, provisioning pool, CPS and contract pool as OPCP and OPNC, and webhooks."""
    from v2gpki.servers.http.pools_part import pools_part  # noqa: PLC0415

    return pools_part(premises.ca, premises.settings, premises.resolver, premises.executor)


def page(premises: Premises) -> Part:
    """The page for people at ``/``."""
    from v2gpki.servers.http.page import page_part  # noqa: PLC0415
    from v2gpki.services.browsing import Sights  # noqa: PLC0415

    ca = premises.ca
    points = {"OCSP": ca.settings.ocsp_url, "CRLs": ca.settings.crl_base}
    sights = Sights(ca.store, ca.catalogue)
    return page_part(
        ca.store, sights, ca.clock, premises.executor, served=lambda: premises.served, points=points
    )


#: Every part by its name, in the order in which people read them.
PARTS: Mapping[str, Callable[[Premises], Part]] = {
    "ocsp": ocsp,
    "crl": crl,
    "est": est,
    "pools": pools,
    "page": page,
}
#: Parts that take credentials: whoever has one of them can exchange tokens too.
WITH_CREDENTIALS = frozenset({"est", "pools"})
