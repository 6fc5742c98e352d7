"""Installing: CertificateInstallation and CertificateUpdate of ISO 15118-2, CertificateInstallation of -20.

Requests (`build_request`, `read_request`, `verify_request`), what an answer delivers (`contract_data`,
`sign_contract`), answers (`respond`, `refuse`, `response_code`), the vehicle's side (`read_response`,
`verify_response`, `open_response`: the only way to a contract key). Pure: no store, no clock, nobody's trust.
"""

from v2gpki.pnc.installation.answers import refuse, respond, wait
from v2gpki.pnc.installation.codes import response_code
from v2gpki.pnc.installation.contract import SignedContract, contract_data, curve_for, fragments, sign_contract
from v2gpki.pnc.installation.kept import kept, readdressed
from v2gpki.pnc.installation.model import (
    ACTIONS,
    CERTIFICATE_LIMIT,
    Action,
    ContractData,
    OpenedContract,
    Request,
    VerifiedResponse,
)
from v2gpki.pnc.installation.requests import (
    SCHEMAS,
    build_request,
    build_update_request,
    read_request,
    sender_of,
    verify_request,
)
from v2gpki.pnc.installation.roots import root_id, root_matches
from v2gpki.pnc.installation.sizes import Limit, Sizes, sizes
from v2gpki.pnc.installation.vehicle import Response, open_response, read_response, signed_contract, verify_response

__all__ = [
    "ACTIONS",
    "CERTIFICATE_LIMIT",
    "SCHEMAS",
    "Action",
    "ContractData",
    "Limit",
    "OpenedContract",
    "Request",
    "Response",
    "SignedContract",
    "Sizes",
    "VerifiedResponse",
    "build_request",
    "build_update_request",
    "contract_data",
    "curve_for",
    "fragments",
    "kept",
    "open_response",
    "read_request",
    "read_response",
    "readdressed",
    "refuse",
    "respond",
    "response_code",
    "root_id",
    "root_matches",
    "sender_of",
    "sign_contract",
    "signed_contract",
    "sizes",
    "verify_request",
    "verify_response",
    "wait",
]
