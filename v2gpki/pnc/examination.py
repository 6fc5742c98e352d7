"""Every check of a message's signature, made once, with what was found; `verify` raises from it and `explain` shows it.

Nothing is decided by the first thing that is wrong: an examination goes on as long as it is bounded and safe, so that
a person sees all of it. Digests are compared in constant time. SignedInfo is taken under the grammar of XML Signature
alone (ISO 15118-2 annex J, [V2G20-1449]) or, as some stacks code it, under that of the messages; the result says
which.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from v2gpki.errors import FactValue, Finding, V2GPKIError
from v2gpki.keys.suites import PublicKey, suite_of
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Reference, Signature
from v2gpki.pnc import mistakes
from v2gpki.pnc.algorithms import (
    ALGORITHMS,
    CANONICAL_EXI,
    DIGESTS,
    Algorithm,
    Edition,
    clause_of,
    der_numbers,
    in_range,
    value_holds,
)
from v2gpki.pnc.elements import SignedElement, schema_of

Grammar: TypeAlias = Literal["xmldsig", "combined"]
GRAMMARS: tuple[Grammar, ...] = ("xmldsig", "combined")

#: [V2G2-909]; for -20 a bound of our own, above what one of its messages can have signed.
MOST_REFERENCES: Mapping[Edition, int] = {"iso15118-2": 4, "iso15118-20": 16, "lab-ecog-20": 16}


@dataclass(slots=True)
class ReferenceCheck:
    """One Reference: what it names, what was computed, what is wrong; `digest_of` says of what the digest is."""

    uri: str | None
    digest_method: str
    found: bytes
    element: SignedElement | None = None
    fragment: bytes = b""
    computed: bytes = b""
    digest_of: Literal["", "fragment", "document"] = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Examination:
    """What a signature says and whether it holds; it holds if there are no findings and a key was given."""

    edition: Edition
    elements: tuple[SignedElement, ...]
    signature: Signature
    key: PublicKey | None
    algorithm: Algorithm | None = None
    references: list[ReferenceCheck] = field(default_factory=list)
    signed_info: dict[Grammar, bytes] = field(default_factory=dict)
    grammar: Grammar | None = None
    general: list[Finding] = field(default_factory=list)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong: with the whole, then with each reference, then with the value."""
        of_references = [finding for reference in self.references for finding in reference.findings]
        value = [finding for finding in self.general if finding.where == "SignatureValue"]
        return (*(finding for finding in self.general if finding.where != "SignatureValue"), *of_references, *value)

    def refuse(self, code: str, message: str, where: str, clause: str = "", **facts: FactValue) -> None:
        """Note something that is wrong with the whole or with the value."""
        self.general.append(Finding(code, "error", message, clause, where, facts=facts))


def examine(
    signature: Signature,
    elements: Sequence[SignedElement],
    edition: Edition,
    key: PublicKey | None,
    *,
    whole: Message | None = None,
    accept_document_digest: bool = False,
) -> Examination:
    """Check a signature against the elements of its message and a key (None: all but the value).

    `whole` is the message, to recognise a digest over all of it.
    """
    result = Examination(edition, tuple(elements), signature, key)
    _algorithm(result)
    _members(result)
    if _references_within_bounds(result):
        for number, reference in enumerate(signature.SignedInfo.Reference, 1):
            result.references.append(_reference(result, reference, number, whole, accept_document_digest))
        _coverage(result)
        _value(result)
    return result


def signed_info_octets(result: Examination, grammar: Grammar) -> bytes:
    """SignedInfo as EXI under a grammar; ``result.signed_info`` has those that were needed. Raises ``messages.*``."""
    schema = "xmldsig"
    if grammar == "combined":
        schema = schema_of("iso15118-2" if result.edition == "iso15118-2" else "iso15118-20")
    return codec.encode(result.signature.SignedInfo, schema=schema, fragment=True)


def shown(text: str | None) -> str:
    """Text of a peer, fit for a message."""
    if text is None:
        return "nothing"
    return repr(text if len(text) <= 80 else text[:77] + "...")


# --- the whole ------------------------------------------------------------------------------------------------------


def _algorithm(result: Examination) -> None:
    info = result.signature.SignedInfo
    if info.CanonicalizationMethod.Algorithm != CANONICAL_EXI:
        result.refuse(
            "signature.unknown_transform",
            f"CanonicalizationMethod is {shown(info.CanonicalizationMethod.Algorithm)}, not {CANONICAL_EXI}",
            "SignedInfo/CanonicalizationMethod",
            "[V2G2-765]" if result.edition == "iso15118-2" else "[V2G20-765]",
        )
    uri = info.SignatureMethod.Algorithm
    known = ALGORITHMS[result.edition]
    result.algorithm = next((algorithm for algorithm in known if algorithm.signature_method == uri), None)
    clause = clause_of(result.edition)
    if result.algorithm is None:
        result.refuse(
            "signature.wrong_algorithm",
            f"SignatureMethod is {shown(uri)}; {result.edition} uses "
            + " or ".join(algorithm.signature_method for algorithm in known)
            + _elsewhere(uri),
            "SignedInfo/SignatureMethod",
            clause,
        )
    elif result.key is not None and suite_of(result.key).name != result.algorithm.suite:
        suite = suite_of(result.key).name
        result.refuse(
            "signature.wrong_key",
            f"the signature is by {result.algorithm.name}, the key is of {suite}",
            "SignatureValue",
            clause,
            suite=suite,
            algorithm=result.algorithm.name,
        )


