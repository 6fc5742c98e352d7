"""Certificate trust lists (CTL): which roots somebody trusts, for which use, until when; signed.

The list is a JSON object (`SCHEMA`); signed, it is the content of CMS SignedData (a ``.ctl`` file in DER), so that
``openssl cms -verify`` opens it too. OPCP's description leaves the format of its list open and names three members,
signerCertificate, timeStamp and CTL: `opcp_document` fills these and adds the signed octets, without which a list is
not taken. Roots are self-signed CA certificates, each once. What stands beside a certificate is told, not
believed: fingerprint and subject must be those of the certificate.
Sources: OPCP rcp.v1 (GetCertificateTrustList), RFC 5652, RFC 5914 (what a list of trust anchors is for).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from v2gpki.certs import signed_data
from v2gpki.certs.cms import unarmoured
from v2gpki.certs.signed_data import Signed
from v2gpki.certs.view import flaw_of_signature, view
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer

#: The first member; with it stand issuer (text), number (from 1), this_update and next_update (RFC 3339 with Z), and
#: roots: a list of objects with role, editions (list), comment, subject, fingerprint (SHA-256 in hex), not_after and
#: certificate (base64 of DER). Only role and certificate of a root need be there; other members are passed over.
SCHEMA = "v2gpki/trust-list/1"
MOST_ROOTS = 10_000
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class ListedRoot:
    """One root: ``role`` in an edition's words (``mo-root``), ``editions`` for which it counts (none: all of its key
    family)."""

    der: bytes
    role: str
    editions: tuple[str, ...] = ()
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hex."""
        return view(self.der).fingerprint.hex()


@dataclass(frozen=True, slots=True)
class TrustList:
    """What ``issuer`` trusts. ``number`` grows with every edition of the list; times are aware, in whole seconds."""

    issuer: str
    number: int
    this_update: datetime
    next_update: datetime
    roots: tuple[ListedRoot, ...]


@dataclass(frozen=True, slots=True)
class SignedTrustList:
    """A list whose signature holds, and what it was read from: ``octets`` is the CMS structure in DER or BER."""

    content: TrustList
    signed: Signed
    octets: bytes

    @property
    def signer_fingerprint(self) -> str:
        """SHA-256 of the signer's certificate in hex: what a person compares."""
        return view(self.signed.signer).fingerprint.hex()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two lists, by fingerprint; ``before`` and ``after`` are None where a root is missing."""

    kind: Literal["added", "removed", "changed"]
    before: ListedRoot | None
    after: ListedRoot | None

    @property
    def root(self) -> ListedRoot:
        """The root as it is now, or as it was."""
        found = self.after or self.before
        if found is None:
            raise ValueError("a change of nothing")
        return found


# -- the list as octets ---------------------------------------------------------------------------


def write(content: TrustList) -> bytes:
    """The JSON text of a list, ASCII, in one form only; raises as ``parse`` for what no list may be."""
    _check(content)
    document = {
        "schema": SCHEMA,
        "issuer": content.issuer,
        "number": content.number,
        "this_update": rfc3339(content.this_update),
        "next_update": rfc3339(content.next_update),
        "roots": [_root_value(root) for root in content.roots],
    }
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def parse(text: bytes) -> TrustList:
    """Read the JSON text of a list; its signature is not a matter here.

    Raises ``trust_list.malformed`` with the member, ``trust_list.not_a_root``, ``trust_list.twice``.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _malformed("it is no JSON", "") from problem
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _malformed(f"its schema is not {SCHEMA}", "schema")
    number, roots = document.get("number"), document.get("roots")
    if not isinstance(number, int) or isinstance(number, bool):
        raise _malformed("a whole number is wanted", "number")
    if not isinstance(roots, list) or len(roots) > MOST_ROOTS:
        raise _malformed(f"a list of at most {MOST_ROOTS} roots is wanted", "roots")
    content = TrustList(
        _text(document, "issuer", "issuer"),
        number,
        _time(document, "this_update"),
        _time(document, "next_update"),
        tuple(_root(entry, f"roots[{index}]") for index, entry in enumerate(roots)),
    )
    _check(content)
    return content


