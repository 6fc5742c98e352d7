"""EcoG's EXI codec behind lines: its own package and jar, unchanged, in its own environment.

In: `encode <namespace> <JSON in base64>` or `decode <namespace> <octets in hex>`; out: `ok <hex | JSON in base64>` or
`error <words>`, one line each. Run as a program by EcoG's interpreter; `Ecog` is the side that asks.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Schemas that its interface codes, by the namespace that it wants.
NAMESPACES = {
    "app": "urn:iso:15118:2:2010:AppProtocol",
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20-common": "urn:iso:std:iso:15118:-20:CommonMessages",
    "ac": "urn:iso:std:iso:15118:-20:AC",
    "dc": "urn:iso:std:iso:15118:-20:DC",
}


class RefusedError(Exception):
    """EcoG's codec could not; the text is its own."""


class Ecog:
    """EcoG's codec, from ``with`` to its end."""

    def __init__(self, interpreter: Path) -> None:
        self._command = [str(interpreter), str(Path(__file__).resolve())]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # its Java machine ends with its input
        self._process.communicate(timeout=30)

    def encode(self, schema: str, text: str) -> bytes:
        """The octets that it makes of a message in JSON."""
        return bytes.fromhex(self._ask("encode", schema, base64.b64encode(text.encode()).decode("ascii")))

    def decode(self, schema: str, octets: bytes) -> Any:
        """The message that it makes of octets, as a JSON tree."""
        return json.loads(base64.b64decode(self._ask("decode", schema, octets.hex())))

    def _ask(self, verb: str, schema: str, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{verb} {NAMESPACES[schema]} {what}\n")
        self._process.stdin.flush()
        verdict, _, answer = self._process.stdout.readline().rstrip("\n").partition(" ")
        if verdict != "ok":
            raise RefusedError(answer)
        return answer


def _serve() -> None:
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec  # only in EcoG's environment

    codec = ExificientEXICodec()
    for line in sys.stdin:
        verb, namespace, what = line.split()
        try:
            if verb == "encode":
                answer = bytes(codec.encode(base64.b64decode(what).decode(), namespace)).hex()
            else:
                answer = base64.b64encode(codec.decode(bytes.fromhex(what), namespace).encode()).decode("ascii")
        except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
            print("error", " ".join(str(error).split())[:300], flush=True)
        else:
            print("ok", answer, flush=True)
    codec.gateway.shutdown()


if __name__ == "__main__":
    _serve()
