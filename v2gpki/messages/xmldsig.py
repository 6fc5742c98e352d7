"""XML signatures: the whole schema `xmldsig-core` (W3C XML Signature 2002, ISO 15118-2 7.9.2.4, ISO 15118-20 7.9.2.3).

ISO 15118 sends `Signature` with `SignedInfo` and `SignatureValue`; everything else is here so that it can be read and
shown. Where the schema is mixed or open, `content` holds text, typed elements and `AnyElement`s in document order.
"""

from typing import Annotated

from v2gpki.messages.schema import (
    AnyElement,
    Attribute,
    Base64Binary,
    Characters,
    Content,
    Group,
    Items,
    Message,
    Namespace,
    Occurs,
    UnboundedInteger,
)

DS = Namespace(
    "http://www.w3.org/2000/09/xmldsig#",
    "ds",
    attributes=False,
    type_names="CanonicalizationMethodType CryptoBinary DSAKeyValueType DigestMethodType DigestValueType"
    " HMACOutputLengthType KeyInfoType KeyValueType ManifestType ObjectType PGPDataType RSAKeyValueType ReferenceType"
    " RetrievalMethodType SPKIDataType SignatureMethodType SignaturePropertiesType SignaturePropertyType SignatureType"
    " SignatureValueType SignedInfoType TransformType TransformsType X509DataType X509IssuerSerialType",
)

#: What a wildcard takes: an undeclared element, or a value of any global element class.
Foreign = AnyElement | Message
OptionalText = Annotated[str | None, Attribute()]
RequiredText = Annotated[str, Attribute()]


@DS.element
class CanonicalizationMethod(Message):
    """How SignedInfo becomes octets; content is empty in practice."""

    Algorithm: RequiredText
    content: Annotated[tuple[Foreign | str, ...], Items()] = ()


@DS.local
class HMACOutputLength(Message):
    """Bits of a truncated HMAC."""

    value: Annotated[UnboundedInteger, Content()]


@DS.element
class SignatureMethod(Message):
    """The signature algorithm."""

    Algorithm: RequiredText
    content: Annotated[tuple[HMACOutputLength | Foreign | str, ...], Items()] = ()

    model = Group("sequence", ("HMACOutputLength?", "##any*"))


@DS.local
class XPath(Message):
    """An XPath expression."""

    value: Annotated[Characters, Content()]


@DS.element
class Transform(Message):
    """One transform of the referenced data."""

    Algorithm: RequiredText
    content: Annotated[tuple[Foreign | XPath | str, ...], Items()] = ()


@DS.element
class Transforms(Message):
    """Transforms in the order in which they are applied."""

    Transform: Annotated[tuple[Transform, ...], Occurs(1)]


# A class body would take the field for the class.
TransformsType = Transforms


@DS.element
class DigestMethod(Message):
    """The digest algorithm."""

    Algorithm: RequiredText
    content: Annotated[tuple[Foreign | str, ...], Items()] = ()


DS.simple("DigestValue", Base64Binary)


@DS.element
class Reference(Message):
    """What is signed, and its digest."""

    Id: OptionalText = None
    Type: OptionalText = None
    URI: OptionalText = None
    Transforms: TransformsType | None = None
    DigestMethod: DigestMethod
    DigestValue: Base64Binary


@DS.element
class SignedInfo(Message):
    """What the signature value signs."""

    Id: OptionalText = None
    CanonicalizationMethod: CanonicalizationMethod
    SignatureMethod: SignatureMethod
    Reference: Annotated[tuple[Reference, ...], Occurs(1)]


@DS.element
class SignatureValue(Message):
    """The signature octets: r||s for ECDSA."""

    Id: OptionalText = None
    value: Annotated[Base64Binary, Content()]


@DS.element
class KeyName(Message):
    """A name of the key."""

    value: Annotated[Characters, Content()]


@DS.element
class MgmtData(Message):
    """In-band key management."""

    value: Annotated[Characters, Content()]


@DS.element
class DSAKeyValue(Message):
    """A DSA key; P with Q, Seed with PgenCounter."""

    P: Base64Binary | None = None
    Q: Base64Binary | None = None
    G: Base64Binary | None = None
    Y: Base64Binary
    J: Base64Binary | None = None
    Seed: Base64Binary | None = None
    PgenCounter: Base64Binary | None = None

    model = Group(
        "sequence", (Group("sequence", ("P", "Q"), 0), "G?", "Y", "J?", Group("sequence", ("Seed", "PgenCounter"), 0))
    )


