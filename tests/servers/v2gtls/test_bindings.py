"""The private bindings: that their absence is noticed, and that the docs name what the library cannot do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from OpenSSL import SSL

from tests.house.tree import PACKAGE, ROOT
from tests.servers.v2gtls.bench import Pki, meet
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import Edition, StationSecurity, TLSIdentity, bindings, capabilities
from v2gpki.servers.v2gtls.alerts import alert_for


def test_the_library_is_as_expected() -> None:
    bindings.check()
    can = {capability.what: capability.available for capability in capabilities()}
    assert can["groups secp521r1 and x448"]
    assert can["signatures by P-521 and Ed448"]
    # If one of these becomes possible, v2gpki can do more: take it up.
    assert [what for what, available in can.items() if not available] == [
        "suite TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256",
        "status_request_v2 (one OCSP response for each certificate, TLS 1.2)",
        "OCSP responses for sub-CAs (TLS 1.3)",
        "certificate_authorities in the ClientHello",
        "a client's chain as it was sent, while it is judged",
        "TLS keys in an HSM",
    ]


def test_the_docs_name_each_with_its_consequence() -> None:
    page = (ROOT / "docs" / "tls.md").read_text(encoding="utf-8")
    for capability in capabilities():
        if not capability.available:
            assert capability.what in page
            assert capability.consequence in page


def test_a_library_without_the_bindings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bindings.check.cache_clear()
    monkeypatch.setattr(bindings, "_NEEDED", ("SSL_that_is_not_there",))
    with pytest.raises(V2GPKIError) as caught:
        bindings.check()
    assert caught.value.code == "tls.unsupported"
    assert "SSL_that_is_not_there" in caught.value.message
    bindings.check.cache_clear()


def test_one_file_touches_them_and_nobody_switches_contexts() -> None:
    """Switching in a callback leaves the verify mode behind: a client without a certificate came through."""
    users = [path.name for path in PACKAGE.rglob("*.py") if "OpenSSL._util" in path.read_text(encoding="utf-8")]
    assert users == ["bindings.py"]
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "set_tlsext_servername_callback" not in text, path
        assert ".set_context(" not in text, path


@pytest.mark.parametrize(
    ("role", "edition", "flaw"),
    [("secc", "iso15118-20", "its key is p256"), ("secc", "iso15118-2", "not that of the certificate")],
)
def test_an_identity_that_does_not_fit_is_refused(pki: Pki, role: str, edition: Edition, flaw: str) -> None:
    one, other = pki.identity(role, "iso15118-2"), pki.identity(role, "iso15118-2")
    wrong = TLSIdentity(one.chain, other.private_key)
    station = StationSecurity({edition: [wrong]}, lambda _chain: None)
    with pytest.raises(V2GPKIError) as caught:
        bindings_of(station, edition, wrong)
    assert caught.value.code == "tls.identity"
    assert flaw in caught.value.message
    for chain in ((), (b"no certificate",)):
        with pytest.raises(V2GPKIError) as caught:
            bindings_of(station, "iso15118-2", TLSIdentity(chain, one.private_key))
        assert caught.value.code == "tls.identity"


def bindings_of(station: StationSecurity, edition: Edition, identity: TLSIdentity) -> None:
    from v2gpki.servers.v2gtls.contexts import station_context

    station_context(station, edition, identity, keylog=False)


def test_a_staple_is_asked_for_at_each_handshake(pki: Pki) -> None:
    given: list[int] = []
    secc = pki.identity("secc", "iso15118-2")

    def staple() -> bytes | None:
        given.append(1)
        return secc.staple()

    station = pki.station(("iso15118-2", replace(secc, staple=staple)))
    for count in (1, 2):
        assert meet(station, pki.vehicle("iso15118-2"))[1].problem is None
        assert len(given) == count


@pytest.mark.parametrize(
    ("code", "alert"),
    # RFC 8446 6.2.
    [
        ("path.no_anchor", "unknown_ca"),
        ("path.broken", "unknown_ca"),
        ("path.expired", "certificate_expired"),
        ("path.issuer_expired", "certificate_expired"),
        ("path.not_yet_valid", "certificate_expired"),
        ("path.revoked", "certificate_revoked"),
        ("path.bad_signature", "bad_certificate"),
        ("chain.malformed", "bad_certificate"),
        ("role.domain_component", "unsupported_certificate"),
        ("role.wrong_anchor", "unknown_ca"),
        ("path.status_unknown", "bad_certificate_status_response"),
        ("ocsp.malformed", "bad_certificate_status_response"),
        ("home.locked", "certificate_unknown"),
    ],
)
def test_the_alert_of_a_refusal(code: str, alert: str) -> None:
    assert alert_for(V2GPKIError(code, "")) == alert


@pytest.mark.parametrize("server", [True, False])
def test_a_chain_that_nobody_judged_is_refused(pki: Pki, monkeypatch: pytest.MonkeyPatch, server: bool) -> None:
    """If OpenSSL ever came through a handshake without asking this end, no octet would be believed there."""
    asked = bindings.set_examination

    def unasked(context: SSL.Context, *, server: bool) -> list[object]:
        return [] if server is blind else asked(context, server=server)

    blind = server
    monkeypatch.setattr(bindings, "set_examination", unasked)
    car = pki.identity("vehicle", "iso15118-20")
    vehicle = pki.vehicle("iso15118-20", identity=car, policy="off")
    ends = meet(pki.station(("iso15118-20", pki.identity("secc", "iso15118-20"))), vehicle)
    end = ends[0 if server else 1]
    assert end.code == "tls.failed"
    assert "was not judged" in end.problem.message  # type: ignore[union-attr]  # the code is asserted above
    assert end.received == []
