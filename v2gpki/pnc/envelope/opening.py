"""An envelope is opened. Nobody does that but `v2gpki.pnc.installation`, which verifies the message's signature first.

CBC gives no integrity: an envelope that nobody vouches for must not be touched with the vehicle's key ([V2G2-818]), so
an import contract keeps everybody else out. In order: the curve is the receiver's, the point is uncompressed and on the
curve, the tag holds (-20), the scalar is in 1..n-1, its public key is the contract certificate's. Refusals never name
a secret. Clauses: [V2G2-818] to [V2G2-823]; [V2G20-2494] to [V2G20-2502]; SP 800-56A 5.6.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.keys.suites import PrivateKey, PublicKey, load_public_key, spki_of, suite_of_spki
from v2gpki.pnc.envelope.layout import Layout, Sealed, derive_key, kdf_input, layout_of
from v2gpki.pnc.envelope.sealing import check_suite, ed448_refused, unbound

#: Octets of an X448 public key.
_X448_POINT = 56


@dataclass(slots=True, repr=False)
class Steps:
    """Every intermediate value of an opening as octets, empty where it was not reached.

    `z` is the shared secret, `kdf_input` what `digest` ("SHA-256") is taken of, `kdf_output` the whole digest, `key`
    its first octets; `private_key` the plaintext. `failure` is why the envelope was refused, None when it is good.
    Holds secrets: shown only to those who gave the vehicle's private key. Its repr shows none.
    """

    curve: str
    digest: str
    cipher: str
    iv: bytes
    ciphertext: bytes
    tag: bytes
    aad: bytes
    dh_public_key: bytes
    z: bytes = b""
    kdf_input: bytes = b""
    kdf_output: bytes = b""
    key: bytes = b""
    private_key: bytes = b""
    failure: V2GPKIError | None = None

    def shown(self) -> dict[str, str]:
        """Names and hexadecimal values, in the order in which they arise; secrets included."""
        octets = {
            "dh_public_key": self.dh_public_key,
            "z": self.z,
            "kdf_input": self.kdf_input,
            "kdf_output": self.kdf_output,
            "key": self.key,
            "iv": self.iv,
            "aad": self.aad,
            "ciphertext": self.ciphertext,
            "tag": self.tag,
            "private_key": self.private_key,
        }
        names = {"curve": self.curve, "digest": self.digest, "cipher": self.cipher}
        return names | {name: value.hex() for name, value in octets.items()}

    def __repr__(self) -> str:
        return f"Steps({self.curve}, {self.failure.code if self.failure else 'good'})"


def unseal(
    sealed: Sealed, receiver: KeyAgreement, *, contract: bytes, aad: bytes = b"", lab_ed448: bool = False
) -> PrivateKey:
    """The contract's private key, proved to be that of the contract certificate (DER).

    Raises `envelope.tpm_opaque`, `envelope.wrong_curve`, `envelope.bad_point`, `envelope.bad_tag`,
    `envelope.bad_scalar`, `envelope.key_mismatch`, `envelope.ed448_key`, `envelope.unknown_aad` (additional data with
    P256), and what the receiver and the certificate raise.
    """
    layout = layout_of(sealed.curve)
    return _open(sealed, receiver, contract, _begin(sealed, layout, aad), lab_ed448=lab_ed448)


def trace(
    sealed: Sealed, receiver: KeyAgreement, *, contract: bytes, aad: bytes = b"", lab_ed448: bool = False
) -> Steps:
    """The same opening with all that it computes on the way; a refusal is a value. Raises `envelope.tpm_opaque`."""
    steps = _begin(sealed, layout_of(sealed.curve), aad)
    try:
        _open(sealed, receiver, contract, steps, lab_ed448=lab_ed448)
    except V2GPKIError as problem:
        steps.failure = problem
    return steps


def _begin(sealed: Sealed, layout: Layout, aad: bytes) -> Steps:
    octets = sealed.encrypted_key
    end = len(octets) - layout.tag_size
    return Steps(
        sealed.curve,
        layout.digest_name,
        layout.cipher,
        octets[: layout.iv_size],
        octets[layout.iv_size : end],
        octets[end:],
        aad,
        sealed.dh_public_key,
    )


def _open(sealed: Sealed, receiver: KeyAgreement, contract: bytes, steps: Steps, *, lab_ed448: bool) -> PrivateKey:
    layout = layout_of(sealed.curve)
    check_suite("the receiver's key", receiver.suite, layout)
    if steps.aad and not layout.tag_size:
        raise unbound(sealed.curve)
    steps.z = receiver.agree(_peer(sealed.dh_public_key, layout))
    steps.kdf_input = kdf_input(steps.z)
    steps.key = derive_key(sealed.curve, steps.z)
    steps.kdf_output = layout.digest(steps.kdf_input).digest()
    steps.private_key = _decrypted(steps, layout)
    expected = view(contract).spki
    found = _private_key(steps.private_key, layout, expected, lab_ed448=lab_ed448)
    if spki_of(found.public_key()) != expected:
        raise V2GPKIError(
            "envelope.key_mismatch",
            "the key in the envelope is not that of the contract certificate",
            hint="the sender took the key of another contract"
            + ("" if layout.tag_size else ", or sealed for another vehicle, or its key derivation differs"),
            clause="[V2G2-823]",
            facts={"curve": sealed.curve},
        )
    return found


def _peer(octets: bytes, layout: Layout) -> PublicKey:
    """The sender's ephemeral key; points that are none, or that would give the secret away, are refused."""
    if layout.curve == "X448":
        octets, filler = octets[:_X448_POINT], octets[_X448_POINT:]
        if any(filler):
            raise _bad_point(layout, "what fills the field behind the 56 octets of X448 is not zero")
    elif octets[0] != 4:
        raise _bad_point(layout, f"it starts with {octets[0]:02x}, an uncompressed point with 04")
    try:
        return load_public_key(layout.suite.spki_prefix + octets)
    except V2GPKIError as problem:
        why = "it has a small order or is no field element" if layout.curve == "X448" else "it is not on the curve"
        raise _bad_point(layout, why) from problem


