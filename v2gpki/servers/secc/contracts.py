"""Contracts of a home for a station: ``ContractProvider`` over ``CertificateAuthority.plug_and_charge.provisioning``.

Provisioning is a call that waits for disk and keys, so it runs in a few threads of its own: a station does not stand
still meanwhile, and vehicles beyond ``most_waiting`` are refused at once instead of late. A thread that is late cannot
be stopped; what it gets done is recorded, and the vehicle's next request, of the same octets, finds it. Clauses: ISO
15118-2 8.7.2 (5 s for a CertificateInstallationRes), OCPP 2.0.1 M01.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self

from v2gpki.errors import V2GPKIError
from v2gpki.servers.secc.plugins import ContractAsked, ContractGiven
from v2gpki.services.provisioning import ProvisioningAnswer

#: What is left of the vehicle's 5 s for the way back.
DEADLINE = 4.5


class Provider(Protocol):
    """``services.provisioning.Provisioning``, as far as it is needed here."""

    def answer(
        self,
        exi_request: bytes,
        *,
        schema: str = "",
        action: str = "",
        maximum_contracts: int | None = None,
        station: str = "",
    ) -> ProvisioningAnswer:
        """One request answered."""
        ...


class HomeContracts:
    """Answers vehicles from a home. Close it when the station ends; calls that run then are waited for."""

    def __init__(
        self, provisioning: Provider, *, threads: int = 2, most_waiting: int = 64, deadline: float = DEADLINE
    ) -> None:
        self._provisioning = provisioning
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="contracts")
        self._most_waiting = most_waiting
        self._deadline = deadline
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        self.close()

    def close(self) -> None:
        """No more calls; those that have not begun are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def contract(self, asked: ContractAsked) -> ContractGiven:
        """The home's answer, or "failed" without octets when there are too many requests or it takes too long."""
        if self._waiting >= self._most_waiting:
            return _failed(
                V2GPKIError(
                    "provisioning.busy",
                    f"{self._waiting} vehicles wait for a contract already",
                    hint="the vehicle asks again in its next session; allow more threads if the machine has them",
                )
            )
        seconds = min(self._deadline, asked.deadline_seconds)
        call = asyncio.get_running_loop().run_in_executor(self._executor, self._answer, asked)
        self._waiting += 1
        call.add_done_callback(self._done)
        try:
            answer = await asyncio.wait_for(asyncio.shield(call), seconds)
        except TimeoutError:
            return _failed(
                V2GPKIError(
                    "provisioning.late",
                    f"no contract within {seconds:g} s",
                    hint="the same request is answered from what was made meanwhile; look at the home's disk and keys",
                    clause="ISO 15118-2 8.7.2",
                )
            )
        except V2GPKIError as problem:
            return _failed(problem)
        return ContractGiven(
            "accepted" if answer.status == "Accepted" else "failed",
            answer.exi,
            answer.remaining_contracts,
            answer.reason,
            answer.emaid,
            answer.problem,
        )

    def _answer(self, asked: ContractAsked) -> ProvisioningAnswer:
        return self._provisioning.answer(
            asked.exi,
            schema=asked.schema,
            action=asked.action,
            maximum_contracts=asked.maximum_contracts,
            station=asked.evse_id,
        )

    def _done(self, call: asyncio.Future[ProvisioningAnswer]) -> None:
        self._waiting -= 1
        if not call.cancelled():
            # a late one's error was nobody's to catch
            call.exception()


def _failed(problem: V2GPKIError) -> ContractGiven:
    return ContractGiven("failed", reason=problem.message, problem=problem)
