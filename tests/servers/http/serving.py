"""The OCSP application under uvicorn, in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PASSPHRASE

_SERVE = """
import sys, uvicorn, v2gpki
from v2gpki.servers.http.ocsp import OcspApp
from v2gpki.wiring.ocsp import ocsp_responder
home, passphrase, mode = sys.argv[1:]
ca = v2gpki.open_authority(home, passphrase=passphrase)
app = OcspApp(ocsp_responder(ca, presigned=mode == "presigned"), ca.clock)
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, log_level="error", access_log=False)).run()
"""


@contextmanager
def serving(home: Path, *, mode: str = "presigned", processes: int = 1) -> Iterator[list[str]]:
    """The OCSP addresses of so many processes that serve a home."""
    command = [sys.executable, "-c", _SERVE, str(home), PASSPHRASE, mode]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) for _ in range(processes)
    ]
    try:
        ports = []
        for process in started:
            assert process.stdout is not None
            ports.append(process.stdout.readline().strip())
        assert all(ports), "a server ended before it listened"
        yield [f"http://127.0.0.1:{port}/ocsp" for port in ports]
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            assert process.stdout is not None
            process.wait(10)
            process.stdout.close()