def _elsewhere(uri: str) -> str:
    editions = [name for name, known in ALGORITHMS.items() if any(item.signature_method == uri for item in known)]
    return f" (that one belongs to {', '.join(editions)})" if editions else ""


def _members(result: Examination) -> None:
    """What the standard forbids inside a signature, [V2G2-771] and [V2G20-771]."""
    clause = "[V2G2-771]" if result.edition == "iso15118-2" else "[V2G20-771]"
    for where in _forbidden(result.signature, MOST_REFERENCES[result.edition]):
        result.refuse("signature.forbidden_member", f"{where} may not stand in a message's signature", where, clause)


def _forbidden(signature: Signature, most: int) -> Iterator[str]:
    info = signature.SignedInfo
    checks = [
        (info.Id is not None, "SignedInfo/@Id"),
        (bool(info.CanonicalizationMethod.content), "SignedInfo/CanonicalizationMethod/content"),
        (bool(info.SignatureMethod.content), "SignedInfo/SignatureMethod/content"),
        (signature.SignatureValue.Id is not None, "SignatureValue/@Id"),
        (signature.KeyInfo is not None, "KeyInfo"),
        (bool(signature.Object), "Object"),
    ]
    for number, reference in enumerate(info.Reference[:most], 1):
        where = f"SignedInfo/Reference[{number}]"
        transforms = reference.Transforms.Transform if reference.Transforms is not None else ()
        checks += [
            (reference.Type is not None, f"{where}/@Type"),
            (bool(reference.DigestMethod.content), f"{where}/DigestMethod/content"),
            (any(transform.content for transform in transforms[:most]), f"{where}/Transforms/Transform/content"),
        ]
    return (where for present, where in checks if present)


def _references_within_bounds(result: Examination) -> bool:
    count, most = len(result.signature.SignedInfo.Reference), MOST_REFERENCES[result.edition]
    if count > most:
        result.refuse(
            "signature.too_many_references",
            f"{count} references; a signature has {most} at most",
            "SignedInfo/Reference",
            "[V2G2-909]" if result.edition == "iso15118-2" else "",
            references=count,
        )
    return count <= most


def _coverage(result: Examination) -> None:
    """Each element that must be signed is referred to, and no Id leaves a choice."""
    referenced = {id(check.element) for check in result.references if check.element is not None}
    for element in result.elements:
        if not element.required or id(element) in referenced:
            continue
        if not element.id:
            result.refuse(
                "signature.missing_id",
                f"{element.path} must be signed and has no Id",
                element.path,
                "ISO 15118-2 7.9.2.4" if result.edition == "iso15118-2" else "ISO 15118-20 7.9.2.3",
            )
        else:
            result.refuse(
                "signature.missing_reference",
                f"no Reference for {element.path} (Id {shown(element.id)}), which must be signed",
                element.path,
                "ISO 15118-2 7.9.2.4" if result.edition == "iso15118-2" else "ISO 15118-20 7.9.2.3",
                id=element.id,
            )


# --- a reference ----------------------------------------------------------------------------------------------------


def _reference(
    result: Examination, reference: Reference, number: int, whole: Message | None, accept_document: bool
) -> ReferenceCheck:
    where = f"SignedInfo/Reference[{number}]"
    check = ReferenceCheck(reference.URI, reference.DigestMethod.Algorithm, reference.DigestValue)

    def refuse(code: str, message: str, clause: str = "", **facts: FactValue) -> None:
        check.findings.append(Finding(code, "error", message, clause, where, facts=facts))

    _transforms(reference, result.edition, where, check)
    methods = _digest_methods(result)
    if check.digest_method not in methods:
        refuse(
            "signature.wrong_algorithm",
            f"DigestMethod is {shown(check.digest_method)}; here it must be " + " or ".join(methods),
            clause_of(result.edition),
        )
    _resolve(result, check, refuse)
    if check.element is None:
        return check
    try:
        check.fragment = check.element.fragment()
    except V2GPKIError as error:
        refuse(error.code, f"{check.element.path} cannot be coded: {error.message}", error.clause)
        return check
    if check.digest_method not in methods:
        return check
    check.computed = DIGESTS[check.digest_method](check.fragment)
    if hmac.compare_digest(check.computed, check.found):
        check.digest_of = "fragment"
        return check
    mistake = mistakes.of_digest(check.found, check.digest_method, check.element, whole)
    if mistake is not None and mistake.code == "signature.document_digest":
        check.digest_of = "document"
        if accept_document:
            return check
    code = "signature.wrong_digest" if mistake is None else mistake.code
    what = f"the digest of {check.element.path} is another one" if mistake is None else mistake.text
    clause = "ISO 15118-2 7.9.2.4.2, [V2G20-1449]"
    refuse(code, f"{where} ({shown(check.uri)}): {what}", clause, path=check.element.path)
    return check


