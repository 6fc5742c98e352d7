"""A message's signature laid open: every octet digested or signed, what was found, and the verdict with its reasons.

The value holds nothing but text, numbers, lists and objects, octets in lower-case hex, so that it goes into JSON as
it is and anybody can compute it again (`openssl dgst`, `openssl pkeyutl`). It refuses only what has nothing to
explain: a message of which nothing is signed, and keys that cannot be read. A broken signature is the answer, not an
error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.suites import spki_of, suite_of
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.algorithms import ALGORITHMS, DIGESTS, Edition
from v2gpki.pnc.elements import Signable, SignedElement
from v2gpki.pnc.examination import GRAMMARS, Examination, ReferenceCheck, signed_info_octets
from v2gpki.pnc.signature import KeySource, deviations_of, examination_of, public_key_of, signature_of, subject_of

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

SCHEMA = "v2gpki/signature/1"


def explain(
    message: Message | Sequence[Signable],
    key: KeySource | None = None,
    *,
    signature: Signature | None = None,
    edition: Edition | None = None,
    accept_document_digest: bool = False,
) -> dict[str, Json]:
    """What `verify` sees, as one object. Arguments as for `verify`; without a key everything but the value is checked.

    `verdict` is "valid", "invalid", "unsigned" or "unchecked" (nothing wrong, but no key was given); `reasons` say
    why. `elements` are what can be signed, with octets if they have an Id; `references` what is signed; `signed_info`
    has the octets under each grammar. Raises `key.*`, `signature.nothing_to_sign`, `signature.wrong_edition`.
    """
    subject = subject_of(message, edition)
    public_key = None if key is None else public_key_of(key)
    if isinstance(message, Message) and signature is None:
        signature = signature_of(message)
    answer: dict[str, Json] = {
        "schema": SCHEMA,
        "edition": subject.edition,
        "message": subject.name,
        "elements": [_element(element, subject.edition) for element in subject.elements],
    }
    if signature is None:
        return answer | {"verdict": "unsigned", "reasons": []}
    examination = examination_of(
        message, public_key, signature=signature, edition=edition, accept_document_digest=accept_document_digest
    )
    return answer | _examined(examination)


def _examined(examination: Examination) -> dict[str, Json]:
    algorithm, key = examination.algorithm, examination.key
    info = examination.signature.SignedInfo
    findings = examination.findings
    return {
        "signature_method": info.SignatureMethod.Algorithm,
        "algorithm": None if algorithm is None else algorithm.name,
        "key": None if key is None else {"suite": suite_of(key).name, "spki": spki_of(key).hex()},
        "references": [_reference(check) for check in examination.references],
        "signed_info": {
            "grammar": examination.grammar,
            "octets": _signed_infos(examination),
        },
        "signature_value": examination.signature.SignatureValue.value.hex(),
        "deviations": list(deviations_of(examination)),
        "verdict": "invalid" if findings else "unchecked" if key is None else "valid",
        "reasons": [_reason(finding) for finding in findings],
    }


def _signed_infos(examination: Examination) -> dict[str, Json]:
    """SignedInfo under every grammar, whichever was signed; nothing where it cannot be coded."""
    coded = examination.signed_info
    if not coded:
        return {}
    return {name: (coded.get(name) or signed_info_octets(examination, name)).hex() for name in GRAMMARS}


def _element(element: SignedElement, edition: Edition) -> dict[str, Json]:
    answer: dict[str, Json] = {
        "path": element.path,
        "name": element.name.name,
        "namespace": element.name.uri,
        "id": element.id,
        "must_be_signed": element.required,
        "schema": element.schema,
    }
    if not element.id:
        return answer
    try:
        fragment = element.fragment()
    except V2GPKIError as error:
        return answer | {"fragment": None, "digests": {}, "reason": str(error)}
    methods = dict.fromkeys(method for algorithm in ALGORITHMS[edition] for method in algorithm.digest_methods)
    digests = {method: DIGESTS[method](fragment).hex() for method in methods}
    return answer | {"fragment": fragment.hex(), "digests": digests}


def _reference(check: ReferenceCheck) -> dict[str, Json]:
    return {
        "uri": check.uri,
        "path": None if check.element is None else check.element.path,
        "digest_method": check.digest_method,
        "fragment": check.fragment.hex(),
        "grammar": None if check.element is None else check.element.schema,
        "digest_computed": check.computed.hex(),
        "digest_found": check.found.hex(),
        "digest_of": check.digest_of or None,
        "verdict": "invalid" if check.findings else "valid",
        "reasons": [_reason(finding) for finding in check.findings],
    }


def _reason(finding: Finding) -> dict[str, Json]:
    return {"code": finding.code, "message": finding.message, "where": finding.where, "clause": finding.clause}
