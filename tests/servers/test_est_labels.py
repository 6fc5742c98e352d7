"""``est_labels`` in ``[serve]``: each label of a running server wraps, makes keys and tells attributes its own way."""

from __future__ import annotations

import base64
import shutil
import socket
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path

import httpx
import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.servers.running import serving, with_settings
from tests.services.est.desk import csr
from v2gpki import V2GPKIError
from v2gpki.services.est import LabelOptions
from v2gpki.wiring.access import access_of, registrations_of
from v2gpki.wiring.est_labels import labels_of, options_of
from v2gpki.wiring.serve_settings import ServeSettings, read_table, with_environment

ROWS = ("* wrap=76", "cpo wrap=64", "mo wrap=0 server_keys=false", "station attributes=false rollover=false")


@pytest.fixture
def home(home_iso2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(home_iso2, tmp_path / "served"))


def lines_of(content: bytes) -> list[int]:
    return [len(line) for line in content.splitlines()]


def wrapped(content: bytes, length: int) -> bool:
    """Every line but the last has this length; 0: one line."""
    *most, last = lines_of(content)
    return (not most) if length == 0 else bool(most) and set(most) == {length} and last <= length


def test_each_label_answers_its_own_way(home: Path) -> None:
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test") as ca:
        token = access_of(ca).create("acme", ["est"], caller="test")[1]
        table = registrations_of(ca)
        for role in ("secc", "contract", "oem"):
            table.register("acme", role, caller="test")
    bearer = {"authorization": f"Bearer {token}"}
    settings = with_settings(parts=("est",), est_labels=ROWS)
    with serving(home, settings) as server, server.client() as client:

        def asked(path: str) -> bytes:
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            assert cms.ContentInfo.load(base64.b64decode(answer.content))["content_type"].native == "signed_data"
            return answer.content

        # The same label in every URL that it has, and by the name that OPNC gives the branch.
        assert wrapped(asked("/.well-known/est/cpo/cacerts"), 64)
        assert wrapped(asked("/cpo/cacerts/ISO15118-2"), 64)
        assert wrapped(asked("/.well-known/est/CPO/cacerts"), 64)
        assert wrapped(asked("/.well-known/est/cacerts"), 64)
        assert wrapped(asked("/est/cacerts?caDomain=emsp"), 0)
        assert wrapped(asked("/.well-known/est/mo/cacerts"), 0)
        assert wrapped(asked("/.well-known/est/oem/cacerts"), 76)

        def made(label: str, name: str) -> httpx.Response:
            request = base64.b64encode(csr(ec.generate_private_key(ec.SECP256R1()), name))
            return client.post(f"/.well-known/est/{label}/serverkeygen", content=request, headers=bearer)

        for label, name, length in (("cpo", "DE*ICE*E1", 64), ("oem", "WMIABC1234567890A", 76)):
            answer = made(label, name)
            assert answer.status_code == 200, answer.text
            head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
            key, certificate = message_from_bytes(head + answer.content, policy=HTTP).iter_parts()
            texts = [str(part.get_payload(decode=False)).strip().encode() for part in (key, certificate)]
            assert all(wrapped(text, length) for text in texts)
            private = load_der_private_key(base64.b64decode(texts[0]), None)
            (found,) = cms.ContentInfo.load(base64.b64decode(texts[1]))["content"]["certificates"]
            public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            assert found.chosen.public_key.dump() == public
        refused = made("mo", "DE8AA001234567")
        assert (refused.status_code, "est.no_server_keys" in refused.text) == (404, True)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("", "label"), ("  ", "label"), ("wrap=64", "label"), ("cpo", "nothing"), ("cpo wrap", "wrap"),
        ("cpo wrap=-1", "wrap"), ("cpo wrap=15", "wrap"), ("cpo wrap=1001", "wrap"), ("cpo wrap=sixty", "wrap"),
        ("cpo wrap=64 wrap=76", "twice"), ("cpo server_keys=no", "server_keys"), ("cpo binding=tight", "binding"),
        ("cpo wraps=64", "wraps"), ("* nothing=1", "nothing"), ("cpo wrap=\u0661\u0666", "wrap"),
    ],
)  # fmt: skip
def test_a_row_that_says_nothing_sensible_is_refused_before_a_socket_is_open(home: Path, row: str, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = with_settings(listen=("{}:{}".format(*taken.getsockname()),), parts=("est",), est_labels=(row,))
        with pytest.raises(V2GPKIError) as found, serving(home, settings):
            pass
    assert (found.value.code, found.value.facts["key"]) == ("settings.bad_value", "serve.est_labels")
    assert what in found.value.message
    assert found.value.hint


@pytest.mark.parametrize("label", ["cp", "v2g-root", "cpo-iso21x", "ocsp"])
def test_a_label_that_no_url_can_have_is_refused(home: Path, label: str) -> None:
    settings = with_settings(parts=("est",), est_labels=(f"{label} wrap=64",))
    with pytest.raises(V2GPKIError) as found, serving(home, settings):
        pass
    assert (found.value.code, label in found.value.message) == ("settings.bad_value", True)


def test_rows_become_options() -> None:
    found = options_of(["mo rollover=false", "* wrap=76 binding=required", "CPO-iso20 wrap=0 server_keys=false"])
    assert found == {
        "mo": LabelOptions(wrap=76, binding="required", rollover=False),
        "*": LabelOptions(wrap=76, binding="required"),
        "cpo-iso20": LabelOptions(wrap=0, binding="required", server_keys=False),
    }
    with pytest.raises(V2GPKIError, match=r"another row"):
        options_of(["cpo wrap=64", "CPO wrap=76"])


def test_labels_by_their_names(iso2: v2gpki.CertificateAuthority) -> None:
    labels = labels_of(iso2.catalogue, ["mo wrap=64", "vehicle wrap=72", "cpo-iso20 wrap=0", "* wrap=76"])
    for label, length in (("mo", 64), ("emsp", 64), ("EMSP", 64), ("veh", 72), ("cpo-iso20", 0), ("cpo", 76)):
        assert labels.options(labels.target(label)).wrap == length, label
    assert labels_of(iso2.catalogue, []).options(labels.target("cpo")) == LabelOptions()


def test_the_setting_stands_in_file_and_environment() -> None:
    read = read_table({"est_labels": ["cpo wrap=64", "mo wrap=0"]}, "v2gpki.toml")
    assert read.est_labels == ("cpo wrap=64", "mo wrap=0")
    given = with_environment(ServeSettings(), {"V2GPKI_SERVE_EST_LABELS": "cpo wrap=64, mo wrap=0"})
    assert given.est_labels == read.est_labels
