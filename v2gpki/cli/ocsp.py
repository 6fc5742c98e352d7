"""``v2gpki ocsp``: signers, pre-signed answers for a CDN, staples of a chain, hash data, and asking any responder.

A verdict is a result: it stands on stdout and gives exit code 0 or 1. Nothing is overwritten without ``--force``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import read_input, write_folder, write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.ocsp_results import STYLES, result_value, show
from v2gpki.cli.options import at_option, force_option
from v2gpki.clock import rfc3339
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.clients.ocsp import OcspClient, OcspResult
    from v2gpki.ocpp.hash_data import Encoding
    from v2gpki.services.ocsp import OcspAnswer, Staple
    from v2gpki.services.ocsp.staples import Asked

_HASHES = ("sha1", "sha256", "sha384", "sha512")

_chain_option = click.option(
    "--chain", "chain", required=True, metavar="FILE", help="The chain, any container and order; - is stdin."
)
_anchor_option = click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="FILE",
    help="The root, when neither the chain nor this home has it; may be repeated.",
)


@click.group()
def ocsp() -> None:
    """OCSP: answers about certificates, and asking others for them."""


@ocsp.command()
@click.pass_obj
def signers(frame: Frame) -> None:
    """Issue the OCSP signers that are missing or end soon, and list when each ends."""
    from v2gpki.wiring.ocsp import ocsp_signers

    authority = frame.authority(unlock=True)
    now = authority.clock.now()
    kept = ocsp_signers(authority)
    issued = {record.issuer_id for record in kept.renew(now)}
    rows = [
        {"authority": name, "not_after": None if end is None else rfc3339(end), "issued": name in issued}
        for name, end in kept.ends(now).items()
    ]
    value = {"schema": "v2gpki/ocsp-signers/1", "issued": len(issued), "signers": rows}

    def human(console: Console) -> None:
        for row in rows:
            new = "  issued now" if row["issued"] else ""
            console.print(f"{row['authority']!s:<40} {row['not_after'] or 'has no signer'}{new}")

    frame.emit(value, human)


@ocsp.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to.")
@click.option("--ca", "names", multiple=True, metavar="CA", help="Only this authority; may be repeated.")
@click.option(
    "--hash", "hashes", multiple=True, type=click.Choice(_HASHES), help="CertID; may be repeated [sha1 and sha256]."
)
@click.option("--prune", is_flag=True, help="Remove what an earlier run left and this one did not write.")
@click.pass_obj
def presign(frame: Frame, *, out: Path, names: Sequence[str], hashes: Sequence[str], prune: bool) -> None:
    """Sign all answers ahead and write them as files that any web server or CDN can serve.

    A file's path is the path of the GET that asks for it (RFC 5019: the request in base64), so that
    <OCSP URL>/<path> is served from DIR/<path>, as application/ocsp-response; where the path ends in a
    slash, from index.ocsp in that folder. For nginx: location /ocsp/ { alias DIR/; types {} default_type
    application/ocsp-response; index index.ocsp; }. Files are replaced one by one, each at once; run it
    daily. manifest.json says what is there and when the first answer ends.
    """
    from v2gpki.cli.ocsp_files import AnswerFolder
    from v2gpki.services.ocsp.responder import USUAL_HASHES
    from v2gpki.wiring.ocsp import ocsp_responder, ocsp_signers

    authority = frame.authority(unlock=True)
    issuers = [authority.authority(name).id for name in names]
    now = authority.clock.now()
    folder = AnswerFolder(out, prune=prune)
    signers = ocsp_signers(authority)
    signers.renew(now)
    for name, end in signers.ends(now).items():
        if end is None and (not issuers or name in issuers):
            frame.warn(f"{name} has no OCSP signer: answers about its certificates are missing")
    responder = ocsp_responder(authority, signers=signers)
    total = sum(authority.store.count_certificates(issuer_id=issuer) for issuer in issuers or ("",))
    with frame.progress("answers", total * len(hashes or USUAL_HASHES)) as advance:
        for signed in responder.presign(issuers, now, hashes=tuple(hashes) or USUAL_HASHES):
            folder.write(signed)
            advance(1)
    value = folder.finish(now)
    frame.emit(
        value,
        f"{value['answers']} answers ({value['good']} good, {value['revoked']} revoked) in {out}, "
        f"to be signed anew before {value['next_update'] or 'ever'}",
    )


@ocsp.command()
@_chain_option
@_anchor_option
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to.")
@click.option(
    "--layout",
    type=click.Choice(["plain", "everest"]),
    default="plain",
    show_default=True,
    help="One file a certificate, or EVerest's cache below its certs folder.",
)
@click.option("--remote", is_flag=True, help="Ask the responder that each certificate names, not this home.")
@click.option("--url", default="", metavar="URL", help="Ask this responder, not this home.")
@force_option
@click.pass_obj
def staple(
    frame: Frame,
    *,
    chain: str,
    anchors: Sequence[str],
    out: Path,
    layout: str,
    remote: bool,
    url: str,
    force: bool,
) -> None:
    """Write the staples of a chain: for leaf, Sub-CA 2 and Sub-CA 1, and for leaves that become valid later.

    A root that this home knows need not be in the chain; any other is given in it or as --anchor. The layout
    everest writes DIR/client/cso/ocsp/*.der with its .hash beside it, DIR being EVerest's certs folder, and
    replaces what is there for the same certificate.
    """
    from v2gpki.cli.ocsp_files import everest_files, plain_files

    certificates = _certificates(chain)
    _require_asked(_below_roots(certificates), chain, certificates)
    if remote or url:
        found = _remote(certificates, _issuers(frame, anchors), frame.now(), url)
    else:
        found = _local(frame, certificates, anchors)
    if layout == "everest":
        folder = out / "client" / "cso" / "ocsp"
        files, replaced = everest_files(found, folder)
        if replaced:
            write_folder(folder, replaced, force=True)
    else:
        folder, files = out, plain_files(found)
    write_folder(folder, files, force=force)
    rows = [
        {
            "subject": one.certificate.subject_text,
            "serial": f"{one.certificate.serial:x}",
            "status": one.status,
            "this_update": rfc3339(one.this_update),
            "next_update": rfc3339(one.next_update),
        }
        for one in found
    ]

    def human(console: Console) -> None:
        for row in rows:
            style = STYLES.get(row["status"], "")
            console.print(f"{row['status']:<8}", f"until {row['next_update']}  {row['subject']}", style=style)
        console.print(f"{len(rows)} staples in {folder}")

    frame.emit({"schema": "v2gpki/staples/1", "folder": str(folder), "staples": rows}, human)


@ocsp.command()
@click.argument("chain", metavar="CHAIN")
@_anchor_option
@click.option("--url", default="", metavar="URL", help="Ask here, not at the address in the certificate (AIA).")
@click.option("--hash", "hash_name", type=click.Choice(_HASHES), default="sha256", show_default=True, help="CertID.")
@click.option("--get", "use_get", is_flag=True, help="Ask by GET; what is too long for it is posted (RFC 5019 5).")
@click.option("--no-nonce", is_flag=True, help="Ask without a nonce, as most stations do.")
@click.option("--all", "everything", is_flag=True, help="Ask about the CAs too, not the leaf alone.")
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=10.0, show_default=True, metavar="SECONDS")
@click.option("-o", "--out", metavar="FILE", help="Keep the (last) answer, DER; - is stdout.")
@at_option
@force_option
@click.pass_obj
def query(
    frame: Frame,
    *,
    chain: str,
    anchors: Sequence[str],
    url: str,
    hash_name: str,
    use_get: bool,
    no_nonce: bool,
    everything: bool,
    timeout: float,
    out: str | None,
    at: datetime | None,
    force: bool,
) -> int:
    """Ask a responder about a certificate, and judge its answer.

    CHAIN holds the certificate and the one that issued it, unless this home has that one. Judged are signature
    and delegate, EKU, times, nonce, and that the answer is about this certificate. Exit code 0: good, and rightly so.
    """
    from v2gpki.clients.ocsp import OcspClient

    certificates = _certificates(chain)
    asked = _asked(certificates, _issuers(frame, anchors), everything)
    _require_asked(asked, chain, certificates)
    results: list[tuple[str, OcspResult]] = []
    with OcspClient(timeout=timeout) as client:
        for subject, certificate, issuer in asked:
            result = client.query(
                certificate,
                issuer,
                at=frame.now(at),
                url=url,
                hash_name=hash_name,
                nonce=not no_nonce,
                method="GET" if use_get else "POST",
            )
            results.append((subject, result))
    if out is not None:
        write_output(out, results[-1][1].der, force=force)
    value = {"schema": "v2gpki/ocsp-query/1", "answers": [result_value(*one) for one in results]}
    if out != "-":
        frame.emit(value, lambda console: show(console, results))
    fine = all(one.judgement.trusted and one.judgement.status == "good" for _, one in results)
    return EXIT_OK if fine else EXIT_REFUSED


@ocsp.command("hash-data")
@click.argument("chain", metavar="CHAIN")
@_anchor_option
@click.option(
    "--algorithm",
    type=click.Choice(["SHA256", "SHA384", "SHA512"]),
    help="The hash of the CertID [SHA256; ecog: the certificate's own].",
)
@click.option(
    "--encoding",
    type=click.Choice(["ocpp", "everest", "maeve", "ecog"]),
    default="ocpp",
    show_default=True,
    help="Whose form: OCPP's hex, or EcoG's base64 with decimal serials.",
)
@click.option("--url", default="", metavar="URL", help="The responder of certificates that name none.")
@click.pass_obj
def hash_data_command(
    frame: Frame, *, chain: str, anchors: Sequence[str], algorithm: str | None, encoding: str, url: str
) -> None:
    """Print the OCSP request data of a chain, as Authorize and GetCertificateStatus carry it.

    A root that this home knows need not be in the chain.
    """
    from v2gpki.ocpp.hash_data import hash_data

    form: Encoding = "ecog" if encoding == "ecog" else "ocpp"
    certificates = _certificates(chain)
    known = _issuers(frame, anchors)
    entries = hash_data(certificates, anchors=known, algorithm=algorithm or "", encoding=form, responder_url=url)
    _require_asked(entries, chain, certificates)

    def human(console: Console) -> None:
        for entry in entries:
            for name, text in entry.items():
                console.print(f"{name:<18} {text}")
            console.print()

    frame.emit({"schema": "v2gpki/hash-data/1", "encoding": encoding, "hash_data": entries}, human)


def _certificates(file: str) -> list[bytes]:
    from v2gpki.certs.chain import load_certificates

    return load_certificates(read_input(file))


def _anchors(files: Sequence[str]) -> list[bytes]:
    return [der for file in files for der in _certificates(file)]


def _issuers(frame: Frame, anchors: Sequence[str]) -> list[bytes]:
    """What completes a chain: the anchors, and what the home knows, if there is one that can be read."""
    from v2gpki.wiring.glance import issuers

    return [*_anchors(anchors), *issuers(frame.home_folder)]


def _local(frame: Frame, certificates: list[bytes], anchors: Sequence[str]) -> list[Staple]:
    from v2gpki.services.ocsp import staples
    from v2gpki.wiring.ocsp import issuer_certificates, ocsp_responder

    roots = _anchors(anchors)
    authority = frame.authority(unlock=True)
    known = [*roots, *issuer_certificates(authority.store)]
    responder = ocsp_responder(authority)
    return staples(certificates, lambda asked: responder.answer(asked.request), anchors=known)


def _remote(certificates: list[bytes], roots: list[bytes], now: datetime, url: str) -> list[Staple]:
    """Staples from the responders that the certificates name; what cannot be relied on is refused."""
    from v2gpki.clients.ocsp import OcspClient
    from v2gpki.services.ocsp import staples

    with OcspClient() as client:
        return staples(certificates, lambda asked: _judged(client, asked, now, url), anchors=roots)


def _judged(client: OcspClient, asked: Asked, now: datetime, url: str) -> OcspAnswer:
    from v2gpki.services.ocsp import OcspAnswer

    found = client.query(asked.certificate.der, asked.issuer.der, at=now, url=url, nonce=False)
    judged = found.judgement
    errors = [finding for finding in judged.findings if finding.severity == "error"]
    if errors and judged.status in ("good", "revoked", "unknown"):
        raise V2GPKIError(
            "ocsp.no_staple",
            f"the answer of {found.url} about {asked.certificate.subject_text} proves nothing: {errors[0].message}",
            hint="v2gpki ocsp query shows everything about it",
            clause=errors[0].clause,
            findings=judged.findings,
        )
    return OcspAnswer(found.der, judged.status, judged.this_update, judged.next_update)


def _asked(certificates: list[bytes], roots: list[bytes], everything: bool) -> list[tuple[str, bytes, bytes]]:
    """(subject, certificate, issuer) of what is to be asked about; about the leaf alone nobody needs the root."""
    from v2gpki.certs.chain import leaf_of
    from v2gpki.certs.view import view
    from v2gpki.ocpp.hash_data import pairs

    wanted = certificates if everything else [leaf_of([view(one) for one in dict.fromkeys(certificates)]).der]
    found = pairs(wanted, [*certificates, *roots])
    return [(one.subject_text, one.der, issuer.der) for one, issuer in found if one is not issuer]


def _below_roots(certificates: list[bytes]) -> list[bytes]:
    """Those that somebody else issued."""
    from v2gpki.certs.view import view

    return [one for one in certificates if not view(one).self_issued]


def _require_asked(asked: Sequence[object], source: str, certificates: list[bytes]) -> None:
    """Refuse ``ocsp.nothing_to_ask`` when ``asked`` is empty: an empty result would read as a good one."""
    from v2gpki.certs.view import view

    if asked:
        return
    given = [view(one).subject_text for one in certificates]
    place = "stdin" if source == "-" else source
    if _below_roots(certificates):
        what, hint = "no certificate that names a responder", "give --url with the responder's address"
    else:
        what, hint = "self-signed certificates alone", "give the certificate and the one that issued it"
    raise V2GPKIError(
        "ocsp.nothing_to_ask",
        f"there is nothing to ask about: {place} holds {what} ({'; '.join(given[:3])})",
        hint=hint,
        clause="RFC 6960 4.1.1",
        facts={"file": place, "subjects": given},
    )
