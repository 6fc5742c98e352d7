"""``secc run`` and ``evcc run`` find each other by multicast in a network of their own; TShark reads their captures.

The capture has discovery, TLS and its end; with the key log TShark gives the frames that the ladder showed.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.charging import PATIENCE, command, environment, objects
from tests.conftest import PASSPHRASE
from tests.interop.ecog.network import INTERFACE, private_network
from tests.interop.process import ForeignProcess
from tests.interop.test_recording_tshark import CHECKED
from v2gpki.services.export import export_layout
from v2gpki.v2gtp import Splitter
from v2gpki.wiring import open_authority

EDITIONS = ("iso15118-2", "iso15118-20")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("network")
    with open_authority(folder / "home", passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(list(EDITIONS)), org="Acme")
        return {
            edition: str(export_layout(ca, "everest", folder / edition, edition=edition).folder)
            for edition in EDITIONS
        }


def tshark(file: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["tshark", "-n", "-r", str(file), *CHECKED, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def decrypted(file: Path, keys: Path, port: int) -> list[int]:
    """The sizes of all V2GTP frames, in the order in which TShark follows them after decryption."""
    text = tshark(file, f"-dtcp.port=={port},tls", f"-otls.keylog_file:{keys}", "-q", "-zfollow,tls,raw,0")
    splitters, sizes = (Splitter(), Splitter()), []
    for line in text.splitlines():
        if re.fullmatch(r"\t?[0-9a-f]+", line):
            frames = splitters[line.startswith("\t")].feed(bytes.fromhex(line))
            sizes += [len(frame.payload) + 8 for frame in frames]
    return sizes


@pytest.mark.interop("ip", "unshare", "tshark")
@pytest.mark.parametrize("edition", EDITIONS)
def test_discovery_session_and_what_was_recorded(exported: dict[str, str], tmp_path: Path, edition: str) -> None:
    ready, keys = tmp_path / "ready", tmp_path / "keys.log"
    shared = ("--interface", INTERFACE, "--pki", exported[edition], "--speed", "500", "--json")
    station = ("secc", "run", *shared, "--once", "--ready-file", str(ready), "--pcap", str(tmp_path / "secc.pcapng"))
    recorded = ("--pcap", str(tmp_path / "evcc.pcapng"), "--key-log", str(keys))
    vehicle = ("evcc", "run", *shared, "--energy", "1kWh", *recorded)
    with (
        private_network(tmp_path) as network,
        ForeignProcess(
            network.inside(command(*station)), log=tmp_path / "secc.log", cwd=tmp_path, env=environment()
        ) as secc,
    ):
        secc.await_file(ready, PATIENCE)
        done = subprocess.run(
            network.inside(command(*vehicle)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment(),
        )
        assert done.returncode == 0, done.stderr
        assert secc.await_end(PATIENCE) == 0, secc.text()
    said = objects(done.stdout)
    assert any("found [fe80::15:118%" in str(one.get("text")) for one in said)
    shown = [one["size"] for one in said if one.get("event") == "message"]
    port = int(json.loads(ready.read_text())["port"])
    for side in ("secc", "evcc"):
        file = tmp_path / f"{side}.pcapng"
        fields = ("udp.checksum.status", "tcp.checksum.status", "_ws.malformed", "tcp.analysis.flags")
        rows = tshark(file, "-Tfields", *(f"-e{field}" for field in fields)).splitlines()
        assert set(rows) == {"1\t\t\t", "\t1\t\t"}, side
        # One request to the group, one answer: payload types 0x9000 and 0x9001.
        datagrams = tshark(file, "-Yudp", "-Tfields", "-eipv6.dst", "-edata.data").split()
        assert datagrams[0] == "ff02::1"
        assert datagrams[1].startswith("01fe9000")
        assert datagrams[3].startswith("01fe9001")
        assert sorted(decrypted(file, keys, port)) == sorted(shown), side


@pytest.mark.interop("ip", "unshare")
@pytest.mark.parametrize(("auth", "code"), [("pnc,eim", 0), ("pnc", 1)])
def test_a_station_that_says_it_has_no_tls(exported: dict[str, str], tmp_path: Path, auth: str, code: int) -> None:
    """Whoever answers discovery first can say so: with EIM the vehicle goes on and says what that means."""
    ready, shared = tmp_path / "ready", ("--interface", INTERFACE, "--speed", "500", "--json")
    station = ("secc", "run", *shared, "--auth", "eim", "--ready-file", str(ready))
    vehicle = ("evcc", "run", *shared, "--pki", exported["iso15118-2"], "--energy", "1kWh", "--auth", auth)
    with (
        private_network(tmp_path) as network,
        ForeignProcess(
            network.inside(command(*station)), log=tmp_path / "secc.log", cwd=tmp_path, env=environment()
        ) as secc,
    ):
        secc.await_file(ready, PATIENCE)
        done = subprocess.run(
            network.inside(command(*vehicle)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment(),
        )
    assert done.returncode == code, done.stderr
    if code:
        assert json.loads(done.stderr.splitlines()[-1])["code"] == "tls.plain"
    else:
        assert any("no TLS, though it was asked for" in str(one.get("text")) for one in objects(done.stdout))
