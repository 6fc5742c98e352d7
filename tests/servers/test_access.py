"""Who is calling, through a served home: Basic, Bearer, x-api-key, access tokens, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.servers.running import Server, serving
from tests.services.est.desk import csr, key
from v2gpki.servers.http.access import FAILURES_AT_ONCE, AccessResolver
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.lines import Lines
from v2gpki.servers.http.tally import Tally
from v2gpki.wiring.access import access_of, registrations_of

ENROL = "/.well-known/est/cpo/simpleenroll"
NAME = "DE*ICE*E1001"


@dataclass
class Scene:
    """A served home with a few tokens: name -> secret."""

    server: Server
    client: httpx.Client
    secrets: Mapping[str, str]
    request: bytes

    def enrol(self, headers: Mapping[str, str] | list[tuple[str, str]], **more: object) -> httpx.Response:
        shown = headers.items() if isinstance(headers, Mapping) else headers
        listed = [*shown, ("content-type", "application/pkcs10")]
        return self.client.post(ENROL, content=self.request, headers=listed, **more)  # type: ignore[arg-type]

    def bearer(self, name: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.secrets[name]}"}

    def opened(self) -> v2gpki.CertificateAuthority:
        return v2gpki.open_authority(self.server.home, passphrase=PASSPHRASE, clock=self.server.clock, caller="test")


@pytest.fixture(scope="module")
def prepared(home_iso2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    home = Path(shutil.copytree(home_iso2, tmp_path_factory.mktemp("access") / "home"))
    secrets = {}
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH)) as ca:
        access, table = access_of(ca), registrations_of(ca)
        for name, identity, scopes, lifetime in (
            ("good", "cpo-a", ["est"], None),
            ("second", "cpo-a", ["est", "pools"], None),
            ("all", "cpo-a", ["*"], None),
            ("other", "cpo-b", ["est"], None),
            ("weak", "cpo-a", ["pools"], None),
            ("brief", "cpo-a", ["est"], timedelta(seconds=60)),
        ):
            secrets[name] = access.create(identity, scopes, lifetime=lifetime, caller="test")[1]
        table.register("cpo-a", "secc", identifiers=[NAME], caller="test")
    return home, secrets


@pytest.fixture
def scene(prepared: tuple[Path, Mapping[str, str]], tmp_path: Path) -> Iterator[Scene]:
    home = Path(shutil.copytree(prepared[0], tmp_path / "home"))
    with serving(home) as server, server.client() as client:
        yield Scene(server, client, prepared[1], csr(key(), NAME))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# -- who is let in -------------------------------------------------------------------------------
def test_every_way_of_showing_a_token(scene: Scene) -> None:
    good = scene.secrets["good"]
    token_id = good.split("_")[1]
    for headers in (
        {"authorization": f"Bearer {good}"},
        {"authorization": f"bearer  {good}"},
        {"authorization": basic("cpo-a", good)},
        {"authorization": basic(token_id, good)},
        {"x-api-key": good},
        # As MaEVe does, and with two tokens of one identity.
        {"x-api-key": good, "authorization": f"Bearer {good}"},
        {"x-api-key": scene.secrets["second"], "authorization": f"Bearer {good}"},
    ):
        assert scene.enrol(headers).status_code == 200, headers


def test_what_is_no_credential(scene: Scene) -> None:
    good, other = scene.secrets["good"], scene.secrets["other"]
    wrong: list[Mapping[str, str] | list[tuple[str, str]]] = [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {good}x"},
        {"authorization": good},
        {"authorization": f"Token {good}"},
        {"authorization": basic("cpo-b", good)},
        {"authorization": basic("", good)},
        {"authorization": "Basic !!!!"},
        {"authorization": "Basic " + base64.b64encode(good.encode()).decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        {"authorization": "Bearer " + "x" * 10_000},
        {"x-api-key": good, "authorization": "Bearer wrong"},
        {"x-api-key": "wrong", "authorization": f"Bearer {good}"},
        # Two identities at once are nobody.
        {"x-api-key": other, "authorization": f"Bearer {good}"},
        [("authorization", f"Bearer {good}"), ("authorization", f"Bearer {other}")],
    ]
    # Known to be good by now, and still not with another's name.
    assert scene.enrol(scene.bearer("good")).status_code == 200
    for headers in wrong:
        answer = scene.enrol(headers)
        assert answer.status_code == 401, headers
        assert "Basic" in answer.headers["www-authenticate"]
    assert scene.enrol(scene.bearer("good")).status_code == 200


def test_a_credential_is_good_for_its_scopes_only(scene: Scene) -> None:
    answer = scene.enrol(scene.bearer("weak"))
    assert (answer.status_code, "est.no_scope" in answer.text) == (403, True)
    assert scene.enrol(scene.bearer("all")).status_code == 200
    # Of two credentials only what both are good for: shown together, the weaker one weakens.
    both = {"x-api-key": scene.secrets["good"], "authorization": f"Bearer {scene.secrets['weak']}"}
    assert scene.enrol(both).status_code == 403
    # Registered for the name is cpo-a alone.
    answer = scene.enrol(scene.bearer("other"))
    assert (answer.status_code, "est.not_registered" in answer.text) == (403, True)


def test_tokens_end(scene: Scene) -> None:
    assert scene.enrol(scene.bearer("brief")).status_code == 200
    assert scene.enrol(scene.bearer("good")).status_code == 200
    with scene.opened() as ca:
        access_of(ca).revoke(scene.secrets["good"].split("_")[1], caller="test")
    scene.server.clock.moment += timedelta(seconds=60)
    assert scene.enrol(scene.bearer("brief")).status_code == 401
    assert scene.enrol(scene.bearer("good")).status_code == 401


def test_the_audit_log_names_the_caller(scene: Scene) -> None:
    assert scene.enrol(scene.bearer("good")).status_code == 200
    with scene.opened() as ca:
        issued = [row for row in ca.store.audit_rows(actions=["certificate.issued"]) if row.caller == "cpo-a"]
        assert [ca.find_certificate(NAME).serial] == [int(row.target.rpartition("/")[2], 16) for row in issued]


def test_an_address_that_guesses_waits_and_a_good_token_does_not(scene: Scene) -> None:
    assert scene.enrol(scene.bearer("good")).status_code == 200
    forged = scene.secrets["good"][:-8] + "AAAAAAAA"
    refused = [scene.enrol({"authorization": f"Bearer {forged}"}) for _ in range(FAILURES_AT_ONCE + 10)]
    answers = [answer.status_code for answer in refused]
    assert answers[:FAILURES_AT_ONCE] == [401] * FAILURES_AT_ONCE
    assert 429 in answers[FAILURES_AT_ONCE:]
    assert set(answers) == {401, 429}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused if answer.status_code == 429)
    # Neither one that is known to be good already, nor one that nobody has shown yet: others share the address.
    assert scene.enrol(scene.bearer("good")).status_code == 200
    assert scene.enrol(scene.bearer("second")).status_code == 200
    # In the pools too, which have other forms for refusals.
    pools = [
        scene.client.get("/v1/root/rootCerts", headers={"authorization": f"Bearer {forged}"}) for _ in range(5)
    ]
    limited = [answer for answer in pools if answer.status_code == 429]
    assert limited
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in limited)
    assert scene.client.get("/v1/root/rootCerts", headers=scene.bearer("weak")).status_code == 200
    with scene.opened() as ca:
        assert not [row for row in ca.store.audit_rows() if "refused" in row.action]


# -- access tokens -------------------------------------------------------------------------------
def form(scene: Scene, **changes: str) -> dict[str, str]:
    given = {"grant_type": "client_credentials", "client_id": "cpo-a", "client_secret": scene.secrets["second"]}
    return {name: value for name, value in (given | changes).items() if value}


def test_wrong_credentials_from_everywhere_fill_no_log(
    prepared: tuple[Path, Mapping[str, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A thousand addresses, each with its first guess: no meter stops them."""
    home = Path(shutil.copytree(prepared[0], tmp_path / "home"))
    tally, executor, left = Tally(["est"]), Executor(1), Counter[str]()
    lines = Lines(left_out=lambda event, client, **about: left.update([f"{event} {about['credential']}"]))
    with v2gpki.open_authority(home, clock=v2gpki.FixedClock(BIRTH)) as ca:
        resolver = AccessResolver(access_of(ca), ca.clock, executor, tally, lines=lines)

        async def guess() -> None:
            for number in range(1000):
                client = (f"192.0.{number // 250}.{number % 250}", 1)
                headers = [(b"authorization", b"Bearer guess%d" % number)]
                assert await resolver({"type": "http", "client": client, "headers": headers}) is None

        asyncio.run(guess())
    executor.close()
    assert tally.events()["credential_refused"] == 1000
    told = sum(record.getMessage() == "credential refused" for record in caplog.records)
    assert told <= 60, "a second or two, and twenty in five seconds"
    assert left == {"unlogged access.refused": 1000 - told}


