"""The Signature in a message's header: made with a `Signer`, checked with a public key or certificate.

Signed are EXI fragments of parts of the message (`pnc.elements` knows which); SignedInfo is signed as a fragment of
the schema of XML Signature alone. Whether the certificate may be trusted is not asked here: `services.trust` does
that. Refuses, with one code for each reason, what [V2G2-771] and [V2G20-771] forbid, references that are missing,
unknown or ambiguous, other algorithms than the edition's, digests and values that are wrong or of a wrong form.
Clauses: ISO 15118-2 7.9.2.4 and annex J, [V2G2-909]; ISO 15118-20 7.9.2.3, [V2G20-766], [V2G20-1449], [V2G20-2473] to
[V2G20-2476].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from msgspec.structs import replace

from v2gpki.errors import EXIT_REFUSED, V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.keys.suites import PublicKey, load_public_key, spki_of
from v2gpki.messages import codec
from v2gpki.messages.schema import Message, NamedValue
from v2gpki.messages.xmldsig import (
    CanonicalizationMethod,
    DigestMethod,
    Reference,
    Signature,
    SignatureMethod,
    SignatureValue,
    SignedInfo,
    Transform,
    Transforms,
)
from v2gpki.pnc.algorithms import CANONICAL_EXI, DIGESTS, Algorithm, Edition, algorithm_for, raw_from_signer
from v2gpki.pnc.elements import (
    Signable,
    SignedElement,
    body_of,
    edition_of,
    elements_of,
    name_of,
    named,
    nothing_to_sign,
)
from v2gpki.pnc.examination import MOST_REFERENCES, Examination, Grammar, examine
from v2gpki.pnc.holding import holding

#: A public key, a certificate, or the DER of either (a SubjectPublicKeyInfo).
KeySource: TypeAlias = PublicKey | x509.Certificate | bytes
MessageT = TypeVar("MessageT", bound=Message)

#: Responses to a message whose own code for a wrong signature is not FAILED_SignatureError.
_METERING = frozenset({"MeteringReceiptReq", "MeteringConfirmationReq"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is signed or checked: `elements` are all that can be referred to, `whole` the message if its root is one."""

    name: str
    edition: Edition
    elements: tuple[SignedElement, ...]
    whole: Message | None


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """A signature that holds: what it signs and how.

    `elements` are in the order of the references; `signed_info_grammar` says under which schema SignedInfo was coded
    ("xmldsig" as the standard wants it, "combined" as some stacks do); `deviations` names what was let through;
    `unsigned` are the paths of elements that could be signed and are not.
    """

    edition: Edition
    algorithm: Algorithm
    elements: tuple[SignedElement, ...]
    signed_info: bytes
    signed_info_grammar: Grammar
    deviations: tuple[str, ...]
    unsigned: tuple[str, ...]


# --- signing --------------------------------------------------------------------------------------------------------


def sign(
    message: Signable | Sequence[Signable],
    signer: Signer,
    *,
    edition: Edition | None = None,
    algorithm: str = "",
) -> Signature:
    """The Signature for a message's header, over what the standard has signed, or over the elements that are given.

    `message` is a V2G_Message, one of its body messages, a -20 message, a single element, or a sequence of elements;
    elements are message classes that are elements, or `NamedValue(QName(name, uri), value)`. References stand in that
    order. `edition` is the message's; `lab-ecog-20` must be named. `algorithm` (`pnc.algorithms`) chooses where the
    edition has several for the key. Raises `signature.*`, and what `messages.encode` and the signer raise.
    """
    subject = subject_of(message, edition)
    elements = tuple(element for element in subject.elements if element.required)
    chosen = algorithm_for(subject.edition, signer.suite.name, algorithm)
    info = SignedInfo(
        CanonicalizationMethod=CanonicalizationMethod(Algorithm=CANONICAL_EXI),
        SignatureMethod=SignatureMethod(Algorithm=chosen.signature_method),
        Reference=_references(elements, subject.edition, chosen),
    )
    octets = codec.encode(info, schema="xmldsig", fragment=True)
    value = raw_from_signer(signer.sign(octets), chosen)
    return Signature(SignedInfo=info, SignatureValue=SignatureValue(value=value))


