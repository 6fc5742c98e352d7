"""The octets that AES-GCM binds an ISO 15118-20 envelope to, in the forms that sources disagree about.

`pcid-ski8` (default): the PCID in ASCII capitals, then the contract certificate's subject key identifier of 8 octets as
16 capital hexadecimal digits: 34 octets with a PCID of 18 characters. `pcid-ski16`: an identifier of 16 octets follows
as it is, also 34. `pcid-ski`: an identifier of any size in hexadecimal digits, for laboratories. `none`: nothing.
A PCID of 17 characters, without check character, stands as it is and makes the data one octet shorter: the algorithm
of the check character is not published, and nothing says what would fill its place.

Refuses identifiers of another size than the form's; a vehicle could not find out what was done about it. None of the
forms is confirmed by a second independent program. Clauses: [V2G20-2497]; VDE-AR-E 2802-100-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import pcid as pcids

_CLAUSE = "[V2G20-2497]"
DEFAULT_AAD = "pcid-ski8"


@dataclass(frozen=True, slots=True)
class AadForm:
    """One way to form the data.

    `pcid` says whether the PCID comes first, `ski_size` how many octets the identifier has (0: any, -1: it does not
    occur), `ski_hex` whether it is written in digits, `source` who reads the standard this way.
    """

    name: str
    title: str
    source: str
    pcid: bool = True
    ski_size: int = -1
    ski_hex: bool = True


AAD_FORMS: Mapping[str, AadForm] = {
    form.name: form
    for form in (
        AadForm(
            DEFAULT_AAD,
            "PCID, then the 8 octets of the SKI as 16 hexadecimal digits (34 octets; 33 with a PCID of 17)",
            "a reading of [V2G20-2497] that fits the identifiers of 8 octets in the field; unconfirmed",
            ski_size=8,
        ),
        AadForm(
            "pcid-ski16",
            "PCID, then the 16 octets of the SKI as they are (34 octets; 33 with a PCID of 17)",
            "one implementation in JavaScript; certificates in the field have no such identifiers",
            ski_size=16,
            ski_hex=False,
        ),
        AadForm(
            "pcid-ski",
            "PCID, then the SKI of any size in hexadecimal digits",
            "ours, for laboratories with identifiers of 20 octets",
            ski_size=0,
        ),
        AadForm("none", "no additional data", "OpenChargingCloud's code", pcid=False),
    )
}


def aad(form: str = DEFAULT_AAD, *, pcid: str = "", contract: bytes = b"") -> bytes:
    """The additional data by the form's name, from the vehicle's PCID and the contract certificate (DER).

    Raises `envelope.unknown_aad`, `identifier.invalid` for what is no PCID, `envelope.no_ski` for a certificate without
    identifier, `envelope.ski_size` for one that does not fit the form, and what reading the certificate raises.
    """
    chosen = AAD_FORMS.get(form)
    if chosen is None:
        raise V2GPKIError(
            "envelope.unknown_aad",
            f"there is no form of additional data {form!r}",
            hint="known are " + ", ".join(AAD_FORMS),
            clause=_CLAUSE,
            facts={"form": form},
        )
    start = pcids.parse(pcid).parts["key"].encode("ascii") if chosen.pcid else b""
    if chosen.ski_size < 0:
        return start
    identifier = _key_identifier(contract)
    if not identifier or (chosen.ski_size and len(identifier) != chosen.ski_size):
        raise _unfit(chosen, identifier)
    return start + (identifier.hex().upper().encode("ascii") if chosen.ski_hex else identifier)


def _key_identifier(certificate: bytes) -> bytes:
    """The subject key identifier, empty when there is none.

    A freshly issued certificate was never viewed, and a view costs ten times as much as this one extension; what
    cannot be read so is looked at in full, with its tolerance and its error.
    """
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        return extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return b""
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion):
        return view(certificate).key_identifier


def _unfit(form: AadForm, identifier: bytes) -> V2GPKIError:
    if not identifier:
        return V2GPKIError(
            "envelope.no_ski",
            "the contract certificate has no subject key identifier to bind the envelope to",
            hint="issue the contract with one; the form none binds nothing, where the vehicle agrees",
            clause=_CLAUSE,
            facts={"form": form.name},
        )
    return V2GPKIError(
        "envelope.ski_size",
        f"the contract's subject key identifier has {len(identifier)} octets instead of the {form.ski_size} of the "
        f"additional data {form.name}",
        hint="issue the contract with an identifier of that size (option ski); pcid-ski takes any, for laboratories",
        clause=_CLAUSE,
        facts={"form": form.name, "found": len(identifier), "wanted": form.ski_size},
    )
