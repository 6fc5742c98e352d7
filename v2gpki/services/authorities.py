"""Certification authorities of a home: creating one, or a whole ecosystem from a plan.

An authority has a slug (``iso2-cpo-sub-ca-2``) and key generations (``slug@1``). Which roles exist, who
may sign whom and what the subject looks like is profile data; this module names, orders and asks the
one issuance path. A plan is resumed where it stopped: what exists is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from v2gpki.certs.template import Constants
from v2gpki.errors import V2GPKIError
from v2gpki.profile.hierarchy import Planned
from v2gpki.profile.load import Catalogue
from v2gpki.services.crl_names import crl_name, name_of
from v2gpki.services.directory import Directory
from v2gpki.services.issuance import Issuance, NewAuthority, Order
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord

#: A slug names key files, CRL addresses and picture elements: nothing that any of these would have to escape.
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_SLUG = 100


@dataclass(frozen=True, slots=True)
class Naming:
    """What the home writes into every certificate: organisation, country, and the URLs of its services."""

    org: str
    country: str = ""
    ocsp_url: str = ""
    crl_base: str = ""

    def constants(self, *, issuer: AuthorityRecord | None = None, name: str = "") -> Constants:
        """The constants of the certificates that this generation of an authority signs; None for a new root."""
        crl_url = f"{self.crl_base}/{name_of(issuer)}.crl" if self.crl_base and issuer is not None else ""
        return Constants(org=self.org, country=self.country, name=name, ocsp_url=self.ocsp_url, crl_url=crl_url)


@dataclass(frozen=True, slots=True)
class Founded:
    """What carrying out a plan gave: new authorities and held certificates, and slugs that were there before."""

    authorities: tuple[AuthorityRecord, ...]
    held: tuple[CertificateRecord, ...]
    existing: tuple[str, ...]


class Authorities:
    """Creates certification authorities."""

    def __init__(self, store: Store, catalogue: Catalogue, issuance: Issuance, naming: Naming) -> None:
        self._store = store
        self._catalogue = catalogue
        self._issuance = issuance
        self._naming = naming
        self._directory = Directory(store, catalogue)

    def create(
        self,
        role: str,
        *,
        edition: str,
        suite: str | None = None,
        issuer: str = "",
        name: str = "",
        slug: str = "",
        options: Mapping[str, str] | None = None,
        caller: str,
    ) -> AuthorityRecord:
        """Create one authority with a fresh key.

        ``issuer`` is a slug or generation; "" picks the one active authority that may sign the role. Raises
        ``authority.bad_slug``, or ``authority.exists`` with the fingerprint of the one that is there; nothing is
        changed then.
        """
        profile = self._catalogue.profile(edition, role, suite, options)
        if profile.kind == "leaf":
            raise V2GPKIError(
                "authority.not_a_ca",
                f"{role} of {edition} is an end-entity role, no authority",
                hint=f"v2gpki cert issue {role}",
                clause=profile.clause,
            )
        slug = slug or self._directory.slug(role, edition=edition, suite=profile.suite)
        if not _SLUG.fullmatch(slug) or len(slug) > _LONGEST_SLUG:
            raise V2GPKIError(
                "authority.bad_slug",
                f"{slug[:_LONGEST_SLUG]!r} cannot be the slug of an authority",
                hint=f"at most {_LONGEST_SLUG} lower-case letters, digits, and single hyphens between them",
                facts={"slug": slug[:_LONGEST_SLUG]},
            )
        existing = self._store.authority(slug)
        if existing is not None:
            raise already_there(existing)
        signing = self._directory.signing_authority(profile, issuer) if profile.issuers else None
        new = NewAuthority(slug, self._next_generation(slug))
        constants = self._naming.constants(issuer=signing, name=name)
        order = Order(profile, signing.id if signing else "", constants, key_id=new.id, authority=new)
        authority = self._issuance.issue([order], caller=caller)[0].authority
        if authority is None:
            raise V2GPKIError("internal.bug", f"issuing {slug} gave no authority")
        return authority

    def carry_out(
        self,
        plan: Sequence[Planned],
        *,
        caller: str,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Founded:
        """Create everything of a plan that is not there yet, one group of certificates a level.

        ``progress`` is called with the number of certificates after each group. Interrupted and called
        again, it goes on where it stopped.
        """
        known = {authority.slug: authority for authority in self._store.authorities() if authority.state == "active"}
        there = self._present(plan, known)
        existing = [p.slug for p in plan if p.slug in there]
        missing = [p for p in plan if p.slug not in there]
        authorities: list[AuthorityRecord] = []
        held: list[CertificateRecord] = []
        while missing:
            ready = [p for p in missing if all(slug in known for slug in (p.issuer_slug, p.subject_slug) if slug)]
            if not ready:
                raise V2GPKIError(
                    "authority.unknown_issuer",
                    f"nothing in this home or its plan signs {missing[0].slug}: "
                    f"{missing[0].issuer_slug} or its subject is missing",
                    hint="check the lab file: issuers must be part of the same plan, or exist already",
                    facts={"slug": missing[0].slug, "issuer": missing[0].issuer_slug},
                )
            for issued in self._issuance.issue([self._planned_order(p, known) for p in ready], caller=caller):
                if issued.authority is not None:
                    known[issued.authority.slug] = issued.authority
                    authorities.append(issued.authority)
                else:
                    held.append(issued.record)
            progress(len(ready))
            done = {p.slug for p in ready}
            missing = [p for p in missing if p.slug not in done]
        return Founded(tuple(authorities), tuple(held), tuple(existing))

    # -- helpers -------------------------------------------------------------------------------

    def _present(self, plan: Sequence[Planned], known: Mapping[str, AuthorityRecord]) -> set[str]:
        """The slugs of a plan that need nothing: authorities, held leafs and cross-certificates that are there."""
        held = {certificate.key_id for certificate in self._store.held_certificates()}
        present = {p.slug for p in plan if p.slug in known or f"{p.slug}@1" in held}
        for p in plan:
            issuer, subject = known.get(p.issuer_slug), known.get(p.subject_slug)
            if p.subject_slug and issuer is not None and subject is not None:
                crosses = self._store.find_certificates(issuer_id=issuer.id, role=p.role, state="valid")
                if any(spki_of_certificate(subject.der) in cross.der for cross in crosses):
                    present.add(p.slug)
        return present

    def _planned_order(self, planned: Planned, known: Mapping[str, AuthorityRecord]) -> Order:
        profile = self._catalogue.profile(planned.edition, planned.role, planned.suite, planned.options)
        issuer = known[planned.issuer_slug] if planned.issuer_slug else None
        issuer_id = issuer.id if issuer is not None else ""
        naming = replace(self._naming, org=planned.org) if planned.org else self._naming
        constants = naming.constants(issuer=issuer, name=planned.name)
        if planned.subject_slug:
            subject = known[planned.subject_slug]
            copied = replace(constants, name=subject.subject, subject=subject.subject_der)
            return Order(profile, issuer_id, copied, spki=spki_of_certificate(subject.der))
        if planned.held:
            return Order(profile, issuer_id, constants, key_id=f"{planned.slug}@1")
        authority = NewAuthority(planned.slug, self._next_generation(planned.slug))
        return Order(profile, issuer_id, constants, key_id=authority.id, authority=authority)

    def _next_generation(self, slug: str) -> int:
        """The next one whose CRL has a name of its own: with an authority ``x-2``, that of ``x`` after 1 is 3."""
        authorities = self._store.authorities()
        taken = {name_of(authority) for authority in authorities}
        generation = 1 + max((a.generation for a in authorities if a.slug == slug), default=0)
        while crl_name(slug, generation) in taken:
            generation += 1
        return generation


def already_there(authority: AuthorityRecord) -> V2GPKIError:
    """The refusal to create what exists, with what a person needs to recognise it."""
    import hashlib  # noqa: PLC0415  # only on refusal

    fingerprint = hashlib.sha256(authority.der).hexdigest()
    return V2GPKIError(
        "authority.exists",
        f"{authority.id} is already here: {authority.subject}, SHA-256 {fingerprint}; nothing was changed",
        hint="--if-missing accepts what is there; another --home holds another PKI",
        facts={"authority": authority.id, "subject": authority.subject, "fingerprint": fingerprint},
    )


def spki_of_certificate(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate."""
    from cryptography import x509  # noqa: PLC0415  # only for cross-certificates
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  # likewise

    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
