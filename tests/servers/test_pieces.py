"""What servers are made of, each by itself: addresses, settings, meters, counters, log lines."""

from __future__ import annotations

import io
import json
import logging
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.running import logging_to
from v2gpki.errors import V2GPKIError
from v2gpki.servers import listeners
from v2gpki.servers.http.limits import MOST_ADDRESSES, Meter
from v2gpki.servers.http.lines import Lines
from v2gpki.servers.http.tally import BUCKETS, Tally
from v2gpki.servers.listeners import Listener
from v2gpki.servers.turned_away import TurnedAway
from v2gpki.wiring import load_settings
from v2gpki.wiring.serve_settings import ServeSettings


# -- addresses -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "tls", "expected"),
    [
        ("127.0.0.1:8080", False, Listener("127.0.0.1", 8080, False)),
        ("127.0.0.1:8080", True, Listener("127.0.0.1", 8080, True)),
        ("http://localhost:0", True, Listener("localhost", 0, False)),
        ("https://localhost:0/", False, Listener("localhost", 0, True)),
        ("[::1]:65535", False, Listener("::1", 65535, False)),
    ],
)
def test_addresses(text: str, tls: bool, expected: Listener) -> None:
    assert listeners.parse(text, tls=tls) == expected


@pytest.mark.parametrize(
    "text",
    ["", "8080", "localhost", "localhost:", "localhost:65536", "localhost:-1", "::1:80", ":80", "ftp://a:1", "a:²"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(V2GPKIError, match=r"serving\.bad_address"):
        listeners.parse(text, tls=False)


def test_urls_and_who_can_reach_them() -> None:
    assert Listener("::1", 80, True).url == "https://[::1]:80"
    local = [Listener(host, 1, False).local for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")]
    assert local == [True] * 4
    assert not any(Listener(host, 1, False).local for host in ("0.0.0.0", "::", "10.0.0.1", "example.com"))


def test_a_free_port_is_taken() -> None:
    listener, opened = listeners.bind(Listener("127.0.0.1", 0, False))
    assert listener.port == opened.getsockname()[1] != 0
    opened.close()
    with pytest.raises(V2GPKIError, match=r"serving\.address_taken"):
        listeners.bind(Listener("host.invalid", 0, False))


# -- settings ------------------------------------------------------------------------------------
def settings(tmp_path: Path, text: str, **environment: str) -> ServeSettings:
    file = tmp_path / "v2gpki.toml"
    file.write_text(text)
    return load_settings(file, environment).serve


def test_the_table_and_the_environment(tmp_path: Path) -> None:
    text = 'org = "Acme"\n[serve]\nlisten = ["https://[::]:8443", "http://[::]:8080"]\nworkers = 3\ntls = true\n'
    read = settings(tmp_path, text)
    assert (read.listen, read.workers, read.tls) == (("https://[::]:8443", "http://[::]:8080"), 3, True)
    read = settings(
        tmp_path,
        text,
        V2GPKI_SERVE_WORKERS="2",
        V2GPKI_SERVE_LISTEN="127.0.0.1:1, 127.0.0.1:2",
        V2GPKI_SERVE_TLS="false",
        V2GPKI_SERVE_LOG="errors",
    )
    assert (read.workers, read.listen, read.tls, read.log) == (2, ("127.0.0.1:1", "127.0.0.1:2"), False, "errors")
    assert settings(tmp_path, "") == ServeSettings()
    for proxies in (("10.0.0.1", "10.0.0.0/8", "fd00::/8", "::1"), ("*",), ()):
        assert settings(tmp_path, f"[serve]\nproxies = {json.dumps(proxies)}").proxies == proxies


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[serve]\nport = 1", "settings.unknown_key"),
        ("serve = 1", "settings.bad_value"),
        ('[serve]\nlisten = "127.0.0.1:1"', "settings.bad_value"),
        ("[serve]\nlisten = [1]", "settings.bad_value"),
        ('[serve]\nworkers = "2"', "settings.bad_value"),
        ("[serve]\nworkers = 0", "settings.bad_value"),
        ("[serve]\nworkers = true", "settings.bad_value"),
        ("[serve]\ntls = 1", "settings.bad_value"),
        ("[serve]\nrate = -1", "settings.bad_value"),
        ("[serve]\nmax_body = 1.5", "settings.bad_value"),
        ('[serve]\nlog = "all"', "settings.bad_value"),
        ('[serve]\nproxies = ["nonsense"]', "settings.bad_value"),
        ('[serve]\nproxies = ["10.0.0.1", "proxy.example"]', "settings.bad_value"),
        ('[serve]\nproxies = ["10.0.0.1/8"]', "settings.bad_value"),
        ('[serve]\nproxies = ["*", "10.0.0.1"]', "settings.bad_value"),
        ('[serve]\nproxies = [""]', "settings.bad_value"),
    ],
)
def test_what_is_no_setting(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        settings(tmp_path, text)
    assert caught.value.code == code
    with pytest.raises(V2GPKIError, match=r"settings\.bad_value"):
        settings(tmp_path, "", V2GPKI_SERVE_WORKERS="many")


# -- meters --------------------------------------------------------------------------------------
class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_refills() -> None:
    watch = Watch()
    meter = Meter(0.5, 2, clock=watch)
    assert [meter.wait("a") for _ in range(3)] == [0, 0, 2]
    watch.now += 1.9
    assert meter.wait("a") == 1
    watch.now += 0.2
    assert meter.wait("a") == 0
    watch.now += 1000
    assert [meter.wait("a") for _ in range(3)] == [0, 0, 2]


def test_parties_of_addresses() -> None:
    meter = Meter(1, 1, clock=Watch())
    assert meter.wait("2001:db8:1:2:3::4") == 0
    # Another address of the same /64 is the same party, one of the next is not.
    assert meter.wait("2001:db8:1:2:ffff::1") == 1
    assert meter.wait("2001:db8:1:3::1") == 0
    assert meter.wait("10.0.0.1") == 0
    assert meter.wait("::ffff:10.0.0.1") == 1
    assert meter.wait("no address: at all") == 0
    assert meter.wait("") == 0


def test_the_addresses_that_are_remembered_are_bounded() -> None:
    meter = Meter(1, 1, clock=Watch())
    for number in range(MOST_ADDRESSES + 50):
        meter.wait(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(meter) == MOST_ADDRESSES
    assert meter.wait("10.0.0.0") == 0
    assert meter.wait(f"10.0.{(MOST_ADDRESSES + 49) >> 8 & 255}.{(MOST_ADDRESSES + 49) & 255}") == 1


# -- counters ------------------------------------------------------------------------------------
def test_what_workers_count_is_added_up() -> None:
    tally = Tally(["ocsp", "est"], workers=3)
    for worker in range(2):
        child = os.fork()
        if not child:
            try:
                tally.use_row(worker + 1)
                for _ in range(100 * (worker + 1)):
                    tally.request("ocsp", 200, 0.0004)
                tally.request("est", 418, 99)
                tally.ocsp("good")
                tally.event("failed")
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    tally.request("ocsp", 404, 0.3)
    assert set(tally.requests()) == {("ocsp", "200", 300.0), ("ocsp", "404", 1.0), ("est", "other", 2.0)}
    latencies = {part: (counts, total) for part, counts, total in tally.latencies()}
    assert latencies["ocsp"][0] == [300.0 if end < 0.3 else 301.0 for end in BUCKETS] + [301.0]
    assert latencies["ocsp"][1] == pytest.approx(300 * 0.0004 + 0.3)
    assert latencies["est"][0] == [0.0] * len(BUCKETS) + [2.0]
    assert tally.ocsp_answers()["good"] == 2
    assert tally.events()["failed"] == 2


def test_workers_do_not_count_in_each_others_rows() -> None:
    """Adding is no single step: in one row, two at once would lose some."""
    tally, each = Tally(["ocsp"], workers=2), 100_000
    children = []
    for worker in range(2):
        child = os.fork()
        if not child:
            try:
                tally.use_row(worker)
                for _ in range(each):
                    tally.ocsp("good")
            finally:
                os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert tally.ocsp_answers()["good"] == 2 * each


# -- who is turned away --------------------------------------------------------------------------
def test_who_is_turned_away_is_told_at_most_once_in_five_seconds() -> None:
    """The first of a kind at the next look, the others summed up; a million of them are a few lines."""
    stream, counted = io.StringIO(), Counter[str]()
    turned = TurnedAway(lambda event: counted.update([event]))
    with logging_to(stream):
        turned.tell(1000.0)
        for second in range(11):
            for number in range(100):
                turned.note("timed_out", f"192.0.2.{number % 3 + 1}")
            turned.tell(1000.0 + second)
        turned.note("bad_head", "192.0.2.9")
        turned.tell(1011.0)
        turned.note("timed_out", "")
        turned.tell_all()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [(line["code"], line["count"], line["client"], line["addresses"]) for line in lines]
    # At 1000, 1005 and 1010 s, and at the end what is left: 100 x (1 + 5 + 5) + 1.
    assert told == [
        ("timed_out", 100, "192.0.2.1", 3),
        ("timed_out", 500, "192.0.2.1", 3),
        ("timed_out", 500, "192.0.2.1", 3),
        ("bad_head", 1, "192.0.2.9", 1),
        ("timed_out", 1, "", 0),
    ]
    assert counted == {"timed_out": 1101, "bad_head": 1}


def test_kinds_are_summed_up_apart_and_are_few() -> None:
    """Handshakes by their reason; however many kinds there are, the lines are bounded."""
    stream = io.StringIO()
    turned = TurnedAway()
    with logging_to(stream):
        for reason in ("unknown ca", "certificate has expired", "unknown ca"):
            turned.note("handshake_refused", "", reason=reason)
        turned.tell(1000.0)
        first = [json.loads(line) for line in stream.getvalue().splitlines()]
        for number in range(10_000):
            turned.note("unlogged", "192.0.2.1", part=str(number))
        turned.tell(1001.0)
    assert [(line["message"], line["reason"], line["count"]) for line in first] == [
        ("handshake refused", "unknown ca", 2),
        ("handshake refused", "certificate has expired", 1),
    ]
    rest = [json.loads(line) for line in stream.getvalue().splitlines()[2:]]
    assert len(rest) < 200
    assert sum(line["count"] for line in rest) == 10_000


# -- access lines --------------------------------------------------------------------------------
def scope_of(client: str, *, caller: str = "", code: str = "") -> dict[str, object]:
    return {"method": "POST", "path": "/p", "client": (client, 1), "state": {"caller": caller, "code": code}}


def test_a_flood_of_requests_is_no_flood_of_lines() -> None:
    """A thousand a second for a minute from two addresses; one of another kind and one with a caller stand out."""
    stream, now = io.StringIO(), 0.0
    turned = TurnedAway()
    lines = Lines(left_out=turned.note, clock=lambda: now)
    with logging_to(stream):
        for second in range(60):
            now = float(second)
            for number in range(1000):
                lines.request(scope_of(f"192.0.2.{number % 2}", code="access.refused"), "est", 401, 0.001)
            for _ in range(30):
                lines.request(scope_of("192.0.2.7", caller="cpo-a"), "est", 200, 0.001)
            turned.tell(now)
        lines.request(scope_of("192.0.2.9", code="est.bad_csr"), "est", 400, 0.001)
        turned.tell_all()
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    single = [line for line in written if line["message"] == "request"]
    summed = [line for line in written if line["message"] != "request"]
    refused = [line for line in single if line["code"] == "access.refused"]
    assert len(refused) == 20 * 12, "twenty in each five seconds"
    assert sum(line["count"] for line in summed) == 60_000 - len(refused)
    assert len(summed) <= 13
    shown = {(line["part"], line["status"], line["refused"], line["addresses"]) for line in summed}
    assert shown == {("est", "401", "access.refused", 2)}
    assert sum(line["caller"] == "cpo-a" for line in single) == 30 * 60
    assert [line["client"] for line in single if line["code"] == "est.bad_csr"] == ["192.0.2.9"]


def test_errors_alone_still_tell_who_was_refused() -> None:
    stream = io.StringIO()
    with logging_to(stream):
        for status in (200, 304, 400, 401, 403, 404, 409, 413, 422, 429, 499, 500, 503):
            Lines(refusals=True).request(scope_of("192.0.2.1", caller="cpo-a"), "est", status, 0.001)
    assert [json.loads(line)["status"] for line in stream.getvalue().splitlines()] == [401, 403, 429, 500, 503]


# -- log lines -----------------------------------------------------------------------------------
def test_log_lines_are_json_without_secrets() -> None:
    stream = io.StringIO()
    secret = "v2gpki_0123456789abcdef_" + "aB3-" * 10 + "xyz"
    worst = f"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- Basic {'dXNlcjpw' * 3}"
    with logging_to(stream):
        log = logging.getLogger("v2gpki.test")
        log.info("two\nlines %s", secret, extra={"given": f"Bearer {'x' * 20}", "count": 3, "thing": Path("/a")})
        try:
            raise ValueError(worst)
        except ValueError:
            log.exception("broken")
        logging.getLogger("uvicorn.error").info("not shown")
        logging.getLogger("other").warning("shown")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["two\nlines [secret]", "broken", "shown"]
    assert (lines[0]["given"], lines[0]["count"], lines[0]["thing"]) == ("[secret]", 3, "/a")
    assert lines[0]["level"] == "info"
    assert lines[0]["time"].endswith("Z")
    for hidden in (secret[24:], "x" * 20, "abc", "dXNlcjpw"):
        assert hidden not in stream.getvalue()
    assert "ValueError" in lines[1]["exception"]