@DS.element
class RSAKeyValue(Message):
    """An RSA key."""

    Modulus: Base64Binary
    Exponent: Base64Binary


@DS.element
class KeyValue(Message):
    """A public key by value."""

    content: Annotated[tuple[DSAKeyValue | RSAKeyValue | Foreign | str, ...], Items()]

    model = Group("choice", ("DSAKeyValue", "RSAKeyValue", "##any"))


@DS.element
class RetrievalMethod(Message):
    """Where the key is found."""

    Type: OptionalText = None
    URI: OptionalText = None
    Transforms: TransformsType | None = None


@DS.type
class X509IssuerSerialType(Message):
    """A certificate by issuer (RFC 4514 text) and serial; ISO 15118 names root certificates by it."""

    X509IssuerName: Characters
    X509SerialNumber: UnboundedInteger


@DS.local
class X509IssuerSerial(X509IssuerSerialType):
    """A certificate by issuer and serial, inside X509Data."""


@DS.local
class X509SKI(Message):
    """A subject key identifier."""

    value: Annotated[Base64Binary, Content()]


@DS.local
class X509SubjectName(Message):
    """A subject name."""

    value: Annotated[Characters, Content()]


@DS.local
class X509Certificate(Message):
    """A DER certificate."""

    value: Annotated[Base64Binary, Content()]


@DS.local
class X509CRL(Message):
    """A DER revocation list."""

    value: Annotated[Base64Binary, Content()]


@DS.element
class X509Data(Message):
    """Certificates, revocation lists and identifiers."""

    content: Annotated[
        tuple[X509IssuerSerial | X509SKI | X509SubjectName | X509Certificate | X509CRL | Foreign, ...], Items(1)
    ]


@DS.local
class PGPKeyID(Message):
    """An identifier of a PGP key."""

    value: Annotated[Base64Binary, Content()]


@DS.local
class PGPKeyPacket(Message):
    """A PGP key."""

    value: Annotated[Base64Binary, Content()]


@DS.element
class PGPData(Message):
    """A PGP key: identifier, packet or both."""

    content: Annotated[tuple[PGPKeyID | PGPKeyPacket | Foreign, ...], Items(1)]

    model = Group(
        "choice",
        (
            Group("sequence", ("PGPKeyID", "PGPKeyPacket?", "##any*")),
            Group("sequence", ("PGPKeyPacket", "##any*")),
        ),
    )


@DS.local
class SPKISexp(Message):
    """A canonical S-expression."""

    value: Annotated[Base64Binary, Content()]


@DS.element
class SPKIData(Message):
    """SPKI keys."""

    content: Annotated[tuple[SPKISexp | Foreign, ...], Items(1)]

    model = Group("sequence", ("SPKISexp", "##any?"), repeats=True)


@DS.element
class KeyInfo(Message):
    """The key, by any means. ISO 15118 forbids it in its headers."""

    Id: OptionalText = None
    content: Annotated[
        tuple[KeyName | KeyValue | RetrievalMethod | X509Data | PGPData | SPKIData | MgmtData | Foreign | str, ...],
        Items(1),
    ]


KeyInfoType = KeyInfo


@DS.element
class Object(Message):
    """Anything, enclosed."""

    Encoding: OptionalText = None
    Id: OptionalText = None
    MimeType: OptionalText = None
    content: Annotated[tuple[Foreign | str, ...], Items()] = ()


ObjectType = Object


@DS.element
class Manifest(Message):
    """A list of references, checked by the application."""

    Id: OptionalText = None
    Reference: Annotated[tuple[Reference, ...], Occurs(1)]


@DS.element
class SignatureProperty(Message):
    """A statement about a signature."""

    Id: OptionalText = None
    Target: RequiredText
    content: Annotated[tuple[Foreign | str, ...], Items(1)]


@DS.element
class SignatureProperties(Message):
    """Statements about signatures."""

    Id: OptionalText = None
    SignatureProperty: Annotated[tuple[SignatureProperty, ...], Occurs(1)]


@DS.element
class Signature(Message):
    """A signature over references."""

    Id: OptionalText = None
    SignedInfo: SignedInfo
    SignatureValue: SignatureValue
    KeyInfo: KeyInfoType | None = None
    Object: Annotated[tuple[ObjectType, ...], Occurs(0)] = ()
