"""An installation exchange laid open for a person: every check with its verdict, what failed first, and why.

`explain_installation` takes a request or a response of CertificateInstallation (-2, -20) or CertificateUpdate (-2),
whole or broken, and gives one object that goes into JSON as it is: octets in lower-case hex, so that anybody can
compute everything again (`openssl dgst`, `openssl pkeyutl`, `openssl enc`). Steps of the envelope are shown only to who
gives the vehicle's key, and only behind a good signature of a trusted chain (or as insecure, where somebody asks for
that); the contract's private key is never shown. A broken message is the answer, not an error: refused are only octets
that are no such message.
"""

from __future__ import annotations

from v2gpki.pnc.installation.explain.account import SCHEMA, explain_installation
from v2gpki.pnc.installation.explain.checks import Trust
from v2gpki.pnc.installation.explain.signer import NamedKey

__all__ = ["SCHEMA", "NamedKey", "Trust", "explain_installation"]
