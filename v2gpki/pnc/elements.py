"""What is signed in a message: the elements by the standard, their names, Ids and EXI fragments.

An element is found by walking the message's classes, so that its qualified name is the one that its fragment begins
with. The header is never part of it. Refuses a message of which nothing is signed, and one of an edition that is not
asked for. Clauses: ISO 15118-2 7.9.2.4.2 and 8.4.3; ISO 15118-20 7.9.2.3, [V2G20-1449], [V2G20-1548].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.grammar import fields
from v2gpki.messages.schema import Message, Named, NamedValue, QName, Substitutes
from v2gpki.pnc.algorithms import Edition

#: What can be signed by itself: a message class that is an element, or a value with the name of its element.
Signable: TypeAlias = Message | NamedValue

#: Elements that the standard has signed, by edition and message. `?`: signed only where it has an Id.
SIGNED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "iso15118-2": {
        "AuthorizationReq": ("AuthorizationReq",),
        "MeteringReceiptReq": ("MeteringReceiptReq",),
        "CertificateInstallationReq": ("CertificateInstallationReq",),
        "CertificateUpdateReq": ("CertificateUpdateReq",),
        **dict.fromkeys(
            ("CertificateInstallationRes", "CertificateUpdateRes"),
            ("ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID"),
        ),
        "ChargeParameterDiscoveryRes": ("SalesTariff?",),
    },
    "iso15118-20": {
        "AuthorizationReq": ("PnC_AReqAuthorizationMode",),
        "CertificateInstallationReq": ("OEMProvisioningCertificateChain",),
        "CertificateInstallationRes": ("SignedInstallationData",),
        "MeteringConfirmationReq": ("SignedMeteringData",),
        "ScheduleExchangeRes": ("AbsolutePriceSchedule?", "PriceLevelSchedule?"),
    },
}
#: The schema under which the fragments of an edition are coded, and the namespaces of its messages.
_SCHEMAS: Mapping[str, tuple[str, str]] = {
    "iso15118-2": ("iso15118-2", "urn:iso:15118:2:2013:"),
    "iso15118-20": ("iso15118-20-common", "urn:iso:std:iso:15118:-20:"),
}


@dataclass(frozen=True, slots=True)
class SignedElement:
    """An element of a message that a signature may refer to; `path` leads to it, `required`: it must be signed."""

    path: str
    name: QName
    id: str | None
    value: Message
    schema: str
    required: bool = False

    @property
    def signable(self) -> NamedValue:
        """The value with its name."""
        return NamedValue(self.name, self.value)

    def fragment(self) -> bytes:
        """The EXI fragment that is digested. Raises what `messages.encode` raises."""
        return codec.encode(self.signable, schema=self.schema, fragment=True)


def family_of(message: Signable) -> str:
    """`iso15118-2` or `iso15118-20`, by the namespace. Raises `signature.nothing_to_sign` for any other."""
    uri = message.name.uri if isinstance(message, NamedValue) else message.declaration.namespace.uri
    for family, (_, start) in _SCHEMAS.items():
        if uri.startswith(start):
            return family
    raise nothing_to_sign(name_of(message).name)


def edition_of(message: Signable, edition: Edition | None) -> Edition:
    """The edition of a message; `lab-ecog-20` only when it is asked for. Raises `signature.wrong_edition`."""
    family = family_of(message)
    if edition is None:
        return "iso15118-2" if family == "iso15118-2" else "iso15118-20"
    if (edition == "iso15118-2") != (family == "iso15118-2"):
        raise V2GPKIError(
            "signature.wrong_edition",
            f"{name_of(message).name} is a message of {family}, not of {edition}",
            hint="leave the edition out, or name the one of the message",
            facts={"edition": edition, "found": family},
        )
    return edition


def schema_of(family: str) -> str:
    """The schema under which an edition's fragments are coded."""
    return _SCHEMAS[family][0]


