"""CertificateInstallationReq and CertificateUpdateReq: built and signed as a vehicle does it, read, and checked.

Reading looks and does not judge; `verify_request` checks the signature by the leaf's key, the chain's order and, in an
update, that the EMAID is the contract's. Whether the chain may be trusted is `services.trust`'s. An update exists in
ISO 15118-2 only: a -20 request under the action "update" is an installation (OCPP 2.1 M02).
Clauses: ISO 15118-2 8.4.3.10, 8.4.3.11; ISO 15118-20 8.3.4.3; [V2G20-1548].
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from v2gpki import identifiers
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.frames import nearest
from v2gpki.messages.schema import Message, NamedValue
from v2gpki.messages.xmldsig import X509IssuerSerialType
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.elements import name_of
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.model import ACTIONS, Action, Request
from v2gpki.pnc.installation.roots import root_id
from v2gpki.pnc.signature import SignatureCheck, attach, sign, verify_by

#: What a station says a request is coded with: the namespace (OCPP's iso15118SchemaVersion), or an edition.
SCHEMAS: dict[str, Edition] = {
    "urn:iso:15118:2:2013:MsgDef": "iso15118-2",
    "urn:iso:std:iso:15118:-20:CommonMessages": "iso15118-20",
    # How a public pool's description calls -20.
    "urn:iso:15118:20:2020:MsgDef": "iso15118-20",
    "iso15118-2": "iso15118-2",
    "iso15118-20": "iso15118-20",
    "lab-ecog-20": "lab-ecog-20",
}
#: The schema that an edition's messages are coded with.
CODED: dict[Edition, str] = {
    "iso15118-2": "iso15118-2",
    "iso15118-20": "iso15118-20-common",
    "lab-ecog-20": "iso15118-20-common",
}
_ID = "id1"


# --- building -------------------------------------------------------------------------------------------------------


def build_request(
    *,
    edition: Edition,
    chain: Sequence[bytes],
    signer: Signer,
    roots: Sequence[bytes],
    session_id: bytes = bytes(8),
    timestamp: datetime | None = None,
    maximum_contracts: int = 1,
    prioritised_emaids: Sequence[str] = (),
    algorithm: str = "",
) -> Message:
    """A signed CertificateInstallationReq, as a message.

    `chain` is the OEM provisioning chain, leaf first (in -2 the leaf alone is sent), `signer` has the leaf's key,
    `roots` are the V2G roots (DER) that the vehicle holds. -20 needs `timestamp`, and knows the last three arguments.
    Raises `installation.*`, `signature.*`.
    """
    chains.check_sizes(edition, chain if edition != "iso15118-2" else chain[:1], "OEM provisioning")
    chains.check_signer(chain, signer, "OEM provisioning")
    if edition == "iso15118-2":
        body = iso2.CertificateInstallationReq(
            Id=_ID,
            OEMProvisioningCert=chain[0],
            ListOfRootCertificateIDs=iso2.ListOfRootCertificateIDsType(RootCertificateID=_root_ids(roots)),
        )
        return _signed(v2g_message(body, session_id), edition, signer, algorithm)
    chains.check_order(chain, "OEM provisioning")
    above = iso20_common.SubCertificatesType(Certificate=tuple(chain[1:])) if len(chain) > 1 else None
    emaids = tuple(prioritised_emaids)
    request = iso20_common.CertificateInstallationReq(
        Header=header_20(session_id, timestamp),
        OEMProvisioningCertificateChain=iso20_common.SignedCertificateChainType(
            Id=_ID, Certificate=chain[0], SubCertificates=above
        ),
        ListOfRootCertificateIDs=iso20_common.ListOfRootCertificateIDsType(RootCertificateID=_root_ids(roots)),
        MaximumContractCertificateChains=maximum_contracts,
        PrioritizedEMAIDs=iso20_common.EMAIDListType(EMAID=emaids) if emaids else None,
    )
    return _signed(request, edition, signer, algorithm)


def build_update_request(
    *,
    chain: Sequence[bytes],
    emaid: str,
    signer: Signer,
    roots: Sequence[bytes],
    session_id: bytes = bytes(8),
) -> Message:
    """A signed CertificateUpdateReq of ISO 15118-2, as a message.

    `chain` is the current contract's, leaf first, `signer` has its key. Raises `installation.*`, `identifier.invalid`.
    """
    chains.check_sizes("iso15118-2", chain, "contract")
    chains.check_order(chain, "contract")
    chains.check_signer(chain, signer, "contract")
    above = iso2.SubCertificatesType(Certificate=tuple(chain[1:])) if len(chain) > 1 else None
    body = iso2.CertificateUpdateReq(
        Id=_ID,
        ContractSignatureCertChain=iso2.CertificateChainType(Certificate=chain[0], SubCertificates=above),
        eMAID=identifiers.parse("emaid", emaid).normal,
        ListOfRootCertificateIDs=iso2.ListOfRootCertificateIDsType(RootCertificateID=_root_ids(roots)),
    )
    return _signed(v2g_message(body, session_id), "iso15118-2", signer, "")


def v2g_message(body: iso2.BodyMessage, session_id: bytes) -> iso2.V2G_Message:
    """A body message of ISO 15118-2 in its envelope, unsigned."""
    return iso2.V2G_Message(
        Header=iso2.MessageHeaderType(SessionID=session_id), Body=iso2.BodyType(BodyElement=body)
    )


def header_20(session_id: bytes, timestamp: datetime | None) -> iso20_common.MessageHeaderType:
    """A header of ISO 15118-20. Raises `installation.needs_time` without a time."""
    if timestamp is None:
        raise V2GPKIError(
            "installation.needs_time",
            "a message of ISO 15118-20 carries the time at which it is sent, and none was given",
            hint="give timestamp=, an aware datetime",
            clause="ISO 15118-20 8.3.3",
        )
    return iso20_common.MessageHeaderType(SessionID=session_id, TimeStamp=int(timestamp.timestamp()))


def _root_ids(roots: Sequence[bytes]) -> tuple[X509IssuerSerialType, ...]:
    if not 1 <= len(roots) <= 20:
        raise V2GPKIError(
            "installation.bad_roots",
            f"{len(roots)} V2G roots; a request names 1 to 20",
            hint="give the roots that the vehicle holds",
            clause="ListOfRootCertificateIDsType",
            facts={"roots": len(roots)},
        )
    return tuple(
        X509IssuerSerialType(X509IssuerName=issuer, X509SerialNumber=serial) for issuer, serial in map(root_id, roots)
    )


def _signed(message: Message, edition: Edition, signer: Signer, algorithm: str) -> Message:
    return attach(message, sign(message, signer, edition=edition, algorithm=algorithm))


# --- reading --------------------------------------------------------------------------------------------------------


def read_request(octets: bytes | bytearray | memoryview, *, schema: str = "", action: Action | None = None) -> Request:
    """A request as it came, decoded and looked at; nothing is judged.

    `schema` is a namespace or an edition (`SCHEMAS`), "" recognises it; `action` is what the station says it is. Raises
    `installation.wrong_schema` for an unknown one and for that of another edition (facts: `fitting`),
    `installation.wrong_message` for another message, `installation.wrong_action` for an update that is said to be an
    installation or the reverse (facts: `session_id` in hexadecimal) and for what is neither, and `exi.*`.
    """
    check_action(action)
    octets = bytes(octets)
    edition, message = decoded(octets, schema)
    body, session_id = opened(message)
    if isinstance(body, iso2.CertificateInstallationReq):
        request = _installation_2(body, session_id, message, octets)
    elif isinstance(body, iso2.CertificateUpdateReq):
        request = _update_2(body, session_id, message, octets)
    elif isinstance(body, iso20_common.CertificateInstallationReq):
        return _installation_20(body, edition, session_id, octets)
    else:
        raise wrong_message(message, "a CertificateInstallationReq or CertificateUpdateReq")
    if action is not None and action != request.action:
        raise wrong_action(request.action, action, session_id)
    return request


def verify_request(request: Request) -> SignatureCheck:
    """Check a request's signature by its leaf, then the order of its chain, then an update's EMAID.

    The chain is looked at link by link (`chains.check_order`): whoever judges it afterwards must judge the certificate
    that signed (`services.trust.judge` with `ordered=True` or `leaf=request.leaf`). Raises `signature.*`, `key.*`,
    `chain.malformed`, `installation.bad_chain`, `path.bad_signature`, `installation.wrong_emaid`, `identifier.invalid`.
    """
    check = verify_by(request.message, chains.key_of(request.leaf), edition=request.edition)
    whose = "contract" if request.action == "update" else "OEM provisioning"
    chains.check_order(request.chain, whose)
    if request.action == "update":
        chains.check_emaid(request.emaid, request.leaf, "the request's eMAID")
    return check


def check_action(action: Action | None) -> None:
    """Raises `installation.wrong_action` for what is neither "install" nor "update"."""
    if action is not None and action not in ACTIONS:
        raise V2GPKIError(
            "installation.wrong_action",
            f"there is no action {str(action)[:60]!r}",
            hint="install or update",
            facts={"action": str(action)[:60]},
        )


def decoded(octets: bytes, schema: str) -> tuple[Edition, Message | NamedValue]:
    """Octets as a message under a schema by namespace or edition; "" takes what fits."""
    if schema:
        return _decoded_as(octets, schema)
    for candidate in (SCHEMAS["iso15118-2"], SCHEMAS["iso15118-20"]):
        plain = codec.fits(octets, CODED[candidate])
        if plain is not None and _installs(plain):
            return candidate, plain
    found: list[tuple[Edition, Message | NamedValue]] = []
    for candidate in (SCHEMAS["iso15118-2"], SCHEMAS["iso15118-20"]):
        try:
            found.append((candidate, codec.decode(octets, CODED[candidate])))
        except V2GPKIError:
            continue
        if _installs(found[-1][1]):
            return found[-1]
    if found:
        return found[0]
    closest = nearest(octets, (CODED["iso15118-2"], CODED["iso15118-20"]))
    return ("iso15118-2" if closest == "iso15118-2" else "iso15118-20"), codec.decode(octets, closest)


def sender_of(octets: bytes, schema: str = "") -> tuple[Edition, bytes]:
    """Which edition a message that was refused is of, and its session id (zeros where that cannot be read): what its
    sender needs to understand the refusal. Never raises."""
    try:
        edition, message = decoded(octets, "")
        return edition, opened(message)[1]
    except V2GPKIError:
        pass
    closest = nearest(octets, (CODED["iso15118-2"], CODED["iso15118-20"])) if octets else ""
    return SCHEMAS.get(schema) or ("iso15118-20" if closest == CODED["iso15118-20"] else "iso15118-2"), bytes(8)


def _decoded_as(octets: bytes, schema: str) -> tuple[Edition, Message | NamedValue]:
    """Octets as a message under a named schema; those of another edition are refused by its name."""
    edition = SCHEMAS.get(schema)
    if edition is None:
        raise V2GPKIError(
            "installation.wrong_schema",
            f"contracts are not installed under the schema {schema[:80]!r}",
            hint="known are " + ", ".join(SCHEMAS),
            facts={"schema": schema[:200]},
        )
    try:
        message = codec.decode(octets, CODED[edition])
    except V2GPKIError:
        _refuse_other_edition(octets, schema, edition)
        raise
    if not _installs(message):
        _refuse_other_edition(octets, schema, edition)
    return edition, message


def _refuse_other_edition(octets: bytes, schema: str, edition: Edition) -> None:
    """Raises `installation.wrong_schema` if the octets install a contract under the other edition's schema."""
    other: Edition = "iso15118-20" if edition == "iso15118-2" else "iso15118-2"
    try:
        message = codec.decode(octets, CODED[other])
    except V2GPKIError:
        return
    if _installs(message):
        name = name_of(opened(message)[0]).name
        fitting = next(namespace for namespace, named in SCHEMAS.items() if named == other)
        raise V2GPKIError(
            "installation.wrong_schema",
            f"this is a {name} of {other}, it came under the schema {schema}",
            hint=f"its schema is {fitting}",
            facts={"schema": schema, "fitting": fitting, "found": name, "session_id": opened(message)[1].hex()},
        )


