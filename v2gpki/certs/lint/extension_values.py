"""The extension values that the linter judges, read from DER into plain values.

Each reader takes the octets inside ``extnValue`` and raises ``MalformedError`` when they are not what
RFC 5280 defines; spellings that BER allows and DER does not land in ``flaws``. Extensions that stand
in no table here are left unread.
Source: RFC 5280 4.2.1 and 4.2.2.1, RFC 6960 4.2.2.2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from v2gpki.certs.lint.reader import (
    BOOLEAN,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    MalformedError,
    Reader,
    context,
    oid_octets,
)
from v2gpki.profile.model import KEY_USAGE_BITS

BASIC_CONSTRAINTS = "basicConstraints"
KEY_USAGE = "keyUsage"
EXTENDED_KEY_USAGE = "extendedKeyUsage"
SUBJECT_KEY_IDENTIFIER = "subjectKeyIdentifier"
AUTHORITY_KEY_IDENTIFIER = "authorityKeyIdentifier"
AUTHORITY_INFORMATION_ACCESS = "authorityInfoAccess"
CRL_DISTRIBUTION_POINTS = "cRLDistributionPoints"
CERTIFICATE_POLICIES = "certificatePolicies"
OCSP_NOCHECK = "ocspNoCheck"
SUBJECT_ALTERNATIVE_NAME = "subjectAltName"

#: id-ad-ocsp, RFC 5280 4.2.2.1.
_OCSP_METHOD = oid_octets("1.3.6.1.5.5.7.48.1")
_URI = context(6, constructed=False)
_HOST_NAME = context(2, constructed=False)
_ADDRESS = context(7, constructed=False)


@dataclass(frozen=True, slots=True)
class BasicConstraints:
    """BasicConstraints: the cA flag and the pathLenConstraint, None when absent."""

    ca: bool
    path_length: int | None


@dataclass(frozen=True, slots=True)
class AuthorityKey:
    """AuthorityKeyIdentifier: keyIdentifier and authorityCertSerialNumber, None when absent."""

    key_identifier: bytes | None
    serial: int | None


@dataclass(slots=True)
class Values:
    """What the extensions of one certificate say; None: absent or unreadable."""

    basic_constraints: BasicConstraints | None = None
    key_usage: tuple[str, ...] | None = None
    #: Zero bits at the end of keyUsage, which DER removes from a list of named bits.
    key_usage_padded: bool = False
    extended_key_usage: tuple[bytes, ...] | None = None
    subject_key_identifier: bytes | None = None
    authority_key_identifier: AuthorityKey | None = None
    ocsp_urls: tuple[bytes, ...] = ()
    crl_urls: tuple[bytes, ...] = ()
    policies: tuple[bytes, ...] = ()
    host_names: tuple[str, ...] = ()
    #: The octets of each iPAddress in subjectAltName.
    addresses: tuple[bytes, ...] = ()
    #: Extensions whose value cannot be read, with the reason.
    broken: dict[str, str] = field(default_factory=dict)


def _basic_constraints(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, BASIC_CONSTRAINTS)
    reader.close(stop, end, BASIC_CONSTRAINTS)
    ca = False
    if at < stop and reader.data[at] == BOOLEAN:
        ca, at = reader.boolean(at, stop, "basicConstraints.cA")
        if not ca:
            reader.defaults.append("basicConstraints.cA")
    path_length = None
    if at < stop:
        path_length, at = reader.integer(at, stop, "basicConstraints.pathLenConstraint")
        if path_length < 0:
            raise MalformedError("basicConstraints.pathLenConstraint is negative")
    reader.close(at, stop, BASIC_CONSTRAINTS)
    values.basic_constraints = BasicConstraints(ca, path_length)


def _key_usage(reader: Reader, values: Values) -> None:
    octets, unused, stop = reader.bit_string(0, len(reader.data), KEY_USAGE)
    reader.close(stop, len(reader.data), KEY_USAGE)
    width = 8 * len(octets) - unused
    bits = int.from_bytes(octets, "big") >> unused
    values.key_usage_padded = bool(width) and not bits & 1
    surplus = max(width - len(KEY_USAGE_BITS), 0)
    if bits & ((1 << surplus) - 1):
        raise MalformedError(f"keyUsage has {width} bits, nine are defined")
    values.key_usage = tuple(name for at, name in enumerate(KEY_USAGE_BITS[:width]) if bits >> (width - 1 - at) & 1)


def _extended_key_usage(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, EXTENDED_KEY_USAGE)
    reader.close(stop, end, EXTENDED_KEY_USAGE)
    purposes = []
    while at < stop:
        purpose, at = reader.object_identifier(at, stop, "a purpose in extendedKeyUsage")
        purposes.append(purpose)
    if not purposes:
        raise MalformedError("extendedKeyUsage is empty")
    values.extended_key_usage = tuple(purposes)


def _subject_key_identifier(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    start, stop = reader.expect(OCTET_STRING, 0, end, SUBJECT_KEY_IDENTIFIER)
    reader.close(stop, end, SUBJECT_KEY_IDENTIFIER)
    values.subject_key_identifier = reader.data[start:stop]


def _authority_key_identifier(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, AUTHORITY_KEY_IDENTIFIER)
    reader.close(stop, end, AUTHORITY_KEY_IDENTIFIER)
    key_identifier: bytes | None = None
    serial: int | None = None
    last = -1
    while at < stop:
        tag, start, at = reader.take(at, stop, "a field of authorityKeyIdentifier")
        if tag not in {0x80, 0xA1, 0x82} or tag & 0x1F <= last:
            raise MalformedError(f"authorityKeyIdentifier has a field with the tag {tag:02x}")
        last = tag & 0x1F
        if tag == 0x80:
            key_identifier = reader.data[start:at]
        elif tag == 0x82:
            if start == at:
                raise MalformedError("authorityCertSerialNumber is empty")
            serial = int.from_bytes(reader.data[start:at], "big", signed=True)
    values.authority_key_identifier = AuthorityKey(key_identifier, serial)


def _information_access(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, AUTHORITY_INFORMATION_ACCESS)
    reader.close(stop, end, AUTHORITY_INFORMATION_ACCESS)
    urls = []
    while at < stop:
        inner, at = reader.expect(SEQUENCE, at, stop, "an accessDescription")
        method, inner = reader.object_identifier(inner, at, "accessMethod")
        tag, start, inner = reader.take(inner, at, "accessLocation")
        reader.close(inner, at, "an accessDescription")
        if method == _OCSP_METHOD:
            if tag != _URI:
                raise MalformedError("the OCSP accessLocation is no URI")
            urls.append(reader.data[start:inner])
    values.ocsp_urls = tuple(urls)


def _distribution_points(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, CRL_DISTRIBUTION_POINTS)
    reader.close(stop, end, CRL_DISTRIBUTION_POINTS)
    urls = []
    while at < stop:
        inner, at = reader.expect(SEQUENCE, at, stop, "a distributionPoint")
        if inner == at or reader.data[inner] != 0xA0:
            continue  # only a cRLIssuer: allowed, and no URL
        name, inner = reader.expect(0xA0, inner, at, "distributionPointName")
        if name < inner and reader.data[name] == 0xA0:
            general, name = reader.expect(0xA0, name, inner, "fullName")
            while general < name:
                tag, start, general = reader.take(general, name, "a name of a distributionPoint")
                if tag == _URI:
                    urls.append(reader.data[start:general])
    values.crl_urls = tuple(urls)


def _policies(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, CERTIFICATE_POLICIES)
    reader.close(stop, end, CERTIFICATE_POLICIES)
    policies = []
    while at < stop:
        inner, at = reader.expect(SEQUENCE, at, stop, "a policyInformation")
        policy, _ = reader.object_identifier(inner, at, "policyIdentifier")
        policies.append(policy)
    if not policies:
        raise MalformedError("certificatePolicies is empty")
    values.policies = tuple(policies)


def _alternative_names(reader: Reader, values: Values) -> None:
    end = len(reader.data)
    at, stop = reader.expect(SEQUENCE, 0, end, SUBJECT_ALTERNATIVE_NAME)
    reader.close(stop, end, SUBJECT_ALTERNATIVE_NAME)
    names, addresses = [], []
    if at == stop:
        raise MalformedError("subjectAltName is empty")
    while at < stop:
        tag, start, at = reader.take(at, stop, "a name in subjectAltName")
        if tag == _HOST_NAME:
            names.append(reader.data[start:at].decode("latin-1"))
        elif tag == _ADDRESS:
            addresses.append(reader.data[start:at])
    values.host_names, values.addresses = tuple(names), tuple(addresses)


def _nocheck(reader: Reader, _values: Values) -> None:
    start, stop = reader.expect(NULL, 0, len(reader.data), OCSP_NOCHECK)
    if start != stop or stop != len(reader.data):
        raise MalformedError("ocspNoCheck is no NULL")


_ValueReader: TypeAlias = Callable[[Reader, Values], None]

#: The extensions that the rules judge: OID content octets -> name, reader of the value.
KNOWN: Mapping[bytes, tuple[str, _ValueReader]] = {
    oid_octets("2.5.29.19"): (BASIC_CONSTRAINTS, _basic_constraints),
    oid_octets("2.5.29.15"): (KEY_USAGE, _key_usage),
    oid_octets("2.5.29.37"): (EXTENDED_KEY_USAGE, _extended_key_usage),
    oid_octets("2.5.29.14"): (SUBJECT_KEY_IDENTIFIER, _subject_key_identifier),
    oid_octets("2.5.29.35"): (AUTHORITY_KEY_IDENTIFIER, _authority_key_identifier),
    oid_octets("1.3.6.1.5.5.7.1.1"): (AUTHORITY_INFORMATION_ACCESS, _information_access),
    oid_octets("2.5.29.31"): (CRL_DISTRIBUTION_POINTS, _distribution_points),
    oid_octets("2.5.29.32"): (CERTIFICATE_POLICIES, _policies),
    oid_octets("2.5.29.17"): (SUBJECT_ALTERNATIVE_NAME, _alternative_names),
    oid_octets("1.3.6.1.5.5.7.48.1.5"): (OCSP_NOCHECK, _nocheck),
}
