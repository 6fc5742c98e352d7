"""Explained installations as lines: foreign text is harmless, long octets are cut, what failed first is marked."""

from __future__ import annotations

from typing import Any

from v2gpki.render.installation import installation_lines

EVIL = "CN=\x1b[31mroot\x07\nnext"


def value(**changes: object) -> dict[str, Any]:
    """The smallest explanation, with foreign text wherever a peer can put some."""
    reason = {"code": "role.x", "message": EVIL, "where": "", "subject": "", "clause": "[V2G2-925]"}
    return {
        "verdict": "bad",
        "summary": f"refuse it: {EVIL}",
        "first_failure": "digest",
        "message": {"name": "CertificateInstallationRes", "edition": "iso15118-2", "octets": 9, "emaid": EVIL},
        "checks": [
            {"check": "message", "title": "read", "verdict": "passed", "reasons": [], "note": ""},
            {"check": "digest", "title": EVIL, "verdict": "failed", "reasons": [reason], "note": ""},
            {"check": "value", "title": "value", "verdict": "failed", "reasons": [], "note": ""},
            {"check": "trust", "title": "trust", "verdict": "unchecked", "reasons": [], "note": "no anchor"},
        ],
        "certificates": [{"place": "CPS leaf", "octets": 801, "limit": 800, "fits": False, "subject": EVIL}],
        "signature": None,
        "envelope": None,
        "sizes": {"octets": 9, "base64": 12, "limits": [{"limit": 10, "of": "OCPP", "fits": False, "left": -2}]},
        "window": {"text": "4.5 s", "elapsed_ms": 4600, "kept": False},
    } | changes


def texts(found: dict[str, Any], *, octets: bool = False) -> list[str]:
    return ["".join(span.text for span in line) for line in installation_lines(found, octets=octets)]


def test_nothing_that_a_terminal_obeys_comes_through() -> None:
    for text in texts(value()):
        assert text.isprintable(), text
    assert any("\\x1b[31mroot\\x07\\nnext" in text for text in texts(value()))


def test_only_the_first_failure_is_marked() -> None:
    marked = [text for text in texts(value()) if "<- first failure" in text]
    assert len(marked) == 1
    assert marked[0].strip().startswith("failed")
    assert not [text for text in texts(value(first_failure=None)) if "<-" in text]


def test_what_does_not_fit_is_said() -> None:
    lines = texts(value())
    assert any("801 of 800" in text for text in lines)
    assert any("too large" in text for text in lines)
    assert any("4600 ms" in text for text in lines)


def test_long_octets_are_cut_unless_wanted() -> None:
    signature = {
        "algorithm": "ecdsa-p256-sha256", "signature_method": "", "signed_by": None, "signature_value": "ab" * 64,
        "references": [
            {"uri": "#id1", "path": "eMAID", "fragment": "cd" * 50, "grammar": "iso15118-2", "verdict": "invalid",
             "digest_found": "01" * 32, "digest_computed": "02" * 32}
        ],
        "signed_info": {"grammar": "xmldsig", "octets": {"xmldsig": "ef" * 70}},
    }  # fmt: skip
    found = value(signature=signature)
    short, whole = "\n".join(texts(found)), "\n".join(texts(found, octets=True))
    assert "cd" * 50 not in short
    assert "(50 octets)" in short
    assert "cd" * 50 in whole
    assert "01" * 32 in short
    assert "02" * 32 in short
    assert "none of the keys at hand" in short