# -- signing and reading --------------------------------------------------------------------------


def sign(
    content: TrustList, *, signer: Signer, certificate: bytes, chain: Sequence[bytes] = (), at: datetime
) -> bytes:
    """The signed list as DER; ``at`` is the signing time. Raises as ``write``, and ``cms.wrong_signer``."""
    return signed_data.sign(write(content), signer=signer, certificate=certificate, chain=chain, at=at)


def read(data: bytes) -> SignedTrustList:
    """A signed list from a ``.ctl`` file (DER, PEM or base64) or an answer of OPCP's GetCertificateTrustList.

    Who may sign is not asked here. Raises ``cms.*``, ``trust_list.*``.
    """
    octets = data
    document: object = None
    if data.lstrip()[:1] == b"{":
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as problem:
            raise _malformed("it is no JSON", "") from problem
        octets = _signed_octets(document)
    signed = signed_data.open_signed(octets)
    content = parse(signed.content)
    if isinstance(document, dict) and document.get("CTL") != json.loads(signed.content):
        raise _malformed("the list that is shown is not the one that was signed", "CTL")
    return SignedTrustList(content, signed, unarmoured(octets))


def opcp_document(listed: SignedTrustList) -> dict[str, object]:
    """The answer of OPCP's GetCertificateTrustList for a list."""
    moment = listed.signed.signed_at or listed.content.this_update
    return {
        "signerCertificate": _base64(listed.signed.signer),
        "timeStamp": rfc3339(moment),
        "CTL": json.loads(listed.signed.content),
        "signedData": _base64(listed.octets),
    }


# -- judging and comparing ------------------------------------------------------------------------


def require_current(content: TrustList, at: datetime) -> None:
    """Raise ``trust_list.over`` or ``trust_list.not_yet`` unless the list holds at this moment."""
    if at >= content.next_update:
        raise V2GPKIError(
            "trust_list.over",
            f"the list {content.number} of {content.issuer!r} was to be replaced by {rfc3339(content.next_update)}",
            hint="get the next one from its issuer",
            facts={"issuer": content.issuer, "next_update": rfc3339(content.next_update)},
        )
    if at < content.this_update:
        raise V2GPKIError(
            "trust_list.not_yet",
            f"the list {content.number} of {content.issuer!r} begins {rfc3339(content.this_update)}",
            hint="check the clock of this machine",
            facts={"issuer": content.issuer, "this_update": rfc3339(content.this_update)},
        )


def require_newer(content: TrustList, previous: TrustList) -> None:
    """Raise ``trust_list.rollback`` unless the list follows the previous one of the same issuer (or is the same)."""
    if content.issuer == previous.issuer and (content.number > previous.number or content == previous):
        return
    what = f"number {content.number} of {content.issuer!r} does not follow {previous.number} of {previous.issuer!r}"
    raise V2GPKIError(
        "trust_list.rollback",
        what,
        hint="an old list brings back roots that were removed: get the newest one",
        facts={"number": content.number, "previous": previous.number, "issuer": content.issuer},
    )


def difference(before: TrustList, after: TrustList) -> tuple[Change, ...]:
    """What changed: removed roots in their old order, then new and changed ones in their new order."""
    old = {root.der: root for root in before.roots}
    new = {root.der: root for root in after.roots}
    changes = [Change("removed", root, None) for der, root in old.items() if der not in new]
    for der, root in new.items():
        if der not in old:
            changes.append(Change("added", None, root))
        elif old[der] != root:
            changes.append(Change("changed", old[der], root))
    return tuple(changes)


# -- members --------------------------------------------------------------------------------------


def _root_value(root: ListedRoot) -> dict[str, object]:
    seen = view(root.der)
    return {
        "role": root.role,
        "editions": list(root.editions),
        **({"comment": root.comment} if root.comment else {}),
        "subject": seen.subject_text,
        "fingerprint": seen.fingerprint.hex(),
        "not_after": rfc3339(seen.not_after),
        "certificate": _base64(root.der),
    }


