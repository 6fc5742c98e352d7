"""The URLs under which clients look for EST, as one table: RFC 7030's, and those of the field for the same service.

A shape is a path before the operation; behind the operation may follow an ISO version and an algorithm, as the OPCP
description has it. Servers make their routes from this table, clients their URLs. Sources: RFC 7030 3.2.2, OPCP
est.v1, OPNC pki.api.v1, and how MaEVe, CitrineOS and strongSwan call a PKI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Operation -> HTTP method.
OPERATIONS: Mapping[str, str] = {
    "cacerts": "GET",
    "simpleenroll": "POST",
    "simplereenroll": "POST",
    "csrattrs": "GET",
    "serverkeygen": "POST",
    "fullcmc": "POST",
}

#: Query parameters that name what other shapes have in the path.
QUERY_LABEL = ("caDomain",)
QUERY_EDITION = ("iso15118Version", "xsdMsgDefNamespace")
QUERY_FAMILY = ("algorithm",)


@dataclass(frozen=True, slots=True)
class Shape:
    """One way of writing the URL: the path before the operation (``{label}``, ``{path}`` are holes), who writes it
    so, and what is left out by them (a client of this shape sends no more)."""

    name: str
    base: str
    operations: tuple[str, ...] = tuple(OPERATIONS)
    edition: bool = False
    query: bool = False


#: In the order in which a server tries them: what is spelled out comes before holes that would take it for a label.
SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("rfc7030", "/.well-known/est"),
        Shape("rfc7030-label", "/.well-known/est/{label}"),
        Shape("opcp", "/.well-known/est/{label}", edition=True),
        Shape("opnc", "/est", query=True),
        Shape("opnc-server", "/opnc/v1/pki/est", query=True),
        Shape("maeve", "/{label}", ("cacerts", "simpleenroll", "simplereenroll"), edition=True),
        Shape("citrineos", "/.well-known/{label}", ("cacerts", "simpleenroll", "simplereenroll")),
        Shape("strongswan", "/{path}/.well-known/est"),
    )
}
#: OPCP gives CA certificates at MaEVe's path, with an algorithm behind the version.
CACERTS_SHAPE: Mapping[str, str] = {"opcp": "maeve"}


def url_path(
    shape: str, operation: str, *, label: str = "", edition: str = "", family: str = ""
) -> tuple[str, dict[str, str]]:
    """Path and query of one operation as clients of this shape write it; ``edition`` such as ``ISO15118-20``."""
    if operation == "cacerts":
        shape = CACERTS_SHAPE.get(shape, shape)
    if shape == "rfc7030" and label:
        shape = "rfc7030-label"
    described = SHAPES[shape]
    path = described.base.replace("{label}", label).replace("{path}", label) + f"/{operation}"
    if described.edition and edition:
        path += f"/{edition}" + (f"/{family}" if family and operation == "cacerts" else "")
    query: dict[str, str] = {}
    if described.query:
        pairs = (("caDomain", label), ("iso15118Version", edition), ("algorithm", family))
        query = {name: value for name, value in pairs if value}
    return path, query
