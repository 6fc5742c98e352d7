"""The one exception type of v2gpki, and the table that maps each stable code to every outside.

A code is dotted (``path.expired``), stable across releases, and stands in ``CODES`` with what it
means outside: the exit code of the command line, the HTTP status of the services, the V2G
ResponseCode per edition and the OCPP certificateStatus. A code that is raised without a row, or
a row that nothing raises, fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FactValue: TypeAlias = str | int | bool | Sequence[str] | None
Severity = Literal["error", "warning", "info"]

#: Exit codes of the command line (a contract).
EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one code means to each outside; an empty string means that this outside never sees it."""

    exit_code: int
    http: int = 400
    iso2: str = ""
    iso20: str = ""
    ocpp: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a linter or a verifier noticed.

    ``code`` is stable, ``where`` names the field in the reader's words (``subject.DC``), ``clause``
    the rule's source, ``subject`` which certificate of several is meant.
    """

    code: str
    severity: Severity
    message: str
    clause: str = ""
    where: str = ""
    subject: str = ""
    facts: Mapping[str, FactValue] = field(default_factory=dict)


class V2GPKIError(Exception):
    """Every refusal of v2gpki.

    ``code`` is the stable identifier, ``message`` says what happened and where, ``hint`` what to do,
    ``clause`` the rule behind it, ``facts`` machine-readable details, ``findings`` the list when
    several things are wrong at once.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        clause: str = "",
        facts: Mapping[str, FactValue] | None = None,
        findings: Sequence[Finding] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.clause = clause
        self.facts: Mapping[str, FactValue] = dict(facts or {})
        self.findings = tuple(findings)

    @property
    def outcome(self) -> Outcome:
        """The row of ``CODES`` for this error."""
        return CODES[self.code]

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


def _refused(http: int = 400, iso2: str = "", iso20: str = "", ocpp: str = "") -> Outcome:
    return Outcome(EXIT_REFUSED, http, iso2, iso20, ocpp)


def _untrusted(iso2: str = "FAILED_CertChainError", ocpp: str = "CertChainError") -> Outcome:
    """A chain that nobody may rely on."""
    return _refused(422, iso2, "WARNING_CertificateValidationError", ocpp)


def _unsigned() -> Outcome:
    """A message whose signature does not hold."""
    return _refused(422, "FAILED_SignatureError", "FAILED_SignatureError")


def _usage(http: int = 400) -> Outcome:
    return Outcome(EXIT_USAGE, http)


def _environment(http: int = 500) -> Outcome:
    return Outcome(EXIT_ENVIRONMENT, http)