def _transforms(reference: Reference, edition: Edition, where: str, check: ReferenceCheck) -> None:
    transforms = reference.Transforms.Transform if reference.Transforms is not None else ()
    if len(transforms) == 1 and transforms[0].Algorithm == CANONICAL_EXI:
        return
    if len(transforms) == 1:
        found = f"the transform is {shown(transforms[0].Algorithm)}"
    else:
        found = f"there are {len(transforms)} transforms"
    clause = "[V2G2-766], [V2G2-767]" if edition == "iso15118-2" else "[V2G20-766], [V2G20-767]"
    message = f"{found}; a Reference has one, {CANONICAL_EXI}"
    check.findings.append(Finding("signature.unknown_transform", "error", message, clause, f"{where}/Transforms"))


def _digest_methods(result: Examination) -> tuple[str, ...]:
    """The digests that go with the algorithm; those of the edition if that is unknown."""
    algorithms = ALGORITHMS[result.edition] if result.algorithm is None else (result.algorithm,)
    return tuple(dict.fromkeys(method for algorithm in algorithms for method in algorithm.digest_methods))


class _Refuse(Protocol):
    """Shape of the function that notes a finding."""

    def __call__(self, code: str, message: str, clause: str = "", **facts: FactValue) -> None: ...


def _resolve(result: Examination, check: ReferenceCheck, refuse: _Refuse) -> None:
    """Find the one element that the URI names."""
    uri = check.uri
    if uri is None or not uri.startswith("#") or len(uri) == 1:
        refuse("signature.unknown_reference", f"the URI {shown(uri)} is not '#' and an Id")
        return
    if any(earlier.uri == uri for earlier in result.references):
        refuse("signature.duplicate_reference", f"two references to {shown(uri)}")
        return
    matches = [element for element in result.elements if element.id == uri[1:]]
    if len(matches) > 1:
        paths = ", ".join(element.path for element in matches[:4])
        refuse("signature.duplicate_id", f"{len(matches)} elements have the Id {shown(uri[1:])}: {paths}")
    elif not matches:
        refuse("signature.unknown_reference", f"no element has the Id {shown(uri[1:])}")
    else:
        check.element = matches[0]


# --- the value ------------------------------------------------------------------------------------------------------


def _value(result: Examination) -> None:
    algorithm, key, value = result.algorithm, result.key, result.signature.SignatureValue.value
    if algorithm is not None and not _well_formed(result, algorithm, value):
        algorithm = None
    if key is not None and algorithm is not None and suite_of(key).name != algorithm.suite:
        key = None
    try:
        for grammar in GRAMMARS:
            data = result.signed_info[grammar] = signed_info_octets(result, grammar)
            if algorithm is not None and key is not None and value_holds(key, algorithm, value, data):
                result.grammar = grammar
                return
    except V2GPKIError as error:
        result.refuse(error.code, f"SignedInfo cannot be coded: {error.message}", "SignedInfo", error.clause)
        return
    if algorithm is None or key is None:
        return
    mistake = mistakes.of_value(key, algorithm, value, result.signature.SignedInfo)
    result.refuse(
        "signature.wrong_value",
        "the signature value is not this key's over this SignedInfo" + (f": {mistake}" if mistake else ""),
        "SignatureValue",
        "ISO 15118-2 7.9.2.4.3, [V2G20-1449]",
    )


def _well_formed(result: Examination, algorithm: Algorithm, value: bytes) -> bool:
    """Whether the value has the width and range of its algorithm."""
    clause = "[V2G20-1000]" if result.edition == "iso15118-20" else "ISO 15118-2 7.9.2.4.3"
    form = "raw r||s" if algorithm.order else algorithm.name
    if len(value) != algorithm.size:
        if algorithm.order and der_numbers(value) is not None:
            code, what = "signature.der_value", f"SignatureValue is DER; it must be {form}, {algorithm.size} octets"
        else:
            code = "signature.wrong_length"
            what = f"SignatureValue has {len(value)} octets; {form} of {algorithm.name} has {algorithm.size}"
        result.refuse(code, what, "SignatureValue", clause, octets=len(value))
        return False
    if not in_range(algorithm, value):
        result.refuse(
            "signature.out_of_range",
            "r or s is 0, or not below the order of the curve",
            "SignatureValue",
            "FIPS 186-5 6.4.2",
        )
        return False
    return True