def _root(entry: object, where: str) -> ListedRoot:
    if not isinstance(entry, dict):
        raise _malformed("an object is wanted", where)
    try:
        der = base64.b64decode(_text(entry, "certificate", f"{where}.certificate", longest=20_000), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise _malformed("it is no base64", f"{where}.certificate") from problem
    editions = entry.get("editions", [])
    if not isinstance(editions, list) or not all(isinstance(one, str) and len(one) <= 40 for one in editions):
        raise _malformed("a list of editions is wanted", f"{where}.editions")
    root = ListedRoot(
        der,
        _text(entry, "role", f"{where}.role"),
        tuple(editions),
        _text(entry, "comment", f"{where}.comment") if "comment" in entry else "",
    )
    for name, value in (("fingerprint", root.fingerprint), ("subject", view(der).subject_text)):
        if name in entry and entry[name] != value:
            raise _malformed(f"it is not that of the certificate, {value}", f"{where}.{name}")
    return root


def _check(content: TrustList) -> None:
    """What every list must be, read or written."""
    if content.number < 1:
        raise _malformed("it begins with 1", "number")
    for name, moment in (("this_update", content.this_update), ("next_update", content.next_update)):
        if moment.tzinfo is None or moment.microsecond:
            raise _malformed("an aware time in whole seconds is wanted", name)
    if content.next_update <= content.this_update:
        raise _malformed("it is not after this_update", "next_update")
    if not content.issuer or len(content.issuer) > LONGEST_TEXT:
        raise _malformed(f"1 to {LONGEST_TEXT} characters are wanted", "issuer")
    seen: set[bytes] = set()
    for index, root in enumerate(content.roots):
        _check_root(root, f"roots[{index}]")
        if root.der in seen:
            raise V2GPKIError(
                "trust_list.twice",
                f"roots[{index}]: {view(root.der).subject_text} is listed twice",
                hint="list a root once; one with several uses is several lists' matter",
                facts={"fingerprint": root.fingerprint},
            )
        seen.add(root.der)


def _check_root(root: ListedRoot, where: str) -> None:
    certificate = view(root.der)
    flaw = "" if certificate.self_issued else f"it was issued by {certificate.issuer_text}"
    flaw = flaw or flaw_of_signature(root.der, root.der)
    flaw = flaw or ("" if certificate.ca else "it may not issue certificates")
    if flaw:
        raise V2GPKIError(
            "trust_list.not_a_root",
            f"{where}: {certificate.subject_text} is no root: {flaw}",
            hint="list the self-signed root at the top of the chain",
            clause="[V2G2-924]",
            facts={"fingerprint": root.fingerprint},
        )
    if not root.role:
        raise _malformed("a role is wanted", f"{where}.role")


def _signed_octets(document: object) -> bytes:
    signed = document.get("signedData") if isinstance(document, dict) else None
    if not isinstance(signed, str):
        raise V2GPKIError(
            "trust_list.unsigned",
            "the document has no signedData: nobody vouches for its list",
            hint="give the signed list (a .ctl file, or the whole answer of GetCertificateTrustList)",
            clause="OPCP rcp.v1",
        )
    return signed.encode("ascii", "replace")


def _text(document: Mapping[str, object], name: str, where: str, *, longest: int = LONGEST_TEXT) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value or len(value) > longest:
        raise _malformed(f"a text of 1 to {longest} characters is wanted", where)
    return value


def _time(document: Mapping[str, object], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(document, name, name))
    except ValueError as problem:
        raise _malformed("a time such as 2026-05-01T12:00:00Z is wanted", name) from problem
    if moment.tzinfo is None:
        raise _malformed("a time with Z is wanted", name)
    return moment.astimezone(UTC)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _malformed(why: str, where: str) -> V2GPKIError:
    return V2GPKIError(
        "trust_list.malformed",
        "the trust list cannot be read: " + (f"{where}: {why}" if where else why),
        hint="v2gpki ctl create writes one",
        facts={"member": where},
    )


def roots_of(content: TrustList, role: str = "", edition: str = "") -> Iterator[ListedRoot]:
    """The roots for a role and an edition, "" for any."""
    for root in content.roots:
        if role in ("", root.role) and (not edition or not root.editions or edition in root.editions):
            yield root
