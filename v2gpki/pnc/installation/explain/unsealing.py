"""The envelope of a response for explanations: its form, and with the vehicle's key every step of its opening.

Whether the key may be used at all is decided before (`checks`). Nobody gets the contract's key: what is computed is
shown to whoever gave the vehicle's key, and why the envelope does not open is named where it is a known mistake
(another form of the additional data, another key derivation) or one changed bit. Clauses: as `pnc.envelope`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from v2gpki.certs.view import view
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.suites import load_public_key, spki_of
from v2gpki.pnc.envelope import AAD_FORMS, LAYOUTS, Curve, Layout, Sealed, aad
from v2gpki.pnc.envelope.opening import Steps, trace
from v2gpki.pnc.installation.explain.alterations import Alteration, flips, part_of
from v2gpki.pnc.installation.explain.contents import Contents, Field

#: When a bit was changed, told by the signature: "" where that says nothing.
When: TypeAlias = Literal["before", "after", ""]
_CURVES_20 = {"SECP521_EncryptedPrivateKey": "SECP521", "X448_EncryptedPrivateKey": "X448"}


@dataclass(slots=True)
class EnvelopeLook:
    """What an envelope is and whether it opens; `steps` is None without the vehicle's key or with a wrong form.

    `aad_form` is the form that was tried, "" where the cipher binds nothing. `because` says in words what is behind a
    failure, `altered` which bit.
    """

    curve: str
    aad_form: str
    ephemeral: bytes = b""
    sealed: Sealed | None = None
    steps: Steps | None = None
    findings: list[Finding] = field(default_factory=list)
    because: str = ""
    altered: Alteration | None = None


def look(
    contents: Contents,
    receiver: KeyAgreement | None,
    *,
    pcid: str,
    aad_form: str,
    when: Callable[[Alteration], When],
    lab_ed448: bool = False,
) -> EnvelopeLook:
    """Look at the envelope of a response; with the `receiver`'s key, open it step by step.

    `when` is asked what the signature says about a bit that was found changed.
    """
    found = EnvelopeLook(contents.curve, "" if contents.curve == "P256" else aad_form)
    _look_into(found, contents, receiver, pcid, lab_ed448=lab_ed448)
    if found.altered is not None:
        found.because = _of_bit(found.altered, when(found.altered))
    return found


def _look_into(
    found: EnvelopeLook, contents: Contents, receiver: KeyAgreement | None, pcid: str, *, lab_ed448: bool
) -> None:
    """Form first, then the opening as far as it goes."""
    point, encrypted = contents.point, contents.encrypted
    if point is None or encrypted is None:
        _refuse(found, "envelope.wrong_curve", "the message carries no wrapped key", contents.contract_path)
        return
    if not _form(found, contents, point, encrypted) or receiver is None or found.sealed is None:
        return
    contract = contents.contract[0]
    bound = _additional_data(found, pcid, contract)
    if bound is None:
        return
    try:
        found.steps = trace(found.sealed, receiver, contract=contract, aad=bound, lab_ed448=lab_ed448)
    except V2GPKIError as problem:
        _noted(found, problem, encrypted.path)
        return
    if found.steps.failure is not None:
        _noted(found, found.steps.failure, _field_of(found.steps.failure, point, encrypted).path)
        _explain_failure(found, found.steps, contents, encrypted, pcid)


def _of_bit(altered: Alteration, when: When) -> str:
    """One changed bit in words. The sender is blamed only where the signature holds over it as it is."""
    what = f"was changed {when} it was signed" if when else "is wrong"
    return f"one bit {what}, in the {altered.part} of {altered.path.rpartition('/')[2]}"


def _form(found: EnvelopeLook, contents: Contents, point: Field, encrypted: Field) -> bool:
    """Sizes, curve and point: what needs no key."""
    if contents.edition == "iso15118-20":
        found.curve = "TPM" if encrypted.name.startswith("TPM") else _CURVES_20[encrypted.name]
        if found.curve not in {contents.curve, "TPM"}:
            text = f"ECDHCurve is {contents.curve}, but the key stands in {encrypted.name}"
            _refuse(found, "envelope.wrong_curve", text, f"{point.path.rpartition('/')[0]}/ECDHCurve")
    curve: Curve = _curve(found.curve)
    try:
        found.sealed = Sealed(curve, point.octets, encrypted.octets)
    except V2GPKIError as problem:
        _noted(found, problem, _field_of(problem, point, encrypted).path)
        return False
    layout = LAYOUTS.get(curve)
    if layout is None:
        return False
    octets = point.octets[: layout.suite.point_size]
    try:
        if layout.suite.curve is not None and octets[0] != 4:
            raise V2GPKIError("key.point_form", f"it starts with {octets[0]:02x}, an uncompressed point with 04")
        found.ephemeral = spki_of(load_public_key(layout.suite.spki_prefix + octets))
    except V2GPKIError as problem:
        why = problem.message if problem.code == "key.point_form" else "it is not on the curve, or of small order"
        text = f"the sender's DH public key cannot be used: {why}"
        _refuse(found, "envelope.bad_point", text, point.path, "[V2G2-819], [V2G20-2495]")
        _repair_point(found, point, layout)
        return False
    return True


def _repair_point(found: EnvelopeLook, point: Field, layout: Layout) -> None:
    """The one changed bit of a point on a curve: of its neighbours, next to none is on the curve too."""
    if layout.suite.curve is None:
        return
    for position, octets in flips(point.octets):
        if octets[0] != 4:
            continue
        try:
            load_public_key(layout.suite.spki_prefix + bytes(octets))
        except V2GPKIError:
            continue
        octet = position // 8
        part = part_of(point.name, point.octets, octet)
        found.altered = Alteration(point.path, part, octet, 7 - position % 8, bytes(octets))
        return


def _curve(name: str) -> Curve:
    known: tuple[Curve, ...] = ("P256", "SECP521", "X448", "TPM")
    return next(curve for curve in known if curve == name)


def _additional_data(found: EnvelopeLook, pcid: str, contract: bytes) -> bytes | None:
    """What the envelope should be bound to; None if that cannot be formed."""
    if found.curve == "P256":
        return b""
    form = AAD_FORMS.get(found.aad_form)
    if form is not None and form.pcid and not pcid:
        found.because = "the additional data begins with the PCID: give the vehicle's certificate or its PCID"
        return None
    try:
        return aad(found.aad_form, pcid=pcid, contract=contract)
    except V2GPKIError as problem:
        _noted(found, problem, "")
        return None


def _field_of(problem: V2GPKIError, point: Field, encrypted: Field) -> Field:
    of_point = problem.code == "envelope.bad_point" or "DH public key" in problem.message
    return point if of_point else encrypted


# --- why it does not open -------------------------------------------------------------------------------------------


def _explain_failure(found: EnvelopeLook, steps: Steps, contents: Contents, encrypted: Field, pcid: str) -> None:
    layout = LAYOUTS[found.curve]
    contract = contents.contract[0]
    if steps.failure is None or not steps.key:
        return
    for name, data in _other_data(found.aad_form, pcid, contract) if layout.tag_size else ():
        if _opens(layout, steps.key, encrypted.octets, data, contract):
            found.because = f"it was sealed with the additional data of the form {name}, not {found.aad_form}"
            return
    for text, key in _other_keys(layout, steps.z):
        if _opens(layout, key, encrypted.octets, steps.aad, contract):
            found.because = f"the sender derives the key otherwise: {text}"
            return
    for position, octets in flips(encrypted.octets):
        if _opens(layout, steps.key, bytes(octets), steps.aad, contract):
            octet = position // 8
            part = part_of(encrypted.name, encrypted.octets, octet)
            found.altered = Alteration(encrypted.path, part, octet, 7 - position % 8, bytes(octets))
            return
    if layout.tag_size and _scalar_fits(layout, _stream(steps), contract):
        found.because = "the key in it is the right one, but the tag is not: altered, or it binds other additional data"


def _other_data(tried: str, pcid: str, contract: bytes) -> Iterator[tuple[str, bytes]]:
    for name, form in AAD_FORMS.items():
        if name == tried or (form.pcid and not pcid):
            continue
        try:
            yield name, aad(name, pcid=pcid, contract=contract)
        except V2GPKIError:
            continue


def _other_keys(layout: Layout, z: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys as other stacks derive them."""
    counter, other = b"\0\0\0\1", b"\x01\x55\x56"
    inputs = {
        "hash(Z, 00000001), the order of ANSI X9.63 without OtherInfo (OpenChargingCloud does so)": z + counter,
        "hash(Z, 00000001, 01 55 56), the counter behind Z": z + counter + other,
        "hash(00000001, Z) without OtherInfo": counter + z,
    }
    for text, octets in inputs.items():
        yield text, layout.digest(octets).digest()[: layout.key_size]
    yield "HKDF with SHA-256", HKDF(hashes.SHA256(), layout.key_size, None, None).derive(z)
    yield "SHA-256 of Z alone", hashlib.sha256(z).digest()[: layout.key_size]


