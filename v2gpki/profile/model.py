"""The frozen form of a certificate profile: what TOML says, checked, resolved and typed.

One gate (``profile.spec``) turns TOML into these values; everything that issues, lints or verifies
reads them and nothing else. Each rule carries the clause that it comes from and, where sources
disagree, a note. A rule that is ``None`` on the profile does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

Kind = Literal["root", "sub-ca", "leaf"]
Presence = Literal["required", "optional", "forbidden"]
StringType = Literal["utf8", "printable", "ia5"]
SkiForm = Literal["sha1-160", "sha1-60"]

#: RFC 5280 4.2.1.3, bit 0 first; nonRepudiation is called contentCommitment in newer texts.
KEY_USAGE_BITS = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What every rule carries: its clause id(s) and, where sources disagree, a note."""

    clause: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRule(Rule):
    """One subject attribute, one RDN each, in certificate order.

    ``type`` is a short name (CN, O, OU, C, ST, L, DC, serialNumber) whose OID stands in the edition's
    TOML; ``value`` a template: literal text and the holes ``{id}``, ``{org}``, ``{country}``, ``{name}``.
    ``default`` fills ``{name}`` when no name is given (it may use ``{org}``). An optional attribute whose
    hole is not given is left out. ``string`` is the type that we write;
    ``accept`` the types that lint accepts from others. ``fixed`` means that lint demands the value itself.
    """

    type: str
    oid: str
    value: str
    default: str = ""
    string: StringType = "utf8"
    accept: tuple[StringType, ...] = ("utf8", "printable")
    presence: Presence = "required"
    fixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRule(Rule):
    """The subject: the attributes that we write in this order, and what may not or may also stand there.

    ``forbidden`` types are an error, types neither listed nor forbidden are an error when ``closed``,
    otherwise accepted; ``ordered`` means that lint demands the order. ``excluded`` are the rules behind
    ``forbidden``, with their OIDs and clauses.
    """

    attributes: tuple[AttributeRule, ...]
    forbidden: tuple[str, ...] = ()
    closed: bool = False
    ordered: bool = False
    excluded: tuple[AttributeRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierRule(Rule):
    """Which identifiers may fill ``{id}``: kinds known to ``identifiers`` (emaid, pcid, evseid, seccid,
    evccid, cpid) or ``text`` (1..64 printable ASCII characters). Empty: the role takes no id."""

    kinds: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityRule(Rule):
    """Validity: what is written by default, the limits, and how far notBefore is back-dated."""

    default: timedelta
    maximum: timedelta | None = None
    minimum: timedelta | None = None
    backdate: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicConstraintsRule(Rule):
    """BasicConstraints; ``path_length`` None means that the field is absent."""

    ca: bool
    path_length: int | None = None
    critical: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsageRule(Rule):
    """KeyUsage by RFC 5280 bit names (digitalSignature, nonRepudiation, keyEncipherment, ..).

    ``bits`` is what we write; lint demands ``required``, reports ``discouraged`` as info and refuses
    whatever is in none of ``bits``, ``required``, ``optional`` and ``discouraged``.
    """

    bits: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    discouraged: tuple[str, ...] = ()
    critical: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedKeyUsageRule(Rule):
    """ExtendedKeyUsage: ``oids`` that we write (empty: none); lint demands ``required`` and accepts ``optional``."""

    oids: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    critical: bool = False
    presence: Presence = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIdentifierRule(Rule):
    """SubjectKeyIdentifier or AuthorityKeyIdentifier. ``form`` applies to the subject's:
    ``sha1-160`` is RFC 5280 method 1 (20 octets), ``sha1-60`` the 8-octet form seen in the field:
    0100 and the low 60 bits of SHA-1 over the whole SubjectPublicKeyInfo."""

    presence: Presence = "required"
    form: SkiForm = "sha1-160"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRule(Rule):
    """An extension that is made of URLs: AIA-OCSP or CRL distribution points.

    ``write`` says whether we write it when a URL is configured; ``presence`` what lint demands.
    """

    write: bool
    presence: Presence = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativeNameRule(Rule):
    """SubjectAlternativeName: one dNSName that is the identifier itself, or one iPAddress if that is an address."""

    presence: Presence = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesRule(Rule):
    """CertificatePolicies: policy ``oids`` that we write (empty: no extension)."""

    oids: tuple[str, ...] = ()
    presence: Presence = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule(Rule):
    """The certified key's suite (p256, p521, ed448, x448 of ``keys.suites``).

    It is the family's own suite but for keys that cannot sign: an X448 key in the Ed448 family.
    """

    suite: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule(Rule):
    """Largest DER size in octets."""

    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialRule(Rule):
    """Serial numbers: how many random octets, the first of them within ``first_minimum``..``first_maximum``."""

    octets: int
    first_minimum: int
    first_maximum: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One role of one edition in one key family, complete.

    ``suite`` is the family: the suite that signs the certificate (``key.suite`` is the certified
    key's). ``issuers`` are the roles that may sign it (empty for a root, which signs itself);
    ``anchors`` the root roles that count as the right anchor for its use; ``depth`` the largest
    number of certificates below the root, this one included. ``held`` means that the authority
    itself keeps the private key and uses it (sub-CAs, OCSP and CPS signers). ``conformant`` False
    marks lab profiles, which lint reports. ``digest`` is the SHA-256 (hex) of the resolved
    specification and names the profile in the store.
    """

    edition: str
    role: str
    suite: str
    title: str
    kind: Kind
    branch: str
    issuers: tuple[str, ...]
    anchors: tuple[str, ...]
    depth: int
    identifier: IdentifierRule
    subject: SubjectRule
    validity: ValidityRule
    size: SizeRule
    key: KeyRule
    basic_constraints: BasicConstraintsRule
    key_usage: KeyUsageRule
    extended_key_usage: ExtendedKeyUsageRule
    subject_key_identifier: KeyIdentifierRule
    authority_key_identifier: KeyIdentifierRule
    ocsp: UrlRule
    crl: UrlRule
    policies: PoliciesRule
    serial: SerialRule = SerialRule(octets=20, first_minimum=0x40, first_maximum=0x7F, clause="RFC 5280 4.1.2.2")
    subject_alternative_name: AlternativeNameRule | None = None
    ocsp_nocheck: bool = False
    conformant: bool = True
    held: bool = False
    clause: str = ""
    note: str = ""
    options: tuple[tuple[str, str], ...] = field(default=())
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Rule):
    """A point where sources disagree: its choices, and the one that applies when nothing is said."""

    name: str
    default: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRule(Rule):
    """How long before its end a certificate begins to count as expiring soon."""

    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRule(Rule):
    """OCSP answers of an edition's CAs: ``validity`` from thisUpdate to nextUpdate, thisUpdate ``backdate`` before
    the signature, and after ``refresh`` a pre-signed answer is signed anew."""

    validity: timedelta = timedelta(days=7)
    backdate: timedelta = timedelta(minutes=5)
    refresh: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One branch of an edition, in role names: its lawful roots (the usual one first), its sub-CAs from
    the root downwards, its leafs."""

    name: str
    title: str
    roots: tuple[str, ...]
    sub_cas: tuple[str, ...] = ()
    leafs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One edition: what all of its roles share, and the names that its TOML uses.

    ``suites`` are the key families, the default first, ``suite_names`` how subjects call them (``{family}``
    in the TOML); ``short`` starts the slugs of its authorities;
    ``ocsp_role`` and ``cross_role`` name the roles of delegated OCSP signers and of cross-certificates
    (empty: none). ``attribute_types``, ``key_purposes`` and ``policy_names`` map names to dotted OIDs.
    ``folders`` are where its files stand, a later one over an earlier one. ``conformant`` False: usable
    only when named.
    """

    name: str
    short: str
    title: str
    suites: tuple[str, ...]
    suite_names: Mapping[str, str]
    serial: SerialRule
    expiring_soon: ExpiryRule
    branches: Mapping[str, Branch]
    attribute_types: Mapping[str, str]
    key_purposes: Mapping[str, str]
    policy_names: Mapping[str, str]
    folders: tuple[Path, ...]
    ocsp_role: str = ""
    cross_role: str = ""
    conformant: bool = True
    note: str = ""
    ocsp_answers: AnswerRule = AnswerRule()