def subject_of(message: Signable | Sequence[Signable], edition: Edition | None = None) -> Subject:
    """What of a message is signed, and under which edition.

    Raises `signature.nothing_to_sign` if that is nothing, `signature.wrong_edition` if the edition is not the
    message's.
    """
    if isinstance(message, Message | NamedValue):
        root = body_of(message) if isinstance(message, Message) else message
        name, elements = name_of(root).name, elements_of(root)
    else:
        if not message:
            raise nothing_to_sign("an empty sequence")
        root, elements = message[0], named(message)
        name = ", ".join(element.name.name for element in elements)
    if not any(element.required for element in elements):
        raise nothing_to_sign(name)
    whole = root if root is message and isinstance(root, Message) else None
    return Subject(name, edition_of(root, edition), elements, whole)


def attach(message: MessageT, signature: Signature | None) -> MessageT:
    """The message with this Signature in its header (None takes it out)."""
    header = getattr(message, "Header", None)
    if not isinstance(header, Message):
        raise nothing_to_sign(type(message).__name__)
    return replace(message, Header=replace(header, Signature=signature))


def _references(elements: Sequence[SignedElement], edition: Edition, algorithm: Algorithm) -> tuple[Reference, ...]:
    if len(elements) > MOST_REFERENCES[edition]:
        raise V2GPKIError(
            "signature.too_many_references",
            f"{len(elements)} elements to sign; a signature refers to {MOST_REFERENCES[edition]} at most",
            clause="[V2G2-909]",
        )
    seen: dict[str, str] = {}
    for element in elements:
        if not element.id:
            raise V2GPKIError(
                "signature.missing_id",
                f"{element.path} is to be signed and has no Id",
                hint="give it a short Id, unique in the message (id1, id2, ..)",
                clause="ISO 15118-2 7.9.2.4",
                facts={"path": element.path},
            )
        if element.id in seen:
            raise V2GPKIError(
                "signature.duplicate_id",
                f"{seen[element.id]} and {element.path} have the same Id {element.id!r}",
                hint="give each signed element an Id of its own",
                facts={"id": element.id},
            )
        seen[element.id] = element.path
    digest = DIGESTS[algorithm.digest_method]
    return tuple(
        Reference(
            URI=f"#{element.id}",
            Transforms=Transforms(Transform=(Transform(Algorithm=CANONICAL_EXI),)),
            DigestMethod=DigestMethod(Algorithm=algorithm.digest_method),
            DigestValue=digest(element.fragment()),
        )
        for element in elements
    )


# --- checking -------------------------------------------------------------------------------------------------------


def verify(
    message: Message | Sequence[Signable],
    key: KeySource,
    *,
    signature: Signature | None = None,
    edition: Edition | None = None,
    accept_document_digest: bool = False,
) -> SignatureCheck:
    """Check the Signature of a message, or a detached one over elements; returns what holds, raises what does not.

    Everything that the standard has signed must be referred to. `signature` is that of the header if not given.
    `accept_document_digest` lets digests over EXI documents through (EcoG's deviation) and says so. Raises the first
    of all things that are wrong, with the others as its findings; codes `signature.*`, `key.*`, `messages.*`.
    """
    return _verified(
        message, public_key_of(key), signature=signature, edition=edition, accept_document_digest=accept_document_digest
    )


def verify_by(message: Message, key: PublicKey, *, edition: Edition | None = None) -> SignatureCheck:
    """`verify` for a key that `v2gpki.keys.suites.load_public_key` gave: its kind and its point are good."""
    return _verified(message, key, signature=None, edition=edition, accept_document_digest=False)


def _verified(
    message: Message | Sequence[Signable],
    key: PublicKey,
    *,
    signature: Signature | None,
    edition: Edition | None,
    accept_document_digest: bool,
) -> SignatureCheck:
    """By the short way where all is as it should be; the long one knows what is wrong, and what may pass."""
    subject = subject_of(message, edition)
    given = _given(message, signature, subject)
    held = holding(given, subject.elements, subject.edition, key)
    if held is None:
        return _explained(
            examine(
                given,
                subject.elements,
                subject.edition,
                key,
                whole=subject.whole,
                accept_document_digest=accept_document_digest,
            )
        )
    return SignatureCheck(
        edition=subject.edition,
        algorithm=held.algorithm,
        elements=held.elements,
        signed_info=held.signed_info,
        signed_info_grammar="xmldsig",
        deviations=(),
        unsigned=tuple(element.path for element in subject.elements if element not in held.elements),
    )


