"""What no tracked file may contain: addresses of package registries, places of one machine, unencrypted keys."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, tracked_files

#: Keys made to be read by a test are no secret.
VECTOR = "a private key in the clear"

#: Each pattern is written so that it does not match itself.
FORBIDDEN = {
    "address of a package registry": re.compile(
        rb"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|npmjs[.]com|crates[.]io|repo1?[.]maven|maven[.]org"
        rb"|rubygems[.]org|proxy[.]golang|deb[.]debian[.]org|index-ur[l]|--extra-inde[x]"
    ),
    "place of one machine": re.compile(
        rb"(?<![A-Za-z0-9_])/(wor[k]|roo[t]|hom[e]|User[s])/|/opt/wheel[s]|[A-Z]:\\User[s]"
    ),
    "path of something beside the checkout": re.compile(rb"[.][.]/share[d]/"),
    VECTOR: re.compile(rb"BEGIN (RSA |EC )?PRIVATE KE[Y]-----\r?\n[A-Za-z0-9+/]{20}"),
}


def findings(data: bytes) -> list[str]:
    return [
        f"line {data[: match.start()].count(10) + 1}: {what}: {match.group().decode(errors='replace')}"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(data)
    ]


def test_no_tracked_file_names_a_registry_or_a_machine() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {finding}"
        for path in tracked_files()
        for finding in findings(path.read_bytes())
        if not (path.is_relative_to(ROOT / "tests") and VECTOR in finding)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_patterns_find_what_they_name() -> None:
    samples = [
        b"x\nhttps://pypi" + b".org/simple\n",
        b"/home" + b"/someone/x",
        b"read '/ro" + b"ot/notes'",
        b"see ../shared" + b"/notes",
        b"-----BEGIN PRIVATE " + b"KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqG",
    ]
    assert [len(findings(sample)) for sample in samples] == [1] * len(samples)
    assert findings(samples[0])[0].startswith("line 2: ")
    # A path of a URL or the name of a schema begins elsewhere.
    assert findings(b"GET /v1/root" + b"/rootCerts, v2gpki/root" + b"/1") == []


def test_constraints_hold_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)] == []
