"""A profile and an issuer compiled once: the constant part of a certificate as DER, with holes.

Nearly all of a certificate is constant for a profile and its issuer. ``CertificateTemplate`` holds
those octets; issuing fills serial, validity, identifier, key and key identifiers and gives a
TBSCertificate, to be signed by any key, software or hardware. The result is byte-equal to what a
certificate builder gives for the same values. It judges nothing: lint does. Source: RFC 5280 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from v2gpki.certs import der, extensions, name
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers.named import address_octets
from v2gpki.keys.suites import SUITES, Suite
from v2gpki.profile.model import AttributeRule, Profile

_VERSION_3 = der.explicit(0, der.integer(2))
_EXTENSIONS_TAG = 0xA3
_HOLE = re.compile(r"\{(name|org|country)\}")

# Indices of the values that fill the holes.
_SERIAL, _NOT_BEFORE, _NOT_AFTER, _IDENTIFIER, _POINT, _SUBJECT_KEY, _AUTHORITY_KEY, _ALTERNATIVE = range(8)
#: Tags of GeneralName: dNSName and iPAddress.
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87


@dataclass(frozen=True, slots=True)
class IssuerName:
    """What a certificate takes over from its issuer: the DER subject and the key identifier octets."""

    subject: bytes
    key_identifier: bytes


@dataclass(frozen=True, slots=True)
class Constants:
    """The holes of a profile that are the same for many certificates.

    ``subject`` overrides the profile's subject with given DER (a cross-certificate copies it).
    """

    org: str = ""
    country: str = ""
    name: str = ""
    ocsp_url: str = ""
    crl_url: str = ""
    subject: bytes = b""


@dataclass(frozen=True, slots=True)
class _Hole:
    """A place of fixed size, to be filled by the value of that index."""

    index: int
    size: int


_Piece: TypeAlias = bytes | _Hole


@dataclass(frozen=True, slots=True)
class _Shape:
    """All octets for one length of identifier and one form of times: constants and hole indices."""

    pieces: tuple[bytes | int, ...]


class CertificateTemplate:
    """The compiled form of (profile, issuer, constants)."""

    def __init__(self, profile: Profile, issuer: IssuerName | None, constants: Constants) -> None:
        """``issuer`` None compiles a self-signed certificate, whose issuer is its own subject.

        Raises ``name.bad_character`` or ``name.bad_length`` for constants that no subject can hold.
        """
        self.profile = profile
        self.signing_suite: Suite = SUITES[profile.suite]
        self.key_suite: Suite = SUITES[profile.key.suite]
        self._issuer = issuer
        self._constants = constants
        self._attributes = tuple(_present(profile.subject.attributes, constants))
        alternative = profile.subject_alternative_name
        self._named = alternative is not None and alternative.presence != "forbidden"
        self._shapes: dict[tuple[int, int, int, int], _Shape] = {}
        #: What stands before and after the TBSCertificate, by its size and the signature's.
        self._frames: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._subject(0)
        signature = der.bit_string(bytes(self.signing_suite.signature_size))
        self._after_tbs = len(self.signing_suite.signature_algorithm) + len(signature)
        self._subject_texts = _subject_texts(self._attributes, constants)

    @property
    def takes_identifier(self) -> bool:
        """Whether the subject has a hole for an identifier."""
        return not self._constants.subject and any("{id}" in rule.value for rule in self._attributes)

    def tbs(
        self, *, serial: bytes, not_before: bytes, not_after: bytes, identifier: str, spki: bytes
    ) -> tuple[bytes, bytes]:
        """Fill the holes: returns (TBSCertificate DER, subject key identifier octets).

        ``serial`` has the octets of the profile's rule, ``not_before`` and ``not_after`` are encoded times
        (``der.time``), ``identifier`` "" where the profile takes none, ``spki`` a SubjectPublicKeyInfo of the suite.
        """
        text = identifier.encode("utf-8")
        # An address stands in the alternative name as octets, a host name as the text that it is.
        address = address_octets(identifier) if self._named else None
        key = (len(text), len(not_before), len(not_after), 0 if address is None else len(address))
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = self._compile(*key)
        point_size = self.key_suite.point_size
        point = spki[-point_size:]
        subject_key = extensions.key_identifier(self.profile.subject_key_identifier.form, spki, point_size)
        authority_key = subject_key if self._issuer is None else self._issuer.key_identifier
        values = (serial, not_before, not_after, text, point, subject_key, authority_key, address or b"")
        return b"".join([values[piece] if piece.__class__ is int else piece for piece in shape.pieces]), subject_key  # type: ignore[misc]  # the class test narrows the union; isinstance is slower here

    def maximum_size(self, tbs: bytes) -> int:
        """The largest DER size that the certificate around ``tbs`` can have: ECDSA signatures vary by a few octets."""
        content = len(tbs) + self._after_tbs
        return 1 + len(der.length(content)) + content

    def assemble(self, tbs: bytes, signature: bytes) -> bytes:
        """The certificate around a TBSCertificate and its signature octets."""
        sizes = (len(tbs), len(signature))
        parts = self._frames.get(sizes)
        if parts is None:
            algorithm = self.signing_suite.signature_algorithm
            whole = der.sequence(tbs, algorithm, der.bit_string(signature))
            start = len(whole) - sum(sizes) - len(algorithm) - len(der.bit_string(signature)) + sizes[1]
            parts = self._frames[sizes] = whole[:start], whole[start + sizes[0] : len(whole) - sizes[1]]
        return b"".join((parts[0], tbs, parts[1], signature))

    def subject_text(self, identifier: str) -> str:
        """The subject as RFC 4514 writes it (last RDN first), for people and the store."""
        return name.escape(identifier).join(self._subject_texts)

    def subject_der(self, identifier: str) -> bytes:
        """The subject Name as DER."""
        if self._constants.subject:
            return self._constants.subject
        return _fill(self._subject(len(identifier.encode())), identifier.encode())

    # -- compiling ---------------------------------------------------------------------------

    def _compile(
        self, identifier_size: int, not_before_size: int, not_after_size: int, address_size: int
    ) -> _Shape:
        subject = self._subject(identifier_size)
        serial_size = self.profile.serial.octets
        issuer: list[_Piece] = subject if self._issuer is None else [self._issuer.subject]
        tbs = _wrap(
            der.SEQUENCE,
            [_VERSION_3, bytes((der.INTEGER, serial_size)), _Hole(_SERIAL, serial_size)],
            [self.signing_suite.signature_algorithm],
            issuer,
            _wrap(der.SEQUENCE, [_Hole(_NOT_BEFORE, not_before_size), _Hole(_NOT_AFTER, not_after_size)]),
            subject,
            [self.key_suite.spki_prefix, _Hole(_POINT, self.key_suite.point_size)],
            _wrap(_EXTENSIONS_TAG, _wrap(der.SEQUENCE, *self._extensions(identifier_size, address_size))),
        )
        return _Shape(_merge(tbs))

    def _subject(self, identifier_size: int) -> list[_Piece]:
        if self._constants.subject:
            return [self._constants.subject]
        return _wrap(
            der.SEQUENCE,
            *(_attribute(rule, self._constants, identifier_size) for rule in self._attributes),
        )

    def _extensions(self, identifier_size: int, address_size: int) -> list[list[_Piece]]:
        profile, constants = self.profile, self._constants
        constant = extensions.extension
        written: list[list[_Piece]] = [
            [
                constant(
                    extensions.BASIC_CONSTRAINTS,
                    extensions.basic_constraints(profile.basic_constraints),
                    critical=profile.basic_constraints.critical,
                )
            ],
            [
                constant(
                    extensions.KEY_USAGE,
                    extensions.key_usage(profile.key_usage.bits),
                    critical=profile.key_usage.critical,
                )
            ],
        ]
        if profile.extended_key_usage.oids:
            usage = extensions.object_identifiers(profile.extended_key_usage.oids)
            written.append(
                [constant(extensions.EXTENDED_KEY_USAGE, usage, critical=profile.extended_key_usage.critical)]
            )
        if self._named:
            name_of = (
                _wrap(_IP_ADDRESS, [_Hole(_ALTERNATIVE, address_size)])
                if address_size
                else _wrap(_DNS_NAME, [_Hole(_IDENTIFIER, identifier_size)])
            )
            written.append(_extension(extensions.SUBJECT_ALTERNATIVE_NAME, _wrap(der.SEQUENCE, name_of)))
        if profile.subject_key_identifier.presence != "forbidden":
            written.append(
                _extension(
                    extensions.SUBJECT_KEY_IDENTIFIER,
                    _wrap(der.OCTET_STRING, [_Hole(_SUBJECT_KEY, self._own_key_identifier_size())]),
                )
            )
        if profile.authority_key_identifier.presence != "forbidden":
            size = self._own_key_identifier_size() if self._issuer is None else len(self._issuer.key_identifier)
            written.append(
                _extension(
                    extensions.AUTHORITY_KEY_IDENTIFIER,
                    _wrap(der.SEQUENCE, _wrap(0x80, [_Hole(_AUTHORITY_KEY, size)])),
                )
            )
        if profile.ocsp.write and constants.ocsp_url:
            access = extensions.ocsp_access(constants.ocsp_url)
            written.append([constant(extensions.AUTHORITY_INFORMATION_ACCESS, access)])
        if profile.crl.write and constants.crl_url:
            point = extensions.crl_distribution_point(constants.crl_url)
            written.append([constant(extensions.CRL_DISTRIBUTION_POINTS, point)])
        if profile.policies.oids:
            written.append([constant(extensions.CERTIFICATE_POLICIES, extensions.policies(profile.policies.oids))])
        if profile.ocsp_nocheck:
            written.append([constant(extensions.OCSP_NOCHECK, der.NULL)])
        return written

    def _own_key_identifier_size(self) -> int:
        return 20 if self.profile.subject_key_identifier.form == "sha1-160" else 8


def _present(attributes: Sequence[AttributeRule], constants: Constants) -> list[AttributeRule]:
    """The attributes that will be written: an optional one with an empty hole is left out."""
    present = []
    for rule in attributes:
        if rule.presence == "forbidden":
            continue
        missing = [h for h in ("org", "country") if f"{{{h}}}" in rule.value and not _value(h, constants)]
        if "{name}" in rule.value and not (constants.name or rule.default):
            missing.append("name")
        if missing and rule.presence == "required":
            raise V2GPKIError(
                "name.missing_value",
                f"subject attribute {rule.type} needs a value for {{{missing[0]}}}",
                clause=rule.clause,
                hint=f"give --{missing[0]}",
                facts={"attribute": rule.type, "hole": missing[0]},
            )
        if not missing:
            present.append(rule)
    return present


def _value(hole: str, constants: Constants) -> str:
    return constants.org if hole == "org" else constants.country


def _texts(rule: AttributeRule, constants: Constants) -> list[str]:
    """The attribute's value around its {id} holes. What fills a hole is text: braces in it mean nothing."""
    values = {"name": constants.name, "org": constants.org, "country": constants.country}
    value = rule.value if constants.name else rule.value.replace("{name}", rule.default)
    return [_HOLE.sub(lambda hole: values[hole[1]], part) for part in value.split("{id}")]


