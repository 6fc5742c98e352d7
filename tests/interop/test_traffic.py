"""A minute of everything at full speed, wrk asking OCSP beside our own clients: no error, flat memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.site import Site, prepare, site
from tests.e2e.traffic import drive

SECONDS = 60
#: wrk's scripts are Lua: POST one request again and again, and say what failed.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/ocsp-request"
wrk.body = "{body}"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def asking(server: Site, folder: Path) -> subprocess.Popen[str]:
    script = folder / "ask.lua"
    script.write_text(SCRIPT.format(body="".join(f"\\{octet:03d}" for octet in server.prepared.request())))
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-s", str(script), server.urls[0] + "/ocsp"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


@pytest.mark.interop("wrk")
def test_a_minute_of_mixed_traffic(tmp_path: Path) -> None:
    with site(prepare(tmp_path)) as server:
        running = asking(server, tmp_path)
        try:
            traffic = drive(server, SECONDS)
            said, _ = running.communicate(timeout=60)
        finally:
            running.kill()
            running.communicate()
        answered, failed = said.rpartition("RESULT ")[2].split()
        assert int(failed) == 0, said
        assert int(answered) > 10_000, said
        assert traffic.wrong == []
        assert min(traffic.done[name] for name in traffic.done) > 100, traffic.done
        server.check_alive()
        early, late = traffic.memory(10, 15), traffic.memory(SECONDS - 5, SECONDS + 5)
        # Known answers, tokens and threads are there by then; what is issued is kept on disk.
        assert late - early < 8_000_000, (early, late, traffic.done)