def _installs(message: Message | NamedValue) -> bool:
    return name_of(opened(message)[0]).name.startswith(("CertificateInstallation", "CertificateUpdate"))


def opened(message: Message | NamedValue) -> tuple[Message | NamedValue, bytes]:
    """What a message is inside its envelope, and its session id (zeros if it has none)."""
    header = getattr(message, "Header", None)
    session_id = getattr(header, "SessionID", None)
    body: Message | NamedValue | None = message
    if isinstance(message, iso2.V2G_Message):
        body = message.Body.BodyElement
    return body or message, session_id if isinstance(session_id, bytes) else bytes(8)


def wrong_message(message: Message | NamedValue, wanted: str) -> V2GPKIError:
    """The refusal of a message that is none of an installation."""
    body, session_id = opened(message)
    return V2GPKIError(
        "installation.wrong_message",
        f"this is a {name_of(body).name}, not {wanted}",
        facts={"found": name_of(body).name, "session_id": session_id.hex()},
    )


def wrong_action(found: Action, said: Action, session_id: bytes) -> V2GPKIError:
    """The refusal of an update that came as an installation, or the reverse."""
    return V2GPKIError(
        "installation.wrong_action",
        f"the message is of the action {found}, it came as {said}",
        hint="name the action of the message (OCPP: action Install or Update)",
        facts={"found": found, "action": said, "session_id": session_id.hex()},
    )


