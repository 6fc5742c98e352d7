"""What enrolment refuses, each in one place: why, and what the client's operator can do."""

from __future__ import annotations

from collections.abc import Sequence

from v2gpki.errors import V2GPKIError
from v2gpki.services.est.labels import Target
from v2gpki.store.records import CertificateRecord


def unknown_label(target: Target) -> V2GPKIError:
    """No authority of this home stands behind a label."""
    return V2GPKIError(
        "est.unknown_label",
        f"no CA of this home issues {target.role} of {target.edition} for the label {target.label!r}",
        hint="v2gpki ca list shows the authorities; v2gpki init makes those of an edition",
        clause="RFC 7030 3.2.2",
        facts={"label": target.label, "role": target.role, "edition": target.edition},
    )


def not_registered(identity: str, role: str, edition: str, identifier: str) -> V2GPKIError:
    """The table does not give this id to this identity."""
    who = f"{identity!r} is not" if identity else "nobody here is"
    return V2GPKIError(
        "est.not_registered",
        f"{who} registered for {role} of {edition}" + (f" with the id {identifier!r}" if identifier else ""),
        hint="register the id for this identity first; a request alone decides nothing",
        clause="VDE-AR-E 2802-100-1",
        facts={"identity": identity, "role": role, "edition": edition, "identifier": identifier},
    )


def needs_one_name(target: Target, count: int) -> V2GPKIError:
    """A request that names no id, or several."""
    return V2GPKIError(
        "est.needs_one_name",
        f"the request for {target.role} has {count} common names, and one id is wanted",
        hint="write the id as the one common name of the request's subject",
        clause="RFC 7030 4.2.1",
        facts={"role": target.role, "names": count},
    )


def wrong_key(target: Target, found: str, wanted: Sequence[str]) -> V2GPKIError:
    """A key of another family."""
    return V2GPKIError(
        "est.wrong_key",
        f"the request has a {found} key, and {target.role} of {target.edition} takes {' or '.join(wanted)}",
        hint="make a key of that kind, or ask under the label of the other edition",
        clause="[V2G2-006], [V2G20-2674], [V2G20-2319]",
        facts={"found": found, "wanted": tuple(wanted), "edition": target.edition},
    )


def wrong_subject(current: str) -> V2GPKIError:
    """A renewal that names something else than the current certificate."""
    return V2GPKIError(
        "est.wrong_subject",
        f"subject and alternative names of the request are not those of the current certificate ({current})",
        hint="renew with the same subject and names, or put the new ones into a ChangeSubjectName attribute",
        clause="RFC 7030 4.2.2",
        facts={"current": current},
    )


def needs_identity(record: CertificateRecord) -> V2GPKIError:
    """A renewal under another name by whoever shows a certificate alone."""
    return V2GPKIError(
        "est.needs_identity",
        f"the certificate {record.serial:x} stands for its own name, and ChangeSubjectName asks for another",
        hint="show a credential beside it, of an identity that the new name is registered for",
        clause="RFC 7030 4.2.2",
        facts={"serial": f"{record.serial:x}"},
    )


def needs_certificate() -> V2GPKIError:
    """A renewal without the certificate that it renews."""
    return V2GPKIError(
        "est.needs_certificate",
        "a renewal is authenticated by the current certificate, and the client showed none",
        hint="use the current certificate and its key for TLS; without them enrol anew (simpleenroll)",
        clause="RFC 7030 3.3.2, 4.2.2",
    )


def foreign_certificate(subject: str, why: str) -> V2GPKIError:
    """A certificate that cannot be renewed under this URL."""
    return V2GPKIError(
        "est.foreign_certificate",
        f"{subject} cannot be renewed: {why}",
        hint="show an end-entity certificate of this PKI, under the label of its role",
        clause="RFC 7030 4.2.2",
        facts={"subject": subject},
    )


def certificate_over(subject: str, why: str) -> V2GPKIError:
    """A certificate that proves nothing any more."""
    return V2GPKIError(
        "est.certificate_over",
        f"{subject} cannot be renewed: it {why}",
        hint="enrol anew with another way of authentication (simpleenroll)",
        clause="RFC 7030 3.3.2",
        facts={"subject": subject},
    )


def key_compromised(record: CertificateRecord) -> V2GPKIError:
    """A key that others have."""
    return V2GPKIError(
        "est.key_compromised",
        f"the key of this request was reported as compromised with the certificate {record.serial:x}",
        hint="make a new key",
        clause="RFC 5280 5.3.1",
        facts={"serial": f"{record.serial:x}", "identifier": record.identifier},
    )


def revoked_answer(record: CertificateRecord) -> V2GPKIError:
    """The same request again, and what it got was revoked."""
    return V2GPKIError(
        "est.revoked_answer",
        f"this very request was answered with {record.serial:x}, which was revoked",
        hint="make a new request, with a new key if the old one may be known to others",
        clause="RFC 7030 4.2.1",
        facts={"serial": f"{record.serial:x}", "reason": record.reason},
    )


def pending() -> V2GPKIError:
    """The same request is being answered at this moment."""
    return V2GPKIError(
        "est.pending",
        "this very request is being answered to somebody else at this moment",
        hint="send it again in a few seconds",
        clause="RFC 7030 4.2.3",
        facts={"retry_after": 5},
    )


def wrong_binding(*, bound: bool) -> V2GPKIError:
    """A request that is not bound to its connection."""
    why = "its challengePassword is not the tls-unique of this connection"
    if not bound:
        why = "this connection has no tls-unique (TLS 1.3 has none)"
    return V2GPKIError(
        "est.wrong_binding",
        f"the request is not bound to its TLS connection: {why}",
        hint="put the connection's tls-unique in base64 into challengePassword, over TLS 1.2",
        clause="RFC 7030 3.5",
    )


def no_server_keys(target: Target) -> V2GPKIError:
    """Keys are not made here for this label."""
    return V2GPKIError(
        "est.no_server_keys",
        f"no keys are made here for {target.role}",
        hint="make the key yourself and use simpleenroll",
        clause="RFC 7030 4.4",
        facts={"role": target.role},
    )


def key_encryption() -> V2GPKIError:
    """Keys are protected by TLS only."""
    return V2GPKIError(
        "est.key_encryption",
        "the request wants its key encrypted within TLS, which is not done here",
        hint="leave DecryptKeyIdentifier and AsymmetricDecryptKeyIdentifier out of the request",
        clause="RFC 7030 4.4.1",
    )
