"""Every check of an installation message, made once and in the order in which a receiver makes them; none is skipped
because an earlier one failed, unless it needs what failed.

`inspect` gives them all with what is behind the first failure. Whom to trust is the caller's: `trust` gets the role and
edition of the signing chain and raises. Clauses: ISO 15118-2 8.4.3.10, 8.4.3.11; ISO 15118-20 8.3.4.3; [V2G2-818].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from v2gpki.certs.view import view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.suites import PublicKey
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.examination import Examination
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.codes import delivers
from v2gpki.pnc.installation.explain import chain as chain_looks
from v2gpki.pnc.installation.explain import unsealing
from v2gpki.pnc.installation.explain.alterations import Alteration, in_element
from v2gpki.pnc.installation.explain.chain import ChainLook
from v2gpki.pnc.installation.explain.contents import Contents
from v2gpki.pnc.installation.explain.signer import Cause, NamedKey, cause_of, who_signed
from v2gpki.pnc.installation.explain.unsealing import EnvelopeLook, When
from v2gpki.pnc.signature import examination_of, public_key_of

#: Judges a chain (leaf first) for a role of an edition; raises what is wrong, returns the path that it trusts (as for
#: `installation.verify_response`).
Trust: TypeAlias = Callable[[str, str, tuple[bytes, ...]], object]
Verdict: TypeAlias = Literal["passed", "failed", "unchecked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `name` is stable, `title` what holds when it passes; `note` says why it is unchecked."""

    name: str
    title: str
    findings: tuple[Finding, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Failed with findings, unchecked with only a note."""
        return "failed" if self.findings else "unchecked" if self.note else "passed"


@dataclass(slots=True)
class Inquiry:
    """A message and everything that was found out about it."""

    contents: Contents
    edition: Edition
    signing: ChainLook
    contract: ChainLook | None = None
    examination: Examination | None = None
    signed_by: NamedKey | None = None
    envelope: EnvelopeLook | None = None
    checks: list[Check] = field(default_factory=list)
    cause: Cause | None = None
    #: Whether the mandatory fields hold nothing, as they do beside a refusal ([V2G2-736]).
    empty: bool = False
    #: Whether the envelope was opened although nothing says that whom the caller trusts has sealed it.
    insecure: bool = False

    @property
    def delivers(self) -> bool:
        """Whether the message carries something to be judged: a request, or a response with a contract."""
        contents = self.contents
        return contents.kind == "request" or (delivers(contents.response_code) and contents.processing != "Ongoing")

    @property
    def first(self) -> Check | None:
        """The check that failed first."""
        return next((check for check in self.checks if check.verdict == "failed"), None)

    def note(self, name: str, title: str, findings: Sequence[Finding] = (), note: str = "") -> None:
        """Add a check."""
        self.checks.append(Check(name, title, tuple(findings), note))


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody gave besides the message; see `explain_installation`."""

    request: Contents | None = None
    receiver: KeyAgreement | None = None
    pcid: str = ""
    aad_form: str = ""
    trust: Trust | None = None
    keys: tuple[NamedKey, ...] = ()
    accept_document_digest: bool = False
    lab_ed448: bool = False
    despite_signature: bool = False


def inspect(contents: Contents, edition: Edition, given: Given) -> Inquiry:
    """Make every check."""
    response = contents.kind == "response"
    branch = "cps" if response else "contract" if contents.action == "update" else "oem"
    inquiry = Inquiry(
        contents, edition, chain_looks.look(contents.chain, branch=branch, path=contents.chain_path)
    )
    inquiry.note("message", "it can be read and keeps every rule of its schema", contents.findings)
    if response:
        _response_code(inquiry)
    if given.request is not None:
        _exchange(inquiry, given.request)
    if response and contents.contract:
        inquiry.contract = chain_looks.look(contents.contract, branch="contract", path=contents.contract_path)
    _sizes(inquiry)
    _signature(inquiry, given)
    if not inquiry.delivers and _are_dummies(inquiry):
        inquiry.empty, inquiry.contract = True, None
        return inquiry
    _chain(inquiry, inquiry.signing, f"{branch}_chain")
    _trust(inquiry, given.trust, branch)
    if inquiry.contract is not None:
        _chain(inquiry, inquiry.contract, "contract_chain")
    _emaid(inquiry)
    if response:
        _envelope(inquiry, given)
    inquiry.cause = inquiry.cause or _cause(inquiry)
    return inquiry


def _are_dummies(inquiry: Inquiry) -> bool:
    """Whether the mandatory fields hold nothing, as they do beside a refusal ([V2G2-736])."""
    return inquiry.signing.leaf is None and (inquiry.contract is None or inquiry.contract.leaf is None)


# --- the message ----------------------------------------------------------------------------------------------------


def _response_code(inquiry: Inquiry) -> None:
    contents = inquiry.contents
    title = "ResponseCode says that a contract is delivered"
    code, path = contents.response_code, f"{contents.name}/ResponseCode"
    if contents.processing == "Ongoing":
        inquiry.note("response_code", title, note="EVSEProcessing is Ongoing: the vehicle is to ask again")
        return
    if delivers(code):
        inquiry.note("response_code", title)
        return
    text = f"ResponseCode is {code}: no contract is delivered"
    finding = Finding("installation.refused", "error", text, "ISO 15118-2 8.4.3.10.2", path)
    inquiry.note("response_code", title, [finding])


def _exchange(inquiry: Inquiry, request: Contents) -> None:
    contents = inquiry.contents
    title = "it answers the given request"
    wrong = [
        f"{name} is {found or 'none'}, that of the request {wanted or 'none'}"
        for name, found, wanted in (
            ("the edition", contents.edition, request.edition),
            ("the action", contents.action, request.action),
            ("SessionID", contents.session_id.hex(), request.session_id.hex()),
        )
        if found != wanted
    ]
    path = f"{contents.name}/Header/SessionID"
    inquiry.note(
        "exchange",
        title,
        [Finding("installation.other_exchange", "error", text, "ISO 15118-2 8.4.2", path) for text in wrong],
    )


# --- the signature --------------------------------------------------------------------------------------------------


def _signature(inquiry: Inquiry, given: Given) -> None:
    """SignedInfo's form, each digest, the value."""
    contents, leaf = inquiry.contents, inquiry.signing.places[0]
    form, value = "the signature has the form of the standard", f"the key of the {leaf} signed SignedInfo"
    key: PublicKey | None = None
    problems: list[Finding] = []
    try:
        key = public_key_of(contents.leaf)
    except V2GPKIError as problem:
        text = f"the {leaf} gives no key to check with: {problem.message}"
        problems.append(Finding(problem.code, "error", text, problem.clause, contents.chain_path))
    try:
        examination = examination_of(
            contents.message,
            key,
            edition=inquiry.edition,
            accept_document_digest=given.accept_document_digest,
        )
    except V2GPKIError as problem:
        if inquiry.delivers or not _are_dummies(inquiry):
            inquiry.note("signature", form, [Finding(problem.code, "error", problem.message, problem.clause, "Header")])
        return
    inquiry.examination = examination
    of_value = [finding for finding in examination.general if finding.where == "SignatureValue"]
    of_form = [finding for finding in examination.general if finding not in of_value]
    inquiry.note("signature", form, of_form)
    for check in examination.references:
        name = check.uri or "" if check.element is None else check.element.path
        inquiry.note("digest", f"the digest of {name} is the signed one", check.findings)
    inquiry.note("value", value, [*problems, *of_value])
    keys = _keys(inquiry, given)
    inquiry.signed_by = who_signed(examination, keys)
    if of_form:  # what is missing or forbidden speaks for itself, and makes the value another one
        return
    readable = inquiry.signing.leaf is not None
    altered = readable and inquiry.signing.altered == leaf
    cause = cause_of(examination, keys, altered_leaf=leaf if altered else "")
    changed_widely = cause is not None and cause.what == "element" and cause.altered is None
    if changed_widely or (cause is not None and cause.what == "unknown_key" and not readable):
        cause = _of_chains(inquiry) or cause  # what can be seen of the chain itself says more
    inquiry.cause = cause


def _keys(inquiry: Inquiry, given: Given) -> list[NamedKey]:
    """All keys at hand, the one that should have signed first."""
    found = [NamedKey(place, der) for place, der in _certificates(inquiry.signing)]
    if inquiry.contract is not None:
        found += [NamedKey(place, der) for place, der in _certificates(inquiry.contract)]
    if given.request is not None:
        found.append(NamedKey("certificate in the request", given.request.leaf))
    return [*found, *given.keys]


def _certificates(look: ChainLook) -> list[tuple[str, bytes]]:
    return list(zip(look.places, look.certificates, strict=True))


# --- chains, identity, sizes ----------------------------------------------------------------------------------------


def _chain(inquiry: Inquiry, look: ChainLook, name: str) -> None:
    inquiry.note(name, f"the chain of the {look.places[0]} is complete, in order and unaltered", look.findings)


def _trust(inquiry: Inquiry, trust: Trust | None, role: str) -> None:
    title = f"the chain of the {inquiry.signing.places[0]} ends at a trusted root and may be used so"
    if trust is None:
        inquiry.note("trust", title, note="no anchor was given")
        return
    if any(seen is None for seen in inquiry.signing.views):
        inquiry.note("trust", title, note="a certificate of the chain cannot be read")
        return
    try:
        trusted = trust(role, inquiry.edition, inquiry.signing.certificates)
        chains.check_judged(trusted, inquiry.signing.certificates[0], inquiry.signing.places[0])
    except V2GPKIError as problem:
        found = problem.findings or (Finding(problem.code, "error", problem.message, problem.clause),)
        inquiry.note("trust", title, [finding for finding in found if finding.severity == "error"])
        return
    inquiry.note("trust", title)


def _emaid(inquiry: Inquiry) -> None:
    """The EMAID beside the contract certificate is the one in it."""
    contents = inquiry.contents
    look = inquiry.contract if contents.kind == "response" else inquiry.signing
    if not contents.emaid or look is None:
        return
    path = f"{contents.name}/eMAID"
    title = "eMAID is the one in the contract certificate"
    if look.leaf is None:
        inquiry.note("emaid", title, note="the contract certificate cannot be read")
        return
    try:
        chains.check_emaid(contents.emaid, look.certificates[0], "eMAID")
    except V2GPKIError as problem:
        inquiry.note("emaid", title, [Finding(problem.code, "error", problem.message, problem.clause, path)])
        return
    inquiry.note("emaid", title)


def _sizes(inquiry: Inquiry) -> None:
    found = chain_looks.oversized(inquiry.signing, inquiry.contents.edition)
    if inquiry.contract is not None:
        found += chain_looks.oversized(inquiry.contract, inquiry.contents.edition)
    inquiry.note("sizes", "no certificate is larger than the edition allows", found)


# --- the envelope ---------------------------------------------------------------------------------------------------


def _envelope(inquiry: Inquiry, given: Given) -> None:
    title = "the envelope opens with the vehicle's key, and the key in it is the contract certificate's"
    contract = inquiry.contract
    if contract is None or contract.leaf is None:
        inquiry.note("envelope", title, note="the contract certificate cannot be read")
        return
    receiver, withheld = given.receiver, ""
    if receiver is not None and (withheld := _why_not_opened(inquiry, given)):
        inquiry.insecure = given.despite_signature
        receiver = receiver if inquiry.insecure else None
    look = unsealing.look(
        inquiry.contents,
        receiver,
        pcid=given.pcid,
        aad_form=given.aad_form,
        when=lambda altered: _when(inquiry, altered),
        lab_ed448=given.lab_ed448,
    )
    inquiry.envelope = look
    if look.findings and _for_another(given):
        look.because = "the key that was given is not that of the vehicle in the request, for which it was sealed"
    note = ""
    if look.steps is None and not look.findings:
        closed = f"it stays closed: {withheld}" if withheld else "the vehicle's key was not given"
        note = look.because or ("a TPM opens it" if look.curve == "TPM" else closed)
    inquiry.note("envelope", title, look.findings, note)


def _when(inquiry: Inquiry, altered: Alteration) -> When:
    """When a bit of a signed element was changed: "before" if the signature holds over it as it is, "after" if the
    digest that was signed is that of the element without the change, else nobody knows."""
    examination = inquiry.examination
    for check in () if examination is None else examination.references:
        element = check.element
        if element is None or not f"{altered.path}/".startswith(f"{element.path}/"):
            continue
        if check.digest_of == "fragment":
            return "before" if inquiry.signed_by is not None else ""
        found = inquiry.cause.altered if inquiry.cause is not None else None
        if found is None or not f"{found.path}/".startswith(f"{element.path}/"):
            found = in_element(element, check.fragment, check.digest_method, check.found)
        same = found is not None and (found.path, found.octet, found.bit) == (altered.path, altered.octet, altered.bit)
        return "after" if same else ""
    return ""


def _why_not_opened(inquiry: Inquiry, given: Given) -> str:
    """Why a vehicle would not use its key yet; "" when everything that `open_response` asks for first is good.

    Else this would be its other half: whoever makes answers could have the vehicle's key applied to points of his.
    """
    if given.trust is None:
        return "no anchor was given, by which the chain of the signer could be judged"
    before = [check for check in inquiry.checks if check.name != "exchange" and check.verdict != "passed"]
    return f"not found good was: {before[0].title}" if before else ""


def _for_another(given: Given) -> bool:
    """Whether the key that was given is not the one that the request speaks of."""
    if given.request is None or given.receiver is None:
        return False
    try:
        return view(given.request.leaf).spki != given.receiver.spki
    except V2GPKIError:
        return False


# --- what is behind it ----------------------------------------------------------------------------------------------


def _cause(inquiry: Inquiry) -> Cause | None:
    """What is behind the first failure, where the signature holds."""
    contents = inquiry.contents
    if contents.kind == "response" and not inquiry.delivers and contents.processing != "Ongoing":
        holds = inquiry.examination is not None and not inquiry.examination.findings
        if holds:
            text = (
                f"ResponseCode says {contents.response_code}, yet it carries contract data whose signature holds; "
                "ResponseCode is not signed, so it was changed on the way or set wrongly"
            )
            return Cause("response_code", text, f"{contents.name}/ResponseCode")
    found = _of_chains(inquiry)
    if found is not None:
        return found
    envelope = inquiry.envelope
    if envelope is not None and envelope.findings and envelope.because:
        return Cause("envelope", envelope.because, envelope.findings[0].where, envelope.altered)
    return None


def _of_chains(inquiry: Inquiry) -> Cause | None:
    """A chain in the wrong order, or with a certificate that was changed."""
    for look in (inquiry.signing, inquiry.contract):
        if look is not None and look.misordered:
            text = next(finding.message for finding in look.findings if finding.code == "installation.bad_chain")
            return Cause("order", text, look.path)
    for look in (inquiry.signing, inquiry.contract):
        if look is not None and look.altered:
            readable = look.views[look.places.index(look.altered)] is not None
            why = "its issuer's signature in it is broken" if readable else "it cannot be read any more"
            return Cause("certificate", f"the {look.altered} was changed: {why}", look.altered)
    return None