def _decrypted(steps: Steps, layout: Layout) -> bytes:
    if not layout.tag_size:
        return Cipher(algorithms.AES128(steps.key), modes.CBC(steps.iv)).decryptor().update(steps.ciphertext)
    try:
        return AESGCM(steps.key).decrypt(steps.iv, steps.ciphertext + steps.tag, steps.aad)
    except InvalidTag as problem:
        raise V2GPKIError(
            "envelope.bad_tag",
            "the envelope's tag does not hold",
            hint="it is for another vehicle, was altered, or binds other additional data (the forms of AAD_FORMS)",
            clause="[V2G20-2497], [V2G20-2500]",
            facts={"curve": layout.curve, "aad": steps.aad.hex()},
        ) from problem


def _private_key(octets: bytes, layout: Layout, expected: bytes, *, lab_ed448: bool) -> PrivateKey:
    if layout.suite.curve is not None:
        scalar = int.from_bytes(octets, "big")
        if not 1 <= scalar < layout.order:
            raise V2GPKIError(
                "envelope.bad_scalar",
                "the number in the envelope is no private key of the curve",
                hint="the vehicle's key is another, the envelope was altered, or the sender's key derivation differs",
                clause="[V2G2-823]" if layout.curve == "P256" else "[V2G20-2497], [V2G20-2506]",
                facts={"curve": layout.curve},
            )
        return ec.derive_private_key(scalar, layout.suite.curve)
    if suite_of_spki(expected).name != "ed448":
        return x448.X448PrivateKey.from_private_bytes(octets)
    if not lab_ed448:
        raise ed448_refused("the 56 octets of the envelope cannot be its 57")
    return ed448.Ed448PrivateKey.from_private_bytes(octets + b"\0")


def _bad_point(layout: Layout, why: str) -> V2GPKIError:
    return V2GPKIError(
        "envelope.bad_point",
        f"the sender's DH public key cannot be used: {why}",
        hint="the sender puts its fresh public point there, uncompressed: 04, X, Y",
        clause="[V2G2-819]" if layout.curve == "P256" else "[V2G20-2495]",
        facts={"curve": layout.curve},
    )
