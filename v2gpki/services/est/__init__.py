"""Enrolment over Secure Transport as values: what a client may ask for, and the answers, without HTTP.

`EstService` gives CA certificates, certificates for requests, renewals, request attributes and server-made keys;
`Labels` turns what stands in a URL into a role, edition and key family; a registry says who may have which id.
Sources: RFC 7030, RFC 8951, VDE-AR-E 2802-100-1, OPCP and OPNC descriptions of EST.
"""

from __future__ import annotations

from v2gpki.services.est.labels import LabelOptions, Labels, Target
from v2gpki.services.est.paths import OPERATIONS, SHAPES, Shape
from v2gpki.services.est.registry import EnrolmentRegistry, MemoryRegistry, Registration
from v2gpki.services.est.service import Enrolled, EnrolRequest, EstService, ServerKey

__all__ = [
    "OPERATIONS",
    "SHAPES",
    "EnrolRequest",
    "Enrolled",
    "EnrolmentRegistry",
    "EstService",
    "LabelOptions",
    "Labels",
    "MemoryRegistry",
    "Registration",
    "ServerKey",
    "Shape",
    "Target",
]
