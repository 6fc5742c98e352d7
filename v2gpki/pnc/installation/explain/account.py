"""What `explain_installation` gives: the checks of a message and everything that they looked at, as one plain object.

Its parts: `message`, `checks` with `first_failure` and `cause`, `summary` in one sentence, `certificates`, `signature`
(as `pnc.explain` gives it), `envelope`, `sizes`, `window`. Octets are lower-case hex. The time window is that of
ISO 15118-2 table 109 (V2G_SECC_Msg_Performance_Time, V2G_EVCC_Msg_Timeout).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from v2gpki.certs.view import view
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.envelope import AAD_FORMS, DEFAULT_AAD, LAYOUTS
from v2gpki.pnc.explain import Json, explain
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.explain.chain import ChainLook
from v2gpki.pnc.installation.explain.checks import Check, Given, Inquiry, Trust, inspect
from v2gpki.pnc.installation.explain.contents import Contents, read
from v2gpki.pnc.installation.explain.signer import NamedKey
from v2gpki.pnc.installation.model import CERTIFICATE_LIMIT, Action
from v2gpki.pnc.installation.requests import check_action, wrong_action
from v2gpki.pnc.installation.sizes import TRANSPORTS, base64_length

SCHEMA = "v2gpki/installation/1"
#: Milliseconds that a station has to answer, and after which a vehicle gives up.
PERFORMANCE_MS = 4500
TIMEOUT_MS = 5000


def explain_installation(
    octets: bytes,
    *,
    request: bytes = b"",
    schema: str = "",
    edition: Edition | None = None,
    action: Action | None = None,
    receiver: KeyAgreement | None = None,
    pcid: str = "",
    aad: str = DEFAULT_AAD,
    trust: Trust | None = None,
    keys: Sequence[NamedKey] = (),
    elapsed_ms: int | None = None,
    accept_document_digest: bool = False,
    lab_ed448: bool = False,
    despite_signature: bool = False,
) -> dict[str, Json]:
    """Everything about one message of an installation.

    `octets` are its EXI; `request` those of the request that it answers, `elapsed_ms` the milliseconds between the two.
    `schema` names the EXI schema ("" tries both), `edition` is the message's or `lab-ecog-20`, `action` what it must be
    (-20 has one message for both). `receiver` is the vehicle's private key, `pcid` its PCID (default: from the request)
    and `aad` the form of additional data, for the envelope: it is opened only where `open_response` would, behind a
    good signature and a chain that `trust` takes. `despite_signature` opens it all the same, for laboratories: the
    result says `insecure`. `trust` judges the signing chain: called with role, edition and chain, it raises, and
    returns the path that it trusts. `keys` are further keys that may have signed. Raises `installation.wrong_message`,
    `installation.wrong_action`, `exi.*`, `envelope.unknown_aad`, `signature.wrong_edition`.
    """
    if aad not in AAD_FORMS:
        raise V2GPKIError(
            "envelope.unknown_aad",
            f"there is no form of additional data {aad!r}",
            hint="known are " + ", ".join(AAD_FORMS),
            facts={"form": aad},
        )
    check_action(action)
    contents = read(octets, schema)
    if contents.edition == "iso15118-2" and action not in (None, contents.action):
        raise wrong_action(contents.action, action, contents.session_id)
    asked = read(request) if request else None
    if asked is not None and not pcid and asked.action == "install":
        pcid = _pcid_of(asked)
    given = Given(asked, receiver, pcid, aad, trust, tuple(keys), accept_document_digest, lab_ed448, despite_signature)
    inquiry = inspect(contents, edition or contents.edition, given)
    first = inquiry.first
    return {
        "schema": SCHEMA,
        "verdict": _verdict(inquiry),
        "summary": _summary(inquiry),
        "first_failure": None if first is None else first.name,
        "cause": _cause(inquiry),
        "message": _message(inquiry),
        "checks": [_check(check) for check in inquiry.checks],
        "certificates": [] if inquiry.empty else [
            one for look in (inquiry.signing, inquiry.contract) for one in _certificates(look, contents)
        ],
        "signature": _signature(inquiry, given),
        "envelope": _envelope(inquiry, given),
        "sizes": _sizes(inquiry),
        "window": _window(contents, elapsed_ms),
    }


def _pcid_of(request: Contents) -> str:
    try:
        return chains.common_name(view(request.leaf))
    except V2GPKIError:
        return ""


# --- the verdict ----------------------------------------------------------------------------------------------------


def _verdict(inquiry: Inquiry) -> str:
    if not inquiry.delivers and (inquiry.cause is None or inquiry.cause.what != "response_code"):
        return "waiting" if inquiry.contents.processing == "Ongoing" else "refusal"
    if inquiry.first is not None:
        return "bad"
    unchecked = {check.name for check in inquiry.checks if check.verdict == "unchecked"}
    return "unchecked" if unchecked - {"envelope"} else "good"


def _summary(inquiry: Inquiry) -> str:
    """The verdict in one plain sentence."""
    contents, verdict = inquiry.contents, _verdict(inquiry)
    name = f"this {contents.name} of ISO {'15118-2' if contents.edition == 'iso15118-2' else '15118-20'}"
    receiver = "vehicle" if contents.kind == "response" else "certificate provisioning service"
    if verdict == "waiting":
        return f"{_capital(name)} delivers nothing yet: EVSEProcessing is Ongoing, and the vehicle asks again."
    if verdict == "refusal":
        return f"{_capital(name)} delivers no contract: it says {contents.response_code}."
    if verdict == "bad":
        return f"The {receiver} must refuse {name}: {_reason(inquiry)}."
    name += _whose(inquiry)
    unchecked = [check for check in inquiry.checks if check.verdict == "unchecked"]
    if verdict == "unchecked":
        return f"Nothing is wrong with {name} as far as it was checked: {'; '.join(c.note for c in unchecked)}."
    respect = " that can be checked without the vehicle's key" if unchecked else ""
    end = "" if unchecked or contents.kind == "request" else ": the vehicle can install the contract"
    return f"{_capital(name)} holds in every respect{respect}{end}."


def _reason(inquiry: Inquiry) -> str:
    if inquiry.cause is not None:
        return inquiry.cause.text
    first = inquiry.first
    return first.findings[0].message if first is not None else ""


def _whose(inquiry: Inquiry) -> str:
    look = inquiry.contract or inquiry.signing
    name = chains.common_name(look.leaf) if look.leaf is not None else ""
    return f" for {name}" if name else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cause(inquiry: Inquiry) -> Json:
    cause = inquiry.cause
    if cause is None:
        first = inquiry.first
        if first is None:
            return None
        finding = first.findings[0]
        return {"what": first.name, "text": finding.message, "where": finding.where, "altered": None}
    altered = cause.altered
    bit: Json = None
    if altered is not None:
        inside = altered.octet >= 0
        bit = {
            "path": altered.path,
            "part": altered.part or None,
            "octet": altered.octet if inside else None,
            "bit": altered.bit if inside else None,
            "before": altered.before.hex() or None,
        }
    return {"what": cause.what, "text": cause.text, "where": cause.where, "altered": bit}


def _check(check: Check) -> Json:
    return {
        "check": check.name,
        "title": check.title,
        "verdict": check.verdict,
        "reasons": [
            {
                "code": finding.code,
                "message": finding.message,
                "where": finding.where,
                "subject": finding.subject,
                "clause": finding.clause,
            }
            for finding in check.findings
        ],
        "note": check.note,
    }


# --- the parts ------------------------------------------------------------------------------------------------------


def _message(inquiry: Inquiry) -> Json:
    contents = inquiry.contents
    value: dict[str, Json] = {
        "name": contents.name,
        "kind": contents.kind,
        "edition": inquiry.edition,
        "action": contents.action,
        "octets": len(contents.octets),
        "session_id": contents.session_id.hex(),
        "timestamp": contents.timestamp,
    }
    if contents.kind == "request":
        value |= {
            "emaid": contents.emaid or None,
            "roots": [{"issuer": issuer, "serial": f"{serial:x}"} for issuer, serial in contents.roots],
            "maximum_contracts": contents.maximum_contracts,
            "prioritised_emaids": list(contents.prioritised_emaids),
            "unsigned": list(_unsigned(contents)),
        }
    else:
        value |= {
            "response_code": contents.response_code,
            "processing": contents.processing or None,
            "emaid": None if inquiry.empty else contents.emaid or None,
            "remaining_contracts": contents.remaining,
            "retry_counter": contents.retry_counter,
            "unsigned": list(_unsigned(contents)),
        }
    return value


def _unsigned(contents: Contents) -> Iterator[str]:
    """What of a message no signature protects."""
    yield "Header/SessionID"
    if contents.kind == "request":
        if contents.edition == "iso15118-20":
            yield from ("ListOfRootCertificateIDs", "MaximumContractCertificateChains", "PrioritizedEMAIDs")
        return
    yield from ("ResponseCode", contents.chain_path.rpartition("/")[2])
    if contents.edition == "iso15118-20":
        yield from ("EVSEProcessing", "RemainingContractCertificateChains")
    elif contents.action == "update":
        yield "RetryCounter"


def _certificates(look: ChainLook | None, contents: Contents) -> Iterator[Json]:
    if look is None:
        return
    limit = CERTIFICATE_LIMIT[contents.edition]
    for place, der, seen in zip(look.places, look.certificates, look.views, strict=True):
        value: dict[str, Json] = {
            "place": place,
            "path": look.path,
            "octets": len(der),
            "limit": limit,
            "fits": len(der) <= limit,
            "der": der.hex(),
        }
        if seen is not None:
            value |= {
                "subject": seen.subject_text,
                "issuer": seen.issuer_text,
                "serial": f"{seen.serial:x}",
                "fingerprint": seen.fingerprint.hex(),
                "not_before": rfc3339(seen.not_before),
                "not_after": rfc3339(seen.not_after),
                "spki": seen.spki.hex(),
                "subject_key_identifier": seen.key_identifier.hex(),
            }
        yield value


def _signature(inquiry: Inquiry, given: Given) -> Json:
    if inquiry.examination is None:
        return None
    key = inquiry.examination.key
    value = explain(
        inquiry.contents.message,
        key,
        edition=inquiry.edition,
        accept_document_digest=given.accept_document_digest,
    )
    signer = inquiry.signed_by
    by: Json = None
    if signer is not None:
        seen = view(signer.certificate)
        by = {"key_of": signer.name, "subject": seen.subject_text, "fingerprint": seen.fingerprint.hex()}
    return {**{name: part for name, part in value.items() if name != "schema"}, "signed_by": by}


def _envelope(inquiry: Inquiry, given: Given) -> Json:
    look, contents = inquiry.envelope, inquiry.contents
    if look is None or contents.point is None or contents.encrypted is None:
        return None
    layout = LAYOUTS.get(look.curve)
    value: dict[str, Json] = {
        "curve": look.curve,
        "cipher": layout.cipher if layout else None,
        "digest": layout.digest_name if layout else None,
        "dh_public_key": contents.point.octets.hex(),
        "encrypted_key": contents.encrypted.octets.hex(),
        "ephemeral_spki": look.ephemeral.hex(),
        "aad_form": look.aad_form or None,
        "because": look.because,
        "insecure": inquiry.insecure,
    }
    if look.steps is not None and given.receiver is not None:
        # The contract's key itself is for `installation open`, which verifies first.
        steps = {name: part for name, part in look.steps.shown().items() if name != "private_key"}
        value |= {"receiver_spki": given.receiver.spki.hex(), "steps": steps}
    return value


def _sizes(inquiry: Inquiry) -> Json:
    contents = inquiry.contents
    characters = base64_length(len(contents.octets))
    looks = [inquiry.signing] if inquiry.contract is None else [inquiry.signing, inquiry.contract]
    limits = [(name, answer if contents.kind == "response" else request) for name, answer, request in TRANSPORTS]
    return {
        "octets": len(contents.octets),
        "base64": characters,
        "certificates": sum(len(der) for look in looks for der in look.certificates),
        "limits": [
            {"limit": limit, "of": name, "fits": characters <= limit, "left": limit - characters}
            for name, limit in limits
        ],
    }


def _window(contents: Contents, elapsed_ms: int | None) -> Json:
    text = (
        f"the station has {PERFORMANCE_MS / 1000} s from the request to the answer, everything behind it included; "
        f"the vehicle gives up after {TIMEOUT_MS // 1000} s"
    )
    if contents.edition == "iso15118-20":
        text += "; a station that needs longer answers Ongoing and is asked again"
    return {
        "performance_ms": PERFORMANCE_MS,
        "timeout_ms": TIMEOUT_MS,
        "elapsed_ms": elapsed_ms,
        "kept": None if elapsed_ms is None else elapsed_ms <= PERFORMANCE_MS,
        "text": text,
    }
