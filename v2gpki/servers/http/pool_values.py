"""What both dialects write and read alike: octets and moments as text, identifiers, what belongs to a root.

Sources: OPCP 1.0, OPNC v1, components of the descriptions.
"""

from __future__ import annotations

import base64
import re

from cryptography.x509.oid import NameOID

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.fields import PCID, Fields, Json
from v2gpki.servers.http.pools import Call, bad_parameter
from v2gpki.services.ecosystem import PooledRootView, SignerView
from v2gpki.services.ecosystem.names import ISO2, attribute, edition_of, name_text

#: In any writing of OPCP and OPNC; what it means is judged by `identifiers`.
EMAID = re.compile(r"[A-Za-z]{2}-?[0-9A-Za-z]{3}-?[0-9A-Za-z]{6,28}-?[0-9A-Za-z]?")
#: A root: UUID or SHA-256.
ROOT = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")
KEY_IDENTIFIER = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){0,63}")
SESSION = re.compile(r"([0-9A-Fa-f]{2}){1,8}")
ROOT_FIELD = "cpsV2GRootCertificateFingerprint"
NAMESPACE = "xsdMsgDefNamespace"
_PARTY_TYPES = ("emsp", "cpo", "oem", "pki", "cps", "pcp", "ccp")

#: Refusals of a vehicle's request that mean: there is nothing for it here.
_NOT_FOUND = frozenset(
    {"cps.no_common_root", "contract.ended", "contract.too_short", "contract.not_active", "contract.elsewhere"}
)


def text_of(octets: bytes) -> str:
    """Octets in base64."""
    return base64.b64encode(octets).decode("ascii")


def emaid_of(call: Call) -> str:
    """The EMAID of the path."""
    return call.segment("emaid", EMAID)


def pcid_of(call: Call) -> str:
    """The PCID of the path."""
    return call.segment("pcid", PCID)


def namespace_of(call: Call) -> str:
    """The namespace of the query, that of -2 when there is none; raises ``ecosystem.unknown_namespace``."""
    namespace = call.parameter(NAMESPACE, default=ISO2)
    edition_of(namespace)
    return namespace


def session_of(call: Call) -> bytes:
    """The session id of the query, zeros when there is none."""
    text = call.parameter("sessionID", default="00")
    if not SESSION.fullmatch(text):
        raise bad_parameter("sessionID", "must be 1 to 8 octets in hexadecimal")
    return bytes.fromhex(text)


def key_identifiers(body: Fields) -> list[bytes]:
    """Key identifiers of the V2G roots that a vehicle holds."""
    named = body.texts("v2gRootAuthorityKeyIdentifiers", pattern=KEY_IDENTIFIER, least=1)
    return [bytes.fromhex(one.replace(":", "")) for one in named]


def check_parties(call: Call) -> None:
    """OPNC's party headers have one of its types where they are given; raises ``ecosystem.bad_parameter``."""
    for name in ("OPNC-from-party-type", "OPNC-to-party-type"):
        value = call.headers.get(name)
        if value is not None and value.lower() not in _PARTY_TYPES:
            raise bad_parameter(name, f"must be one of {', '.join(_PARTY_TYPES)}")


def as_found(refusal: V2GPKIError) -> V2GPKIError:
    """The refusal of a vehicle that could be read: that there is no contract for it is "not found", whatever the
    reason; what is wrong with the request itself stays a bad request."""
    if refusal.code in _NOT_FOUND or (refusal.code.startswith("provisioning.") and refusal.outcome.http != 400):
        return V2GPKIError(
            "ecosystem.no_contract_data",
            f"{refusal.message} [{refusal.code}]",
            hint=refusal.hint,
            clause=refusal.clause,
            facts=refusal.facts,
            findings=refusal.findings,
        )
    return refusal


def root_value(root: PooledRootView) -> dict[str, Json]:
    """What both dialects say of a root alike."""
    seen = root.certificate
    return {
        "rootCertificateId": root.id,
        "distinguishedName": name_text(seen),
        "caCertificate": text_of(seen.der),
        "commonName": attribute(seen, NameOID.COMMON_NAME),
        "rootAuthorityKeyIdentifier": text_of(seen.key_identifier),
        "rootIssuerSerialNumber": f"{seen.serial:x}",
        "validFrom": rfc3339(seen.not_before),
        "validTo": rfc3339(seen.not_after),
        "organizationName": attribute(seen, NameOID.ORGANIZATION_NAME),
        "fingerprint": seen.fingerprint.hex(),
    }


def signer_value(signer: SignerView) -> dict[str, Json]:
    """What both dialects say of a CPS leaf alike."""
    return {
        "cpsDistinguishedName": name_text(signer.leaf),
        "validFrom": rfc3339(signer.leaf.not_before),
        "validTo": rfc3339(signer.leaf.not_after),
        "organizationName": attribute(signer.leaf, NameOID.ORGANIZATION_NAME) or name_text(signer.leaf),
        NAMESPACE: signer.namespace,
    }
