"""Answers contract requests from a home, a line of JSON in and one out: for programs that are not ours, or not Python.

Usage: provisioning_pipe.py [HOME]. In: OCPP's Get15118EVCertificateRequest as one line (`exiRequest`, and if known
`iso15118SchemaVersion`, `action`, `maximumContractCertificateChains`, `prioritizedEMAIDs`); out: its response as one
line. The passphrase comes from the file that V2GPKI_PASSPHRASE_FILE names, else from V2GPKI_PASSPHRASE. Ends with
its input.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import v2gpki


def passphrase() -> str:
    """What unlocks the home."""
    named = os.environ.get("V2GPKI_PASSPHRASE_FILE")
    return Path(named).read_text("utf-8").splitlines()[0] if named else os.environ["V2GPKI_PASSPHRASE"]


def serve(home: str | None) -> None:
    """Answer until the input ends; a request that is refused is answered too, the vehicle needs to be told."""
    with v2gpki.open_authority(home, passphrase=passphrase(), caller="provisioning pipe") as ca:
        provisioning = ca.plug_and_charge.provisioning
        for line in sys.stdin:
            asked = json.loads(line)
            answer = provisioning.answer(
                asked["exiRequest"],
                schema=asked.get("iso15118SchemaVersion", ""),
                action=asked.get("action", "Install"),
                maximum_contracts=asked.get("maximumContractCertificateChains"),
                prioritised_emaids=asked.get("prioritizedEMAIDs", ()),
            )
            told = {
                "status": answer.status,
                "exiResponse": answer.exi_response,
                "remainingContracts": answer.remaining_contracts,
                "reason": answer.reason,
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    try:
        serve(sys.argv[1] if len(sys.argv) > 1 else None)
    except v2gpki.V2GPKIError as problem:
        sys.exit(f"cannot answer: {problem.message}")
