"""``v2gpki installation``: how a contract gets into a vehicle. Ask as the vehicle, answer as the home, look at both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.chain_files import read_certificates, read_crl, read_ocsp
from v2gpki.cli.evidence import check_stdin, evidence_options
from v2gpki.cli.exchange_files import format_option, read_key, read_message, require_out, write_message
from v2gpki.cli.frame import Frame
from v2gpki.cli.installation_judging import explain, open_contract, verify
from v2gpki.cli.options import at_option, force_option
from v2gpki.cli.values import lines
from v2gpki.errors import EXIT_OK

if TYPE_CHECKING:
    from v2gpki.messages.schema import Message
    from v2gpki.pnc.algorithms import Edition
    from v2gpki.services.policy import Policy

_FILE = click.Path(path_type=Path, dir_okay=False)
_MESSAGE = click.Path(allow_dash=True)
KINDS = ("install", "update")


@click.group()
def installation() -> None:
    """Install contracts into vehicles: CertificateInstallation (ISO 15118-2 and -20) and CertificateUpdate (-2).

    Messages are read as raw EXI, hex, base64, V2GTP frames or captures of a session.
    """


installation.add_command(verify)
installation.add_command(open_contract)
installation.add_command(explain)


@installation.command()
@click.option("--kind", type=click.Choice(KINDS), default="install", show_default=True, help="What is asked for.")
@click.option("--edition", metavar="EDITION", help="iso15118-2, iso15118-20, lab-ecog-20 (default: by the key).")
@click.option("--oem-key", type=_FILE, metavar="FILE", help="The vehicle's private key (install).")
@click.option("--oem-chain", metavar="FILE", help="Its certificate, with the Sub-CAs for -20 (install).")
@click.option("--oem-key-passphrase-file", type=_FILE, metavar="FILE", help="The passphrase of --oem-key.")
@click.option("--contract-key", type=_FILE, metavar="FILE", help="The present contract's private key (update).")
@click.option("--contract-chain", metavar="FILE", help="The present contract's chain (update).")
@click.option("--contract-key-passphrase-file", type=_FILE, metavar="FILE", help="The passphrase of --contract-key.")
@click.option("--root", "roots", multiple=True, required=True, metavar="FILE", help="V2G roots of the vehicle.")
@click.option("--emaid", "emaids", multiple=True, metavar="EMAID", help="update: whose contract; -20: wanted first.")
@click.option("--maximum", type=click.IntRange(0, 255), default=1, show_default=True, help="-20: most contracts.")
@click.option("--session-id", default="00" * 8, metavar="HEX", help="The session's 8 octets (default: zeros).")
@click.option("--algorithm", default="", metavar="NAME", help="How it is signed, where the key has several ways.")
@at_option
@format_option
@click.option("-o", "--out", required=True, type=_MESSAGE, metavar="REQ", help="Where to (-: stdout).")
@force_option
@click.pass_obj
def request(
    frame: Frame,
    *,
    kind: str,
    edition: str | None,
    oem_key: Path | None,
    oem_chain: str | None,
    oem_key_passphrase_file: Path | None,
    contract_key: Path | None,
    contract_chain: str | None,
    contract_key_passphrase_file: Path | None,
    roots: Sequence[str],
    emaids: Sequence[str],
    maximum: int,
    session_id: str,
    algorithm: str,
    at: datetime | None,
    form: str,
    out: str,
    force: bool,
) -> None:
    """Play the vehicle: write a signed CertificateInstallationReq, or with --kind update a CertificateUpdateReq.

    Needs no home. --at is the time stamp of an ISO 15118-20 request.
    """
    from v2gpki.messages import codec

    update = kind == "update"
    key_file, chain_file = (contract_key, contract_chain) if update else (oem_key, oem_chain)
    if key_file is None or chain_file is None:
        option = "contract" if update else "oem"
        raise click.UsageError(f"--kind {kind} needs --{option}-key and --{option}-chain")
    require_out(out, force=force)
    check_stdin([chain_file, *roots])
    passphrase_file = contract_key_passphrase_file if update else oem_key_passphrase_file
    key = read_key(key_file, passphrase_file, warn=frame.warn)
    chain = read_certificates(chain_file)
    held = [der for file in roots for der in read_certificates(file)]
    from v2gpki.pnc import installation as exchange
    from v2gpki.wiring.vehicle import signer_of

    signer = signer_of(key)
    message: Message
    if update:
        if edition not in (None, "iso15118-2"):
            raise click.UsageError("ISO 15118-20 has no update: its vehicles install again (--kind install)")
        if len(emaids) > 1:
            raise click.UsageError("an update is about one contract: give one --emaid")
        emaid = emaids[0] if emaids else _emaid_of(chain)
        message = exchange.build_update_request(
            chain=chain, emaid=emaid, signer=signer, roots=held, session_id=_session(session_id)
        )
        coded = "iso15118-2"
    else:
        chosen = _edition(edition, signer.suite.name)
        if chosen == "iso15118-2" and emaids:
            raise click.UsageError("an installation of ISO 15118-2 names no EMAID: leave --emaid out")
        message = exchange.build_request(
            edition=chosen,
            chain=chain,
            signer=signer,
            roots=held,
            session_id=_session(session_id),
            timestamp=frame.now(at),
            maximum_contracts=maximum,
            prioritised_emaids=emaids,
            algorithm=algorithm,
        )
        coded = "iso15118-2" if chosen == "iso15118-2" else "iso15118-20-common"
    octets = codec.encode(message, coded)
    value: dict[str, object] = {
        "schema": "v2gpki/installation-request/1",
        "kind": kind,
        "edition": coded.removesuffix("-common"),
        "message": "CertificateUpdateReq" if update else "CertificateInstallationReq",
        **write_message(frame, out, octets, form=form, force=force),
    }
    if out != "-" or frame.json:
        frame.emit(value, f"wrote {out}: {value['message']} of {value['edition']}, {len(octets)} octets")


def _edition(given: str | None, suite: str) -> Edition:
    from v2gpki.pnc.algorithms import EDITIONS

    name = given or ("iso15118-2" if suite == "p256" else "iso15118-20")
    for edition in EDITIONS:
        if edition == name:
            return edition
    raise click.UsageError(f"no edition {name!r} installs contracts: {', '.join(EDITIONS)}")


def _emaid_of(chain: Sequence[bytes]) -> str:
    from v2gpki.pnc.installation.chains import emaid_of

    return emaid_of(chain[0])


def _session(text: str) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) != 8:
        raise click.UsageError(f"--session-id {text!r} is not 16 hexadecimal digits")
    return octets


@installation.command()
@click.option("--request", "request_file", required=True, type=_MESSAGE, metavar="REQ", help="What the vehicle sent.")
@click.option("--kind", type=click.Choice(KINDS), help="What the station says that it is (default: what it is).")
@click.option("--xsd-namespace", "schema", default="", metavar="URI", help="The schema that came with it (OCPP).")
@click.option("--maximum", type=click.IntRange(1, 255), help="Give at most this many contracts (-20).")
@click.option("--emaid", "emaids", multiple=True, metavar="EMAID", help="Give these contracts first.")
@click.option("--position", type=click.IntRange(min=0), help="Of several contracts give this one, from 0.")
@click.option("--station", default="", metavar="NAME", help="Who asks: each repeated question gets the next contract.")
@click.option("--aad", default="pcid-ski8", show_default=True, metavar="FORM", help="-20: the additional data.")
@click.option("--accept-unregistered", is_flag=True, help="Answer vehicles that are not in the provisioning pool.")
@click.option("--accept-unknown-roots", is_flag=True, help="Answer vehicles that name none of our V2G roots.")
@evidence_options
@format_option
@click.option("-o", "--out", required=True, type=_MESSAGE, metavar="RES", help="Where to (-: stdout).")
@force_option
@click.pass_obj
def answer(
    frame: Frame,
    *,
    request_file: str,
    kind: str | None,
    schema: str,
    maximum: int | None,
    emaids: Sequence[str],
    position: int | None,
    station: str,
    aad: str,
    accept_unregistered: bool,
    accept_unknown_roots: bool,
    crls: Sequence[str],
    ocsps: Sequence[str],
    require_evidence: bool,
    form: str,
    out: str,
    force: bool,
) -> int:
    """Answer a vehicle from this home: its contract, or a refusal with the ResponseCode that says why.

    A refusal is written too, and the exit code is 1. The same request gets the same signed contract data again.
    """
    require_out(out, force=force)
    check_stdin([request_file, *crls, *ocsps])
    octets = read_message(request_file, "request")
    evidence = [read_crl(file) for file in crls], [read_ocsp(file) for file in ocsps]
    policy = _policy(aad, accept_unregistered, accept_unknown_roots, require_evidence)
    authority = frame.authority(unlock=True)
    given = authority.plug_and_charge.provisioning_with(policy).answer(
        octets,
        schema=schema,
        action=kind or "",
        maximum_contracts=maximum,
        prioritised_emaids=emaids,
        crls=evidence[0],
        ocsps=evidence[1],
        station=station,
        position=position,
    )
    written = write_message(frame, out, given.exi, form=form, force=force)
    value: dict[str, object] = {
        "schema": "v2gpki/installation-answer/1",
        "status": given.status,
        "response_code": given.response_code,
        "remaining_contracts": given.remaining_contracts,
        "emaid": given.emaid,
        "pcid": given.pcid,
        "reason": given.reason,
        "code": given.problem.code if given.problem is not None else "",
        "hint": given.problem.hint if given.problem is not None else "",
        "sizes": _sizes(frame, given.exi, accepted=given.status == "Accepted"),
        **written,
    }
    accepted = given.status == "Accepted"
    shown = lines(value, "emaid", "pcid", "remaining_contracts", "reason", "code", "hint")
    text = f"{'answered' if accepted else 'refused'}: {given.response_code}\n{shown}\n{out}: {len(given.exi)} octets"
    if out != "-" or frame.json:
        frame.emit(value, text)
    elif not accepted:
        frame.note(text)
    return EXIT_OK if given.problem is None else given.problem.outcome.exit_code


def _policy(aad: str, accept_unregistered: bool, accept_unknown_roots: bool, require_evidence: bool) -> Policy:
    from v2gpki.pnc.envelope import AAD_FORMS
    from v2gpki.services.policy import Policy

    if aad not in AAD_FORMS:
        raise click.UsageError(f"--aad is one of {', '.join(AAD_FORMS)}")
    return Policy(
        require_evidence=require_evidence,
        unregistered="answer" if accept_unregistered else "refuse",
        unknown_roots="answer" if accept_unknown_roots else "refuse",
        aad=aad,
    )


def _sizes(frame: Frame, exi: bytes, *, accepted: bool) -> dict[str, object]:
    """How large the answer is beside the limits of transports; too large for one of -2 is a warning."""
    from v2gpki.pnc.installation import sizes

    found = sizes(exi)
    limits = [limit for limit in found.limits if limit.unit != "octets"]
    if accepted and found.edition == "iso15118-2":
        for limit in limits:
            if not limit.fits:
                frame.warn(f"the answer does not fit {limit.name}: {limit.found} {limit.unit} of {limit.limit}")
    return {
        "octets": found.octets,
        "base64": found.base64,
        "limits": [{"of": limit.name, "limit": limit.limit, "fits": limit.fits} for limit in limits],
    }
