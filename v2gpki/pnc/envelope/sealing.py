"""A contract's private key is sealed for one vehicle: a fresh key pair, a shared secret, AES.

Ephemeral-static one-pass agreement: P-256 in ISO 15118-2; P-521 or X448 in ISO 15118-20. Refuses keys of another suite
than the envelope's, additional data where the cipher binds none, and Ed448 contract keys: they have 57 octets, the
field of X448 carries 56, and none is ever cut off. `lab_ed448` carries an Ed448 key whose last octet is zero, as
`lab_ed448_key` makes them, by its other 56; this is our own convention and no conformant vehicle's.

Clauses: [V2G2-815] to [V2G2-821]; [V2G20-2494] to [V2G20-2502], [V2G20-2533] to [V2G20-2535]; SP 800-56A 6.2.2.2.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import shared_secret
from v2gpki.keys.suites import PrivateKey, PublicKey, Suite, suite_of
from v2gpki.pnc.envelope.layout import Curve, Layout, Sealed, X448Form, derive_key, layout_of, wrong_size

_LARGEST_FIELD = 133


def seal(
    contract_key: PrivateKey,
    receiver: PublicKey,
    *,
    curve: Curve,
    aad: bytes = b"",
    ephemeral: PrivateKey | None = None,
    iv: bytes | None = None,
    x448_form: X448Form = "bare",
    lab_ed448: bool = False,
) -> Sealed:
    """Seal a contract's private key for the receiver's static key.

    The receiver is the OEM provisioning certificate's key ([V2G2-820], [V2G20-2533]), or in an update the current
    contract's ([V2G2-821]). `aad` is from `aad()`; P256 takes none. `ephemeral` and `iv` exist for vectors: given
    twice they break the envelope, so leave them out. `x448_form` is what the DH field of X448 holds (see `layout`).

    Raises `envelope.wrong_curve` for a key of another suite, `envelope.ed448_key`, `envelope.tpm_opaque`,
    `envelope.wrong_size` for the IV, `envelope.unknown_aad` for additional data with P256.
    """
    layout = layout_of(curve)
    content = _octets_of(contract_key, layout, lab_ed448=lab_ed448)
    return _sealed(content, layout, receiver, aad=aad, ephemeral=ephemeral, iv=iv, x448_form=x448_form)


def seal_number(number: bytes, suite: Suite, receiver: PublicKey, *, curve: Curve, aad: bytes = b"") -> Sealed:
    """`seal` for the private number of a key of ``suite`` (`v2gpki.keys.suites.halves_of`), as wide as its order."""
    layout = layout_of(curve)
    check_suite("the contract's key", suite, layout)
    if len(number) != layout.private_key_size:
        raise ValueError(f"a private number of {curve} has {layout.private_key_size} octets")
    return _sealed(number, layout, receiver, aad=aad)


def _sealed(
    content: bytes,
    layout: Layout,
    receiver: PublicKey,
    *,
    aad: bytes,
    ephemeral: PrivateKey | None = None,
    iv: bytes | None = None,
    x448_form: X448Form = "bare",
) -> Sealed:
    """The private key's octets for the receiver."""
    curve = layout.curve
    check_suite("the receiver's key", suite_of(receiver), layout)
    if ephemeral is None:
        ephemeral = layout.suite.generate()
    else:
        check_suite("the ephemeral key", suite_of(ephemeral), layout)
    if iv is None:
        iv = os.urandom(layout.iv_size)
    elif len(iv) != layout.iv_size:
        raise wrong_size(curve, "IV", len(iv), str(layout.iv_size))
    key = derive_key(curve, shared_secret(ephemeral, receiver))
    point = _point_of(ephemeral)
    if layout.tag_size:
        if x448_form == "schema" and curve == "X448":
            point = point.ljust(_LARGEST_FIELD, b"\0")
        return Sealed(curve, point, iv + AESGCM(key).encrypt(iv, content, aad))
    if aad:
        raise unbound(curve)
    return Sealed(curve, point, iv + Cipher(algorithms.AES128(key), modes.CBC(iv)).encryptor().update(content))


def lab_ed448_key(*, random: Callable[[int], bytes] = os.urandom) -> ed448.Ed448PrivateKey:
    """An Ed448 key that `lab_ed448` can carry: 448 random bits and an octet of zeros. For laboratories only."""
    return ed448.Ed448PrivateKey.from_private_bytes(random(56) + b"\0")


def check_suite(what: str, found: Suite, layout: Layout) -> None:
    """Raises `envelope.wrong_curve` for a key of another suite than the envelope's."""
    if found is not layout.suite:
        raise V2GPKIError(
            "envelope.wrong_curve",
            f"{what} is {found.name}; an envelope {layout.curve} needs {layout.suite.name}",
            hint="P256 (ISO 15118-2) goes with P-256, SECP521 with P-521, X448 with X448; contract and vehicle alike",
            clause=layout.clause,
            facts={"curve": layout.curve, "found": found.name, "wanted": layout.suite.name},
        )


def unbound(curve: str) -> V2GPKIError:
    """The refusal of additional data that nothing would bind."""
    return V2GPKIError(
        "envelope.unknown_aad",
        f"an envelope {curve} binds no additional data: AES-CBC cannot",
        hint="give none; in ISO 15118-2 the message's signature binds the envelope to its contract",
        clause="[V2G2-818]",
        facts={"curve": curve},
    )


def ed448_refused(why: str) -> V2GPKIError:
    """The refusal of an Ed448 contract key."""
    return V2GPKIError(
        "envelope.ed448_key",
        f"an Ed448 contract key cannot be delivered: {why}",
        hint="issue the contract on P-521 (envelope SECP521); laboratories: lab_ed448 with a key of lab_ed448_key",
        clause="[V2G20-2502], RFC 8032 5.2.5",
    )


def _octets_of(key: PrivateKey, layout: Layout, *, lab_ed448: bool) -> bytes:
    """The private key as the envelope carries it, leading zeros included."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        check_suite("the contract's key", suite_of(key), layout)
        return key.private_numbers().private_value.to_bytes(layout.private_key_size, "big")
    if isinstance(key, ed448.Ed448PrivateKey) and layout.curve == "X448":
        octets = key.private_bytes_raw()
        if not lab_ed448:
            raise ed448_refused("it has 57 octets, the field of X448 carries 56, and a key is not truncated")
        if octets[-1]:
            raise ed448_refused("the laboratory's form carries only keys whose last octet is zero")
        return octets[:-1]
    check_suite("the contract's key", suite_of(key), layout)
    return key.private_bytes_raw()


def _point_of(key: PrivateKey) -> bytes:
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public.public_bytes_raw()
