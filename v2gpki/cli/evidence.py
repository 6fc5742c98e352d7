"""What commands judge with: anchors, CRLs and OCSP responses, given as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from v2gpki.cli.chain_files import read_certificates
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.services.trust import TrustAnchor

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def evidence_options(command: Decorated) -> Decorated:
    """``--crl``, ``--ocsp`` and ``--require-evidence``."""
    for decorate in (
        click.option("--require-evidence", is_flag=True, help="Refuse what is not known to be unrevoked."),
        click.option("--ocsp", "ocsps", multiple=True, metavar="FILE", help="An OCSP response, DER; may be repeated."),
        click.option("--crl", "crls", multiple=True, metavar="FILE", help="A CRL, PEM or DER; may be repeated."),
    ):
        command = decorate(command)
    return command


def read_anchors(given: Sequence[str], roles: Sequence[str]) -> list[TrustAnchor]:
    """``FILE`` or ``ROLE=FILE``, where ROLE is one of the edition's."""
    from v2gpki.services.trust import TrustAnchor

    found = []
    for text in given:
        role, separator, file = text.partition("=")
        if not separator or role not in roles:
            role, file = "", text
        found += [TrustAnchor(der, role) for der in read_certificates(file)]
    return found


def check_stdin(files: Sequence[str]) -> None:
    """Refuse to read stdin twice."""
    if sum(file == "-" or file.endswith("=-") for file in files) > 1:
        raise V2GPKIError("usage.invalid", "stdin (-) can be read once only", hint="put the rest into files")
