"""A second opinion on one built path: RFC 5280 6.1 as pyhanko-certvalidator runs it.

It adds what our own checks leave out (policies, policy mapping, name constraints) and repeats the rest.
Revocation is not asked here: ``certs.evidence`` answers it for each certificate, also where the library
would look away (no AIA, no distribution point), stop early, or know no SHA-384 CertID. Nothing is fetched.
Source: RFC 5280 6.1.
"""

from __future__ import annotations

import importlib
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta

from v2gpki.certs.path_building import about
from v2gpki.certs.view import CertificateView
from v2gpki.errors import Finding, V2GPKIError


def prepare() -> None:
    """Import the library now, which the first path would wait for."""
    for name in ("asn1crypto.x509", "pyhanko_certvalidator.validate"):
        importlib.import_module(name)


def objection(path: Sequence[CertificateView], at: datetime) -> Finding | None:
    """What the library has against the path (leaf first, anchor last) at ``at``; None when nothing."""
    # These imports take 95 ms, which no command without a path should pay.
    from asn1crypto import x509 as asn1_x509  # noqa: PLC0415 (keeps start-up fast)
    from pyhanko_certvalidator.authority import CertTrustAnchor  # noqa: PLC0415 (keeps start-up fast)
    from pyhanko_certvalidator.context import ValidationContext  # noqa: PLC0415 (keeps start-up fast)
    from pyhanko_certvalidator.errors import PathBuildingError, ValidationError  # noqa: PLC0415 (keeps start-up fast)
    from pyhanko_certvalidator.path import ValidationPath  # noqa: PLC0415 (keeps start-up fast)
    from pyhanko_certvalidator.policy_decl import (  # noqa: PLC0415 (keeps start-up fast)
        NO_REVOCATION,
        CertRevTrustPolicy,
    )
    from pyhanko_certvalidator.validate import async_validate_path  # noqa: PLC0415 (keeps start-up fast)

    leaf = path[0]
    try:
        certificates = [asn1_x509.Certificate.load(one.der, strict=True) for one in reversed(path)]
        context = ValidationContext(
            trust_roots=[certificates[0]],
            moment=at,
            allow_fetching=False,
            crls=[],
            ocsps=[],
            revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
            time_tolerance=timedelta(0),
        )
        built = ValidationPath(CertTrustAnchor(certificates[0]), certificates[1:-1], certificates[-1])
        _drive(async_validate_path(context, built))
    except (ValidationError, PathBuildingError) as problem:
        message = f"the chain violates a constraint: {_first_line(problem)}"
        return about("path.constraint", message, leaf, clause="RFC 5280 6.1")
    except (ValueError, TypeError, KeyError) as problem:
        # asn1crypto reports broken values of rare extensions in these three ways.
        message = f"an extension of the chain cannot be read: {_first_line(problem)}"
        return about("path.constraint", message, leaf, clause="RFC 5280 4.2")
    return None


def _drive(coroutine: Coroutine[object, object, object]) -> None:
    """Run a coroutine that never waits, as all of the library do when fetching is off."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise V2GPKIError(
        "internal.bug",
        "the path validator waited for something although fetching is off",
        hint="please report this with the versions that pip list shows",
    )


def _first_line(problem: Exception) -> str:
    return str(problem).strip().split("\n", 1)[0]
