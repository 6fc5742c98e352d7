"""Plug & Charge (ISO 15118) PKI toolkit and certificate authority."""
