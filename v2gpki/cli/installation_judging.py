"""``v2gpki installation verify|open|explain``: what a vehicle, or somebody who looks over its shoulder, does with a
message. None of them needs a home: trust is what ``--anchor`` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click

from v2gpki.cli.chain_files import read_certificates, read_crl, read_ocsp
from v2gpki.cli.evidence import check_stdin, evidence_options, read_anchors
from v2gpki.cli.exchange_files import read_exchange, read_key, read_message
from v2gpki.cli.failure import finding_text, finding_value
from v2gpki.cli.files import made_for, require_free, write_folder
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import at_option, force_option
from v2gpki.cli.passphrase import of_file
from v2gpki.cli.values import lines
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError
from v2gpki.render.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.keys.agreement import KeyAgreement
    from v2gpki.keys.suites import PrivateKey
    from v2gpki.pnc.algorithms import Edition
    from v2gpki.pnc.installation import Action, OpenedContract, Request, Response
    from v2gpki.pnc.signature import SignatureCheck
    from v2gpki.services.trust import TrustedChain

Decorated = TypeVar("Decorated", bound=Callable[..., object])
#: Judges a chain for a role of an edition; raises.
Trust: TypeAlias = "Callable[[str, str, tuple[bytes, ...]], TrustedChain]"

_FILE = click.Path(path_type=Path, dir_okay=False)
_MESSAGE = click.Path(allow_dash=True)
_STYLES = {"passed": "green", "failed": "bold red", "unchecked": "yellow", "title": "bold", "dim": "dim"}
#: What says that a file is no such message at all, rather than a bad one.
_UNREADABLE = ("exi.", "messages.", "installation.wrong_message", "installation.wrong_schema", "usage.", "profile.")

_edition_option = click.option(
    "--edition", default="", metavar="EDITION", help="lab-ecog-20 for EcoG's way in -20 (default: the message's)."
)
_aad_option = click.option(
    "--aad", default="pcid-ski8", show_default=True, metavar="FORM", help="-20: what the envelope is bound to."
)
_kind_option = click.option(
    "--kind", type=click.Choice(("install", "update")), help="What the message must be (-20 has one for both)."
)


def _vehicle_options(command: Decorated) -> Decorated:
    for decorate in (
        click.option("--pcid", default="", metavar="PCID", help="-20: the vehicle's PCID (default: in --oem-chain)."),
        click.option("--oem-chain", metavar="FILE", help="The vehicle's certificate or chain."),
        click.option("--oem-key-passphrase-file", type=_FILE, metavar="FILE", help="The passphrase of --oem-key."),
    ):
        command = decorate(command)
    return command


class Judge:
    """Trust without a home: anchors, evidence and a moment, as given on the command line."""

    def __init__(
        self,
        frame: Frame,
        crls: Sequence[str],
        ocsps: Sequence[str],
        *,
        require_evidence: bool,
        at: datetime | None,
        above: Sequence[bytes] = (),
    ) -> None:
        """``above`` are Sub-CAs that the message does not carry (a request of -2 has the OEM leaf alone)."""
        from v2gpki.profile.load import Catalogue

        self.at = frame.now(at)
        self._catalogue = Catalogue(frame.profiles)
        self._crls = [read_crl(file) for file in crls]
        self._ocsps = [read_ocsp(file) for file in ocsps]
        self._require_evidence = require_evidence
        self._above = tuple(above)

    def under(self, files: Sequence[str], edition: str) -> Trust:
        """What judges a chain for a role of an edition under these anchors: raises ``path.*`` and ``role.*``."""
        from v2gpki.services.trust import judge

        anchors = read_anchors(files, self._catalogue.roles(edition))

        def trust(role: str, edition: str, chain: tuple[bytes, ...]) -> TrustedChain:
            # What the message carries is judged in its order, beginning with the certificate whose key signed;
            # Sub-CAs from a file may stand in any order.
            alone = role == "oem" and len(chain) == 1
            return judge(
                list(dict.fromkeys((*chain, *self._above))) if alone else chain,
                anchors,
                catalogue=self._catalogue,
                role=role,
                edition=edition,
                at=self.at,
                crls=self._crls,
                ocsps=self._ocsps,
                require_evidence=self._require_evidence,
                ordered=not alone,
                leaf=chain[0],
            )

        return trust


# --- verify ---------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("message", type=_MESSAGE, metavar="RES")
@click.option("--anchor", "anchors", multiple=True, required=True, metavar="[ROLE=]FILE", help="Trusted V2G roots.")
@click.option("--contract-anchor", "mo_anchors", multiple=True, metavar="[ROLE=]FILE",
              help="Judge the contract's chain too, under these MO or V2G roots.")  # fmt: skip
@click.option("--oem-chain", metavar="FILE", help="For a request of -2: the Sub-CAs that it does not carry.")
@click.option("--emaid", default="", metavar="EMAID", help="The contract must be this one.")
@_kind_option
@_edition_option
@evidence_options
@at_option
@click.pass_obj
def verify(
    frame: Frame,
    *,
    message: str,
    anchors: Sequence[str],
    mo_anchors: Sequence[str],
    oem_chain: str | None,
    emaid: str,
    kind: Action | None,
    edition: str,
    crls: Sequence[str],
    ocsps: Sequence[str],
    require_evidence: bool,
    at: datetime | None,
) -> int:
    """Verify an answer as a vehicle does, without its key; or a request as a certificate provisioning service does.

    Signature, chain of the signer, order, sizes and EMAID. The verdict stands on stdout, the exit code is 0 or 1.
    """
    check_stdin([message, *anchors, *mo_anchors, *crls, *ocsps, *([oem_chain] if oem_chain else [])])
    from v2gpki.pnc.installation import Response

    octets = read_message(message)
    above = read_certificates(oem_chain) if oem_chain else ()
    judge = Judge(frame, crls, ocsps, require_evidence=require_evidence, at=at, above=above)
    value: dict[str, object] = {"schema": "v2gpki/installation-verify/1", "verdict": "bad"}
    try:
        found = _read(octets, edition, kind)
        value |= {
            "edition": found.edition,
            "action": found.action,
            "kind": "response" if isinstance(found, Response) else "request",
        }
        trust = judge.under(anchors, found.edition)
        if isinstance(found, Response):
            of_mo = judge.under(mo_anchors, found.edition) if mo_anchors else None
            value |= _verified_response(found, trust, emaid, of_mo)
        else:
            value |= _verified_request(found, trust, emaid)
    except V2GPKIError as problem:
        if problem.outcome.exit_code != EXIT_REFUSED or problem.code.startswith(_UNREADABLE):
            raise
        frame.emit(value | _refusal(problem), _refusal_text(problem))
        return EXIT_REFUSED
    value["verdict"] = "good"
    shown = lines(value, "edition", "action", "response_code", "emaid", "pcid", "signer", "algorithm", "deviations")
    frame.emit(value, f"good {value['kind']}\n{printable(shown)}")
    return EXIT_OK


def _read(octets: bytes, edition: str, kind: Action | None) -> Request | Response:
    from v2gpki.pnc import installation

    try:
        return installation.read_response(octets, schema=edition, action=kind)
    except V2GPKIError as problem:
        if problem.code != "installation.wrong_message":
            raise
    return installation.read_request(octets, schema=edition, action=kind)


def _verified_response(found: Response, trust: Trust, emaid: str, of_mo: Trust | None) -> dict[str, object]:
    from v2gpki.pnc import installation

    verified = installation.verify_response(
        found, trust=lambda chain: trust("cps", found.edition, chain), emaid=emaid
    )
    if of_mo is not None:
        of_mo("contract", found.edition, verified.data.chain)
    return {
        "response_code": verified.code,
        "emaid": verified.emaid,
        "remaining_contracts": found.remaining,
        **_signed(verified.check, found.cps_chain[0]),
    }


def _verified_request(found: Request, trust: Trust, emaid: str) -> dict[str, object]:
    from v2gpki.certs.view import view
    from v2gpki.pnc import installation
    from v2gpki.pnc.installation.chains import check_emaid, common_name

    check = installation.verify_request(found)
    trust("contract" if found.action == "update" else "oem", found.edition, found.chain)
    if found.action == "update" and emaid:
        check_emaid(emaid, found.leaf, "the EMAID that was asked for")
    name = {"emaid": found.emaid} if found.action == "update" else {"pcid": common_name(view(found.leaf))}
    return {**name, **_signed(check, found.leaf)}


def _signed(check: SignatureCheck, leaf: bytes) -> dict[str, object]:
    from v2gpki.certs.view import view

    return {
        "signer": view(leaf).subject_text,
        "algorithm": check.algorithm.name,
        "signed": [element.path for element in check.elements],
        "deviations": list(check.deviations),
    }


def _refusal(problem: V2GPKIError) -> dict[str, object]:
    return {
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "clause": problem.clause,
        "facts": dict(problem.facts),
        "findings": [finding_value(finding) for finding in problem.findings],
    }


def _refusal_text(problem: V2GPKIError) -> str:
    findings = "".join(f"\n{finding_text(finding)}" for finding in problem.findings)
    hint = f"\nhint: {printable(problem.hint)}" if problem.hint else ""
    return f"bad  {printable(problem.message)} [{problem.code}]{findings}{hint}"


# --- open -----------------------------------------------------------------------------------------------------------


@click.command("open")
@click.argument("message", type=_MESSAGE, metavar="RES")
@click.option("--oem-key", required=True, type=_FILE, metavar="KEY",
              help="The vehicle's private key; for an update that of the contract before.")  # fmt: skip
@_vehicle_options
@click.option("--anchor", "anchors", multiple=True, required=True, metavar="[ROLE=]FILE", help="Trusted V2G roots.")
@click.option("--emaid", default="", metavar="EMAID", help="The contract must be this one.")
@_kind_option
@_aad_option
@_edition_option
@evidence_options
@at_option
@click.option("--plain-key", is_flag=True, help="Write the contract's private key unencrypted (0600).")
@click.option("--key-passphrase-file", type=_FILE, metavar="FILE", help="Encrypt the contract's private key with this.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to.")
@force_option
@click.pass_obj
def open_contract(
    frame: Frame,
    *,
    message: str,
    oem_key: Path,
    oem_key_passphrase_file: Path | None,
    oem_chain: str | None,
    pcid: str,
    anchors: Sequence[str],
    emaid: str,
    kind: Action | None,
    aad: str,
    edition: str,
    crls: Sequence[str],
    ocsps: Sequence[str],
    require_evidence: bool,
    at: datetime | None,
    plain_key: bool,
    key_passphrase_file: Path | None,
    out: Path,
    force: bool,
) -> None:
    """Open an answer with the vehicle's key: key.pem, contract.pem and chain.pem (leaf, Sub-CA 2, Sub-CA 1).

    Everything that verify checks is checked first. When anything fails, nothing is written.
    """
    from v2gpki.certs.chain import pem
    from v2gpki.pnc import installation
    from v2gpki.wiring.vehicle import agreement_of

    if plain_key == (key_passphrase_file is not None):
        raise click.UsageError("say how the contract's key is written: --key-passphrase-file FILE, or --plain-key")
    check_stdin([message, *anchors, *crls, *ocsps, *([oem_chain] if oem_chain else [])])
    require_free([out / name for name in ("key.pem", "contract.pem", "chain.pem")], force=force)
    found = installation.read_response(read_message(message, "response"), schema=edition, action=kind)
    named = pcid or _pcid_of(oem_chain)
    if not named and found.delivers and found.edition != "iso15118-2" and _binds_pcid(aad):
        raise click.UsageError(
            f"an envelope of {found.edition} is bound to the vehicle's PCID: give it with --pcid PCID, "
            "or the vehicle's certificate with --oem-chain FILE"
        )
    secret = b"" if key_passphrase_file is None else of_file(key_passphrase_file, warn=frame.warn).encode("utf-8")
    receiver = agreement_of(read_key(oem_key, oem_key_passphrase_file, warn=frame.warn))
    judge = Judge(frame, crls, ocsps, require_evidence=require_evidence, at=at)
    trust = judge.under(anchors, found.edition)
    opened = installation.open_response(
        found,
        receiver,
        trust=lambda chain: trust("cps", found.edition, chain),
        pcid=named,
        aad=aad,
        emaid=emaid,
    )
    files = {
        "key.pem": _key(opened.private_key, secret),
        "contract.pem": pem(opened.chain[:1]),
        "chain.pem": pem(opened.chain),
    }
    with made_for(out):
        written = write_folder(out, files, secret=("key.pem",), force=force)
    if plain_key:
        frame.warn(f"{written[0]} is not encrypted; anybody who reads it can charge with the contract")
    value = _opened_value(opened, found, written)
    shown = lines(value, "subject", "edition", "not_before", "not_after", "fingerprint", "signer")
    names = ", ".join(file.name for file in written)
    frame.emit(value, f"opened {opened.emaid}\n{printable(shown)}\nfiles  {out}: {names}")


def _binds_pcid(aad: str) -> bool:
    from v2gpki.pnc.envelope import AAD_FORMS

    return aad in AAD_FORMS and AAD_FORMS[aad].pcid


def _opened_value(opened: OpenedContract, found: Response, written: Sequence[Path]) -> dict[str, object]:
    from v2gpki.certs.view import view
    from v2gpki.clock import rfc3339

    seen = view(opened.chain[0])
    return {
        "schema": "v2gpki/installation-open/1",
        "emaid": opened.emaid,
        "edition": found.edition,
        "action": found.action,
        "subject": seen.subject_text,
        "fingerprint": seen.fingerprint.hex(),
        "not_before": rfc3339(seen.not_before),
        "not_after": rfc3339(seen.not_after),
        "remaining_contracts": found.remaining,
        "files": [str(file) for file in written],
        **_signed(opened.check, found.cps_chain[0]),
    }


def _key(private_key: PrivateKey, secret: bytes) -> bytes:
    from v2gpki.keys import pkcs8

    return pkcs8.encrypt(private_key, secret, pkcs8.STRONG_ROUNDS) if secret else pkcs8.plain(private_key)


def _pcid_of(chain_file: str | None) -> str:
    """The PCID in the vehicle's certificate, "" without one."""
    if chain_file is None:
        return ""
    from v2gpki.certs.view import view
    from v2gpki.pnc.installation.chains import common_name

    return common_name(view(read_certificates(chain_file)[0]))


