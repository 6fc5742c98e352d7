"""``CertificateAuthority``: a home opened, its services joined, as one object for programs.

It decides nothing: it turns names and files into the arguments of the services and keeps them together.
Reading needs no passphrase; whatever signs (issuing, revoking, CRLs) needs the vault unlocked. Calls are
synchronous and safe from threads. Nothing here prints, and no private key leaves but in an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from v2gpki.certs.name import string_octets
from v2gpki.clock import Clock
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.profile.hierarchy import Planned, load_lab
from v2gpki.profile.load import Catalogue
from v2gpki.services.authorities import Authorities, Founded, Naming
from v2gpki.services.directory import Directory
from v2gpki.services.issuance import Issuance, Issued
from v2gpki.services.routing import Routing
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord, CrlRecord
from v2gpki.wiring.home import Session
from v2gpki.wiring.orders import CertificateOrder, orders_of
from v2gpki.wiring.settings import DEFAULT_ORG, MAIN_EDITIONS, Settings

if TYPE_CHECKING:
    from v2gpki.keys.vault import Vault
    from v2gpki.ocpp.hash_data import Encoding
    from v2gpki.services.ocsp import OcspResponder, Staple
    from v2gpki.services.revocation import Revocation
    from v2gpki.wiring.plug_and_charge import PlugAndCharge
    from v2gpki.wiring.signing.client import RemoteSigning


class CertificateAuthority:
    """Every chain of one home: create authorities, issue, revoke, publish.

    Made by ``v2gpki.open_authority``; a context manager. ``store``, ``catalogue`` and ``clock`` may be read freely;
    ``vault`` is None until the passphrase was given.
    """

    def __init__(
        self,
        home: Path,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        settings: Settings,
        *,
        vault: Vault | None,
        caller: str,
        signing: RemoteSigning | None = None,
    ) -> None:
        """``signing`` stands in for the vault where another process has the keys."""
        self.home = home
        self.store = store
        self.catalogue = catalogue
        self.clock = clock
        self.settings = settings
        self.vault = vault
        self.signing = signing
        self.caller = caller
        self._directory = Directory(store, catalogue)
        self._routing = Routing(store, catalogue, lambda org: self._naming(org=settings.org or org))
        self._first_use = threading.Lock()
        self._session: Session | None = None
        self._issuance: Issuance | None = None
        self._paced: Callable[[], None] | None = None

    # -- authorities ---------------------------------------------------------------------------

    def create_authority(
        self,
        role: str,
        *,
        edition: str,
        suite: str | None = None,
        issuer: str = "",
        name: str = "",
        slug: str = "",
        org: str = "",
        country: str = "",
        options: Mapping[str, str] | None = None,
    ) -> AuthorityRecord:
        """Create one certification authority with a fresh key, kept in the vault.

        ``role`` is a CA role of the edition (``v2g-root``, ``cpo-sub-ca-1``, ..), ``name`` its common name,
        ``issuer`` the signing authority ("" finds it). Raises ``authority.exists``, ``authority.unknown_issuer``,
        ``lint.failed``, ..
        """
        authorities = Authorities(
            self.store, self.catalogue, self.issuance, self._naming(org=org, country=country)
        )
        return authorities.create(
            role,
            edition=edition,
            suite=suite,
            issuer=issuer,
            name=name,
            slug=slug,
            options=options,
            caller=self.caller,
        )

    def plan(self, editions: Sequence[str] = MAIN_EDITIONS, lab: Path | None = None) -> tuple[Planned, ...]:
        """The certificates of a whole ecosystem as the lab file (default: the built-in one) describes it."""
        return load_lab(lab, self.catalogue).plan(editions)

    def initialise(
        self,
        plan: Sequence[Planned],
        *,
        org: str = "",
        country: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> Founded:
        """Create everything that ``plan`` lists and that is not there yet.

        Idempotent; goes on where an interrupted call stopped. ``org`` and ``country`` are remembered for the home;
        ``progress`` is called with the number of certificates after each group.
        """
        naming = self._naming(org=org, country=country)
        for attribute, value in (("O", org), ("C", country)):
            if value:
                string_octets(attribute, value, "utf8")
        for setting, value in (("org", org), ("country", country)):
            if value and self.store.setting(setting) is None:
                self.store.put_setting(setting, value, at=self.clock.now(), caller=self.caller)
        authorities = Authorities(self.store, self.catalogue, self.issuance, naming)
        return authorities.carry_out(plan, caller=self.caller, progress=progress)

    def authority(self, name: str) -> AuthorityRecord:
        """An authority by ``slug@n``, slug, unique prefix or start of its serial; else ``store.unknown_authority``."""
        return self._directory.find(name)

    # -- certificates --------------------------------------------------------------------------

    def issue(
        self,
        role: str,
        *,
        id: str | None = None,  # noqa: A002  # the field's own word, as on the command line
        edition: str | None = None,
        suite: str | None = None,
        issuer: str = "",
        csr: bytes | None = None,
        public_key: bytes | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        options: Mapping[str, str] | None = None,
        idempotence_key: str = "",
        escrow: bool = False,
    ) -> Issued:
        """Issue one end-entity certificate.

        ``role`` is secc, cps, oem, contract, vehicle, ocsp, csms, station, ..; ``id`` the identifier that the role's
        profile allows (EVSEID, EMAID, PCID, ..). The key comes from ``csr`` (PEM or DER; its signature is verified,
        its subject is not taken over) or ``public_key`` (SubjectPublicKeyInfo, PEM or DER); else a fresh
        one is made and handed out in the answer, kept only with ``escrow``. ``edition`` None takes the only
        edition of this home that has such a role.
        """
        order = CertificateOrder(
            role,
            id,
            edition,
            suite,
            issuer,
            csr,
            public_key,
            not_before,
            not_after,
            options,
            idempotence_key,
            escrow,
        )
        return self.issue_many([order])[0]

    def issue_many(self, orders: Sequence[CertificateOrder]) -> list[Issued]:
        """Issue a group: one record of intents, one of results. All of them or none."""
        return self.issuance.issue(orders_of(orders, self._routing), caller=self.caller)

    def dry_run(self, order: CertificateOrder) -> tuple[bytes, tuple[Finding, ...]]:
        """What ``issue`` would sign: (TBSCertificate DER, findings). Nothing is recorded or signed."""
        return self.issuance.check(orders_of([order], self._routing)[0])

    def find_certificate(self, name: str) -> CertificateRecord:
        """One certificate by serial, fingerprint, a unique start of either, or its identifier.

        Raises ``store.unknown_certificate``, or ``certificate.ambiguous`` with the candidates.
        """
        wanted = name.lower().replace(":", "").removeprefix("0x")
        found = list(self.store.find_certificates(prefix=wanted, limit=9)) if _is_hex(wanted) else []
        if not found and name:
            found = list(self.store.find_certificates(identifier=name, limit=9))
        if not found:
            raise V2GPKIError(
                "store.unknown_certificate",
                f"this home has no certificate whose serial, fingerprint or id is or starts with {name!r}",
                hint="v2gpki cert list shows what was issued",
                facts={"certificate": name},
            )
        if len(found) > 1:
            candidates = [f"{record.serial:x} ({record.role} {record.identifier})".rstrip() for record in found]
            raise V2GPKIError(
                "certificate.ambiguous",
                f"{name!r} fits several certificates: {', '.join(candidates)}",
                hint="give more digits of the serial",
                facts={"certificate": name, "candidates": candidates},
            )
        return found[0]

    def chain(self, record: CertificateRecord) -> tuple[bytes, ...]:
        """The chain of a stored certificate: itself first, then Sub-CA 2, Sub-CA 1; no root."""
        issuer = self.store.authority(record.issuer_id)
        if issuer is None or issuer.der == record.der:
            return (record.der,)
        return (record.der, *(issuer.der, *issuer.chain)[:-1])

    # -- revocation ----------------------------------------------------------------------------

    def revoke(self, certificate: str, reason: str = "unspecified") -> CertificateRecord:
        """Revoke the certificate that ``find_certificate`` gives for this name; ``reason`` as in RFC 5280 5.3.1."""
        record = self.find_certificate(certificate)
        revoked = self._revocation().revoke(
            record.issuer_id, record.serial, reason, caller=self.caller
        )
        self._seal()
        return revoked

    def publish_crl(self, authority: str) -> CrlRecord:
        """Sign and keep the next CRL of an authority."""
        record = self.authority(authority)
        crl = self._revocation().publish_crl(
            record, self.settings.crl_lifetime, caller=self.caller
        )
        self._seal()
        return crl

    # -- status, as OCPP asks for it -----------------------------------------------------------

    def certificate_status(self, hash_data: Mapping[str, object]) -> str:
        """The status of a certificate of this home: OCPP's OCSPRequestDataType in, ``ocspResult`` out.

        ``hash_data`` has hashAlgorithm (SHA256, SHA384, SHA512), issuerNameHash, issuerKeyHash, serialNumber and
        responderURL, which is not looked at, in any encoding that stacks use (`v2gpki.ocpp.hash_data`). The answer is
        the base64 of a DER OCSPResponse signed now: good, revoked, or unknown for a serial that was never issued.
        Raises ``ocsp.bad_hash_data``; ``ocsp.unauthorized`` for the issuers of others, whom responderURL leads to
        (`v2gpki.clients.ocsp`); ``ocsp.try_later`` when the home is locked: a CSMS answers Failed then.
        """
        return self._responder.certificate_status(hash_data)

    def hash_data(
        self,
        chain: bytes | Sequence[bytes],
        *,
        algorithm: str = "",
        encoding: Encoding = "ocpp",
        responder_url: str = "",
    ) -> list[dict[str, str]]:
        """The hash data that OCPP wants for a chain: an object for leaf, Sub-CA 2 and Sub-CA 1.

        ``chain`` is a file's octets in any container, or DER certificates, in any order; an issuer that it lacks, the
        root as a rule, is looked for among the authorities and roots of this home. The rest as in
        `v2gpki.ocpp.hash_data`. Raises ``ocsp.issuer_missing``, ``ocsp.bad_hash_data``, ``chain.*``.
        """
        from v2gpki.certs.chain import load_certificates  # noqa: PLC0415  # keeps start-up fast
        from v2gpki.ocpp.hash_data import hash_data  # noqa: PLC0415  # the same
        from v2gpki.wiring.ocsp import issuer_certificates  # noqa: PLC0415  # the same

        certificates = load_certificates(chain) if isinstance(chain, bytes) else chain
        known = issuer_certificates(self.store)
        return hash_data(
            certificates, anchors=known, algorithm=algorithm, encoding=encoding, responder_url=responder_url
        )

    def staples(self, chain: Sequence[bytes]) -> list[Staple]:
        """An OCSP response, signed now, for each certificate of a chain (DER) that this home issued; for a station to
        staple. Raises ``ocsp.no_staple``, ``ocsp.issuer_missing``, ``chain.*``."""
        from v2gpki.services.ocsp import staples  # noqa: PLC0415  # keeps start-up fast
        from v2gpki.wiring.ocsp import issuer_certificates  # noqa: PLC0415  # the same

        known = issuer_certificates(self.store)
        return staples(chain, lambda asked: self._responder.answer(asked.request), anchors=known)

    # -- Plug & Charge -------------------------------------------------------------------------

    @cached_property
    def plug_and_charge(self) -> PlugAndCharge:
        """The pools, the parties that work with them, and the answers to vehicles."""
        from v2gpki.wiring.plug_and_charge import PlugAndCharge  # noqa: PLC0415  # keeps start-up fast

        return PlugAndCharge(
            self.store,
            self.catalogue,
            self.clock,
            routing=self._routing,
            issuance=lambda: self.issuance,
            signer=lambda key_id: self._unlocked().signer(key_id),
            seal=self._seal,
            ready=self._require_unlocked,
            caller=self.caller,
            elsewhere=None if self.signing is None else self.signing.contract,
        )

    # -- life ----------------------------------------------------------------------------------

    @property
    def issuance(self) -> Issuance:
        """The one issuance path; taking it unlocks nothing, but needs the vault to be unlocked."""
        with self._first_use:
            if self._issuance is None:
                keys = self._unlocked() if self.signing is None else self.signing
                self._session = Session(self.home)
                self._issuance = Issuance(
                    self.store,
                    keys,
                    self.clock,
                    session=self._session.name,
                    seal=self._seal_issued,
                    press=None if self.signing is None else self.signing.certificates,
                )
                self._recover(self._issuance, self._session)
            return self._issuance

    def _close_intents(self) -> None:
        """Close the intents that dead processes left behind; taking the issuance did that already, once."""
        issuance = self.issuance
        if self._session is not None:
            self._recover(issuance, self._session)

    @property
    def locked(self) -> bool:
        """Whether nothing can be signed: there is no passphrase here, and no process that has the keys."""
        return self.vault is None and self.signing is None

    def close(self) -> None:
        """End the session and close the store."""
        if self._session is not None:
            self._session.close()
            self._session = None
            self._issuance = None
        if self.signing is not None:
            self.signing.close()
        self.store.close()

    def __enter__(self) -> CertificateAuthority:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- helpers -------------------------------------------------------------------------------

    @cached_property
    def _responder(self) -> OcspResponder:
        from v2gpki.wiring.ocsp import ocsp_responder  # noqa: PLC0415  # keeps start-up fast

        return ocsp_responder(self)

    def _unlocked(self) -> Vault:
        if self.vault is None:
            raise V2GPKIError(
                "home.locked",
                f"the keys of {self.home} are locked: this needs the passphrase",
                hint="set V2GPKI_PASSPHRASE or V2GPKI_PASSPHRASE_FILE, or give --passphrase-file",
                facts={"home": str(self.home)},
            )
        return self.vault

    def _require_unlocked(self) -> None:
        if self.signing is not None:
            self.signing.check()
        else:
            self._unlocked()

    def _revocation(self) -> Revocation:
        from v2gpki.services.revocation import Revocation  # noqa: PLC0415  # keeps start-up fast

        if self.signing is None:
            return Revocation(self.store, self._unlocked(), self.clock)
        from v2gpki.wiring.signing.client import RemoteRevocation  # noqa: PLC0415  # the same

        return RemoteRevocation(self.store, self.signing, self.clock)

    def _recover(self, issuance: Issuance, session: Session) -> None:
        if not self.store.pending_intents():
            return
        if self.signing is not None:
            self.signing.recover()
            return
        with session.alone():
            issuance.recover(session.is_alive)

    def _seal(self) -> None:
        if self.signing is not None:
            self.signing.seal()
            return
        from v2gpki.wiring.sealing import seal  # noqa: PLC0415  # only after a write

        seal(self.store, self._unlocked(), self.clock)

    def _pace_seals(self, seconds: float) -> None:
        """For servers, whose upkeep seals too: after an issuance the log is sealed once in so many seconds at most."""
        from v2gpki.wiring.sealing import Paced  # noqa: PLC0415  # as above

        self._paced = Paced(self._seal, seconds)

    def _seal_issued(self) -> None:
        (self._paced or self._seal)()

    def _naming(self, *, org: str = "", country: str = "") -> Naming:
        settings = self.settings
        return Naming(
            org=org or settings.org or self.store.setting("org") or DEFAULT_ORG,
            country=country or settings.country or self.store.setting("country") or "",
            ocsp_url=settings.ocsp_url,
            crl_base=settings.crl_base,
        )


def _is_hex(text: str) -> bool:
    return len(text) >= 4 and all(character in "0123456789abcdef" for character in text)