#: One row per code, grouped by the room that raises it.
CODES: Mapping[str, Outcome] = {
    # command line
    "usage.invalid": _usage(),
    "internal.bug": Outcome(EXIT_BUG, 500),
    "interrupted": Outcome(EXIT_INTERRUPTED, 503),
    "passphrase.missing": _environment(),
    "passphrase.empty": _environment(),
    "environment.failed": _environment(),
    # sessions
    "session.sequence": _refused(409, "FAILED_SequenceError", "FAILED_SequenceError"),
    "session.unknown_session": _refused(409, "FAILED_UnknownSession", "FAILED_UnknownSession"),
    "session.late": _refused(504, "FAILED", "FAILED"),
    "session.timeout": _refused(504),
    "session.peer_closed": _refused(502),
    "session.early": _refused(409),
    "session.payload": _refused(400),
    "session.empty": _refused(400),
    "session.no_protocol": _refused(400),
    "session.refused": _refused(502),
    "session.wrong_response": _refused(502),
    "session.wrong_session": _refused(502),
    "session.value": _refused(400, "FAILED", "FAILED"),
    "session.unknown_service": _refused(400, "FAILED_ServiceIDInvalid", "FAILED_ServiceIDInvalid"),
    "session.wrong_services": _refused(400, "FAILED_ServiceSelectionInvalid", "FAILED_ServiceSelectionInvalid"),
    "session.no_charge_service": _refused(
        400, "FAILED_NoChargeServiceSelected", "FAILED_NoEnergyTransferServiceSelected"
    ),
    "session.wrong_payment": _refused(400, "FAILED_PaymentSelectionInvalid", "WARNING_AuthorizationSelectionInvalid"),
    "session.no_contracts": _refused(409, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "session.not_authorised": _refused(403, "FAILED", "FAILED"),
    "session.wrong_transfer_mode": _refused(400, "FAILED_WrongEnergyTransferMode", "FAILED_WrongChargeParameter"),
    "session.wrong_parameter": _refused(400, "FAILED_WrongChargeParameter", "FAILED_WrongChargeParameter"),
    "session.wrong_schedule": _refused(400, "FAILED_TariffSelectionInvalid", "FAILED_ScheduleSelectionInvalid"),
    "session.wrong_profile": _refused(400, "FAILED_ChargingProfileInvalid", "FAILED_EVPowerProfileInvalid"),
    "session.pause_not_allowed": _refused(409, "FAILED", "FAILED_PauseNotAllowed"),
    "session.no_renegotiation": _refused(409, "FAILED", "FAILED_NoServiceRenegotiationSupported"),
    "session.standby": _refused(409, "FAILED", "WARNING_StandbyNotAllowed"),
    "session.rejected": _refused(403, "FAILED", "WARNING_EIMAuthorizationFailure"),
    "session.insecure": _refused(409),
    "session.not_isolated": _refused(409, "FAILED", "FAILED"),
    "session.not_delivered": _refused(409, "FAILED_PowerDeliveryNotApplied", "FAILED_PowerDeliveryNotApplied"),
    "plugin.failed": _refused(500, "FAILED", "FAILED"),
    "station.no_key": _refused(500, "FAILED", "FAILED"),
    "vehicle.no_contract": _refused(404),
    "vehicle.no_provisioning": _refused(404),
    "vehicle.no_agreement": _refused(422),
    "vehicle.no_signer": _refused(422),
    # files and environment
    "file.unreadable": _environment(),
    "file.unwritable": _environment(),
    "file.exists": _refused(409),
    # identifiers
    "identifier.invalid": _refused(400, "FAILED", "FAILED"),
    # exi
    "exi.header": _refused(),
    "exi.truncated": _refused(),
    "exi.trailing": _refused(),
    "exi.event_code": _refused(),
    "exi.undeclared": _refused(),
    "exi.unexpected": _refused(),
    "exi.missing": _refused(),
    "exi.abstract": _refused(),
    "exi.unsupported": _refused(),
    "exi.facet": _refused(),
    "exi.type": _refused(),
    "exi.enumeration": _refused(),
    "exi.character": _refused(),
    "exi.string_table": _refused(),
    "exi.name": _refused(),
    "exi.limit": _refused(413),
    "exi.depth": _refused(),
    "exi.input": _refused(),
    # v2gtp
    "v2gtp.version": _refused(),
    "v2gtp.type": _refused(),
    "v2gtp.length": _refused(413),
    "v2gtp.truncated": _refused(),
    "v2gtp.trailing": _refused(),
    "v2gtp.capture": _refused(),
    "v2gtp.recording": _usage(),
    # sdp
    "sdp.type": _refused(),
    "sdp.length": _refused(),
    "sdp.security": _refused(),
    "sdp.transport": _refused(),
    "sdp.address": _refused(),
    "sdp.no_interface": _environment(),
    "sdp.port_taken": _environment(),
    "sdp.no_answer": _environment(),
    # v2gtls
    "tls.alert": _refused(),
    "tls.closed": _environment(),
    "tls.failed": _refused(),
    "tls.foreign": _refused(),
    "tls.hello": _refused(),
    "tls.identity": _environment(),
    "tls.late": _environment(),
    "tls.no_certificate": _refused(),
    "tls.no_common": _refused(),
    "tls.no_staple": _refused(),
    "tls.plain": _refused(),
    "tls.unreachable": _environment(),
    "tls.unsupported": _environment(),
    # messages
    "messages.unknown_schema": _usage(404),
    "messages.unknown_payload": _refused(),
    "messages.unrecognised": _refused(),
    "messages.not_a_root": _refused(),
    "messages.text_malformed": _refused(),
    "messages.unexpected": _refused(),
    "messages.missing": _refused(),
    "messages.bad_value": _refused(),
    "messages.not_expressible": _refused(),
    # keys
    "key.unsupported": _refused(),
    "key.malformed": _refused(),
    "key.point_form": _refused(),
    "key.cannot_sign": _refused(),
    "key.cannot_agree": _refused(),
    "key.needs_passphrase": _environment(),
    "key.wrong_passphrase": _environment(),
    "key.exposed": _environment(),
    "key.damaged": _environment(),
    "key.foreign": _environment(),
    "key.newer_format": _environment(),
    "key.missing": _environment(404),
    "key.exists": _refused(409),
    "key.bad_id": _refused(),
    "key.weak_rounds": _refused(),
    "key.too_many_rounds": _refused(),
    "key.not_kept": _refused(404),
    # profiles
    "profile.unreadable": _usage(),
    "profile.unknown_key": _usage(),
    "profile.missing_key": _usage(),
    "profile.bad_value": _usage(),
    "profile.bad_folder": _usage(),
    "profile.bad_inheritance": _usage(),
    "profile.unknown_edition": _usage(404),
    "profile.unknown_role": _usage(404),
    "profile.unknown_suite": _usage(404),
    "profile.unknown_option": _usage(),
    "profile.not_installed": _environment(),
    # certificates
    "csr.malformed": _refused(),
    "csr.too_large": _refused(413),
    "csr.unsupported_key": _refused(),
    "csr.bad_signature": _refused(),
    "csr.weak_signature": _refused(),
    "csr.bad_subject": _refused(),
    "pkcs12.unsupported_key": _refused(),
    "pkcs12.wrong_key": _refused(),
    "pkcs12.bad_passphrase": _refused(),
    "name.bad_character": _refused(),
    "name.bad_length": _refused(),
    "name.missing_value": _refused(),
    "certificate.ambiguous": _refused(409),
    # signature
    "signature.nothing_to_sign": _unsigned(),
    "signature.wrong_edition": _usage(),
    "signature.bad_signer": _refused(500),
    "signature.missing": _unsigned(),
    "signature.missing_id": _unsigned(),
    "signature.duplicate_id": _unsigned(),
    "signature.missing_reference": _unsigned(),
    "signature.unknown_reference": _unsigned(),
    "signature.duplicate_reference": _unsigned(),
    "signature.too_many_references": _unsigned(),
    "signature.forbidden_member": _unsigned(),
    "signature.unknown_transform": _unsigned(),
    "signature.wrong_algorithm": _unsigned(),
    "signature.wrong_key": _unsigned(),
    "signature.wrong_digest": _unsigned(),
    "signature.document_digest": _unsigned(),
    "signature.empty_namespace_digest": _unsigned(),
    "signature.der_value": _unsigned(),
    "signature.wrong_length": _unsigned(),
    "signature.out_of_range": _unsigned(),
    "signature.wrong_value": _unsigned(),
    # authorisation
    "authorisation.weak_challenge": _environment(),
    "authorisation.wrong_message": _refused(),
    "authorisation.wrong_mode": _refused(400, "FAILED", "WARNING_AuthorizationSelectionInvalid"),
    "authorisation.wrong_challenge": _refused(422, "FAILED_ChallengeInvalid", "WARNING_ChallengeInvalid"),
    "authorisation.changed_repetition": _refused(409, "FAILED", "FAILED"),
    "authorisation.no_eim": _refused(403, "FAILED", "WARNING_EIMAuthorizationFailure"),
    "authorisation.not_listed": _refused(403, "FAILED", "WARNING_GeneralPnCAuthorizationError"),
    # metering
    "metering.wrong_message": _refused(),
    "metering.wrong_reading": _refused(
        422, "FAILED_MeteringSignatureNotValid", "FAILED_MeteringSignatureNotValid"
    ),
    # tariff
    "tariff.wrong_message": _refused(),
    "tariff.unsigned": _refused(422),
    # energy
    "energy.invalid": _usage(),
    # power stage and vehicle
    "station.closed": _refused(503),
    "station.contactor": _refused(502, "FAILED_ContactorError", "FAILED_ContactorError"),
    "vehicle.no_service": _refused(),
    "vehicle.no_consent": _refused(),
    # envelope
    "envelope.wrong_size": _refused(400, "FAILED", "FAILED"),
    "envelope.wrong_curve": _untrusted("FAILED"),
    "envelope.bad_point": _refused(400, "FAILED", "FAILED"),
    "envelope.bad_tag": _refused(422, "FAILED", "FAILED"),
    "envelope.bad_scalar": _refused(422, "FAILED", "FAILED"),
    "envelope.key_mismatch": _refused(422, "FAILED", "FAILED"),
    "envelope.ed448_key": _refused(409, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "envelope.tpm_opaque": _refused(409, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "envelope.no_ski": _refused(422, "FAILED", "FAILED"),
    "envelope.ski_size": _refused(422, "FAILED", "FAILED"),
    "envelope.unknown_aad": _usage(),
    # installation
    "installation.wrong_schema": _refused(),
    "installation.other_exchange": _refused(409, "FAILED_UnknownSession", "FAILED_UnknownSession"),
    "installation.wrong_message": _refused(),
    "installation.wrong_action": _refused(),
    "installation.wrong_edition": _usage(),
    "installation.wrong_suite": _refused(),
    "installation.needs_time": _usage(),
    "installation.bad_roots": _usage(),
    "installation.bad_response_code": _usage(),
    "installation.certificate_too_large": _refused(422),
    "installation.bad_chain": _untrusted(),
    "installation.wrong_key": _refused(409),
    # ISO 15118-4 CU_012 to CU_015 leave a choice of three.
    "installation.wrong_emaid": _refused(
        422, "FAILED_NoCertificateAvailable", "WARNING_NoContractMatchingPCIDFound", "NoCertificateAvailable"
    ),
    "installation.refused": _refused(409),
    # lint
    "lint.failed": _refused(422),
    # path
    "chain.empty": _refused(),
    "chain.malformed": _refused(400, "FAILED", "WARNING_CertificateValidationError", "CertChainError"),
    "chain.ambiguous": _untrusted(),
    "chain.broken": _untrusted(),
    "chain.too_long": _untrusted(),
    "crl.malformed": _refused(),
    "crl.invalid": _refused(),
    "crl.wrong_signer": _refused(),
    "crl.issuer_compromised": _refused(409),
    "ocsp.malformed": _refused(),
    "ocsp.malformed_request": _refused(),
    "ocsp.wrong_signer": _refused(500),
    "ocsp.bad_hash_data": _refused(),
    "ocsp.issuer_missing": _refused(),
    "ocsp.unauthorized": _refused(404),
    "ocsp.try_later": _environment(503),
    "ocsp.no_staple": _refused(404),
    "ocsp.refused": _untrusted(),
    "ocsp.wrong_certificate": _untrusted(),
    "ocsp.bad_signature": _untrusted(),
    "ocsp.bad_delegate": _untrusted(),
    "ocsp.not_yet_valid": _untrusted(),
    "ocsp.stale": _untrusted(),
    "ocsp.nonce_wrong": _untrusted(),
    "ocsp.nonce_missing": _refused(),
    "ocsp.nonce_unasked": _refused(),
    "ocsp.no_nocheck": _refused(),
    "ocsp.signer_not_first": _refused(),
    "ocsp.other_hash": _refused(),
    "ocsp.several_answers": _refused(),
    "ocsp.long_lived": _refused(),
    "ocsp.future": _refused(),
    "ocsp.no_responder": _refused(),
    "ocsp.nothing_to_ask": _refused(),
    "ocsp.unreachable": _environment(502),
    "ocsp.http_error": _environment(502),
    "path.bad_signature": _untrusted(),
    "path.no_anchor": _untrusted(),
    "path.broken": _untrusted(),
    "path.name_mismatch": _untrusted(),
    "path.not_a_ca": _untrusted(),
    "path.path_length": _untrusted(),
    "path.key_usage": _untrusted(),
    "path.order": _untrusted(),
    "path.weak_algorithm": _untrusted(),
    "path.unknown_critical_extension": _untrusted(),
    "path.constraint": _untrusted(),
    "path.status_unknown": _untrusted(),
    "path.expired": _refused(422, "FAILED_CertificateExpired", "WARNING_CertificateExpired", "CertificateExpired"),
    # ISO 15118-4 answers an expired sub-CA otherwise than an expired leaf.
    "path.issuer_expired": _refused(422, "FAILED", "WARNING_CertificateExpired", "CertificateExpired"),
    # No -2 code says "not yet valid"; field stacks answer as for expired.
    "path.not_yet_valid": Outcome(
        EXIT_REFUSED, 422, "FAILED_CertificateExpired", "WARNING_CertificateNotYetValid", "CertChainError"
    ),
    "path.revoked": _refused(422, "FAILED_CertificateRevoked", "WARNING_CertificateRevoked", "CertificateRevoked"),
    "role.wrong_anchor": _untrusted(),
    "role.depth": _untrusted(),
    "role.issuer": _untrusted(),
    "role.domain_component": _untrusted("FAILED"),
    "role.subject": _untrusted("FAILED"),
    "role.identifier": _untrusted("FAILED"),
    "role.basic_constraints": _untrusted("FAILED"),
    "role.key_usage": _untrusted("FAILED"),
    "role.extended_key_usage": _untrusted("FAILED"),
    "role.criticality": _untrusted("FAILED"),
    "role.suite": _untrusted("FAILED"),
    "role.size": _untrusted("FAILED"),
    "role.validity": _untrusted("FAILED"),
    "role.profile": _untrusted("FAILED"),
    # store
    "store.missing": _environment(503),
    "store.damaged": _environment(),
    "store.newer_home": _environment(),
    "store.read_only": _environment(),
    "store.disk_full": _environment(507),
    "store.locked": _environment(503),
    "store.conflict": _refused(409),
    "store.unknown_certificate": _refused(404),
    "store.unknown_authority": _refused(404),
    "store.already_revoked": _refused(409),
    "store.unknown_vehicle": _refused(404),
    "store.unknown_contract": _refused(404),
    "store.unknown_bundle": _refused(404),
    "audit.broken": _refused(),
    "audit.no_head": _refused(409),
    "audit.anchor_invalid": _refused(),
    "audit.anchor_foreign": _refused(),
    "audit.anchor_forged": _refused(),
    "audit.truncated": _refused(),
    "audit.rewritten": _refused(),
    "audit.signature_wrong": _refused(),
    "audit.row_missing": _refused(),
    "audit.row_changed": _refused(),
    "audit.chain_broken": _refused(),
    "audit.unsigned": _refused(),
    "audit.unlogged": _refused(),
    "audit.missing": _refused(),
    "audit.changed": _refused(),
    "audit.duplicate": _refused(),
    # home
    "home.missing": _environment(),
    "home.unwritable": _environment(),
    "home.locked": _environment(503),
    "home.keys_missing": _environment(),
    "settings.malformed": _environment(),
    "settings.unknown_key": _environment(),
    "settings.bad_value": _environment(),
    # PKI folders
    "pki.unknown_layout": _environment(),
    "pki.missing": _environment(),
    # issuing
    "issuing.issuer_expired": _refused(409),
    "issuing.idempotence_reused": _refused(409),
    "issuing.already_ended": _refused(),
    "issuing.needs_issuer": _refused(),
    "issuing.issuer_not_active": _refused(409),
    "issuing.wrong_issuer": _refused(),
    "issuing.not_a_leaf": _refused(),
    "issuing.needs_edition": _usage(),
    "issuing.unwanted_identifier": _refused(),
    "issuing.needs_identifier": _refused(),
    "authority.exists": _refused(409),
    "authority.not_a_ca": _refused(),
    "authority.bad_slug": _refused(),
    "authority.unknown_issuer": _refused(404),
    "authority.ambiguous": _refused(409),
    "revocation.unknown_reason": _usage(),
    # est
    "cms.malformed": _refused(),
    "cms.empty": _refused(),
    "cms.unsigned": _refused(),
    "cms.no_content": _refused(),
    "cms.wrong_signer": _refused(),
    "cms.bad_signature": _refused(422),
    "trust_list.malformed": _refused(),
    "trust_list.not_a_root": _refused(422),
    "trust_list.twice": _refused(),
    "trust_list.unsigned": _refused(422),
    "trust_list.over": _refused(422),
    "trust_list.not_yet": _refused(422),
    "trust_list.rollback": _refused(409),
    "trust_list.refused_root": _refused(409),
    "trust_list.unknown_signer": _refused(422),
    "trust_list.no_signer": _refused(409),
    "est.not_registered": _refused(403),
    "est.no_scope": _refused(403),
    "est.unknown_label": _refused(404),
    "est.unknown_family": _refused(404),
    "est.wrong_key": _refused(),
    "est.needs_one_name": _refused(),
    "est.wrong_subject": _refused(),
    "est.needs_certificate": _refused(403),
    "est.needs_identity": _refused(403),
    "est.foreign_certificate": _refused(403),
    "est.certificate_over": _refused(403),
    "est.key_compromised": _refused(403),
    "est.revoked_answer": _refused(409),
    "est.pending": _refused(202),
    "est.busy": _environment(503),
    "est.wrong_binding": _refused(),
    "est.no_server_keys": _refused(404),
    "est.key_encryption": _refused(),
    "est.media_type": _refused(415),
    "est.not_implemented": _refused(501),
    # serving
    "serving.bad_address": _usage(),
    "serving.address_taken": _environment(),
    "serving.bad_certificate": _environment(),
    "serving.unknown_part": _usage(),
    "serving.workers_died": _environment(),
    "serving.no_certificate": _environment(),
    "serving.busy": _environment(503),
    "serving.rate_limited": _refused(429),
    "serving.too_large": _refused(413),
    "serving.wrong_method": _refused(405),
    "serving.no_such_path": _refused(404),
    "serving.identifier_needed": _refused(403),
    "serving.locked": _environment(503),
    # signing
    "signing.unavailable": _environment(503),
    "signing.refused": _environment(500),
    "signing.outdated": _environment(503),
    "signing.not_recorded": _environment(500),
    # probes
    "probe.no_tls": _refused(502),
    "probe.silent": _refused(504),
    # access
    "access.refused": _refused(401),
    "access.expired": _refused(401),
    "access.revoked": _refused(401),
    "access.too_many_failures": _refused(429),
    "access.bad_identity": _refused(),
    "access.bad_scope": _refused(),
    "access.bad_role": _refused(),
    "access.bad_lifetime": _refused(),
    "access.bad_comment": _refused(),
    "access.bad_prefix": _refused(),
    "access.ambiguous": _refused(409),
    # ecosystem
    "ecosystem.unauthenticated": _refused(401),
    "ecosystem.no_role": _refused(403),
    "ecosystem.foreign_identifier": _refused(403),
    "ecosystem.unknown_namespace": _refused(),
    "ecosystem.bad_body": _refused(),
    "ecosystem.bad_field": _refused(),
    "ecosystem.bad_parameter": _refused(),
    "ecosystem.media_type": _refused(415),
    "ecosystem.foreign_certificate": _refused(403),
    "ecosystem.unknown_mo_root": _refused(404),
    "ecosystem.no_trust_list": _refused(404),
    "ecosystem.no_contract_data": _refused(404),
    "store.unknown_token": _refused(404),
    # webhooks
    "webhook.bad_url": _refused(),
    "webhook.private_address": _refused(),
    "webhook.unknown_event": _refused(),
    "webhook.too_many": _refused(409),
    "webhook.too_large": _refused(),
    "webhook.unknown": _refused(404),
    "webhook.unreachable": _environment(502),
    "webhook.timeout": _environment(504),
    "webhook.unsealed": _environment(),
    "store.unknown_endpoint": _refused(404),
    # clients
    "client.plain_credentials": _refused(),
    "client.unreachable": _environment(502),
    "client.timeout": _environment(504),
    "client.unauthorised": _refused(502),
    "client.refused": _refused(502),
    "client.pending": _refused(503),
    "client.redirected": _refused(502),
    "client.bad_answer": _refused(502),
    "client.too_large": _refused(502),
    "client.bad_url": _usage(),
    # contract
    "contract.ended": _refused(
        409, "FAILED_ContractCanceled", "WARNING_NoContractMatchingPCIDFound", "ContractCancelled"
    ),
    "contract.outside": _refused(422),
    "contract.too_short": _refused(422, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "cps.none": _environment(503),
    "cps.unknown_root": _refused(404),
    "cps.no_common_root": _refused(422, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    # provisioning
    "provisioning.busy": _refused(503, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "provisioning.late": _refused(504, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "provisioning.not_base64": _refused(400, "FAILED", "FAILED"),
    "provisioning.unknown_vehicle": _refused(
        404, "FAILED_NoCertificateAvailable", "WARNING_NoContractMatchingPCIDFound", "NoCertificateAvailable"
    ),
    "provisioning.certificate_differs": _refused(
        409, "FAILED_NoCertificateAvailable", "WARNING_NoContractMatchingPCIDFound", "NoCertificateAvailable"
    ),
    "provisioning.unknown_contract": _refused(
        404, "FAILED_NoCertificateAvailable", "WARNING_eMSPUnknown", "NoCertificateAvailable"
    ),
    "provisioning.no_contract": _refused(
        404, "FAILED_NoCertificateAvailable", "WARNING_NoContractMatchingPCIDFound", "NoCertificateAvailable"
    ),
    "provisioning.contract_ended": _refused(
        409, "FAILED_ContractCanceled", "WARNING_NoContractMatchingPCIDFound", "ContractCancelled"
    ),
    "provisioning.none_wanted": _refused(409, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "provisioning.too_many_certificates": _refused(
        409, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"
    ),
    "provisioning.revoked": _refused(
        409, "FAILED_CertificateRevoked", "WARNING_CertificateRevoked", "CertificateRevoked"
    ),
    # pools
    "pool.unknown_root": _refused(404),
    "pool.ambiguous": _refused(409),
    "pool.wrong_fingerprint": _refused(422),
    "pool.not_self_signed": _refused(422),
    "pool.not_a_ca": _refused(422),
    "pool.root_over": _refused(422),
    "pool.revoked_root": _refused(409),
    "pool.wrong_family": _refused(422, "FAILED_CertChainError", "WARNING_CertificateValidationError"),
    "pool.unknown_role": _usage(422),
    "pool.role_recognised": _refused(422),
    "pool.root_short_lived": _refused(422),
    "pool.needs_edition": _usage(422),
    "pool.bad_prefix": _refused(),
    "pool.bad_owner": _refused(),
    "pool.prefix_taken": _refused(409),
    "pool.unbound_wmi": _refused(403),
    "pool.foreign_wmi": _refused(403),
    "pool.other_root": _refused(409),
    "pool.unknown_vehicle": _refused(404, "FAILED_NoCertificateAvailable", "WARNING_NoContractMatchingPCIDFound"),
    "pool.bad_key_identifier": _refused(),
    "pool.bad_previous": _refused(),
    "pool.expires_soon": _refused(422),
    "pool.older_leaf": _refused(422),
    "pool.kept_as_registered": _refused(422),
    "pool.not_provisioning": _refused(422),
    "contract.elsewhere": _refused(409, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "contract.exists": _refused(409),
    "contract.unknown": _refused(404, "FAILED_NoCertificateAvailable", "WARNING_NoCertificateAvailable"),
    "contract.ambiguous": _refused(409),
    "contract.not_active": _refused(409, "FAILED_ContractCanceled", "WARNING_NoCertificateAvailable"),
    "contract.check_digit": _refused(422),
    "contract.bad_period": _refused(422),
    "contract.wrong_issuer": _refused(422),
    # export
    "export.unknown_layout": _usage(404),
    "export.wrong_edition": _usage(),
    "export.unwanted_id": _usage(),
    "export.bad_password": _usage(),
    "export.chain_too_short": _refused(409),
    "export.key_elsewhere": _refused(409),
}