def chain_of(
    chain: iso2.CertificateChainType
    | iso20_common.SignedCertificateChainType
    | iso20_common.CertificateChainType
    | iso20_common.ContractCertificateChainType,
) -> tuple[bytes, ...]:
    """Leaf and Sub-CAs of a chain in a message."""
    above = chain.SubCertificates
    return (chain.Certificate, *(above.Certificate if above is not None else ()))


def _roots_of(
    listed: iso2.ListOfRootCertificateIDsType | iso20_common.ListOfRootCertificateIDsType,
) -> tuple[tuple[str, int], ...]:
    return tuple((one.X509IssuerName, one.X509SerialNumber) for one in listed.RootCertificateID)


def _installation_2(
    body: iso2.CertificateInstallationReq, session_id: bytes, message: Message | NamedValue, octets: bytes
) -> Request:
    assert isinstance(message, Message)
    chain = (body.OEMProvisioningCert,)
    roots = _roots_of(body.ListOfRootCertificateIDs)
    return Request("iso15118-2", "install", session_id, chain, "", roots, 1, (), message, octets)


def _update_2(
    body: iso2.CertificateUpdateReq, session_id: bytes, message: Message | NamedValue, octets: bytes
) -> Request:
    assert isinstance(message, Message)
    chain = chain_of(body.ContractSignatureCertChain)
    roots = _roots_of(body.ListOfRootCertificateIDs)
    emaid = chains.normal_or_same(body.eMAID)
    return Request("iso15118-2", "update", session_id, chain, emaid, roots, 1, (), message, octets)


def _installation_20(
    message: iso20_common.CertificateInstallationReq, edition: Edition, session_id: bytes, octets: bytes
) -> Request:
    emaids = message.PrioritizedEMAIDs
    return Request(
        edition,
        "install",
        session_id,
        chain_of(message.OEMProvisioningCertificateChain),
        "",
        _roots_of(message.ListOfRootCertificateIDs),
        message.MaximumContractCertificateChains,
        tuple(chains.normal_or_same(emaid) for emaid in emaids.EMAID) if emaids is not None else (),
        message,
        octets,
    )