def _attribute(rule: AttributeRule, constants: Constants, identifier_size: int) -> list[_Piece]:
    texts = _texts(rule, constants)
    octets = [
        name.string_octets(rule.type, text, rule.string) if text or len(texts) == 1 else b"" for text in texts
    ]
    value: list[_Piece] = [octets[0]]
    for after in octets[1:]:
        value += [_Hole(_IDENTIFIER, identifier_size), after]
    typed = _wrap(der.SEQUENCE, [der.oid(rule.oid)], _wrap(name.STRING_TAGS[rule.string], value))
    return _wrap(der.SET, typed)


def _subject_texts(attributes: Sequence[AttributeRule], constants: Constants) -> list[str]:
    """The subject in the form of RFC 4514 around its {id} holes."""
    if constants.subject:
        return [constants.name]
    told = [""]
    for number, rule in enumerate(reversed(attributes)):
        first, *others = (name.escape(text) if text else "" for text in _texts(rule, constants))
        told[-1] += f"{',' if number else ''}{rule.type}={first}"
        told += others
    return told


def _extension(oid: bytes, value: list[_Piece]) -> list[_Piece]:
    return _wrap(der.SEQUENCE, [oid], _wrap(der.OCTET_STRING, value))


def _wrap(tag: int, *parts: list[_Piece]) -> list[_Piece]:
    """Tag and length around pieces whose sizes are known, holes included."""
    pieces = [piece for part in parts for piece in part]
    size = sum(piece.size if isinstance(piece, _Hole) else len(piece) for piece in pieces)
    return [bytes((tag,)) + der.length(size), *pieces]


def _merge(pieces: Sequence[_Piece]) -> tuple[bytes | int, ...]:
    """Join neighbouring constants; a hole becomes its index."""
    merged: list[bytes | int] = []
    for piece in pieces:
        if isinstance(piece, _Hole):
            merged.append(piece.index)
        elif merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def _fill(pieces: Sequence[_Piece], identifier: bytes) -> bytes:
    return b"".join(identifier if isinstance(piece, _Hole) else piece for piece in pieces)
