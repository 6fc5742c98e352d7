"""All vectors, and fresh random messages against the reference encoder.

`V2GPKI_EXTRA_VECTORS` names the folder of the vectors, `V2GPKI_EXI_ORACLE` a command that runs the encoder. It reads
lines `enc <schema> <mode> <XML in base64>` or `dec <schema> <mode> <octets in hex>`, separated by tabs, and answers
`OK <octets in hex | XML in base64>` or `ERROR <words>`. `V2GPKI_EXI_SEED` draws other messages.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from random import Random

import pytest

from tests.messages.comparison import failures, tree
from tests.messages.drawing import draw, roots
from tests.vectors import SCHEMAS, Vector, extra, extra_folder
from v2gpki import messages
from v2gpki.errors import V2GPKIError

_MESSAGES = 150
_FOLDER = extra_folder()
_ORACLE = os.environ.get("V2GPKI_EXI_ORACLE", "")


def _check(vector: Vector) -> None:
    """One vector in both directions and both codings."""
    schema, fragment = vector["schema"], vector["mode"] == "fragment"
    message = messages.from_xml(vector["xml"], schema, fragment)
    codings = [vector[name] for name in ("exi", "exi_alt") if name in vector]
    assert messages.encode(message, schema, fragment).hex() in codings
    for coding in codings:
        decoded = messages.decode(bytes.fromhex(coding), schema, fragment)
        assert decoded == message
        assert tree(messages.to_xml(decoded, schema)) == tree(vector["xml"])
    assert messages.from_json(messages.to_json(message, schema), schema, fragment) == message


# Tests that cannot run are not there, rather than skipped: the selection is always tested (tests/messages).
if _FOLDER is not None:

    @pytest.mark.parametrize("schema", [*SCHEMAS, "bench"])
    def test_every_vector(schema: str) -> None:
        vectors = list(extra(_FOLDER, schema, f"{schema}_other"))
        assert vectors
        assert failures(vectors, _check) == []

    def test_frames_of_live_sessions_are_read_and_written_again() -> None:
        """Other stacks' octets. One sends a session identifier that is too short, and text that XML cannot hold."""
        frames = [frame for frame in extra(_FOLDER, "peer_samples") if frame["schema"] in SCHEMAS]
        assert frames

        def check(frame: Vector) -> None:
            schema, fragment, octets = frame["schema"], frame["mode"] == "fragment", bytes.fromhex(frame["exi"])
            if frame["oracle"] == "trailing bytes":
                with pytest.raises(V2GPKIError):
                    messages.decode(octets, schema, fragment)
                octets = octets[: frame["used"]]
            waivers = ("*/Header/SessionID",)
            message = messages.decode(octets, schema, fragment, waivers=waivers)
            assert messages.encode(message, schema, fragment, waivers=waivers) == octets
            if "\x1b" not in frame["xml"] and "&#27;" not in frame["xml"]:
                assert tree(messages.to_xml(message, schema)) == tree(frame["xml"])

        assert failures(frames, check) == []


class _Oracle:
    """The reference encoder behind its command."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *parts: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(parts) + "\n")
        self._process.stdin.flush()
        verdict, _, answer = self._process.stdout.readline().rstrip("\n").partition("\t")
        assert verdict == "OK", (parts, answer)
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=30)


if _ORACLE:

    @pytest.fixture(scope="module")
    def oracle() -> Iterator[_Oracle]:
        """The reference encoder, started once."""
        process = _Oracle(shlex.split(_ORACLE))
        yield process
        process.close()

    @pytest.mark.parametrize("mode", ["document", "fragment"])
    @pytest.mark.parametrize("schema", SCHEMAS)
    def test_fresh_messages_against_the_reference(oracle: _Oracle, schema: str, mode: str) -> None:
        fragment = mode == "fragment"
        random = Random(f"{schema} {mode} {os.environ.get('V2GPKI_EXI_SEED', '')}")
        elements = roots(schema, fragment=fragment)
        for _ in range(_MESSAGES):
            message = draw(random, random.choice(elements))
            text = messages.to_xml(message, schema)
            if schema == "app" and re.search(r"[\t\n]|  |> | <", text):
                continue  # ProtocolNamespace is an anyURI, whose white space the reference collapses when it reads XML
            octets = messages.encode(message, schema, fragment)
            theirs = bytes.fromhex(oracle.ask("enc", schema, mode, base64.b64encode(text.encode()).decode("ascii")))
            read = base64.b64decode(oracle.ask("dec", schema, mode, octets.hex())).decode()
            assert tree(read) == tree(text)
            assert messages.decode(theirs, schema, fragment) == message
            if octets != theirs:  # an empty value, which has two legal codings
                assert "/>" in text or "></" in text
                assert messages.encode(messages.decode(theirs, schema, fragment), schema, fragment) == octets
