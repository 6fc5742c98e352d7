"""The PKI of the tests of TLS, and the one of the same names that nobody trusts."""

from tests.servers.v2gtls.conftest import pki, stranger

__all__ = ["pki", "stranger"]
