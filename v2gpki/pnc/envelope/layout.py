"""What an envelope is made of: sizes of its fields, and the key derivation.

| curve | agreement | KDF | cipher | DHPublicKey | encrypted key |
|---|---|---|---|---|---|
| P256 (ISO 15118-2) | ECDH P-256 | SHA-256, 16 octets | AES-128-CBC | 65 | IV 16, private key 32 |
| SECP521 (-20) | ECDH P-521 | SHA-512, 32 octets | AES-256-GCM | 133 | IV 12, private key 66, tag 16 |
| X448 (-20) | X448 | SHA-512, 32 octets | AES-256-GCM | 56, or 133 with filler | IV 12, private key 56, tag 16 |
| TPM (-20) | for a TPM: opaque here | | | 133 | 206 |

For X448 the text wants the bare 56 octets ([V2G20-2495]), the schema exactly 133, so no message can satisfy both:
`bare` is the default, `schema` appends zeros. Refuses other sizes. Clauses: [V2G2-815] to [V2G2-819]; [V2G20-2494] to
[V2G20-2502], [V2G20-2521], [V2G20-2535]; SP 800-56A 5.8.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, Suite

Curve: TypeAlias = Literal["P256", "SECP521", "X448", "TPM"]
X448Form: TypeAlias = Literal["bare", "schema"]

#: Counter before Z; AlgorithmID, PartyUInfo and PartyVInfo behind it.
_COUNTER = b"\x00\x00\x00\x01"
_OTHER_INFO = b"\x01\x55\x56"


class _Hash(Protocol):
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """One row of the table above; `suite` is the receiver's, `order` that of the curve (0: X448), sizes are in octets.

    `z_size` is the shared secret's, `dh_sizes` those of the DHPublicKey field, `private_key_size` the plaintext's.
    """

    curve: Curve
    suite: Suite
    order: int
    digest: Callable[[bytes], _Hash]
    digest_name: str
    cipher: str
    key_size: int
    iv_size: int
    tag_size: int
    private_key_size: int
    z_size: int
    dh_sizes: tuple[int, ...]
    clause: str

    @property
    def encrypted_size(self) -> int:
        """Octets of the encrypted key's field."""
        return self.iv_size + self.private_key_size + self.tag_size


#: Orders of the curves (SEC 2, 2.4.2 and 2.6.1).
_N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_N521 = (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7
_CLAUSE_20 = "[V2G20-2494] to [V2G20-2502], [V2G20-2535]"

#: Octets of the two fields that an envelope for a TPM has.
TPM_SIZES = (133, 206)
LAYOUTS: Mapping[str, Layout] = {
    layout.curve: layout
    for layout in (
        Layout("P256", SUITES["p256"], _N256, hashlib.sha256, "SHA-256", "AES-128-CBC", 16, 16, 0, 32, 32, (65,),
               "[V2G2-815] to [V2G2-819]"),
        Layout("SECP521", SUITES["p521"], _N521, hashlib.sha512, "SHA-512", "AES-256-GCM", 32, 12, 16, 66, 66, (133,),
               _CLAUSE_20),
        Layout("X448", SUITES["x448"], 0, hashlib.sha512, "SHA-512", "AES-256-GCM", 32, 12, 16, 56, 56, (56, 133),
               _CLAUSE_20),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sealed:
    """A contract key on its way to one vehicle: the two fields of a message, as they stand there.

    `dh_public_key` is the sender's ephemeral point (04, X, Y; X448: 56 octets, or 133 with filler), `encrypted_key` IV,
    ciphertext and tag. Raises `envelope.wrong_curve` and `envelope.wrong_size`; nothing else is looked at.
    """

    curve: Curve
    dh_public_key: bytes
    encrypted_key: bytes

    def __post_init__(self) -> None:
        layout = LAYOUTS.get(self.curve)
        if layout is None and self.curve != "TPM":
            raise unknown_curve(self.curve)
        points, encrypted = (layout.dh_sizes, layout.encrypted_size) if layout else (TPM_SIZES[:1], TPM_SIZES[1])
        if len(self.dh_public_key) not in points:
            wanted = " or ".join(str(size) for size in points)
            raise wrong_size(self.curve, "DH public key", len(self.dh_public_key), wanted)
        if len(self.encrypted_key) != encrypted:
            raise wrong_size(self.curve, "encrypted private key", len(self.encrypted_key), str(encrypted))


def layout_of(curve: str) -> Layout:
    """The layout; raises `envelope.tpm_opaque` for TPM and `envelope.wrong_curve` for what is no curve."""
    layout = LAYOUTS.get(curve)
    if layout is not None:
        return layout
    if curve == "TPM":
        raise V2GPKIError(
            "envelope.tpm_opaque",
            "an envelope for a TPM is made and opened by the TPM's own software",
            hint="carry its 206 octets unchanged; how they are formed is not known from open sources",
            clause="[V2G20-2521]",
        )
    raise unknown_curve(curve)


def derive_key(curve: str, z: bytes) -> bytes:
    """The AES key from the shared secret Z: the first octets of hash(00000001, Z, 01 55 56).

    The concatenation KDF of SP 800-56A with AlgorithmID 01, PartyUInfo 55, PartyVInfo 56: 16 octets by SHA-256 for
    P256, 32 by SHA-512 for SECP521 and X448. Raises `envelope.wrong_size` for a Z of another width (leading zeros
    count), `envelope.wrong_curve` and `envelope.tpm_opaque`. Sources: [V2G2-818], [V2G20-2535].
    """
    layout = layout_of(curve)
    if len(z) != layout.z_size:
        raise wrong_size(curve, "shared secret", len(z), str(layout.z_size))
    return layout.digest(kdf_input(z)).digest()[: layout.key_size]


def kdf_input(z: bytes) -> bytes:
    """What the KDF hashes."""
    return _COUNTER + z + _OTHER_INFO


def wrong_size(curve: str, what: str, found: int, wanted: str) -> V2GPKIError:
    """The refusal of octets that are too many or too few."""
    layout = LAYOUTS.get(curve)
    return V2GPKIError(
        "envelope.wrong_size",
        f"the {what} of a {curve} envelope has {found} octets instead of {wanted}",
        hint="points are uncompressed; private keys and secrets keep their leading zeros, without a sign octet before",
        clause=layout.clause if layout else "[V2G20-2521]",
        facts={"curve": curve, "found": found, "wanted": wanted},
    )


def unknown_curve(curve: str) -> V2GPKIError:
    """The refusal of a name that is no envelope's."""
    return V2GPKIError(
        "envelope.wrong_curve",
        f"there is no envelope {curve!r}",
        hint="P256 in ISO 15118-2; SECP521, X448 or TPM in ISO 15118-20",
        facts={"curve": curve},
    )