def _explained(examination: Examination) -> SignatureCheck:
    """What holds of an examination, or the refusal with all that does not."""
    findings = examination.findings
    if findings:
        first = findings[0]
        raise V2GPKIError(
            first.code,
            first.message,
            hint="v2gpki.pnc.explain shows every octet that was digested and signed",
            clause=first.clause,
            facts={"where": first.where, **first.facts},
            findings=findings,
        )
    if examination.grammar is None or examination.algorithm is None:  # nothing wrong, nothing right: our own mistake
        raise RuntimeError("a signature was examined without findings and without a verdict")
    referenced = tuple(check.element for check in examination.references if check.element is not None)
    return SignatureCheck(
        edition=examination.edition,
        algorithm=examination.algorithm,
        elements=referenced,
        signed_info=examination.signed_info[examination.grammar],
        signed_info_grammar=examination.grammar,
        deviations=deviations_of(examination),
        unsigned=tuple(element.path for element in examination.elements if element not in referenced),
    )


def examination_of(
    message: Message | Sequence[Signable],
    key: PublicKey | None,
    *,
    signature: Signature | None = None,
    edition: Edition | None = None,
    accept_document_digest: bool = False,
) -> Examination:
    """All checks of a message's signature as a value; `key` None leaves the value unchecked.

    Raises `signature.missing` if there is no signature, and what says that nothing of the message can be signed.
    """
    subject = subject_of(message, edition)
    return examine(
        _given(message, signature, subject),
        subject.elements,
        subject.edition,
        key,
        whole=subject.whole,
        accept_document_digest=accept_document_digest,
    )


def _given(message: Message | Sequence[Signable], signature: Signature | None, subject: Subject) -> Signature:
    """The Signature that was given, else the message's own."""
    if signature is None and isinstance(message, Message):
        signature = signature_of(message)
    if signature is None:
        raise V2GPKIError(
            "signature.missing",
            f"{subject.name} came without a Signature",
            hint="its header must carry one",
            clause="ISO 15118-2 7.9.2.4, ISO 15118-20 7.9.2.3",
        )
    return signature


def signature_of(message: Message) -> Signature | None:
    """The Signature in a message's header, None if there is none."""
    signature = getattr(getattr(message, "Header", None), "Signature", None)
    return signature if isinstance(signature, Signature) else None


def deviations_of(examination: Examination) -> tuple[str, ...]:
    """What differs from the standard and was let through: `combined-signed-info`, `document-digest`."""
    found = []
    if examination.grammar == "combined":
        found.append("combined-signed-info")
    if any(check.digest_of == "document" and not check.findings for check in examination.references):
        found.append("document-digest")
    return tuple(found)


def public_key_of(source: KeySource) -> PublicKey:
    """The public key of a certificate, of DER, or as given. Raises `key.unsupported`, `key.malformed`."""
    if isinstance(source, bytes):
        try:
            certificate = x509.load_der_x509_certificate(source)
        except (ValueError, x509.InvalidVersion):
            return _public_key_of_other(source)
        return public_key_of(certificate)
    if isinstance(source, x509.Certificate):
        try:
            key = source.public_key()
        except (UnsupportedAlgorithm, ValueError) as problem:
            raise V2GPKIError(
                "key.unsupported", "the certificate's public key is of an unknown algorithm or malformed"
            ) from problem
        return load_public_key(
            key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    if not isinstance(source, ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | x448.X448PublicKey):
        raise V2GPKIError("key.unsupported", f"{type(source).__name__} is no public key that signs messages")
    return load_public_key(spki_of(source))


def _public_key_of_other(source: bytes) -> PublicKey:
    """Of a certificate that the library refuses for its spelling; else of a SubjectPublicKeyInfo."""
    from v2gpki.certs.spelling import respelled  # noqa: PLC0415 (what is DER never needs it)

    found = respelled(source)
    try:
        certificate = x509.load_der_x509_certificate(found.der) if found else None
    except ValueError:
        certificate = None
    return public_key_of(certificate) if certificate else load_public_key(source)


def response_code(error: V2GPKIError, message: Message) -> str:
    """The ResponseCode that answers a refused signature: `errors.CODES`, but metering has its own."""
    root = body_of(message)
    outcome = error.outcome
    if error.code.startswith("signature.") and type(root).__name__ in _METERING and outcome.exit_code == EXIT_REFUSED:
        return "FAILED_MeteringSignatureNotValid"
    return outcome.iso2 if edition_of(root, None) == "iso15118-2" else outcome.iso20
