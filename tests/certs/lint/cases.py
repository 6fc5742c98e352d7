"""One defect each: how to make the certificate, by which profile it is judged, and the codes to expect.

Every certificate is the good leaf, sub-CA or root of the foundry with one thing changed, and is signed
for real afterwards unless the defect is the signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.certs.lint.foundry import (
    BEGIN,
    CN,
    DC,
    END,
    EVSEID,
    LEAF,
    LEAF_EXTENSIONS,
    ROOT,
    SUB,
    C,
    Link,
    O,
    Parts,
    assemble,
    attribute,
    ca_extensions,
    extension,
    leaf,
    mint,
    new_key,
    of_family,
    oid,
    raw_signature,
    rdn,
    root,
    spki_of,
    sub,
    subject_of,
    tlv,
    usage,
)
from v2gpki.profile.model import (
    AlternativeNameRule,
    ExtendedKeyUsageRule,
    IdentifierRule,
    KeyIdentifierRule,
    KeyRule,
    PoliciesRule,
    Profile,
    SizeRule,
    UrlRule,
    ValidityRule,
)

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
SKI, AKI, KU, BC, SAN, CRL, POLICIES, EKU, AIA, NOCHECK = (
    "2.5.29.14",
    "2.5.29.35",
    "2.5.29.15",
    "2.5.29.19",
    "2.5.29.17",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.37",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.5.5.7.48.1.5",
)
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
ECDSA_SHA512 = bytes.fromhex("300a06082a8648ce3d040304")
FALSE = b"\x01\x01\x00"
TRUE = b"\x01\x01\xff"


@dataclass(frozen=True)
class Made:
    """A certificate to judge."""

    der: bytes
    profile: Profile = LEAF
    issuer: bytes | None = None


@dataclass(frozen=True)
class Defect:
    """One row of the table."""

    name: str
    make: Callable[[], Made]
    codes: frozenset[str]


_ROWS: list[Defect] = []


def defect(*codes: str) -> Callable[[Callable[[], Made]], Callable[[], Made]]:
    """Put a maker into the table with the codes to expect, ``lint.`` left out."""

    def enter(make: Callable[[], Made]) -> Callable[[], Made]:
        _ROWS.append(Defect(make.__name__.strip("_"), make, frozenset(f"lint.{code}" for code in codes)))
        return make

    return enter


def changed(change: Callable[[Parts], object], profile: Profile = LEAF, *, of: Link | None = None) -> Made:
    """The good leaf with one change, signed by the sub-CA that is its issuer."""
    parts = Parts.of((of or leaf()).der)
    change(parts)
    return Made(parts.sign(sub().key), profile, sub().der)


def judged(profile: Profile) -> Made:
    """The good leaf under another profile."""
    return Made(leaf().der, profile, sub().der)


def defects() -> tuple[Defect, ...]:
    """Every row."""
    return tuple(_ROWS)


# -- DER and frame -----------------------------------------------------------------------------


@defect("der.malformed")
def not_asn1() -> Made:
    return Made(b"certificate")


@defect("der.malformed")
def cut_off() -> Made:
    return Made(leaf().der[:-1])


@defect("der.malformed")
def indefinite_length() -> Made:
    return Made(b"\x30\x80" + leaf().der[4:] + b"\x00\x00")


@defect("der.trailing")
def trailing_octets() -> Made:
    return Made(leaf().der + b"\x00\x01", LEAF, sub().der)


@defect("der.not_canonical")
def length_with_spare_octet() -> Made:
    body = leaf().der[4:]
    return Made(b"\x30\x83\x00" + len(body).to_bytes(2, "big") + body)


@defect("der.not_canonical")
def short_length_in_long_form() -> Made:
    def change(parts: Parts) -> None:
        parts.rdns[1] = tlv(0x31, tlv(0x30, oid("2.5.4.10") + b"\x0c\x81\x04Acme"))

    return changed(change)


@defect("der.not_canonical")
def boolean_of_one() -> Made:
    def change(parts: Parts) -> None:
        parts.extensions[BC] = tlv(0x30, oid(BC) + b"\x01\x01\x01" + tlv(0x04, b"\x30\x00"))

    return changed(change)


@defect("der.not_canonical")
def serial_with_spare_zero() -> Made:
    return changed(lambda parts: setattr(parts, "serial", b"\x02\x0a\x00\x41" + bytes(8)))


@defect("der.not_canonical", "extensions.unknown")
def oid_with_spare_octet() -> Made:
    def change(parts: Parts) -> None:
        parts.more.append(tlv(0x30, b"\x06\x04\x2a\x80\x03\x04" + tlv(0x04, b"\x05\x00")))

    return changed(change)


@defect("der.trailing_zero_bits")
def key_usage_with_zero_bits() -> Made:
    return changed(lambda parts: parts.extensions.update({KU: extension(KU, b"\x03\x02\x00\x80", critical=True)}))


@defect("der.trailing_zero_bits")
def key_usage_of_two_octets() -> Made:
    return changed(lambda parts: parts.extensions.update({KU: extension(KU, b"\x03\x03\x00\x80\x00", critical=True)}))


@defect("extensions.malformed")
def key_usage_with_a_tenth_bit() -> Made:
    return changed(lambda parts: parts.extensions.update({KU: extension(KU, b"\x03\x03\x06\x80\x40", critical=True)}))


@defect("der.not_canonical")
def key_usage_with_unused_bits_set() -> Made:
    return changed(lambda parts: parts.extensions.update({KU: extension(KU, b"\x03\x02\x07\x81", critical=True)}))


@defect("der.not_canonical", "subject.multi_valued")
def unsorted_rdn() -> Made:
    def change(parts: Parts) -> None:
        parts.rdns[1:] = [
            tlv(0x31, attribute("2.5.4.10", "Acme") + attribute("2.5.4.6", "DE", 0x13)),
            rdn(DC.oid, "CPO", 0x16),
        ]

    return changed(change)


@defect("der.default_written")
def ca_false_is_written() -> Made:
    value = extension(BC, tlv(0x30, FALSE), critical=True)
    return changed(lambda parts: parts.extensions.update({BC: value}))


@defect("der.default_written")
def critical_false_is_written() -> Made:
    def change(parts: Parts) -> None:
        inner = parts.extensions[SKI][4 + len(oid(SKI)) - 2 :]
        parts.extensions[SKI] = tlv(0x30, oid(SKI) + FALSE + inner)

    return changed(change)


@defect("der.default_written", "structure.version")
def version_one_is_written() -> Made:
    return changed(lambda parts: setattr(parts, "version", b"\xa0\x03\x02\x01\x00"))


@defect(
    "structure.version",
    "basic_constraints.missing",
    "key_usage.missing",
    "subject_key_identifier.missing",
    "authority_key_identifier.missing",
    "ocsp.missing",
)
def version_one() -> Made:
    def change(parts: Parts) -> None:
        parts.version = b""
        parts.extensions.clear()

    return changed(change)


@defect("structure.unique_id")
def subject_unique_id() -> Made:
    return changed(lambda parts: setattr(parts, "unique", b"\x82\x02\x00\x01"))


@defect("serial.not_positive")
def serial_zero() -> Made:
    return changed(lambda parts: setattr(parts, "serial", b"\x02\x01\x00"))


@defect("serial.not_positive")
def serial_negative() -> Made:
    return changed(lambda parts: setattr(parts, "serial", b"\x02\x08\x80" + bytes(7)))


@defect("serial.too_long")
def serial_of_21_octets() -> Made:
    return changed(lambda parts: setattr(parts, "serial", b"\x02\x15\x00\x80" + bytes(19)))


@defect("serial.short")
def serial_of_7_octets() -> Made:
    return changed(lambda parts: setattr(parts, "serial", b"\x02\x07\x41" + bytes(6)))


@defect("size.too_large")
def one_octet_too_large() -> Made:
    return judged(replace(LEAF, size=SizeRule(maximum=len(leaf().der) - 1)))


@defect("profile.not_conformant")
def laboratory_profile() -> Made:
    return judged(replace(LEAF, conformant=False))


# -- algorithms and signature ------------------------------------------------------------------


@defect("signature.algorithms_differ", "signature.algorithm", "signature.invalid")
def outer_algorithm_differs() -> Made:
    return changed(lambda parts: setattr(parts, "outer", ECDSA_SHA512))


@defect("signature.algorithms_differ", "signature.algorithm")
def inner_algorithm_differs() -> Made:
    def change(parts: Parts) -> None:
        parts.outer = parts.algorithm
        parts.algorithm = ECDSA_SHA512

    return changed(change)


@defect("signature.parameters", "signature.invalid")
def algorithm_with_null() -> Made:
    return changed(lambda parts: setattr(parts, "algorithm", bytes.fromhex("300c06082a8648ce3d0403020500")))


@defect("signature.algorithm", "signature.invalid")
def algorithm_of_another_kind() -> Made:
    return changed(lambda parts: setattr(parts, "algorithm", tlv(0x30, oid("1.2.840.113549.1.1.11") + b"\x05\x00")))


@defect("signature.invalid")
def changed_after_signing() -> Made:
    return Made(leaf().der.replace(b"E00001", b"E00002"), LEAF, sub().der)


@defect("signature.invalid", "authority_key_identifier.mismatch")
def signed_by_a_stranger_of_the_same_name() -> Made:
    key = new_key("p256")
    name = subject_of("Sub", dc="V2G")
    begin, end = datetime(2025, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    decoy = mint(name, key.public_key(), root(), root().key, ca_extensions(0), begin=begin, end=end)
    return Made(leaf().der, LEAF, decoy)


@defect("signature.invalid")
def root_signed_by_another_key() -> Made:
    return Made(Parts.of(root().der).sign(new_key("p256")), ROOT)


def resigned(signature: Callable[[bytes], bytes]) -> Made:
    tbs = Parts.of(leaf().der).tbs()
    return Made(assemble(tbs, ECDSA_SHA256, signature(raw_signature(sub().key, tbs))), LEAF, sub().der)


@defect("signature.malformed", "signature.invalid")
def signature_with_trailing_octet() -> Made:
    return resigned(lambda value: value + b"\x00")


@defect("signature.malformed", "signature.invalid")
def signature_raw() -> Made:
    return resigned(lambda _value: b"\x11" * 64)


@defect("signature.malformed", "signature.invalid")
def signature_with_zero() -> Made:
    return resigned(lambda _value: tlv(0x30, b"\x02\x01\x00\x02\x01\x05"))


@defect("signature.malformed", "signature.invalid")
def signature_with_octet_strings() -> Made:
    return resigned(lambda _value: tlv(0x30, b"\x04\x01\x05\x04\x01\x05"))


@defect("signature.malformed", "signature.invalid")
def signature_with_a_third_number() -> Made:
    return resigned(lambda _value: tlv(0x30, b"\x02\x01\x05" * 3))


@defect("signature.malformed")
def signature_with_unused_bits() -> Made:
    tbs = Parts.of(leaf().der).tbs()
    value = raw_signature(sub().key, tbs)
    return Made(tlv(0x30, tbs + ECDSA_SHA256 + tlv(0x03, b"\x01" + value[:-1] + bytes((value[-1] & 0xFE,)))))


@defect("signature.malformed", "signature.invalid")
def ed448_signature_too_short() -> Made:
    parts = Parts.of(leaf("ed448").der)
    value = raw_signature(sub("ed448").key, parts.tbs())
    return Made(assemble(parts.tbs(), parts.algorithm, value[:-1]), of_family(LEAF, "ed448"), sub("ed448").der)


# -- subject -----------------------------------------------------------------------------------


@defect("subject.missing")
def no_organization() -> Made:
    return changed(lambda parts: parts.rdns.pop(1))


@defect("subject.missing")
def no_domain_component() -> Made:
    return changed(lambda parts: parts.rdns.pop())


@defect("subject.value")
def wrong_domain_component() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(-1, rdn(DC.oid, "CPS", 0x16)))


@defect("subject.value")
def domain_component_with_a_tail() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(-1, rdn(DC.oid, "CPOX", 0x16)))


@defect("subject.string_type")
def domain_component_utf8() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(-1, rdn(DC.oid, "CPO", 0x0C)))


@defect("subject.string_type")
def domain_component_utf8_though_the_profile_says_so() -> Made:
    lax = replace(DC, string="utf8", accept=("utf8",))
    profile = replace(LEAF, subject=replace(LEAF.subject, attributes=(CN, O, C, lax)))
    return changed(lambda parts: parts.rdns.__setitem__(-1, rdn(DC.oid, "CPO", 0x0C)), profile)


@defect("subject.string_type")
def unlisted_domain_component_utf8() -> Made:
    profile = replace(LEAF, subject=replace(LEAF.subject, attributes=(CN, O, C)))
    return changed(lambda parts: parts.rdns.__setitem__(-1, rdn(DC.oid, "CPO", 0x0C)), profile)


@defect("subject.string_type")
def unlisted_attribute_teletex() -> Made:
    return changed(lambda parts: parts.rdns.append(rdn("2.5.4.7", "Berlin", 0x14)))


@defect("subject.string_type")
def country_utf8() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(2, rdn("2.5.4.6", "DE", 0x0C)))


@defect("subject.string_type")
def organization_is_no_string() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", b"\x01", 0x04)))


@defect("subject.forbidden")
def forbidden_attribute() -> Made:
    return changed(lambda parts: parts.rdns.append(rdn("2.5.4.11", "Lab")))


@defect("subject.forbidden")
def attribute_with_presence_forbidden() -> Made:
    no_country = replace(C, presence="forbidden", clause="T4")
    return judged(replace(LEAF, subject=replace(LEAF.subject, attributes=(CN, O, no_country, DC))))


@defect("subject.unlisted")
def unlisted_in_a_closed_subject() -> Made:
    profile = replace(LEAF, subject=replace(LEAF.subject, closed=True))
    return changed(lambda parts: parts.rdns.append(rdn("2.5.4.7", "Berlin")), profile)


@defect("subject.repeated", "subject.value")
def two_domain_components() -> Made:
    return changed(lambda parts: parts.rdns.append(rdn(DC.oid, "V2G", 0x16)))


@defect("subject.repeated", "subject.value")
def three_domain_components_where_two_are_listed() -> Made:
    two = (CN, O, C, DC, replace(DC, value="EU"))

    def change(parts: Parts) -> None:
        parts.rdns += [rdn(DC.oid, "EU", 0x16), rdn(DC.oid, "US", 0x16)]

    return changed(change, replace(LEAF, subject=replace(LEAF.subject, attributes=two)))


@defect("subject.multi_valued")
def two_attributes_in_one_rdn() -> Made:
    def change(parts: Parts) -> None:
        both = sorted((attribute("2.5.4.10", "Acme"), attribute("2.5.4.6", "DE", 0x13)))
        parts.rdns[1:3] = [tlv(0x31, b"".join(both))]

    return changed(change)


@defect("subject.order")
def other_order() -> Made:
    profile = replace(LEAF, subject=replace(LEAF.subject, ordered=True))
    return changed(lambda parts: parts.rdns.reverse(), profile)


@defect("subject.characters")
def control_character() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", "Ac\nme")))


@defect("subject.characters")
def c1_control_character() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", "Ac\x9bme")))


@defect("subject.characters")
def outside_printable_string() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", "Ac*me", 0x13)))


@defect("subject.characters")
def broken_utf8() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", b"Ac\xff")))


@defect("subject.length")
def empty_organization() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", "")))


@defect("subject.length")
def organization_of_65_characters() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(1, rdn("2.5.4.10", "A" * 65)))


@defect("subject.length")
def country_of_one_letter() -> Made:
    return changed(lambda parts: parts.rdns.__setitem__(2, rdn("2.5.4.6", "D", 0x13)))


# -- identifiers -------------------------------------------------------------------------------


@defect("identifier.missing")
def no_identifier() -> Made:
    return changed(lambda parts: parts.rdns.pop(0))


@defect("identifier.missing")
def no_identifier_though_its_attribute_is_optional() -> Made:
    optional = replace(CN, presence="optional")
    profile = replace(LEAF, subject=replace(LEAF.subject, attributes=(optional, O, C, DC)))
    return changed(lambda parts: parts.rdns.pop(0), profile)


@defect("identifier.missing")
def no_identifier_though_the_role_may_go_without() -> Made:
    profile = replace(LEAF, identifier=IdentifierRule(kinds=("evseid",), required=False))
    return changed(lambda parts: parts.rdns.pop(0), profile)


def named(text: str, kinds: tuple[str, ...] = ("evseid",), tag: int = 0x0C) -> Made:
    profile = replace(LEAF, identifier=IdentifierRule(kinds=kinds, required=True))
    return changed(lambda parts: parts.rdns.__setitem__(0, rdn("2.5.4.3", text, tag)), profile)


@defect("identifier.kind")
def not_an_evseid() -> Made:
    return named("station 1")


@defect("identifier.not_normal")
def emaid_with_hyphens() -> Made:
    return named("DE-8AA-001234567-0", ("emaid",))


@defect("identifier.doubtful")
def emaid_with_a_wrong_check_digit() -> Made:
    return named("DE8AA0012345671", ("emaid",))


@defect("identifier.noted")
def pcid_with_small_letters() -> Made:
    return named("huboemprovcqa0615", ("pcid",))


@defect("identifier.characters")
def identifier_outside_printable_string() -> Made:
    return named(EVSEID, tag=0x13)


@defect("identifier.characters", "identifier.kind")
def identifier_with_a_control_character() -> Made:
    return named("DE*ABC*E0\x0001")


@defect("identifier.length", "identifier.kind")
def identifier_of_65_characters() -> Made:
    return named("A" * 65, ("text",))


# -- validity ----------------------------------------------------------------------------------


def utc(text: str) -> bytes:
    return tlv(0x17, text.encode())


@defect("validity.malformed")
def time_without_seconds() -> Made:
    return changed(lambda parts: setattr(parts, "not_before", utc("2601010000Z")))


@defect("validity.malformed")
def time_with_an_offset() -> Made:
    return changed(lambda parts: setattr(parts, "not_before", utc("260101000000+0000")))


@defect("validity.malformed")
def time_of_month_13() -> Made:
    return changed(lambda parts: setattr(parts, "not_after", utc("261301000000Z")))


@defect("validity.malformed")
def time_with_a_fraction() -> Made:
    return changed(lambda parts: setattr(parts, "not_after", tlv(0x18, b"20260301000000.5Z")))


@defect("validity.encoding")
def generalized_time_too_early() -> Made:
    return changed(lambda parts: setattr(parts, "not_after", tlv(0x18, b"20260301000000Z")))


@defect("validity.encoding", "validity.too_long", "validity.outlives_issuer")
def generalized_time_in_the_last_second_of_2049() -> Made:
    return changed(lambda parts: setattr(parts, "not_after", tlv(0x18, b"20491231235959Z")))


@defect("validity.order")
def ends_before_it_begins() -> Made:
    return changed(lambda parts: setattr(parts, "not_after", utc("251231235959Z")))


@defect("validity.too_long")
def one_second_too_long() -> Made:
    rule = ValidityRule(default=timedelta(days=9), maximum=END - BEGIN - timedelta(seconds=1))
    return judged(replace(LEAF, validity=rule))


@defect("validity.too_short")
def one_second_too_short() -> Made:
    rule = ValidityRule(default=timedelta(days=99), minimum=END - BEGIN + timedelta(seconds=1))
    return judged(replace(LEAF, validity=rule))


@defect("validity.outlives_issuer")
def one_second_longer_than_the_issuer() -> Made:
    begin, end = b"270401000000Z", b"270601000001Z"

    def change(parts: Parts) -> None:
        parts.not_before, parts.not_after = tlv(0x17, begin), tlv(0x17, end)

    return changed(change)


@defect("validity.before_issuer")
def one_second_before_the_issuer() -> Made:
    def change(parts: Parts) -> None:
        parts.not_before, parts.not_after = utc("250531235959Z"), utc("250701000000Z")

    return changed(change)


# -- key ---------------------------------------------------------------------------------------


def keyed(spki: bytes, profile: Profile = LEAF) -> Made:
    """The good leaf with another key; its SKI made by hashlib so that only the key is wrong."""

    def change(parts: Parts) -> None:
        parts.spki = spki
        algorithm = 2 + spki[3] if spki[1] < 0x80 else 2 + spki[4]
        octets = spki[(2 if spki[1] < 0x80 else 3) + algorithm :]
        start = 3 if octets[1] < 0x80 else 4
        parts.extensions[SKI] = extension(SKI, tlv(0x04, hashlib.sha1(octets[start:]).digest()))

    return changed(change, profile)


@defect("key.suite")
def key_of_p521() -> Made:
    return keyed(spki_of(new_key("p521").public_key()))


@defect("key.suite")
def key_of_p384() -> Made:
    return keyed(spki_of(ec.generate_private_key(ec.SECP384R1()).public_key()))


@defect("key.suite")
def key_of_x448() -> Made:
    return keyed(spki_of(x448.X448PrivateKey.generate().public_key()), replace(LEAF, key=KeyRule(suite="ed448")))


@defect("key.suite", "subject_key_identifier.value")
def key_of_rsa() -> Made:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return changed(
        lambda parts: setattr(
            parts, "spki", key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
    )


@defect("key.point_form")
def compressed_point() -> Made:
    point = new_key("p256").public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = tlv(0x30, oid("1.2.840.10045.2.1") + oid("1.2.840.10045.3.1.7"))
    return keyed(tlv(0x30, algorithm + tlv(0x03, b"\x00" + point)))


@defect("key.not_on_curve")
def point_off_the_curve() -> Made:
    spki = spki_of(new_key("p256").public_key())
    return keyed(spki[:-1] + bytes((spki[-1] ^ 1,)))


@defect("key.not_on_curve")
def coordinate_not_below_the_prime() -> Made:
    # (0, y) with y^2 = b is on the curve; x = p is the same point written with a coordinate out of range.
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    y = pow(0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B, (p + 1) // 4, p)
    prefix = spki_of(new_key("p256").public_key())[:27]
    return keyed(prefix + p.to_bytes(32, "big") + y.to_bytes(32, "big"))


@defect("key.malformed")
def point_cut_off() -> Made:
    algorithm = tlv(0x30, oid("1.2.840.10045.2.1") + oid("1.2.840.10045.3.1.7"))
    return keyed(tlv(0x30, algorithm + tlv(0x03, b"\x00\x04" + bytes(63))))


@defect("key.suite")
def good_point_under_the_name_of_another_curve() -> Made:
    """prime239v3 instead of prime256v1: one octet of the OID, everything else as it should be."""
    good = spki_of(new_key("p256").public_key())
    curve = oid("1.2.840.10045.3.1.7")
    return keyed(good.replace(curve, oid("1.2.840.10045.3.1.6")))


@defect("key.malformed")
def point_of_an_unknown_form() -> Made:
    good = spki_of(new_key("p256").public_key())
    return keyed(good[:26] + b"\x05" + good[27:])


@defect("key.malformed", "subject_key_identifier.value")
def key_of_no_whole_octets() -> Made:
    good = spki_of(leaf().key.public_key())
    return changed(lambda parts: setattr(parts, "spki", good[:25] + b"\x01" + good[26:-1] + b"\x00"))


@defect("key.malformed", "subject_key_identifier.value")
def key_is_no_key() -> Made:
    return changed(lambda parts: setattr(parts, "spki", tlv(0x30, b"\x05\x00")))


@defect("key.malformed", "der.not_canonical")
def key_is_not_der() -> Made:
    spki = spki_of(leaf().key.public_key())
    return changed(lambda parts: setattr(parts, "spki", b"\x30\x81" + spki[1:]))


# -- extensions --------------------------------------------------------------------------------


@defect("extensions.duplicate")
def basic_constraints_twice() -> Made:
    return changed(lambda parts: parts.more.append(parts.extensions[BC]))


@defect("extensions.duplicate")
def the_first_of_two_is_judged() -> Made:
    return changed(lambda parts: parts.more.append(extension(BC, tlv(0x30, TRUE), critical=True)))


@defect("extensions.malformed")
def key_usage_is_an_integer() -> Made:
    return changed(lambda parts: parts.extensions.update({KU: extension(KU, b"\x02\x01\x80", critical=True)}))


@defect("extensions.malformed")
def basic_constraints_with_a_tail() -> Made:
    return changed(lambda parts: parts.extensions.update({BC: extension(BC, b"\x30\x00\x00", critical=True)}))


@defect("extensions.unknown_critical")
def unknown_critical() -> Made:
    return changed(lambda parts: parts.more.append(extension("1.2.3.4", b"\x05\x00", critical=True)))


@defect("extensions.unknown")
def unknown() -> Made:
    return changed(lambda parts: parts.more.append(extension("1.2.3.4", b"\x05\x00")))


@defect("extensions.criticality")
def key_usage_not_critical() -> Made:
    return changed(lambda parts: parts.extensions.update({KU: extension(KU, b"\x03\x02\x07\x80")}))


@defect("extensions.criticality")
def basic_constraints_not_critical() -> Made:
    return changed(lambda parts: parts.extensions.update({BC: extension(BC, b"\x30\x00")}))


@defect("extensions.criticality")
def key_identifier_critical() -> Made:
    def change(parts: Parts) -> None:
        value = leaf().certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        parts.extensions[SKI] = extension(SKI, tlv(0x04, value), critical=True)

    return changed(change)


@defect("basic_constraints.missing")
def no_basic_constraints() -> Made:
    return changed(lambda parts: parts.extensions.pop(BC))


@defect("basic_constraints.ca")
def leaf_that_is_a_ca() -> Made:
    """Row 21 of the negative catalogue; the issuer is given a path length that allows it."""
    above = sub("p256", 1)
    key = new_key("p256").public_key()
    extensions = [(x509.BasicConstraints(ca=True, path_length=None), True), *LEAF_EXTENSIONS[1:]]
    name = subject_of(EVSEID, dc="CPO")
    return Made(mint(name, key, above, above.key, extensions), LEAF, above.der)


@defect("basic_constraints.path_length")
def wrong_path_length() -> Made:
    return Made(sub("p256", 1).der, SUB, root().der)


@defect("basic_constraints.path_length")
def path_length_missing() -> Made:
    return Made(sub("p256", None).der, SUB, root().der)


@defect("key_usage.missing")
def no_key_usage() -> Made:
    return changed(lambda parts: parts.extensions.pop(KU))


def used(*bits: str) -> Made:
    extensions = [LEAF_EXTENSIONS[0], (usage(*bits), True), LEAF_EXTENSIONS[2]]
    name = subject_of(EVSEID, dc="CPO", country="DE")
    return Made(mint(name, new_key("p256").public_key(), sub(), sub().key, extensions), LEAF, sub().der)


@defect("key_usage.required", "key_usage.discouraged")
def key_usage_without_signature() -> Made:
    return used("key_agreement")


@defect("key_usage.forbidden")
def key_usage_with_encipherment() -> Made:
    return used("digital_signature", "key_encipherment")


@defect("key_usage.discouraged")
def key_usage_with_agreement() -> Made:
    return used("digital_signature", "key_agreement")


def purposed(*purposes: str, rule: ExtendedKeyUsageRule) -> Made:
    value = tlv(0x30, b"".join(oid(purpose) for purpose in purposes))
    profile = replace(LEAF, extended_key_usage=rule)
    return changed(lambda parts: parts.more.append(extension(EKU, value)), profile)


@defect("extended_key_usage.missing")
def no_purpose() -> Made:
    return judged(replace(LEAF, extended_key_usage=ExtendedKeyUsageRule(presence="required")))


@defect("extended_key_usage.missing")
def no_purpose_though_one_is_required() -> Made:
    rule = ExtendedKeyUsageRule(oids=(SERVER_AUTH,), required=(SERVER_AUTH,))
    return judged(replace(LEAF, extended_key_usage=rule))


@defect("extended_key_usage.forbidden")
def forbidden_purposes() -> Made:
    return purposed(SERVER_AUTH, rule=ExtendedKeyUsageRule(presence="forbidden"))


@defect("extended_key_usage.required")
def required_purpose_is_missing() -> Made:
    rule = ExtendedKeyUsageRule(oids=(SERVER_AUTH,), required=(SERVER_AUTH,), optional=(CLIENT_AUTH,))
    return purposed(CLIENT_AUTH, rule=rule)


@defect("extended_key_usage.purpose")
def purpose_too_many() -> Made:
    return purposed(SERVER_AUTH, CLIENT_AUTH, rule=ExtendedKeyUsageRule(optional=(CLIENT_AUTH,)))


@defect("subject_key_identifier.missing")
def no_subject_key_identifier() -> Made:
    return changed(lambda parts: parts.extensions.pop(SKI))


@defect("subject_key_identifier.forbidden")
def forbidden_subject_key_identifier() -> Made:
    return judged(replace(LEAF, subject_key_identifier=KeyIdentifierRule(presence="forbidden")))


def identified(value: bytes, profile: Profile = LEAF) -> Made:
    return changed(lambda parts: parts.extensions.update({SKI: extension(SKI, tlv(0x04, value))}), profile)


@defect("subject_key_identifier.form")
def eight_octets_where_twenty_are_written() -> Made:
    whole = hashlib.sha1(spki_of(leaf().key.public_key())).digest()
    return identified(bytes((0x40 | whole[12] & 0x0F,)) + whole[13:])


@defect("subject_key_identifier.form")
def twenty_octets_where_eight_are_written() -> Made:
    return judged(replace(LEAF, subject_key_identifier=KeyIdentifierRule(form="sha1-60")))


@defect("subject_key_identifier.form")
def rfc7093_identifier() -> Made:
    point = leaf().key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return identified(hashlib.sha256(point).digest()[:20])


@defect("subject_key_identifier.value")
def identifier_of_another_key() -> Made:
    return identified(x509.SubjectKeyIdentifier.from_public_key(new_key("p256").public_key()).digest)


@defect("authority_key_identifier.missing")
def no_authority_key_identifier() -> Made:
    return changed(lambda parts: parts.extensions.pop(AKI))


@defect("authority_key_identifier.forbidden")
def forbidden_authority_key_identifier() -> Made:
    return judged(replace(LEAF, authority_key_identifier=KeyIdentifierRule(presence="forbidden")))


@defect("authority_key_identifier.no_key")
def authority_key_identifier_without_key() -> Made:
    return changed(lambda parts: parts.extensions.update({AKI: extension(AKI, b"\x30\x00")}))


@defect("authority_key_identifier.mismatch")
def authority_key_identifier_of_another() -> Made:
    value = tlv(0x30, tlv(0x80, bytes(20)))
    return changed(lambda parts: parts.extensions.update({AKI: extension(AKI, value)}))


@defect("authority_key_identifier.mismatch")
def authority_key_identifier_with_another_serial() -> Made:
    above = sub().certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    names = tlv(0xA1, tlv(0xA4, root().certificate.subject.public_bytes()))
    value = tlv(0x30, tlv(0x80, above) + names + tlv(0x82, b"\x01"))
    return changed(lambda parts: parts.extensions.update({AKI: extension(AKI, value)}))


@defect("ocsp.missing")
def no_ocsp_address() -> Made:
    return changed(lambda parts: parts.extensions.pop(AIA))


@defect("ocsp.missing")
def only_the_issuers_address() -> Made:
    description = tlv(0x30, oid("1.3.6.1.5.5.7.48.2") + tlv(0x86, b"http://ca.example/"))
    return changed(lambda parts: parts.extensions.update({AIA: extension(AIA, tlv(0x30, description))}))


@defect("ocsp.forbidden")
def forbidden_ocsp_address() -> Made:
    return judged(replace(LEAF, ocsp=UrlRule(write=False, presence="forbidden")))


@defect("ocsp.url")
def ocsp_by_ldap() -> Made:
    description = tlv(0x30, oid("1.3.6.1.5.5.7.48.1") + tlv(0x86, b"ldap://ca.example/"))
    return changed(lambda parts: parts.extensions.update({AIA: extension(AIA, tlv(0x30, description))}))


def distributed(url: bytes) -> bytes:
    return extension(CRL, tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, tlv(0x86, url))))))


@defect("crl.missing")
def no_crl_address() -> Made:
    return judged(replace(LEAF, crl=UrlRule(write=True, presence="required")))


@defect("crl.forbidden")
def forbidden_crl_address() -> Made:
    profile = replace(LEAF, crl=UrlRule(write=False, presence="forbidden"))
    return changed(lambda parts: parts.more.append(distributed(b"http://crl.example/")), profile)


@defect("crl.url")
def crl_address_with_a_space() -> Made:
    return changed(lambda parts: parts.more.append(distributed(b"http://crl example/")))


@defect("policies.missing")
def no_policies() -> Made:
    return judged(replace(LEAF, policies=PoliciesRule(presence="required")))


def governed(*policies: str) -> bytes:
    return extension(POLICIES, tlv(0x30, b"".join(tlv(0x30, oid(policy)) for policy in policies)))


@defect("policies.forbidden")
def forbidden_policies() -> Made:
    profile = replace(LEAF, policies=PoliciesRule(presence="forbidden"))
    return changed(lambda parts: parts.more.append(governed("1.2.3")), profile)


@defect("policies.repeated")
def policy_twice() -> Made:
    return changed(lambda parts: parts.more.append(governed("1.2.3", "1.2.3")))


@defect("ocsp_nocheck.missing")
def no_nocheck() -> Made:
    return judged(replace(LEAF, ocsp_nocheck=True))


@defect("ocsp_nocheck.unexpected")
def nocheck_on_a_station() -> Made:
    return changed(lambda parts: parts.more.append(extension(NOCHECK, b"\x05\x00")))


def hosted(name: bytes, profile: Profile) -> Made:
    return changed(lambda parts: parts.more.append(extension(SAN, tlv(0x30, tlv(0x82, name)))), profile)


@defect("subject_alternative_name.unused")
def alternative_name_on_a_station() -> Made:
    return hosted(EVSEID.encode(), LEAF)


@defect("subject_alternative_name.missing")
def no_alternative_name() -> Made:
    return judged(replace(LEAF, subject_alternative_name=AlternativeNameRule()))


@defect("subject_alternative_name.forbidden")
def forbidden_alternative_name() -> Made:
    return hosted(EVSEID.encode(), replace(LEAF, subject_alternative_name=AlternativeNameRule(presence="forbidden")))


@defect("subject_alternative_name.mismatch")
def alternative_name_of_another() -> Made:
    return hosted(b"other.example", replace(LEAF, subject_alternative_name=AlternativeNameRule()))


# -- issuer ------------------------------------------------------------------------------------


@defect("issuer.malformed")
def issuer_is_no_certificate() -> Made:
    return Made(leaf().der, LEAF, b"\x30\x03\x02\x01\x05")


@defect("issuer.name")
def issuer_name_in_another_string_type() -> Made:
    def change(parts: Parts) -> None:
        parts.issuer = parts.issuer.replace(b"\x0c\x04Acme", b"\x13\x04Acme")

    return changed(change)


@defect("issuer.empty", "issuer.name")
def issuer_name_empty() -> Made:
    return changed(lambda parts: setattr(parts, "issuer", b"\x30\x00"))


@defect("issuer.not_self")
def root_with_another_issuer() -> Made:
    parts = Parts.of(root().der)
    parts.issuer = Parts.of(leaf().der).issuer
    return Made(parts.sign(root().key), replace(ROOT, clause="root-clause"), None)


@defect("issuer.self")
def leaf_of_itself() -> Made:
    parts = Parts.of(leaf().der)
    parts.issuer = tlv(0x30, b"".join(parts.rdns))
    return Made(parts.sign(leaf().key), LEAF)


@defect("issuer.not_ca", "signature.invalid", "authority_key_identifier.mismatch", "issuer.name")
def issued_by_a_leaf_in_name() -> Made:
    return Made(leaf().der, LEAF, Parts.of(leaf().der).sign(sub().key))


@defect("issuer.not_ca")
def issued_by_a_leaf() -> Made:
    above = leaf()
    made = mint(
        subject_of(EVSEID, dc="CPO"), new_key("p256").public_key(), above, above.key, LEAF_EXTENSIONS
    )
    return Made(made, LEAF, above.der)


@defect("issuer.not_ca")
def issuer_without_key_cert_sign() -> Made:
    key = new_key("p256")
    begin, end = datetime(2025, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (usage("crl_sign"), True)]
    name = subject_of("Sub", dc="V2G")
    weak = Link(mint(name, key.public_key(), root(), root().key, extensions, begin=begin, end=end), key, "p256")
    made = mint(subject_of(EVSEID, dc="CPO"), new_key("p256").public_key(), weak, key, LEAF_EXTENSIONS)
    return Made(made, LEAF, weak.der)


@defect("issuer.not_ca")
def issuer_without_basic_constraints() -> Made:
    parts = Parts.of(sub().der)
    parts.extensions.pop(BC)
    return Made(leaf().der, LEAF, parts.sign(root().key))


@defect("issuer.path_length")
def authority_below_path_length_zero() -> Made:
    extensions = [*ca_extensions(0), LEAF_EXTENSIONS[2]]
    made = mint(subject_of("Sub-Sub", dc="V2G"), new_key("p256").public_key(), sub(), sub().key, extensions)
    return Made(made, SUB, sub().der)


@defect("issuer.suite", "signature.algorithm")
def leaf_below_another_family() -> Made:
    above = sub("ed448")
    made = mint(subject_of(EVSEID, dc="CPO"), new_key("p256").public_key(), above, above.key, LEAF_EXTENSIONS)
    return Made(made, replace(LEAF, size=SizeRule(maximum=1600)), above.der)


@defect("issuer.suite")
def leaf_below_another_curve() -> Made:
    """P-521 key, but SHA-256: the signature algorithm alone does not show it."""
    above = sub("p521")
    parts = Parts.of(leaf().der)
    parts.issuer = above.certificate.subject.public_bytes()
    key = above.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    parts.extensions[AKI] = extension(AKI, tlv(0x30, tlv(0x80, key)))
    tbs = parts.tbs()
    assert isinstance(above.key, ec.EllipticCurvePrivateKey)
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = above.key.sign(tbs, ec.ECDSA(SHA256()))
    return Made(assemble(tbs, ECDSA_SHA256, signature), LEAF, above.der)


@defect("issuer.key")
def issuer_with_a_broken_key() -> Made:
    parts = Parts.of(sub().der)
    parts.spki = parts.spki[:-1] + bytes((parts.spki[-1] ^ 1,))
    return Made(leaf().der, LEAF, parts.sign(root().key))


