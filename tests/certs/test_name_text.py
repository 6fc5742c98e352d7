"""Subjects as text: every attribute value as another library writes it."""

from __future__ import annotations

from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from v2gpki.certs.name import escape


@given(st.text(st.sampled_from('\\"+,;<># ab*-.='), min_size=1, max_size=20))
@example("DE*ICE*E45B")
@example(" Acme, Inc. ")
@example("#1")
@example("a#1 b")
@example(" ")
@example("ä ö")
def test_values_are_escaped_as_rfc_4514_says(text: str) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    assert f"CN={escape(text)}" == name.rfc4514_string()