def test_access_tokens_in_both_shapes(scene: Scene) -> None:
    audience = {"audience": "https://eu.example.com"}
    answers = [
        scene.client.post("/oauth/token", data=form(scene) | audience),
        scene.client.post("/oauth/token", json=form(scene) | audience),
        scene.client.post(
            "/oauth/token",
            data=form(scene, client_id="", client_secret=""),
            headers={"authorization": basic("cpo-a", scene.secrets["second"])},
        ),
    ]
    for answer in answers:
        assert answer.status_code == 200
        value = answer.json()
        # What OPCP's description requires.
        assert {name: type(value[name]) for name in ("access_token", "scope", "expires_in", "token_type")} == {
            "access_token": str,
            "scope": str,
            "expires_in": int,
            "token_type": str,
        }
        assert (value["token_type"], value["expires_in"], value["scope"]) == ("Bearer", 3600, "est pools")
        assert answer.headers["cache-control"] == "no-store"
        assert scene.enrol({"authorization": f"Bearer {value['access_token']}"}).status_code == 200
    narrow = scene.client.post("/oauth/token", data=form(scene, scope="pools")).json()
    assert narrow["scope"] == "pools"
    assert scene.enrol({"authorization": f"Bearer {narrow['access_token']}"}).status_code == 403
    scene.server.clock.moment += timedelta(seconds=3600)
    assert scene.enrol({"authorization": f"Bearer {value['access_token']}"}).status_code == 401


