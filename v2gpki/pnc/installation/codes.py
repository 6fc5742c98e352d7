"""From an error to the ResponseCode that tells it to the vehicle.

The table is `errors.CODES`; an error that has no word in an edition is FAILED. Clauses: ISO 15118-2 8.4.3.10.2,
table 112; ISO 15118-20 8.3.4.3.
"""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.model import Action

#: Used when nothing more exact is known to the edition.
FAILED = "FAILED"
_CANCELED = "FAILED_ContractCanceled"


def response_code(error: V2GPKIError, edition: Edition, action: Action = "install") -> str:
    """The ResponseCode that answers an error; never empty.

    FAILED_ContractCanceled belongs to updates (ISO 15118-4 CU_012 to CU_015): a vehicle that asks for its first
    contract is told that there is none.
    """
    outcome = error.outcome
    code = (outcome.iso2 if edition == "iso15118-2" else outcome.iso20) or FAILED
    return "FAILED_NoCertificateAvailable" if code == _CANCELED and action == "install" else code


def delivers(code: str) -> bool:
    """Whether an answer with this ResponseCode carries a contract."""
    return code in {"OK", "OK_CertificateExpiresSoon"}