def _opens(layout: Layout, key: bytes, octets: bytes, data: bytes, contract: bytes) -> bool:
    iv, content = octets[: layout.iv_size], octets[layout.iv_size :]
    if not layout.tag_size:
        return _scalar_fits(
            layout, Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor().update(content), contract
        )
    try:
        AESGCM(key).decrypt(iv, content, data)
    except InvalidTag:
        return False
    return True


def _stream(steps: Steps) -> bytes:
    """The plaintext of AES-GCM without looking at the tag: counter mode from 2 (SP 800-38D 7.2)."""
    start = steps.iv + b"\0\0\0\2"
    return Cipher(algorithms.AES256(steps.key), modes.CTR(start)).decryptor().update(steps.ciphertext)


def _scalar_fits(layout: Layout, octets: bytes, contract: bytes) -> bool:
    if layout.suite.curve is None:
        return False
    scalar = int.from_bytes(octets, "big")
    if not 1 <= scalar < layout.order:
        return False
    return spki_of(ec.derive_private_key(scalar, layout.suite.curve).public_key()) == view(contract).spki


def _refuse(found: EnvelopeLook, code: str, message: str, where: str, clause: str = "") -> None:
    found.findings.append(Finding(code, "error", message, clause, where))


def _noted(found: EnvelopeLook, problem: V2GPKIError, where: str) -> None:
    found.findings.append(Finding(problem.code, "error", problem.message, problem.clause, where, facts=problem.facts))