def test_the_line_end_of_a_secrets_file_is_none_of_the_secret(scene: Scene) -> None:
    """``curl --data-urlencode client_secret@FILE`` sends it; one, and nothing else that is white."""
    secret = scene.secrets["second"]

    def status(text: str) -> list[int]:
        given = form(scene, client_secret=text)
        sent = [scene.client.post("/oauth/token", data=given), scene.client.post("/oauth/token", json=given)]
        return [answer.status_code for answer in sent]

    assert [status(secret + end) for end in ("\n", "\r\n")] == [[200, 200]] * 2
    for wrong in (secret + "\n\n", secret + " ", secret + "\r", "\n" + secret, secret + "\n "):
        assert status(wrong) == [401, 401], wrong[-3:]
    assert status("\n") == [400, 400]
    shown = {"authorization": basic("cpo-a", secret + "\n")}
    answer = scene.client.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=shown)
    assert answer.status_code == 200


def test_what_gets_no_access_token(scene: Scene) -> None:
    def post(**changes: str) -> tuple[int, str]:
        answer = scene.client.post("/oauth/token", data=form(scene, **changes))
        value = answer.json()
        assert set(value) == {"error", "error_description"}
        assert scene.secrets["second"] not in answer.text
        return answer.status_code, value["error"]

    assert post(client_secret="wrong") == (401, "invalid_client")
    assert post(client_id="cpo-b") == (401, "invalid_client")
    assert post(client_secret="") == (400, "invalid_request")
    assert post(grant_type="") == (400, "invalid_request")
    assert post(grant_type="password") == (400, "unsupported_grant_type")
    assert post(scope="est admin") == (400, "invalid_scope")
    assert post(scope="*") == (400, "invalid_scope")
    for content, kind in (
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"grant_type": 1}', "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=%d" % number for number in range(200)), "application/x-www-form-urlencoded"),
        (b'{"a":' * 3000, "application/json"),
        (b"", "application/json"),
    ):
        answer = scene.client.post("/oauth/token", content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), content[:20]
    twice = {"authorization": basic("cpo-a", scene.secrets["second"])}
    assert scene.client.post("/oauth/token", data=form(scene), headers=twice).status_code == 400
    answer = scene.client.post("/oauth/token", content=b"a=" + b"x" * 20_000)
    assert answer.status_code == 413


def test_who_guesses_client_secrets_waits(scene: Scene) -> None:
    answers = [
        scene.client.post("/oauth/token", data=form(scene, client_secret="wrong")) for _ in range(FAILURES_AT_ONCE + 5)
    ]
    assert 429 in [answer.status_code for answer in answers]
    assert int(answers[-1].headers.get("retry-after", "1")) >= 1
    assert scene.client.post("/oauth/token", data=form(scene)).status_code == 200


def test_what_was_written_while_serving_is_signed_when_it_ends(
    prepared: tuple[Path, Mapping[str, str]], tmp_path: Path
) -> None:
    home = Path(shutil.copytree(prepared[0], tmp_path / "home"))
    with serving(home) as server, server.client() as client:
        given = {"grant_type": "client_credentials", "client_id": "cpo-a", "client_secret": prepared[1]["good"]}
        assert client.post("/oauth/token", data=given).status_code == 200
    with v2gpki.open_authority(home, clock=v2gpki.FixedClock(BIRTH)) as ca:
        assert list(ca.store.audit_heads())[-1].sequence == ca.store.audit_tip()[0]
