"""Who signed a message, and what was changed in it since: told from digests, value and keys together.

A digest that does not fit while the value holds says that an element was changed behind the signature; a value that
does not hold while all digests fit, that SignedInfo's signature is another key's or was changed; both at once, that a
digest was changed in SignedInfo, that the certificate of the signing key was, or that the signature is of another
message. For explanations only: nothing here makes a signature valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PublicKey, load_public_key, suite_of
from v2gpki.messages import codec
from v2gpki.pnc.algorithms import Algorithm, value_holds
from v2gpki.pnc.elements import schema_of
from v2gpki.pnc.examination import Examination, ReferenceCheck
from v2gpki.pnc.installation.explain.alterations import Alteration, in_element, in_value


@dataclass(frozen=True, slots=True)
class Cause:
    """What is behind a failure: `what` is one word of a kind, `text` goes behind "because", `where` is a path."""

    what: str
    text: str
    where: str = ""
    altered: Alteration | None = None


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key that might have signed, and whose it is."""

    name: str
    certificate: bytes


def who_signed(examination: Examination, keys: Sequence[NamedKey]) -> NamedKey | None:
    """The first of these keys under which the value holds over SignedInfo, in either grammar."""
    algorithm, value = examination.algorithm, examination.signature.SignatureValue.value
    if algorithm is None:
        return None
    for candidate in keys:
        key = _key_of(candidate.certificate)
        if key is None or not _fits(key, algorithm, value):
            continue
        if any(value_holds(key, algorithm, value, data) for data in examination.signed_info.values()):
            return candidate
    return None


def cause_of(examination: Examination, keys: Sequence[NamedKey], *, altered_leaf: str) -> Cause | None:
    """Why a signature does not hold, as far as it can be told; None if it is not about digests and value.

    `keys` are all keys at hand, that of the leaf first; `altered_leaf` is what the leaf is called if its own signature
    says that it was changed, "" otherwise.
    """
    wrong = [check for check in examination.references if check.computed and check.digest_of != "fragment"]
    if examination.grammar is not None:
        return _of_element(wrong[0]) if wrong else None
    if wrong:
        return _of_both(examination, wrong)
    return _of_value(examination, keys, altered_leaf)


def _of_element(check: ReferenceCheck) -> Cause | None:
    """The value holds: SignedInfo is as it was signed, and an element is not."""
    assert check.element is not None
    if check.digest_of == "document" or _named_mistake(check):
        return None
    altered = in_element(check.element, check.fragment, check.digest_method, check.found)
    path = check.element.path if altered is None else altered.path
    text = f"{altered or check.element.path} was changed after it was signed: SignedInfo still holds its old digest"
    return Cause("element", text, path, altered)


def _named_mistake(check: ReferenceCheck) -> bool:
    """Whether the digest is of something that another stack is known to digest."""
    return any(
        finding.code != "signature.wrong_digest" or "another one" not in finding.message for finding in check.findings
    )


def _of_both(examination: Examination, wrong: Sequence[ReferenceCheck]) -> Cause:
    """A digest does not fit, nor does the value."""
    algorithm, key = examination.algorithm, examination.key
    value = examination.signature.SignatureValue.value
    if algorithm is not None and key is not None and _fits(key, algorithm, value):
        right = _with_digests(examination, wrong)
        if any(value_holds(key, algorithm, value, data) for data in right):
            places = ", ".join(str(check.element.path) for check in wrong if check.element is not None)
            text = f"the DigestValue of {places} was changed in SignedInfo: with the right one the signature holds"
            return Cause("signed_digest", text, "Signature/SignedInfo")
    for check in wrong:
        if check.element is None:
            continue
        altered = in_element(check.element, check.fragment, check.digest_method, check.found)
        if altered is not None:
            text = f"{altered} was changed after it was signed, and with it the key that the signature is checked by"
            if not (altered.before and _holds_under(examination, altered.before)):
                text = f"{altered} was changed after it was signed, and the signature value does not hold either"
            return Cause("element", text, altered.path, altered)
    text = "neither digests nor value fit: the signature belongs to another message, or to another key and content"
    return Cause("other_message", text, "Signature")


def _of_value(examination: Examination, keys: Sequence[NamedKey], altered_leaf: str) -> Cause | None:
    """All digests fit; the value does not."""
    algorithm, key = examination.algorithm, examination.key
    value = examination.signature.SignatureValue.value
    if algorithm is None or len(value) != algorithm.size:
        return None
    signer = who_signed(examination, keys[1:])
    if signer is not None:
        text = f"the key of the {signer.name} signed this, not that of the {keys[0].name}"
        return Cause("other_key", text, "Signature/SignatureValue")
    if altered_leaf:
        text = f"the {altered_leaf} was changed: its issuer's signature in it is broken, and the key in it is another"
        return Cause("certificate", text, altered_leaf)
    if key is not None and suite_of(key).name == algorithm.suite:
        data = examination.signed_info.get("xmldsig", b"")
        altered = in_value(value, lambda octets: value_holds(key, algorithm, octets, data))
        if altered is not None:
            return Cause("signature_value", f"{altered} was changed; all digests fit", altered.path, altered)
    text = f"all digests fit, but the value is not by the key of the {keys[0].name}: another key signed, or it changed"
    return Cause("unknown_key", text, "Signature/SignatureValue")


def _with_digests(examination: Examination, wrong: Sequence[ReferenceCheck]) -> list[bytes]:
    """SignedInfo under both grammars as it would be with the digests that were computed."""
    info = examination.signature.SignedInfo
    computed = {check.uri: check.computed for check in wrong}
    references = tuple(
        replace(one, DigestValue=computed[one.URI]) if one.URI in computed else one for one in info.Reference
    )
    changed = replace(info, Reference=references)
    combined = schema_of("iso15118-2" if examination.edition == "iso15118-2" else "iso15118-20")
    found = []
    for schema in ("xmldsig", combined):
        try:
            found.append(codec.encode(changed, schema=schema, fragment=True))
        except V2GPKIError:
            continue
    return found


def _holds_under(examination: Examination, certificate: bytes) -> bool:
    """Whether the value holds with the key of the certificate as it was before it was changed."""
    return who_signed(examination, [NamedKey("", certificate)]) is not None


def _fits(key: PublicKey, algorithm: Algorithm, value: bytes) -> bool:
    return suite_of(key).name == algorithm.suite and len(value) == algorithm.size


def _key_of(certificate: bytes) -> PublicKey | None:
    try:
        return load_public_key(view(certificate).spki)
    except V2GPKIError:
        return None
