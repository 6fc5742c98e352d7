"""The chains that a vehicle is shown: the good one of a PKI folder, and bad ones that are made for it.

Without staple: the good chain again. Under an unknown root: a PKI of its own, in a folder that is thrown away. What
must stand under the vehicle's own root (expired, not a station's, revoked) is issued from a home, by its one issuance
path; these leafs are recorded there like any other. Clauses: [V2G2-873], [V2G2-875]; [V2G20-2388], [V2G20-2409].
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from v2gpki.errors import V2GPKIError
from v2gpki.servers.probe.vehicle import Case
from v2gpki.servers.v2gtls import Edition, TLSIdentity
from v2gpki.services.ocsp import staples
from v2gpki.wiring import CertificateAuthority, open_authority
from v2gpki.wiring.ocsp import ocsp_responder

Identities = Mapping[Edition, Sequence[TLSIdentity]]
#: The shortest life of a certificate: whole seconds, and it must not be over when it is issued.
_MOMENT = timedelta(seconds=2)
_NO_STAPLE = frozenset({"bad_certificate_status_response"})
_NO_ROOT = frozenset({"unknown_ca"})
_WRONG_USE = frozenset({"unsupported_certificate", "bad_certificate", "certificate_unknown"})
_EXPIRED = frozenset({"certificate_expired"})
_REVOKED = frozenset({"certificate_revoked", "bad_certificate_status_response"})


def given_cases(good: Identities) -> list[Case]:
    """The good chain, and the same without its staple."""
    bare = {edition: [replace(one, staple=lambda: None) for one in some] for edition, some in good.items()}
    cases = [Case("the good chain", good, good=True, clause="[V2G2-875], [V2G20-2409]")]
    if all(one.staple() for some in good.values() for one in some):
        cases.append(Case("the good chain, no staple", bare, good=False, alerts=_NO_STAPLE, clause="[V2G2-873]"))
    return cases


def unknown_root(editions: Sequence[Edition], evse_id: str) -> Case:
    """A chain of the same shape under a root that nobody has."""
    with TemporaryDirectory(prefix="v2gpki-probe-") as folder:
        home = Path(folder) / "home"
        with open_authority(home, passphrase=secrets.token_hex(16), create=True, caller="probe") as ca:
            ca.initialise(ca.plan(list(editions)), org="Unknown")
            identities = {edition: [_issued(ca, "secc", edition, evse_id)] for edition in editions}
    return Case("under an unknown root", identities, good=False, alerts=_NO_ROOT, clause="[V2G2-875], [V2G20-2409]")


def minted_cases(
    ca: CertificateAuthority, editions: Sequence[Edition], evse_id: str, loop_time: Callable[[], float]
) -> Iterator[Case]:
    """Bad chains under the home's own roots; ``ca`` must be unlocked. Raises what issuing raises."""
    clause = "[V2G2-875], [V2G20-2409]"
    wrong = {edition: [_issued(ca, "cps", edition)] for edition in editions}
    yield Case("a CPS certificate (DC=CPS)", wrong, good=False, alerts=_WRONG_USE, clause="[V2G2-875]")
    revoked = {edition: [_issued(ca, "secc", edition, evse_id, revoked=True)] for edition in editions}
    yield Case("revoked, as its staple says", revoked, good=False, alerts=_REVOKED, clause=clause)
    now = ca.clock.now()
    expired = {edition: [_issued(ca, "secc", edition, evse_id, not_after=now + _MOMENT)] for edition in editions}
    ready = loop_time() + _MOMENT.total_seconds() + 1
    yield Case("expired", expired, good=False, alerts=_EXPIRED, clause=clause, ready=ready)


def _issued(
    ca: CertificateAuthority,
    role: str,
    edition: Edition,
    identifier: str | None = None,
    *,
    not_after: datetime | None = None,
    revoked: bool = False,
) -> TLSIdentity:
    issued = ca.issue(role, id=identifier, edition=edition, not_after=not_after)
    if issued.private_key is None:
        raise V2GPKIError("key.missing", f"the {role} certificate was issued without its key")
    if revoked:
        ca.revoke(f"{issued.record.serial:x}")
    root = ca.authority(issued.record.issuer_id).chain[-1]
    responder, now = ocsp_responder(ca), ca.clock.now()
    found = staples(issued.chain, lambda asked: responder.answer(asked.request, now), anchors=[root])
    staple = found[0].der
    return TLSIdentity(tuple(issued.chain), issued.private_key, root, lambda: staple)
