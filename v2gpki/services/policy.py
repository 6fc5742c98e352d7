"""What an operator decides about provisioning: one value, each field a decision with its default and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from v2gpki.services.pools import Selection

#: RFC 5280 reasons after whose revocation a vehicle gets another contract certificate when it asks.
REISSUED_AFTER = ("superseded", "keyCompromise", "affiliationChanged")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides; the defaults are what public test labs expect.

    ``require_evidence``: a chain whose revocation status is unknown is refused. ``unregistered``: what happens to a
    vehicle that is not in the provisioning pool at all, though its chain is trusted and its WMI is nobody else's.
    ``unknown_roots``: a vehicle that names no V2G root of ours. ``reissue_after``: reasons of revocation after which a
    new certificate is issued. ``aad``: the form of the additional authenticated data in -20. ``selection``: which
    contracts a vehicle gets. ``valid_certificates``: so many certificates of one contract may be valid at once; a
    vehicle that updates again and again gets no more.
    """

    require_evidence: bool = False
    unregistered: Literal["refuse", "answer"] = "refuse"
    unknown_roots: Literal["refuse", "answer"] = "refuse"
    reissue_after: tuple[str, ...] = REISSUED_AFTER
    aad: str = "pcid-ski8"
    selection: Selection = field(default_factory=Selection)
    valid_certificates: int = 16
