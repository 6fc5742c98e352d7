"""A signer for certificate requests, as a CSMS has one behind OCPP's SignCertificate.

Usage: csr_signer.py HOME CSR EVSEID. The station's key is certified under the given identifier; what else the request
asks for is not taken over. Prints the chain in the order that CertificateSigned carries: leaf, Sub-CA 2,
Sub-CA 1, no root. The passphrase comes from V2GPKI_PASSPHRASE.
"""

import os
import sys
from pathlib import Path

import v2gpki
from v2gpki.certs.chain import pem


def sign(home: str, request: bytes, evse_id: str) -> bytes:
    """The chain for a station's request as PEM; raises ``v2gpki.V2GPKIError`` when it is refused."""
    with v2gpki.open_authority(home, passphrase=os.environ["V2GPKI_PASSPHRASE"]) as ca:
        return pem(ca.issue("secc", id=evse_id, edition="iso15118-2", csr=request).chain)


if __name__ == "__main__":
    try:
        print(sign(sys.argv[1], Path(sys.argv[2]).read_bytes(), sys.argv[3]).decode(), end="")
    except v2gpki.V2GPKIError as refusal:
        sys.exit(f"refused: {refusal.message}")
