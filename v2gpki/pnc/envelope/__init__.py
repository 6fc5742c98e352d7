"""The envelope in which a contract's private key travels to a vehicle: ISO 15118-2 on P-256, -20 on P-521 and X448.

`seal` makes one, `Sealed` is its two fields in a message, `aad` what an envelope of -20 is bound to, `derive_key` the
key derivation. Opening is not offered here: `v2gpki.pnc.installation.open_response` is the only door, since an envelope
may be opened only behind a verified signature ([V2G2-818]).
"""

from v2gpki.pnc.envelope.additional_data import AAD_FORMS, DEFAULT_AAD, AadForm, aad
from v2gpki.pnc.envelope.layout import LAYOUTS, TPM_SIZES, Curve, Layout, Sealed, X448Form, derive_key
from v2gpki.pnc.envelope.sealing import lab_ed448_key, seal, seal_number

__all__ = [
    "AAD_FORMS",
    "DEFAULT_AAD",
    "LAYOUTS",
    "TPM_SIZES",
    "AadForm",
    "Curve",
    "Layout",
    "Sealed",
    "X448Form",
    "aad",
    "derive_key",
    "lab_ed448_key",
    "seal",
    "seal_number",
]