# --- explain --------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("message", type=_MESSAGE, metavar="FILE")
@click.option("--request", "request_file", type=_MESSAGE, metavar="REQ", help="The request that FILE answers.")
@click.option("--oem-key", type=_FILE, metavar="KEY",
              help="The vehicle's private key: with --anchor, shows the envelope's steps.")  # fmt: skip
@_vehicle_options
@click.option("--anchor", "anchors", multiple=True, metavar="[ROLE=]FILE", help="Trusted roots, to judge the chain.")
@_kind_option
@_aad_option
@_edition_option
@click.option("--despite-signature", is_flag=True,
              help="Insecure: use --oem-key even where signature and chain are not found good.")  # fmt: skip
@click.option("--octets", is_flag=True, help="Show all octets of what is signed (--json always does).")
@evidence_options
@at_option
@click.pass_obj
def explain(
    frame: Frame,
    *,
    message: str,
    request_file: str | None,
    oem_key: Path | None,
    oem_key_passphrase_file: Path | None,
    oem_chain: str | None,
    pcid: str,
    anchors: Sequence[str],
    kind: Action | None,
    aad: str,
    edition: str,
    despite_signature: bool,
    octets: bool,
    crls: Sequence[str],
    ocsps: Sequence[str],
    require_evidence: bool,
    at: datetime | None,
) -> int:
    """Explain a request or an answer, good or broken: every check, what failed first, and why.

    Shows each signed fragment with digest and grammar, which key signed, all sizes beside their limits, and the
    time window. In a capture it takes the last answer with its request. Nothing needs a home; without --anchor and
    --oem-key less is checked. With both, the envelope is opened step by step, where signature and chain are good.
    The exit code is 1 when something is wrong.
    """
    from v2gpki.pnc.installation.explain import explain_installation
    from v2gpki.render.installation import installation_lines

    files = [message, *anchors, *crls, *ocsps]
    check_stdin([*files, *(file for file in (request_file, oem_chain) if file)])
    found = read_exchange(message)
    request = read_message(request_file, "request") if request_file else found.request
    above = read_certificates(oem_chain) if oem_chain else []
    judge = Judge(frame, crls, ocsps, require_evidence=require_evidence, at=at, above=above)
    value = explain_installation(
        found.octets,
        request=request,
        edition=_named(edition),
        action=kind,
        receiver=_receiver(frame, oem_key, oem_key_passphrase_file),
        pcid=pcid or _pcid_of(oem_chain),
        aad=aad,
        trust=(lambda role, name, chain: judge.under(anchors, name)(role, name, chain)) if anchors else None,
        elapsed_ms=found.elapsed_ms,
        despite_signature=despite_signature,
    )
    envelope = value["envelope"]
    if isinstance(envelope, Mapping) and "steps" in envelope:
        frame.warn("the steps of the envelope are secrets: whoever sees them can unwrap the contract's key")
        if envelope["insecure"]:
            frame.warn("the envelope was opened although the signature or its chain was not found good")

    def human(console: Console) -> None:
        from rich.text import Text

        for line in installation_lines(value, octets=octets):
            console.print(Text.assemble(*((span.text, _STYLES.get(span.meaning, "")) for span in line)), soft_wrap=True)

    frame.emit(value, human)
    return EXIT_REFUSED if value["verdict"] == "bad" else EXIT_OK


def _named(edition: str) -> Edition | None:
    from v2gpki.pnc.algorithms import EDITIONS

    for name in EDITIONS:
        if name == edition:
            return name
    if edition:
        raise click.UsageError(f"no edition {edition!r} installs contracts: {', '.join(EDITIONS)}")
    return None


def _receiver(frame: Frame, file: Path | None, passphrase_file: Path | None) -> KeyAgreement | None:
    if file is None:
        return None
    from v2gpki.wiring.vehicle import agreement_of

    return agreement_of(read_key(file, passphrase_file, warn=frame.warn))
