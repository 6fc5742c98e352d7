"""EcoG's controller interface played by `examples/ecog_controller.py`: asked as EcoG's states ask, hash data by EcoG's
own code.

Run as a program by EcoG's interpreter: a list of calls in JSON in, what the controller answered to each out. A call is
`{"protocol": ..}` (a session begins), `{"emaid": .., "chain": [hex ..], "root": hex or null}` (PaymentDetails),
`{"emaid": ..}` (Authorization), `{}` (-20, DIN), `{"end": ..}` (the session is over), `{"install": base64}`; `{"wait":
seconds}` lets time pass. `Controller` asks it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def controlled(interpreter: Path, calls: list[dict[str, object]], settings: dict[str, str]) -> list[dict[str, Any]]:
    """What the controller answered; a call that raised has `error`."""
    done = subprocess.run(
        [str(interpreter), str(Path(__file__).resolve()), *(["pnc"] if settings.get("AUTH_MODES") == "PNC" else [])],
        input=json.dumps(calls),
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


async def _play(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from ecog_controller import Pipe, V2GPKIController  # type: ignore[import-not-found]
    from iso15118.shared.messages.enums import AuthEnum, AuthorizationTokenType, Protocol

    pipe = Pipe.of_environment()
    # it has unlocked its home before the first vehicle comes, or never will
    with suppress(OSError):
        await pipe.ask({"ask": "nothing"})
    controller = V2GPKIController(pipe, [AuthEnum.PNC if "pnc" in sys.argv else AuthEnum.EIM])
    answers = []
    for call in calls:
        if "protocol" in call:
            controller.set_selected_protocol(Protocol[call["protocol"]])
            answers.append({})
        elif "end" in call:
            await controller.session_ended("Authorization", str(call["end"]))
            answers.append({})
        elif "wait" in call:
            await asyncio.sleep(call["wait"])
            answers.append({})
        elif "install" in call:
            try:
                exi = await controller.get_15118_ev_certificate(call["install"], "urn:iso:15118:2:2013:MsgDef")
                answers.append({"exi": exi})
            except Exception as problem:  # noqa: BLE001 - EcoG's states catch everything here as well
                answers.append({"error": type(problem).__name__})
        else:
            arguments: dict[str, Any] = {}
            if "emaid" in call:
                arguments = {"id_token": call["emaid"], "id_token_type": AuthorizationTokenType.EMAID}
            if "chain" in call:
                arguments |= _shown(call)
            response = await controller.is_authorized(**arguments)
            code = response.certificate_response_status
            hashes = (controller._decision or {}).get("hashData")
            told = {"status": response.authorization_status.name, "code": None if code is None else code.value}
            answers.append({**told, "hashes": hashes, "given": arguments.get("hash_data")})
    process = await pipe.start()
    process.stdin.close()
    await process.wait()
    return answers


def _shown(call: dict[str, Any]) -> dict[str, Any]:
    """As PaymentDetails makes it."""
    from iso15118.shared.security import build_pem_certificate_chain, get_certificate_hash_data

    leaf, *above = (bytes.fromhex(one) for one in call["chain"])
    chain: Any = SimpleNamespace(certificate=leaf, sub_certificates=SimpleNamespace(certificates=above))
    root = bytes.fromhex(call["root"]) if call["root"] else None
    pem = build_pem_certificate_chain(chain, root)
    return {"certificate_chain": str(pem).encode(), "hash_data": get_certificate_hash_data(chain, root)}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, str(_EXAMPLES))
    print(json.dumps(asyncio.run(_play(json.load(sys.stdin)))), flush=True)
