"""What else stands in a certificate request: subject, alternative names, and the attributes that enrolment looks at.

Nothing of it goes into a certificate; it is compared (a renewal must name what the current certificate names) or it
asks for something (challengePassword, ChangeSubjectName, an encrypted key). Names are compared by their characters, not
by their string types, which every library chooses otherwise. Sources: RFC 2986 4.1, RFC 7030 3.5, 4.2.2, 4.4.1,
RFC 6402 2.8, RFC 5280 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from v2gpki.certs import ber, der
from v2gpki.certs.lint.reader import MalformedError
from v2gpki.errors import V2GPKIError

#: Relative distinguished names in their order, each a set of (attribute type, its characters).
ComparedName: TypeAlias = tuple[frozenset[tuple[str, str]], ...]
#: Sorted DER of the general names; sorted, because their order says nothing.
ComparedNames: TypeAlias = tuple[bytes, ...]

_CHALLENGE_PASSWORD = der.oid("1.2.840.113549.1.9.7")
_CHANGE_SUBJECT = der.oid("1.3.6.1.5.5.7.7.36")
_DECRYPT_KEY = (der.oid("1.2.840.113549.1.9.16.2.37"), der.oid("1.2.840.113549.1.9.16.2.54"))
_ASKED_FOR = (_CHALLENGE_PASSWORD, _CHANGE_SUBJECT, *_DECRYPT_KEY)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request asks for besides: ``challenge_password`` "" and ``new_subject`` None when it does not;
    ``encrypted_key`` whether a key made by the server is to be encrypted for the client."""

    challenge_password: str = ""
    new_subject: ComparedName | None = None
    new_names: tuple[str, ...] = ()
    encrypted_key: bool = False


_NONE = Attributes()


def attributes(request: bytes) -> Attributes:
    """The attributes of a DER request; raises ``csr.malformed``. Fast when there are none of them."""
    if not any(kind in request for kind in _ASKED_FOR):
        return _NONE
    found = dict[bytes, bytes]()
    try:
        outer = ber.expected(request, der.SEQUENCE, 0, len(request), "the request")
        info = ber.expected(request, der.SEQUENCE, outer.start, outer.stop, "the request's content")
        for part in ber.inside(request, info, "the request's content"):
            if part.tag != 0xA0:
                continue
            for attribute in ber.inside(request, part, "an attribute"):
                kind = ber.expected(request, der.OID, attribute.start, attribute.stop, "an attribute type")
                values = ber.expected(request, der.SET, kind.after, attribute.stop, "the attribute values")
                value = ber.element(request, values.start, values.stop, "an attribute value")
                found[request[kind.at : kind.after]] = request[value.at : value.after]
        subject, names = _changed(found.get(_CHANGE_SUBJECT, b""))
    except MalformedError as problem:
        raise _malformed(str(problem)) from problem
    return Attributes(
        challenge_password=_text(found.get(_CHALLENGE_PASSWORD, b"")),
        new_subject=subject,
        new_names=names,
        encrypted_key=any(kind in found for kind in _DECRYPT_KEY),
    )


def requested(request: bytes) -> tuple[ComparedName, ComparedNames, tuple[str, ...]]:
    """Subject, alternative names, and the host names among them, of a DER request; raises ``csr.malformed``."""
    try:
        parsed = x509.load_der_x509_csr(request)
        return compared(parsed.subject), *_alternatives(parsed.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm) as problem:
        raise _malformed(str(problem).partition("\n")[0][:160]) from problem


def certified(certificate: x509.Certificate) -> tuple[ComparedName, ComparedNames]:
    """Subject and alternative names of a certificate that was read before."""
    return compared(certificate.subject), _alternatives(certificate.extensions)[0]


def compared(name: x509.Name) -> ComparedName:
    """A name in the form in which two are compared: surrounding and double spaces say nothing (RFC 5280 7.1)."""
    return tuple(
        frozenset(
            (attribute.oid.dotted_string, " ".join(_characters(attribute.value).split())) for attribute in rdn
        )
        for rdn in name.rdns
    )


def _alternatives(extensions: x509.Extensions) -> tuple[ComparedNames, tuple[str, ...]]:
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    hosts = tuple(found.get_values_for_type(x509.DNSName))
    return tuple(sorted(x509.SubjectAlternativeName([one]).public_bytes() for one in found)), hosts


def _changed(value: bytes) -> tuple[ComparedName | None, tuple[str, ...]]:
    """ChangeSubjectName ::= SEQUENCE { subject Name OPTIONAL, subjectAlt GeneralNames OPTIONAL }: the new subject and
    its common names."""
    if not value:
        return None, ()
    outer = ber.expected(value, der.SEQUENCE, 0, len(value), "ChangeSubjectName")
    subject = ber.expected(value, der.SEQUENCE, outer.start, outer.stop, "the new subject")
    encoded = value[subject.at : subject.after]
    # A name is read where names are: in a request made of nothing else.
    try:
        name = x509.load_der_x509_csr(_around(encoded)).subject
    except ValueError as problem:
        raise MalformedError(f"the new subject cannot be read ({problem})") from problem
    names = tuple(_characters(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME))
    return compared(name), names


def _around(name: bytes) -> bytes:
    """A request (its signature is never looked at) with this subject."""
    key = bytes.fromhex("302a300506032b6570032100") + bytes(32)
    info = der.sequence(der.integer(0), name, key, der.implicit(0, b"", constructed=True))
    return der.sequence(info, bytes.fromhex("300506032b6570"), der.bit_string(bytes(64)))


def _text(value: bytes) -> str:
    """The characters of a DirectoryString, "" for none."""
    if not value:
        return ""
    found = ber.element(value, 0, len(value), "the challenge password")
    encoding = "utf-16-be" if found.tag == 0x1E else "utf-8"
    return value[found.start : found.stop].decode(encoding, errors="replace")


def _characters(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _malformed(why: str) -> V2GPKIError:
    return V2GPKIError(
        "csr.malformed",
        f"the request cannot be read: {why}",
        hint="make it anew (openssl req -new); an attribute or extension in it is broken",
        clause="RFC 2986 4.1",
    )
