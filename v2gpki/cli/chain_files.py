"""Files with certificates and evidence that commands read: an error about their content names the file.

Certificates come in any container (PEM bundle, DER, PKCS#7), CRLs as PEM or DER, OCSP responses as DER.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from v2gpki.cli.files import STANDARD, read_input
from v2gpki.errors import V2GPKIError

Parsed = TypeVar("Parsed")


def read_certificates(file: str) -> list[bytes]:
    """The certificates (DER) in a file, in its order; raises ``file.unreadable``, ``chain.*``."""
    return read_as(file, _chain)


def read_crl(file: str) -> bytes:
    """A CRL as it stands in the file; raises ``file.unreadable``, ``crl.malformed``."""
    return read_as(file, _crl)


def read_ocsp(file: str) -> bytes:
    """An OCSP response; raises ``file.unreadable``, ``ocsp.malformed``."""
    return read_as(file, _ocsp)


def read_as(file: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """What ``parse`` makes of a file's octets; its refusal gets the file's name in front."""
    data = read_input(file)
    try:
        return parse(data)
    except V2GPKIError as problem:
        problem.message = f"{'stdin' if file == STANDARD else file}: {problem.message}"
        problem.facts = {"file": file, **problem.facts}
        raise


def _chain(data: bytes) -> list[bytes]:
    from v2gpki.certs.chain import load_certificates

    return load_certificates(data)


def _crl(data: bytes) -> bytes:
    from v2gpki.certs.crl import load_crl

    load_crl(data)
    return data


def _ocsp(data: bytes) -> bytes:
    from v2gpki.certs.ocsp_reading import ocsp_view

    ocsp_view(data)
    return data