def body_of(message: Message) -> Message:
    """What of a message can be signed: the body element of a V2G_Message, else the message itself."""
    body = getattr(message, "Body", None)
    if message.declaration.name == "V2G_Message" and isinstance(body, Message):
        element = getattr(body, "BodyElement", None)
        if not isinstance(element, Message):
            raise nothing_to_sign("a V2G_Message without a body")
        return element
    return message


def elements_of(message: Signable) -> tuple[SignedElement, ...]:
    """Every element of a message that can have an Id, in document order; `required` marks those that the standard has
    signed.

    Of a value that is no message (a `SignedInstallationData` alone) the value itself is required.
    """
    root = body_of(message) if isinstance(message, Message) else message
    family = family_of(root)
    name = name_of(root)
    rule = SIGNED[family].get(name.name)
    found = tuple(_walk(root.value if isinstance(root, NamedValue) else root, name, schema_of(family), rule))
    if rule is None and not any(element.required for element in found):
        raise nothing_to_sign(name.name)
    return found


def named(values: Sequence[Signable]) -> tuple[SignedElement, ...]:
    """Elements that were chosen by hand, all required."""
    elements = []
    for value in values:
        inner = value.value if isinstance(value, NamedValue) else value
        if not isinstance(inner, Message) or "Id" not in inner.__struct_fields__:
            raise nothing_to_sign(name_of(value).name)
        name = name_of(value)
        schema = schema_of(family_of(value))
        elements.append(SignedElement(name.name, name, getattr(inner, "Id", None), inner, schema, required=True))
    return tuple(elements)


def nothing_to_sign(name: str) -> V2GPKIError:
    """The refusal of a message of which the standard signs nothing."""
    return V2GPKIError(
        "signature.nothing_to_sign",
        f"nothing of {name} is signed",
        hint="signed are parts of " + ", ".join(sorted({message for rules in SIGNED.values() for message in rules})),
        clause="ISO 15118-2 7.9.2.4, ISO 15118-20 7.9.2.3",
        facts={"message": name},
    )


def name_of(value: Signable) -> QName:
    """The qualified name of the element."""
    if isinstance(value, NamedValue):
        return value.name
    return QName(value.declaration.name, value.declaration.namespace.uri)


def _walk(root: object, name: QName, schema: str, rule: tuple[str, ...] | None) -> Iterator[SignedElement]:
    """The elements below and including the root, without recursion."""
    stack = [(name.name, name, root)]
    while stack:
        path, name, value = stack.pop()
        if not isinstance(value, Message):
            continue
        if "Id" in value.__struct_fields__:
            id_ = getattr(value, "Id", None)
            yield SignedElement(path, name, id_, value, schema, _required(name.name, path, id_, rule))
        below = []
        for field, names in _fields(type(value)):
            if field == "Header" and value is root:
                continue
            inner = getattr(value, field)
            items = inner if isinstance(inner, tuple) else (inner,)
            for number, item in enumerate(items, 1):
                if isinstance(item, Message):
                    child = names.get(type(item)) or names[None]
                    step = f"{child.name}[{number}]" if len(items) > 1 else child.name
                    below.append((f"{path}/{step}", child, item))
        stack += reversed(below)


def _required(name: str, path: str, id_: str | None, rule: tuple[str, ...] | None) -> bool:
    """Whether an element must be signed; without a rule it is the root."""
    if rule is None:
        return path == name
    return name in rule or (bool(id_) and f"{name}?" in rule)


@cache
def _fields(cls: type[Message]) -> tuple[tuple[str, dict[type | None, QName]], ...]:
    """Fields of a class that hold elements, and the name of the element: by class in a substitution group, else one."""
    found = []
    for field in fields(cls):
        other = field.marker(Named)
        namespace = field.namespace if other is None else other.namespace
        name = field.name if other is None or not other.name else other.name
        names: dict[type | None, QName] = {None: QName(name, namespace.uri if namespace.qualified_elements else "")}
        if field.marker(Substitutes) is not None:
            for alternative in field.alternatives:
                if isinstance(alternative, type) and issubclass(alternative, Message):
                    declaration = alternative.declaration
                    names[alternative] = QName(declaration.name, declaration.namespace.uri)
        found.append((field.name, names))
    return tuple(found)
