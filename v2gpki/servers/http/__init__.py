"""HTTP: OCSP and CRLs as raw ASGI, the rest on starlette."""
