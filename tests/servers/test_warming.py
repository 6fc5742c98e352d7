"""What is done before the first session is not done in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.site import made
from v2gpki.exi.generate import Coder
from v2gpki.messages import codec
from v2gpki.messages.iso2 import SessionSetupReq, SessionSetupRes
from v2gpki.pnc.algorithms import Edition

_MISTAKEN = "compiled <exi d0_ChargingStatusRes>"


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_the_first_session_waits_for_no_compiler_import_or_profile(edition: Edition, tmp_path: Path) -> None:
    """In a process of its own: in this one, other tests were first."""
    made(tmp_path, edition)
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers.warm_session", str(tmp_path), edition],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # What is read without a schema's name is tried as ISO 15118-2 first, where a -20 request has this one's code.
    assert set(done.stdout.splitlines()) <= ({_MISTAKEN} if edition == "iso15118-20" else set())


def test_what_is_prepared_codes_as_what_is_not() -> None:
    """One direction is prepared, the other is compiled when it is used; both give what the shared coder gives."""
    schema = codec.grammar("iso15118-2").schema
    fresh = Coder(schema)
    fresh.prepare(
        writes=lambda element: element.name.name != "SessionSetupReq",
        reads=lambda element: element.name.name != "SessionSetupRes",
        fragments=["eMAID"],
    )
    for message in (
        SessionSetupReq(EVCCID=bytes(6)),
        SessionSetupRes(ResponseCode="OK", EVSEID="DE*ABC*E1"),
    ):
        element = codec.grammar("iso15118-2").elements[type(message)]
        octets = codec.encode(message)
        assert fresh.encoder(element)(message) == octets
        assert fresh.decode(octets)[1] == message
