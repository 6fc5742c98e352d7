"""A station's decisions for a stack that is not ours: lines of JSON in, lines of JSON out, in the order in which they
are done.

Behind it stand v2gpki's plug-in points (`v2gpki.servers.secc.plugins`): an Authoriser and a ContractProvider. Out of
the box these are a list of contracts and a v2gpki home; V2GPKI_STATION names your own. In, one line each (`id` comes
back):

    {"id": 1, "ask": "authorise", "method": "pnc", "edition": "iso15118-2", "emaid": "..", "chain": "<PEM>",
     "hashData": [..] or null, "evccId": "..", "attempt": 0}
    {"id": 2, "ask": "contract", "edition": "iso15118-2", "action": "install", "schema": "urn:..", "exi": "<base64>"}

Out: {"id": 1, "status": "accepted" | "ongoing" | "rejected", "responseCode": "..", "reason": "..", "hashData": [..]}
with the hash data as OCPP wants them; {"id": 2, "status": "accepted" | "failed", "exi": "<base64>", "remaining": 0,
"reason": ".."}.

    V2GPKI_HOME              the home; it has the contracts, and what it revoked is known
    V2GPKI_PASSPHRASE_FILE   what unlocks it
    PKI_PATH                 the station's PKI folder, for the roots that contracts may end in
    V2GPKI_EMAIDS            contracts that may charge, with commas between; unset: all whose chain holds
    V2GPKI_STATION           module:function of your own plug-ins; gets the home, returns (Authoriser, ContractProvider)
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import v2gpki
from v2gpki.certs.chain import load_certificates
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import HashData, entries, read_hash_data
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.secc.contracts import HomeContracts
from v2gpki.servers.secc.defaults import ListedAuthoriser
from v2gpki.servers.secc.plugins import Asked, Authoriser, ContractAsked, ContractProvider
from v2gpki.services.trust import judge
from v2gpki.wiring.credentials import StationCredentials
from v2gpki.wiring.judges import anchors
from v2gpki.wiring.pki_folder import station_credentials

Made = Callable[[v2gpki.CertificateAuthority], tuple[Authoriser, ContractProvider]]


class Station:
    """Plug-ins, and what has to be known before an authoriser is asked: whether the chain holds, and its hash data."""

    def __init__(
        self,
        home: v2gpki.CertificateAuthority,
        trusted: StationCredentials,
        authoriser: Authoriser,
        contracts: ContractProvider,
    ) -> None:
        self._home = home
        self._trusted = trusted
        self._authoriser = authoriser
        self._contracts = contracts

    async def answer(self, line: str) -> dict[str, object]:
        """One line answered; what is wrong with it, or with this program, refuses and says so."""
        asked: dict[str, object] = {}
        try:
            asked = dict(json.loads(line))
            answer = await (self._contract(asked) if asked["ask"] == "contract" else self._authorise(asked))
        except V2GPKIError as problem:
            answer = refusal(asked, problem.message)
        except (KeyError, TypeError, ValueError) as problem:
            answer = refusal(asked, f"no question: {problem!r}")
        return {"id": asked.get("id"), **answer}

    async def _authorise(self, asked: dict[str, object]) -> dict[str, object]:
        chain = [der for der in pem_chain(asked) if not view(der).self_issued]
        hashes = self._hash_data(chain, asked.get("hashData"))
        edition: Edition = "iso15118-20" if asked.get("edition") == "iso15118-20" else "iso15118-2"
        pnc = asked["method"] == "pnc"
        question = Asked(
            method="pnc" if pnc else "eim",
            edition=edition,
            session_id=bytes(8),
            evcc_id=str(asked.get("evccId") or ""),
            emaid=str(asked.get("emaid") or ""),
            chain=tuple(chain),
            hash_data=tuple(hashes),
            verdict=self._verdict(chain, hashes, edition) if pnc else None,
            attempt=int(str(asked.get("attempt") or 0)),
        )
        decision = await self._authoriser.authorise(question)
        code = decision.response_code
        if not code and decision.status == "rejected":
            outcome = decision.problem.outcome if decision.problem else None
            code = (outcome.iso2 if edition == "iso15118-2" else outcome.iso20) if outcome else ""
        return {
            "status": decision.status,
            "responseCode": code or ("FAILED" if decision.status == "rejected" else "OK"),
            "reason": decision.reason,
            "hashData": [data.written() for data in hashes],
        }

    def _hash_data(self, chain: Sequence[bytes], given: object) -> list[HashData]:
        """Of each certificate by its issuer; if one of those is unknown here, what the stack says, read in its writing.

        EcoG says nothing when one certificate has no OCSP address, and names the root as well, which nobody asks about:
        its issuer is itself, so it is the last one of more than the chain has certificates.
        """
        roots = (*self._trusted.roots.mo, *self._trusted.roots.v2g, *self._trusted.roots.private)
        try:
            return [data for _, data in entries(chain, anchors=roots)] if chain else []
        except V2GPKIError:
            read = [read_hash_data(dict(one)) for one in given] if isinstance(given, list) else []
            return read[: len(chain)]

    def _verdict(self, chain: Sequence[bytes], hashes: Sequence[HashData], edition: Edition) -> V2GPKIError | None:
        """None: the chain holds, and nothing of it was revoked as far as the home knows."""
        catalogue, known = self._home.catalogue, []
        for data in hashes:
            try:
                known.append(base64.b64decode(self._home.certificate_status(data.written())))
            except V2GPKIError:
                continue  # another house's certificate: its CRL may be in the PKI folder
        try:
            judge(
                chain,
                anchors(catalogue, self._trusted.roots, edition),
                catalogue=catalogue,
                role="contract",
                edition=edition,
                at=self._home.clock.now(),
                crls=self._trusted.crls,
                ocsps=known,
                ordered=True,
            )
        except V2GPKIError as problem:
            return problem
        return None

    async def _contract(self, asked: dict[str, object]) -> dict[str, object]:
        given = await self._contracts.contract(
            ContractAsked(
                exi=base64.b64decode(str(asked["exi"]), validate=True),
                edition="iso15118-20" if asked.get("edition") == "iso15118-20" else "iso15118-2",
                action="update" if asked.get("action") == "update" else "install",
                schema=str(asked.get("schema") or ""),
                deadline_seconds=float(str(asked.get("seconds") or 4.0)),
            )
        )
        exi = base64.b64encode(given.exi).decode("ascii")
        return {"status": given.status, "exi": exi, "remaining": given.remaining, "reason": given.reason}


def pem_chain(asked: dict[str, object]) -> list[bytes]:
    """The certificates of a question, leaf first; none when it has none."""
    text = str(asked.get("chain") or "")
    return load_certificates(text.encode("ascii")) if text else []


def refusal(asked: dict[str, object], reason: str) -> dict[str, object]:
    """The answer that gives nothing."""
    if asked.get("ask") == "contract":
        return {"status": "failed", "exi": "", "remaining": 0, "reason": reason}
    return {"status": "rejected", "responseCode": "FAILED", "reason": reason, "hashData": []}


def plugins(home: v2gpki.CertificateAuthority) -> tuple[Authoriser, ContractProvider]:
    """Your own, or a list and the home."""
    named = os.environ.get("V2GPKI_STATION")
    if named:
        module, _, function = named.partition(":")
        made: Made = getattr(importlib.import_module(module), function)
        return made(home)
    emaids = os.environ.get("V2GPKI_EMAIDS")
    listed = None if emaids is None else [emaid.strip() for emaid in emaids.split(",") if emaid.strip()]
    return ListedAuthoriser(listed), HomeContracts(home.plug_and_charge.provisioning)


async def serve(station: Station) -> None:
    """Answer until the input ends; a slow answer holds up no other."""
    loop = asyncio.get_running_loop()
    working: set[asyncio.Task[None]] = set()

    async def work(line: str) -> None:
        print(json.dumps(await station.answer(line)), flush=True)

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = asyncio.create_task(work(line))
        working.add(task)
        task.add_done_callback(working.discard)
    await asyncio.gather(*working)


def main() -> None:
    """Settings from the environment."""
    passphrase = Path(os.environ["V2GPKI_PASSPHRASE_FILE"]).read_text("utf-8").splitlines()[0]
    with v2gpki.open_authority(os.environ["V2GPKI_HOME"], passphrase=passphrase, caller="station pipe") as home:
        trusted = station_credentials(Path(os.environ["PKI_PATH"]), at=home.clock.now())
        asyncio.run(serve(Station(home, trusted, *plugins(home))))


if __name__ == "__main__":
    try:
        main()
    except V2GPKIError as problem:
        sys.exit(f"cannot answer: {problem.message}")
