"""Which ResponseCode tells a vehicle that its contract cannot be relied on: PaymentDetailsRes and AuthorizationRes.

Mostly what `errors.CODES` says; here is where these messages say it otherwise than an installation does. That nobody
here knows the mobility operator's root is one of them: an update is refused with FAILED_CertChainError, a payment with
FAILED_NoCertificateAvailable, in -20 with WARNING_eMSPUnknown, as EVerest has it. In -20 a warning leaves the vehicle
another way to pay, FAILED ends the session, so only a wrong signature is FAILED.
Clauses: ISO 15118-2 table 112, [V2G2-475], [V2G2-824]; [V2G20-2211], [V2G20-2212], [V2G20-2213], [V2G20-2565],
[V2G20-461]; ISO 15118-4 PD_007 to PD_010.
"""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.errors import V2GPKIError
from v2gpki.pnc.algorithms import Edition

_INVALID = "WARNING_CertificateValidationError"
#: ISO 15118-2 and -20, where they differ from `errors.CODES`.
_OTHERWISE: Mapping[str, tuple[str, str]] = {
    "path.no_anchor": ("FAILED_NoCertificateAvailable", "WARNING_eMSPUnknown"),
    "chain.empty": ("FAILED_CertChainError", _INVALID),
    # The EMAID is read in the certificate in -20; in -2 it is the message's own.
    "identifier.invalid": ("FAILED", _INVALID),
    "installation.wrong_emaid": ("FAILED_NoCertificateAvailable", _INVALID),
    "installation.certificate_too_large": ("FAILED_CertChainError", _INVALID),
    "key.unsupported": ("FAILED_CertChainError", _INVALID),
    "key.malformed": ("FAILED_CertChainError", _INVALID),
    "key.point_form": ("FAILED_CertChainError", _INVALID),
    # -20 has words for the vehicle's PCID, which nobody asks about here.
    "contract.ended": ("FAILED_ContractCanceled", "WARNING_GeneralPnCAuthorizationError"),
    "contract.not_active": ("FAILED_ContractCanceled", "WARNING_GeneralPnCAuthorizationError"),
    "contract.unknown": ("FAILED_NoCertificateAvailable", "WARNING_GeneralPnCAuthorizationError"),
}
#: What says that something is wrong here, not with the contract.
_NO_WORD = ("FAILED", "WARNING_GeneralPnCAuthorizationError")
#: The contract is good, but not for long.
EXPIRES_SOON = "OK_CertificateExpiresSoon"


def contract_code(error: V2GPKIError, edition: Edition) -> str:
    """The ResponseCode for a verdict on a contract: PaymentDetailsRes in -2, AuthorizationRes in both; never empty.

    A code among the error's facts (`response_code`, as an authoriser or a CSMS named it) goes first.
    """
    named = error.facts.get("response_code")
    if isinstance(named, str) and named:
        return named
    outcome = error.outcome
    place = 0 if edition == "iso15118-2" else 1
    return _OTHERWISE.get(error.code, (outcome.iso2, outcome.iso20))[place] or _NO_WORD[place]


def with_code(error: V2GPKIError, edition: Edition) -> V2GPKIError:
    """The same error with that code among its facts, where a session looks for it first."""
    error.facts = {**error.facts, "response_code": contract_code(error, edition)}
    return error
